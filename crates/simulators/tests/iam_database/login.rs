//! Which tokens are good.

use std::{process::Stdio, time::Duration};

use pgferry_simulators::{
    Answer, Flaw, IamDatabase, Postgres, SERVER_NAME,
    sigv4::{Credentials, Refusal, presign},
};
use rustix::process::{Pid, Signal, kill_process};

use crate::World;

const LIMIT: Duration = Duration::from_secs(20);
const PORT: u16 = 6543;

#[test]
fn a_token_opens_a_session_as_its_user() {
    let world = World::start();
    for user in ["app_scram", "app_md5", "app_trust", "app_clear", "Mixed Case"] {
        let token = world.database.token(world.aws.credentials(), user);
        let rows = world.ask(user, &token, "SELECT current_user, current_database()");
        assert_eq!(rows, Ok(format!("{user}|app")));
    }
    assert_eq!((world.database.accepted(), world.database.refused()), (5, 0));
    let logins = world.database.logins();
    assert_eq!(logins[4].user, "Mixed Case");
    assert_eq!(logins[4].outcome.as_ref(), Ok(&world.aws.credentials().access_key_id));
    assert_eq!(world.database.port(), PORT);
}

#[test]
fn a_temporary_key_works_until_its_session_ends() {
    let world = World::start();
    let session = world.aws.add_session("app", Duration::from_hours(1), &["rds-db:connect"]);
    let token = world.database.token(&session, "app_scram");
    assert!(token.len() > 1_000, "{}", token.len());
    assert_eq!(world.ask("app_scram", &token, "SELECT 1"), Ok("1".to_owned()));
    world.aws.end_session(&session.access_key_id);
    world.ask("app_scram", &token, "SELECT 1").unwrap_err();
    assert_eq!(world.database.logins()[1].outcome, Err(Flaw::Ended));
    assert_eq!(world.database.distinct_tokens(), 1);
}

#[test]
fn every_wrong_token_gets_the_same_answer_and_is_told_apart_in_the_journal() {
    let world = World::start();
    let key = world.aws.credentials();
    let right = world.database.token(key, "app_scram");
    let signed = |host: &str, action: &str, user: &str, region: &str, expires: u64| {
        let parameters = [("Action", action), ("DBUser", user)];
        let now = (world.aws.clock().now(), expires);
        format!("{host}/?{}", presign(host, &parameters, key, (region, "rds-db"), now))
    };
    let here = format!("{SERVER_NAME}:{PORT}");
    let dialled = world.database.address().port().to_string();
    let by = |credentials: &Credentials| world.database.token(credentials, "app_scram");
    let session = world.aws.add_session("app", Duration::from_hours(1), &["*"]);
    let (start, _) = right.split_once("&X-Amz-Signature=").unwrap();
    let cases = [
        ("hunter2".to_owned(), Flaw::NotAToken),
        (String::from(start), Flaw::Signature(Refusal::Incomplete(SIGNATURE_MISSING.to_owned()))),
        (format!("https://{right}"), Flaw::Host(format!("https://{SERVER_NAME}"))),
        (
            signed("localhost:6543", "connect", "app_scram", "us-east-1", 900),
            Flaw::Host("localhost".to_owned()),
        ),
        (
            signed(&format!("{SERVER_NAME}:{dialled}"), "connect", "app_scram", "us-east-1", 900),
            Flaw::Port(dialled.clone()),
        ),
        (
            signed(&here, "DbConnect", "app_scram", "us-east-1", 900),
            Flaw::Action("DbConnect".to_owned()),
        ),
        (
            signed(&here, "connect", "App_Scram", "us-east-1", 900),
            Flaw::User("App_Scram".to_owned()),
        ),
        (
            signed(&here, "connect", "app_scram", "eu-west-1", 900),
            Flaw::Signature(Refusal::Region { signed: "eu-west-1".to_owned() }),
        ),
        (
            signed(&here, "connect", "app_scram", "us-east-1", 901),
            Flaw::Signature(Refusal::Lifetime { limit: 900 }),
        ),
        (right.replace("X-Amz-Expires=900", "X-Amz-Expires=899"), MISMATCH),
        (by(&Credentials { secret_access_key: "guessed".to_owned(), ..key.clone() }), MISMATCH),
        (by(&Credentials { session_token: None, ..session }), Flaw::UnknownKey),
        (by(&world.aws.add_user("nobody", &["rds:*"])), Flaw::NotAllowed("rds-db:connect")),
    ];
    for (token, flaw) in cases {
        let refusal = world.ask("app_scram", &token, "SELECT 1").unwrap_err();
        let expected = "FATAL:  PAM authentication failed for user \"app_scram\"";
        assert!(refusal.ends_with(expected), "{flaw}: {refusal}");
        assert_eq!(world.database.logins().pop().unwrap().outcome, Err(flaw));
    }
    assert_eq!(world.ask("app_scram", &right, "SELECT 1"), Ok("1".to_owned()));
}

#[test]
fn a_token_lasts_a_quarter_of_an_hour() {
    let world = World::start();
    let token = world.database.token(world.aws.credentials(), "app_scram");
    world.aws.clock().advance(Duration::from_mins(14));
    assert_eq!(world.ask("app_scram", &token, "SELECT 1"), Ok("1".to_owned()));
    world.aws.clock().advance(Duration::from_mins(2));
    world.ask("app_scram", &token, "SELECT 1").unwrap_err();
    let expired = world.database.logins().pop().unwrap().outcome;
    assert!(matches!(expired, Err(Flaw::Signature(Refusal::Expired { .. }))), "{expired:?}");
    world.aws.clock().set_offset(-600);
    world.ask("app_scram", &token, "SELECT 1").unwrap_err();
    let early = world.database.logins().pop().unwrap().outcome;
    assert!(matches!(early, Err(Flaw::Signature(Refusal::NotYetCurrent { .. }))), "{early:?}");
}

#[test]
fn without_tls_no_token_is_even_asked_for() {
    let world = World::start();
    let settings = "user=app_scram dbname=app sslmode=disable";
    let token = world.database.token(world.aws.credentials(), "app_scram");
    let mut psql = crate::psql(&world.postgres, &world.database, settings, &token, "SELECT 1");
    let refusal = crate::said(&mut psql).unwrap_err();
    let expected = "FATAL:  no pg_hba.conf entry for host \"127.0.0.1\", user \"app_scram\", \
                    database \"app\", no encryption";
    assert!(refusal.ends_with(expected), "{refusal}");
    let login = world.database.logins().pop().unwrap();
    assert_eq!((login.token_digest, login.outcome), (None, Err(Flaw::NoTls)));
}

#[test]
fn what_the_real_server_refuses_is_passed_on() {
    let world = World::start();
    let token = world.database.token(world.aws.credentials(), "app_scram");
    let settings = "user=app_scram dbname=nowhere";
    let mut psql = crate::psql(&world.postgres, &world.database, settings, &token, "SELECT 1");
    let refusal = crate::said(&mut psql).unwrap_err();
    assert!(refusal.ends_with("FATAL:  database \"nowhere\" does not exist"), "{refusal}");
}

#[test]
fn a_cancel_request_reaches_the_real_server() {
    let (aws, postgres) =
        (pgferry_simulators::Aws::start(), Postgres::builder().setting("log_statement", "all"));
    let postgres = postgres.start();
    let database = IamDatabase::start(&aws, &postgres);
    let world = World { aws, postgres, database };
    let token = world.database.token(world.aws.credentials(), "app_scram");
    let mut psql = world.psql("app_scram", &token, "SELECT pg_sleep(600)");
    let running = psql.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    world.postgres.log().wait_for("pg_sleep(600)", LIMIT).unwrap();
    kill_process(Pid::from_child(&running), Signal::INT).unwrap();
    let output = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("canceling statement due to user request"), "{said}");
}

#[test]
fn planned_answers_come_first_and_run_out() {
    let world = World::start();
    let token = world.database.token(world.aws.credentials(), "app_scram");
    world.database.answer_next(Answer::AuthenticationFailed, 1);
    world.database.answer_next(Answer::StartingUp, 1);
    let told = || world.ask("app_scram", &token, "SELECT 1");
    assert!(told().unwrap_err().contains("PAM authentication failed"));
    assert!(told().unwrap_err().contains("the database system is starting up"));
    assert_eq!(told(), Ok("1".to_owned()));
    assert!(world.database.wait_for_logins(3, LIMIT));
    assert!(!world.database.wait_for_logins(4, Duration::from_millis(20)));
}

#[test]
fn many_sessions_share_a_token() {
    let world = World::start();
    let token = world.database.token(world.aws.credentials(), "app_scram");
    let clients: Vec<_> = (0..12)
        .map(|_| {
            let mut psql = world.psql("app_scram", &token, "SELECT 1");
            psql.stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut client in clients {
        assert!(client.wait().unwrap().success());
    }
    assert_eq!((world.database.accepted(), world.database.distinct_tokens()), (12, 1));
}

const MISMATCH: Flaw = Flaw::Signature(Refusal::Mismatch);
const SIGNATURE_MISSING: &str = "AWS query-string parameters must include 'X-Amz-Signature'.";
