//! AWS IAM Identity Center: a login in another window is all a person has to do.

use std::time::Duration;

use pgferry_simulators::Aws;
use serde_json::json;

use crate::child::Child;

const HOUR: Duration = Duration::from_hours(1);
const CALL: &str = "sso:GetRoleCredentials";

fn corporate() -> Aws {
    let aws = Aws::start();
    aws.add_sso_role("111122223333", "Reader", &["*"]);
    aws.add_sso_profile("dev", "corp", ("111122223333", "Reader")).unwrap();
    aws
}

#[test]
fn a_cached_login_gives_the_roles_credentials_once() {
    let aws = corporate();
    let mut child = Child::with_profile(&aws, "dev");
    aws.sso_login(child.home(), "corp", HOUR).unwrap();
    assert!(child.who().text().contains("AWSReservedSSO_Reader_"));
    assert_eq!(child.ask("many", &json!({})).ok(), 1);
    assert_eq!(child.credentials().ok()["ends"], true);
    assert_eq!(aws.count(CALL), 1);
}

#[test]
fn without_a_login_the_command_is_named_and_the_login_is_picked_up() {
    let aws = corporate();
    let mut child = Child::with_profile(&aws, "dev");
    for _ in 0..2 {
        let (text, hint) = child.who().error("SsoExpired");
        assert_eq!(text, "the SSO session of AWS profile dev has expired");
        assert_eq!(hint, "run: aws sso login --profile dev");
    }
    aws.sso_login(child.home(), "corp", HOUR).unwrap();
    assert!(child.who().text().contains("AWSReservedSSO_Reader_"));
}

#[test]
fn a_login_that_is_over_by_its_own_file_names_the_command() {
    let aws = corporate();
    let mut child = Child::with_profile(&aws, "dev");
    aws.sso_login(child.home(), "corp", Duration::ZERO).unwrap();
    let (_, hint) = child.who().error("SsoExpired");
    assert_eq!(hint, "run: aws sso login --profile dev");
    assert_eq!(aws.count(CALL), 0);
    aws.sso_login(child.home(), "corp", HOUR).unwrap();
    child.who().ok();
}

#[test]
fn a_login_that_the_portal_has_ended_names_the_command() {
    let aws = corporate();
    let mut child = Child::with_profile(&aws, "dev");
    aws.sso_login(child.home(), "corp", HOUR).unwrap();
    aws.sso_end_sessions();
    let (text, hint) = child.who().error("SsoExpired");
    assert_eq!(text, "the SSO session of AWS profile dev has expired");
    assert_eq!(hint, "run: aws sso login --profile dev");
    aws.sso_login(child.home(), "corp", HOUR).unwrap();
    child.who().ok();
}

#[test]
fn a_login_that_can_be_refreshed_is() {
    let aws = corporate();
    let mut child = Child::with_profile(&aws, "dev");
    aws.sso_login_refreshable(child.home(), "corp", Duration::from_mins(1)).unwrap();
    assert!(child.who().text().contains("AWSReservedSSO_Reader_"));
    assert_eq!(aws.count("sso-oauth:CreateToken"), 1);
}

#[test]
fn a_profile_of_the_old_form_is_told_what_the_new_one_would_do() {
    let aws = corporate();
    let old = [
        ("sso_start_url", aws.sso_start_url()),
        ("sso_region", aws.region()),
        ("sso_account_id", "111122223333"),
        ("sso_role_name", "Reader"),
    ];
    aws.add_config("profile old", &old).unwrap();
    let mut child = Child::with_profile(&aws, "old");
    let (_, hint) = child.who().error("SsoExpired");
    assert!(hint.starts_with("run: aws sso login --profile old ("), "{hint}");
    assert!(hint.contains("sso_session"), "{hint}");
    aws.sso_login(child.home(), aws.sso_start_url(), HOUR).unwrap();
    assert!(child.who().text().contains("AWSReservedSSO_Reader_"));
}

#[test]
fn a_role_may_start_from_a_login() {
    let aws = corporate();
    let role = aws.add_role("reader", None, &["*"]);
    let mut child = Child::with_profile(&aws, "dev");
    let target = json!({"role": role});
    let (_, hint) = child.ask("who", &target).error("SsoExpired");
    assert_eq!(hint, "run: aws sso login --profile dev");
    aws.sso_login(child.home(), "corp", HOUR).unwrap();
    assert!(child.ask("who", &target).text().contains(":assumed-role/reader/"));
}

#[test]
fn a_role_that_is_not_assigned_is_said_to_be_so() {
    let aws = corporate();
    aws.add_sso_profile("admin", "corp", ("111122223333", "Admin")).unwrap();
    let mut child = Child::with_profile(&aws, "admin");
    aws.sso_login(child.home(), "corp", HOUR).unwrap();
    let (text, hint) = child.who().error("AccessDenied");
    assert_eq!(text, "your AWS identity (profile admin, us-east-1) may not sso:GetRoleCredentials");
    assert!(hint.contains("sso_role_name"), "{hint}");
}
