//! Where credentials and the region come from, and how long they serve.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgferry_simulators::Aws;
use serde_json::json;

use crate::child::Child;

const DAY: Duration = Duration::from_hours(24);
const ASSUME: &str = "sts:AssumeRole";

#[test]
fn keys_of_the_environment_sign() {
    let aws = Aws::start();
    let mut child = Child::with_keys(&aws);
    assert_eq!(child.who().text(), "arn:aws:iam::123456789012:user/somebody");
    let key = &aws.credentials().access_key_id;
    let expected = json!({"key": key, "temporary": false, "ends": false});
    assert_eq!(child.credentials().ok(), expected);
}

#[test]
fn a_profile_that_is_named_wins_over_keys_of_the_environment() {
    let aws = Aws::start();
    aws.add_profile("dev", &aws.add_user("dev", &["*"])).unwrap();
    let mut child = Child::with_keys(&aws);
    let who = child.ask("who", &json!({"profile": "dev"})).text();
    assert_eq!(who, "arn:aws:iam::123456789012:user/dev");
    assert_eq!(child.who().text(), "arn:aws:iam::123456789012:user/somebody");
}

#[test]
fn aws_profile_chooses_where_the_target_does_not() {
    let aws = Aws::start();
    aws.add_profile("dev", &aws.add_user("dev", &["*"])).unwrap();
    aws.add_profile("prod", &aws.add_user("prod", &["*"])).unwrap();
    let mut child = Child::with_profile(&aws, "dev");
    assert_eq!(child.who().text(), "arn:aws:iam::123456789012:user/dev");
    let who = child.ask("who", &json!({"profile": "prod"})).text();
    assert_eq!(who, "arn:aws:iam::123456789012:user/prod");
}

#[test]
fn the_region_is_the_targets_then_the_environments_then_the_profiles() {
    let aws = Aws::start();
    aws.add_config("profile dev", &[("region", "eu-west-3")]).unwrap();
    let mut child = Child::with_keys(&aws);
    let region = |child: &mut Child, fields| child.ask("region", &fields).text();
    assert_eq!(region(&mut child, json!({"region": "ap-south-1", "profile": "dev"})), "ap-south-1");
    assert_eq!(region(&mut child, json!({"profile": "dev"})), "us-east-1");
    let mut envs = aws.envs();
    envs.retain(|(name, _)| !name.ends_with("REGION"));
    let mut child = Child::of(&envs, &[]);
    assert_eq!(region(&mut child, json!({"profile": "dev"})), "eu-west-3");
    let (text, hint) = child.ask("who", &json!({})).error("WrongRegion");
    assert_eq!(text, "no AWS region is set");
    assert!(hint.contains("AWS_REGION"), "{hint}");
}

#[test]
fn a_region_that_is_set_later_is_found() {
    let aws = Aws::start();
    let mut envs = aws.envs();
    envs.retain(|(name, _)| !name.ends_with("REGION"));
    let mut child = Child::of(&envs, &[("AWS_PROFILE", "dev")]);
    child.ask("region", &json!({})).error("WrongRegion");
    aws.add_config("profile dev", &[("region", "us-east-1")]).unwrap();
    assert_eq!(child.ask("region", &json!({})).text(), "us-east-1");
}

#[test]
fn a_role_is_assumed_with_its_external_id_and_session_name() {
    let aws = Aws::start();
    let role = aws.add_role("reader", Some("the id"), &["*"]);
    let mut child = Child::with_keys(&aws);
    let with_id = json!({"role": role, "external_id": "the id", "session": "alice"});
    assert_eq!(
        child.ask("who", &with_id).text(),
        "arn:aws:sts::123456789012:assumed-role/reader/alice"
    );
    let unnamed = json!({"role": role, "external_id": "the id"});
    assert!(child.ask("who", &unnamed).text().ends_with(":assumed-role/reader/pgferry"));
    let (text, hint) = child.ask("who", &json!({"role": role})).error("AccessDenied");
    assert_eq!(text, "your AWS identity (us-east-1) may not sts:AssumeRole");
    assert!(hint.contains(&role) && hint.contains("external id"), "{hint}");
}

#[test]
fn a_profile_may_be_where_a_role_starts_from() {
    let aws = Aws::start();
    let role = aws.add_role("reader", None, &["*"]);
    aws.add_profile("base", &aws.add_user("base", &["sts:AssumeRole"])).unwrap();
    let chained = [("role_arn", role.as_str()), ("source_profile", "base")];
    aws.add_config("profile chained", &chained).unwrap();
    let mut child = Child::with_profile(&aws, "chained");
    assert!(child.who().text().contains(":assumed-role/reader/"));
    let target = json!({"profile": "base", "role": role});
    assert!(child.ask("who", &target).text().ends_with(":assumed-role/reader/pgferry"));
}

#[test]
fn many_users_at_once_assume_a_role_once() {
    let aws = Aws::start();
    let role = aws.add_role("reader", None, &["*"]);
    let mut child = Child::with_keys(&aws);
    assert_eq!(child.ask("many", &json!({"role": role})).ok(), 1);
    assert_eq!(child.ask("many", &json!({"role": role})).ok(), 1);
    assert_eq!(aws.count(ASSUME), 1);
    child.ask("forget", &json!({"role": role})).ok();
    assert_eq!(child.ask("many", &json!({"role": role})).ok(), 1);
    assert_eq!(aws.count(ASSUME), 2);
}

#[test]
fn a_web_identity_becomes_its_role() {
    let aws = Aws::start();
    let role = aws.add_web_identity_role("pod", "the token", &["*"]);
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    fs::write(&token, "the token").unwrap();
    let file = token.to_str().unwrap();
    let envs = [("AWS_WEB_IDENTITY_TOKEN_FILE", file), ("AWS_ROLE_ARN", role.as_str())];
    let mut child = Child::of(&aws.envs_without_keys(), &envs);
    assert!(child.who().text().contains(":assumed-role/pod/"));
    fs::write(&token, "another").unwrap();
    child.ask("forget", &json!({})).ok();
    let (text, _) = child.who().error("Other");
    assert!(text.contains("sts:AssumeRoleWithWebIdentity failed"), "{text}");
    assert!(text.contains("web identity token"), "{text}");
}

/// A script that counts its runs in a file and prints keys.
fn process(directory: &Path, key: (&str, &str), ends: &str) -> (PathBuf, PathBuf) {
    let (script, runs) = (directory.join("keys"), directory.join("runs"));
    let (id, secret) = key;
    let text = format!(
        "#!/bin/sh\necho run >> {}\necho '{{\"Version\": 1, \"AccessKeyId\": \"{id}\", \
         \"SecretAccessKey\": \"{secret}\"{ends}}}'\n",
        runs.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    (script, runs)
}

#[test]
fn a_credential_process_runs_once_while_its_keys_hold() {
    let aws = Aws::start();
    let user = aws.add_user("vault", &["*"]);
    let key = (user.access_key_id.as_str(), user.secret_access_key.as_str());
    let directory = tempfile::tempdir().unwrap();
    for (ends, expected) in [(", \"Expiration\": \"2099-01-01T00:00:00Z\"", true), ("", false)] {
        let (script, runs) = process(directory.path(), key, ends);
        fs::write(&runs, "").unwrap();
        let name = format!("vault-{expected}");
        let setting = [("credential_process", script.to_str().unwrap())];
        aws.add_config(&format!("profile {name}"), &setting).unwrap();
        let mut child = Child::with_profile(&aws, &name);
        assert!(child.who().text().ends_with(":user/vault"));
        assert_eq!(child.ask("many", &json!({})).ok(), 1);
        assert_eq!(child.credentials().ok()["ends"], expected);
        assert_eq!(fs::read_to_string(&runs).unwrap(), "run\n");
    }
}

#[test]
fn a_credential_process_that_fails_is_named_and_tried_again() {
    let aws = Aws::start();
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("keys");
    let setting = [("credential_process", script.to_str().unwrap())];
    aws.add_config("profile vault", &setting).unwrap();
    let mut child = Child::with_profile(&aws, "vault");
    let (text, _) = child.who().error("NoCredentials");
    assert!(text.contains("profile vault"), "{text}");
    let user = aws.add_user("vault", &["*"]);
    process(directory.path(), (&user.access_key_id, &user.secret_access_key), "");
    assert!(child.who().text().ends_with(":user/vault"));
}

#[test]
fn keys_whose_session_is_over_are_read_again_when_forgotten() {
    let aws = Aws::start();
    let first = aws.add_session("pasted", DAY, &["*"]);
    aws.add_profile("pasted", &first).unwrap();
    let mut child = Child::with_profile(&aws, "pasted");
    assert!(child.who().text().contains(":assumed-role/pasted/"));
    aws.end_session(&first.access_key_id);
    let (text, hint) = child.who().error("ExpiredToken");
    assert!(text.starts_with("the AWS credentials have expired: sts:GetCallerIdentity"), "{text}");
    assert_eq!(hint, "renew the credentials where they come from");
    fs::write(aws.credentials_file(), "").unwrap();
    aws.add_profile("pasted", &aws.add_session("pasted", DAY, &["*"])).unwrap();
    child.who().error("ExpiredToken");
    child.ask("forget", &json!({})).ok();
    assert!(child.who().text().contains(":assumed-role/pasted/"));
}

#[test]
fn without_credentials_the_profiles_are_listed() {
    let aws = Aws::start();
    aws.add_profile("dev", &aws.add_user("dev", &["*"])).unwrap();
    aws.add_config("profile prod", &[("region", "us-east-1")]).unwrap();
    let mut child = Child::of(&aws.envs_without_keys(), &[]);
    let (text, hint) = child.who().error("NoCredentials");
    assert_eq!(text, "no AWS credentials found (us-east-1)");
    assert!(hint.contains("AWS_PROFILE") && hint.ends_with("profiles: dev, prod"), "{hint}");
    let (text, hint) = child.ask("who", &json!({"profile": "pord"})).error("NoCredentials");
    assert_eq!(text, "there is no AWS profile pord");
    assert!(hint.ends_with("profiles: dev, prod"), "{hint}");
    let (text, _) = child.ask("who", &json!({"profile": "prod"})).error("NoCredentials");
    assert_eq!(text, "no AWS credentials found (profile prod, us-east-1)");
}
