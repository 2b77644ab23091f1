//! What the application asked and the database has not answered yet, in order.

use std::collections::VecDeque;

use super::Tick;
use crate::Operation;

/// Most entries that are kept one by one.
pub(super) const ENTRIES_MAX: usize = 65_536;

/// Room that is kept when the queue runs empty: an application that pipelines does so again, and three
/// hundred queries at once are common.
const ENTRIES_KEPT: usize = 1024;

/// A message, or a run of them, that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// `Query`.
    Simple { start: Tick, operation: Operation, answer: Answer },
    /// `Parse`, `Bind`, `Describe`, `Close`: as many as come in a row.
    Prepare { start: Tick, operation: Operation, steps: u32 },
    /// `Execute`.
    Execute { start: Tick, operation: Operation },
    /// `FunctionCall`.
    FunctionCall { start: Tick, answer: Answer },
    /// `Sync`.
    Sync,
    /// `CopyDone` or `CopyFail`, sent ahead of `CopyInResponse` or for nothing.
    CopyEnd,
}

/// How far the answer to a `Query` or `FunctionCall` has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing yet.
    Open,
    /// A result or an error; `ReadyForQuery` is to come.
    Given,
    /// It turned into a stream of replication.
    Streaming,
}

impl Entry {
    fn expects_ready(self) -> bool {
        matches!(self, Self::Simple { .. } | Self::FunctionCall { .. } | Self::Sync)
    }
}

/// The queue. Beyond [`ENTRIES_MAX`] it only counts how many `ReadyForQuery` are to come: operations
/// out there give no samples, but when the session comes to rest is still known.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    beyond: Option<Beyond>,
}

/// What is queued behind a full queue.
#[derive(Debug)]
struct Beyond {
    ready_to_come: u64,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.beyond.as_ref().is_none_or(|b| b.ready_to_come == 0)
    }

    pub(super) fn push(&mut self, entry: Entry) {
        if self.beyond.is_none() && self.entries.len() < ENTRIES_MAX {
            self.entries.push_back(entry);
            return;
        }
        let beyond = self.beyond.get_or_insert(Beyond { ready_to_come: 0 });
        if entry.expects_ready() {
            beyond.ready_to_come += 1;
        }
    }

    pub(super) fn push_prepare_step(&mut self, now: Tick, asked: Operation) {
        match self.entries.back_mut() {
            Some(Entry::Prepare { operation, steps, .. }) if self.beyond.is_none() => {
                *steps = steps.saturating_add(1);
                if *operation == Operation::Other {
                    *operation = asked;
                }
            }
            _ => self.push(Entry::Prepare { start: now, operation: asked, steps: 1 }),
        }
    }

    /// With nothing unanswered before it there is no COPY to end.
    pub(super) fn push_copy_end(&mut self) {
        if !self.entries.is_empty() {
            self.push(Entry::CopyEnd);
        }
    }

    pub(super) fn prepare_step_answered(&mut self) {
        if let Some(Entry::Prepare { steps, .. }) = self.entries.front_mut() {
            *steps -= 1;
            if *steps == 0 {
                self.pop();
            }
        }
    }

    /// An answer came that is behind those to the steps at the front: a server left some out.
    pub(super) fn prepare_is_over(&mut self) {
        while let Some(Entry::Prepare { .. }) = self.entries.front() {
            self.pop();
        }
    }

    /// The operation at the front has its result: when it started and what it was.
    pub(super) fn end_operation(&mut self, now: Tick) -> Option<(Tick, Operation)> {
        self.prepare_is_over();
        if let Some(Entry::Execute { start, operation }) = self.entries.front().copied() {
            self.pop();
            return Some((start, operation));
        }
        self.answer_in_place(now)
    }

    /// The operation at the front failed. In an extended query everything up to `Sync` fails with it.
    pub(super) fn fail_operation(&mut self, now: Tick) -> Option<(Tick, Operation)> {
        match self.entries.front().copied()? {
            Entry::Prepare { start, operation, .. } | Entry::Execute { start, operation } => {
                while !matches!(self.entries.front(), None | Some(Entry::Sync)) {
                    self.entries.pop_front();
                }
                Some((start, operation))
            }
            _ => self.answer_in_place(now),
        }
    }

    /// `ReadyForQuery`: ends the first entry that waits for one, and whatever was left before it.
    pub(super) fn ready(&mut self) {
        while let Some(entry) = self.entries.pop_front() {
            if entry.expects_ready() {
                self.tidy();
                return;
            }
        }
        if let Some(beyond) = &mut self.beyond {
            beyond.ready_to_come = beyond.ready_to_come.saturating_sub(1);
        }
        self.tidy();
    }

    /// Whether the front waits for an answer other than `ReadyForQuery`.
    pub(super) fn front_is_unanswered(&self) -> bool {
        match self.entries.front() {
            Some(Entry::Simple { answer, .. } | Entry::FunctionCall { answer, .. }) => {
                *answer == Answer::Open
            }
            Some(Entry::Prepare { .. } | Entry::Execute { .. }) => true,
            Some(Entry::Sync | Entry::CopyEnd) | None => false,
        }
    }

    /// A copy began: whatever the text started with, the statement that runs is a COPY.
    pub(super) fn front_is_copy(&mut self) {
        self.prepare_is_over();
        if let Some(Entry::Simple { operation, .. } | Entry::Execute { operation, .. }) =
            self.entries.front_mut()
        {
            *operation = Operation::Copy;
        }
    }

    pub(super) fn front_is_streaming(&mut self) {
        if let Some(Entry::Simple { answer, .. }) = self.entries.front_mut() {
            *answer = Answer::Streaming;
        }
    }

    pub(super) fn second(&self) -> Option<Entry> {
        self.entries.get(1).copied()
    }

    pub(super) fn remove_second(&mut self) -> Option<Entry> {
        self.entries.remove(1)
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// An answer that leaves its entry waiting for `ReadyForQuery`.
    fn answer_in_place(&mut self, now: Tick) -> Option<(Tick, Operation)> {
        match self.entries.front_mut()? {
            Entry::Simple { answer: Answer::Streaming, .. } => None,
            Entry::Simple { start, operation, answer } => {
                let ended = (*start, *operation);
                // The next statement of the same text; its first word is not known.
                (*start, *operation, *answer) = (now, Operation::Other, Answer::Given);
                Some(ended)
            }
            Entry::FunctionCall { start, answer: answer @ Answer::Open } => {
                *answer = Answer::Given;
                Some((*start, Operation::Other))
            }
            _ => None,
        }
    }

    fn pop(&mut self) {
        self.entries.pop_front();
        self.tidy();
    }

    /// The end of a copy that never began is nothing to wait for; a long queue leaves no memory behind.
    fn tidy(&mut self) {
        while let Some(Entry::CopyEnd) = self.entries.front() {
            self.entries.pop_front();
        }
        if self.is_empty() {
            self.beyond = None;
            if self.entries.capacity() > ENTRIES_KEPT {
                self.entries.shrink_to(ENTRIES_KEPT);
            }
        }
    }
}
