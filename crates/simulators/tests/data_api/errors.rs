//! Refusals.

use pgferry_simulators::{Cluster, ErrorText, SeveralStatements};
use serde_json::json;

use crate::client::Ferry;

#[test]
fn a_database_error_has_its_state_at_the_end() {
    let ferry = Ferry::start();
    let reply = ferry.execute("SELECT * FROM nowhere");
    let expected = "ERROR: relation \"nowhere\" does not exist; Position: 15; SQLState: 42P01";
    assert_eq!(reply.error(), (400, "DatabaseErrorException", expected));
    ferry.execute("CREATE TABLE unique_texts (t text UNIQUE)").ok();
    let sql = "INSERT INTO unique_texts VALUES ('x; SQLState: 23505'), ('x; SQLState: 23505')";
    let start = "ERROR: duplicate key value violates unique constraint \"unique_texts_t_key\"";
    let detail = "Detail: Key (t)=(x; SQLState: 23505) already exists.";
    let reply = ferry.execute(sql);
    assert_eq!(reply.error().2, format!("{start}; {detail}; SQLState: 23505"));
    ferry.aws.data_api().suppose(|it| it.error_text = ErrorText::Lines);
    let reply = ferry.execute(sql);
    assert_eq!(reply.error().2, format!("{start}\n  {detail}; SQLState: 23505"));
}

#[test]
fn what_it_cannot_carry_is_refused_before_the_database() {
    let ferry = Ferry::start();
    let long = format!("SELECT '{}'", "x".repeat(65_536));
    for (request, expected) in [
        (json!({"sql": "SELECT 1; SELECT 2"}), "Multistatements aren't supported."),
        (json!({"sql": "SELECT 1", "schema": "s"}), "The schema parameter isn't supported."),
        (
            json!({}),
            "1 validation error detected: Value null at 'sql' failed to satisfy constraint: Member must not be null",
        ),
    ] {
        let reply = ferry.call("/Execute", request);
        assert_eq!(reply.error(), (400, "ValidationException", expected));
    }
    let reply = ferry.execute(&long);
    assert!(reply.error().2.ends_with("less than or equal to 65536"), "{reply:?}");
    assert_eq!(ferry.call("/ExecuteSql", json!({})).error().1, "BadRequestException");
}

#[test]
fn a_copy_meets_a_protocol_it_does_not_speak() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TABLE copied (i int)").ok();
    for (sql, response) in [
        ("COPY (SELECT 1) TO STDOUT", "CopyOutResponse"),
        ("COPY copied FROM STDIN", "CopyInResponse"),
    ] {
        let expected = format!("execute: unexpected message: {response}");
        let reply = ferry.execute(sql);
        assert_eq!(reply.error(), (400, "DatabaseErrorException", &*expected));
    }
    assert_eq!(ferry.records("SELECT 1"), json!([[{"longValue": 1}]]));
}

#[test]
fn clusters_and_secrets_have_to_be_there() {
    let ferry = Ferry::start();
    let told = |name: &str, value: &str| {
        let mut request = json!({"sql": "SELECT 1"});
        request[name] = json!(value);
        let reply = ferry.call("/Execute", request);
        let (status, code, _) = reply.error();
        (status, code.to_owned())
    };
    let other = ferry.resource.replace("demo", "other");
    assert_eq!(told("resourceArn", &other), (404, "DatabaseNotFoundException".to_owned()));
    ferry.aws.add_cluster(Cluster::new("other"));
    assert_eq!(told("resourceArn", &other), (400, "HttpEndpointNotEnabledException".to_owned()));
    assert_eq!(told("secretArn", "nothing"), (400, "SecretsErrorException".to_owned()));
    let text = ferry.aws.add_secret("text", "no login");
    assert_eq!(told("secretArn", &text), (400, "InvalidSecretException".to_owned()));
    assert_eq!(told("database", "nowhere"), (400, "DatabaseErrorException".to_owned()));
    let wrong = ferry.aws.add_secret("wrong", r#"{"username": "app_scram", "password": "x"}"#);
    let reply = ferry.call("/Execute", json!({"sql": "SELECT 1", "secretArn": wrong}));
    let expected = "FATAL: password authentication failed for user \"app_scram\"; SQLState: 28P01";
    assert_eq!(reply.error(), (400, "DatabaseErrorException", expected));
}

#[test]
fn a_caller_needs_the_right_to_call_and_to_read_the_secret() {
    let ferry = Ferry::start();
    let sql = json!({"sql": "SELECT 1"});
    for allow in ["rds-data:*", "secretsmanager:GetSecretValue"] {
        let caller = ferry.aws.add_user("half", &[allow]);
        let reply = ferry.call_as(&caller, "/Execute", sql.clone());
        assert_eq!((reply.error().0, reply.error().1), (403, "AccessDeniedException"));
    }
    let caller = ferry
        .aws
        .add_user("whole", &["rds-data:ExecuteStatement", "secretsmanager:GetSecretValue"]);
    ferry.call_as(&caller, "/Execute", sql.clone()).ok();
    let mut forged = caller.clone();
    forged.secret_access_key = "wrong".to_owned();
    let reply = ferry.call_as(&forged, "/Execute", sql);
    assert_eq!((reply.error().0, reply.error().1), (403, "InvalidSignatureException"));
}

#[test]
fn the_body_of_a_function_may_count_as_several_statements() {
    let ferry = Ferry::start();
    let sql = "CREATE FUNCTION one() RETURNS int BEGIN ATOMIC SELECT 1; END";
    let expected = (400, "ValidationException", "Multistatements aren't supported.");
    assert_eq!(ferry.execute(sql).error(), expected);
    ferry.aws.data_api().suppose(|it| it.several = SeveralStatements::AsPostgres);
    ferry.execute(sql).ok();
    assert_eq!(ferry.execute("SELECT 1; SELECT 2").error(), expected);
}
