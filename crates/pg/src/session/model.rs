//! A model of a PostgreSQL server, written from the protocol's documentation alone: it knows nothing of
//! how [`super::Session`] keeps its books. The SQL it runs says what it does.

use std::collections::{HashMap, VecDeque};

use super::{Outcome, TransactionEnd};
use crate::{Operation, frame::Message, message::TransactionStatus};

/// A message as the framer would report it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) tag: u8,
    pub(super) body: Vec<u8>,
}

impl Sent {
    pub(super) fn new(tag: u8, body: impl AsRef<[u8]>) -> Self {
        Self { tag, body: body.as_ref().to_vec() }
    }

    pub(super) fn query(sql: &str) -> Self {
        Self::new(b'Q', format!("{sql}\0"))
    }

    pub(super) fn parse(name: &str, sql: &str) -> Self {
        Self::new(b'P', format!("{name}\0{sql}\0\0\0"))
    }

    pub(super) fn bind(portal: &str, statement: &str) -> Self {
        Self::new(b'B', format!("{portal}\0{statement}\0\0\0\0\0\0\0"))
    }

    pub(super) fn execute(portal: &str) -> Self {
        Self::new(b'E', format!("{portal}\0\0\0\0\0"))
    }

    pub(super) fn as_message(&self) -> Message<'_> {
        let prefix = &self.body[..self.body.len().min(crate::frame::PREFIX_MAX)];
        Message { tag: self.tag, body_len: self.body.len(), prefix }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Simple,
    Extended,
}

#[derive(Debug)]
enum State {
    Normal,
    /// After an error in an extended query.
    SkipToSync,
    /// Reading copy data; what follows in the same query text; how many rows until it fails.
    CopyIn {
        protocol: Protocol,
        rest: VecDeque<String>,
        fails_after: Option<usize>,
    },
}

/// The server. `expected` collects what a perfect observer would report.
#[derive(Debug)]
pub(super) struct Server {
    state: State,
    statements: HashMap<String, String>,
    portals: HashMap<String, String>,
    transaction: TransactionStatus,
    pub(super) out: VecDeque<Sent>,
    pub(super) operations: Vec<(Operation, Outcome)>,
    pub(super) transactions: Vec<TransactionEnd>,
    /// A COMMIT without a transaction looks like the end of one that went back to a savepoint.
    pub(super) ambiguous_commit: bool,
    pub(super) errors: usize,
}

impl Server {
    pub(super) fn new() -> Self {
        Self {
            state: State::Normal,
            statements: HashMap::new(),
            portals: HashMap::new(),
            transaction: TransactionStatus::Idle,
            out: VecDeque::new(),
            operations: Vec::new(),
            transactions: Vec::new(),
            ambiguous_commit: false,
            errors: 0,
        }
    }

    pub(super) fn transaction_status(&self) -> TransactionStatus {
        self.transaction
    }

    /// Reads one message and answers it.
    pub(super) fn read(&mut self, sent: &Sent) {
        match std::mem::replace(&mut self.state, State::Normal) {
            State::Normal => self.normal(sent),
            State::SkipToSync if sent.tag == b'S' => self.ready(),
            State::SkipToSync => self.state = State::SkipToSync,
            State::CopyIn { protocol, rest, fails_after } => {
                self.copy_in(sent, protocol, rest, fails_after);
            }
        }
    }

    fn normal(&mut self, sent: &Sent) {
        let mut words =
            sent.body.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned());
        let mut word = || words.next().unwrap_or_default();
        match sent.tag {
            b'Q' => {
                self.statements.remove("");
                let sql = word();
                // The parser drops empty statements; EmptyQueryResponse is for a text of nothing else.
                let some = sql.split(';').filter(|part| !part.trim().is_empty());
                let mut statements: VecDeque<String> = some.map(str::to_owned).collect();
                if statements.is_empty() {
                    statements.push_back(String::new());
                }
                self.run_simple(statements);
            }
            b'P' => {
                let (name, sql) = (word(), word());
                if sql.contains("unparsable") {
                    return self.fail_extended(Operation::from_sql(sql.as_bytes()));
                }
                self.statements.insert(name, sql);
                self.say(b'1', "");
            }
            b'B' => {
                let (portal, statement) = (word(), word());
                match self.statements.get(&statement).cloned() {
                    Some(sql) => {
                        self.portals.insert(portal, sql);
                        self.say(b'2', "");
                    }
                    None => self.fail_extended(Operation::Other),
                }
            }
            b'D' => {
                if sent.body.first() == Some(&b'S') {
                    self.say(b't', "\0\0");
                }
                self.say(b'n', "");
            }
            b'C' => self.say(b'3', ""),
            b'E' => {
                let portal = word();
                match self.portals.get(&portal).cloned() {
                    Some(sql) => self.run_extended(&sql),
                    None => self.fail_extended(Operation::Other),
                }
            }
            b'S' => self.ready(),
            b'F' => {
                self.operations.push((Operation::Other, Outcome::Ok));
                self.say(b'V', "\0\0\0\0");
                self.ready();
            }
            b'H' | b'd' | b'c' | b'f' => {}
            tag => panic!("the model does not know {tag}"),
        }
    }

    fn run_simple(&mut self, mut statements: VecDeque<String>) {
        let mut first = true;
        while let Some(sql) = statements.pop_front() {
            // Only of the first statement does an observer know more than its answer.
            let asked = if first { Operation::from_sql(sql.as_bytes()) } else { Operation::Other };
            first = false;
            match self.run(&sql, Protocol::Simple, statements.clone()) {
                Run::Done => {}
                Run::Copying => return,
                Run::CopyFailed => {
                    self.operations.push((Operation::Copy, Outcome::Error));
                    break;
                }
                Run::Failed(outcome) => {
                    self.operations.push((asked, outcome));
                    break;
                }
            }
        }
        self.ready();
    }

    fn run_extended(&mut self, sql: &str) {
        match self.run(sql, Protocol::Extended, VecDeque::new()) {
            Run::Done | Run::Copying => {}
            Run::CopyFailed => {
                self.operations.push((Operation::Copy, Outcome::Error));
                self.state = State::SkipToSync;
            }
            Run::Failed(outcome) => {
                self.operations.push((Operation::from_sql(sql.as_bytes()), outcome));
                self.state = State::SkipToSync;
            }
        }
    }

    fn run(&mut self, sql: &str, protocol: Protocol, rest: VecDeque<String>) -> Run {
        let words: Vec<&str> = sql.split_whitespace().collect();
        match words.as_slice() {
            [] => {
                self.operations.push((Operation::Other, Outcome::Ok));
                self.say(b'I', "");
            }
            ["select", rows] => {
                self.say(b'T', "\0\0");
                self.complete(&format!("SELECT {rows}"));
            }
            ["suspend"] if protocol == Protocol::Extended => {
                self.operations.push((Operation::Other, Outcome::Ok));
                self.say(b's', "");
            }
            ["suspend"] => self.complete("SELECT 7"),
            ["begin"] => {
                self.transaction = TransactionStatus::InTransaction;
                self.complete("BEGIN");
            }
            ["commit"] if self.transaction == TransactionStatus::Failed => self.roll_back(),
            ["commit"] if self.transaction == TransactionStatus::Idle => {
                self.ambiguous_commit = true;
                self.complete("COMMIT");
            }
            ["commit"] => {
                self.transaction = TransactionStatus::Idle;
                self.transactions.push(TransactionEnd::Commit);
                self.complete("COMMIT");
            }
            ["rollback"] => self.roll_back(),
            ["copy", "out"] => {
                self.say(b'H', "\0\0\0");
                self.say(b'c', "");
                self.complete("COPY 3");
            }
            ["copy", "in", fate] => return self.begin_copy(fate, protocol, rest),
            ["update", "cancelled"] => return self.fail("57014", Outcome::Cancelled),
            _ => return self.fail("42601", Outcome::Error),
        }
        Run::Done
    }

    fn begin_copy(&mut self, fate: &str, protocol: Protocol, rest: VecDeque<String>) -> Run {
        self.say(b'G', "\0\0\0");
        if fate == "early" {
            self.fail("P0001", Outcome::Error);
            return Run::CopyFailed;
        }
        self.state = State::CopyIn { protocol, rest, fails_after: fate.parse().ok() };
        Run::Copying
    }

    fn copy_in(
        &mut self,
        sent: &Sent,
        protocol: Protocol,
        rest: VecDeque<String>,
        fails_after: Option<usize>,
    ) {
        match (sent.tag, fails_after) {
            (b'S' | b'H', _) => self.state = State::CopyIn { protocol, rest, fails_after },
            (b'd', Some(0)) => self.copy_fails(protocol, "22P02", Outcome::Error),
            (b'd', _) => {
                let fails_after = fails_after.map(|n| n - 1);
                self.state = State::CopyIn { protocol, rest, fails_after };
            }
            (b'f', _) => self.copy_fails(protocol, "57014", Outcome::Cancelled),
            (b'c', _) => {
                self.complete("COPY 2");
                match (protocol, rest.is_empty()) {
                    (Protocol::Extended, _) => {}
                    (Protocol::Simple, true) => self.ready(),
                    (Protocol::Simple, false) => {
                        // Not the first statement any more.
                        let before = self.operations.len();
                        self.run_simple(rest);
                        if let Some((operation, outcome)) = self.operations.get_mut(before)
                            && *outcome != Outcome::Ok
                            && *operation != Operation::Copy
                        {
                            *operation = Operation::Other;
                        }
                    }
                }
            }
            (tag, _) => panic!("the model does not take {tag} while copying"),
        }
    }

    fn copy_fails(&mut self, protocol: Protocol, sql_state: &str, outcome: Outcome) {
        self.fail(sql_state, outcome);
        self.operations.push((Operation::Copy, outcome));
        match protocol {
            Protocol::Simple => self.ready(),
            Protocol::Extended => self.state = State::SkipToSync,
        }
    }

    fn roll_back(&mut self) {
        if self.transaction != TransactionStatus::Idle {
            self.transactions.push(TransactionEnd::Rollback);
        }
        self.transaction = TransactionStatus::Idle;
        self.complete("ROLLBACK");
    }

    fn complete(&mut self, tag: &str) {
        self.operations.push((Operation::from_command_tag(tag.as_bytes()), Outcome::Ok));
        self.say(b'C', format!("{tag}\0"));
    }

    fn fail(&mut self, sql_state: &str, outcome: Outcome) -> Run {
        if self.transaction == TransactionStatus::InTransaction {
            self.transaction = TransactionStatus::Failed;
        }
        self.errors += 1;
        self.say(b'E', format!("SERROR\0VERROR\0C{sql_state}\0Mno\0\0"));
        Run::Failed(outcome)
    }

    fn fail_extended(&mut self, operation: Operation) {
        self.fail("42601", Outcome::Error);
        self.operations.push((operation, Outcome::Error));
        self.state = State::SkipToSync;
    }

    fn ready(&mut self) {
        let status = match self.transaction {
            TransactionStatus::Idle => {
                self.portals.clear();
                "I"
            }
            TransactionStatus::InTransaction => "T",
            TransactionStatus::Failed => "E",
        };
        self.say(b'Z', status);
    }

    fn say(&mut self, tag: u8, body: impl AsRef<[u8]>) {
        self.out.push_back(Sent::new(tag, body));
    }
}

enum Run {
    Done,
    Copying,
    CopyFailed,
    Failed(Outcome),
}
