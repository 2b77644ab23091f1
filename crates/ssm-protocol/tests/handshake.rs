//! The client's half of the opening conversation, against what agents say.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use bytes::Bytes;
use pgferry_ssm_protocol::{
    Agreement, Handshake, HandshakeError, Mode, PayloadType, Progress, Received, Version,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn received(payload_type: PayloadType, payload: &Value) -> Received {
    Received { payload_type, payload: payload.to_string().into() }
}

fn request(version: &str, actions: &Value) -> Received {
    let payload = json!({ "AgentVersion": version, "RequestedClientActions": actions });
    received(PayloadType::HandshakeRequest, &payload)
}

fn port(properties: &Value) -> Value {
    let parameters = json!({ "SessionType": "Port", "Properties": properties });
    json!({ "ActionType": "SessionType", "ActionParameters": parameters })
}

fn remote_host() -> Value {
    port(&json!({
        "host": "db.example", "portNumber": "5432", "localPortNumber": "0", "type": "LocalPortForwarding",
    }))
}

fn answered(request: &Received) -> (Value, Handshake) {
    match Handshake::new().on_received(request) {
        Progress::Answer { response, next } => (serde_json::from_slice(&response).unwrap(), next),
        other => panic!("{other:?}"),
    }
}

fn refused(request: &Received) -> (Value, HandshakeError) {
    match Handshake::new().on_received(request) {
        Progress::Refuse { response, error } => (serde_json::from_slice(&response).unwrap(), error),
        other => panic!("{other:?}"),
    }
}

fn completed(handshake: Handshake) -> Agreement {
    let payload = json!({ "HandshakeTimeToComplete": 12_345, "CustomerMessage": "be kind" });
    match handshake.on_received(&received(PayloadType::HandshakeComplete, &payload)) {
        Progress::Complete(agreement) => agreement,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_to_a_remote_host_is_answered_and_multiplexed() {
    let (response, next) = answered(&request("3.3.1142.0", &json!([remote_host()])));
    assert_eq!(
        response,
        json!({
            "ClientVersion": "1.2.764.0",
            "ProcessedClientActions": [
                { "ActionType": "SessionType", "ActionStatus": 1, "ActionResult": null, "Error": "" }
            ],
            "Errors": null,
        })
    );
    let agreement = completed(next);
    assert_eq!(agreement.mode, Mode::Mux);
    assert_eq!(agreement.host.as_deref(), Some("db.example"));
    assert_eq!(agreement.port.as_deref(), Some("5432"));
    assert_eq!(agreement.customer_message, "be kind");
    assert_eq!(agreement.agent_version, Version([3, 3, 1142, 0]));
}

#[test]
fn a_session_without_a_type_is_raw_with_agents_of_any_age() {
    let action = port(&json!({ "portNumber": "22" }));
    let (_, next) = answered(&request("2.3.700.0", &json!([action])));
    let agreement = completed(next);
    assert_eq!((agreement.mode, agreement.host), (Mode::Raw, None));
}

#[test]
fn an_agent_that_would_send_keep_alives_is_refused_in_words() {
    let (response, error) = refused(&request("3.1.1511.0", &json!([remote_host()])));
    assert_eq!(response["ProcessedClientActions"][0]["ActionStatus"], 2);
    let said = "SSM agent 3.1.1511.0 is too old; update it to one above 3.1.1511.0";
    assert_eq!(error.to_string(), said);
    assert_eq!(response["Errors"], json!([said]));
}

#[test]
fn encryption_is_refused_as_unsupported_beside_what_is_supported() {
    let parameters = json!({ "KMSKeyId": "arn:aws:kms:…", "Challenge": "" });
    let kms = json!({ "ActionType": "KMSEncryption", "ActionParameters": parameters });
    let (response, error) = refused(&request("3.3.1142.0", &json!([kms, remote_host()])));
    let status = |index: usize| response["ProcessedClientActions"][index]["ActionStatus"].clone();
    assert_eq!((status(0), status(1)), (json!(3), json!(1)));
    assert_eq!(error, HandshakeError::Encryption);
    let challenge = received(PayloadType::EncChallengeRequest, &json!({ "Challenge": "AA==" }));
    let progress = Handshake::new().on_received(&challenge);
    assert!(matches!(progress, Progress::Failed(HandshakeError::Encryption)));
}

#[test]
fn every_other_refusal_names_its_reason() {
    let shell = json!({ "ActionType": "SessionType", "ActionParameters": { "SessionType": "Standard_Stream" } });
    let unknown = json!({ "ActionType": "Dance" });
    let unreadable = json!({ "ActionType": "SessionType", "ActionParameters": 7 });
    let cases = [
        (
            request("3.3.0.0", &json!([shell])),
            HandshakeError::SessionType("Standard_Stream".into()),
        ),
        (
            request("3.3.0.0", &json!([remote_host(), unknown])),
            HandshakeError::UnknownAction("Dance".into()),
        ),
        (request("3.3.0.0", &json!([unreadable])), HandshakeError::Unreadable),
        (request("new", &json!([remote_host()])), HandshakeError::AgentVersion("new".into())),
        (request("3.3.0.0", &json!([])), HandshakeError::NoSessionType),
        (request("3.3.0.0", &Value::Null), HandshakeError::NoSessionType),
    ];
    for (request, expected) in cases {
        assert_eq!(refused(&request).1, expected);
    }
}

#[test]
fn messages_out_of_turn_end_it_and_others_do_not() {
    for early in [PayloadType::HandshakeComplete, PayloadType::Output] {
        let progress = Handshake::new().on_received(&received(early, &json!({})));
        assert!(
            matches!(progress, Progress::Failed(HandshakeError::OutOfOrder(kind)) if kind == early)
        );
    }
    let (_, next) = answered(&request("3.3.0.0", &json!([remote_host()])));
    let note = received(PayloadType::Parameter, &json!("x"));
    let Progress::Ignored(next) = next.on_received(&note) else { panic!("not ignored") };
    assert_eq!(completed(next).mode, Mode::Mux);
    let (_, next) = answered(&request("3.3.0.0", &json!([remote_host()])));
    let progress = next.on_received(&request("3.3.0.0", &json!([remote_host()])));
    assert!(matches!(progress, Progress::Failed(HandshakeError::OutOfOrder(_))));
}

proptest! {
    #[test]
    fn no_message_makes_it_panic(kind in 0_u32..14, payload in proptest::collection::vec(any::<u8>(), 0..64)) {
        let received = Received { payload_type: kind.into(), payload: Bytes::from(payload) };
        drop(Handshake::new().on_received(&received));
    }
}
