use pgferry_transport::OpenError;

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
    let report = ConnectionError::Tls(TlsError::UnknownIssuer).report("dev").unwrap();
    assert!(report.message.starts_with("target \"dev\": tls: "), "{}", report.message);
    assert!(report.hint.unwrap().contains("ca_file"));
    let report = open_error(Status::Unreachable).report("dev").unwrap();
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
    assert!(ConnectionError::ClientGone.report("dev").is_none());
    assert!(ConnectionError::ClientGone.last_words("dev").is_empty());
}
