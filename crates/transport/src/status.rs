//! What became of an open, in the contract's words.

use std::fmt;

use pgferry_transport_abi as abi;

/// How an open, or a stream, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It worked; on a stream: it ended in an orderly way.
    Ok,
    /// The transport's configuration is wrong. Retrying cannot help.
    Config,
    /// The far side did not accept who we are.
    Auth,
    /// The far side knows who we are and refuses.
    Denied,
    /// There is no way to the target at the moment.
    Unreachable,
    /// There may be a way to the target, but it took too long.
    Timeout,
    /// The far side asks for fewer requests.
    Throttled,
    /// The host asked for the end of it.
    Cancelled,
    /// The transport cannot do this, whatever the configuration.
    Unsupported,
    /// The peer broke the protocol that the transport speaks.
    Protocol,
    /// A fault inside the transport.
    Internal,
    /// The transport panicked.
    Panic,
}

impl Status {
    /// Reads a status as a plugin gave it. A code of a later contract is [`Status::Internal`], and
    /// so is a positive one, which no contract has.
    pub(crate) fn from_raw(raw: abi::Status) -> Self {
        CODES.iter().find(|(_, code)| *code == raw).map_or(Self::Internal, |(status, _)| *status)
    }

    /// The number that crosses the border.
    pub(crate) fn raw(self) -> abi::Status {
        CODES
            .iter()
            .find(|(status, _)| *status == self)
            .map_or(abi::Status::INTERNAL, |(_, code)| *code)
    }

    /// One lower-case word, for metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Config => "config",
            Self::Auth => "auth",
            Self::Denied => "denied",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Throttled => "throttled",
            Self::Cancelled => "cancelled",
            Self::Unsupported => "unsupported",
            Self::Protocol => "protocol",
            Self::Internal => "internal",
            Self::Panic => "panic",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

const CODES: [(Status, abi::Status); 12] = [
    (Status::Ok, abi::Status::OK),
    (Status::Config, abi::Status::CONFIG),
    (Status::Auth, abi::Status::AUTH),
    (Status::Denied, abi::Status::DENIED),
    (Status::Unreachable, abi::Status::UNREACHABLE),
    (Status::Timeout, abi::Status::TIMEOUT),
    (Status::Throttled, abi::Status::THROTTLED),
    (Status::Cancelled, abi::Status::CANCELLED),
    (Status::Unsupported, abi::Status::UNSUPPORTED),
    (Status::Protocol, abi::Status::PROTOCOL),
    (Status::Internal, abi::Status::INTERNAL),
    (Status::Panic, abi::Status::PANIC),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_survives_the_border() {
        for (status, _) in CODES {
            assert_eq!(Status::from_raw(status.raw()), status);
        }
    }

    #[test]
    fn a_code_of_a_later_contract_is_an_internal_fault() {
        assert_eq!(Status::from_raw(abi::Status(-99)), Status::Internal);
        assert_eq!(Status::from_raw(abi::Status(7)), Status::Internal);
    }
}
