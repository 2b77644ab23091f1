//! The promises of the contract, driven through the raw descriptor of a transport that is linked in.

#![expect(unsafe_code, reason = "reads the raw descriptor")]
#![expect(clippy::unwrap_used, reason = "a test helper has nobody to tell")]

mod fake;
#[path = "fake/linked.rs"]
mod linked;
#[path = "fake/subject.rs"]
mod subject;

use std::io::Read;

use fake::{CREATE, Done, Event, FakeHost, Instance, descriptor};
use linked::{dialled, link, linked, named};
use pgferry_transport_abi::{Flags, Status};
use pgferry_transport_sdk::State;
use serde_json::{Value, json};

#[test]
fn a_failed_open_says_status_and_reason() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &json!({"host": "atlantis", "port": 1, "deadline_ms": 9000}));
    let done = host.done();
    assert_eq!((done.op, done.status), (1, Status::UNREACHABLE));
    assert_eq!(done.message, "atlantis is nowhere");
    instance.destroy();
}

#[test]
fn a_target_that_is_no_target_is_answered() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &json!({"port": 1}));
    assert_eq!(host.done().status, Status::PROTOCOL);
    instance.destroy();
}

#[test]
fn a_hanging_open_is_answered_at_its_deadline() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &json!({"host": "hang", "port": 1, "deadline_ms": 30}));
    let done = host.done();
    assert_eq!((done.status, done.message.as_str()), (Status::TIMEOUT, "not open after 30 ms"));
    instance.destroy();
}

#[test]
fn a_cancel_at_once_is_answered_and_repeating_it_is_harmless() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &hang());
    for _ in 0..3 {
        instance.cancel(1);
    }
    assert_eq!(host.done().status, Status::CANCELLED);
    instance.cancel(1);
    instance.destroy();
    host_said_goodbye(&host);
}

#[test]
fn a_cancel_that_overtakes_its_open_still_counts() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.cancel(1);
    instance.open(1, &hang());
    assert_eq!(host.done().status, Status::CANCELLED);
    instance.destroy();
}

#[test]
fn destroy_answers_what_is_in_flight_and_says_why_streams_end() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &named("serve"));
    let mut ours = host.done().stream();
    instance.open(2, &hang());
    instance.destroy();
    let done = host.done();
    assert_eq!((done.op, done.status), (2, Status::CANCELLED));
    assert_eq!(host.closed().0, Status::CANCELLED);
    host_said_goodbye(&host);
    assert_eq!(rest(&mut ours), b"");
}

#[test]
fn destroy_returns_when_a_transport_never_stops_shutting_down() {
    let host = FakeHost::new();
    linked(&host, r#"{"fault": "shutdown-hangs"}"#).destroy();
    host.no_more_events();
}

#[test]
fn a_host_that_was_kept_is_silent_after_destroy() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &named("escape"));
    assert_eq!(host.done().status, Status::INTERNAL);
    instance.destroy();
    host_said_goodbye(&host);
    let kept = subject::ESCAPED.lock().unwrap().take().unwrap();
    kept.state(State::Up, "I am back");
    kept.counter("ghosts_total", "Ghosts.", &[]).increment();
    host.no_more_events();
}

#[test]
fn a_panic_in_shutdown_ends_there() {
    let host = FakeHost::new();
    linked(&host, r#"{"fault": "shutdown-panics"}"#).destroy();
}

#[test]
fn a_panic_in_create_becomes_a_status() {
    let (status, done) = refused(br#"{"fault": "create-panics"}"#);
    assert_eq!((status, done.status), (Status::PANIC, Status::PANIC));
    assert_eq!(done.message, "the plugin panicked: told to panic in create");
}

#[test]
fn a_create_that_fails_says_why_and_what_to_do() {
    let (status, done) = refused(br#"{"fault": "create-fails"}"#);
    assert_eq!((status, done.op), (Status::CONFIG, CREATE));
    assert_eq!(done.message, "told to fail");
    assert_eq!(done.detail, json!({"hint": "tell it otherwise"}));
}

#[test]
fn configurations_that_are_none_are_refused_in_words() {
    let megabyte = vec![b'['; 1 << 20];
    let cases: [(&[u8], &str); 7] = [
        (b"", "isn't a JSON object"),
        (b"[]", "isn't a JSON object"),
        (&megabyte, "isn't a JSON object"),
        (b"{", "EOF while parsing"),
        (b"{\"fault\":\"\xff\"}", "invalid unicode"),
        (br#"{"fault":7}"#, "line 1 column"),
        (br#"{"falt":"none"}"#, "unknown field `falt`"),
    ];
    for (config, words) in cases {
        let (status, done) = refused(config);
        assert_eq!(status, Status::CONFIG);
        assert!(done.message.contains(words), "{}", done.message);
    }
}

#[test]
fn a_panic_in_open_becomes_a_status_and_the_instance_lives_on() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &named("panic"));
    let done = host.done();
    assert_eq!(done.status, Status::PANIC);
    assert_eq!(done.message, "the plugin panicked: told to panic in open");
    instance.open(2, &named("serve"));
    drop(host.done().stream());
    instance.destroy();
}

#[test]
fn a_denied_secret_fails_the_open_and_a_granted_one_hides_itself() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &json!({"host": "secret", "port": 1, "database": "other"}));
    let done = host.done();
    assert_eq!(
        (done.status, done.message.as_str()),
        (Status::DENIED, "not granted to this instance")
    );
    instance.open(2, &json!({"host": "secret", "port": 1, "database": "granted"}));
    assert_eq!(host.done().detail["secret"], "open sesame [secret]");
    instance.destroy();
}

#[test]
fn a_refused_dial_fails_the_open_with_the_reason_from_below() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &json!({"host": "dial", "port": 1, "database": "refused"}));
    let done = host.done();
    assert_eq!(done.status, Status::UNREACHABLE);
    assert_eq!(done.message, "the lower transport refused");
    instance.destroy();
}

#[test]
fn cancelling_an_open_cancels_its_dial() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &json!({"host": "dial", "port": 1, "database": "hang"}));
    dialled(&host);
    instance.cancel(1);
    assert_eq!(host.done().status, Status::CANCELLED);
    host.wait(|event| matches!(event, Event::DialCancelled).then_some(()));
    instance.destroy();
}

#[test]
fn state_metrics_and_waits_reach_the_host() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    instance.open(1, &named("services"));
    host.wait(|event| matches!(event, Event::State(1, why) if why == "slow").then_some(()));
    let recorded = |event| if let Event::Recorded(name, 1.0) = event { Some(name) } else { None };
    assert_eq!(host.wait(recorded), r#"opens_total{"to":"db"}"#);
    let done = host.done();
    assert_eq!((done.status, done.detail), (Status::THROTTLED, json!({"retry_after_ms": 3000})));
    instance.destroy();
}

#[test]
fn the_descriptor_says_who_it_is() {
    let plugin = descriptor(subject::entry());
    assert!(std::ptr::eq(plugin, descriptor(subject::entry())));
    assert_eq!(usize::try_from(plugin.struct_size).unwrap(), size_of_val(plugin));
    assert_eq!((plugin.abi_major, plugin.abi_minor, plugin.min_host_minor), (1, 0, 0));
    assert_eq!(plugin.flags, Flags::DIALS_VIA_HOST | Flags::SPEAKS_POSTGRES);
    assert_eq!(text(plugin.name), "subject");
    assert_eq!(text(plugin.version), env!("CARGO_PKG_VERSION"));
    assert_eq!(text(plugin.about), "does as it is told");
    let schema: Value = serde_json::from_str(&text(schema_of(plugin))).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["fault"]["description"], "What to do wrong.");
}

#[test]
fn two_hundred_opens_at_once_are_each_answered_once() {
    let host = FakeHost::new();
    let instance = linked(&host, "{}");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let instance = &instance;
            scope.spawn(move || {
                (0..50).for_each(|n| instance.open(1 + thread * 50 + n, &named("serve")));
            });
        }
    });
    let mut ops: Vec<u64> = (0..200).map(|_| host.done().op).collect();
    ops.sort_unstable();
    assert_eq!(ops, (1..=200).collect::<Vec<_>>());
    instance.destroy();
}

#[test]
fn panics_asked_for_by_the_environment_become_statuses() {
    for stage in ["create", "open", "stream"] {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "with_a_panic_injected", "--ignored", "--nocapture"])
            .env("PGFERRY_TEST_PANIC", stage)
            .output()
            .unwrap();
        assert!(child.status.success(), "{stage}: {}", String::from_utf8_lossy(&child.stderr));
    }
}

#[test]
#[ignore = "needs PGFERRY_TEST_PANIC in its environment; run by the test above"]
fn with_a_panic_injected() {
    let stage = std::env::var("PGFERRY_TEST_PANIC").unwrap();
    let host = FakeHost::new();
    if stage == "create" {
        assert_eq!(refused(b"{}").0, Status::PANIC);
        return;
    }
    let instance = linked(&host, "{}");
    instance.open(1, &named("serve"));
    let done = host.done();
    if stage == "open" {
        assert_eq!(done.status, Status::PANIC);
    } else {
        assert_eq!((done.status, host.closed().0), (Status::OK, Status::PANIC));
    }
    instance.destroy();
}

/// Status and text of a create that fails.
fn refused(config: &[u8]) -> (Status, Done) {
    link();
    let host = FakeHost::new();
    let status = Instance::create(descriptor(subject::entry()), &host, config).err().unwrap();
    (status, host.done())
}

fn hang() -> Value {
    named("hang")
}

/// The transport reports DOWN when it is shut down, as the last call it makes.
fn host_said_goodbye(host: &FakeHost) {
    host.wait(|event| matches!(event, Event::State(2, why) if why == "bye").then_some(()));
    host.no_more_events();
}

fn text(nul_terminated: *const std::ffi::c_char) -> String {
    // SAFETY: the descriptor's texts are static and NUL-terminated.
    unsafe { std::ffi::CStr::from_ptr(nul_terminated) }.to_str().unwrap().to_owned()
}

fn schema_of(plugin: &pgferry_transport_abi::Plugin) -> *const std::ffi::c_char {
    // SAFETY: an entry of a good descriptor.
    unsafe { plugin.config_schema.unwrap()() }
}

fn rest(from: &mut impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    from.read_to_end(&mut rest).unwrap();
    rest
}
