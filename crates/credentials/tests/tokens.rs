//! Tokens for RDS and Aurora DSQL, held against those of botocore, the library under the AWS CLI.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use aws_smithy_async::time::StaticTimeSource;
use pgferry_aws::{Aws, Identity};
use pgferry_credentials::{Access, Location, Source};
use serde_json::{Value, json};

/// A second at which day, hour, minute and second have one digit: 2027-02-03 04:05:06.
const TIME: u64 = 1_801_627_506;
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// With every letter of Base64 that has a meaning in a query.
const SESSION: &str = "IQoJb3JpZ2luX2VjEJr//////////wEaCXVz+LWVhc3QtMSJHMEUCIQDx/yz==";
/// Stands before the child's answer: the test harness prints too.
const MARK: &str = "tokens: ";

struct Case {
    kind: &'static str,
    host: &'static str,
    port: u16,
    user: &'static str,
    region: &'static str,
    session: Option<&'static str>,
}

const fn rds(host: &'static str, port: u16, user: &'static str, region: &'static str) -> Case {
    Case { kind: "rds", host, port, user, region, session: None }
}

const fn dsql(host: &'static str, user: &'static str, region: &'static str) -> Case {
    Case { kind: "dsql", host, port: 5432, user, region, session: None }
}

const CASES: &[Case] = &[
    rds("shop.cluster-abc123.us-east-1.rds.amazonaws.com", 5432, "app", "us-east-1"),
    rds("shop.cluster-ro-abc123.eu-central-1.rds.amazonaws.com", 6000, "app_ro", "eu-central-1"),
    rds("front.proxy-abc123.eu-west-1.rds.amazonaws.com", 5432, "app", "eu-west-1"),
    rds("shop.cluster-abc123.rds.cn-north-1.amazonaws.com.cn", 5432, "app", "cn-north-1"),
    rds("shop.abc123.us-gov-west-1.rds.amazonaws.com", 5432, "app", "us-gov-west-1"),
    rds("shop.global-abc123.global.rds.amazonaws.com", 5432, "app", "ap-southeast-2"),
    rds("shop.abc123.us-east-1.rds.amazonaws.com", 5432, "Jane.Doe@example.com", "us-east-1"),
    rds("shop.abc123.us-east-1.rds.amazonaws.com", 5432, "a b+c/d%20e&f=g?h#i~j*ü'\"", "us-east-1"),
    dsql("foo0bar1baz2quux3quuux4.dsql.us-east-1.on.aws", "admin", "us-east-1"),
    dsql("foo0bar1baz2quux3quuux4.dsql.eu-west-3.on.aws", "app", "eu-west-3"),
];

/// Keys that live on, and those of a session.
fn cases() -> impl Iterator<Item = Case> {
    let sessions = [None, Some(SESSION)];
    sessions.into_iter().flat_map(|session| CASES.iter().map(move |case| Case { session, ..*case }))
}

impl Case {
    fn to_json(&self) -> Value {
        json!({
            "kind": self.kind,
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "region": self.region,
            "key": KEY,
            "secret": SECRET,
            "session": self.session,
            "time": TIME,
        })
    }

    /// What pgferry signs.
    async fn token(&self, aws: &Aws) -> String {
        let location = Location::Host { host: self.host.to_owned(), port: self.port };
        let user = self.user.to_owned();
        let source = if self.kind == "rds" { Source::Iam { user } } else { Source::Dsql { user } };
        let profile = if self.session.is_some() { "session" } else { "user" };
        let identity = Identity {
            profile: Some(profile.to_owned()),
            region: Some(self.region.to_owned()),
            ..Identity::default()
        };
        let access = Access::new(location, source, aws.account(&identity));
        let offer = access.attempt("application").next().await.expect("a credential");
        let lease = offer.expect("an offer").lease;
        lease.proof.secret().expect("a token").to_owned()
    }
}

/// The child's side: the files of AWS that it reads are its own.
#[tokio::test]
#[ignore = "the other test starts it"]
async fn sign() {
    if std::env::var_os("AWS_SHARED_CREDENTIALS_FILE").is_none() {
        return;
    }
    let aws = Aws::with_clock(StaticTimeSource::from_secs(TIME));
    let mut tokens = Vec::new();
    for case in cases() {
        tokens.push(case.token(&aws).await);
    }
    println!("{MARK}{}", json!(tokens));
}

/// What pgferry signs, in a process of its own.
fn ours() -> Vec<String> {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("credentials");
    let keys = format!("aws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n");
    let text = format!("[user]\n{keys}[session]\n{keys}aws_session_token = {SESSION}\n");
    fs::write(&file, text).expect("a file");
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["sign", "--exact", "--ignored", "--nocapture"])
        .env_clear()
        .env("HOME", home.path())
        .env("AWS_SHARED_CREDENTIALS_FILE", file)
        .output()
        .expect("this program starts");
    let text = String::from_utf8(succeeded(output).stdout).expect("UTF-8");
    let answer = text.lines().find_map(|line| Some(line.split_once(MARK)?.1)).expect("an answer");
    serde_json::from_str(answer).expect("a list of tokens")
}

/// What botocore signs, in one run of Python.
fn botocores() -> Vec<String> {
    let asked: Vec<Value> = cases().map(|case| case.to_json()).collect();
    let mut python = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokens.py"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("PYTHONPATH", botocore())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut input = python.stdin.take().expect("a pipe");
    input.write_all(Value::from(asked).to_string().as_bytes()).expect("Python reads");
    drop(input);
    let output = succeeded(python.wait_with_output().expect("Python ends"));
    serde_json::from_slice(&output.stdout).expect("a list of tokens")
}

/// Where it is; fetched if it is nowhere.
fn botocore() -> PathBuf {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/install-python-library.sh");
    let output =
        succeeded(Command::new("sh").arg(script).arg("botocore").output().expect("sh starts"));
    String::from_utf8(output.stdout).expect("UTF-8").trim_end().into()
}

fn succeeded(output: Output) -> Output {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The order of parameters says nothing: the signature is over the sorted ones.
fn sorted(token: &str) -> (String, Vec<String>) {
    let (place, query) = token.split_once('?').expect("a query");
    let mut parameters: Vec<String> = query.split('&').map(str::to_owned).collect();
    parameters.sort();
    (place.to_owned(), parameters)
}

#[test]
fn tokens_equal_those_of_botocore() {
    let (ours, theirs) = (ours(), botocores());
    assert_eq!((ours.len(), theirs.len()), (cases().count(), cases().count()));
    for ((case, ours), theirs) in cases().zip(ours).zip(theirs) {
        assert!(
            theirs.contains("20270203T040506Z"),
            "botocore's clock is not the test's: {theirs}"
        );
        assert_eq!(sorted(&ours), sorted(&theirs), "{}", case.to_json());
    }
}
