//! Plugins as shared libraries, as the build leaves them.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

static BUILDING: Mutex<()> = Mutex::new(());

/// The shared library of a plugin in Rust: `libpgferry_transport_<name>.so`.
///
/// The crate is a dependency of the binary or of its tests, so Cargo has built it already, in both
/// of its forms. Only `cargo build` would copy it beside the binary.
pub(crate) fn library(name: &str) -> PathBuf {
    let file = format!("{DLL_PREFIX}pgferry_transport_{name}{DLL_SUFFIX}");
    let library = profile_directory().join("deps").join(file);
    assert!(library.exists(), "{} was not built", library.display());
    library
}

/// The example plugin in C, built by its own makefile.
pub(crate) fn tcp_c() -> PathBuf {
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/examples/tcp-c");
    let built = profile_directory().join("tcp-c");
    std::fs::create_dir_all(&built).expect("a directory for it");
    let file = built.join("libpgferry_transport_tcp.so");
    let mut make = Command::new("make");
    make.arg("--silent").arg("-C").arg(&source).arg(format!("OUT={}", built.display()));
    assert!(make.status().expect("make starts").success(), "the C plugin does not build");
    file
}

fn profile_directory() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_pgferry")).parent().expect("the binary is in a directory")
}
