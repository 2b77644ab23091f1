//! The data channel's `WebSocket`, from its request to its end.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::HeaderValue,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message as Frame, Utf8Bytes,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig},
    },
};

use super::{
    conditions::{Conditions, Cut, How},
    message::{Broken, Kind, Message, OUTPUT},
    record::SessionEnd,
    session::{Next, Refused, Session},
    version::Version,
};
use crate::aws::server::Stream;

type Socket = WebSocketStream<Stream>;

/// Answers the request and serves the `WebSocket` that comes of it.
pub(crate) fn accept(
    session: Arc<Session>,
    key: &str,
    upgrade: OnUpgrade,
) -> Response<Full<Bytes>> {
    tokio::spawn(async move {
        if let Some(socket) = upgrade.await.ok().and_then(opened) {
            serve(socket.await, &session).await;
        }
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("connection", HeaderValue::from_static("Upgrade"));
    headers.insert("upgrade", HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert("sec-websocket-accept", accept);
    }
    response
}

fn opened(upgraded: Upgraded) -> Option<impl Future<Output = Socket>> {
    let parts = upgraded.downcast::<TokioIo<Stream>>().ok()?;
    let (stream, read) = (parts.io.into_inner(), parts.read_buf.to_vec());
    tcp(&stream).set_nodelay(true).ok();
    // Each read clears its buffer first, however little comes.
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
    Some(WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config)))
}

fn tcp(stream: &Stream) -> &TcpStream {
    match stream {
        Stream::Left(stream) => stream,
        Stream::Right(stream) => stream.get_ref().0,
    }
}

/// How a `WebSocket` ends.
enum End {
    /// With a close frame.
    Close(u16, String),
    Reset,
    /// The client has ended it, or a later one took over.
    Gone,
}

async fn serve(socket: Socket, session: &Session) {
    let conditions = &session.conditions;
    let mut cut = conditions.cut.subscribe();
    cut.mark_unchanged();
    let (mut writer, mut reader) = socket.split();
    let end = tokio::select! {
        end = converse(&mut reader, &mut writer, session) => end,
        Ok(()) = cut.changed() => ordered(&cut.borrow()),
    };
    match end {
        End::Reset => {
            if let Ok(socket) = reader.reunite(writer) {
                tcp(socket.get_ref()).set_zero_linger().ok();
            }
        }
        End::Close(code, reason) => {
            let close = CloseFrame { code: code.into(), reason: Utf8Bytes::from(reason) };
            let goodbye = async {
                writer.send(Frame::Close(Some(close))).await.ok();
                // The client's answer, so that what was sent last is not lost in a reset.
                while let Some(Ok(_)) = reader.next().await {}
            };
            timeout(GOODBYE, goodbye).await.ok();
        }
        End::Gone => {}
    }
}

fn ordered(cut: &Cut) -> End {
    match &cut.how {
        How::Close(code, reason) => End::Close(*code, reason.clone()),
        How::Reset => End::Reset,
    }
}

async fn converse(
    reader: &mut SplitStream<Socket>,
    writer: &mut SplitSink<Socket, Frame>,
    session: &Session,
) -> End {
    let mut hole = session.conditions.hole.subscribe();
    let opened = match timeout(OPEN_LIMIT, read(reader, &mut hole)).await {
        Ok(Some(frame)) => open(&frame, session),
        Ok(None) => return End::Gone,
        Err(_) => Err(Refused::Breach(Broken("it did not come".to_owned()))),
    };
    let connection = match opened {
        Ok(connection) => connection,
        Err(Refused::Breach(Broken(reason))) => {
            let words = format!("OpenDataChannel: {reason}");
            session.conditions.broken(&session.id, Broken(words.clone()));
            return End::Close(POLICY, words);
        }
        Err(Refused::Overtaken) => {
            let words = "OpenDataChannel: a newer token was given out";
            return End::Close(POLICY, words.to_owned());
        }
    };
    let _connected = Connected { session, connection };
    tokio::select! {
        end = receive(reader, &mut hole, session) => end,
        end = send(writer, session, connection) => end,
    }
}

/// Tells the session when its client is gone.
struct Connected<'a> {
    session: &'a Session,
    connection: u64,
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.session.closed(self.connection);
    }
}

/// The next frame; none at the end. In a black hole nothing is read, pings neither.
async fn read(reader: &mut SplitStream<Socket>, hole: &mut watch::Receiver<bool>) -> Option<Frame> {
    loop {
        hole.wait_for(|hole| !hole).await.ok()?;
        tokio::select! {
            biased;
            Ok(_) = hole.wait_for(|hole| *hole) => {}
            frame = reader.next() => return frame?.ok(),
        }
    }
}

async fn receive(
    reader: &mut SplitStream<Socket>,
    hole: &mut watch::Receiver<bool>,
    session: &Session,
) -> End {
    let mut pace = Pace::default();
    while let Some(frame) = read(reader, hole).await {
        let broken = match frame {
            Frame::Binary(frame) => match read_message(&frame, &session.conditions) {
                Ok(message) => {
                    let data = message.kind == Kind::Input;
                    session.to_agent(message);
                    if !data || pace.keeps(Instant::now(), &session.conditions) {
                        continue;
                    }
                    return too_fast(session).await;
                }
                Err(broken) => broken,
            },
            Frame::Text(_) => Broken("a text frame after the first".to_owned()),
            _ => continue,
        };
        session.end(SessionEnd::Broken(broken.0));
        // The other half says goodbye.
        return std::future::pending().await;
    }
    End::Gone
}

fn read_message(frame: &[u8], conditions: &Conditions) -> Result<Message, Broken> {
    let message = Message::read(frame)?;
    let limit = conditions.settings().payload_limit;
    if message.payload_type == OUTPUT && message.payload.len() > limit {
        let length = message.payload.len();
        return Err(Broken(format!("{length} bytes of data in a message, more than {limit}")));
    }
    Ok(message)
}

/// Above the limit the service pauses the publication, and cuts the connection soon after.
async fn too_fast(session: &Session) -> End {
    let broken = Broken("more messages a second than the service takes, for 2 s".to_owned());
    session.conditions.broken(&session.id, broken);
    session.notify("pause_publication", b"{}", None);
    tokio::time::sleep(Duration::from_millis(500)).await;
    End::Reset
}

async fn send(writer: &mut SplitSink<Socket, Frame>, session: &Session, connection: u64) -> End {
    let mut changes = session.changes();
    let mut hole = session.conditions.hole.subscribe();
    loop {
        if hole.wait_for(|hole| !hole).await.is_err() {
            return End::Gone;
        }
        changes.mark_unchanged();
        match session.next_frame(connection) {
            Next::Frame(frame) => {
                if writer.send(Frame::Binary(frame.into())).await.is_err() {
                    return End::Gone;
                }
            }
            Next::Nothing => {
                if changes.changed().await.is_err() {
                    return End::Gone;
                }
            }
            Next::Superseded => return End::Gone,
            Next::Ended => return End::Close(NORMAL, String::new()),
        }
    }
}

/// Reads the first message and lets the client in, or says why not. Returns the connection.
fn open(frame: &Frame, session: &Session) -> Result<u64, Refused> {
    let broken = |reason: &str| Refused::Breach(Broken(reason.to_owned()));
    let Frame::Text(text) = frame else {
        return Err(broken("the first message is not a text frame"));
    };
    let value: Value = serde_json::from_str(text).map_err(|_| broken("no JSON"))?;
    let field = |name: &str| {
        let value = value.get(name).and_then(Value::as_str);
        value.ok_or_else(|| broken(&format!("{name} is missing")))
    };
    if field("MessageSchemaVersion")? != "1.0" {
        return Err(broken("MessageSchemaVersion is not 1.0"));
    }
    for id in ["RequestId", "ClientId"] {
        if uuid::Uuid::parse_str(field(id)?).is_err() {
            return Err(broken(&format!("{id} is no UUID")));
        }
    }
    let version = field("ClientVersion")?;
    if Version::parse(version).is_none() {
        return Err(broken("ClientVersion is not four numbers"));
    }
    session.open(field("TokenValue")?, field("ClientId")?, version)
}

/// Counts the client's messages of data.
#[derive(Default)]
struct Pace {
    recent: VecDeque<Instant>,
}

impl Pace {
    /// Whether the rate of the last two seconds is one the service takes.
    fn keeps(&mut self, now: Instant, conditions: &Conditions) -> bool {
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|first| now.duration_since(*first) > PACE_SPAN) {
            self.recent.pop_front();
        }
        let limit = conditions.settings().pace_limit;
        self.recent.len() <= limit.saturating_mul(2)
    }
}

const READ_BUFFER: usize = 8 * 1024;
const OPEN_LIMIT: Duration = Duration::from_secs(10);
const GOODBYE: Duration = Duration::from_secs(1);
const PACE_SPAN: Duration = Duration::from_secs(2);
/// Close codes of RFC 6455, section 7.4.1.
const NORMAL: u16 = 1000;
const POLICY: u16 = 1008;
