//! `WebSocket`s in simulated time, for tests: a service and an agent that do as they are told.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use pgferry_ssm_protocol::{
    AgentMessage, Channel, Event, Limits, MessageType, Moment, PayloadType, Received, Role as End,
};
use pgferry_transport_aws::Program;
use pgferry_transport_sdk::{Error, State};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::destination::Destination;
use crate::dial::Socket;
use crate::drive::{Ended, Patience, drive};
use crate::environment::Environment;
use crate::figure::Figure;
use crate::line::{Line, Terms};

/// How long an agent may owe a receipt.
pub(crate) const AGENT: Duration = Duration::from_secs(25);

/// A program that has nothing but a clock.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Mutex<SystemTime>>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH)))
    }

    /// What a sleep of the computer looks like: the time of the process stands still meanwhile.
    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Program for Clock {
    async fn secret(&self, name: &str) -> Result<Zeroizing<String>, Error> {
        Err(Error::denied(format!("{name} is not granted")))
    }

    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

impl Environment for Clock {
    type Socket = DuplexStream;

    async fn dial(&self, _: &str, _: u16, _: Duration) -> Result<DuplexStream, Error> {
        Err(Error::unreachable("nobody is there"))
    }

    fn report(&self, _: State, _: &str) {}

    fn record(&self, _: Figure, _: f64) {}

    fn spawn(&self, _: impl Future<Output = ()> + Send + 'static) {}
}

/// The service's end of a `WebSocket`, with the agent behind it.
pub(crate) struct Far {
    socket: WebSocketStream<DuplexStream>,
    pub(crate) agent: Channel,
    began: Instant,
    /// Whether the agent is gone, and the service alone is left.
    pub(crate) crashed: bool,
    pub(crate) pings: usize,
    /// What came in order.
    received: Vec<Received>,
}

impl Far {
    fn now(&self) -> Moment {
        Moment { monotonic: self.began.elapsed(), unix_millis: 1 }
    }

    /// Answers pings, gives receipts and takes messages, for a while or for ever.
    pub(crate) async fn serve(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            while !self.crashed
                && let Some(frame) = self.agent.poll_transmit(self.now())
            {
                self.socket.send(Message::Binary(frame)).await.unwrap();
            }
            let wake_at = self.agent.next_wakeup(self.now()).map(|at| self.began + at);
            let wake_at = wake_at.filter(|_| !self.crashed);
            tokio::select! {
                message = self.socket.next() => match message {
                    Some(Ok(Message::Binary(frame))) => self.take(&frame),
                    Some(Ok(Message::Ping(_))) => {
                        self.pings += 1;
                        self.socket.flush().await.unwrap();
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
                () = sleep_until(wake_at.unwrap_or(until).min(until)) => {}
            }
            if Instant::now() >= until {
                return;
            }
        }
    }

    fn take(&mut self, frame: &Bytes) {
        let event = self.agent.on_frame(frame, self.now()).unwrap();
        assert!(matches!(event, Event::Stream | Event::Acknowledged), "{event:?}");
        self.received.extend(std::iter::from_fn(|| self.agent.receive()));
    }

    /// Brings the handshake to its end.
    pub(crate) async fn shake_hands(&mut self) {
        let request = r#"{"AgentVersion":"3.3.1142.0","RequestedClientActions":[{"ActionType":"SessionType","ActionParameters":{"SessionType":"Port","Properties":{"portNumber":"5432","type":"LocalPortForwarding"}}}]}"#;
        assert!(self.agent.send_control(PayloadType::HandshakeRequest, request.into()));
        self.serve(Duration::from_millis(50)).await;
        let [response] = &self.received[..] else { panic!("no answer: {:?}", self.received) };
        assert_eq!(response.payload_type, PayloadType::HandshakeResponse);
        let complete = r#"{"HandshakeTimeToComplete":1,"CustomerMessage":""}"#;
        assert!(self.agent.send_control(PayloadType::HandshakeComplete, complete.into()));
        self.agent.handshake_completed();
        self.serve(Duration::from_millis(50)).await;
    }

    /// Says one of the service's own words.
    pub(crate) async fn say(&mut self, message_type: MessageType) {
        let message = AgentMessage {
            message_type,
            schema_version: 1,
            created_date: 1,
            sequence_number: 0,
            flags: 0,
            id: Uuid::from_u128(1),
            payload_type: PayloadType::None,
            payload: Bytes::from_static(b"{}"),
        };
        self.socket.send(Message::Binary(message.encode())).await.unwrap();
    }

    /// How many messages of data came.
    pub(crate) fn data(&self) -> usize {
        self.received.iter().filter(|it| it.payload_type == PayloadType::Output).count()
    }
}

/// A `WebSocket` that is being driven, and its far end.
pub(crate) async fn driven(clock: &Clock) -> (Arc<Line>, JoinHandle<Ended>, Far) {
    driven_until_idle(clock, Duration::from_hours(24)).await
}

/// The same, which a session without connections lasts for so long.
pub(crate) async fn driven_until_idle(
    clock: &Clock,
    idle: Duration,
) -> (Arc<Line>, JoinHandle<Ended>, Far) {
    let to = Destination { host: "db.internal".to_owned(), port: 5432 };
    let (limits, unix, seed) = (Limits::default(), Duration::from_secs(1), Uuid::from_u128(7));
    let line = Line::new(to, "i-1".to_owned(), &Terms { limits, keep_alive: None, seed, unix });
    line.connected();
    let (near, far) = tokio::io::duplex(256 * 1024);
    let far = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
    let near: Box<dyn crate::dial::Duplex> = Box::new(near);
    let mut near: Socket = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    let (driven, clock) = (Arc::clone(&line), clock.clone());
    let patience = Patience::new(idle, AGENT);
    let ended = tokio::spawn(async move { drive(&mut near, &driven, patience, &clock).await });
    let mut agent = Channel::new(End::Agent, Limits::default(), Uuid::from_u128(8));
    let began = Instant::now();
    agent.connected(Moment { monotonic: Duration::ZERO, unix_millis: 1 });
    (line, ended, Far { socket: far, agent, began, crashed: false, pings: 0, received: Vec::new() })
}
