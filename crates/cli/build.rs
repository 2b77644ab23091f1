//! Tells the program which compiler built it.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=crates/cli/build.rs");
    println!("cargo::rerun-if-env-changed=PGFERRY_COMMIT");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version
        .map_or_else(|_| String::new(), |out| String::from_utf8_lossy(&out.stdout).into_owned());
    println!("cargo::rustc-env=PGFERRY_RUSTC={}", version.trim());
}
