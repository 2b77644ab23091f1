//! `pgferry plugin check`: the plugin runs in a child process, so that a crash, an abort or a hang is
//! a result of the check and not the end of it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::Context as _;
use pgferry_transport::check::{CHECKS, CheckItem, Outcome, PANIC_VARIABLE, run_checks};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args::PluginCheck;
use crate::exit::{Exit, Failure};
use crate::output;

/// Where a panic can be asked for: check 20 runs once for each, in a child of its own.
const PANIC_PLACES: [&str; 3] = ["create", "open", "stream"];
const PANIC_CHECK: u8 = 20;

/// One result as it passes from child to parent, a line of JSON each.
#[derive(Serialize, Deserialize)]
struct Line {
    pgferry_check: u8,
    name: String,
    outcome: Verdict,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Pass,
    Fail,
    Skip,
}

pub(crate) fn check(check: &PluginCheck) -> Result<Exit, Failure> {
    let config: Value = serde_json::from_str(&check.config_json)
        .context("--config-json")
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let library =
        std::path::absolute(&check.library).map_err(|error| Failure::new(Exit::Usage, error))?;
    if check.in_this_process {
        run_checks(&library, &config).for_each(|item| output::line(json!(Line::from(item))));
        return Ok(Exit::Ok);
    }
    let parent = Parent { library, config: check.config_json.clone(), show: !check.json };
    let lines = parent.run().map_err(|error| Failure::new(Exit::Internal, error))?;
    let failed = lines.iter().filter(|line| line.outcome == Verdict::Fail).count();
    if check.json {
        let checks: Vec<_> = lines
            .iter()
            .map(|l| {
                json!({ "number": l.pgferry_check, "name": l.name, "outcome": l.outcome, "text": l.text })
            })
            .collect();
        output::json(&json!({ "library": parent.library, "failed": failed, "checks": checks }));
    } else {
        let passed = lines.iter().filter(|line| line.outcome == Verdict::Pass).count();
        let skipped = lines.len() - passed - failed;
        output::line(format_args!("{passed} passed, {failed} failed, {skipped} skipped"));
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::Failed })
}

struct Parent {
    library: PathBuf,
    config: String,
    /// Print each result as it comes.
    show: bool,
}

impl Parent {
    fn run(&self) -> anyhow::Result<Vec<Line>> {
        let mut lines = self.child(None, |line| line.pgferry_check != PANIC_CHECK)?;
        let loaded =
            lines.iter().all(|line| line.pgferry_check > 3 || line.outcome != Verdict::Fail);
        if loaded {
            for place in PANIC_PLACES {
                let mut panics =
                    self.child(Some(place), |line| line.pgferry_check == PANIC_CHECK)?;
                lines.append(&mut panics);
            }
        }
        Ok(lines)
    }

    /// Runs the checks in a child and gives those that `keep` wants.
    fn child(
        &self,
        panic_in: Option<&str>,
        keep: impl Fn(&Line) -> bool,
    ) -> anyhow::Result<Vec<Line>> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["plugin", "check", "--in-this-process", "--config-json", &self.config])
            .arg(&self.library)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .env_remove(PANIC_VARIABLE);
        if let Some(place) = panic_in {
            // Its panic messages are the check's doing.
            command.env(PANIC_VARIABLE, place).stderr(Stdio::null());
        }
        let mut child = command.spawn().context("cannot start the checks' own process")?;
        let mut lines: Vec<Line> = Vec::new();
        let mut seen = 0;
        for text in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines) {
            // Anything else on standard output is the plugin's.
            let Ok(line) = serde_json::from_str::<Line>(&text?) else { continue };
            seen += 1;
            if keep(&line) {
                self.show(&line);
                lines.push(line);
            }
        }
        let status = child.wait()?;
        if !status.success() {
            let line = died(seen, panic_in, status);
            self.show(&line);
            lines.push(line);
        }
        Ok(lines)
    }

    fn show(&self, line: &Line) {
        if !self.show {
            return;
        }
        let verdict = match line.outcome {
            Verdict::Pass => output::verdict(true),
            Verdict::Fail => output::verdict(false),
            Verdict::Skip => "skip",
        };
        let number = line.pgferry_check;
        output::line(format_args!("{verdict} {number:>2} {}: {}", line.name, line.text));
    }
}

/// The result of the check during which the child ended.
fn died(seen: usize, panic_in: Option<&str>, status: ExitStatus) -> Line {
    let (number, name) = match panic_in {
        Some(_) => (PANIC_CHECK, "a panic stays inside"),
        None => CHECKS.get(seen).copied().unwrap_or((0, "the end")),
    };
    Line {
        pgferry_check: number,
        name: name.to_owned(),
        outcome: Verdict::Fail,
        text: format!("the plugin ended the process: {status}"),
    }
}

impl From<CheckItem> for Line {
    fn from(item: CheckItem) -> Self {
        Self {
            pgferry_check: item.number,
            name: item.name.to_owned(),
            outcome: match item.outcome {
                Outcome::Pass => Verdict::Pass,
                Outcome::Fail => Verdict::Fail,
                Outcome::Skip => Verdict::Skip,
            },
            text: item.text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_during_which_the_process_died_is_named() {
        use std::os::unix::process::ExitStatusExt as _;

        let line = died(0, None, ExitStatus::from_raw(11));
        assert_eq!(line.pgferry_check, CHECKS[0].0);
        assert!(line.text.contains("SIGSEGV"), "{}", line.text);
        assert_eq!(died(3, Some("open"), ExitStatus::from_raw(6)).pgferry_check, PANIC_CHECK);
    }
}
