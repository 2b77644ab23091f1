//! Login with tokens: at a database that takes nothing else, and that gives one answer to everything
//! that is wrong with them, as RDS and Aurora DSQL do.

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

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use pgferry_simulators::sigv4::Credentials;
use pgferry_simulators::{Answer, Aws, Cluster, Flaw, IamDatabase, Postgres, Role, SERVER_NAME};
use support::PATIENCE;
use support::client::{Fault, Wire};
use support::pgferry::{ADMIN, Pgferry};

const DSQL: &str = "abtxyz4u5k6m7n8o9p0qrstuvw.dsql.us-east-1.on.aws";

/// The real server behind every front.
static POSTGRES: LazyLock<Postgres> =
    LazyLock::new(|| Postgres::builder().setting("max_connections", "300").start());

/// An account of its own, and a database that takes its tokens.
struct Stage {
    aws: Aws,
    database: IamDatabase,
    user: &'static str,
    /// More keys of `database`, as TOML, with a comma in front.
    more: String,
    credential: &'static str,
    limits: &'static str,
}

impl Stage {
    fn new() -> Self {
        let aws = Aws::start();
        let database = IamDatabase::start(&aws, &POSTGRES);
        let (more, credential, limits) = (String::new(), "iam", "");
        Self { aws, database, user: Role::Scram.name(), more, credential, limits }
    }

    fn dsql() -> Self {
        let aws = Aws::start();
        let database = IamDatabase::builder(&aws, &POSTGRES).endpoint(DSQL).dsql().start();
        let (more, credential, limits) = (String::new(), "dsql", "");
        Self { aws, database, user: "admin", more, credential, limits }
    }

    fn config(&self) -> String {
        let Self { database, user, more, credential, limits, .. } = self;
        let (host, address) = (database.endpoint(), database.address());
        let ca = database.ca_file();
        format!(
            "{ADMIN}[limits]\n{limits}\n[targets.db]\n\
             listen = \"127.0.0.1:0\"\n\
             database = {{ host = \"{host}\", address = \"{address}\", ca_file = {ca:?}{more} }}\n\
             credential = {{ kind = \"{credential}\", user = \"{user}\" }}\n"
        )
    }

    fn start(&self) -> Pgferry {
        self.start_with(self.aws.credentials())
    }

    fn start_with(&self, keys: &Credentials) -> Pgferry {
        Pgferry::start_with(&self.config(), |command| self.environment(command, keys))
    }

    fn environment(&self, command: &mut Command, keys: &Credentials) {
        command.envs(self.aws.envs_without_keys()).env_remove("AWS_PROFILE");
        command.env("AWS_ACCESS_KEY_ID", &keys.access_key_id);
        command.env("AWS_SECRET_ACCESS_KEY", &keys.secret_access_key);
        match &keys.session_token {
            Some(token) => command.env("AWS_SESSION_TOKEN", token),
            None => command.env_remove("AWS_SESSION_TOKEN"),
        };
    }

    /// What an application is told that is let in by nobody, and what the database knows about it.
    fn refused(&self, pgferry: &Pgferry) -> (Fault, Vec<Flaw>) {
        let fault = Wire::refused(pgferry.port("db"));
        let logins = self.database.logins().into_iter();
        (fault, logins.filter_map(|login| login.outcome.err()).collect())
    }
}

fn select_user(port: u16) -> String {
    let mut wire = Wire::open(port).unwrap_or_else(|fault| panic!("no session: {fault:?}"));
    wire.query("select current_user").expect("a row").remove(0)
}

#[test]
fn two_hundred_clients_at_once_log_in_with_one_token_signed_for_the_endpoint() {
    let stage = Stage::new();
    let pgferry = stage.start();
    let port = pgferry.port("db");
    let clients: Vec<_> = (0..200).map(|_| thread::spawn(move || select_user(port))).collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), stage.user);
    }
    assert_eq!(stage.database.accepted(), 200);
    assert_eq!(stage.database.refused(), 0);
    assert_eq!(stage.database.distinct_tokens(), 1);
}

#[test]
fn every_flaw_of_a_token_is_followed_by_its_causes_and_tried_once_more_with_a_fresh_one() {
    let first_cause = "1. this machine's clock";
    let expect = |stage: &Stage, keys: &Credentials, is: fn(&Flaw) -> bool, hint: &str| {
        let pgferry = stage.start_with(keys);
        let (fault, flaws) = stage.refused(&pgferry);
        fault.assert("db", "28000", &["server login: PAM authentication failed"], first_cause);
        assert!(fault.hint.as_ref().unwrap().contains(hint), "{hint}: {fault:?}");
        assert!(flaws.len() == 2 && flaws.iter().all(is), "{flaws:?}");
        let series =
            "pgferry_connect_failures_total{target=\"db\",phase=\"auth\",reason=\"rejected\"}";
        assert_eq!(pgferry.metric(series), Some(1.0), "a connection fails once");
    };

    let stage = Stage::new();
    stage.aws.clock().set_offset(3600);
    let signature = |flaw: &Flaw| matches!(flaw, Flaw::Signature(_));
    expect(&stage, stage.aws.credentials(), signature, "this machine's clock");

    let port = Stage { more: ", port = 6543".to_owned(), ..Stage::new() };
    expect(&port, port.aws.credentials(), |flaw| matches!(flaw, Flaw::Port(_)), "host and port");

    let stage = Stage::new();
    let session = stage.aws.add_session("person", Duration::from_mins(5), &["*"]);
    stage.aws.clock().advance(Duration::from_mins(10));
    expect(&stage, &session, |flaw| *flaw == Flaw::Ended, "aws sts get-caller-identity");

    let stage = Stage::new();
    let nobody = stage.aws.add_user("nobody", &["rds:Describe*"]);
    expect(&stage, &nobody, |flaw| matches!(flaw, Flaw::NotAllowed(_)), "rds-db:connect");

    let stage = Stage::new();
    let stranger = Aws::start().credentials().clone();
    expect(&stage, &stranger, |flaw| *flaw == Flaw::UnknownKey, "AWS credentials");
}

#[test]
fn a_user_in_another_case_than_it_was_made_in_is_another_user() {
    let stage = Stage { user: "APP_SCRAM", ..Stage::new() };
    let fault = Wire::refused(stage.start().port("db"));
    let words = ["failed for user \"APP_SCRAM\""];
    fault.assert("db", "28P01", &words, "credential.user, in the case it was made in");
}

#[test]
fn a_token_is_not_said_to_a_server_that_asks_for_something_else() {
    let stage = Stage::new();
    let (ca, address) = (POSTGRES.ca_file(), POSTGRES.address().expect("a TCP listener"));
    let port = POSTGRES.port();
    let config = format!(
        "[targets.db]\nlisten = \"127.0.0.1:0\"\n\
         database = {{ host = \"{SERVER_NAME}\", address = \"{address}:{port}\", ca_file = {ca:?} }}\n\
         credential = {{ kind = \"iam\", user = \"{}\" }}\n",
        stage.user
    );
    let pgferry = Pgferry::start_with(&config, |command| {
        stage.environment(command, stage.aws.credentials());
    });
    let fault = Wire::refused(pgferry.port("db"));
    let words = ["server login: the server asks for SASL authentication, not for a token"];
    fault.assert("db", "28000", &words, "GRANT rds_iam");
}

#[test]
fn a_server_that_is_not_the_endpoint_never_sees_the_token() {
    let stage = Stage::new();
    let config =
        stage.config().replace(SERVER_NAME, "other.cluster-abc123.us-east-1.rds.amazonaws.com");
    let pgferry = Pgferry::start_with(&config, |command| {
        stage.environment(command, stage.aws.credentials());
    });
    let fault = Wire::refused(pgferry.port("db"));
    fault.assert("db", "08001", &["tls: the server's certificate is not for"], "database.host");
    assert_eq!(stage.database.logins(), []);
}

#[test]
fn a_database_that_restarts_is_waited_for_with_one_token() {
    let stage = Stage::new();
    let pgferry = stage.start();
    stage.database.answer_next(Answer::StartingUp, 2);
    // In the middle of a restart this is not about the credential.
    stage.database.answer_next(Answer::AuthenticationFailed, 2);
    assert_eq!(select_user(pgferry.port("db")), stage.user);
    assert_eq!(stage.database.logins().len(), 5);
    assert_eq!(stage.aws.count("rds:DescribeDBClusters"), 0, "a host of its own is not looked up");
}

#[test]
fn one_refusal_out_of_the_blue_costs_nobody_the_session() {
    let stage = Stage::new();
    let pgferry = stage.start();
    stage.database.answer_next(Answer::AuthenticationFailed, 1);
    assert_eq!(select_user(pgferry.port("db")), stage.user);
    assert_eq!(stage.database.logins().len(), 2);
}

#[test]
fn whoever_waits_is_told_for_what_and_at_the_end_what_the_database_said() {
    let stage = Stage { limits: "startup = \"5s\"", ..Stage::new() };
    stage.database.answer_next(Answer::StartingUp, 1000);
    let pgferry = stage.start();
    let conninfo = format!("host=127.0.0.1 port={} user=me dbname=app", pgferry.port("db"));
    let mut psql = POSTGRES.client("psql");
    let output = psql.args(["-X", "-w", "-d", &conninfo, "-c", "select 1"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let notice = said.find("NOTICE:  target \"db\": waiting for the database");
    let refusal = said.find("FATAL:  the database system is starting up");
    assert!(notice.is_some() && notice < refusal, "{said}");
    assert!(said.contains("startup in [limits]"), "{said}");
    assert_eq!(said.matches("NOTICE").count(), 1, "{said}");
}

#[test]
fn a_session_that_takes_its_time_begins_after_the_notice() {
    let stage = Stage::new();
    stage.database.answer_next(Answer::StartingUp, 4);
    let pgferry = stage.start();
    let mut wire = Wire::start(pgferry.port("db"), &[("user", "me"), ("database", "app")]);
    let messages = wire.ready().expect("a session");
    let tags: String = messages.iter().map(|message| char::from(message.tag)).collect();
    assert!(tags.starts_with("RNS"), "{tags}");
    assert_eq!(tags.matches('R').count(), 1, "one AuthenticationOk: {tags}");
    assert_eq!(wire.query("select 42").expect("a row"), ["42"]);
}

#[test]
fn nothing_is_tried_for_an_application_that_has_left() {
    let stage = Stage::new();
    stage.database.answer_next(Answer::StartingUp, 1000);
    let pgferry = stage.start();
    let wire = Wire::start(pgferry.port("db"), &[("user", "me"), ("database", "app")]);
    assert!(stage.database.wait_for_logins(2, PATIENCE));
    drop(wire);
    pgferry.log().wait_for("the application closed the connection", PATIENCE).unwrap();
    let tried = stage.database.logins().len();
    assert!(!stage.database.wait_for_logins(tried + 1, Duration::from_secs(3)), "it goes on");
}

#[test]
fn dsql_gets_tls_at_once_its_only_database_and_a_token_of_its_own() {
    let stage = Stage::dsql();
    let pgferry = stage.start();
    assert_eq!(select_user(pgferry.port("db")), "admin");
    let login = stage.database.logins().remove(0);
    assert!(login.direct_tls && login.database == "postgres", "{login:?}");

    // Another role's right is not this one's.
    let nobody = stage.aws.add_user("nobody", &["dsql:DbConnect"]);
    let pgferry = stage.start_with(&nobody);
    let fault = Wire::refused(pgferry.port("db"));
    let words = ["unable to accept connection, access denied"];
    fault.assert("db", "28000", &words, "dsql:DbConnectAdmin for credential.user");
}

#[test]
fn dsql_that_knows_no_tls_at_once_is_asked_for_it() {
    let (aws, postgres) = (Aws::start(), Postgres::start());
    let database = IamDatabase::builder(&aws, &postgres).endpoint(DSQL).dsql();
    let database = database.without_direct_tls().start();
    let (more, credential, limits) = (String::new(), "dsql", "");
    let stage = Stage { aws, database, user: "admin", more, credential, limits };
    let pgferry = stage.start();
    for _ in 0..2 {
        assert_eq!(select_user(pgferry.port("db")), "admin");
    }
    let logins = stage.database.logins();
    assert!(logins.iter().all(|login| !login.direct_tls && login.outcome.is_ok()), "{logins:?}");
}

#[test]
fn a_limit_of_the_database_keeps_its_words_and_says_whose_it_is() {
    let (aws, postgres) = (Aws::start(), Postgres::start());
    let database = IamDatabase::builder(&aws, &postgres).role("app_limited").start();
    postgres.query("ALTER ROLE app_limited CONNECTION LIMIT 0").expect("a limit");
    let (more, credential, limits) = (String::new(), "iam", "");
    let stage = Stage { aws, database, user: "app_limited", more, credential, limits };
    let (fault, flaws) = stage.refused(&stage.start());
    let words = "too many connections for role \"app_limited\"";
    assert!(fault.code == "53300" && fault.message.contains(words), "{fault:?}");
    assert!(fault.hint.as_ref().is_some_and(|hint| hint.contains("CONNECTION LIMIT")), "{fault:?}");
    assert_eq!(flaws, [], "the token was right");
}

#[test]
fn a_database_that_takes_nobody_without_tls_is_followed_by_the_setting() {
    let stage = Stage::new();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("password");
    std::fs::write(&file, POSTGRES.password(Role::HostsslOnly)).expect("a password");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("private");
    let front = stage.database.address().to_string();
    let server = format!("{}:{}", POSTGRES.address().expect("a TCP listener"), POSTGRES.port());
    for (address, words) in [(front, "no pg_hba.conf entry for"), (server, "pg_hba.conf rejects")] {
        let pgferry = Pgferry::start(&format!(
            "[targets.db]\nlisten = \"127.0.0.1:0\"\n\
             database = {{ host = \"{SERVER_NAME}\", address = \"{address}\", tls = \"disable\" }}\n\
             credential = {{ kind = \"password\", user = \"{}\", password_file = {file:?} }}\n",
            Role::HostsslOnly.name()
        ));
        let fault = Wire::refused(pgferry.port("db"));
        fault.assert("db", "28000", &[words, "no encryption"], "database.tls = \"verify-full\"");
    }
}

#[test]
fn a_cluster_without_iam_authentication_is_found_out_before_a_login() {
    let stage = Stage::new();
    stage.aws.add_cluster(Cluster::new("demo").iam(false));
    let host = format!("host = \"{SERVER_NAME}\"");
    let config = stage.config().replace(&host, "cluster = \"demo\"");
    let pgferry = Pgferry::start_with(&config, |command| {
        stage.environment(command, stage.aws.credentials());
    });
    let fault = Wire::refused(pgferry.port("db"));
    assert!(fault.message.contains("IAM database authentication is off on cluster demo"));
    assert!(
        fault.hint.as_ref().is_some_and(|hint| hint.contains("modify-db-cluster")),
        "{fault:?}"
    );
    assert_eq!(stage.database.logins(), []);
}
