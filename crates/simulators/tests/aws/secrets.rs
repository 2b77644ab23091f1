//! Secrets, their versions and their rotation.

use pgferry_simulators::{Aws, Postgres, Role, sigv4::Credentials};
use serde_json::{Value, json as value};

use crate::client::{Reply, call, json};

fn fetch(aws: &Aws, credentials: &Credentials, request: &Value) -> Reply {
    let request = json("GetSecretValue", &request.to_string());
    call(aws, credentials, "secretsmanager", request)
}

fn secret(aws: &Aws, request: &Value) -> Value {
    let reply = fetch(aws, aws.credentials(), request);
    assert_eq!(reply.status, 200, "{reply:?}");
    serde_json::from_str(&reply.body).unwrap()
}

#[test]
fn a_secret_is_found_by_name_arn_and_partial_arn() {
    let aws = Aws::start();
    let arn = aws.add_secret("prod/db", "a plain text");
    let partial = &arn[..arn.len() - 7];
    for id in ["prod/db", &arn, partial] {
        let found = secret(&aws, &value!({"SecretId": id}));
        assert_eq!(found["SecretString"], "a plain text", "{id}");
        assert_eq!(found["ARN"], arn.as_str());
        assert_eq!(found["VersionStages"], value!(["AWSCURRENT"]));
    }
    let reply = fetch(&aws, aws.credentials(), &value!({"SecretId": "prod"}));
    assert_eq!(reply.error(), (400, "ResourceNotFoundException".to_owned()));
}

#[test]
fn a_caller_without_the_right_learns_nothing() {
    let aws = Aws::start();
    let arn = aws.add_secret("mine", "x");
    let nobody = aws.add_user("nobody", &["secretsmanager:DescribeSecret"]);
    let reply = fetch(&aws, &nobody, &value!({"SecretId": "mine"}));
    assert_eq!(reply.error(), (400, "AccessDeniedException".to_owned()));
    let expected = format!(
        "User: arn:aws:iam::123456789012:user/nobody is not authorized to perform: \
         secretsmanager:GetSecretValue on resource: {arn}"
    );
    assert!(reply.body.contains(&expected), "{reply:?}");
    let reply = fetch(&aws, &nobody, &value!({"SecretId": "unknown"}));
    assert_eq!(reply.error(), (400, "AccessDeniedException".to_owned()));
}

#[test]
fn a_key_of_ones_own_takes_a_right_of_its_own() {
    let aws = Aws::start();
    aws.add_secret("locked", "x");
    aws.encrypt_with_own_key("locked");
    let reader = aws.add_user("reader", &["secretsmanager:*"]);
    let request = value!({"SecretId": "locked"});
    let reply = fetch(&aws, &reader, &request);
    assert!(reply.body.contains("Access to KMS is not allowed"), "{reply:?}");
    aws.allow_only(&reader.access_key_id, &["secretsmanager:*", "kms:Decrypt"]);
    assert_eq!(fetch(&aws, &reader, &request).status, 200);
}

#[test]
fn labels_move_when_a_rotation_ends() {
    let aws = Aws::start();
    aws.add_secret("s", "old");
    let at = |stage: &str| value!({"SecretId": "s", "VersionStage": stage});
    let missing = fetch(&aws, aws.credentials(), &at("AWSPENDING"));
    assert_eq!(missing.error(), (400, "ResourceNotFoundException".to_owned()));
    let rotation = aws.begin_rotation("s", "new");
    let pending = secret(&aws, &at("AWSPENDING"));
    assert_eq!(pending["SecretString"], "new");
    assert_eq!(secret(&aws, &at("AWSCURRENT"))["SecretString"], "old");
    rotation.finish();
    assert_eq!(secret(&aws, &at("AWSCURRENT"))["SecretString"], "new");
    assert_eq!(secret(&aws, &at("AWSPREVIOUS"))["SecretString"], "old");
    let by_id = value!({"SecretId": "s", "VersionId": pending["VersionId"]});
    assert_eq!(secret(&aws, &by_id)["SecretString"], "new");
    let both = value!({
        "SecretId": "s", "VersionId": pending["VersionId"], "VersionStage": "AWSPREVIOUS",
    });
    let reply = fetch(&aws, aws.credentials(), &both);
    assert_eq!(reply.error(), (400, "InvalidRequestException".to_owned()));
    let request = json("DescribeSecret", r#"{"SecretId":"s"}"#);
    let described = call(&aws, aws.credentials(), "secretsmanager", request);
    let described: Value = serde_json::from_str(&described.body).unwrap();
    let stages = described["VersionIdsToStages"].as_object().unwrap();
    assert_eq!(stages.len(), 2);
    assert_eq!(stages[pending["VersionId"].as_str().unwrap()], value!(["AWSCURRENT"]));
}

#[test]
fn a_rotation_changes_the_database_before_the_label() {
    let aws = Aws::start();
    let database = Postgres::start();
    let before = value!({"username": "app_scram", "password": database.password(Role::Scram)});
    aws.add_secret("rds!cluster-1", &before.to_string());
    let logs_in = |password: &str| {
        let mut psql = database.psql(Role::Scram);
        psql.args(["-c", "SELECT 1"]).env("PGPASSWORD", password).output().unwrap().status.success()
    };
    let password = |stage: &str| {
        let found = secret(&aws, &value!({"SecretId": "rds!cluster-1", "VersionStage": stage}));
        let inner: Value = serde_json::from_str(found["SecretString"].as_str().unwrap()).unwrap();
        inner["password"].as_str().unwrap().to_owned()
    };
    assert!(logs_in(&password("AWSCURRENT")));
    let rotation = aws.rotate_database_first("rds!cluster-1", &database).unwrap();
    assert!(!logs_in(&password("AWSCURRENT")));
    assert!(logs_in(&password("AWSPENDING")));
    rotation.finish();
    assert!(logs_in(&password("AWSCURRENT")));
    let other = aws.rotate_to_user("rds!cluster-1", "app_clear", &database).unwrap();
    assert!(logs_in(&password("AWSCURRENT")));
    other.finish();
    let value: Value = serde_json::from_str(&aws.secret_value("rds!cluster-1")).unwrap();
    assert_eq!(value["username"], "app_clear");
}

#[test]
fn what_is_not_json_or_names_no_secret_is_refused() {
    let aws = Aws::start();
    let told = |body| {
        let request = json("GetSecretValue", body);
        call(&aws, aws.credentials(), "secretsmanager", request).error()
    };
    assert_eq!(told("nonsense"), (400, "SerializationException".to_owned()));
    assert_eq!(told("{}"), (400, "ValidationException".to_owned()));
}
