/// What the payload of a stream message is.
///
/// Source: `message/messageparser.go` of aws/session-manager-plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadType {
    /// Of messages outside the stream, and of those with the older header, which has no such field.
    None,
    /// Data, in both directions.
    Output,
    /// Text of an error.
    Error,
    /// Size of a terminal.
    Size,
    /// Parameters of a session.
    Parameter,
    /// The agent's opening.
    HandshakeRequest,
    /// The client's answer.
    HandshakeResponse,
    /// The agent: data may flow.
    HandshakeComplete,
    /// Proof of the encryption key, the agent's half.
    EncChallengeRequest,
    /// Proof of the encryption key, the client's half.
    EncChallengeResponse,
    /// A number with a meaning of its own, see [`Flag`](crate::Flag).
    Flag,
    /// What a command wrote to stderr.
    StdErr,
    /// How a command ended.
    ExitCode,
    /// Of a later version: acknowledged and ignored.
    Other(u32),
}

/// The numbers from 0 on, in order.
const NUMBERED: [PayloadType; 13] = [
    PayloadType::None,
    PayloadType::Output,
    PayloadType::Error,
    PayloadType::Size,
    PayloadType::Parameter,
    PayloadType::HandshakeRequest,
    PayloadType::HandshakeResponse,
    PayloadType::HandshakeComplete,
    PayloadType::EncChallengeRequest,
    PayloadType::EncChallengeResponse,
    PayloadType::Flag,
    PayloadType::StdErr,
    PayloadType::ExitCode,
];

impl From<u32> for PayloadType {
    fn from(number: u32) -> Self {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        NUMBERED.get(index).copied().unwrap_or(Self::Other(number))
    }
}

impl From<PayloadType> for u32 {
    fn from(kind: PayloadType) -> Self {
        if let PayloadType::Other(number) = kind {
            return number;
        }
        NUMBERED.iter().zip(0..).find(|(known, _)| **known == kind).map_or(0, |(_, number)| number)
    }
}
