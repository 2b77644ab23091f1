//! The opening of a connection: it ends, answers nothing twice, and takes nothing that was stuffed in.
//!
//! The input is a byte of choices, then what the application sends. The lowest bit offers TLS; with the
//! next one all of it arrives at once, else packet by packet.

use bytes::{Buf, Bytes};

use super::take_byte;
use crate::{
    Severity,
    cancel::CancelKey,
    message::{Raw, backend::BackendMessage},
    startup::{
        Action, LocalTls, Machine, NegotiateProtocolVersion, Outcome, PACKET_BODY_MAX,
        ProtocolVersion, StartupError, StartupMessage, TLS_HELLO, packet_length,
    },
};

/// What an opening has come to.
struct Opening {
    local_tls: LocalTls,
    machine: Machine,
    tls_asked: bool,
    gss_asked: bool,
    inside_tls: bool,
}

pub(super) fn check(data: &[u8]) {
    let mut rest = data;
    let choices = take_byte(&mut rest);
    let local_tls = if choices & 1 == 0 { LocalTls::NotOffered } else { LocalTls::Offered };
    let at_once = choices & 2 != 0;
    let mut opening = Opening {
        local_tls,
        machine: Machine::new(local_tls),
        tls_asked: false,
        gss_asked: false,
        inside_tls: false,
    };
    // A TLS request, a GSS request, and what ends it: nothing is longer.
    for _ in 0..3 {
        match opening.step(rest, at_once) {
            Some(behind) => rest = behind,
            None => return,
        }
    }
    assert!(opening.step(rest, at_once).is_none(), "an opening that does not end");
}

impl Opening {
    /// Takes what comes next. Returns what is behind it, if the opening goes on.
    fn step<'a>(&mut self, rest: &'a [u8], at_once: bool) -> Option<&'a [u8]> {
        if let [TLS_HELLO, hello @ ..] = rest {
            return self.direct_tls().then_some(hello);
        }
        let length = match packet_length(rest) {
            Ok(length) => length?,
            Err(error) => return refused(&error),
        };
        assert!((8..=PACKET_BODY_MAX + 4).contains(&length), "a bounded length");
        if length > rest.len() {
            let cut_short = self.machine.on_packet(rest, 0);
            assert!(cut_short.is_err(), "half a packet was taken");
            return None;
        }
        let (packet, behind) = rest.split_at(length);
        let buffered_behind = if at_once { behind.len() } else { 0 };
        match self.machine.on_packet(packet, buffered_behind) {
            Ok((machine, action)) => {
                self.machine = machine;
                self.follow(&action, packet, buffered_behind).then_some(behind)
            }
            Err(error) => refused(&error),
        }
    }

    fn direct_tls(&mut self) -> bool {
        let fresh = !self.tls_asked && !self.gss_asked && !self.inside_tls;
        match self.machine.on_direct_tls() {
            Ok((machine, action)) => {
                assert!(fresh && self.local_tls == LocalTls::Offered);
                assert_eq!((action.answer(), &action), (None, &Action::StartDirectTls));
                (self.machine, self.inside_tls) = (machine, true);
                true
            }
            Err(error) => refused::<()>(&error).is_some(),
        }
    }

    /// Demands that an action is due. Returns whether the opening goes on.
    fn follow(&mut self, action: &Action, packet: &[u8], buffered_behind: usize) -> bool {
        match action {
            Action::AcceptTls | Action::RefuseTls => {
                assert!(!self.tls_asked && !self.inside_tls, "TLS was answered before");
                let accepted = *action == Action::AcceptTls;
                assert_eq!(accepted, self.local_tls == LocalTls::Offered);
                assert_eq!(action.answer(), Some(if accepted { b'S' } else { b'N' }));
                (self.tls_asked, self.inside_tls) = (true, accepted);
            }
            Action::RefuseGss => {
                assert!(!self.gss_asked && !self.inside_tls, "GSS was answered before");
                assert_eq!(action.answer(), Some(b'N'));
                self.gss_asked = true;
            }
            Action::StartDirectTls => panic!("a packet is no TLS handshake"),
            Action::Finish(outcome) => {
                assert_eq!(action.answer(), None);
                assert_eq!(self.machine, Machine::Done);
                assert!(self.machine.on_packet(packet, 0).is_err(), "there is nothing after it");
                assert!(self.machine.on_direct_tls().is_err());
                check_outcome(outcome, packet);
                return false;
            }
        }
        assert_eq!(buffered_behind, 0, "bytes stuffed behind a request were let through");
        true
    }
}

/// What the application is told of an error is a whole error with the same code.
fn refused<T>(error: &StartupError) -> Option<T> {
    let encoded = error.report().encode();
    let raw = Raw { tag: encoded[0], body: encoded.slice(5..) };
    let Ok(BackendMessage::Error(fields)) = BackendMessage::decode(&raw) else {
        panic!("{error} is told as something else");
    };
    assert_eq!(fields.severity(), Some(Severity::Fatal));
    assert_eq!(fields.sql_state(), Some(error.sql_state()));
    None
}

fn check_outcome(outcome: &Outcome, packet: &[u8]) {
    match outcome {
        Outcome::Cancel(key) => check_cancel(key, packet),
        Outcome::Startup(message) => {
            assert_eq!(write(message), packet, "a startup packet that reads as another one");
            assert!(!message.user().is_empty() && !message.database().is_empty());
            assert!(message.effective_version() <= ProtocolVersion::NEWEST);
            check_negotiation(message);
            check_for_backend(message);
        }
    }
}

fn check_cancel(key: &CancelKey, packet: &[u8]) {
    assert_eq!(&key.encode_cancel_request()[..], packet);
    assert!(!format!("{key:?}").contains(&format!("{:?}", key.secret())), "the secret is shown");
}

fn write(message: &StartupMessage) -> Vec<u8> {
    let mut body = message.version.code().to_be_bytes().to_vec();
    for (name, value) in &message.parameters {
        body.extend([&name[..], &[0], &value[..], &[0]].concat());
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).expect("a short packet");
    [&length.to_be_bytes(), &body[..]].concat()
}

fn check_negotiation(message: &StartupMessage) {
    let options = message.protocol_options().count();
    let Some(negotiation) = message.negotiate() else {
        assert!(options == 0 && message.version <= ProtocolVersion::NEWEST);
        return;
    };
    let NegotiateProtocolVersion { version, unrecognized_options } = &negotiation;
    assert_eq!((*version, unrecognized_options.len()), (message.effective_version(), options));
    let mut encoded = negotiation.encode();
    assert_eq!(encoded.get_u8(), b'v');
    assert_eq!(encoded.get_u32() as usize, encoded.len() + 4);
    assert_eq!(encoded.get_u32(), version.code());
    assert_eq!(encoded.get_u32() as usize, options);
    let named: Vec<u8> =
        unrecognized_options.iter().flat_map(|name| [name, &[0][..]].concat()).collect();
    assert_eq!(&encoded[..], named);
}

/// The database is asked for the same session as another user, and for nothing else.
fn check_for_backend(message: &StartupMessage) {
    let packet = message.for_backend(b"swapped", None).expect("no zero byte in it");
    let machine = Machine::new(LocalTls::NotOffered);
    if packet.len() > PACKET_BODY_MAX + 4 {
        // A name that was short may have become longer: the database refuses that, not we.
        return;
    }
    let Ok((_, Action::Finish(Outcome::Startup(theirs)))) = machine.on_packet(&packet, 0) else {
        panic!("the database would not understand {packet:?}");
    };
    assert_eq!((theirs.user(), theirs.database()), (&b"swapped"[..], message.database()));
    assert_eq!(theirs.version, ProtocolVersion::V3_0);
    assert_eq!(theirs.negotiate(), None);
    assert_eq!(theirs.replication(), message.replication());
    assert_eq!(settings(&theirs), settings(message));
}

fn settings(message: &StartupMessage) -> Vec<&(Bytes, Bytes)> {
    let swapped = |name: &Bytes| matches!(&name[..], b"user" | b"database");
    let ours = |name: &Bytes| swapped(name) || name.starts_with(b"_pq_.");
    message.parameters.iter().filter(|(name, _)| !ours(name)).collect()
}
