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
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut request = Request {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: String::new(),
        headers: vec![
            header("host", &aws.address().to_string()),
            header("content-type", "application/x-amz-json-1.1"),
            header("x-amz-target", &format!("AmazonSSM.{action}")),
        ],
        body: body.to_string().into_bytes(),
    };
    sign(&mut request, who, aws.region(), "ssm", aws.clock().now());
    let mut stream = TcpStream::connect(aws.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let headers = request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let length = request.body.len();
    let head = format!(
        "POST / HTTP/1.1\r\n{}content-length: {length}\r\nconnection: close\r\n\r\n",
        headers.collect::<String>(),
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&request.body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
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
