//! The conformance checks: what a plugin has to do right before anybody relies on it.
//!
//! The plugin runs inside the calling process, so that process should be made for it: a plugin that
//! crashes takes it along. [`CHECKS`] is the order in which [`run_checks`] works, so whoever watches
//! the process knows which check it died in.

mod bench;
mod creating;
mod ending;
mod load;
mod opening;
mod panicking;
mod process;
mod server;
mod streams;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use self::bench::Bench;
use self::process::ProcessState;
use crate::loader::{LibraryFile, name_of};
use crate::secret::UNGRANTED;

/// What became of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckItem {
    /// Its number in the author's guide.
    pub number: u8,
    /// What it looks at.
    pub name: &'static str,
    /// What came out.
    pub outcome: Outcome,
    /// What was seen, or why it was skipped.
    pub text: String,
}

/// What came out of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The plugin does it right.
    Pass,
    /// It does not.
    Fail,
    /// It does not apply, or cannot be tried here.
    Skip,
}

/// Number and name of every check, in the order in which they run.
pub const CHECKS: [(u8, &str); 18] = [
    (1, "file"),
    (2, "load"),
    (3, "entry"),
    (5, "bad configurations"),
    (6, "good configuration"),
    (7, "unreachable targets"),
    (8, "echo"),
    (10, "cancel"),
    (11, "half close"),
    (12, "peer reset"),
    (14, "closing early"),
    (15, "many opens"),
    (16, "two instances"),
    (18, "destroy"),
    (19, "create and destroy"),
    (9, "exactly once"),
    (21, "process-wide state"),
    (20, "panic"),
];

/// The variable that makes plugins of the Rust SDK panic: `create`, `open` or `stream`.
pub const PANIC_VARIABLE: &str = "PGFERRY_TEST_PANIC";

/// Checks only that the plugin can be loaded: 1 to 3.
pub fn check_load(path: &Path) -> Vec<CheckItem> {
    Run::new(path, &Value::Null).take(3).collect()
}

/// Runs every check, one at each step of the iterator. A check that hangs fails after a minute, and
/// the next one begins beside it. Targets are servers on the loopback interface that the checks
/// start themselves, so the configuration must lead back to this machine.
///
/// With [`PANIC_VARIABLE`] in the environment only the panic check runs (after 1 to 3), because
/// nothing else can pass; without it that check is skipped.
pub fn run_checks(path: &Path, config: &Value) -> impl Iterator<Item = CheckItem> {
    Run::new(path, config)
}

struct Run {
    path: PathBuf,
    config: Value,
    left: std::array::IntoIter<(u8, &'static str), 18>,
    file: Option<LibraryFile>,
    bench: Option<Arc<Bench>>,
    before: ProcessState,
}

/// What a check saw.
type Seen = Result<String, Flaw>;

/// Why a check did not pass.
enum Flaw {
    Fail(String),
    Skip(String),
}

impl Iterator for Run {
    type Item = CheckItem;

    fn next(&mut self) -> Option<CheckItem> {
        let (number, name) = self.left.next()?;
        let (outcome, text) = match self.perform(number) {
            Ok(text) => (Outcome::Pass, text),
            // What needs a secret cannot be tried where none is granted, which is no fault of the plugin.
            Err(Flaw::Fail(text)) if text.contains(UNGRANTED) => (Outcome::Skip, text),
            Err(Flaw::Fail(text)) => (Outcome::Fail, text),
            Err(Flaw::Skip(text)) => (Outcome::Skip, text),
        };
        Some(CheckItem { number, name, outcome, text })
    }
}

impl Run {
    fn new(path: &Path, config: &Value) -> Self {
        Self {
            path: path.to_path_buf(),
            config: config.clone(),
            left: CHECKS.into_iter(),
            file: None,
            bench: None,
            before: ProcessState::now(),
        }
    }

    fn perform(&mut self, number: u8) -> Seen {
        match number {
            1 => self.open_file(),
            2 => self.load(),
            3 => self.enter(),
            _ => {
                let bench = self.bench.as_ref().ok_or_else(|| skip("the plugin is not loaded"))?;
                let panics = std::env::var(PANIC_VARIABLE).ok();
                match (number, panics) {
                    (20, None) => Err(skip(format!("{PANIC_VARIABLE} is not set"))),
                    (20, Some(where_)) => {
                        bench.limited(move |bench| panicking::panics(bench, where_))
                    }
                    (_, Some(_)) => Err(skip(format!("{PANIC_VARIABLE} is set"))),
                    (21, None) => self.before.unchanged(),
                    (number, None) => bench.perform(number),
                }
            }
        }
    }

    fn open_file(&mut self) -> Seen {
        name_of(&self.path).map_err(fail)?;
        self.file = Some(LibraryFile::open(&self.path).map_err(fail)?);
        Ok("a regular file that only root and this user can change".to_owned())
    }

    fn load(&mut self) -> Seen {
        let file = self.file.as_ref().ok_or_else(|| skip("the file is not fit to be loaded"))?;
        let threads = process::threads();
        file.load_for_good().map_err(fail)?;
        match (threads, process::threads()) {
            (Some(before), Some(after)) if before != after => {
                Err(fail(format!("loading it started threads: {before} before, {after} after")))
            }
            _ => Ok("every symbol is defined, and no thread was started".to_owned()),
        }
    }

    fn enter(&mut self) -> Seen {
        let file = self.file.as_ref().ok_or_else(|| skip("the file is not fit to be loaded"))?;
        let name = name_of(&self.path).map_err(fail)?;
        let plugin = Arc::new(file.load(&name).map_err(fail)?);
        let seen = format!("{} {}: {}", plugin.info.name, plugin.info.version, plugin.info.about);
        self.bench = Some(Arc::new(Bench::new(plugin, &self.config).map_err(fail)?));
        Ok(seen)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "shaped for map_err")]
fn fail(why: impl ToString) -> Flaw {
    Flaw::Fail(why.to_string())
}

fn skip(why: impl Into<String>) -> Flaw {
    Flaw::Skip(why.into())
}

/// A flaw unless it holds.
fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), Flaw> {
    if holds { Ok(()) } else { Err(Flaw::Fail(why())) }
}
