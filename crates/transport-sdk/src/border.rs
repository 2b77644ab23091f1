//! The host's table behind a gate: every call into the host goes through here, and none after the
//! gate was closed.

#![expect(unsafe_code, reason = "the border of the contract: calls through the host's table")]

use std::ffi::c_void;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr::NonNull;
use std::sync::{PoisonError, RwLock};

use pgferry_transport_abi as abi;
use pgferry_transport_abi::{LogLevel, MetricKind, NO_SOCK, Op, Sock, Status, Str};
use tokio::sync::oneshot;

use crate::{Error, Secret};

/// The host as one instance sees it. `destroy` closes the gate, which waits for the calls that are
/// under way; later calls do nothing, so that a task that outlived the instance can do no harm.
pub(crate) struct Border {
    table: RwLock<Option<NonNull<abi::Host>>>,
}

// SAFETY: the contract says that the table's callbacks may be called from any thread, and the lock
// guards the pointer itself.
unsafe impl Send for Border {}
// SAFETY: as for Send.
unsafe impl Sync for Border {}

/// The answer to a dial or a secret; the sender is what `ud` points at.
type Answer<T> = oneshot::Sender<Result<T, Error>>;

impl Border {
    /// # Safety
    ///
    /// `table` points at a host's table of major 1 that stays valid until [`Border::close`] returned.
    pub(crate) unsafe fn new(table: NonNull<abi::Host>) -> Self {
        Self { table: RwLock::new(Some(table)) }
    }

    /// Effect: waits for calls under way; none is made after this returned.
    pub(crate) fn close(&self) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Effect: answers an op. With a socket it is the host's from here on.
    pub(crate) fn op_done(&self, op: Op, answer: Result<OwnedFd, &Error>, detail: &str) {
        let (status, socket, message) = match answer {
            Ok(socket) => (Status::OK, Some(socket), ""),
            Err(error) => (error.status(), None, error.message()),
        };
        // The number is taken out of the owner only inside the gate: a closed gate drops (closes) it.
        self.call(|host| {
            let number = socket.map_or(NO_SOCK, |socket| number_of(socket.into_raw_fd()));
            // SAFETY: the table is valid inside the gate; the texts live for the call.
            unsafe { (host.op_done)(host.ctx, op, status, number, text(message), text(detail)) }
        });
    }

    pub(crate) fn stream_closed(&self, op: Op, status: Status, message: &str) {
        // SAFETY: as in op_done.
        self.call(|host| unsafe { (host.stream_closed)(host.ctx, op, status, text(message)) });
    }

    pub(crate) fn state(&self, state: abi::State, message: &str) {
        // SAFETY: as in op_done.
        self.call(|host| unsafe { (host.state)(host.ctx, state, text(message)) });
    }

    pub(crate) fn log_level(&self) -> LogLevel {
        // SAFETY: as in op_done.
        self.call(|host| unsafe { (host.log_level)(host.ctx) }).unwrap_or(LogLevel::OFF)
    }

    pub(crate) fn log(&self, level: LogLevel, op: Op, message: &str, fields: &str) {
        // SAFETY: as in op_done.
        self.call(|host| unsafe { (host.log)(host.ctx, level, op, text(message), text(fields)) });
    }

    /// Effect: a pair of connected sockets with buffers fit for pumping.
    pub(crate) fn socketpair(&self) -> Result<(OwnedFd, UnixStream), Error> {
        let mut pair: [Sock; 2] = [NO_SOCK; 2];
        // SAFETY: as in op_done; the host writes two numbers.
        let status = self.call(|host| unsafe { (host.socketpair)(host.ctx, pair.as_mut_ptr()) });
        let [given, kept] = pair;
        match (status, owned(given), owned(kept)) {
            (Some(Status::OK), Some(given), Some(kept)) => Ok((given, UnixStream::from(kept))),
            (None, _, _) => Err(Error::cancelled()),
            _ => Err(Error::internal("the host has no socket pair left")),
        }
    }

    /// Effect: starts a dial; its number for [`Border::dial_cancel`], and where the answer comes.
    pub(crate) fn dial(
        &self,
        op: Op,
        request: &str,
    ) -> Option<(u64, oneshot::Receiver<Result<OwnedFd, Error>>)> {
        let (sender, receiver) = oneshot::channel();
        // SAFETY: as in op_done; `dialled` takes back the box, exactly once by contract.
        let dial = self.call(|host| unsafe {
            (host.dial)(host.ctx, op, text(request), dialled, sent_along(sender))
        })?;
        Some((dial, receiver))
    }

    pub(crate) fn dial_cancel(&self, dial: u64) {
        // SAFETY: as in op_done.
        self.call(|host| unsafe { (host.dial_cancel)(host.ctx, dial) });
    }

    pub(crate) fn secret(
        &self,
        op: Op,
        name: &str,
    ) -> Option<oneshot::Receiver<Result<Secret, Error>>> {
        let (sender, receiver) = oneshot::channel();
        // SAFETY: as in op_done; `revealed` takes back the box, exactly once by contract.
        self.call(|host| unsafe {
            (host.secret)(host.ctx, op, text(name), revealed, sent_along(sender));
        })?;
        Some(receiver)
    }

    pub(crate) fn metric(&self, kind: MetricKind, name: &str, help: &str, labels: &str) -> u64 {
        let registered = self.call(|host| {
            // SAFETY: as in op_done.
            unsafe { (host.metric)(host.ctx, kind, text(name), text(help), text(labels)) }
        });
        registered.unwrap_or(0)
    }

    pub(crate) fn metric_record(&self, metric: u64, value: f64) {
        // SAFETY: as in op_done.
        self.call(|host| unsafe { (host.metric_record)(host.ctx, metric, value) });
    }

    /// Runs `f` inside the gate; `None` when it is closed.
    fn call<R>(&self, f: impl FnOnce(&abi::Host) -> R) -> Option<R> {
        let gate = self.table.read().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: valid until `close`, which can't pass while this holds the lock.
        gate.map(|table| f(unsafe { table.as_ref() }))
    }
}

/// The answer to a dial, on any thread of the host. Only sends: it must not block.
unsafe extern "C" fn dialled(ud: *mut c_void, status: Status, socket: Sock, message: Str) {
    let socket = owned(socket);
    // SAFETY: `ud` is the box that `dial` sent along, and this is its one answer.
    let sender = unsafe { Box::from_raw(ud.cast::<Answer<OwnedFd>>()) };
    let answer = match (status, socket) {
        (Status::OK, Some(socket)) => Ok(socket),
        (Status::OK, None) => Err(Error::internal("the host gave no socket")),
        // SAFETY: borrowed for this call.
        (status, _) => Err(Error::new(status.known(), unsafe { lossy(message) })),
    };
    // Nobody waiting any more: the socket is dropped, that is closed, here.
    drop(sender.send(answer));
}

/// The answer to a secret, on any thread of the host.
unsafe extern "C" fn revealed(ud: *mut c_void, status: Status, value: Str, message: Str) {
    // SAFETY: `ud` is the box that `secret` sent along, and this is its one answer.
    let sender = unsafe { Box::from_raw(ud.cast::<Answer<Secret>>()) };
    let answer = if status.is_ok() {
        // SAFETY: borrowed for this call.
        Secret::copy(unsafe { value.bytes() })
    } else {
        // SAFETY: borrowed for this call.
        Err(Error::new(status.known(), unsafe { lossy(message) }))
    };
    drop(sender.send(answer));
}

fn sent_along<T>(sender: Answer<T>) -> *mut c_void {
    Box::into_raw(Box::new(sender)).cast()
}

fn text(text: &str) -> Str {
    if text.is_empty() { Str::NONE } else { Str::borrow(text) }
}

/// # Safety
///
/// `text` is still borrowed.
unsafe fn lossy(text: Str) -> String {
    // SAFETY: the caller's promise.
    String::from_utf8_lossy(unsafe { text.bytes() }).into_owned()
}

/// A number from the host as an owner; it hands a socket over with it.
fn owned(number: Sock) -> Option<OwnedFd> {
    let number = RawFd::try_from(number).ok().filter(|number| *number >= 0)?;
    // SAFETY: the contract passes ownership of an open socket to the plugin.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

fn number_of(descriptor: RawFd) -> Sock {
    Sock::try_from(descriptor).unwrap_or(NO_SOCK)
}
