//! `pgferry version`.

use serde_json::json;

use crate::args::Version;
use crate::exit::Exit;
use crate::{output, plugins};

/// The version of this build.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from, where whoever built it said so.
pub(crate) const COMMIT: Option<&str> = option_env!("PGFERRY_COMMIT");
/// The compiler that built it.
pub(crate) const RUSTC: &str = env!("PGFERRY_RUSTC");

pub(crate) fn version(version: &Version) -> Exit {
    let linked: Vec<&str> = plugins::linked().iter().map(|(name, _)| *name).collect();
    let contract = plugins::contract();
    if version.json {
        output::json(&json!({
            "version": VERSION, "commit": COMMIT, "rustc": RUSTC, "contract": contract,
            "linked": linked,
        }));
    } else {
        output::line(format_args!("pgferry {VERSION}"));
        output::line(format_args!("built by {RUSTC}"));
        output::line(format_args!("transport contract {contract}"));
        output::line(format_args!("transports built in: direct, exec, {}", linked.join(", ")));
    }
    Exit::Ok
}
