//! Where databases are found, who pgferry is there, and whose AWS it uses.

use super::*;

const RDS: &str = "dev.cluster-abc123.us-east-1.rds.amazonaws.com";

/// A target with these lines; `listen` is there already.
fn target(lines: &str) -> Result<Target, String> {
    plan(lines).map(|plan| plan.targets[0].clone())
}

fn plan(lines: &str) -> Result<Plan, String> {
    load(&format!("[targets.dev]\nlisten = \"127.0.0.1:15432\"\n{lines}\n"))
}

fn refused(lines: &str, wanted: &str) {
    let error = target(lines).expect_err(lines);
    assert!(error.contains(wanted), "{lines}: {error}");
}

#[test]
fn every_kind_of_credential_can_be_written() {
    let host = format!("database.host = \"{RDS}\"\n");
    let kind = |credential: &str| {
        target(&format!("{host}credential = {{ {credential} }}")).unwrap().credential
    };
    assert_eq!(kind("kind = \"iam\", user = \"app\""), Credential::Iam { user: "app".into() });
    assert_eq!(kind("kind = \"passthrough\""), Credential::Passthrough);
    let secret = Credential::SecretsManager {
        secret: Some("prod/db".into()),
        user: None,
        user_key: None,
        password_key: Some("pw".into()),
    };
    let written = "kind = \"secrets-manager\", secret = \"prod/db\", password_key = \"pw\"";
    assert_eq!(kind(written), secret);
    let command = kind("kind = \"password\", user = \"app\", password_command = [\"pass\", \"x\"]");
    let argv = vec!["pass".to_owned(), "x".to_owned()];
    let password = PasswordSource::Command(argv);
    assert_eq!(command, Credential::Password { user: "app".into(), password });
}

#[test]
fn dsql_is_its_own_admin_and_has_one_database() {
    let host = "database = { host = \"abc.dsql.us-east-1.on.aws\"";
    let dsql = "credential = { kind = \"dsql\" }";
    let target = target(&format!("{host} }}\n{dsql}")).unwrap();
    assert_eq!(target.credential.user(), Some("admin"));
    assert_eq!(target.database.name.as_deref(), Some("postgres"));
    refused(&format!("{host}, name = \"app\" }}\n{dsql}"), "one database, postgres");
    refused(&format!("database.host = \"{RDS}\"\n{dsql}"), "ID.dsql.REGION.on.aws");
    refused(&format!("database.cluster = \"dev\"\n{dsql}"), "is cluster dev, but");
    refused(
        &format!("{host} }}\ncredential = {{ kind = \"iam\", user = \"app\" }}"),
        "database.host: is Aurora DSQL",
    );
}

#[test]
fn a_token_goes_to_a_verified_endpoint_of_its_own_name_alone() {
    let iam = "credential = { kind = \"iam\", user = \"app\" }";
    for mode in ["verify-ca", "disable"] {
        let database = format!("database = {{ host = \"{RDS}\", tls = \"{mode}\" }}");
        refused(&format!("{database}\n{iam}"), "database.tls: sends a token to a server");
        let dsql = format!("database = {{ host = \"a.dsql.us-east-1.on.aws\", tls = \"{mode}\" }}");
        refused(&format!("{dsql}\ncredential.kind = \"dsql\""), "database.tls: sends a token");
    }
    for host in ["localhost", "127.0.0.1", "::1", "10.0.0.7"] {
        refused(&format!("database.host = \"{host}\"\n{iam}"), "and this as address");
    }
    let tunnelled = format!("database = {{ host = \"{RDS}\", address = \"127.0.0.1:1\" }}\n{iam}");
    target(&tunnelled).unwrap();
}

#[test]
fn a_database_is_found_by_one_name() {
    let app = "credential = { kind = \"password\", user = \"app\", password_env = \"PATH\" }";
    let database = |keys: &str| format!("database = {{ {keys} }}\n{app}");
    let location = |keys: &str| target(&database(keys)).unwrap().database.location;
    let cluster = |role| Location::Cluster { name: "dev".into(), role };
    assert_eq!(location("cluster = \"dev\""), cluster(Role::Writer));
    assert_eq!(location("cluster = \"dev\", role = \"reader\""), cluster(Role::Reader));
    assert_eq!(location("instance = \"dev-1\""), Location::Instance("dev-1".into()));
    refused(&database("host = \"x\", cluster = \"dev\""), "more than one of host, cluster and");
    refused(&database("host = \"x\", role = \"reader\""), "database.role: chooses between");
    refused(&database("instance = \"x\", role = \"reader\""), "it needs cluster");
    refused(&database("name = \"app\""), "needs one of host, cluster and instance");
    refused(&database("cluster = \"\""), "database.cluster: is empty");
    refused(app, "needs one of host, cluster and instance");
}

#[test]
fn a_secret_that_rds_manages_belongs_to_a_cluster_or_an_instance() {
    let managed = "credential.kind = \"secrets-manager\"";
    for found in ["cluster = \"dev\"", "instance = \"dev-1\"", &format!("host = \"{RDS}\"")] {
        target(&format!("database.{found}\n{managed}")).unwrap();
    }
    for (host, what) in [
        ("db.example", "is no endpoint of RDS"),
        ("10.0.0.1", "is no endpoint of RDS"),
        ("p.proxy-abc.us-east-1.rds.amazonaws.com", "is an RDS Proxy"),
        ("g.global-abc.global.rds.amazonaws.com", "is a global endpoint"),
        ("abc.dsql.us-east-1.on.aws", "is Aurora DSQL"),
    ] {
        refused(&format!("database.host = \"{host}\"\n{managed}"), what);
    }
    let own = "credential = { kind = \"secrets-manager\", secret = \"prod/db\" }";
    assert_eq!(target(own).unwrap().database.location, Location::Secret);
    refused(managed, "needs one of host, cluster and instance");
}

#[test]
fn a_secret_is_an_arn_or_a_name() {
    let secret = |id: &str| {
        let credential = format!("{{ kind = \"secrets-manager\", secret = \"{id}\" }}");
        target(&format!("database.host = \"{RDS}\"\ncredential = {credential}")).map(drop)
    };
    let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret";
    for good in [&format!("{arn}:prod/db-AbCdEf"), &format!("{arn}:rds!cluster-1-A"), "prod/db"] {
        secret(good).unwrap();
    }
    let kms = "arn:aws:kms:us-east-1:123456789012:key/x";
    for (bad, why) in [
        (arn, "is no whole ARN of a secret"),
        (kms, "is an ARN of kms, not of Secrets Manager"),
        ("my secret", "is neither a secret's ARN nor a name"),
        ("", "is neither"),
    ] {
        let error = secret(bad).unwrap_err();
        assert!(error.contains("targets.dev.credential.secret") && error.contains(why), "{error}");
    }
}

#[test]
fn passthrough_leaves_no_place_for_another_password() {
    let passthrough = format!("database.host = \"{RDS}\"\ncredential.kind = \"passthrough\"\n");
    let scram = "local_auth = { kind = \"scram\", password_file = \"pw\" }";
    refused(&format!("{passthrough}{scram}"), "local_auth: is scram");
    let error = load(&format!("[targets.dev]\nlisten = \"0.0.0.0:1\"\n{passthrough}"));
    assert!(error.unwrap_err().contains("passwords travel in the clear"));
    let user = "credential = { kind = \"passthrough\", user = \"app\" }";
    refused(&format!("database.host = \"x\"\n{user}"), "unknown field `user`");
}

#[test]
fn a_client_certificate_needs_tls_and_a_private_key_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, mode| {
        let file = directory.path().join(name);
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        file
    };
    let (cert, key) = (file("cert.pem", 0o644), file("key.pem", 0o600));
    let with = |tls: &str, key: &Path| {
        format!(
            "database = {{ host = \"db.example\", tls = \"{tls}\" }}\ncredential = {{ kind = \
             \"client-cert\", user = \"app\", cert_file = {cert:?}, key_file = {key:?} }}"
        )
    };
    target(&with("verify-full", &key)).unwrap();
    target(&with("verify-ca", &key)).unwrap();
    refused(&with("disable", &key), "no TLS to show the client certificate in");
    refused(&with("verify-full", &file("open.pem", 0o644)), "credential.key_file");
    refused(&with("verify-full", Path::new("/nonexistent")), "credential.key_file: /nonexistent");
}

#[test]
fn a_password_has_one_place_and_a_program_one_name() {
    let password = |place: &str| {
        format!(
            "database.host = \"x\"\ncredential = {{ kind = \"password\", user = \"app\"{place} }}"
        )
    };
    refused(&password(""), "needs one of password_env");
    refused(&password(", pgpass = true, password_env = \"PATH\""), "needs one of password_env");
    for empty in ["[]", "[\"\"]", "[\"\", \"x\"]"] {
        refused(&password(&format!(", password_command = {empty}")), "is empty: name a program");
    }
    refused(&password(", password_command = [\"./nowhere\"]"), "password_command: /");
    refused(&password(", password_command = \"pass db\""), "expected a sequence");
    let user = password(", password_env = \"PATH\"").replace("\"app\"", "\"\"");
    refused(&user, "credential.user: is empty");
}

#[test]
fn a_pgpass_file_that_others_can_read_is_refused_as_libpq_does() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pgpass");
    let lines = format!(
        "database.host = \"x\"\ncredential = {{ kind = \"password\", user = \"app\", \
         pgpass_file = {file:?} }}"
    );
    refused(&lines, "credential.pgpass_file");
    fs::write(&file, "*:*:*:app:hunter2").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    refused(&lines, "run: chmod 600");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    target(&lines).unwrap();
}

const IAM: &str = "database.cluster = \"dev\"\ncredential = { kind = \"iam\", user = \"app\" }\n";

#[test]
fn a_target_completes_its_aws_from_the_table_for_all() {
    let all = "[aws]\nprofile = \"work\"\nregion = \"eu-west-1\"\n";
    let own =
        "aws = { region = \"us-east-1\", assume_role = \"arn:aws:iam::123456789012:role/r\" }";
    let aws = target(&format!("{IAM}{own}\n{all}")).unwrap().aws;
    assert_eq!(aws.profile.as_deref(), Some("work"));
    assert_eq!(aws.region.as_deref(), Some("us-east-1"));
    assert_eq!(aws.assume_role.unwrap().role_arn, "arn:aws:iam::123456789012:role/r");
}

#[test]
fn what_no_aws_can_be_is_refused_with_its_key() {
    let role = "arn:aws:iam::123456789012:role/r";
    for (aws, why) in [
        ("region = \"us east\"", "aws.region: `us east` is no region"),
        ("profile = \"\"", "aws.profile: is empty"),
        ("assume_role = \"admin\"", "aws.assume_role: `admin` is no ARN of a role"),
        ("assume_role = \"arn:aws:iam::123456789012:user/x\"", "is no ARN of a role"),
        ("assume_role = \"arn:aws:sts::123456789012:assumed-role/x/y\"", "is no ARN of a role"),
        (
            &format!("assume_role = {{ role_arn = \"{role}\", session_name = \"a b\" }}"),
            "aws.assume_role.session_name",
        ),
        (
            &format!("assume_role = {{ role_arn = \"{role}\", external_id = \"\" }}"),
            "aws.assume_role.external_id",
        ),
        ("assume_role = { role_arm = \"x\" }", "did you mean `role_arn`?"),
        ("assume_role = 5", "expected the ARN of a role, or a table with role_arn"),
        ("profil = \"x\"", "did you mean `profile`?"),
        ("endpoint_url = \"localhost:4566\"", "is no URL"),
        ("endpoint_url = \"http://aws.example\"", "in the clear to another machine"),
        ("endpoint_url = \"http://localhost.evil.example\"", "in the clear to another machine"),
        ("endpoint_url = \"http://u@127.0.0.1\"", "names no host"),
        ("endpoint_url = \"https://\"", "names no host"),
    ] {
        refused(&format!("{IAM}aws = {{ {aws} }}"), why);
    }
    for url in ["http://127.0.0.1:4566", "http://[::1]:1/x", "http://localhost", "https://a.b"] {
        target(&format!("{IAM}aws.endpoint_url = \"{url}\"")).unwrap();
    }
    refused(&format!("{IAM}[aws]\nregion = \"x\""), "aws.region");
}

#[test]
fn a_transport_has_the_aws_of_its_kind_of_its_target_or_of_its_own() {
    let aws = |transport: &str, below: &str| {
        let plan = plan(&format!("{IAM}aws.profile = \"own\"\n{transport}\n{below}")).unwrap();
        plan.transports[0].aws.clone()
    };
    let profile = |aws: Option<Aws>| aws.and_then(|aws| aws.profile);
    let all = "[aws]\nprofile = \"all\"\nregion = \"eu-west-1\"\n";
    let ssm = "transport = { kind = \"ssm\", target = \"i-1\"";
    assert_eq!(profile(aws(&format!("{ssm} }}"), all)).as_deref(), Some("own"));
    let shared = format!("{all}[transports.shared]\nkind = \"ssm\"\n");
    assert_eq!(profile(aws("transport = \"shared\"", &shared)).as_deref(), Some("all"));
    let other = aws(&format!("{ssm}, aws.region = \"us-east-1\" }}"), all).unwrap();
    assert_eq!(
        (other.profile.as_deref(), other.region.as_deref()),
        (Some("own"), Some("us-east-1"))
    );
    let ssh = "transport = { kind = \"ssh\", host = \"i-1\"";
    assert_eq!(aws(&format!("{ssh} }}"), all), None);
    let pushed = aws(&format!("{ssh}, key = \"instance-connect\" }}"), all);
    assert_eq!(profile(pushed).as_deref(), Some("own"));
    let granted = aws("transport = { kind = \"mine\", aws = {} }", all);
    assert_eq!(profile(granted).as_deref(), Some("own"));
    refused(&format!("{IAM}transport = {{ kind = \"direct\", aws = {{}} }}"), "is for plugins");
    let mistyped = format!("{IAM}transport = {{ kind = \"mine\", aws.profil = \"x\" }}");
    refused(&mistyped, "targets.dev.transport.aws: unknown field `profil`");
    refused(&mistyped, "did you mean `profile`?");
}
