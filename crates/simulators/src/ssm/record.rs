//! What tests can see of a session.

use std::net::SocketAddr;

/// A session, as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id.
    pub id: String,
    /// The instance or task it is with.
    pub target: String,
    /// The document it was started with.
    pub document: String,
    /// The host the agent was asked to reach; none for the agent's own.
    pub host: Option<String>,
    /// The port there.
    pub port: u16,
    /// What the client gave as reason.
    pub reason: Option<String>,
    /// Who started it: the ARN.
    pub owner: String,
    /// Where it is in its life.
    pub state: SessionState,
    /// How often `ResumeSession` gave out a token.
    pub resumed: usize,
    /// How many `WebSocket`s it has had.
    pub connections: usize,
    /// What the client says of itself.
    pub client_version: Option<String>,
    /// What the host's name meant to the agent when the session began.
    pub resolved: Option<SocketAddr>,
    /// How many connections the agent was asked to make.
    pub streams: usize,
    /// How many of them are open.
    pub open_streams: usize,
    /// How many numbered messages came from the client, copies included.
    pub messages: u64,
    /// How often the agent repeated a message.
    pub repeats: u64,
}

/// Where a session is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// No `WebSocket` has come yet.
    Waiting,
    /// A `WebSocket` is open.
    Connected,
    /// The last `WebSocket` is gone.
    Interrupted,
    /// It is over.
    Ended(SessionEnd),
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The client set the flag that asks for it.
    Flag,
    /// The client called `TerminateSession`.
    Call,
    /// The client did not use it for longer than the idle timeout.
    Idle,
    /// A test said so.
    Expired,
    /// The agent's one connection has ended.
    TargetClosed,
    /// The agent could not go on, and says why.
    Failed(String),
    /// The client broke this rule of the protocol.
    Broken(String),
}

impl SessionRecord {
    /// Whether it is over.
    pub fn ended(&self) -> bool {
        matches!(self.state, SessionState::Ended(_))
    }
}

impl SessionEnd {
    /// What the client is told.
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Flag | Self::Call | Self::TargetClosed => "",
            Self::Idle | Self::Expired => "Your session timed out due to inactivity.",
            Self::Failed(words) | Self::Broken(words) => words,
        }
    }
}
