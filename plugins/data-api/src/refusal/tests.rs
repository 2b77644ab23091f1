use super::*;

fn said(code: &str, text: &str) -> Failure {
    answered(Action::Execute, 400, code, text)
}

fn answered(action: Action, status: u16, code: &str, said: &str) -> Failure {
    said_no(action, &Answer { status, code, said }, "eu-west-1")
}

/// Its SQLSTATE and its effect.
fn meaning(failure: &Failure) -> (&str, Effect) {
    (failure.fault.state.as_str(), failure.effect)
}

#[test]
fn every_answer_of_the_service_has_a_code_and_an_effect() {
    let cases = [
        ("DatabaseErrorException", "ERROR: no; SQLState: 42P01", "42P01", Effect::Refused),
        (
            "DatabaseErrorException",
            "ERROR: no binary output function available for type aclitem; SQLState: 42883",
            "42883",
            Effect::Unwritable,
        ),
        (
            "UnsupportedResultException",
            "The result exceeds the size limit 1 MB.",
            "54000",
            Effect::TooLarge,
        ),
        (
            "UnsupportedResultException",
            "The result contains the unsupported data type INTERVAL.",
            "0A000",
            Effect::Unwritable,
        ),
        ("InternalFailure", "", "08006", Effect::Unwritable),
        ("InternalServerErrorException", "oops", "08006", Effect::Unknown),
        ("StatementTimeoutException", "x", "57014", Effect::Refused),
        ("DatabaseResumingException", "x", "57P03", Effect::NotYet),
        ("TransactionNotFoundException", "x", "25P03", Effect::TransactionGone),
        ("ThrottlingException", "x", "53400", Effect::NotYet),
        ("AccessDeniedException", "x", "28000", Effect::Never),
        ("HttpEndpointNotEnabledException", "x", "08004", Effect::Never),
        ("BadRequestException", "HttpEndpoint is not enabled", "08004", Effect::Never),
        ("DatabaseNotFoundException", "x", "08001", Effect::Never),
        ("ValidationException", "Multistatements aren't supported.", "0A000", Effect::Never),
    ];
    for (code, text, state, effect) in cases {
        let failure = said(code, text);
        assert_eq!(failure.fault.state.as_str(), state, "{code} {text}");
        assert_eq!(failure.effect, effect, "{code} {text}");
    }
}

#[test]
fn a_commit_without_an_answer_is_not_known_to_have_happened() {
    for (status, code, text) in [
        (500, "InternalFailure", ""),
        (504, "DatabaseUnavailableException", "x"),
        (503, "ServiceUnavailableError", "x"),
        (400, "StatementTimeoutException", "x"),
        (400, "DatabaseErrorException", "Communications link failure"),
        (502, "", ""),
    ] {
        let failure = answered(Action::Commit, status, code, text);
        assert_eq!(meaning(&failure), ("08007", Effect::Unknown), "{code}");
    }
}

#[test]
fn a_database_that_went_away_may_have_executed_the_statement_but_has_not_begun_one() {
    for code in ["DatabaseUnavailableException", "ServiceUnavailableError"] {
        let failure = answered(Action::Execute, 503, code, "x");
        assert_eq!(meaning(&failure), ("08006", Effect::Unknown), "{code}");
        let failure = answered(Action::Begin, 503, code, "x");
        assert_eq!(meaning(&failure), ("57P03", Effect::NotYet), "{code}");
    }
}

#[test]
fn an_answer_that_is_not_the_services_tells_nothing_unless_it_blames_the_request() {
    for status in [500, 502, 503, 504] {
        let failure = answered(Action::Execute, status, "", "");
        assert_eq!(meaning(&failure), ("08006", Effect::Unknown), "{status}");
    }
    let failure = answered(Action::Execute, 403, "", "");
    assert_eq!(meaning(&failure), ("08001", Effect::Never));
}

#[test]
fn an_error_of_the_database_without_a_code_tells_nothing_of_the_statement() {
    let failure = said("DatabaseErrorException", "Communications link failure");
    assert_eq!(meaning(&failure), ("08006", Effect::Unknown));
    let failure = said("DatabaseErrorException", "Transaction is still running a query");
    assert_eq!(meaning(&failure), ("58000", Effect::Refused));
}

#[test]
fn a_statement_that_outlives_the_limit_goes_on_and_the_others_are_canceled() {
    let failure = answered(Action::ExecuteOn, 400, "StatementTimeoutException", "x");
    assert_eq!(meaning(&failure), ("08006", Effect::Unknown));
    assert!(failure.fault.message.contains("goes on"), "{}", failure.fault.message);
}
