//! What is different in a loaded plugin: an own runtime, and logs and panics that go to the host.
//!
//! Nothing here calls `link`, so the SDK behaves as in a library's own copy of it. One test, because
//! what it looks at belongs to the whole process.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test helper has nobody to tell"
)]

mod fake;
#[path = "fake/subject.rs"]
mod subject;

use fake::{CREATE, Event, FakeHost, Instance, descriptor};
use pgferry_transport_abi::{LogLevel, Status};
use serde_json::json;

#[test]
fn a_loaded_plugin_brings_a_runtime_and_forwards_logs_and_panics() {
    for _ in 0..3 {
        logs_carry_their_op_and_fields();
        what_the_host_does_not_keep_is_not_sent();
        what_libraries_say_of_secrets_is_not_sent();
        a_panic_is_logged_with_its_place();
        assert_eq!(plugin_threads(), 0, "a thread outlived the last instance");
    }
}

fn logs_carry_their_op_and_fields() {
    let host = FakeHost::new();
    let instance = create(&host);
    let line = host.line("created");
    assert_eq!((line.level, line.op), (LogLevel::INFO, CREATE));
    assert_eq!(line.fields["answer"], 42);
    assert!(line.fields["target"].as_str().unwrap().ends_with("subject"), "{line:?}");

    instance.open(5, &json!({"host": "nowhere", "port": 1, "deadline_ms": 60_000}));
    let line = host.line("opening");
    assert_eq!((line.level, line.op), (LogLevel::DEBUG, 5));
    assert_eq!(host.done().status, Status::UNREACHABLE);
    assert!(plugin_threads() > 0);

    log::warn!("through the other crate");
    assert_eq!(host.line("through the other crate").level, LogLevel::WARN);
    instance.destroy();
}

fn what_the_host_does_not_keep_is_not_sent() {
    let host = FakeHost::keeping(LogLevel::WARN);
    let instance = create(&host);
    instance.open(6, &json!({"host": "nowhere", "port": 1, "deadline_ms": 60_000}));
    // The first event is the answer: neither "created" nor "opening" came before it.
    assert_eq!(host.first().status, Status::UNREACHABLE);
    instance.destroy();
}

fn what_libraries_say_of_secrets_is_not_sent() {
    let host = FakeHost::new();
    let instance = create(&host);
    tracing::trace!(target: "aws_smithy_runtime::client", "token_value: hush");
    tracing::trace!(target: "aws_sigv4::http_request", request = "hush", "signing");
    log::trace!(target: "tungstenite::protocol", "Sending frame: hush");
    log::trace!("the plugin's own");
    tracing::debug!(target: "aws_smithy_runtime::client", "a call");
    log::debug!(target: "tungstenite::protocol", "a close frame");
    for next in ["the plugin's own", "a call", "a close frame"] {
        // The runtime's lines may come between.
        host.wait(|event| match event {
            Event::Log(line) => {
                let text = format!("{line:?}");
                assert!(!text.contains("hush"), "{text}");
                line.message.contains(next).then_some(())
            }
            _ => None,
        });
    }
    instance.destroy();
}

fn a_panic_is_logged_with_its_place() {
    let host = FakeHost::new();
    let instance = create(&host);
    instance.open(7, &json!({"host": "panic", "port": 1, "deadline_ms": 60_000}));
    let line = host.line("panic: told to panic in open");
    assert_eq!((line.level, line.op), (LogLevel::ERROR, 7));
    assert!(line.fields["place"].as_str().unwrap().contains("subject.rs:"), "{line:?}");
    assert!(line.fields["backtrace"].is_string());
    assert_eq!(host.done().status, Status::PANIC);
    instance.destroy();
}

fn create(host: &FakeHost) -> Instance<'_> {
    Instance::create(descriptor(subject::entry()), host, b"{}").unwrap()
}

/// Threads of the SDK's runtime that may still run code. One that has been joined stays in the list
/// for a moment, marked as exiting: the kernel wakes who waits for it first, and removes it then.
fn plugin_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let running = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        // Behind the name: state, parent, group, session, terminal, its group, flags. See proc(5).
        let flags: u32 = rest.split_whitespace().nth(6)?.parse().unwrap();
        Some(name.starts_with("pgferry-") && flags & EXITING == 0)
    };
    tasks.filter_map(|task| running(task.ok()?)).filter(|runs| *runs).count()
}

/// `PF_EXITING` of Linux: the thread has left its own code for good.
const EXITING: u32 = 0x4;
