use std::fmt;

use serde::Serialize;
use uuid::Uuid;

use crate::version::CLIENT_VERSION;

/// The first message on every WebSocket, in a text frame. There is no answer to it.
///
/// Source: `datachannel/streaming.go` and `service/service.go` of aws/session-manager-plugin.
pub struct OpenDataChannel<'a> {
    /// Another one on every dial.
    pub request_id: Uuid,
    /// The same on every dial of this session.
    pub client_id: Uuid,
    /// What `StartSession` or `ResumeSession` gave, for this dial alone. A secret.
    pub token: &'a str,
}

impl OpenDataChannel<'_> {
    /// The text frame. It holds the token: never log it.
    pub fn encode(&self) -> String {
        let wire = Wire {
            message_schema_version: "1.0",
            request_id: self.request_id,
            token_value: self.token,
            client_id: self.client_id,
            client_version: CLIENT_VERSION,
        };
        // Strings always have a JSON form.
        serde_json::to_string(&wire).unwrap_or_default()
    }
}

impl fmt::Debug for OpenDataChannel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenDataChannel")
            .field("request_id", &self.request_id)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    message_schema_version: &'a str,
    request_id: Uuid,
    token_value: &'a str,
    client_id: Uuid,
    client_version: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opening_names_token_client_and_version() {
        let open = OpenDataChannel {
            request_id: Uuid::from_u128(1),
            client_id: Uuid::from_u128(2),
            token: "AAEAA\"x",
        };
        assert_eq!(
            open.encode(),
            r#"{"MessageSchemaVersion":"1.0","RequestId":"00000000-0000-0000-0000-000000000001","TokenValue":"AAEAA\"x","ClientId":"00000000-0000-0000-0000-000000000002","ClientVersion":"1.2.764.0"}"#
        );
        assert!(!format!("{open:?}").contains("AAEAA"), "the token is a secret");
    }
}
