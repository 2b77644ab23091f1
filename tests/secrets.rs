//! No secret is written anywhere: every kind of credential is used at the most talkative level, and
//! everything that can be read afterwards is searched for every secret there was.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use pgferry_simulators::{
    Aws, Cluster, IamDatabase, ManagedInstance, Postgres, Role, SERVER_NAME, Sshd,
};
use support::pgferry::{Pgferry, binary};
use support::plugin::library;
use support::world::{Way, World};

/// The ways to a password whose sessions begin, and the loaded libraries that have keys and tokens of
/// their own.
const WORKING: [&str; 9] =
    ["file", "env", "literal", "pgpass", "command", "secret", "iam", "ssm", "data-api"];

const NODE: &str = "i-0123456789abcdef0";

struct Place {
    aws: Aws,
    database: IamDatabase,
    world: World,
    /// Temporary keys, as a person with SSO has them.
    envs: Vec<(&'static str, String)>,
    /// Every secret, with the word for it.
    secrets: Vec<(&'static str, String)>,
}

impl Place {
    fn new() -> Self {
        let (aws, postgres) = (Aws::start(), Postgres::start());
        let database = IamDatabase::builder(&aws, &postgres).role("app_iam").start();
        let keys = aws.add_session("person", Duration::from_hours(1), &["*"]);
        let token = keys.session_token.clone().expect("a session has a token");
        let mut secrets = vec![
            ("the secret access key", keys.secret_access_key.clone()),
            ("the session token", token.clone()),
            ("the local password", "local-e1b7c0de".to_owned()),
            ("the password of the secret", "vault-5f3d9a21".to_owned()),
            ("a wrong password", "wrong-77aa01bc".to_owned()),
            ("a signature", "X-Amz-Signature=".to_owned()),
            ("the token of a Session Manager session", "AAEAAR".to_owned()),
        ];
        let roles = [Role::Scram, Role::Md5, Role::HostsslOnly, Role::Cleartext, Role::Superuser];
        secrets.extend(roles.map(|role| (role.name(), postgres.password(role).to_owned())));
        postgres.query("CREATE ROLE app_vault LOGIN PASSWORD 'vault-5f3d9a21'").expect("a role");
        let value = r#"{"username":"app_vault","password":"vault-5f3d9a21"}"#;
        aws.add_secret("prod/db", value);
        aws.add_managed_instance(ManagedInstance::new(NODE));
        aws.add_cluster(Cluster::new("demo").data_api());
        aws.data_api().attach("demo", &postgres);
        let mut envs = aws.envs_without_keys();
        envs.push(("AWS_ACCESS_KEY_ID", keys.access_key_id));
        envs.push(("AWS_SECRET_ACCESS_KEY", keys.secret_access_key));
        envs.push(("AWS_SESSION_TOKEN", token));
        envs.push(("PGFERRY_TEST_PASSWORD", postgres.password(Role::Md5).to_owned()));
        Self { aws, database, world: World::with(postgres, Sshd::start()), envs, secrets }
    }

    fn config(&self) -> String {
        let Self { world, .. } = self;
        let postgres = &world.postgres;
        let password = |role: Role| postgres.password(role);
        let file = |name: &str, text: &str| world.secret_file(name, text);
        let of = |user: Role, rest: &str| {
            format!("{{ kind = \"password\", user = \"{}\", {rest} }}", user.name())
        };
        let line = format!("*:*:*:{}:{}", Role::Cleartext.name(), password(Role::Cleartext));
        let superuser = file("superuser", password(Role::Superuser));
        let credentials = [
            ("file", world.credential(Role::Scram)),
            ("env", of(Role::Md5, "password_env = \"PGFERRY_TEST_PASSWORD\"")),
            (
                "literal",
                of(Role::HostsslOnly, &format!("password = \"{}\"", password(Role::HostsslOnly))),
            ),
            ("pgpass", of(Role::Cleartext, &format!("pgpass_file = {:?}", file("pgpass", &line)))),
            (
                "command",
                of(Role::Superuser, &format!("password_command = [\"cat\", {superuser:?}]")),
            ),
            ("secret", "{ kind = \"secrets-manager\", secret = \"prod/db\" }".to_owned()),
            ("wrong", of(Role::Scram, "password = \"wrong-77aa01bc\"")),
        ];
        let mut config = "[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned();
        for (name, credential) in credentials {
            let database = world.database();
            config += &self.target(name, &database, &credential);
        }
        let (address, ca) = (self.database.address(), self.database.ca_file());
        let database =
            format!("{{ host = \"{SERVER_NAME}\", address = \"{address}\", ca_file = {ca:?} }}");
        config += &self.target("iam", &database, "{ kind = \"iam\", user = \"app_iam\" }");
        config + &self.loaded()
    }

    /// Targets whose transports are libraries, with a copy of everything that logs in each.
    fn loaded(&self) -> String {
        let ssm =
            format!("{{ kind = \"ssm\", instance = \"{NODE}\", path = {:?} }}", library("ssm"));
        let credential = self.world.credential(Role::Scram);
        let through_node = self.target_by(&ssm, "ssm", &self.world.database(), &credential);
        let data_api = format!("{{ kind = \"data-api\", path = {:?} }}", library("data_api"));
        let cluster = "{ cluster = \"demo\" }";
        let credential = "{ kind = \"secrets-manager\", secret = \"prod/db\" }";
        through_node + &self.target_by(&data_api, "data-api", cluster, credential)
    }

    fn target(&self, name: &str, database: &str, credential: &str) -> String {
        self.target_by(&self.world.transport(Way::Direct), name, database, credential)
    }

    fn target_by(&self, transport: &str, name: &str, database: &str, credential: &str) -> String {
        let local = self.world.secret_file("local", "local-e1b7c0de");
        format!(
            "[targets.{name}]\nlisten = \"127.0.0.1:0\"\ndatabase = {database}\n\
             transport = {transport}\ncredential = {credential}\n\
             local_auth = {{ kind = \"scram\", password_file = {local:?} }}\n"
        )
    }

    fn environment(&self, command: &mut Command) {
        command.envs(self.envs.iter().cloned()).env_remove("AWS_PROFILE");
    }

    fn psql(&self, pgferry: &Pgferry, target: &str) -> Output {
        let mut psql = self.world.psql(pgferry, target);
        psql.args(["-w", "-c", "select current_user"]).env("PGPASSWORD", "local-e1b7c0de");
        psql.output().expect("psql starts")
    }

    /// Fails if a text has a secret in it.
    fn search(&self, place: &str, text: &str) {
        for (what, secret) in &self.secrets {
            assert!(!text.contains(secret.as_str()), "{what} is in {place}:\n{text}");
        }
    }
}

#[test]
fn no_secret_is_in_a_log_an_error_a_metric_an_answer_or_an_argument() {
    let place = Place::new();
    let config = place.config();
    let pgferry = Pgferry::start_with(&config, |command| {
        place.environment(command);
        command.env("PGFERRY_LOG_LEVEL", "trace");
    });
    for target in WORKING {
        let output = place.psql(&pgferry, target);
        assert!(output.status.success(), "{target}: {output:?}\n{}", pgferry.log().text());
        place.search("psql's output", &said(&output));
        place.search("an argument", &arguments());
    }
    let refused = place.psql(&pgferry, "wrong");
    assert!(said(&refused).contains("password"), "{refused:?}");
    place.search("an error", &said(&refused));
    place.search("/metrics", &pgferry.admin("/metrics").1);
    let log = pgferry.log().text();
    assert!(log.contains("TRACE"), "the log is not at its most talkative");
    place.search("the log", &log);
    assert!(place.aws.count("secretsmanager:GetSecretValue") > 0);
    assert_eq!(place.database.logins().len(), 1);
    assert!(!place.aws.session_manager().sessions().is_empty());
    assert!(place.aws.count("rds-data:ExecuteStatement") > 0);
}

#[test]
fn no_secret_is_in_what_config_check_prints() {
    let place = Place::new();
    let file = config_file(&place);
    for more in [&[][..], &["--json"]] {
        let mut command = binary();
        place.environment(&mut command);
        let output = command.args(["config", "check", "--config"]).arg(&file).args(more).output();
        let output = output.expect("the binary starts");
        assert!(output.status.success(), "{output:?}");
        assert!(said(&output).contains("prod/db"), "{output:?}");
        place.search("config check", &said(&output));
    }
}

fn config_file(place: &Place) -> PathBuf {
    let file = place.world.directory().join("pgferry.toml");
    fs::write(&file, place.config()).expect("the configuration can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("and made private");
    file
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// The arguments of every process there is.
fn arguments() -> String {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ") + "\n").collect()
}
