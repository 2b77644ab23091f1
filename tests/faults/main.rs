//! Every hop broken at every phase: each break is a PostgreSQL error that names target and hop,
//! comes within its limit, and leaves the listener serving.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod bastion;
mod certificates;
mod clients;
mod credentials;
mod servers;
mod sessions;
mod tunnels;

use std::sync::LazyLock;
use std::time::Duration;

use support::client::Wire;
use support::pgferry::Pgferry;
use support::target::Target;
use support::world::World;
use tokio::time::Instant;

/// Servers that no test hurts.
static WORLD: LazyLock<World> = LazyLock::new(World::start);

/// Starts pgferry with these targets, an admin listener and these lines of `[limits]`.
fn start(limits: &str, targets: &[&Target]) -> Pgferry {
    let targets: String = targets.iter().map(ToString::to_string).collect();
    Pgferry::start(&format!("[admin]\nlisten = \"127.0.0.1:0\"\n[limits]\n{limits}\n{targets}"))
}

/// Asserts that a new session works.
fn assert_serves(pgferry: &Pgferry, target: &str) {
    let rows = Wire::open(pgferry.port(target)).and_then(|mut wire| wire.query("select 42"));
    assert_eq!(rows, Ok(vec!["42".to_owned()]), "{}", pgferry.log().text());
}

/// Runs it and asserts that it ended neither before `limit` nor long after.
fn within<T>(limit: Duration, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    let took = began.elapsed();
    assert!(took >= limit, "{took:?} is before the limit of {limit:?}");
    assert!(took < limit + AT_ONCE, "{took:?} is long after the limit of {limit:?}");
    done
}

/// Runs it and asserts that it did not wait for anything.
fn at_once<T>(work: impl FnOnce() -> T) -> T {
    within(Duration::ZERO, work)
}

/// What a busy machine may take for something that takes milliseconds, and less than any default
/// limit.
const AT_ONCE: Duration = Duration::from_secs(5);
