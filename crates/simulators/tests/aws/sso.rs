//! The portal that hands out role credentials.

use std::{path::Path, time::Duration};

use pgferry_simulators::{
    Aws,
    sigv4::{Credentials, Request},
};
use serde_json::{Value, json as value};
use tempfile::TempDir;

use crate::client::{Reply, call, post, query, send};

const HOUR: Duration = Duration::from_hours(1);

fn cached(home: &Path) -> Value {
    // `printf corp | sha1sum`
    let path = home.join(".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json");
    let mut files = std::fs::read_dir(home.join(".aws/sso/cache")).unwrap();
    let only = files.next().unwrap().unwrap().path();
    assert_eq!(only, path);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn credentials(aws: &Aws, token: &str, role: &str) -> Reply {
    let request = Request {
        method: "GET".to_owned(),
        path: "/federation/credentials".to_owned(),
        query: format!("role_name={role}&account_id=111122223333"),
        headers: vec![
            ("host".to_owned(), "localhost".to_owned()),
            ("x-amz-sso_bearer_token".to_owned(), token.to_owned()),
        ],
        body: Vec::new(),
    };
    send(aws, &request).unwrap()
}

#[test]
fn a_login_gives_credentials_until_it_ends() {
    let aws = Aws::start();
    let home = TempDir::new().unwrap();
    aws.add_sso_role("111122223333", "Reader", &["rds:*"]);
    aws.sso_login(home.path(), "corp", HOUR).unwrap();
    let file = cached(home.path());
    let token = file["accessToken"].as_str().unwrap();
    assert_eq!(file.get("refreshToken"), None);
    let reply = credentials(&aws, token, "Reader");
    assert_eq!(reply.status, 200, "{reply:?}");
    let given: Value = serde_json::from_str(&reply.body).unwrap();
    let text = |name: &str| given["roleCredentials"][name].as_str().unwrap().to_owned();
    let session = Credentials {
        access_key_id: text("accessKeyId"),
        secret_access_key: text("secretAccessKey"),
        session_token: Some(text("sessionToken")),
    };
    let who = call(&aws, &session, "sts", query("sts", &[("Action", "GetCallerIdentity")]));
    assert!(who.element("Arn").unwrap().contains("AWSReservedSSO_Reader_"));
    assert_eq!(credentials(&aws, token, "Admin").status, 403);
    aws.clock().advance(HOUR);
    let late = credentials(&aws, token, "Reader");
    assert_eq!(late.error(), (401, "UnauthorizedException".to_owned()));
    assert!(late.head.contains("x-amzn-errortype: UnauthorizedException"), "{late:?}");
}

#[test]
fn a_session_ended_elsewhere_looks_valid_and_is_not() {
    let aws = Aws::start();
    let home = TempDir::new().unwrap();
    aws.add_sso_role("111122223333", "Reader", &[]);
    aws.sso_login(home.path(), "corp", HOUR).unwrap();
    aws.sso_end_sessions();
    let token = cached(home.path())["accessToken"].as_str().unwrap().to_owned();
    assert_eq!(credentials(&aws, &token, "Reader").status, 401);
    aws.sso_login(home.path(), "corp", HOUR).unwrap();
    let token = cached(home.path())["accessToken"].as_str().unwrap().to_owned();
    assert_eq!(credentials(&aws, &token, "Reader").status, 200);
}

#[test]
fn a_refresh_token_works_once() {
    let aws = Aws::start();
    let home = TempDir::new().unwrap();
    aws.add_sso_role("111122223333", "Reader", &[]);
    aws.sso_login_refreshable(home.path(), "corp", HOUR).unwrap();
    let file = cached(home.path());
    let body = value!({
        "clientId": file["clientId"],
        "clientSecret": file["clientSecret"],
        "grantType": "refresh_token",
        "refreshToken": file["refreshToken"],
    });
    let headers = [("content-type", "application/json")];
    let refresh = || send(&aws, &post("/token", &headers, &body.to_string())).unwrap();
    let first = refresh();
    assert_eq!(first.status, 200, "{first:?}");
    let token: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!(credentials(&aws, token["accessToken"].as_str().unwrap(), "Reader").status, 200);
    let second = refresh();
    assert_eq!(second.status, 400);
    assert!(second.body.contains("invalid_grant"), "{second:?}");
}
