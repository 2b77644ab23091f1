//! The subject linked in: on a runtime of the tests, as in a binary that links it.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test helper has nobody to tell")]

use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::fake::{Event, FakeHost, Instance, descriptor};
use crate::subject;

pub(crate) fn linked<'h>(host: &'h FakeHost, config: &str) -> Instance<'h> {
    link();
    let made = Instance::create(descriptor(subject::entry()), host, config.as_bytes());
    made.unwrap_or_else(|status| panic!("{status}: {}", host.done().message))
}

pub(crate) fn link() {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    });
    pgferry_transport_sdk::link(runtime.handle().clone());
}

pub(crate) fn named(host: &str) -> Value {
    json!({"host": host, "port": 5432, "deadline_ms": 60_000, "purpose": "session"})
}

pub(crate) fn dialled(host: &FakeHost) -> (Value, UnixStream) {
    host.wait(|event| match event {
        Event::Dialled { request, peer } => Some((request, peer)),
        _ => None,
    })
}
