//! The conformance checks, over a plugin that conforms and one that does not.

use pgferry_transport::check::{CHECKS, CheckItem, Outcome, check_load, run_checks};
use serde_json::json;

use crate::harness::{compile, hostile};

fn failures(items: &[CheckItem]) -> Vec<&CheckItem> {
    items.iter().filter(|item| item.outcome == Outcome::Fail).collect()
}

#[test]
fn a_plugin_that_cannot_be_trusted_fails_first_and_is_not_loaded() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, path) = compile("handover", "handover", &[]);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
    let items = check_load(&path);
    let outcomes: Vec<_> = items.iter().map(|item| item.outcome).collect();
    assert_eq!(outcomes, [Outcome::Fail, Outcome::Skip, Outcome::Skip]);
    assert!(items.first().unwrap().text.contains("chmod go-w"));
}

#[test]
fn a_defective_descriptor_fails_at_the_entry() {
    let (_dir, path) = compile("defective", "defective", &["DEFECT=.abi_major=2"]);
    let items: Vec<_> = run_checks(&path, &json!({})).collect();
    assert_eq!(items.len(), CHECKS.len());
    let failed: Vec<_> = failures(&items).iter().map(|item| item.number).collect();
    assert_eq!(failed, [3], "{items:#?}");
}

/// Runs in a process of its own: it counts descriptors and threads.
#[test]
#[ignore = "needs a process of its own; run by the test beside it"]
fn conforming_plugin_alone() {
    let (_dir, path) = compile("handover", "handover", &[]);
    let items: Vec<_> = run_checks(&path, &json!({})).collect();
    let order: Vec<_> = items.iter().map(|item| (item.number, item.name)).collect();
    assert_eq!(order, CHECKS);
    assert!(failures(&items).is_empty(), "{items:#?}");
    let skipped: Vec<_> = items.iter().filter(|item| item.outcome == Outcome::Skip).collect();
    assert_eq!(skipped.len(), 1, "{skipped:#?}");
    println!("{items:#?}");
}

#[test]
#[ignore = "needs a process of its own; run by the test beside it"]
fn hostile_plugin_alone() {
    let items: Vec<_> = run_checks(&hostile(), &json!({})).collect();
    println!("{items:#?}");
    let failed: Vec<_> = failures(&items).iter().map(|item| item.number).collect();
    for number in [5, 7, 8] {
        assert!(failed.contains(&number), "check {number} did not fail: {failed:?}");
    }
}

/// Runs one of the tests above alone in a process.
fn alone(name: &str) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("checks::{name}"), "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
fn a_conforming_plugin_passes_every_check() {
    alone("conforming_plugin_alone");
}

#[test]
fn a_hostile_plugin_is_found_out() {
    alone("hostile_plugin_alone");
}
