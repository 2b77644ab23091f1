//! Panics end here: none crosses the border, and their text reaches the host's log.

use std::any::Any;
use std::backtrace::Backtrace;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::pin;
use std::sync::Once;

use pgferry_transport_abi::Status;

use crate::{Error, logging};

/// Effect: runs `f`; a panic becomes an error with the status PANIC.
pub(crate) fn caught<R>(f: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| Err(report(payload.as_ref())))
}

/// Effect: runs the future; a panic in it becomes an error with the status PANIC.
///
/// Cancel safety: as the future's own.
pub(crate) async fn caught_while_polled<F: Future>(future: F) -> Result<F::Output, Error> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        polled.map_or_else(
            |payload| std::task::Poll::Ready(Err(report(payload.as_ref()))),
            |poll| poll.map(Ok),
        )
    })
    .await
}

/// Effect: sends the place and the backtrace of panics in the plugin's own work to the host's log
/// instead of the process's stderr. Other panics go where they went before.
///
/// Only for a loaded library: its copy of the standard library has a hook of its own.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(
            move |info| {
                if logging::at_work() { log(info) } else { previous(info) }
            },
        ));
    });
}

/// Effect: panics when the conformance suite asks for it at this stage.
pub(crate) fn injected(stage: &str) {
    let wanted = std::env::var_os("PGFERRY_TEST_PANIC");
    assert!(wanted.is_none_or(|wanted| wanted != stage), "asked to panic in {stage}");
}

fn log(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = Backtrace::force_capture().to_string();
    tracing::error!(place, backtrace, "panic: {}", words(info.payload()));
}

fn report(payload: &(dyn Any + Send)) -> Error {
    Error::new(Status::PANIC, format!("the plugin panicked: {}", words(payload)))
}

fn words(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&'static str>().copied()).unwrap_or("no text")
}
