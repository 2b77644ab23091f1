use serde::Deserialize;

/// The service's last word on a session.
///
/// Source: `message/clientmessage.go` of aws/session-manager-plugin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ChannelClosed {
    /// The session it is about; empty if the service did not say.
    #[serde(default)]
    pub session_id: String,
    /// Why, in words for people; empty if the service gave none. It is remote text: quote it, do not trust it.
    #[serde(default)]
    pub output: String,
}

impl ChannelClosed {
    /// Longest reason that is kept, in bytes.
    pub const MAX_OUTPUT: usize = 4096;

    /// Reads a payload. One that cannot be read still says that the session is over, so this cannot fail:
    /// text that is no JSON becomes the reason.
    pub fn decode(payload: &[u8]) -> Self {
        let mut closed: Self = serde_json::from_slice(payload).unwrap_or_else(|_| Self {
            session_id: String::new(),
            output: String::from_utf8_lossy(payload).into_owned(),
        });
        let end = closed.output.floor_char_boundary(Self::MAX_OUTPUT);
        closed.output.truncate(end);
        closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_read_from_the_services_message() {
        let text = br#"{"MessageId":"x","CreatedDate":"now","DestinationId":"d","SessionId":"jo-1","MessageType":"channel_closed","SchemaVersion":1,"Output":"Plugin with name Port is not supported"}"#;
        let closed = ChannelClosed::decode(text);
        assert_eq!(closed.session_id, "jo-1");
        assert_eq!(closed.output, "Plugin with name Port is not supported");
    }

    #[test]
    fn a_message_that_is_no_json_is_the_reason_itself() {
        assert_eq!(ChannelClosed::decode(b"gone\xff").output, "gone\u{fffd}");
        assert_eq!(ChannelClosed::decode(b"{}").output, "");
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let text = format!("x{}", "é".repeat(5000));
        let output = ChannelClosed::decode(text.as_bytes()).output;
        assert_eq!(output.len(), 4095);
        assert!(output.ends_with('é'));
    }
}
