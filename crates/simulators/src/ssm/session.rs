//! A session: what the service knows of it, and the frames that wait in it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use super::{
    conditions::Conditions,
    disorder::Lane,
    document::Properties,
    message::{Broken, Kind, Message, control, digest, random_id},
    record::{SessionEnd, SessionRecord, SessionState},
};
use crate::{
    aws::principal::random,
    fault_relay::Direction,
    sigv4::{extended, hex},
};

pub(crate) struct Session {
    pub(super) id: String,
    pub(super) properties: Properties,
    pub(super) conditions: Arc<Conditions>,
    state: Mutex<State>,
    /// Changes with the state.
    changes: watch::Sender<()>,
    uplink: mpsc::Sender<Message>,
}

pub(super) struct State {
    pub(super) record: SessionRecord,
    token: Option<Token>,
    used_tokens: Vec<String>,
    /// Those that were never used before a newer one was given out.
    overtaken_tokens: Vec<String>,
    client_id: Option<String>,
    /// Counts the `WebSocket`s; the last one is the client.
    connection: u64,
    downlink: VecDeque<Vec<u8>>,
    towards_agent: Lane<Message>,
    towards_client: Lane<Vec<u8>>,
    agent: Option<AbortHandle>,
    /// Unix seconds of the client's last message, or of the last resumption.
    used: u64,
}

struct Token {
    value: String,
    /// Unix seconds.
    ends: u64,
}

/// Why a `WebSocket` is not let in.
pub(super) enum Refused {
    Breach(Broken),
    /// The client asked for a newer token meanwhile, which it may.
    Overtaken,
}

/// What a `WebSocket` is to write next.
pub(super) enum Next {
    Frame(Vec<u8>),
    Nothing,
    /// A later one took over.
    Superseded,
    /// The session has ended, and everything is written.
    Ended,
}

impl Session {
    pub(super) fn new(
        record: SessionRecord,
        properties: Properties,
        conditions: Arc<Conditions>,
    ) -> (Arc<Self>, mpsc::Receiver<Message>) {
        let (uplink, downstream) = mpsc::channel(UPLINK_ROOM);
        let state = State {
            token: None,
            used_tokens: Vec::new(),
            overtaken_tokens: Vec::new(),
            client_id: None,
            connection: 0,
            downlink: VecDeque::new(),
            towards_agent: Lane::new(1),
            towards_client: Lane::new(2),
            agent: None,
            used: conditions.clock.now(),
            record,
        };
        let id = state.record.id.clone();
        let (state, changes) = (Mutex::new(state), watch::Sender::new(()));
        let session = Self { id, properties, conditions, state, changes, uplink };
        (Arc::new(session), downstream)
    }

    pub(super) fn record(&self) -> SessionRecord {
        self.lock().record.clone()
    }

    /// Applies a change that others may be waiting for.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changes.send_replace(());
        self.conditions.news.tell();
        changed
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    pub(super) fn agent_is(&self, agent: AbortHandle) {
        self.lock().agent = Some(agent);
    }

    /// The agent is gone without a word.
    pub(super) fn lose_agent(&self) {
        if let Some(agent) = self.lock().agent.take() {
            agent.abort();
        }
    }

    /// A token for one `WebSocket`. Those before it are void.
    pub(super) fn new_token(&self) -> String {
        let value = format!("AAEAAR{}/{}+{}=", random(80), random(60), random(40));
        let now = self.conditions.clock.now();
        self.update(|state| {
            state.used = now;
            state.overtaken_tokens.extend(state.token.take().map(|token| token.value));
            state.token = Some(Token { value: value.clone(), ends: now + TOKEN_LIFE });
        });
        value
    }

    /// Lets a `WebSocket` in. Returns its number, or why it is turned away.
    pub(super) fn open(&self, shown: &str, client: &str, version: &str) -> Result<u64, Refused> {
        let now = self.conditions.clock.now();
        self.update(|state| {
            let refused = |reason: &str| Err(Refused::Breach(Broken(reason.to_owned())));
            // Whoever comes late is still told why there is no session.
            if state.record.ended() && state.downlink.is_empty() {
                return refused("the session has ended");
            }
            if state.used_tokens.iter().any(|used| used == shown) {
                return refused("the token was used already");
            }
            if state.overtaken_tokens.iter().any(|token| token == shown) {
                return Err(Refused::Overtaken);
            }
            match state.token.take_if(|token| token.value == shown) {
                None => return refused("the token is not the session's"),
                Some(token) if token.ends <= now => return refused("the token has expired"),
                Some(token) => state.used_tokens.push(token.value),
            }
            if state.client_id.get_or_insert_with(|| client.to_owned()) != client {
                return refused("the client's id is not the one it came with first");
            }
            state.record.client_version = Some(version.to_owned());
            if !state.record.ended() {
                state.record.state = SessionState::Connected;
            }
            state.record.connections += 1;
            state.connection += 1;
            Ok(state.connection)
        })
    }

    /// A `WebSocket` is gone.
    pub(super) fn closed(&self, connection: u64) {
        self.update(|state| {
            if state.connection == connection && state.record.state == SessionState::Connected {
                state.record.state = SessionState::Interrupted;
            }
        });
    }

    pub(super) fn next_frame(&self, connection: u64) -> Next {
        let mut state = self.lock();
        if state.connection != connection {
            return Next::Superseded;
        }
        let frame = state.downlink.pop_front();
        let ended = state.record.ended();
        drop(state);
        match frame {
            Some(frame) => {
                self.changes.send_replace(());
                Next::Frame(frame)
            }
            None if ended => Next::Ended,
            None => Next::Nothing,
        }
    }

    /// From the client towards the agent; what finds no room is lost.
    pub(super) fn to_agent(&self, message: Message) {
        let receipt = message.kind == Kind::Acknowledge;
        let Some(disorder) = self.met(Direction::TowardsBackend, receipt) else { return };
        let now = self.conditions.clock.now();
        let mut state = self.lock();
        if !receipt {
            state.used = now;
            state.record.messages += 1;
        }
        for message in state.towards_agent.pass(message, disorder) {
            self.uplink.try_send(message).ok();
        }
        drop(state);
        self.conditions.news.tell();
    }

    /// From the agent towards the client.
    pub(super) fn to_client(&self, message: &Message) {
        let receipt = message.kind == Kind::Acknowledge;
        let Some(disorder) = self.met(Direction::TowardsFrontend, receipt) else { return };
        let frame = message.write(self.conditions.now());
        let mut state = self.lock();
        for frame in state.towards_client.pass(frame, disorder) {
            if state.downlink.len() < 2 * DOWNLINK_ROOM {
                state.downlink.push_back(frame);
            }
        }
        drop(state);
        self.changes.send_replace(());
    }

    /// Waits until the client has taken enough of what waits for it.
    pub(super) async fn room(&self) {
        let mut changes = self.changes();
        while self.lock().downlink.len() >= DOWNLINK_ROOM {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Sends one of the service's own messages.
    pub(super) fn notify(&self, kind: &str, payload: &[u8], digest: Option<[u8; 32]>) {
        let frame = control(kind, payload, (self.conditions.now(), digest));
        self.update(|state| state.downlink.push_back(frame));
    }

    /// Ends the session; the client is told the agent's words, if there are any.
    pub(super) fn end(&self, end: SessionEnd) {
        if self.lock().record.ended() {
            return;
        }
        if let SessionEnd::Broken(rule) = &end {
            self.conditions.broken(&self.id, Broken(rule.clone()));
        }
        let payload = self.closing_words(end.words());
        let frame =
            control("channel_closed", &payload, (self.conditions.now(), Some(digest(&payload))));
        self.update(|state| {
            state.record.state = SessionState::Ended(end);
            state.downlink.push_back(frame);
        });
        self.lose_agent();
    }

    /// Ends the session if nobody has used it for too long.
    pub(super) fn end_if_idle(&self) {
        let limit = self.conditions.settings().idle_timeout.as_secs();
        if self.lock().used + limit <= self.conditions.clock.now() {
            self.end(SessionEnd::Idle);
        }
    }

    fn closing_words(&self, words: &str) -> Vec<u8> {
        let content = json!({
            "MessageId": random_id().to_string(),
            "CreatedDate": extended(self.conditions.clock.now()),
            "DestinationId": self.id,
            "SessionId": self.id,
            "MessageType": "channel_closed",
            "SchemaVersion": 1,
            "Output": words,
        });
        content.to_string().into_bytes()
    }

    /// The disorder that a message meets; none if it is lost.
    fn met(&self, direction: Direction, receipt: bool) -> Option<super::Disorder> {
        let mut settings = self.conditions.settings();
        let lanes = settings.lanes(direction);
        (!lanes.loses(receipt)).then_some(lanes.disorder)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As the service makes them: whose it is, and 17 digits.
pub(super) fn new_id(owner: &str) -> String {
    let digits: String = hex(&rand::random::<[u8; 9]>()).chars().take(17).collect();
    format!("{owner}-{digits}")
}

/// Seconds.
const TOKEN_LIFE: u64 = 60;
const UPLINK_ROOM: usize = 10_000;
const DOWNLINK_ROOM: usize = 1_000;
