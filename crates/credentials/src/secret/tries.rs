//! Which version of a secret comes next, after the database has refused one. Pure: it neither
//! fetches nor waits.
//!
//! A rotation changes the database before the label AWSCURRENT moves. In between, AWSPENDING has the
//! right password, if it is there and may be read; RDS's own rotation shows it to nobody for a part
//! of the time. Source: "Rotation by Lambda function" of the Secrets Manager user guide.

use std::time::{Duration, SystemTime};

use super::version::Version;

/// A rotation is over by then; one that hangs for longer needs a person.
const RECENT: Duration = Duration::from_mins(10);
/// The waits of one attempt while a rotation may be on its way; the caller ends it sooner.
const PATIENT: u32 = 18;
/// The waits of one attempt where nothing speaks for a rotation: the password is plainly wrong.
const IMPATIENT: u32 = 2;
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// With a fetch behind it, within the 10 s that a credential may take unless the configuration says otherwise.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// The versions that count, as they were fetched together.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) fetched: SystemTime,
    /// For how long, unless it is refused.
    pub(crate) believed: Duration,
    pub(crate) current: Version,
    /// Looked for only once `current` has been refused, and None if it is the same.
    pub(crate) pending: Option<Version>,
    /// When another version than before became the current one, if that was seen here.
    pub(crate) changed: Option<SystemTime>,
    /// Made, and changed in the database, by RDS alone.
    pub(crate) managed: bool,
}

/// What one attempt has tried.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// The number of the snapshot that was looked at last.
    pub(super) seen: u64,
    /// The version given last.
    pub(super) given: Option<String>,
    refused: Vec<String>,
    waits: u32,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// This version.
    Give(Which),
    /// Nothing now; something may come.
    Wait(Duration),
    /// Nothing any more.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Current,
    Pending,
}

impl Tries {
    /// Takes note that the version given last was refused.
    pub(super) fn refuse(&mut self) {
        self.refused.extend(self.given.take());
    }

    /// What to do with a snapshot that is newer than the last refusal.
    pub(super) fn step(&mut self, snapshot: &Snapshot) -> Step {
        if let Some(which) = snapshot.first_but(&self.refused) {
            return Step::Give(which);
        }
        let patient = snapshot.may_change();
        if self.waits >= if patient { PATIENT } else { IMPATIENT } {
            return Step::Over;
        }
        let wait = FIRST_WAIT.saturating_mul(1 << self.waits.min(8)).min(LONGEST_WAIT);
        self.waits += 1;
        if patient {
            // What was refused may be right by then: the change reaches readers late.
            self.refused.clear();
        }
        Step::Wait(wait)
    }
}

impl Snapshot {
    /// What to begin with: the current one, but for what others have found to be `refused`.
    pub(super) fn first(&self, refused: &[String]) -> Which {
        self.first_but(refused).unwrap_or(Which::Current)
    }

    pub(super) fn version(&self, which: Which) -> &Version {
        match which {
            Which::Current => &self.current,
            Which::Pending => self.pending.as_ref().unwrap_or(&self.current),
        }
    }

    fn first_but(&self, refused: &[String]) -> Option<Which> {
        let new = |version: &Version| !refused.contains(&version.id);
        if new(&self.current) {
            return Some(Which::Current);
        }
        self.pending.as_ref().is_some_and(new).then_some(Which::Pending)
    }

    /// Whether a rotation may be on its way.
    fn may_change(&self) -> bool {
        let pending = self.pending.as_ref().and_then(|pending| pending.created);
        let recent = |when: SystemTime| match self.fetched.duration_since(when) {
            Ok(ago) => ago <= RECENT,
            Err(_) => true,
        };
        self.managed || pending.is_some_and(recent) || self.changed.is_some_and(recent)
    }
}

#[cfg(test)]
mod tests;
