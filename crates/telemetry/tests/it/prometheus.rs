//! Prometheus' own tool judges what is rendered and the files shipped for it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{busy, repository};

/// Runs promtool and returns nothing if it found nothing.
fn promtool(directory: &Path, arguments: &[&str], input: &str) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cannot run promtool; it comes with the Debian package `prometheus`");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {}: {said}\n{input}", arguments.join(" "));
}

#[test]
fn promtool_finds_nothing_wrong_with_a_scrape() {
    promtool(&repository("."), &["check", "metrics"], &busy("dev").render());
}

#[test]
fn promtool_can_read_a_scrape_with_a_strange_target_name() {
    promtool(&repository("."), &["check", "metrics"], &busy("a\"b\\c\nd\\\"").render());
}

#[test]
fn promtool_accepts_the_scrape_configuration() {
    promtool(&repository("config/prometheus"), &["check", "config", "prometheus.yml"], "");
}

#[test]
fn promtool_accepts_the_alerts() {
    let lint = ["check", "rules", "--lint-fatal", "alerts.yml"];
    promtool(&repository("config/prometheus"), &lint, "");
}

#[test]
fn the_alerts_fire_when_they_should_and_stay_silent_otherwise() {
    promtool(&repository("config/prometheus"), &["test", "rules", "alerts.test.yml"], "");
}
