//! Plugins from outside: `pgferry plugin check`, what is refused at the start, and what one that
//! does wrong can do to others: nothing.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use pgferry_simulators::{Key, Role};
use support::client::Wire;
use support::pgferry::{Pgferry, pgferry, write_config};
use support::plugin::{library, tcp_c};
use support::target::Target;
use support::world::{Way, World};
use tempfile::TempDir;

static WORLD: LazyLock<World> = LazyLock::new(World::start);

/// Compiles a plugin in C into a directory of its own.
fn compile(source: &Path, name: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let library = directory.path().join(format!("libpgferry_transport_{name}.so"));
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("cc")
        .args(["-std=gnu11", "-shared", "-fPIC", "-O1", "-Wall", "-pthread", "-I"])
        .arg(home.join("crates/transport-abi/include"))
        .arg("-o")
        .arg(&library)
        .arg(source)
        .output()
        .expect("cc starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::set_permissions(&library, fs::Permissions::from_mode(0o755)).unwrap();
    (directory, library)
}

/// The plugin that does as the name of the target's database says: mostly wrong.
fn hostile() -> (TempDir, PathBuf) {
    let source = "crates/transport/tests/plugins/hostile.c";
    compile(&Path::new(env!("CARGO_MANIFEST_DIR")).join(source), "hostile")
}

fn check(library: &Path, config: &str) -> (Output, serde_json::Value) {
    let library = library.to_str().unwrap();
    let output = pgferry(&["plugin", "check", library, "--config-json", config, "--json"]);
    let shown = serde_json::from_slice(&output.stdout).expect("JSON on standard output");
    (output, shown)
}

fn outcome(shown: &serde_json::Value, number: u64) -> (&str, &str) {
    let checks = shown["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["number"] == number).expect("the check was run");
    (found["outcome"].as_str().unwrap(), found["text"].as_str().unwrap())
}

#[test]
fn both_examples_pass_every_check() {
    for library in [library("tcp"), tcp_c()] {
        let (output, shown) = check(&library, "{}");
        assert_eq!(output.status.code(), Some(0), "{library:?}: {shown:#}");
        assert_eq!(shown["failed"], 0);
        assert_eq!(outcome(&shown, 8).0, "pass", "{shown:#}");
        assert_eq!(outcome(&shown, 12).0, "pass", "{shown:#}");
    }
}

#[test]
fn the_ssh_plugin_passes_every_check_that_ssh_allows() {
    let sshd = &WORLD.sshd;
    let config = serde_json::json!({
        "host": "127.0.0.1", "port": sshd.port(), "user": sshd.user(),
        "key_file": sshd.key_file(Key::Ed25519), "known_hosts_file": sshd.known_hosts_file(),
        "ssh_config": false,
    });
    let (output, shown) = check(&library("ssh"), &config.to_string());
    assert_eq!(output.status.code(), Some(0), "{shown:#}");
    assert_eq!(outcome(&shown, 8).0, "pass", "{shown:#}");
    let (reset, why) = outcome(&shown, 12);
    assert_eq!(reset, "skip", "{shown:#}");
    assert!(why.contains("pumps"), "{why}");
}

#[test]
fn the_ssm_plugin_passes_every_check_that_needs_no_account() {
    let config = r#"{"instance": "i-0123456789abcdef0"}"#;
    let (output, shown) = check(&library("ssm"), config);
    assert_eq!(output.status.code(), Some(0), "{shown:#}");
    assert_eq!(shown["failed"], 0);
    for number in [1, 2, 3, 5, 6, 9, 19, 20, 21] {
        assert_eq!(outcome(&shown, number).0, "pass", "{number}: {shown:#}");
    }
    let (echo, why) = outcome(&shown, 8);
    assert_eq!(echo, "skip", "{shown:#}");
    assert!(why.contains("\"aws:config\" is not granted"), "{why}");
}

#[test]
fn a_plugin_that_crashes_fails_the_check_in_which_it_did() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("crash.c");
    fs::write(&source, CRASH).unwrap();
    let (_kept, library) = compile(&source, "crash");
    let (output, shown) = check(&library, "{}");
    assert_eq!(output.status.code(), Some(1), "{shown:#}");
    let (outcome, text) = outcome(&shown, 5);
    assert_eq!(outcome, "fail");
    assert!(text.contains("ended the process") && text.contains("SIGABRT"), "{text}");
    // The text says it too, and where it happened.
    let output = pgferry(&["plugin", "check", library.to_str().unwrap()]);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("FAIL  5 bad configurations: the plugin ended"), "{shown}");
}

#[test]
fn what_is_no_plugin_fails_the_first_checks() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("libpgferry_transport_none.so");
    fs::write(&file, "no library").unwrap();
    let (output, shown) = check(&file, "{}");
    assert_eq!(output.status.code(), Some(1), "{shown:#}");
    assert_eq!(outcome(&shown, 2).0, "fail", "{shown:#}");
    let (output, shown) = check(&directory.path().join("libpgferry_transport_gone.so"), "{}");
    assert_eq!(output.status.code(), Some(1), "{shown:#}");
    assert_eq!(outcome(&shown, 1).0, "fail", "{shown:#}");
}

/// A copy of the C example that may be spoilt, and a target that uses it.
fn copied(more: &str) -> (TempDir, PathBuf, String) {
    let directory = tempfile::tempdir().unwrap();
    let library = directory.path().join("libpgferry_transport_tcp.so");
    fs::copy(tcp_c(), &library).unwrap();
    fs::set_permissions(&library, fs::Permissions::from_mode(0o755)).unwrap();
    let mut target = Target::new("db", &WORLD, Way::Direct, Role::Scram);
    target.transport = format!("{{ kind = \"tcp\", path = {library:?}{more} }}");
    (directory, library, target.to_string())
}

/// Asserts that a run does not even start, with exit code 78 and these words.
fn assert_refused(config: &str, words: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let file = write_config(directory.path(), config);
    let output = pgferry(&["run", "--config", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

fn assert_serves(pgferry: &Pgferry, target: &str) {
    let rows = Wire::open(pgferry.port(target)).and_then(|mut wire| wire.query("select 42"));
    assert_eq!(rows, Ok(vec!["42".to_owned()]), "{}", pgferry.log().text());
}

#[test]
fn a_library_that_others_can_write_is_refused_with_the_command_that_helps() {
    let (_directory, library, config) = copied("");
    fs::set_permissions(&library, fs::Permissions::from_mode(0o777)).unwrap();
    let remedy = format!("chmod go-w '{}'", library.display());
    assert_refused(&config, &["can be written by others (mode 0777)", &remedy]);
    let helped = Command::new("sh").arg("-c").arg(&remedy).status().unwrap();
    assert!(helped.success());
    assert_serves(&Pgferry::start(&config), "db");
}

#[test]
fn a_library_in_a_directory_that_others_can_write_is_refused() {
    let (directory, _library, config) = copied("");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let remedy = format!("chmod go-w '{}'", directory.path().display());
    assert_refused(&config, &["can be written by others", &remedy]);
}

#[test]
fn a_pinned_library_is_loaded_only_as_it_was_pinned() {
    let output = Command::new("sha256sum").arg(tcp_c()).output().unwrap();
    let digest = String::from_utf8_lossy(&output.stdout)[..64].to_owned();
    let (_directory, library, config) = copied(&format!(", sha256 = \"{digest}\""));
    assert_serves(&Pgferry::start(&config), "db");
    let mut bytes = fs::read(&library).unwrap();
    bytes.push(0);
    fs::write(&library, bytes).unwrap();
    assert_refused(&config, &["has the sha256", &digest, "is configured"]);
}

#[test]
fn a_plugin_that_does_wrong_hurts_no_other_session_of_its_process() {
    let (_directory, library) = hostile();
    let good = Target::new("good", &WORLD, Way::SshLinked, Role::Scram);
    let tricks = [
        "never",
        "twice",
        "closed",
        "file",
        "none",
        "udp",
        "fresh",
        "listening",
        "stranger",
        "panic",
    ];
    let mut config =
        format!("[admin]\nlisten = \"127.0.0.1:0\"\n[limits]\ntunnel_open = \"1s\"\n{good}");
    for trick in tricks {
        let mut bad = Target::new(trick, &WORLD, Way::Direct, Role::Scram);
        bad.database = WORLD.database_with(&format!(", name = \"{trick}\""));
        bad.transport = format!("{{ kind = \"hostile\", path = {library:?} }}");
        config += &bad.to_string();
    }
    let pgferry = Pgferry::start(&config);
    let mut neighbour = Wire::open(pgferry.port("good")).unwrap();
    neighbour.query("create temp table survives (n int)").unwrap();
    for trick in tricks {
        let fault = Wire::refused(pgferry.port(trick));
        match trick {
            // Its one good answer counts: the session fails only for the name of its database.
            "twice" | "stranger" => assert_eq!(fault.code, "3D000", "{trick}: {fault:?}"),
            "never" => fault.assert(
                trick,
                "08001",
                &["transport never (hostile", "within 1s"],
                "tunnel_open",
            ),
            _ => {
                let place = format!("transport {trick} (hostile");
                assert!(fault.message.contains(&place) && fault.hint.is_some(), "{fault:?}");
            }
        }
        assert_eq!(neighbour.query("select count(*) from survives").unwrap(), ["0"], "{trick}");
    }
    assert!(pgferry.log().count("a plugin broke the contract") > 0);
    assert_serves(&pgferry, "good");
}

const CRASH: &str = r#"
#include <stdlib.h>
#include "pgferry_transport.h"

static pgferry_status create(const pgferry_host *h, pgferry_op op, pgferry_str config, pgferry_instance **out) {
  (void)h, (void)op, (void)config, (void)out;
  abort();
}
static void open_(pgferry_instance *i, pgferry_op op, pgferry_str target) { (void)i, (void)op, (void)target; }
static void cancel(pgferry_instance *i, pgferry_op op) { (void)i, (void)op; }
static void destroy(pgferry_instance *i) { (void)i; }

PGFERRY_ENTRY(crash) {
  static const pgferry_plugin plugin = {
      .struct_size = sizeof plugin, .abi_major = PGFERRY_ABI_MAJOR, .abi_minor = PGFERRY_ABI_MINOR,
      .name = "crash", .version = "0.1", .about = "crashes", .create = create, .open = open_,
      .cancel = cancel, .destroy = destroy};
  return &plugin;
}
"#;
