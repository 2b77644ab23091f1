//! Calls without an SDK.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use pgferry_simulators::{
    Aws,
    sigv4::{Credentials, Request, sign},
};

/// An answer's status, headers and body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    /// The text of the first element `name`.
    pub(crate) fn element(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
    }

    /// Status and error code, of XML and JSON alike.
    pub(crate) fn error(&self) -> (u16, String) {
        let json = || serde_json::from_str::<serde_json::Value>(&self.body).ok();
        let code = self.element("Code").map(str::to_owned);
        let code = code.or_else(|| json()?.get("__type")?.as_str().map(str::to_owned));
        (self.status, code.unwrap_or_default())
    }
}

/// A request that is not signed yet.
pub(crate) fn query(service: &str, parameters: &[(&str, &str)]) -> Request {
    let version = if service == "rds" { "2014-10-31" } else { "2011-06-15" };
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(parameters).append_pair("Version", version);
    let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    post("/", &headers, &form.finish())
}

pub(crate) fn json(action: &str, body: &str) -> Request {
    let target = format!("secretsmanager.{action}");
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &*target)];
    post("/", &headers, body)
}

pub(crate) fn post(path: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let mut all = vec![("host".to_owned(), "localhost".to_owned())];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        query: String::new(),
        headers: all,
        body: body.as_bytes().to_vec(),
    }
}

/// Signs for the simulator's own region and time, and sends.
pub(crate) fn call(
    aws: &Aws,
    credentials: &Credentials,
    service: &str,
    mut request: Request,
) -> Reply {
    sign(&mut request, credentials, aws.region(), service, aws.clock().now());
    send(aws, &request).unwrap()
}

/// Sends as it is.
pub(crate) fn send(aws: &Aws, request: &Request) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(aws.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mark = if request.query.is_empty() { "" } else { "?" };
    let headers = request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let text = format!(
        "{} {}{mark}{} HTTP/1.1\r\n{}content-length: {}\r\nconnection: close\r\n\r\n",
        request.method,
        request.path,
        request.query,
        headers.collect::<String>(),
        request.body.len()
    );
    stream.write_all(text.as_bytes())?;
    stream.write_all(&request.body)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Reply { status, head: head.to_owned(), body: body.to_owned() })
}
