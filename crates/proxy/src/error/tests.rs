use bytes::Bytes;
use pgferry_pg::message::ErrorFields;
use pgferry_transport::OpenError;

use super::subject::Kind;
use super::*;

fn open_error(status: Status) -> ConnectionError {
    ConnectionError::Transport(OpenError {
        status,
        message: "transport dev (ssh 0.1.0): it failed".to_owned(),
        hint: Some("fix it".to_owned()),
        retry_after: None,
    })
}

#[test]
fn a_report_names_the_target_the_hop_and_the_fix() {
    let report = ConnectionError::Tls(TlsError::UnknownIssuer).report(&dev()).unwrap();
    assert!(report.message.starts_with("target \"dev\": tls: "), "{}", report.message);
    assert!(report.hint.unwrap().contains("ca_file"));
    let report = open_error(Status::Unreachable).report(&dev()).unwrap();
    assert_eq!(report.message, "target \"dev\": transport dev (ssh 0.1.0): it failed");
    assert_eq!(report.hint.as_deref(), Some("fix it"));
}

#[test]
fn only_our_own_faults_would_be_internal_errors() {
    for status in [Status::Panic, Status::Internal, Status::Timeout, Status::Auth, Status::Ok] {
        assert_ne!(open_error(status).sql_state(), SqlState::INTERNAL_ERROR);
    }
    assert_eq!(open_error(Status::Denied).sql_state(), SqlState::INVALID_AUTHORIZATION);
    assert_eq!(open_error(Status::Timeout).sql_state(), SqlState::UNABLE_TO_CONNECT);
}

#[test]
fn an_application_that_has_gone_gets_no_report() {
    assert!(ConnectionError::ClientGone.report(&dev()).is_none());
    assert!(ConnectionError::ClientGone.last_words(&dev()).is_empty());
}

fn about(credential: Kind) -> Subject {
    Subject { target: "dev".to_owned(), credential, names_database: false }
}

fn dev() -> Subject {
    about(Kind::Password)
}

/// The message and the hint that an application reads about what the database said.
fn told(state: &str, message: &str, about: &Subject) -> (String, Option<String>) {
    let state = SqlState::parse(state.as_bytes()).unwrap();
    let raw = ErrorReport::fatal(state, message).encode();
    let fields = |raw: &[u8]| ErrorFields::new(Bytes::copy_from_slice(&raw[5..]));
    let error = ConnectionError::Login(LoginError::Rejected { fields: fields(&raw), raw });
    let words = fields(&error.last_words(about));
    assert_eq!(words.sql_state(), Some(state), "{message}");
    let hint = words.field(b'H').map(|hint| String::from_utf8_lossy(hint).into_owned());
    (words.message(), hint)
}

#[test]
fn a_refused_token_is_followed_by_every_cause_in_order_with_our_keys() {
    let (message, hint) =
        told("28000", "PAM authentication failed for user \"app\"", &about(Kind::Iam));
    assert!(message.starts_with("target \"dev\": server login: PAM"), "{message}");
    let hint = hint.unwrap();
    let causes = [
        "clock",
        "database.host and port",
        "database.address",
        "aws.region",
        "aws.profile",
        "credential.user",
        "rds_iam",
        "IAMDatabaseAuthenticationEnabled",
        "rds-db:connect",
        "cluster-…, db-…, prx-…",
        "service control policy",
        "200 new connections",
    ];
    let places: Vec<_> = causes.iter().map(|cause| hint.find(cause)).collect();
    assert!(places.is_sorted() && places.iter().all(Option::is_some), "{places:?} in {hint}");
    assert!(hint.len() < 2048, "it can be read in one go");
}

#[test]
fn the_same_refusal_has_another_cause_with_another_credential() {
    let pam = "PAM authentication failed for user \"app\"";
    let hint = |state, message, credential| told(state, message, &about(credential)).1.unwrap();
    assert!(hint("28000", pam, Kind::Password).contains("kind = \"iam\""));
    assert!(hint("28000", pam, Kind::SecretsManager).contains("rds_iam"));
    let wrong = "password authentication failed for user \"app\"";
    assert!(hint("28P01", wrong, Kind::SecretsManager).contains("pending password"));
    assert!(hint("28P01", wrong, Kind::Password).contains("check [targets.dev] credential"));
    let denied = "unable to accept connection, access denied";
    for state in ["28000", "08006"] {
        assert!(hint(state, denied, Kind::Dsql).contains("dsql:DbConnectAdmin"));
    }
    let certificate = "certificate authentication failed for user \"app\"";
    assert!(hint("28000", certificate, Kind::ClientCert).contains("cert_file"));
    let plain =
        "no pg_hba.conf entry for host \"1.2.3.4\", user \"app\", database \"x\", no encryption";
    assert!(hint("28000", plain, Kind::Iam).contains("database.tls"));
    let there = plain.replace("no encryption", "SSL encryption");
    assert!(hint("28000", &there, Kind::Iam).contains("pg_hba.conf, and user"));
}

#[test]
fn what_the_database_says_about_the_request_stays_and_may_get_a_hint() {
    let absent = "database \"x\" does not exist";
    assert_eq!(told("3D000", absent, &dev()), (absent.to_owned(), None));
    let named = Subject { names_database: true, ..dev() };
    let (message, hint) = told("3D000", absent, &named);
    assert_eq!(message, absent);
    assert!(hint.unwrap().contains("database.name of [targets.dev]"));
    for (state, message) in
        [("53300", "sorry, too many clients already"), ("53400", "limit exceeded")]
    {
        let hint = |kind| told(state, message, &about(kind)).1.unwrap();
        assert!(hint(Kind::Iam).contains("max_connections"));
        assert!(hint(Kind::Dsql).contains("100 new connections a second"));
    }
    let own = ErrorReport::fatal(SqlState::TOO_MANY_CONNECTIONS, "no").with_hint("theirs").encode();
    let fields = ErrorFields::new(Bytes::copy_from_slice(&own[5..]));
    assert_eq!(fields.with_hint("ours"), own);
}
