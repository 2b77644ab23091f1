use bytes::Bytes;

use crate::handshake_json::{
    Action, Complete, Processed, Properties, Request, Response, SessionType,
};
use crate::incoming::Received;
use crate::payload_type::PayloadType;
use crate::version::Version;

/// The opening conversation, the client's side: the agent asks, we answer, the agent says that data may flow.
///
/// It has no clock: the caller ends it after a while, because an agent that never starts gives no sign. The agent itself
/// waits 15 seconds for the answer. That it is complete does not mean that the target is there: host checks and dialling
/// come after it.
///
/// Source: `datachannel/streaming.go` of aws/session-manager-plugin and `agent/session/datachannel/datachannel.go` of
/// aws/amazon-ssm-agent.
#[derive(Debug, Default)]
pub struct Handshake {
    answered: Option<Agreement>,
}

/// What became of the handshake with a message.
#[derive(Debug)]
pub enum Progress {
    /// Send this as [`PayloadType::HandshakeResponse`], and go on with the next message.
    Answer {
        /// The payload.
        response: Bytes,
        /// What to ask with the next message.
        next: Handshake,
    },
    /// Send this as [`PayloadType::HandshakeResponse`], so that the agent ends the session at once, and give up.
    Refuse {
        /// The payload.
        response: Bytes,
        /// Why.
        error: HandshakeError,
    },
    /// Data may flow.
    Complete(Agreement),
    /// Nothing to do with the handshake: an error's text, a parameter.
    Ignored(Handshake),
    /// There is nobody to answer.
    Failed(HandshakeError),
}

/// What both sides agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// For its [gates](Version).
    pub agent_version: Version,
    /// How data are carried.
    pub mode: Mode,
    /// Where the agent connects to; none is its own host.
    pub host: Option<String>,
    /// The port there.
    pub port: Option<String>,
    /// What the organisation wants to be shown to people. Remote text.
    pub customer_message: String,
}

/// How data are carried in a session of type `Port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// [`smux`](crate::smux), any number of connections. Neither side sends keep-alives.
    Mux,
    /// The bytes of one connection as they are, which the agent has opened already (`AWS-StartSSHSession`).
    Raw,
}

impl Handshake {
    /// Waits for the agent's request.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next message of the stream.
    pub fn on_received(self, received: &Received) -> Progress {
        match (received.payload_type, self.answered) {
            (PayloadType::HandshakeRequest, None) => answer(&received.payload),
            (PayloadType::HandshakeComplete, Some(agreement)) => {
                complete(agreement, &received.payload)
            }
            (PayloadType::EncChallengeRequest, _) => Progress::Failed(HandshakeError::Encryption),
            (
                other @ (PayloadType::HandshakeRequest
                | PayloadType::HandshakeComplete
                | PayloadType::HandshakeResponse
                | PayloadType::EncChallengeResponse
                | PayloadType::Output),
                _,
            ) => Progress::Failed(HandshakeError::OutOfOrder(other)),
            (_, answered) => Progress::Ignored(Self { answered }),
        }
    }
}

/// Why there is no session. All but the last two are settled by another document, target or agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The document's preferences ask for KMS; agents never do for sessions of type `Port`.
    #[error(
        "the agent asks for encryption with a KMS key, which port forwarding does not have; \
         use a session document of type Port"
    )]
    Encryption,
    /// The document is not for port forwarding.
    #[error("the session is of type {0} instead of Port; use a session document of type Port")]
    SessionType(String),
    /// The agent asked for something, but not for a type of session.
    #[error("the agent did not say of what type the session is")]
    NoSessionType,
    /// It would send keep-alives that keep the session alive against the organisation's idle timeout, or carry one connection alone.
    #[error("SSM agent {0} is too old; update it to one above {required}", required = Version::NO_KEEP_ALIVE_ABOVE)]
    AgentTooOld(Version),
    /// It cannot be told what the agent can do.
    #[error("the SSM agent reports no version that can be compared: {0:?}")]
    AgentVersion(String),
    /// The agent asks for something that a later client may know.
    #[error("the SSM agent asks for {0:?}, which is not known here")]
    UnknownAction(String),
    /// The payload is no JSON of the expected shape: the agent's fault.
    #[error("a message of the agent's handshake cannot be read")]
    Unreadable,
    /// The agent's fault.
    #[error("a message of type {0:?} came before its turn in the handshake")]
    OutOfOrder(PayloadType),
}

fn answer(payload: &[u8]) -> Progress {
    let Ok(request) = serde_json::from_slice::<Request>(payload) else {
        return Progress::Failed(HandshakeError::Unreadable);
    };
    let mut processed = Vec::new();
    let mut session = Err(HandshakeError::NoSessionType);
    let mut refused = None;
    for action in request.requested_client_actions.into_iter().flatten().take(MAX_ACTIONS) {
        let name = shortened(&action.action_type);
        match judge(&action, &request.agent_version) {
            Ok(agreement) => {
                session = Ok(agreement);
                processed.push(Processed::success(name));
            }
            Err(error) => {
                processed.push(error.as_answer(name));
                refused.get_or_insert(error);
            }
        }
    }
    // Strings and numbers always have a JSON form.
    let response = serde_json::to_vec(&Response::new(processed)).unwrap_or_default().into();
    match refused.map_or(session, Err) {
        Ok(agreement) => {
            Progress::Answer { response, next: Handshake { answered: Some(agreement) } }
        }
        Err(error) => Progress::Refuse { response, error },
    }
}

fn judge(action: &Action, agent_version: &str) -> Result<Agreement, HandshakeError> {
    match action.action_type.as_str() {
        "SessionType" => agree(action, agent_version),
        "KMSEncryption" => Err(HandshakeError::Encryption),
        other => Err(HandshakeError::UnknownAction(shortened(other))),
    }
}

fn agree(action: &Action, agent_version: &str) -> Result<Agreement, HandshakeError> {
    let session: SessionType = serde_json::from_value(action.action_parameters.clone())
        .map_err(|_| HandshakeError::Unreadable)?;
    if session.session_type != "Port" {
        return Err(HandshakeError::SessionType(shortened(&session.session_type)));
    }
    let agent_version: Version = agent_version
        .parse()
        .map_err(|_| HandshakeError::AgentVersion(shortened(agent_version)))?;
    let Properties { host, port_number, kind } = session.properties.unwrap_or_default();
    let mode = match kind.as_deref() {
        Some("LocalPortForwarding") => Mode::Mux,
        _ => Mode::Raw,
    };
    if mode == Mode::Mux && !(agent_version.can_mux() && agent_version.has_no_keep_alive()) {
        return Err(HandshakeError::AgentTooOld(agent_version));
    }
    let host = host.filter(|host| !host.is_empty());
    let customer_message = String::new();
    Ok(Agreement { agent_version, mode, host, port: port_number, customer_message })
}

fn complete(agreement: Agreement, payload: &[u8]) -> Progress {
    match serde_json::from_slice::<Complete>(payload) {
        Ok(Complete { customer_message }) => {
            let customer_message = shortened(&customer_message.unwrap_or_default());
            Progress::Complete(Agreement { customer_message, ..agreement })
        }
        Err(_) => Progress::Failed(HandshakeError::Unreadable),
    }
}

impl HandshakeError {
    fn as_answer(&self, action_type: String) -> Processed {
        let text = self.to_string();
        match self {
            Self::Encryption | Self::UnknownAction(_) => Processed::unsupported(action_type, text),
            _ => Processed::failed(action_type, text),
        }
    }
}

/// Remote text goes into messages for people.
fn shortened(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

const MAX_ACTIONS: usize = 16;
const MAX_TEXT: usize = 1024;
