use bytes::Bytes;

/// What a payload of type [`Flag`](crate::PayloadType::Flag) says: a big-endian number.
///
/// Source: `config/config.go` of aws/session-manager-plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Client to agent, in raw sessions alone: the local connection is gone.
    DisconnectToPort,
    /// Client to agent: the end. The agent obeys at once and does not acknowledge it.
    TerminateSession,
    /// Agent to client: the target took no connection. Says not which stream; that stream's FIN follows.
    ConnectToPortError,
    /// Of a later version: to be ignored.
    Other(u32),
}

impl Flag {
    /// Its payload.
    pub fn encode(self) -> Bytes {
        let number: u32 = match self {
            Self::DisconnectToPort => 1,
            Self::TerminateSession => 2,
            Self::ConnectToPortError => 3,
            Self::Other(number) => number,
        };
        Bytes::copy_from_slice(&number.to_be_bytes())
    }

    /// Reads a payload; nothing if it is not four bytes long, which is the peer's fault and no reason to end.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        Some(match u32::from_be_bytes(payload.try_into().ok()?) {
            1 => Self::DisconnectToPort,
            2 => Self::TerminateSession,
            3 => Self::ConnectToPortError,
            other => Self::Other(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_session_is_a_two() {
        assert_eq!(&Flag::TerminateSession.encode()[..], [0, 0, 0, 2]);
    }

    #[test]
    fn every_flag_survives_the_wire_and_other_lengths_are_none() {
        for number in 0..6_u32 {
            let flag = Flag::decode(&number.to_be_bytes()).unwrap();
            assert_eq!(Flag::decode(&flag.encode()), Some(flag));
            assert_eq!(&flag.encode()[..], number.to_be_bytes());
        }
        assert_eq!(Flag::decode(&[0, 0, 2]), None);
        assert_eq!(Flag::decode(&[0; 5]), None);
    }
}
