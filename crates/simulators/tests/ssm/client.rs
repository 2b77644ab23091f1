//! A client of the data channel, as small as one can be that keeps every rule.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use pgferry_simulators::{
    Aws,
    sigv4::{Credentials, Request, sign},
};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest as _,
        http::{HeaderName, HeaderValue},
    },
};

use crate::{
    calls::Opening,
    wire::{Received, SentMessage, acknowledgement, read, write},
};

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// Something the client has heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A numbered message, in order and acknowledged: payload type and payload.
    Message(u32, Vec<u8>),
    /// The agent's receipt for a message.
    Receipt(i64),
    /// One of the service's own messages, with its `Output` if it has one.
    Control(String, String),
    /// The end of the `WebSocket`, with code and reason if it came with a close frame.
    End(Option<(u16, String)>),
}

pub(crate) struct Client {
    pub(crate) socket: Socket,
    pub(crate) next: i64,
    /// Whether what is heard gets its receipt.
    pub(crate) acknowledges: bool,
    expected: i64,
    early: BTreeMap<i64, Received>,
    unacknowledged: BTreeMap<i64, Vec<u8>>,
    /// smux bytes that are no whole frame yet.
    rest: Vec<u8>,
}

/// Who signs a `WebSocket`, and for what.
pub(crate) struct Signature<'a> {
    pub(crate) credentials: &'a Credentials,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// Dials; the error is the HTTP status.
pub(crate) async fn dial(
    aws: &Aws,
    url: &str,
    signature: Option<Signature<'_>>,
) -> Result<Socket, u16> {
    let mut request = url.into_client_request().unwrap();
    if let Some(Signature { credentials, region, service }) = signature {
        let mut signed = Request {
            method: "GET".to_owned(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: vec![("host".to_owned(), aws.address().to_string())],
            body: Vec::new(),
        };
        sign(&mut signed, credentials, region, service, aws.clock().now());
        for (name, value) in signed.headers.into_iter().skip(1) {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, HeaderValue::from_str(&value).unwrap());
        }
    }
    let stream = TcpStream::connect(aws.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    match timeout(LIMIT, client_async(request, stream)).await.unwrap() {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

pub(crate) async fn dial_signed(aws: &Aws, url: &str) -> Result<Socket, u16> {
    let (credentials, region) = (aws.credentials(), aws.region());
    let service = "ssmmessages";
    dial(aws, url, Some(Signature { credentials, region, service })).await
}

/// The first message on a `WebSocket`.
pub(crate) fn open_message(token: &str) -> Value {
    json!({
        "MessageSchemaVersion": "1.0",
        "RequestId": "5f5c4c5e-2f3c-4a43-9c35-1f0d3f3a1c11",
        "TokenValue": token,
        "ClientId": "d4a1c5a0-66b4-4c1e-8a3c-0a0a0a0a0a0a",
        "ClientVersion": "1.2.764.0",
    })
}

impl Client {
    pub(crate) fn new(socket: Socket) -> Self {
        let (next, expected, acknowledges) = (0, 0, true);
        let (early, unacknowledged) = (BTreeMap::new(), BTreeMap::new());
        Self { socket, next, acknowledges, expected, early, unacknowledged, rest: Vec::new() }
    }

    /// Dials and shows the token.
    pub(crate) async fn open(aws: &Aws, opening: &Opening) -> Self {
        let mut client = Self::new(dial_signed(aws, &opening.url).await.unwrap());
        client.show(&opening.token).await;
        client
    }

    /// As [`Self::open`], up to the end of the handshake.
    pub(crate) async fn connect(aws: &Aws, opening: &Opening) -> Self {
        let mut client = Self::open(aws, opening).await;
        client.shake().await;
        client
    }

    /// Goes on over another `WebSocket`.
    pub(crate) async fn resume(&mut self, aws: &Aws, opening: &Opening) {
        self.socket = dial_signed(aws, &opening.url).await.unwrap();
        self.show(&opening.token).await;
        self.repeat().await;
    }

    async fn show(&mut self, token: &str) {
        let text = open_message(token).to_string();
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn shake(&mut self) {
        let request = self.message(5).await;
        let request: Value = serde_json::from_slice(&request).unwrap();
        assert_eq!(request["RequestedClientActions"][0]["ActionType"], "SessionType");
        self.send(6, response("1.2.764.0", 1).to_string().as_bytes()).await;
        let complete = self.message(7).await;
        let complete: Value = serde_json::from_slice(&complete).unwrap();
        assert_eq!(complete["CustomerMessage"], "");
    }

    /// Sends the next numbered message.
    pub(crate) async fn send(&mut self, payload_type: u32, payload: &[u8]) {
        let frame = write(&SentMessage { sequence: self.next, payload_type, payload });
        self.unacknowledged.insert(self.next, frame.clone());
        self.next += 1;
        self.raw(frame).await;
    }

    /// Sends these bytes as they are.
    pub(crate) async fn raw(&mut self, frame: Vec<u8>) {
        // A WebSocket that has ended is found out by reading.
        self.socket.send(Message::binary(frame)).await.ok();
    }

    /// Sends data, cut into messages.
    pub(crate) async fn data(&mut self, data: &[u8]) {
        for chunk in data.chunks(1024) {
            self.send(1, chunk).await;
        }
    }

    /// What the next answer to a ping says, whatever comes before it.
    pub(crate) async fn pong(&mut self) -> String {
        let found = async {
            loop {
                if let Message::Pong(text) = self.socket.next().await.unwrap().unwrap() {
                    return String::from_utf8(text.to_vec()).unwrap();
                }
            }
        };
        timeout(LIMIT, found).await.unwrap()
    }

    /// How many messages have no receipt yet.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.unacknowledged.len()
    }

    /// Sends everything again that has no receipt.
    async fn repeat(&mut self) {
        for frame in self.unacknowledged.values().cloned().collect::<Vec<_>>() {
            self.raw(frame).await;
        }
    }

    /// What comes next. What is late is repeated meanwhile.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            if let Some(message) = self.early.remove(&self.expected) {
                self.expected += 1;
                return Event::Message(message.payload_type, message.payload);
            }
            let soon = timeout(Duration::from_millis(300), self.socket.next());
            let Ok(frame) = soon.await else {
                self.repeat().await;
                continue;
            };
            match frame {
                Some(Ok(Message::Binary(frame))) => {
                    if let Some(event) = self.take(read(&frame)).await {
                        return event;
                    }
                }
                Some(Ok(Message::Close(close))) => {
                    let close = close.map(|it| (it.code.into(), it.reason.to_string()));
                    return Event::End(close);
                }
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return Event::End(None),
            }
        }
    }

    async fn take(&mut self, received: Received) -> Option<Event> {
        match received.kind.as_str() {
            "acknowledge" => {
                let receipt: Value = serde_json::from_slice(&received.payload).unwrap();
                let number = receipt["AcknowledgedMessageSequenceNumber"].as_i64().unwrap();
                self.unacknowledged.remove(&number);
                Some(Event::Receipt(number))
            }
            "output_stream_data" => {
                if self.acknowledges {
                    let frame = acknowledgement(&received);
                    self.raw(frame).await;
                }
                if received.sequence >= self.expected {
                    self.early.insert(received.sequence, received);
                }
                None
            }
            _ => {
                let content: Option<Value> = serde_json::from_slice(&received.payload).ok();
                let output = content.and_then(|it| it["Output"].as_str().map(str::to_owned));
                Some(Event::Control(received.kind, output.unwrap_or_default()))
            }
        }
    }

    /// The next event that is no receipt.
    pub(crate) async fn event(&mut self) -> Event {
        let found = async {
            loop {
                match self.next().await {
                    Event::Receipt(_) => {}
                    event => return event,
                }
            }
        };
        timeout(LIMIT, found).await.unwrap()
    }

    /// The payload of the next numbered message, which has to be of this type.
    pub(crate) async fn message(&mut self, payload_type: u32) -> Vec<u8> {
        match self.event().await {
            Event::Message(found, payload) if found == payload_type => payload,
            other => panic!("{other:?} instead of payload type {payload_type}"),
        }
    }

    /// The next smux frame: command, stream and data.
    pub(crate) async fn frame(&mut self) -> (u8, u32, Vec<u8>) {
        loop {
            if let Some((header, rest)) = self.rest.split_at_checked(8) {
                let length = usize::from(u16::from_le_bytes([header[2], header[3]]));
                let stream = u32::from_le_bytes(header[4..8].try_into().unwrap());
                let (version, command) = (header[0], header[1]);
                assert_eq!(version, 1);
                if let Some((data, rest)) = rest.split_at_checked(length) {
                    let (data, rest) = (data.to_vec(), rest.to_vec());
                    self.rest = rest;
                    return (command, stream, data);
                }
            }
            let more = self.message(1).await;
            self.rest.extend(more);
        }
    }

    /// Reads `length` bytes of data on `stream`, which nothing else may interrupt.
    pub(crate) async fn read(&mut self, stream: u32, length: usize) -> Vec<u8> {
        let mut read = Vec::new();
        while read.len() < length {
            let (command, on, data) = self.frame().await;
            assert_eq!((command, on), (PSH, stream));
            read.extend(data);
        }
        read
    }

    /// The words of `channel_closed` and the end behind it.
    pub(crate) async fn closed(&mut self) -> String {
        let words = loop {
            match self.event().await {
                Event::Control(kind, words) if kind == "channel_closed" => break words,
                Event::End(end) => panic!("{end:?} without channel_closed"),
                _ => {}
            }
        };
        assert_eq!(self.event().await, Event::End(Some((1000, String::new()))));
        words
    }
}

/// A handshake response.
pub(crate) fn response(version: &str, status: u8) -> Value {
    json!({
        "ClientVersion": version,
        "ProcessedClientActions": [{
            "ActionType": "SessionType", "ActionStatus": status, "ActionResult": null,
            "Error": if status == 1 { "" } else { "not today" },
        }],
        "Errors": null,
    })
}

/// A smux frame.
pub(crate) fn frame(command: u8, stream: u32, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![1, command];
    frame.extend(u16::try_from(data.len()).unwrap().to_le_bytes());
    frame.extend(stream.to_le_bytes());
    frame.extend(data);
    frame
}

pub(crate) const SYN: u8 = 0;
pub(crate) const FIN: u8 = 1;
pub(crate) const PSH: u8 = 2;
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
