//! The host's side of the table.

use std::ffi::c_void;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use pgferry_transport_abi as abi;
use pgferry_transport_abi::{
    BytesCallback, LogLevel, MetricKind, NO_SOCK, Op, Sock, SockCallback, State, Status, Str,
};
use serde_json::Value;

use super::{Done, Event, Line, Record};

pub(super) fn table(record: &'static Record) -> abi::Host {
    abi::Host {
        struct_size: u32::try_from(size_of::<abi::Host>()).unwrap(),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        ctx: std::ptr::from_ref(record).cast_mut().cast(),
        op_done,
        stream_closed,
        state,
        log_level,
        log,
        socketpair,
        dial,
        dial_cancel,
        secret,
        metric,
        metric_record,
    }
}

impl Record {
    fn tell(&self, event: Event) {
        if *self.destroyed.lock().unwrap() {
            self.violations.lock().unwrap().push(format!("called after destroy: {event:?}"));
        }
        drop(self.events.lock().unwrap().send(event));
    }

    fn done(&self, done: Done) {
        if !self.answered.lock().unwrap().insert(done.op) {
            self.violations.lock().unwrap().push(format!("answered twice: {done:?}"));
        }
        if done.status.is_ok() != done.socket.is_some() {
            self.violations.lock().unwrap().push(format!("status and socket disagree: {done:?}"));
        }
        if let Some(socket) = &done.socket {
            self.sockets.lock().unwrap().insert(done.op, Arc::downgrade(socket));
        }
        self.tell(Event::Done(done));
    }
}

fn record(ctx: *mut c_void) -> &'static Record {
    // SAFETY: the table's ctx is a leaked record.
    unsafe { &*ctx.cast::<Record>() }
}

fn owned(text: Str) -> String {
    // SAFETY: borrowed for the call this is part of.
    String::from_utf8(unsafe { text.bytes() }.to_vec()).unwrap()
}

fn json(text: Str) -> Value {
    let text = owned(text);
    if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
}

unsafe extern "C" fn op_done(ctx: *mut c_void, op: Op, status: Status, s: Sock, m: Str, d: Str) {
    // SAFETY: with OK the socket is ours.
    let socket = (s != NO_SOCK)
        .then(|| Arc::new(unsafe { UnixStream::from_raw_fd(RawFd::try_from(s).unwrap()) }));
    record(ctx).done(Done { op, status, socket, message: owned(m), detail: json(d) });
}

unsafe extern "C" fn stream_closed(ctx: *mut c_void, op: Op, status: Status, message: Str) {
    let record = record(ctx);
    record.tell(Event::Closed {
        op,
        status,
        message: owned(message),
        too_late: hung_up(record, op),
    });
}

/// Whether the plugin's end is closed altogether; a half close comes first quite properly.
fn hung_up(record: &Record, op: Op) -> bool {
    let socket = record.sockets.lock().unwrap().get(&op).and_then(std::sync::Weak::upgrade);
    socket.is_some_and(|socket| {
        let mut asked = [rustix::event::PollFd::new(&*socket, rustix::event::PollFlags::empty())];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut asked, Some(&now)).unwrap();
        asked[0].revents().contains(rustix::event::PollFlags::HUP)
    })
}

unsafe extern "C" fn state(ctx: *mut c_void, state: State, message: Str) {
    record(ctx).tell(Event::State(state.0, owned(message)));
}

unsafe extern "C" fn log_level(ctx: *mut c_void) -> LogLevel {
    record(ctx).level
}

unsafe extern "C" fn log(ctx: *mut c_void, level: LogLevel, op: Op, message: Str, fields: Str) {
    let line = Line { level, op, message: owned(message), fields: json(fields) };
    record(ctx).tell(Event::Log(line));
}

unsafe extern "C" fn socketpair(_: *mut c_void, out: *mut Sock) -> Status {
    let (left, right) = UnixStream::pair().unwrap();
    let pair = [left, right].map(|s| Sock::try_from(s.into_raw_fd()).unwrap());
    // SAFETY: the plugin made room for two.
    unsafe { out.cast::<[Sock; 2]>().write(pair) };
    Status::OK
}

unsafe extern "C" fn dial(
    ctx: *mut c_void,
    _: Op,
    request: Str,
    callback: SockCallback,
    ud: *mut c_void,
) -> u64 {
    let (record, request) = (record(ctx), json(request));
    let answer = |status, socket, message| {
        // SAFETY: the one answer to this dial.
        unsafe { callback(ud, status, socket, Str::borrow(message)) }
    };
    match request["host"].as_str().unwrap() {
        "refused" => answer(Status::UNREACHABLE, NO_SOCK, "the lower transport refused"),
        "hang" => {
            record.hanging.lock().unwrap().insert(DIAL, (callback, ud as usize));
            record.tell(Event::Dialled { request, peer: UnixStream::pair().unwrap().0 });
        }
        _ => {
            let (given, peer) = UnixStream::pair().unwrap();
            answer(Status::OK, Sock::try_from(given.as_raw_fd()).unwrap(), "");
            std::mem::forget(given);
            record.tell(Event::Dialled { request, peer });
        }
    }
    DIAL
}

unsafe extern "C" fn dial_cancel(ctx: *mut c_void, dial: u64) {
    let record = record(ctx);
    let (callback, ud) = record.hanging.lock().unwrap().remove(&dial).unwrap();
    record.tell(Event::DialCancelled);
    // SAFETY: the one answer to this dial.
    unsafe { callback(ud as *mut c_void, Status::CANCELLED, NO_SOCK, Str::borrow("cancelled")) };
}

unsafe extern "C" fn secret(_: *mut c_void, _: Op, name: Str, cb: BytesCallback, ud: *mut c_void) {
    let (status, value, message) = match owned(name).as_str() {
        "granted" => (Status::OK, "open sesame", ""),
        _ => (Status::DENIED, "", "not granted to this instance"),
    };
    // SAFETY: the one answer to this request.
    unsafe { cb(ud, status, Str::borrow(value), Str::borrow(message)) };
}

unsafe extern "C" fn metric(ctx: *mut c_void, _: MetricKind, name: Str, _: Str, l: Str) -> u64 {
    let mut metrics = record(ctx).metrics.lock().unwrap();
    metrics.push(format!("{}{}", owned(name), owned(l)));
    metrics.len() as u64
}

unsafe extern "C" fn metric_record(ctx: *mut c_void, metric: u64, value: f64) {
    let record = record(ctx);
    let name = record.metrics.lock().unwrap()[usize::try_from(metric).unwrap() - 1].clone();
    record.tell(Event::Recorded(name, value));
}

const DIAL: u64 = 7;
