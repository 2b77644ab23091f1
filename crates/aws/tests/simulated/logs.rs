//! What the log must not have, at its most talkative.

use std::fs;
use std::time::Duration;

use pgferry_simulators::Aws;
use serde_json::{Value, json};

use crate::child::Child;

const HOUR: Duration = Duration::from_hours(1);

#[test]
fn no_log_has_a_secret_at_any_level() {
    let aws = Aws::start();
    let role = aws.add_role("reader", Some("the external id"), &["*"]);
    aws.add_sso_role("111122223333", "Reader", &["*"]);
    aws.add_sso_profile("corp", "corp", ("111122223333", "Reader")).unwrap();
    aws.add_profile("pasted", &aws.add_session("pasted", HOUR, &["*"])).unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut child = Child::of(&aws.envs(), &[("LOG", log.path().to_str().unwrap())]);
    aws.sso_login_refreshable(child.home(), "corp", Duration::from_mins(1)).unwrap();
    let mut secrets = login_secrets(&child);
    let assumed = json!({"role": role, "external_id": "the external id"});
    for identity in [json!({}), assumed, json!({"profile": "corp"}), json!({"profile": "pasted"})] {
        child.ask("who", &identity).ok();
        secrets.extend(texts(&child.ask("secrets", &identity).ok()));
    }
    secrets.extend(login_secrets(&child));
    let text = fs::read_to_string(log.path()).unwrap();
    assert!(text.contains("TRACE") && text.contains("sts"), "nothing was logged");
    assert!(secrets.len() >= 7, "{}", secrets.len());
    for secret in secrets {
        let found = text.lines().find(|line| line.contains(&secret));
        assert_eq!(found, None, "{secret}");
    }
}

/// What `aws sso login` has left in its files.
fn login_secrets(child: &Child) -> Vec<String> {
    let file = fs::read_dir(child.home().join(".aws/sso/cache")).unwrap().next().unwrap().unwrap();
    let login: Value = serde_json::from_slice(&fs::read(file.path()).unwrap()).unwrap();
    let fields = ["accessToken", "refreshToken", "clientSecret"];
    fields.iter().map(|field| login[field].as_str().unwrap().to_owned()).collect()
}

fn texts(value: &Value) -> Vec<String> {
    let texts = value.as_array().unwrap().iter();
    texts.map(|text| text.as_str().unwrap().to_owned()).collect()
}
