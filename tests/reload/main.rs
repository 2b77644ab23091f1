//! SIGHUP: new sessions go by the new configuration, live ones go on as they are.

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

mod refusals;
mod sessions;
mod signals;
mod targets;
mod tunnels;

use std::sync::Arc;

use pgferry_simulators::Role;
use support::client::Wire;
use support::pgferry::Pgferry;
use support::shared::Shared;
use support::target::Target;
use support::world::{Way, World};

static WORLD: Shared<World> = Shared::new();

/// Servers that no test hurts.
fn world() -> Arc<World> {
    WORLD.get(World::start)
}

fn target(name: &'static str, world: &World) -> Target {
    Target::new(name, world, Way::Direct, Role::Scram)
}

/// A whole configuration.
fn config(targets: &[&Target]) -> String {
    let targets: String = targets.iter().map(ToString::to_string).collect();
    format!("[admin]\nlisten = \"127.0.0.1:0\"\n{targets}")
}

fn start(targets: &[&Target]) -> Pgferry {
    Pgferry::start(&config(targets))
}

/// Reloads, and asserts that this is what it says has changed.
fn apply(pgferry: &mut Pgferry, targets: &[&Target], changes: &str) {
    let verdict = pgferry.reload(&config(targets));
    assert!(verdict.ends_with(&format!(" reloaded: {changes}")), "{verdict}");
}

/// The user that a new session is at the database.
fn user(port: u16) -> String {
    let mut wire = Wire::open(port).unwrap();
    wire.query("select current_user").unwrap().remove(0)
}

fn reloads(pgferry: &Pgferry, result: &str) -> Option<f64> {
    pgferry.metric(&format!("pgferry_config_reloads_total{{result=\"{result}\"}}"))
}
