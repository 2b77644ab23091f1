//! The built-in transport that runs a command.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pgferry_transport::{
    Connection, InstanceSpec, OpenError, OpenRequest, SearchPath, SecretSource, Status, Transports,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::harness::{logged, refusal, request, start};

fn spec(command: &[&str]) -> InstanceSpec {
    InstanceSpec { config: json!({ "command": command }), ..InstanceSpec::new("corp", "exec") }
}

fn shell(script: &str) -> Vec<&str> {
    vec!["sh", "-c", script, "sh", "%h", "%p"]
}

fn to(host: &str) -> OpenRequest {
    OpenRequest { host: host.to_owned(), ..request("", 5432) }
}

fn begin(command: &[&str]) -> Transports {
    start(vec![spec(command)]).0
}

async fn open(transports: &Transports) -> Connection {
    try_open(transports, "db.example").await.unwrap()
}

async fn try_open(transports: &Transports, host: &str) -> Result<Connection, OpenError> {
    transports.instance("corp").unwrap().open(to(host)).await
}

fn stream(connection: Connection) -> (UnixStream, pgferry_transport::CloseReason) {
    let stream = UnixStream::from_std(connection.socket.into()).unwrap();
    (stream, connection.closed)
}

async fn read_to_end(stream: &mut UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn read_line(stream: &mut UnixStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        line.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

#[tokio::test]
async fn bytes_pass_in_both_directions_and_after_half_a_close() {
    let transports = begin(&["cat"]);
    let (mut stream, mut closed) = stream(open(&transports).await);
    stream.write_all(b"there and back").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, "there and back");
    let message = closed.wait(LIMIT).await.unwrap().message;
    assert!(message.ends_with("cat exited with status 0"), "{message}");
    transports.shutdown().await;
}

#[tokio::test]
async fn the_command_learns_its_target_from_arguments_and_environment() {
    let said = "echo \"$@\" $PGFERRY_TARGET_HOST $PGFERRY_TARGET_PORT $PGFERRY_PURPOSE \
                $PGFERRY_TRANSPORT";
    let transports = begin(&["sh", "-c", said, "sh", "%h:%p", "%%", "a  b"]);
    let (mut stream, _closed) = stream(open(&transports).await);
    let text = read_to_end(&mut stream).await;
    assert_eq!(text, "db.example:5432 % a  b db.example 5432 session corp\n");
}

#[tokio::test]
async fn the_end_of_a_command_comes_with_its_status_and_its_last_words() {
    let transports = begin(&shell("echo first >&2; printf 'no route to %%s' $1 >&2; exit 3"));
    let (mut stream, mut closed) = stream(open(&transports).await);
    assert_eq!(read_to_end(&mut stream).await, "");
    let closed = closed.wait(LIMIT).await.unwrap();
    assert_eq!(closed.status, Status::Internal);
    let words = "): sh exited with status 3: no route to db.example";
    assert!(closed.message.starts_with("transport corp (exec "), "{}", closed.message);
    assert!(closed.message.ends_with(words), "{}", closed.message);
}

/// The reason is there before the stream ends, so nobody has to wait for it.
#[tokio::test]
async fn the_reason_is_known_when_the_stream_ends() {
    let transports = begin(&shell("kill -9 $$"));
    for _ in 0..20 {
        let (mut stream, mut closed) = stream(open(&transports).await);
        assert_eq!(read_to_end(&mut stream).await, "");
        let closed = closed.wait(Duration::ZERO).await.unwrap();
        assert!(closed.message.ends_with("sh was ended by signal 9"), "{}", closed.message);
    }
}

#[tokio::test]
async fn what_a_command_leaves_running_does_not_keep_the_stream_open() {
    let transports = begin(&shell("sleep 1000 & exit 0"));
    let (mut stream, _closed) = stream(open(&transports).await);
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let transports = begin(&["no-such-program-anywhere", "%h"]);
    let error = try_open(&transports, "db.example").await.unwrap_err();
    assert_eq!(error.status, Status::Config);
    assert!(error.message.contains("cannot run no-such-program-anywhere: No such"), "{error}");
    assert!(error.hint.unwrap().contains("PATH"));
}

#[tokio::test]
async fn a_host_that_looks_like_an_option_reaches_no_command() {
    let transports = begin(&shell("touch /proc/self/never"));
    let error = try_open(&transports, "-oProxyCommand=x").await.unwrap_err();
    assert_eq!(error.status, Status::Config);
    assert!(error.message.contains("is not handed to a command"), "{error}");
}

#[tokio::test]
async fn standard_error_goes_to_the_log_with_instance_and_target() {
    logged();
    let transports = begin(&shell("echo 'a line for the log' >&2"));
    let (mut stream, _closed) = stream(open(&transports).await);
    read_to_end(&mut stream).await;
    let log = logged();
    let line = log.lines().find(|line| line.contains("a line for the log")).unwrap();
    assert!(line.contains("corp") && line.contains("db.example:5432"), "{line}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_command_inherits_three_descriptors_and_none_of_ours() {
    const LIST: &str = "for fd in /proc/$$/fd/*; do echo ${fd##*/}; done; echo end";
    let others: Vec<_> = (0..3).map(|_| std::net::TcpListener::bind("127.0.0.1:0")).collect();
    // Whatever the test itself was started with.
    let plain = Command::new("sh").args(["-c", LIST]).stdin(Stdio::null()).output().unwrap();
    let transports = begin(&["sh", "-c", &format!("{LIST}; cat")]);
    let mut streams = Vec::new();
    for _ in 0..3 {
        let (mut stream, closed) = stream(open(&transports).await);
        let mut listed = String::new();
        loop {
            match read_line(&mut stream).await.as_str() {
                "end" => break,
                fd => listed = format!("{listed}{fd}\n"),
            }
        }
        assert_eq!(format!("{listed}end\n"), String::from_utf8_lossy(&plain.stdout));
        streams.push((stream, closed));
    }
    drop(others);
}

/// A named pipe: read to its end, it tells that everybody who wrote to it is gone.
fn pipe(directory: &Path) -> String {
    let path = directory.join("alive");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path.to_str().unwrap().to_owned()
}

/// Runs a script that holds the pipe open; gives its stream and its process id.
async fn holding(transports: &Transports) -> (UnixStream, u32) {
    let (mut stream, _closed) = stream(open(transports).await);
    let process_id = read_line(&mut stream).await;
    (stream, process_id.parse().unwrap())
}

async fn all_gone(mut alive: File) {
    let waiting = tokio::task::spawn_blocking(move || alive.read_to_end(&mut Vec::new()));
    tokio::time::timeout(LIMIT, waiting).await.unwrap().unwrap().unwrap();
}

fn opened(path: &str) -> std::thread::JoinHandle<File> {
    let path = path.to_owned();
    std::thread::spawn(move || File::open(path).unwrap())
}

#[tokio::test]
async fn a_command_that_does_not_end_with_its_stream_is_ended_with_all_it_started() {
    for stubborn in ["", "trap '' TERM;"] {
        let directory = tempfile::tempdir().unwrap();
        let path = pipe(directory.path());
        let alive = opened(&path);
        let script = format!("{stubborn} exec 3>'{path}'; sleep 1000 & echo $$; wait; sleep 1000");
        let transports = begin(&["sh", "-c", &script]);
        let (stream, process_id) = holding(&transports).await;
        drop(stream);
        all_gone(alive.join().unwrap()).await;
        transports.shutdown().await;
        let process = format!("/proc/{process_id}");
        assert!(!Path::new(&process).exists(), "{process} was not waited for");
    }
}

#[tokio::test]
async fn a_shutdown_ends_every_command_and_waits_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = pipe(directory.path());
    let alive = opened(&path);
    let transports = begin(&["sh", "-c", &format!("exec 3>'{path}'; echo $$; sleep 1000")]);
    let instance = transports.instance("corp").unwrap();
    let (first, _) = holding(&transports).await;
    let (second, process_id) = holding(&transports).await;
    transports.shutdown().await;
    all_gone(alive.join().unwrap()).await;
    assert!(!Path::new(&format!("/proc/{process_id}")).exists());
    assert_eq!(instance.open(to("db.example")).await.unwrap_err().status, Status::Cancelled);
    drop((first, second));
}

#[tokio::test]
async fn what_exec_cannot_be_given_stops_the_start() {
    let cat = || spec(&["cat"]);
    let secret = ("password".to_owned(), SecretSource::Env("HOME".to_owned()));
    for (spec, words) in [
        (InstanceSpec { via: Some("below".to_owned()), ..cat() }, "exec makes its own sockets"),
        (InstanceSpec { path: Some("/x".into()), ..cat() }, "exec is built in"),
        (InstanceSpec { secrets: [secret].into(), ..cat() }, "asks for no secrets"),
        (InstanceSpec { config: json!({ "comand": [] }), ..cat() }, "unknown field `comand`"),
        (spec(&["nc", "%r"]), "there are %h (host), %p (port)"),
    ] {
        let below = InstanceSpec::new("below", "direct");
        let text = refusal(vec![spec, below], SearchPath::only([])).to_string();
        assert!(text.starts_with("transport corp: ") && text.contains(words), "{text}");
    }
    let direct =
        InstanceSpec { config: json!({ "host": "x" }), ..InstanceSpec::new("d", "direct") };
    let text = refusal(vec![direct], SearchPath::only([])).to_string();
    assert_eq!(text, "transport d: unknown field `host`: direct has no keys of its own");
}

const LIMIT: Duration = Duration::from_mins(1);
