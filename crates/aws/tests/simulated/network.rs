//! What stands between here and AWS.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};

use pgferry_simulators::{Aws, Fault};
use serde_json::json;

use crate::child::Child;
use crate::stranger::{Reply, Stranger};

const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\ncontent-type: text/html";
const PAGE: &str = "<!doctype html><html><title>Blocked</title><p>Ask your administrator</html>";

/// Who has keys, and asks an AWS at this address.
fn child_at(url: &str, more: &[(&str, &str)]) -> Child {
    let aws = Aws::start();
    let mut envs = aws.envs();
    envs.retain(|(name, _)| *name != "AWS_ENDPOINT_URL");
    envs.push(("AWS_ENDPOINT_URL", url.to_owned()));
    Child::of(&envs, more)
}

#[test]
fn a_page_instead_of_an_answer_is_a_proxys() {
    for (head, status) in [
        (FORBIDDEN, "403"),
        ("HTTP/1.1 200 OK\r\ncontent-type: text/html", "200"),
        ("HTTP/1.1 302 Found\r\nlocation: http://login.example/", "302"),
    ] {
        let stranger = Stranger::saying(Reply(head, PAGE));
        let (text, hint) = child_at(&stranger.url(), &[]).who().error("Proxy");
        assert!(text.contains(&format!("HTTP {status}")), "{text}");
        assert!(!text.contains("administrator"), "{text}");
        assert!(hint.contains("HTTPS_PROXY") && hint.contains("NO_PROXY"), "{hint}");
    }
}

#[test]
fn a_page_instead_of_a_roles_credentials_is_a_proxys() {
    let stranger = Stranger::saying(Reply(FORBIDDEN, PAGE));
    let role = json!({"role": "arn:aws:iam::123456789012:role/reader"});
    let (text, _) = child_at(&stranger.url(), &[]).ask("who", &role).error("Proxy");
    assert!(text.contains("sts:AssumeRole"), "{text}");
}

#[test]
fn a_proxy_of_the_environment_is_asked_and_named_when_it_refuses() {
    let refusing = "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic";
    for url in ["http://sts.us-east-1.amazonaws.com", "https://sts.us-east-1.amazonaws.com"] {
        let proxy = Stranger::saying(Reply(refusing, PAGE));
        let envs = [("HTTP_PROXY", proxy.url()), ("HTTPS_PROXY", proxy.url())];
        let envs: Vec<_> = envs.iter().map(|(name, url)| (*name, url.as_str())).collect();
        let (text, hint) = child_at(url, &envs).who().error("Proxy");
        assert!(!proxy.heard().is_empty(), "{url}: {text}");
        assert!(text.contains("user and a password"), "{text}");
        assert!(hint.contains("HTTPS_PROXY"), "{hint}");
    }
}

#[test]
fn a_proxy_that_forbids_is_told_from_aws() {
    let proxy = Stranger::saying(Reply(FORBIDDEN, PAGE));
    let envs = [("HTTPS_PROXY", proxy.url())];
    let envs: Vec<_> = envs.iter().map(|(name, url)| (*name, url.as_str())).collect();
    let (text, _) = child_at("https://sts.us-east-1.amazonaws.com", &envs).who().error("Proxy");
    assert!(text.contains("did not let through"), "{text}");
    let heard = proxy.heard();
    assert!(heard[0].starts_with("CONNECT sts.us-east-1.amazonaws.com:443 "), "{heard:?}");
}

#[test]
fn a_network_that_inspects_tls_is_named_until_its_authority_is_trusted() {
    let (stranger, authority) = Stranger::inspecting(Reply(FORBIDDEN, PAGE));
    let url = format!("https://localhost:{}", stranger.port());
    let (text, hint) = child_at(&url, &[]).who().error("Proxy");
    assert!(text.starts_with("the certificate is not AWS's"), "{text}");
    assert!(hint.contains("SSL_CERT_FILE"), "{hint}");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(authority.as_bytes()).unwrap();
    let trusted = [("SSL_CERT_FILE", file.path().to_str().unwrap())];
    let (text, _) = child_at(&url, &trusted).who().error("Proxy");
    assert!(text.contains("HTTP 403"), "{text}");
}

#[test]
fn hosts_in_no_proxy_are_asked_directly() {
    let aws = Aws::start();
    let proxy = Stranger::saying(Reply("HTTP/1.1 502 Bad Gateway", PAGE));
    let envs = [("HTTP_PROXY", proxy.url()), ("NO_PROXY", "127.0.0.1".to_owned())];
    let envs: Vec<_> = envs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Child::of(&aws.envs(), &envs).who().ok();
    assert_eq!(proxy.heard(), [""; 0]);
}

#[test]
fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (text, hint) = child_at(&url, &[]).who().error("Unreachable");
    assert!(text.starts_with("AWS is not reachable, the connection was refused"), "{text}");
    assert!(hint.contains("AWS_ENDPOINT_URL"), "{hint}");
}

/// RFC 6761 has the name lead nowhere; a machine without name service says so within a second.
#[test]
fn a_name_that_does_not_exist_is_unreachable() {
    let soon = [("RES_OPTIONS", "timeout:1 attempts:1")];
    let mut child = child_at("https://sts.nowhere.invalid", &soon);
    let (text, hint) = child.who().error("Unreachable");
    assert!(text.contains("its name was not resolved"), "{text}");
    assert!(hint.contains("region"), "{hint}");
}

#[test]
fn silence_is_not_waited_for_for_ever() {
    let aws = Aws::start();
    aws.inject("sts:GetCallerIdentity", Fault::Hang, 3);
    aws.inject("sts:AssumeRole", Fault::Hang, 3);
    let mut child = Child::with_keys(&aws);
    let (text, _) = child.ask("who", &json!({"impatient": true})).error("Unreachable");
    assert_eq!(text, "AWS did not answer in time: sts:GetCallerIdentity failed (us-east-1)");
    let role = json!({"role": "arn:aws:iam::123456789012:role/reader"});
    let (text, _) = child.ask("who", &role).error("Unreachable");
    assert_eq!(text, "AWS did not answer in time: sts:AssumeRole failed (us-east-1)");
}

#[test]
fn the_targets_endpoint_url_wins_over_the_environments() {
    let (first, second) = (Aws::start(), Aws::start());
    second.add_profile("dev", &second.add_user("second", &["*"])).unwrap();
    let mut envs = second.envs_without_keys();
    envs.retain(|(name, _)| *name != "AWS_ENDPOINT_URL");
    envs.push(("AWS_ENDPOINT_URL", first.endpoint_url()));
    let mut child = Child::of(&envs, &[]);
    let target = json!({"profile": "dev", "endpoint_url": second.endpoint_url()});
    assert!(child.ask("who", &target).text().ends_with(":user/second"));
    assert_eq!(first.calls(), []);
}

#[test]
fn what_is_no_url_is_said_to_be_none() {
    let (text, hint) = child_at("nonsense", &[]).who().error("Invalid");
    assert!(text.starts_with("the endpoint of AWS is not a URL: sts:GetCallerIdentity"), "{text}");
    assert!(hint.contains("AWS_ENDPOINT_URL"), "{hint}");
}
