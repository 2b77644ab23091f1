//! The agent at the other end of a session.
//!
//! It does what aws/amazon-ssm-agent 3.3.1142 does, and no more: 1,024 bytes a message, a rest after
//! each, only the oldest message repeated, names resolved once, no half-close.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use outbox::Outbox;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use self::{handshake::Agreed, receiver::Receiver};
use super::{
    inventory::ManagedInstance,
    message::{Broken, FIN, FLAG, Kind, Message, SYN, random_id},
    record::SessionEnd,
    session::Session,
};

mod handshake;
mod inbox;
mod mux;
mod outbox;
mod pen;
mod plain;
mod receiver;
mod smux;
mod streams;
mod target;

/// Serves one session until its end.
pub(super) async fn run(
    session: Arc<Session>,
    uplink: mpsc::Receiver<Message>,
    node: ManagedInstance,
) {
    let channel = Channel { session: session.clone(), outbox: Mutex::new(Outbox::new()) };
    let end = tokio::select! {
        end = channel.repeat() => end,
        end = converse(&channel, uplink, &node) => end.unwrap_or_else(|end| end),
    };
    session.end(end);
}

async fn converse(
    channel: &Channel,
    uplink: mpsc::Receiver<Message>,
    node: &ManagedInstance,
) -> Result<SessionEnd, SessionEnd> {
    if !node.version_is_above([2, 3, 671, 0]) {
        let words = "Plugin with name Port is not supported by this version of ssm agent!";
        return Err(SessionEnd::Failed(words.to_owned()));
    }
    let mut incoming = Receiver::new(channel, uplink);
    let agreed = handshake::shake(channel, &mut incoming, node).await?;
    let session = &channel.session;
    let target = target::resolve(&session.conditions, &session.properties);
    let target = target.map_err(SessionEnd::Failed)?;
    session.update(|state| state.record.resolved = Some(target));
    match agreed {
        Agreed::Multiplexed(keep_alive) => mux::serve(incoming, target, keep_alive).await,
        Agreed::Plain => plain::serve(incoming, target).await,
    }
}

/// The agent's end of the data channel.
struct Channel {
    session: Arc<Session>,
    outbox: Mutex<Outbox>,
}

impl Channel {
    /// Sends the next numbered message.
    fn send(&self, payload_type: u32, payload: Vec<u8>) {
        let message = self.outbox().number(payload_type, payload, Instant::now());
        self.session.to_client(&message);
    }

    fn acknowledge(&self, receipt: Vec<u8>) {
        let (kind, flags, id) = (Kind::Acknowledge, ACKNOWLEDGE_FLAGS, random_id());
        let message = Message { kind, sequence: 0, flags, id, payload_type: 0, payload: receipt };
        self.session.to_client(&message);
    }

    /// Repeats the oldest message without a receipt whenever it is late.
    async fn repeat(&self) -> SessionEnd {
        let mut ticks = interval(Duration::from_millis(100));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(message) = self.outbox().due(Instant::now()) else { continue };
            self.session.update(|state| state.record.repeats += 1);
            self.session.to_client(&message);
        }
    }

    /// Says that a connection to the target could not be made.
    fn refuse_connection(&self) {
        self.send(FLAG, CONNECT_TO_PORT_ERROR.to_be_bytes().to_vec());
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A flag the client sent.
enum Flag {
    DisconnectToPort,
    TerminateSession,
}

impl Flag {
    fn read(payload: &[u8]) -> Result<Self, Broken> {
        match payload {
            [0, 0, 0, 1] => Ok(Self::DisconnectToPort),
            [0, 0, 0, 2] => Ok(Self::TerminateSession),
            other => Err(Broken(format!("flag {other:?}"))),
        }
    }
}

impl From<Broken> for SessionEnd {
    fn from(Broken(rule): Broken) -> Self {
        Self::Broken(rule)
    }
}

const CONNECT_TO_PORT_ERROR: u32 = 3;
const ACKNOWLEDGE_FLAGS: u64 = SYN | FIN;
