//! Who is turned away, and in which words.

use futures_util::SinkExt as _;
use pgferry_simulators::{Aws, ManagedInstance, sigv4::Credentials};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    calls::{INSTANCE, aws, error, remote, resume, start},
    client::{Client, Event, Signature, Socket, dial, dial_signed, open_message},
};

fn session(aws: &Aws) -> crate::calls::Opening {
    start(aws, &remote("127.0.0.1", 5432))
}

/// Sends this as first message and returns code and reason of the end.
async fn turned_away(socket: Socket, first: Message) -> (u16, String) {
    let mut client = Client::new(socket);
    client.socket.send(first).await.unwrap();
    match client.event().await {
        Event::End(Some(end)) => end,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_websocket_without_the_right_signature_is_refused() {
    let aws = aws();
    let url = session(&aws).url;
    let credentials = aws.credentials();
    let nobody = aws.add_user("nobody", &["ssm:*"]);
    for signature in [
        None,
        Some(Signature { credentials, region: "eu-west-1", service: "ssmmessages" }),
        Some(Signature { credentials, region: "us-east-1", service: "ssm" }),
        Some(Signature { credentials: &nobody, region: "us-east-1", service: "ssmmessages" }),
    ] {
        assert_eq!(dial(&aws, &url, signature).await.err(), Some(403));
    }
    let errors: Vec<_> = aws.calls().into_iter().skip(1).map(|call| call.error.unwrap()).collect();
    assert_eq!(
        errors,
        [
            "MissingAuthenticationTokenException",
            "InvalidSignatureException",
            "InvalidSignatureException",
            "AccessDeniedException"
        ]
    );
    assert!(dial_signed(&aws, &url).await.is_ok());
}

#[tokio::test]
async fn a_stream_address_is_taken_as_given_or_not_at_all() {
    let aws = aws();
    let opening = session(&aws);
    let (path, query) = opening.url.split_once('?').unwrap();
    assert!(query.contains("cell-number="));
    for wrong in [path.to_owned(), format!("{path}?role=publish_subscribe")] {
        assert_eq!(dial_signed(&aws, &wrong).await.err(), Some(400), "{wrong}");
    }
    let other = opening.url.replace(&opening.id, "nobody-0");
    assert_eq!(dial_signed(&aws, &other).await.err(), Some(404));
}

#[tokio::test]
async fn a_presigned_address_is_dialled_without_another_signature() {
    let aws = aws();
    aws.session_manager().presign_streams(true);
    let opening = session(&aws);
    assert_eq!(dial_signed(&aws, &opening.url).await.err(), Some(400));
    let altered = opening.url.replace("X-Amz-Signature=", "X-Amz-Signature=0");
    assert_eq!(dial(&aws, &altered, None).await.err(), Some(403));
    let socket = dial(&aws, &opening.url, None).await.unwrap();
    let end = turned_away(socket, Message::text(open_message("x").to_string())).await;
    assert_eq!(end.1, "OpenDataChannel: the token is not the session's");
    aws.clock().advance(std::time::Duration::from_secs(301));
    assert_eq!(dial(&aws, &opening.url, None).await.err(), Some(403));
}

#[tokio::test]
async fn a_token_is_good_for_one_websocket_of_its_own_session_soon() {
    let aws = aws();
    let first = session(&aws);
    let second = session(&aws);
    let shown = async |url: &str, token: &str| {
        let socket = dial_signed(&aws, url).await.unwrap();
        turned_away(socket, Message::text(open_message(token).to_string())).await
    };
    let refused = |reason: &str| (1008, format!("OpenDataChannel: {reason}"));
    assert_eq!(shown(&first.url, &second.token).await, refused("the token is not the session's"));
    Client::connect(&aws, &first).await;
    assert_eq!(shown(&first.url, &first.token).await, refused("the token was used already"));
    let third = resume(&aws, &first.id);
    let fourth = resume(&aws, &first.id);
    assert_eq!(shown(&first.url, &third.token).await, refused("a newer token was given out"));
    aws.clock().advance(std::time::Duration::from_secs(61));
    assert_eq!(shown(&first.url, &fourth.token).await, refused("the token has expired"));
    let rules: Vec<_> =
        aws.session_manager().breaches().into_iter().map(|breach| breach.rule).collect();
    assert_eq!(rules.len(), 3, "{rules:?}");
}

#[tokio::test]
async fn a_session_belongs_to_the_client_that_came_first() {
    let aws = aws();
    let opening = session(&aws);
    Client::connect(&aws, &opening).await;
    let mut other = open_message(&resume(&aws, &opening.id).token);
    other["ClientId"] = json!("00000000-66b4-4c1e-8a3c-0a0a0a0a0a0a");
    let socket = dial_signed(&aws, &opening.url).await.unwrap();
    let end = turned_away(socket, Message::text(other.to_string())).await;
    let reason = "OpenDataChannel: the client's id is not the one it came with first";
    assert_eq!(end, (1008, reason.to_owned()));
}

#[tokio::test]
async fn temporary_keys_are_shown_with_their_token() {
    let aws = aws();
    let credentials =
        aws.add_session("Ferry", std::time::Duration::from_hours(1), &["ssm:*", "ssmmessages:*"]);
    let request = remote("127.0.0.1", 5432);
    let (status, body) = crate::calls::call(&aws, &credentials, "StartSession", &request);
    assert_eq!(status, 200, "{body}");
    assert!(body["SessionId"].as_str().unwrap().starts_with("test-"), "{body}");
    let url = body["StreamUrl"].as_str().unwrap();
    let dialled = async |credentials: &Credentials| {
        let signature = Signature { credentials, region: "us-east-1", service: "ssmmessages" };
        dial(&aws, url, Some(signature)).await.err()
    };
    assert_eq!(dialled(&credentials).await, None);
    let without = Credentials { session_token: None, ..credentials.clone() };
    assert_eq!(dialled(&without).await, Some(403));
}

#[tokio::test]
async fn the_first_message_has_to_open_the_channel() {
    let aws = aws();
    let opening = session(&aws);
    let without = |field: &str| {
        let mut message = open_message(&opening.token);
        message.as_object_mut().unwrap().remove(field);
        Message::text(message.to_string())
    };
    let with = |field: &str, value: &str| {
        let mut message = open_message(&opening.token);
        message[field] = Value::from(value);
        Message::text(message.to_string())
    };
    for (first, reason) in [
        (Message::binary(b"x".to_vec()), "the first message is not a text frame"),
        (Message::text("x"), "no JSON"),
        (without("TokenValue"), "TokenValue is missing"),
        (with("MessageSchemaVersion", "1"), "MessageSchemaVersion is not 1.0"),
        (with("ClientId", "me"), "ClientId is no UUID"),
        (with("ClientVersion", "1.2"), "ClientVersion is not four numbers"),
    ] {
        let socket = dial_signed(&aws, &opening.url).await.unwrap();
        let end = turned_away(socket, first).await;
        assert_eq!(end, (1008, format!("OpenDataChannel: {reason}")));
    }
    Client::connect(&aws, &opening).await;
}

#[test]
fn only_instances_that_are_online_can_be_reached() {
    let aws = aws();
    let sessions = aws.session_manager();
    let refused = |body: &Value| error(&aws, "StartSession", body);
    sessions.offline(INSTANCE);
    let words = format!("{INSTANCE} is not connected.");
    let request = remote("db.internal", 5432);
    assert_eq!(refused(&request), ("TargetNotConnected".to_owned(), words));
    let mut unknown = request.clone();
    unknown["Target"] = json!("i-0ffffffffffffffff");
    assert_eq!(refused(&unknown).0, "TargetNotConnected");
    sessions.boot(INSTANCE);
    start(&aws, &request);
    assert_eq!(sessions.sessions().len(), 1);
}

#[test]
fn wrong_documents_parameters_and_texts_are_refused() {
    let aws = aws();
    let refused = |field: &str, value: Value| {
        let mut request = remote("db.internal", 5432);
        request[field] = value;
        error(&aws, "StartSession", &request).0
    };
    assert_eq!(refused("DocumentName", json!("Corp-Nothing")), "InvalidDocument");
    assert_eq!(refused("Reason", json!("")), "ValidationException");
    assert_eq!(refused("Target", json!("i".repeat(401))), "ValidationException");
    for parameters in [
        json!({"host": "db.internal"}),
        json!({"portNumber": ["0"]}),
        json!({"portNumber": ["5432", "5433"]}),
        json!({"localPortNumber": ["any"]}),
        json!({"localUnixSocket": [""]}),
    ] {
        assert_eq!(refused("Parameters", parameters.clone()), "BadRequest", "{parameters}");
    }
    aws.add_managed_instance(ManagedInstance::new("i-1").agent_version("3.1.1187.0"));
    assert_eq!(refused("Target", json!("i-1")), "BadRequest");
}

#[test]
fn sessions_that_are_over_cannot_be_resumed() {
    let aws = aws();
    let by_id = |id: &str| json!({"SessionId": id});
    let unknown = error(&aws, "ResumeSession", &by_id("nobody-0"));
    assert_eq!(unknown.0, "DoesNotExistException");
    let (first, second) = (session(&aws), session(&aws));
    aws.session_manager().expire_session(&first.id);
    let reply = crate::calls::call(&aws, aws.credentials(), "ResumeSession", &by_id(&first.id));
    assert_eq!(reply, (200, json!({"SessionId": first.id})));
    let ended = crate::calls::call(&aws, aws.credentials(), "TerminateSession", &by_id(&second.id));
    assert_eq!(ended, (200, json!({"SessionId": second.id})));
    assert_eq!(error(&aws, "ResumeSession", &by_id(&second.id)).0, "DoesNotExistException");
}

#[tokio::test]
async fn names_and_addresses_that_agents_refuse_close_the_channel() {
    let aws = aws();
    aws.session_manager().forbid("10.0.0.2".parse().unwrap());
    for (host, words) in [
        ("db.internal", "lookup db.internal: no such host"),
        ("169.254.169.254", "Forwarding to IP address 169.254.169.254 is forbidden."),
        ("10.0.0.2", "Forwarding to IP address 10.0.0.2 is forbidden."),
    ] {
        let opening = start(&aws, &remote(host, 5432));
        let mut client = Client::connect(&aws, &opening).await;
        assert_eq!(client.closed().await, words);
    }
}

#[tokio::test]
async fn agents_without_ports_and_agents_that_want_kms_end_the_session() {
    let aws = aws();
    aws.add_managed_instance(ManagedInstance::new("i-1").agent_version("2.3.612.0"));
    aws.add_managed_instance(ManagedInstance::new("i-2").asks_for_kms());
    let own_port = |target: &str| {
        let document = "AWS-StartPortForwardingSession";
        let parameters = json!({"portNumber": ["5432"]});
        start(&aws, &json!({"Target": target, "DocumentName": document, "Parameters": parameters}))
    };
    let mut client = Client::open(&aws, &own_port("i-1")).await;
    let words = "Plugin with name Port is not supported by this version of ssm agent!";
    assert_eq!(client.closed().await, words);
    let mut client = Client::open(&aws, &own_port("i-2")).await;
    let request: Value = serde_json::from_slice(&client.message(5).await).unwrap();
    assert_eq!(request["RequestedClientActions"][1]["ActionType"], "KMSEncryption");
    let mut response = crate::client::response("1.2.764.0", 1);
    let refusal = json!({"ActionType": "KMSEncryption", "ActionStatus": 3, "Error": "no KMS"});
    response["ProcessedClientActions"].as_array_mut().unwrap().push(refusal);
    client.send(6, response.to_string().as_bytes()).await;
    assert_eq!(client.closed().await, "Failed to process action KMSEncryption: no KMS");
}
