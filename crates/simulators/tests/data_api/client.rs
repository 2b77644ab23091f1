//! A cluster, and calls to it without an SDK.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    sync::LazyLock,
    time::Duration,
};

use pgferry_simulators::{
    Aws, Cluster, Postgres, Role,
    sigv4::{Credentials, Request, sign},
};
use serde_json::{Value, json};

/// A cluster whose Data API is on, and its owner's secret.
pub(crate) struct Ferry {
    pub(crate) aws: Aws,
    pub(crate) resource: String,
    pub(crate) secret: String,
}

/// An answer's status and body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Ferry {
    pub(crate) fn start() -> Self {
        let aws = Aws::start();
        aws.add_cluster(Cluster::new("demo").data_api());
        aws.data_api().attach("demo", &POSTGRES);
        let login = json!({
            "username": Role::Scram.name(), "password": POSTGRES.password(Role::Scram),
        });
        let secret = aws.add_secret("rds!cluster-demo", &login.to_string());
        let resource = format!("arn:aws:rds:{}:{}:cluster:demo", aws.region(), aws.account());
        Self { aws, resource, secret }
    }

    /// Calls with the cluster, the secret and the database added.
    pub(crate) fn call(&self, path: &str, request: Value) -> Reply {
        self.call_as(self.aws.credentials(), path, request)
    }

    pub(crate) fn call_as(&self, caller: &Credentials, path: &str, request: Value) -> Reply {
        send(&self.aws, &self.signed(caller, path, request)).unwrap().read().unwrap()
    }

    /// As [`Self::call`]; none without an answer.
    pub(crate) fn try_call(&self, path: &str, request: Value) -> Option<Reply> {
        self.abandon(path, request).read()
    }

    /// Calls, and leaves the answer where it is.
    pub(crate) fn abandon(&self, path: &str, request: Value) -> Pending {
        send(&self.aws, &self.signed(self.aws.credentials(), path, request)).unwrap()
    }

    fn signed(&self, caller: &Credentials, path: &str, mut request: Value) -> Request {
        let members = request.as_object_mut().unwrap();
        for (name, value) in
            [("resourceArn", &*self.resource), ("secretArn", &self.secret), ("database", "app")]
        {
            members.entry(name).or_insert_with(|| json!(value));
        }
        // These two have no such member.
        if matches!(path, "/CommitTransaction" | "/RollbackTransaction") {
            members.remove("database");
        }
        let mut request = post(path, &request.to_string());
        sign(&mut request, caller, self.aws.region(), "rds-data", self.aws.clock().now());
        request
    }

    /// Runs a statement without parameters or metadata.
    pub(crate) fn execute(&self, sql: &str) -> Reply {
        self.call("/Execute", json!({"sql": sql}))
    }

    /// The records of a statement that has to work.
    pub(crate) fn records(&self, sql: &str) -> Value {
        self.execute(sql).ok()["records"].clone()
    }

    pub(crate) fn begin(&self) -> String {
        let begun = self.call("/BeginTransaction", json!({})).ok();
        begun["transactionId"].as_str().unwrap().to_owned()
    }

    pub(crate) fn execute_in(&self, transaction: &str, sql: &str) -> Reply {
        self.call("/Execute", json!({"sql": sql, "transactionId": transaction}))
    }

    /// `CommitTransaction` or `RollbackTransaction`.
    pub(crate) fn end(&self, path: &str, transaction: &str) -> Reply {
        self.call(path, json!({"transactionId": transaction}))
    }

    /// As [`Self::end`]; none without an answer.
    pub(crate) fn try_end(&self, path: &str, transaction: &str) -> Option<Reply> {
        self.try_call(path, json!({"transactionId": transaction}))
    }
}

impl Reply {
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.body
    }

    /// The error's status, code and message.
    pub(crate) fn error(&self) -> (u16, &str, &str) {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        let code = headers.find(|(name, _)| name.eq_ignore_ascii_case("x-amzn-errortype"));
        let code = code.map_or("", |(_, code)| code.split(':').next().unwrap_or(code));
        (self.status, code, self.body["message"].as_str().unwrap_or_default())
    }
}

fn post(path: &str, body: &str) -> Request {
    let headers = [("host", "localhost"), ("content-type", "application/json")];
    Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        query: String::new(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: body.as_bytes().to_vec(),
    }
}

fn send(aws: &Aws, request: &Request) -> io::Result<Pending> {
    let mut stream = TcpStream::connect(aws.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let headers = request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let head = format!(
        "{} {} HTTP/1.1\r\n{}content-length: {}\r\nconnection: close\r\n\r\n",
        request.method,
        request.path,
        headers.collect::<String>(),
        request.body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&request.body)?;
    Ok(Pending(stream))
}

/// An answer that is still to be read.
pub(crate) struct Pending(TcpStream);

impl Pending {
    /// None if the connection ends without one.
    fn read(mut self) -> Option<Reply> {
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if chunked { joined(body)? } else { body.to_owned() };
        Some(Reply { status, head: head.to_owned(), body: serde_json::from_str(&body).ok()? })
    }
}

/// The chunks of a body in one.
fn joined(mut chunks: &str) -> Option<String> {
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).ok()?;
        body.push_str(rest.get(..length)?);
        chunks = rest.get(length + 2..)?;
    }
    Some(body)
}

/// One server for all tests: each has tables of its own.
pub(crate) static POSTGRES: LazyLock<Postgres> = LazyLock::new(Postgres::start);
