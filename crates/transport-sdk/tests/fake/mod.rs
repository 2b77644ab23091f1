//! A host in miniature: it records what a plugin calls, and whatever the contract forbids.

#![expect(unsafe_code, reason = "drives a plugin through the raw contract")]
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test helper has nobody to tell"
)]

mod callbacks;

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use pgferry_transport_abi as abi;
use pgferry_transport_abi::{EntryV1, LogLevel, Op, Plugin, SockCallback, Status, Str};
use serde_json::Value;

/// What a plugin called.
#[derive(Debug)]
pub(crate) enum Event {
    Done(Done),
    /// `too_late`: the socket was closed before the reason was given.
    Closed {
        op: Op,
        status: Status,
        message: String,
        too_late: bool,
    },
    State(i32, String),
    Log(Line),
    Recorded(String, f64),
    Dialled {
        request: Value,
        peer: UnixStream,
    },
    DialCancelled,
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) level: LogLevel,
    pub(crate) op: Op,
    pub(crate) message: String,
    pub(crate) fields: Value,
}

#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) op: Op,
    pub(crate) status: Status,
    pub(crate) socket: Option<Arc<UnixStream>>,
    pub(crate) message: String,
    pub(crate) detail: Value,
}

impl Done {
    pub(crate) fn stream(self) -> Ours {
        assert_eq!(self.status, Status::OK, "{}", self.message);
        let stream = self.socket.unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Ours(stream)
    }
}

/// The host's end of a stream. Shared with the record, which looks whether the other end is closed.
pub(crate) struct Ours(Arc<UnixStream>);

impl std::ops::Deref for Ours {
    type Target = UnixStream;

    fn deref(&self) -> &UnixStream {
        &self.0
    }
}

impl Read for Ours {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buf)
    }
}

impl Write for Ours {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self.0).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the callbacks see. Leaked, so that a call that comes too late is recorded, not a crash.
pub(crate) struct Record {
    events: Mutex<Sender<Event>>,
    answered: Mutex<HashSet<Op>>,
    sockets: Mutex<HashMap<Op, Weak<UnixStream>>>,
    hanging: Mutex<HashMap<u64, (SockCallback, usize)>>,
    metrics: Mutex<Vec<String>>,
    violations: Mutex<Vec<String>>,
    destroyed: Mutex<bool>,
    level: LogLevel,
}

pub(crate) struct FakeHost {
    table: &'static abi::Host,
    record: &'static Record,
    events: Receiver<Event>,
}

impl FakeHost {
    pub(crate) fn new() -> Self {
        Self::keeping(LogLevel::TRACE)
    }

    pub(crate) fn keeping(level: LogLevel) -> Self {
        let (sender, events) = channel();
        let record: &'static Record = Box::leak(Box::new(Record {
            events: Mutex::new(sender),
            answered: Mutex::default(),
            sockets: Mutex::default(),
            hanging: Mutex::default(),
            metrics: Mutex::default(),
            violations: Mutex::default(),
            destroyed: Mutex::new(false),
            level,
        }));
        Self { table: Box::leak(Box::new(callbacks::table(record))), record, events }
    }

    /// The next event that `wanted` takes; others are dropped.
    pub(crate) fn wait<T>(&self, wanted: impl Fn(Event) -> Option<T>) -> T {
        loop {
            let event = self.events.recv_timeout(LIMIT).expect("the plugin called nothing");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    }

    pub(crate) fn done(&self) -> Done {
        self.wait(|event| if let Event::Done(done) = event { Some(done) } else { None })
    }

    /// The next event, which has to be an answer.
    pub(crate) fn first(&self) -> Done {
        match self.events.recv_timeout(LIMIT).expect("the plugin called nothing") {
            Event::Done(done) => done,
            other => panic!("{other:?}"),
        }
    }

    /// Status and message of the next end of a stream. Unless it was a clean one, where two half
    /// closes look like a close, it came before the socket was closed.
    pub(crate) fn closed(&self) -> (Status, String) {
        self.wait(|event| match event {
            Event::Closed { status, message, too_late, .. } => {
                assert!(
                    status.is_ok() || !too_late,
                    "the socket was closed before the reason was given"
                );
                Some((status, message))
            }
            _ => None,
        })
    }

    pub(crate) fn line(&self, containing: &str) -> Line {
        self.wait(|event| match event {
            Event::Log(line) if line.message.contains(containing) => Some(line),
            _ => None,
        })
    }

    pub(crate) fn no_more_events(&self) {
        let left: Vec<_> = self.events.try_iter().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        let violations = self.record.violations.lock().unwrap();
        assert!(violations.is_empty() || std::thread::panicking(), "{violations:?}");
    }
}

/// A plugin's instance, driven through its descriptor alone.
pub(crate) struct Instance<'h> {
    plugin: &'static Plugin,
    inner: *mut abi::Instance,
    host: &'h FakeHost,
}

// SAFETY: the contract lets any thread call the entries.
unsafe impl Sync for Instance<'_> {}
// SAFETY: as above.
unsafe impl Send for Instance<'_> {}

pub(crate) fn descriptor(entry: EntryV1) -> &'static Plugin {
    // SAFETY: a good entry, and a descriptor is static.
    let descriptor = unsafe { entry() };
    // SAFETY: as above.
    unsafe { &*descriptor }
}

impl<'h> Instance<'h> {
    pub(crate) fn create(
        plugin: &'static Plugin,
        host: &'h FakeHost,
        config: &[u8],
    ) -> Result<Self, Status> {
        let mut instance = std::ptr::null_mut();
        let config = Str { ptr: config.as_ptr().cast(), len: config.len() };
        // SAFETY: the table is leaked and the config lives for the call.
        let status =
            unsafe { plugin.create.unwrap()(host.table, CREATE, config, &raw mut instance) };
        if status.is_ok() { Ok(Self { plugin, inner: instance, host }) } else { Err(status) }
    }

    pub(crate) fn open(&self, op: Op, target: &Value) {
        let target = target.to_string();
        // SAFETY: a live instance; the text lives for the call.
        unsafe { self.plugin.open.unwrap()(self.inner, op, Str::borrow(&target)) }
    }

    pub(crate) fn cancel(&self, op: Op) {
        // SAFETY: a live instance.
        unsafe { self.plugin.cancel.unwrap()(self.inner, op) }
    }

    /// Whatever the plugin calls from here on is a violation.
    pub(crate) fn destroy(self) {
        // SAFETY: a live instance, for the last time.
        unsafe { self.plugin.destroy.unwrap()(self.inner) }
        *self.host.record.destroyed.lock().unwrap() = true;
    }
}

/// The op of every create.
pub(crate) const CREATE: Op = u64::MAX;
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
