use proptest::prelude::*;

use super::{
    model::{Sent, Server},
    pending::{ENTRIES_MAX, Entry},
    *,
};
use crate::SqlState;

/// A session that is driven message by message, with a clock that moves one tick a message.
struct Driven {
    session: Session,
    now: u64,
    events: Vec<Event>,
}

impl Driven {
    fn new() -> Self {
        Self { session: Session::new(Replication::None), now: 0, events: Vec::new() }
    }

    fn asks(&mut self, messages: &[Sent]) -> &mut Self {
        for sent in messages {
            self.now += 1;
            self.session.on_frontend(sent.as_message(), Tick(self.now));
        }
        self
    }

    fn ask(&mut self, tags: &[u8]) -> &mut Self {
        let messages: Vec<Sent> = tags.iter().map(|tag| Sent::new(*tag, b"\0")).collect();
        self.asks(&messages)
    }

    fn answers(&mut self, messages: &[(u8, &str)]) -> &mut Self {
        for (tag, body) in messages {
            self.answer(&Sent::new(*tag, body));
        }
        self
    }

    fn answer(&mut self, sent: &Sent) {
        self.now += 1;
        let events = &mut self.events;
        self.session.on_backend(sent.as_message(), Tick(self.now), &mut |event| events.push(event));
    }

    fn samples(&self) -> Vec<(Operation, Outcome)> {
        self.operations().iter().map(|sample| (sample.operation, sample.outcome)).collect()
    }

    fn operations(&self) -> Vec<Sample> {
        let sample = |event: &Event| match event {
            Event::Operation(sample) => Some(*sample),
            _ => None,
        };
        self.events.iter().filter_map(sample).collect()
    }

    fn transactions(&self) -> Vec<TransactionEnd> {
        let end = |event: &Event| match event {
            Event::Transaction(end) => Some(*end),
            _ => None,
        };
        self.events.iter().filter_map(end).collect()
    }

    fn errors(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Error { .. })).count()
    }
}

const SYNTAX: (u8, &str) = (b'E', "SERROR\0VERROR\0C42601\0Mno\0\0");
const READY: (u8, &str) = (b'Z', "I");

#[test]
fn a_simple_query_is_timed_from_its_last_byte_to_its_result() {
    let mut driven = Driven::new();
    driven.answers(&[READY]).asks(&[Sent::query("select 1")]);
    assert!(driven.session.in_flight() && !driven.session.is_idle());
    driven.answers(&[(b'T', ""), (b'C', "SELECT 1\0")]);
    assert!(driven.session.in_flight());
    driven.answers(&[READY]);
    assert!(driven.session.is_idle());
    assert_eq!(
        driven.operations(),
        [Sample {
            operation: Operation::Select,
            outcome: Outcome::Ok,
            duration_nanos: 2,
            sql_state: None,
            rows: Some(1)
        }]
    );
}

#[test]
fn each_statement_of_a_query_starts_where_the_one_before_ended() {
    let mut driven = Driven::new();
    driven.asks(&[Sent::query("update t; insert; fail")]).answers(&[
        (b'C', "UPDATE 3\0"),
        (b'C', "INSERT 0 2\0"),
        SYNTAX,
        READY,
    ]);
    let samples: Vec<_> = driven
        .operations()
        .iter()
        .map(|s| (s.operation, s.outcome, s.duration_nanos, s.rows))
        .collect();
    assert_eq!(
        samples,
        [
            (Operation::Update, Outcome::Ok, 1, Some(3)),
            (Operation::Insert, Outcome::Ok, 1, Some(2)),
            (Operation::Other, Outcome::Error, 1, None),
        ]
    );
}

#[test]
fn pipelined_executes_are_timed_each_from_its_own_last_byte() {
    let mut driven = Driven::new();
    driven.ask(b"PBEBES").answers(&[
        (b'1', ""),
        (b'2', ""),
        (b'C', "SELECT 1\0"),
        (b'2', ""),
        (b'C', "SELECT 2\0"),
        READY,
    ]);
    let durations: Vec<u64> = driven.operations().iter().map(|s| s.duration_nanos).collect();
    assert_eq!(durations, [9 - 3, 11 - 5]);
    assert!(driven.session.is_idle());
}

#[test]
fn an_error_before_execute_is_one_operation_named_by_its_statement() {
    let mut driven = Driven::new();
    driven
        .asks(&[
            Sent::parse("", "delete from nowhere"),
            Sent::new(b'D', b"S\0"),
            Sent::new(b'S', b""),
        ])
        .answers(&[SYNTAX, READY]);
    let [sample] = driven.operations()[..] else { panic!() };
    assert_eq!((sample.operation, sample.outcome), (Operation::Delete, Outcome::Error));
    assert_eq!(sample.duration_nanos, 3);
    assert_eq!(sample.sql_state, SqlState::parse(b"42601"));
    assert!(driven.session.is_idle());
}

#[test]
fn a_failed_execute_is_named_through_statement_and_portal() {
    let mut driven = Driven::new();
    driven
        .asks(&[Sent::parse("s1", "/* app */ Update t set a = 1"), Sent::new(b'S', b"")])
        .answers(&[(b'1', ""), READY])
        .asks(&[Sent::bind("p1", "s1"), Sent::execute("p1"), Sent::new(b'S', b"")])
        .answers(&[(b'2', ""), SYNTAX, READY]);
    assert_eq!(driven.samples(), [(Operation::Update, Outcome::Error)]);
}

#[test]
fn a_closed_statement_names_nothing_any_more() {
    let mut driven = Driven::new();
    driven
        .asks(&[Sent::parse("s1", "update t"), Sent::new(b'C', b"Ss1\0"), Sent::bind("", "s1")])
        .asks(&[Sent::execute(""), Sent::new(b'S', b"")])
        .answers(&[(b'1', ""), (b'3', ""), (b'2', ""), SYNTAX, READY]);
    assert_eq!(driven.samples(), [(Operation::Other, Outcome::Error)]);
}

#[test]
fn after_an_error_everything_up_to_sync_is_skipped_sent_or_not() {
    for sent_before in 0..=4 {
        let rest = b"BEPQ";
        let (before, after) = rest.split_at(sent_before);
        let mut driven = Driven::new();
        driven.ask(b"PBE").ask(before).answers(&[(b'1', ""), (b'2', ""), SYNTAX]).ask(after);
        assert!(!driven.session.in_flight() && !driven.session.is_idle());
        driven.ask(b"S").answers(&[READY]);
        assert!(driven.session.is_idle());
        assert_eq!(driven.samples().len(), 1, "{sent_before} sent before the error");
    }
}

#[test]
fn an_error_of_sync_itself_skips_nothing() {
    let mut driven = Driven::new();
    driven.ask(b"PBES").answers(&[(b'1', ""), (b'2', ""), (b'C', "INSERT 0 1\0")]);
    // A deferred constraint fails when Sync commits.
    driven.answers(&[SYNTAX, READY]).ask(b"Q");
    assert!(driven.session.in_flight());
    assert_eq!((driven.samples().len(), driven.errors()), (1, 1));
}

#[test]
fn a_cancelled_query_is_neither_ok_nor_an_error() {
    let mut driven = Driven::new();
    driven.ask(b"Q").answers(&[(b'E', "SFEHLER\0VERROR\0C57014\0\0"), READY]);
    let [sample] = driven.operations()[..] else { panic!() };
    assert_eq!(sample.outcome, Outcome::Cancelled);
    assert_eq!(sample.sql_state, Some(SqlState::QUERY_CANCELED));
}

#[test]
fn a_fatal_error_at_rest_is_an_error_and_no_operation() {
    let mut driven = Driven::new();
    driven.answers(&[READY, (b'E', "SFATAL\0VFATAL\0C57P01\0\0")]);
    let severity = Severity::Fatal;
    let sql_state = Some(SqlState::ADMIN_SHUTDOWN);
    assert_eq!(driven.events, [Event::Error { severity, sql_state }]);
}

#[test]
fn a_suspended_portal_ends_the_operation_of_its_execute() {
    let mut driven = Driven::new();
    driven.asks(&[Sent::parse("", "select 1"), Sent::bind("", ""), Sent::execute("")]);
    driven.answers(&[(b'1', ""), (b'2', ""), (b's', "")]);
    assert_eq!(driven.samples(), [(Operation::Select, Outcome::Ok)]);
    assert!(!driven.session.in_flight());
    assert!(!driven.session.is_idle(), "no Sync yet: the transaction is open");
}

#[test]
fn each_step_before_execute_has_one_answer() {
    for (asked, tag) in [(b'P', b'1'), (b'B', b'2'), (b'C', b'3'), (b'D', b'T'), (b'D', b'n')] {
        let mut driven = Driven::new();
        driven.ask(&[asked, asked, b'H']).answers(&[(b't', ""), (tag, "")]);
        assert!(driven.session.in_flight(), "{tag} answers one of two");
        driven.answers(&[(tag, "")]);
        assert!(!driven.session.in_flight() && !driven.session.is_idle());
    }
}

#[test]
fn the_sync_libpq_sends_behind_execute_is_ignored_once_copying_begins() {
    let mut driven = Driven::new();
    driven.ask(b"PBES").answers(&[(b'1', ""), (b'2', ""), (b'G', "")]);
    assert_eq!(driven.session.copy_mode(), CopyMode::In);
    driven.ask(b"ddc");
    assert_eq!(driven.session.copy_mode(), CopyMode::None);
    driven.ask(b"S").answers(&[(b'C', "COPY 2\0")]);
    assert!(driven.session.in_flight());
    driven.answers(&[READY]);
    assert!(driven.session.is_idle());
    assert_eq!(driven.samples(), [(Operation::Copy, Outcome::Ok)]);
}

#[test]
fn a_copy_sent_ahead_in_one_go_is_the_same_copy() {
    let mut driven = Driven::new();
    driven.ask(b"PBESddcS").answers(&[(b'1', ""), (b'2', ""), (b'G', "")]);
    assert_eq!(driven.session.copy_mode(), CopyMode::None);
    driven.answers(&[(b'C', "COPY 2\0")]);
    assert!(driven.session.in_flight());
    driven.answers(&[READY]);
    assert!(driven.session.is_idle());
}

#[test]
fn a_copy_that_fails_leaves_its_late_end_without_meaning() {
    let mut driven = Driven::new();
    driven.asks(&[Sent::query("copy t from stdin")]).answers(&[(b'G', ""), SYNTAX]);
    driven.ask(b"c").answers(&[READY]);
    assert!(driven.session.is_idle());
    driven.ask(b"c");
    assert!(driven.session.is_idle());
    assert_eq!(driven.samples(), [(Operation::Copy, Outcome::Error)]);
}

#[test]
fn two_answers_to_the_syncs_of_a_failed_copy_do_not_end_the_next_query() {
    let mut driven = Driven::new();
    driven.ask(b"PBES").answers(&[(b'1', ""), (b'2', ""), (b'G', "")]);
    driven.ask(b"dcS").asks(&[Sent::query("select 1")]);
    // The copy failed before the server read the first Sync, so it answers both.
    driven.answers(&[SYNTAX, READY, READY]);
    assert!(driven.session.in_flight());
    driven.answers(&[(b'C', "SELECT 1\0"), READY]);
    assert!(driven.session.is_idle());
    assert_eq!(driven.samples().len(), 2);
}

#[test]
fn streaming_replication_is_in_flight_and_no_operation() {
    let mut driven = Driven::new();
    driven.asks(&[Sent::query("START_REPLICATION 0/0")]).answers(&[(b'W', "")]);
    assert_eq!(driven.session.copy_mode(), CopyMode::Both);
    driven.ask(b"dc").answers(&[(b'c', ""), (b'C', "START_STREAMING\0")]);
    assert!(driven.session.in_flight());
    driven.answers(&[READY]);
    assert!(driven.session.is_idle());
    assert_eq!(driven.samples(), []);
}

#[test]
fn transactions_are_counted_by_how_they_end() {
    let mut driven = Driven::new();
    driven.ask(b"QQQQ").answers(&[(b'C', "BEGIN\0"), (b'Z', "T")]);
    driven.answers(&[(b'C', "ROLLBACK\0"), (b'Z', "T")]);
    assert_eq!(driven.transactions(), [], "that was ROLLBACK TO SAVEPOINT");
    driven.answers(&[(b'C', "COMMIT\0"), READY]);
    assert_eq!(driven.transactions(), [TransactionEnd::Commit]);
    driven.answers(&[(b'C', "BEGIN\0"), (b'C', "ROLLBACK\0"), READY]);
    assert_eq!(driven.transactions(), [TransactionEnd::Commit, TransactionEnd::Rollback]);
}

#[test]
fn activity_is_odd_while_busy_and_tells_one_query_from_the_next() {
    let mut driven = Driven::new();
    assert_eq!(driven.session.activity(), 0);
    driven.ask(b"Q");
    assert_eq!(driven.session.activity(), 1);
    driven.answers(&[(b'C', "SELECT 1\0")]);
    assert_eq!(driven.session.activity(), 1);
    driven.answers(&[READY]);
    assert_eq!(driven.session.activity(), 2);
    driven.ask(b"QQ").answers(&[(b'I', ""), READY]);
    assert_eq!(driven.session.activity(), 3);
}

#[test]
fn messages_that_come_at_any_time_change_nothing() {
    let mut driven = Driven::new();
    driven.answers(&[READY, (b'N', ""), (b'A', ""), (b'S', ""), (b'C', "SELECT 1\0"), (b'1', "")]);
    assert!(driven.session.is_idle());
    assert_eq!(driven.events, []);
}

#[test]
fn terminate_is_seen_and_final() {
    let mut driven = Driven::new();
    driven.ask(b"XQ");
    assert!(driven.session.terminated() && !driven.session.in_flight());
}

#[test]
fn a_pipeline_beyond_every_limit_is_still_awaited_to_its_end() {
    let queries = ENTRIES_MAX + 1000;
    let mut driven = Driven::new();
    for _ in 0..queries {
        driven.ask(b"Q");
    }
    assert_eq!(driven.session.pending.len(), ENTRIES_MAX);
    for answered in 0..queries {
        assert!(driven.session.in_flight(), "after {answered} answers");
        driven.answers(&[(b'C', "SELECT 1\0"), READY]);
    }
    assert!(driven.session.is_idle());
    assert_eq!(driven.samples().len(), ENTRIES_MAX);
    driven.ask(b"Q").answers(&[(b'C', "SELECT 1\0"), READY]);
    assert_eq!(driven.samples().len(), ENTRIES_MAX + 1);
}

#[test]
fn an_entry_is_small() {
    assert!(size_of::<Entry>() <= 24);
}

fn statement() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "select 3",
        "select 0",
        "suspend",
        "begin",
        "commit",
        "rollback",
        "copy out",
        "copy in ok",
        "copy in 0",
        "copy in 1",
        "copy in early",
        "update cancelled",
        "delete wrongly",
        " ",
    ])
}

/// The copy data a well-behaved application sends for `sql`, and for nothing else.
fn copy_data(sql: &str, syncs: u8) -> Vec<Sent> {
    if !sql.contains("copy in") {
        return vec![];
    }
    let mut messages = Vec::new();
    for bit in 0..3 {
        if syncs >> bit & 1 == 1 {
            messages.push(Sent::new(b'S', b""));
        }
        messages.push(Sent::new(b'd', b""));
    }
    messages.push(Sent::new(if (syncs >> 3).is_multiple_of(4) { b'f' } else { b'c' }, b"\0"));
    messages
}

fn simple() -> impl Strategy<Value = Vec<Sent>> {
    (proptest::collection::vec(statement(), 1..4), any::<u8>()).prop_map(|(statements, syncs)| {
        // Whatever the first COPY comes to, the server reads the rest as stray copy messages.
        let mut messages = vec![Sent::query(&statements.join(";"))];
        messages.extend(statements.iter().flat_map(|sql| copy_data(sql, syncs & !7)));
        messages
    })
}

fn extended() -> impl Strategy<Value = Vec<Sent>> {
    let step = (any::<u8>(), statement(), any::<u8>()).prop_map(|(kind, sql, syncs)| {
        let name = if kind & 1 == 0 { "" } else { "named" };
        match kind % 7 {
            0 => vec![Sent::parse(name, "insert unparsable")],
            1 => vec![Sent::bind(name, "missing")],
            2 => vec![Sent::new(b'C', format!("P{name}\0")), Sent::new(b'H', b"")],
            _ => {
                let mut messages =
                    vec![Sent::parse(name, sql), Sent::bind(name, name), Sent::execute(name)];
                if kind & 8 == 0 {
                    messages.insert(1, Sent::new(b'D', format!("S{name}\0")));
                    messages.insert(3, Sent::new(b'D', format!("P{name}\0")));
                }
                let copy = copy_data(sql, syncs);
                if !copy.is_empty() {
                    messages.extend(copy);
                    messages.push(Sent::new(b'S', b""));
                }
                messages
            }
        }
    });
    proptest::collection::vec(step, 0..4).prop_map(|steps| {
        let mut messages: Vec<Sent> = steps.into_iter().flatten().collect();
        messages.push(Sent::new(b'S', b""));
        messages
    })
}

fn conversation() -> impl Strategy<Value = Vec<Sent>> {
    let function_call = Just(vec![Sent::new(b'F', b"")]);
    let stray = Just(vec![Sent::new(b'c', b""), Sent::new(b'f', b"no\0")]);
    let unit = prop_oneof![4 => simple(), 6 => extended(), 1 => function_call, 1 => stray];
    proptest::collection::vec(unit, 1..8).prop_map(|units| units.concat())
}

/// Lets application, server and session move in the order that `schedule` says, until all is answered.
fn converse(messages: Vec<Sent>, schedule: &[u8]) -> (Driven, Server) {
    let mut driven = Driven::new();
    let mut server = Server::new();
    let mut to_send: std::collections::VecDeque<Sent> = messages.into();
    let mut on_the_way = std::collections::VecDeque::new();
    let mut schedule = schedule.iter().cycle();
    loop {
        let turn = schedule.next().copied().unwrap_or_default();
        let idle = to_send.is_empty() && on_the_way.is_empty() && server.out.is_empty();
        match turn % 3 {
            _ if idle => return (driven, server),
            0 => {
                if let Some(sent) = to_send.pop_front() {
                    driven.asks(std::slice::from_ref(&sent));
                    on_the_way.push_back(sent);
                }
            }
            1 => {
                if let Some(sent) = on_the_way.pop_front() {
                    server.read(&sent);
                }
            }
            _ => {
                if let Some(answer) = server.out.pop_front() {
                    driven.answer(&answer);
                }
            }
        }
    }
}

/// The samples, less the guess at an operation that failed without ever being named.
fn agreed(
    samples: &[(Operation, Outcome)],
    expected: &[(Operation, Outcome)],
) -> Vec<(Operation, Outcome)> {
    let unnamed = |index: usize| match expected.get(index) {
        Some((Operation::Other, outcome)) => *outcome != Outcome::Ok,
        _ => false,
    };
    let blur = |(index, (operation, outcome)): (usize, &(Operation, Outcome))| {
        (if unnamed(index) { Operation::Other } else { *operation }, *outcome)
    };
    samples.iter().enumerate().map(blur).collect()
}

fn schedule() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 8..64).prop_map(|mut turns| {
        // Everybody gets a turn.
        turns.extend([0, 1, 2]);
        turns
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_session_agrees_with_the_server_whatever_the_timing(
        messages in conversation(),
        schedule in schedule(),
    ) {
        let (driven, server) = converse(messages, &schedule);
        prop_assert!(!driven.session.in_flight(), "{:?}", driven.session);
        prop_assert_eq!(driven.session.activity() % 2, 0);
        prop_assert_eq!(agreed(&driven.samples(), &server.operations), server.operations.clone());
        prop_assert_eq!(driven.errors(), server.errors);
        if !server.ambiguous_commit {
            prop_assert_eq!(driven.transactions(), server.transactions.clone());
        }
        if let Some(status) = driven.session.transaction_status() {
            prop_assert_eq!(status, server.transaction_status());
        }
    }

    #[test]
    fn arbitrary_messages_never_panic(
        messages in proptest::collection::vec(
            (any::<bool>(), proptest::sample::select(&b"QPBECDSHFcfdXZIsVTntGW123NA"[..]),
             proptest::collection::vec(any::<u8>(), 0..12)),
            0..200,
        ),
    ) {
        let mut driven = Driven::new();
        for (frontend, tag, body) in messages {
            let sent = Sent::new(tag, body);
            if frontend { driven.asks(&[sent]); } else { driven.answer(&sent); }
            prop_assert_eq!(driven.session.activity() % 2 == 1, driven.session.in_flight());
        }
    }
}
