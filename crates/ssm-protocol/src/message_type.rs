/// What a message is for. Only the two stream types are numbered, acknowledged and repeated.
///
/// Source: `message/clientmessage.go` of aws/session-manager-plugin, `agent/contracts` of aws/amazon-ssm-agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// From client to agent.
    InputStreamData,
    /// From agent to client.
    OutputStreamData,
    /// Receipt of one stream message, in both directions.
    Acknowledge,
    /// The service: the session is over, and why.
    ChannelClosed,
    /// The service: sending may go on.
    StartPublication,
    /// The service: send no new data.
    PausePublication,
    /// From agent to service. A client sees it only if the service relays it by mistake.
    AgentSessionState,
    /// A name of a later version: to be ignored.
    Other(String),
}

impl MessageType {
    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::InputStreamData => "input_stream_data",
            Self::OutputStreamData => "output_stream_data",
            Self::Acknowledge => "acknowledge",
            Self::ChannelClosed => "channel_closed",
            Self::StartPublication => "start_publication",
            Self::PausePublication => "pause_publication",
            Self::AgentSessionState => "agent_session_state",
            Self::Other(name) => name,
        }
    }

    /// Whether the digest of its payload can be relied on. The service makes its own messages in an older layout, and has been
    /// seen to leave their digest empty.
    pub(crate) fn has_digest(&self) -> bool {
        matches!(self, Self::InputStreamData | Self::OutputStreamData | Self::Acknowledge)
    }
}

impl From<&str> for MessageType {
    fn from(name: &str) -> Self {
        match name {
            "input_stream_data" => Self::InputStreamData,
            "output_stream_data" => Self::OutputStreamData,
            "acknowledge" => Self::Acknowledge,
            "channel_closed" => Self::ChannelClosed,
            "start_publication" => Self::StartPublication,
            "pause_publication" => Self::PausePublication,
            "agent_session_state" => Self::AgentSessionState,
            other => Self::Other(other.to_owned()),
        }
    }
}
