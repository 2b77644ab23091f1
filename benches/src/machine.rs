//! What the figures were measured on.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

/// Facts about this machine.
pub(crate) fn facts() -> Value {
    json!({
        "cpu": cpu(),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        "rustc": said(Command::new("rustc").arg("--version")),
        "commit": said(Command::new("git").args(["describe", "--always", "--dirty=+"])),
    })
}

/// The first line a program prints.
pub(crate) fn said(command: &mut Command) -> String {
    let output = command.output().map(|o| [o.stdout, o.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or_default().trim().to_owned()
}

fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(String::new, |(_, name)| name.to_owned())
}
