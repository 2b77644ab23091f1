//! What both directions of a running session mean: which operation is under way since when, how it
//! ended, and whether the session is at rest.
//!
//! The session keeps a queue of what the application asked and the database has not answered, in
//! order, and plays the database's part for every message that passes: which message does this answer
//! end, and which ones does the database skip?
//!
//! An operation starts with the last byte of its `Query` or `Execute`. It ends when `CommandComplete`,
//! `EmptyQueryResponse`, `PortalSuspended` or `ErrorResponse` is read from the database. Of several
//! statements in one `Query`, each starts where the one before ended. An error before `Execute` was
//! reached is one operation too; it starts with the first message that was still unanswered then.
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-flow.html>

mod copy;
mod event;
mod names;
mod pending;
mod transaction;

pub use copy::CopyMode;
pub use event::{Event, Outcome, Sample, Tick, TransactionEnd};

use self::{
    event::Ending,
    names::Names,
    pending::{Answer, Entry, Queue},
    transaction::Transaction,
};
use crate::{
    Operation, Severity,
    frame::Message,
    message::{ErrorFields, TransactionStatus},
    operation::rows_in_command_tag,
    startup::Replication,
};

/// Follows one session. Tolerates whatever comes; memory is bounded.
#[derive(Debug)]
pub struct Session {
    replication: Replication,
    pending: Queue,
    names: Names,
    frontend: Frontend,
    copy: CopyMode,
    /// How many `Sync`s the database may or may not have ignored in copy-in mode; see
    /// [`Self::copy_in_begins`].
    ignored_syncs: usize,
    transaction_status: Option<TransactionStatus>,
    transaction: Transaction,
    activity: u64,
}

/// How the database takes what the application sends next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frontend {
    /// Every message counts; the last thing was a `Sync` or a simple query.
    Synced,
    /// Every message counts; an extended query is open.
    Unsynced,
    /// After an error in an extended query, everything up to the next `Sync` is skipped.
    Skipped,
    /// The application said goodbye.
    Terminated,
}

impl Session {
    /// A session during its login or right after. It is not idle until it was shown a `ReadyForQuery`:
    /// show it the one that ends the login.
    pub fn new(replication: Replication) -> Self {
        Self {
            replication,
            pending: Queue::default(),
            names: Names::default(),
            frontend: Frontend::Synced,
            copy: CopyMode::None,
            ignored_syncs: 0,
            transaction_status: None,
            transaction: Transaction::None,
            activity: 0,
        }
    }

    /// Takes a message of the application. `now` is when its last byte was read.
    pub fn on_frontend(&mut self, message: Message<'_>, now: Tick) {
        match (self.frontend, message.tag) {
            (_, b'X') => self.frontend = Frontend::Terminated,
            (Frontend::Terminated, _) => {}
            (_, b'S') => self.sync(),
            (Frontend::Skipped, _) => {}
            (Frontend::Synced | Frontend::Unsynced, _) => self.ask(message, now),
        }
        self.note_activity();
    }

    /// Takes a message of the database. `now` is when its last byte was read, on the clock of
    /// [`Self::on_frontend`]; time in which the caller could not write to the application is best left
    /// out of that clock, else a stopped application looks like a slow database.
    pub fn on_backend(
        &mut self,
        message: Message<'_>,
        now: Tick,
        on_event: &mut impl FnMut(Event),
    ) {
        match message.tag {
            b'C' => self.command_complete(message.prefix, now, on_event),
            b'I' | b's' | b'V' => self.end_operation(&Ending::ok(), now, on_event),
            b'E' => self.error(message.prefix, now, on_event),
            b'Z' => self.ready_for_query(message.prefix, on_event),
            b'1' | b'2' | b'3' | b'T' | b'n' => self.pending.prepare_step_answered(),
            b'G' => self.copy_in_begins(),
            b'H' => self.copy_out_begins(),
            b'W' => self.streaming_begins(),
            b'c' => self.copy = CopyMode::None,
            // NoticeResponse, ParameterStatus, NotificationResponse: at any time, about nothing.
            _ => return,
        }
        if !matches!(message.tag, b'E' | b'Z' | b'G' | b'c') {
            // The database is past the point where it would still answer to these.
            self.ignored_syncs = 0;
        }
        self.note_activity();
    }

    /// What the last `ReadyForQuery` said.
    pub fn transaction_status(&self) -> Option<TransactionStatus> {
        self.transaction_status
    }

    /// Whether the database owes an answer.
    pub fn in_flight(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether the session could be ended without breaking anything off: no answer is owed, no
    /// transaction is open, and no extended query waits for its `Sync`.
    pub fn is_idle(&self) -> bool {
        let open = matches!(self.frontend, Frontend::Unsynced | Frontend::Skipped);
        !self.in_flight() && !open && self.transaction_status == Some(TransactionStatus::Idle)
    }

    /// A counter: odd while an answer is owed, even while not, one more with each change. A cancel
    /// request that took long compares it, lest it hits the next query.
    pub fn activity(&self) -> u64 {
        self.activity
    }

    /// The stream of copy data that is open.
    pub fn copy_mode(&self) -> CopyMode {
        self.copy
    }

    /// Whether the application sent `Terminate`.
    pub fn terminated(&self) -> bool {
        self.frontend == Frontend::Terminated
    }

    /// What the session was started for.
    pub fn replication(&self) -> Replication {
        self.replication
    }

    /// What is kept: unanswered entries, names of statements, names of portals.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn held(&self) -> [usize; 3] {
        let [statements, portals] = self.names.held();
        [self.pending.len(), statements, portals]
    }

    fn ask(&mut self, message: Message<'_>, now: Tick) {
        match message.tag {
            b'Q' => {
                let operation = names::operation_of_query(message.prefix);
                let answer = Answer::Open;
                self.pending.push(Entry::Simple { start: now, operation, answer });
                self.frontend = Frontend::Synced;
            }
            b'P' => self.prepare(names::Step::Parse, message, now),
            b'B' => self.prepare(names::Step::Bind, message, now),
            b'C' => self.prepare(names::Step::Close, message, now),
            b'D' => self.prepare(names::Step::Describe, message, now),
            b'E' => {
                let operation = self.names.portal(message.prefix);
                self.pending.push(Entry::Execute { start: now, operation });
                self.frontend = Frontend::Unsynced;
            }
            b'F' => {
                self.pending.push(Entry::FunctionCall { start: now, answer: Answer::Open });
                self.frontend = Frontend::Synced;
            }
            b'c' | b'f' => self.copy_ends(),
            _ => {}
        }
    }

    fn prepare(&mut self, step: names::Step, message: Message<'_>, now: Tick) {
        let operation = self.names.prepare(step, message.prefix);
        self.pending.push_prepare_step(now, operation);
        self.frontend = Frontend::Unsynced;
    }

    fn sync(&mut self) {
        if self.copy == CopyMode::In {
            self.ignored_syncs += 1;
        } else {
            self.pending.push(Entry::Sync);
            self.frontend = Frontend::Synced;
        }
    }

    fn command_complete(&mut self, tag: &[u8], now: Tick, on_event: &mut impl FnMut(Event)) {
        let ending = Ending {
            operation: Some(Operation::from_command_tag(tag)),
            rows: rows_in_command_tag(tag),
            ..Ending::ok()
        };
        self.copy = CopyMode::None;
        self.end_operation(&ending, now, on_event);
        if let Some(end) = self.transaction.on_tag(tag) {
            on_event(Event::Transaction(end));
        }
    }

    fn end_operation(&mut self, ending: &Ending, now: Tick, on_event: &mut impl FnMut(Event)) {
        if let Some((start, operation)) = self.pending.end_operation(now) {
            on_event(Event::Operation(ending.sample(start, operation, now)));
        }
    }

    fn error(&mut self, body: &[u8], now: Tick, on_event: &mut impl FnMut(Event)) {
        let fields = ErrorFields::new(body);
        let sql_state = fields.sql_state();
        let severity = fields.severity().unwrap_or(Severity::Error);
        on_event(Event::Error { severity, sql_state });
        self.copy = CopyMode::None;
        if let Some((start, operation)) = self.pending.fail_operation(now) {
            let sample = Ending::error(sql_state).sample(start, operation, now);
            on_event(Event::Operation(sample));
            // Had the `Sync` been sent already, it would be in the queue still.
            if !self.in_flight() && self.frontend != Frontend::Terminated {
                self.frontend = Frontend::Skipped;
            }
        }
    }

    fn ready_for_query(&mut self, body: &[u8], on_event: &mut impl FnMut(Event)) {
        self.copy = CopyMode::None;
        if let Some(status) = body.first().and_then(|byte| TransactionStatus::from_byte(*byte)) {
            self.transaction_status = Some(status);
            if let Some(end) = self.transaction.on_status(status) {
                on_event(Event::Transaction(end));
            }
        }
        if self.ignored_syncs > 0 && self.pending.front_is_unanswered() {
            // The answer to one of the `Sync`s thought ignored.
            self.ignored_syncs -= 1;
            return;
        }
        if self.frontend == Frontend::Skipped {
            self.frontend = Frontend::Synced;
        }
        self.pending.ready();
        if self.is_idle() {
            self.names.transaction_ended();
        }
    }

    fn note_activity(&mut self) {
        let busy = u64::from(self.in_flight());
        if self.activity % 2 != busy {
            self.activity = self.activity.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
