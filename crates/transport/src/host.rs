//! The table of functions that a plugin calls. Copies what it is given, checks it, hands it on; no
//! panic leaves it.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::{Arc, Weak};

use pgferry_transport_abi as abi;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::dial::DialReply;
use crate::guest::Guest;
use crate::reply::Reply;
use crate::secret::SecretReply;
use crate::standing::Phase;
use crate::text::{MESSAGE, bounded};
use crate::{Status, TunnelState, metrics, socket};

/// What a table's `ctx` points to. Never freed, so that a plugin which calls after its end finds an
/// empty house instead of a ruin. There is one for each instance made.
struct Gate(Weak<Guest>);

/// The table for a guest, valid for ever.
pub(crate) fn table(guest: &Arc<Guest>) -> &'static abi::Host {
    let gate: &'static Gate = Box::leak(Box::new(Gate(Arc::downgrade(guest))));
    Box::leak(Box::new(abi::Host {
        struct_size: u32::try_from(size_of::<abi::Host>()).unwrap_or(u32::MAX),
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        ctx: ptr::from_ref(gate).cast_mut().cast(),
        op_done,
        stream_closed,
        state,
        log_level,
        log,
        socketpair,
        dial: DIAL,
        dial_cancel,
        secret: SECRET,
        metric,
        metric_record,
    }))
}

/// A plugin in C may pass NULL for a callback, which the table's own type has no word for.
type Dial =
    extern "C" fn(*mut c_void, abi::Op, abi::Str, Option<abi::SockCallback>, *mut c_void) -> u64;
type Secret =
    extern "C" fn(*mut c_void, abi::Op, abi::Str, Option<abi::BytesCallback>, *mut c_void);

// SAFETY: an `Option` of a function pointer is passed as the pointer is, with NULL for `None`.
#[expect(unsafe_code, reason = "the same function, with NULL allowed")]
const DIAL: unsafe extern "C" fn(
    *mut c_void,
    abi::Op,
    abi::Str,
    abi::SockCallback,
    *mut c_void,
) -> u64 = unsafe { std::mem::transmute(dial as Dial) };
// SAFETY: as above.
#[expect(unsafe_code, reason = "the same function, with NULL allowed")]
const SECRET: unsafe extern "C" fn(
    *mut c_void,
    abi::Op,
    abi::Str,
    abi::BytesCallback,
    *mut c_void,
) = unsafe { std::mem::transmute(secret as Secret) };

/// Runs a callback's body for the guest behind `ctx`; `otherwise` if there is none any more.
fn serve<T>(ctx: *mut c_void, otherwise: T, body: impl FnOnce(&Arc<Guest>) -> T) -> T {
    let gate: *const Gate = ctx.cast_const().cast();
    if gate.is_null() {
        return otherwise;
    }
    // SAFETY: a plugin passes back the `ctx` of its table, which points to a gate that lives for ever.
    #[expect(unsafe_code, reason = "the context comes back from a plugin")]
    let gate = unsafe { &*gate };
    let served = catch_unwind(AssertUnwindSafe(|| match gate.0.upgrade() {
        Some(guest) => {
            if guest.phase() == Phase::Gone {
                guest.misbehaved("it called the host after its end");
            }
            Ok(body(&guest))
        }
        None => Err(()),
    }));
    match served {
        Ok(Ok(value)) => value,
        Ok(Err(())) => otherwise,
        Err(panic) => {
            complain(&panic);
            otherwise
        }
    }
}

fn complain(panic: &Box<dyn Any + Send>) {
    let text = panic.downcast_ref::<&str>().copied().unwrap_or("no text");
    // A panicking subscriber must not get a second chance to unwind into the plugin.
    drop(catch_unwind(|| tracing::error!(panic = text, "the host panicked in a plugin's call")));
}

/// The bytes of a borrowed text.
fn bytes<'call>(text: abi::Str) -> &'call [u8] {
    // SAFETY: the contract lends the text for the call, and every use ends within it.
    #[expect(unsafe_code, reason = "text of a plugin")]
    unsafe {
        text.bytes()
    }
}

extern "C" fn op_done(
    ctx: *mut c_void,
    op: abi::Op,
    status: abi::Status,
    sock: abi::Sock,
    message: abi::Str,
    detail: abi::Str,
) {
    serve(ctx, (), |guest| {
        let texts = [bytes(message), bytes(detail)];
        guest.answered(op, Reply::new(Status::from_raw(status), sock, texts));
    });
}

extern "C" fn stream_closed(ctx: *mut c_void, op: abi::Op, status: abi::Status, message: abi::Str) {
    serve(ctx, (), |guest| {
        guest.stream_closed(op, Status::from_raw(status), &bounded(bytes(message), MESSAGE));
    });
}

extern "C" fn state(ctx: *mut c_void, state: abi::State, message: abi::Str) {
    serve(ctx, (), |guest| {
        let state = match state {
            abi::State::UP => TunnelState::Up,
            abi::State::DEGRADED => TunnelState::Degraded,
            abi::State::DOWN => TunnelState::Down,
            unknown => {
                return guest.misbehaved(&format!("it reports the unknown state {}", unknown.0));
            }
        };
        let message = bounded(bytes(message), MESSAGE);
        tracing::info!(instance = guest.name, state = state.label(), message, "tunnel");
        guest.observer.state(&guest.name, state, &message);
    });
}

extern "C" fn log_level(ctx: *mut c_void) -> abi::LogLevel {
    serve(ctx, abi::LogLevel::OFF, |_| match LevelFilter::current().into_level() {
        None => abi::LogLevel::OFF,
        Some(Level::ERROR) => abi::LogLevel::ERROR,
        Some(Level::WARN) => abi::LogLevel::WARN,
        Some(Level::INFO) => abi::LogLevel::INFO,
        Some(Level::DEBUG) => abi::LogLevel::DEBUG,
        Some(Level::TRACE) => abi::LogLevel::TRACE,
    })
}

extern "C" fn log(
    ctx: *mut c_void,
    level: abi::LogLevel,
    op: abi::Op,
    message: abi::Str,
    fields: abi::Str,
) {
    /// The level of an event is part of its static description, so there is one event for each.
    macro_rules! record {
        ($level:expr, $guest:expr) => {
            tracing::event!(
                target: "pgferry::plugin", $level, instance = $guest.name, op,
                fields = bounded(bytes(fields), MESSAGE), "{}", bounded(bytes(message), MESSAGE)
            )
        };
    }
    serve(ctx, (), |guest| match level {
        abi::LogLevel::ERROR => record!(Level::ERROR, guest),
        abi::LogLevel::WARN => record!(Level::WARN, guest),
        abi::LogLevel::INFO => record!(Level::INFO, guest),
        abi::LogLevel::DEBUG => record!(Level::DEBUG, guest),
        abi::LogLevel::TRACE => record!(Level::TRACE, guest),
        _ => {}
    });
}

extern "C" fn socketpair(ctx: *mut c_void, out: *mut abi::Sock) -> abi::Status {
    serve(ctx, Status::Cancelled.raw(), |guest| {
        if out.is_null() {
            guest.misbehaved("it asks for a pair of sockets without room for one");
            return Status::Internal.raw();
        }
        let Ok((left, right)) = socket::pair() else { return Status::Internal.raw() };
        let (Ok(left), Ok(right)) = (socket::give_away(left), socket::give_away(right)) else {
            return Status::Internal.raw();
        };
        // SAFETY: the contract gives room for two, and the plugin waits for this call.
        #[expect(unsafe_code, reason = "a plugin's room for two sockets")]
        unsafe {
            out.cast::<[abi::Sock; 2]>().write_unaligned([left, right]);
        }
        Status::Ok.raw()
    })
}

extern "C" fn dial(
    ctx: *mut c_void,
    op: abi::Op,
    request: abi::Str,
    callback: Option<abi::SockCallback>,
    data: *mut c_void,
) -> u64 {
    // Made first: should there be no guest, dropping it still answers.
    let reply = callback.map(|callback| DialReply::new(callback, data));
    serve(ctx, 0, |guest| {
        let Some(reply) = reply else {
            guest.misbehaved("it dials without a callback");
            return 0;
        };
        guest.dial(op, bytes(request), reply)
    })
}

extern "C" fn dial_cancel(ctx: *mut c_void, dial: u64) {
    serve(ctx, (), |guest| guest.dialler.cancel(dial));
}

extern "C" fn secret(
    ctx: *mut c_void,
    op: abi::Op,
    name: abi::Str,
    callback: Option<abi::BytesCallback>,
    data: *mut c_void,
) {
    let reply = callback.map(|callback| SecretReply::new(callback, data));
    serve(ctx, (), |guest| match reply {
        Some(reply) => guest.secret(op, String::from_utf8_lossy(bytes(name)).into_owned(), reply),
        None => guest.misbehaved("it asks for a secret without a callback"),
    });
}

extern "C" fn metric(
    ctx: *mut c_void,
    kind: abi::MetricKind,
    name: abi::Str,
    help: abi::Str,
    labels: abi::Str,
) -> u64 {
    serve(ctx, 0, |guest| {
        let texts = [bytes(name), bytes(help), bytes(labels)];
        let metric = metrics::described(&guest.plugin.info.name, kind, texts);
        let registered =
            metric.and_then(|metric| guest.metrics.register(metric, &guest.name, &*guest.observer));
        registered.unwrap_or_else(|why| {
            let name = bounded(bytes(name), 64);
            tracing::warn!(instance = guest.name, name, why, "a plugin's metric is refused");
            0
        })
    })
}

extern "C" fn metric_record(ctx: *mut c_void, metric: u64, value: f64) {
    serve(ctx, (), |guest| guest.metrics.record(metric, value));
}
