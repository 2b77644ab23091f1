//! The API, without an SDK.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use pgferry_simulators::{
    Aws, ManagedInstance,
    sigv4::{Credentials, Request, sign},
};
use serde_json::{Value, json};

pub(crate) const INSTANCE: &str = "i-0123456789abcdef0";
pub(crate) const REMOTE_HOST: &str = "AWS-StartPortForwardingSessionToRemoteHost";

/// What `StartSession` and `ResumeSession` give.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) url: String,
}

/// With one instance that is online.
pub(crate) fn aws() -> Aws {
    let aws = Aws::start();
    aws.add_managed_instance(ManagedInstance::new(INSTANCE).name("bastion"));
    aws
}

/// Status and body.
pub(crate) fn call(aws: &Aws, who: &Credentials, action: &str, body: &Value) -> (u16, Value) {
    let host = aws.address().to_string();
    let (status, body) = send(aws, &http(aws, who, &host, (action, body)));
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

/// A signed call of Session Manager to `host`.
pub(crate) fn http(
    aws: &Aws,
    who: &Credentials,
    host: &str,
    (action, body): (&str, &Value),
) -> String {
    let target = format!("AmazonSSM.{action}");
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &*target)];
    signed(aws, who, ("ssm", host), (&headers, &body.to_string()))
}

/// Status and body of a call of EC2's `DescribeInstances`.
pub(crate) fn ec2(aws: &Aws, who: &Credentials, parameters: &[(&str, &str)]) -> (u16, String) {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([("Action", "DescribeInstances"), ("Version", "2016-11-15")]);
    let body = form.extend_pairs(parameters).finish();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let host = aws.address().to_string();
    send(aws, &signed(aws, who, ("ec2", &host), (&headers, &body)))
}

fn signed(
    aws: &Aws,
    who: &Credentials,
    (service, host): (&str, &str),
    (headers, body): (&[(&str, &str)], &str),
) -> String {
    let all = [("host", host)].into_iter().chain(headers.iter().copied());
    let mut request = Request {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: String::new(),
        headers: all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: body.as_bytes().to_vec(),
    };
    sign(&mut request, who, aws.region(), service, aws.clock().now());
    let headers = request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers: String = headers.collect();
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn send(aws: &Aws, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(aws.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The error's code and message.
pub(crate) fn error(aws: &Aws, action: &str, body: &Value) -> (String, String) {
    let (status, body) = call(aws, aws.credentials(), action, body);
    assert_eq!(status, 400, "{body}");
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let message = text("message").or_else(|| text("Message"));
    (text("__type").unwrap(), message.unwrap_or_default())
}

/// A request for a session to `host`.
pub(crate) fn remote(host: &str, port: u16) -> Value {
    json!({
        "Target": INSTANCE,
        "DocumentName": REMOTE_HOST,
        "Reason": "a test",
        "Parameters": {
            "host": [host], "portNumber": [port.to_string()], "localPortNumber": ["0"],
        },
    })
}

pub(crate) fn start(aws: &Aws, body: &Value) -> Opening {
    opening(call(aws, aws.credentials(), "StartSession", body))
}

pub(crate) fn resume(aws: &Aws, id: &str) -> Opening {
    opening(call(aws, aws.credentials(), "ResumeSession", &json!({"SessionId": id})))
}

fn opening((status, body): (u16, Value)) -> Opening {
    assert_eq!(status, 200, "{body}");
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Opening { id: text("SessionId"), token: text("TokenValue"), url: text("StreamUrl") }
}
