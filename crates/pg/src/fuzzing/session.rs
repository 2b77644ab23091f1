//! A running session: its books stay in order whatever both sides send.
//!
//! The input is lines of text, one for each message: how many of it (one, if there is no number), `>`
//! from the application or `<` from the database, its type, and its body, in which `|` stands for a
//! zero byte and `#` for how many messages there were before. Lines of another form are skipped.
//! Only behind a first line `bulk` there may be as many messages as it takes to reach every bound.

use crate::{
    frame::{Message, PREFIX_MAX},
    message::TransactionStatus,
    session::{CopyMode, Event, Session, Tick},
    startup::Replication,
};

/// Most messages of an ordinary run, so that a fuzzer gets through many.
const MESSAGES_MAX: u64 = 1000;

/// Most messages of a run in bulk: more than any bound of a session.
const BULK_MAX: u64 = 80_000;

/// Most that a session may hold, in entries: the bound that is promised, written down again.
const HELD_MAX: [usize; 3] = [65_536, 4096, 4096];

pub(super) fn check(data: &[u8]) {
    // Such runs are slow, and would leave a fuzzer no time for others.
    let bulk = data.starts_with(b"bulk\n") && cfg!(test);
    let mut watched = Watched {
        session: Session::new(Replication::None),
        sent: 0,
        sent_max: if bulk { BULK_MAX } else { MESSAGES_MAX },
        started: 0,
        ready_owed: 0,
        ended: 0,
        queried: false,
    };
    for line in data.split(|byte| *byte == b'\n') {
        watched.follow(line);
    }
    watched.comes_to_rest();
}

/// A session, and what is known of it without looking inside.
struct Watched {
    session: Session,
    sent: u64,
    sent_max: u64,
    /// Messages that may become an operation of their own.
    started: u64,
    /// How many `ReadyForQuery` the database owes at most.
    ready_owed: u64,
    ended: u64,
    queried: bool,
}

/// What a session tells of itself.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: Option<TransactionStatus>,
    in_flight: bool,
    idle: bool,
    activity: u64,
    copy: CopyMode,
    terminated: bool,
}

impl Watched {
    fn follow(&mut self, line: &[u8]) {
        let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (count, rest) = line.split_at(digits);
        let count =
            str::from_utf8(count).ok().and_then(|count| count.parse::<u64>().ok()).unwrap_or(1);
        let [side @ (b'>' | b'<'), tag, body @ ..] = rest else { return };
        for _ in 0..count.min(self.sent_max.saturating_sub(self.sent)) {
            let body = self.spell(body);
            let prefix = &body[..body.len().min(PREFIX_MAX)];
            let message = Message { tag: *tag, body_len: body.len(), prefix };
            match side {
                b'>' => self.ask(message),
                _ => self.answer(message),
            }
        }
    }

    fn spell(&self, body: &[u8]) -> Vec<u8> {
        let spelled = body.iter().flat_map(|byte| match byte {
            b'|' => vec![0],
            b'#' => self.sent.to_string().into_bytes(),
            byte => vec![*byte],
        });
        spelled.collect()
    }

    fn ask(&mut self, message: Message<'_>) {
        self.sent += 1;
        let before = self.told();
        match message.tag {
            b'P' | b'B' | b'D' | b'C' | b'E' | b'F' => self.started += 1,
            b'Q' => self.queried = true,
            _ => {}
        }
        self.ready_owed += u64::from(matches!(message.tag, b'Q' | b'F' | b'S'));
        self.session.on_frontend(message, Tick(self.sent));
        let after = self.told();
        assert_eq!(after.status, before.status, "the application changed the status");
        let unknown = !b"QPBDCEFSXcf".contains(&message.tag);
        if before.terminated || unknown {
            assert_eq!(after, before, "a message about nothing");
        }
        self.check(&before, &after);
    }

    fn answer(&mut self, message: Message<'_>) {
        self.sent += 1;
        let before = self.told();
        let (mut operations, mut errors, mut transactions) = (0, 0, 0);
        self.session.on_backend(message, Tick(self.sent), &mut |event| match event {
            Event::Operation(sample) => {
                assert!(sample.duration_nanos < self.sent, "longer than the session");
                operations += 1;
            }
            Event::Error { .. } => errors += 1,
            Event::Transaction(_) => transactions += 1,
        });
        let after = self.told();
        let told = message.prefix.first().and_then(|byte| TransactionStatus::from_byte(*byte));
        let status = told.filter(|_| message.tag == b'Z').or(before.status);
        assert_eq!(after.status, status, "only ReadyForQuery tells the status");
        assert_eq!(errors, u32::from(message.tag == b'E'));
        assert!(operations <= u32::from(before.in_flight && b"CIsVE".contains(&message.tag)));
        assert!(transactions <= u32::from(b"CZ".contains(&message.tag)));
        if !b"CIsVEZ123TnGHWc".contains(&message.tag) {
            assert_eq!(after, before, "a message about nothing");
        }
        assert_eq!(after.terminated, before.terminated);
        self.ended += u64::from(operations);
        // One text may hold many statements.
        assert!(self.queried || self.ended <= self.started, "more ended than started");
        self.check(&before, &after);
    }

    fn check(&self, before: &Told, after: &Told) {
        assert_eq!(after.activity % 2 == 1, after.in_flight);
        assert!(after.activity - before.activity <= 1);
        assert!(!after.idle || !after.in_flight);
        assert!(!after.idle || after.status == Some(TransactionStatus::Idle));
        let held = self.session.held();
        assert!(held.iter().zip(HELD_MAX).all(|(held, most)| *held <= most), "{held:?}");
    }

    /// Whatever went on before, a database that answers brings the session to rest.
    fn comes_to_rest(&mut self) {
        let ready = Message { tag: b'Z', body_len: 1, prefix: b"I" };
        for _ in 0..=self.ready_owed {
            self.answer(ready);
        }
        assert!(!self.session.in_flight(), "an answer nobody owes is waited for");
        self.ask(Message { tag: b'S', body_len: 0, prefix: b"" });
        self.answer(ready);
        assert!(self.session.is_idle(), "a session that never rests again");
        assert_eq!(self.session.held()[0], 0);
    }

    fn told(&self) -> Told {
        Told {
            status: self.session.transaction_status(),
            in_flight: self.session.in_flight(),
            idle: self.session.is_idle(),
            activity: self.session.activity(),
            copy: self.session.copy_mode(),
            terminated: self.session.terminated(),
        }
    }
}
