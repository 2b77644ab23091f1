//! The admin listener, asked over a socket.

use std::net::SocketAddr;
use std::time::Duration;

use pgferry_telemetry::{Telemetry, TunnelState, serve_admin};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::{busy, samples, telemetry};

struct Admin {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Admin {
    async fn start(telemetry: &Telemetry) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move { drop(stopped.await) };
        let task = tokio::spawn(serve_admin(listener, telemetry.clone(), shutdown));
        Self { address, stop, task }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &self.address.to_string()).await
    }

    async fn ask(&self, method: &str, path: &str, host: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Answer::read(stream).await
    }
}

struct Answer {
    code: u16,
    head: String,
    body: String,
}

impl Answer {
    async fn read(mut stream: TcpStream) -> Self {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { code, head: head.to_lowercase(), body: body.to_owned() }
    }

    fn json(&self) -> Value {
        assert!(self.head.contains("content-type: application/json"), "{}", self.head);
        serde_json::from_str(&self.body).unwrap()
    }
}

#[tokio::test]
async fn metrics_are_served_in_the_text_format() {
    let telemetry = busy("dev");
    let answer = Admin::start(&telemetry).await.get("/metrics").await;
    assert_eq!(answer.code, 200);
    let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(answer.head.contains(kind), "{}", answer.head);
    assert!(!answer.head.contains("access-control"), "{}", answer.head);
    assert_eq!(samples(&answer.body), samples(&telemetry.render()));
}

#[tokio::test]
async fn startup_changes_once_the_process_has_started() {
    let telemetry = telemetry();
    let admin = Admin::start(&telemetry).await;
    assert_eq!(admin.get("/startup").await.code, 503);
    telemetry.health().started();
    let answer = admin.get("/startup").await;
    assert_eq!((answer.code, &answer.json()["status"]), (200, &Value::from("started")));
}

#[tokio::test]
async fn readiness_names_the_target_that_is_not_ready_and_shows_tunnels() {
    let telemetry = telemetry();
    let admin = Admin::start(&telemetry).await;
    let health = telemetry.health();
    let dev = health.target("dev");
    dev.tunnel(TunnelState::Connecting, "waiting for the agent");
    health.plugins_loaded();
    health.started();

    let answer = admin.get("/readiness").await;
    assert_eq!(answer.code, 503);
    let json = answer.json();
    assert_eq!(json["status"], "not_ready");
    assert_eq!(json["reasons"][0]["target"], "dev");
    assert_eq!(json["reasons"][0]["reason"], "the listener is not bound");
    assert_eq!(json["targets"]["dev"]["tunnel"]["state"], "connecting");
    assert_eq!(json["targets"]["dev"]["tunnel"]["message"], "waiting for the agent");

    dev.listener_bound(true);
    assert_eq!(admin.get("/readiness").await.code, 200);
    health.draining();
    assert_eq!(admin.get("/readiness").await.code, 503);
}

#[tokio::test]
async fn liveness_needs_nothing() {
    let answer = Admin::start(&telemetry()).await.get("/liveness").await;
    assert_eq!((answer.code, &answer.json()["status"]), (200, &Value::from("alive")));
}

#[tokio::test]
async fn an_unknown_path_gets_the_list_of_paths() {
    let answer = Admin::start(&telemetry()).await.get("/").await;
    assert_eq!(answer.code, 404);
    let paths = Value::from(vec!["/metrics", "/startup", "/readiness", "/liveness"]);
    assert_eq!(answer.json()["paths"], paths);
}

#[tokio::test]
async fn only_get_and_head_are_allowed() {
    let admin = Admin::start(&telemetry()).await;
    let host = admin.address.to_string();
    for method in ["POST", "DELETE", "OPTIONS"] {
        let answer = admin.ask(method, "/metrics", &host).await;
        assert_eq!(answer.code, 405, "{method}");
        assert!(answer.head.contains("allow: get,head"), "{}", answer.head);
    }
    let head = admin.ask("HEAD", "/liveness", &host).await;
    assert_eq!((head.code, head.body.as_str()), (200, ""));
    assert!(head.head.contains("content-length: 19"), "{}", head.head);
}

#[tokio::test]
async fn a_web_page_that_points_its_name_at_loopback_is_refused() {
    let admin = Admin::start(&busy("dev")).await;
    for path in ["/metrics", "/readiness", "/", "/nowhere"] {
        let answer = admin.ask("GET", path, "evil.example:9632").await;
        assert_eq!(answer.code, 403, "{path}");
        assert!(answer.body.contains("localhost or an IP address"), "{}", answer.body);
    }
    assert_eq!(admin.ask("GET", "/liveness", "localhost").await.code, 200);
    assert_eq!(admin.ask("GET", "/liveness", "[::1]:9632").await.code, 200);
}

#[tokio::test]
async fn a_listener_on_all_addresses_answers_to_any_name() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(serve_admin(listener, telemetry(), std::future::pending()));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"GET /liveness HTTP/1.1\r\nHost: pgferry.internal\r\n\r\n").await.unwrap();
    assert_eq!(Answer::read(stream).await.code, 200);
    task.abort();
}

#[tokio::test]
async fn a_request_with_too_many_header_bytes_is_refused() {
    let admin = Admin::start(&telemetry()).await;
    let answer = admin.ask("GET", "/liveness", &"a".repeat(17 * 1024)).await;
    assert_eq!(answer.code, 431);
}

#[tokio::test(start_paused = true)]
async fn silent_connections_end_and_make_room_for_others() {
    let admin = Admin::start(&telemetry()).await;
    let began = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..32 {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: loc").await.unwrap();
        silent.push(stream);
    }
    assert_eq!(admin.get("/liveness").await.code, 200);
    for mut stream in silent {
        drop(stream.read_to_end(&mut Vec::new()).await);
    }
    assert!(began.elapsed() <= Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn it_stops_when_told_to() {
    let admin = Admin::start(&telemetry()).await;
    assert_eq!(admin.get("/liveness").await.code, 200);
    admin.stop.send(()).unwrap();
    admin.task.await.unwrap();
    assert!(TcpStream::connect(admin.address).await.is_err());
}
