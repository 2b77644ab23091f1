//! `pgferry version`.

use serde_json::json;

use crate::args::Version;
use crate::exit::Exit;
use crate::{output, plugins};

/// The version of this build.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn version(version: &Version) -> Exit {
    let linked: Vec<&str> = plugins::linked().iter().map(|(name, _)| *name).collect();
    let contract = plugins::contract();
    if version.json {
        output::json(&json!({ "version": VERSION, "contract": contract, "linked": linked }));
    } else {
        output::line(format_args!("pgferry {VERSION}"));
        output::line(format_args!("transport contract {contract}"));
        output::line(format_args!("transports built in: direct, {}", linked.join(", ")));
    }
    Exit::Ok
}
