//! `WebSocket`s in simulated time, with a service and an agent that do as they are told.

use std::sync::{Arc, Mutex};

use pgferry_ssm_protocol::{
    AgentMessage, Event, Limits, MessageType, Moment, PayloadType, Received, Role as End,
};
use pgferry_transport_aws::Program;
use pgferry_transport_sdk::{Error, State};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::*;
use crate::destination::Destination;
use crate::line::Terms;

const MINUTE: Duration = Duration::from_mins(1);
/// How long an agent may owe a receipt.
const AGENT: Duration = Duration::from_secs(25);

/// A program that has nothing but a clock.
#[derive(Clone)]
struct Clock(Arc<Mutex<SystemTime>>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH)))
    }

    /// What a sleep of the computer looks like: the time of the process stands still meanwhile.
    fn advance(&self, by: Duration) {
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
struct Far {
    socket: WebSocketStream<DuplexStream>,
    agent: Channel,
    began: Instant,
    /// Whether the agent is gone, and the service alone is left.
    crashed: bool,
    pings: usize,
    /// What came in order.
    received: Vec<Received>,
}

impl Far {
    fn now(&self) -> Moment {
        Moment { monotonic: self.began.elapsed(), unix_millis: 1 }
    }

    /// Answers pings, gives receipts and takes messages, for a while or for ever.
    async fn serve(&mut self, time: Duration) {
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
    async fn shake_hands(&mut self) {
        let request = r#"{"AgentVersion":"3.3.1142.0","RequestedClientActions":[{"ActionType":"SessionType","ActionParameters":{"SessionType":"Port","Properties":{"portNumber":"5432","type":"LocalPortForwarding"}}}]}"#;
        assert!(self.agent.send_control(PayloadType::HandshakeRequest, request.into()));
        self.serve(Duration::from_millis(50)).await;
        let [response] = &self.received[..] else { panic!("no answer: {:?}", self.received) };
        assert_eq!(response.payload_type, PayloadType::HandshakeResponse);
        let complete = r#"{"HandshakeTimeToComplete":1,"CustomerMessage":""}"#;
        assert!(self.agent.send_control(PayloadType::HandshakeComplete, complete.into()));
        self.serve(Duration::from_millis(50)).await;
    }

    /// Says one of the service's own words.
    async fn say(&mut self, message_type: MessageType) {
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
    fn data(&self) -> usize {
        self.received.iter().filter(|it| it.payload_type == PayloadType::Output).count()
    }
}

/// A `WebSocket` that is being driven, and its far end.
async fn driven(clock: &Clock) -> (Arc<Line>, JoinHandle<Ended>, Far) {
    let to = Destination { host: "db.internal".to_owned(), port: 5432 };
    let (limits, unix, seed) = (Limits::default(), Duration::from_secs(1), Uuid::from_u128(7));
    let line = Line::new(to, "i-1".to_owned(), &Terms { limits, keep_alive: None, seed, unix });
    line.connected();
    let (near, far) = tokio::io::duplex(256 * 1024);
    let far = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
    let near: Box<dyn crate::dial::Duplex> = Box::new(near);
    let mut near: Socket = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    let (driven, clock) = (Arc::clone(&line), clock.clone());
    let patience = Patience { idle: MINUTE * 60 * 24, agent: AGENT };
    let ended = tokio::spawn(async move { drive(&mut near, &driven, patience, &clock).await });
    let mut agent = Channel::new(End::Agent, Limits::default(), Uuid::from_u128(8));
    let began = Instant::now();
    agent.connected(Moment { monotonic: Duration::ZERO, unix_millis: 1 });
    (line, ended, Far { socket: far, agent, began, crashed: false, pings: 0, received: Vec::new() })
}

async fn lost(ended: JoinHandle<Ended>) -> String {
    match ended.await.unwrap() {
        Ended::Lost(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_answers_no_ping_is_given_up_after_a_minute() {
    let (_line, ended, far) = driven(&Clock::new()).await;
    let began = Instant::now();
    let reason = lost(ended).await;
    assert!(reason.contains("nothing is heard from the service"), "{reason}");
    let took = began.elapsed();
    assert!((MINUTE..MINUTE + Duration::from_secs(15)).contains(&took), "{took:?}");
    drop(far);
}

#[tokio::test(start_paused = true)]
async fn pings_that_are_answered_keep_a_websocket_open_for_hours() {
    let (_line, ended, mut far) = driven(&Clock::new()).await;
    far.serve(MINUTE * 180).await;
    assert!(!ended.is_finished());
    // Every 20 to 30 seconds; the last may be due just now.
    assert!((359..=540).contains(&far.pings), "{}", far.pings);
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_of_90_seconds_costs_the_websocket() {
    let (_line, ended, mut far) = driven(&Clock::new()).await;
    far.shake_hands().await;
    far.serve(MINUTE * 10).await;
    assert!(!ended.is_finished());
    sleep_until(Instant::now() + Duration::from_secs(90)).await;
    assert!(lost(ended).await.contains("nothing is heard"));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_gives_no_receipt_is_told_from_a_service_that_is_not_there() {
    for crashed in [true, false] {
        let (line, ended, mut far) = driven(&Clock::new()).await;
        far.shake_hands().await;
        let stream = line.open().expect("an open session");
        far.serve(MINUTE * 10).await;
        let began = Instant::now();
        stream.write(b"are you there?").await;
        far.crashed = true;
        if crashed {
            far.serve(MINUTE).await;
        }
        match (ended.await.unwrap(), crashed) {
            (Ended::Silent(silence), true) => assert!(silence >= AGENT, "{silence:?}"),
            (Ended::Lost(reason), false) => assert!(reason.contains("the service"), "{reason}"),
            other => panic!("{other:?}"),
        }
        let took = began.elapsed();
        let latest = if crashed { MINUTE } else { AGENT * 2 };
        assert!((AGENT..=latest).contains(&took), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_whose_database_may_not_read_is_given_minutes() {
    let (line, ended, mut far) = driven(&Clock::new()).await;
    far.shake_hands().await;
    let stream = line.open().expect("an open session");
    let copy = vec![0; 3_000_000];
    let copying = tokio::spawn(async move {
        stream.write(&copy).await;
        stream
    });
    far.serve(Duration::from_secs(2)).await;
    assert!(far.data() > 1500, "{}", far.data());
    far.crashed = true;
    far.serve(MINUTE * 4).await;
    assert!(!ended.is_finished());
    far.serve(MINUTE * 2).await;
    assert!(matches!(ended.await.unwrap(), Ended::Silent(_)));
    copying.abort();
}

#[tokio::test(start_paused = true)]
async fn after_a_sleep_five_seconds_of_silence_are_enough() {
    let clock = Clock::new();
    let (_line, ended, mut far) = driven(&clock).await;
    far.serve(MINUTE * 10).await;
    let woke_up = Instant::now();
    clock.advance(MINUTE * 300);
    let reason = lost(ended).await;
    assert!(reason.contains("after a sleep"), "{reason}");
    // At most a tick until the sleep is seen, then five seconds.
    assert!(woke_up.elapsed() <= Duration::from_secs(16), "{:?}", woke_up.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_sleep_that_the_service_did_not_notice_changes_nothing() {
    let clock = Clock::new();
    let (_line, ended, mut far) = driven(&clock).await;
    for _ in 0..5 {
        far.serve(MINUTE * 2).await;
        clock.advance(MINUTE * 10);
    }
    far.serve(MINUTE * 2).await;
    assert!(!ended.is_finished());
}

#[tokio::test(start_paused = true)]
async fn data_waits_while_the_service_wants_none_and_goes_when_it_does() {
    let (line, ended, mut far) = driven(&Clock::new()).await;
    far.shake_hands().await;
    let stream = line.open().expect("an open session");
    stream.write(b"before").await;
    far.serve(Duration::from_secs(1)).await;
    let before = far.data();
    assert!(before > 0);

    far.say(MessageType::PausePublication).await;
    far.serve(Duration::from_millis(50)).await;
    stream.write(b"meanwhile").await;
    far.serve(Duration::from_secs(5)).await;
    assert_eq!(far.data(), before, "data came during the pause");

    far.say(MessageType::StartPublication).await;
    far.serve(Duration::from_secs(1)).await;
    assert_eq!(far.data(), before + 1);
    assert!(!ended.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_an_end_costs_the_websocket_and_not_the_session() {
    let (line, ended, mut far) = driven(&Clock::new()).await;
    far.shake_hands().await;
    far.say(MessageType::PausePublication).await;
    let began = Instant::now();
    far.serve(MINUTE).await;
    let reason = lost(ended).await;
    assert!(reason.contains("paused"), "{reason}");
    assert!(began.elapsed() <= Duration::from_secs(25), "{:?}", began.elapsed());
    assert!(line.fate().is_none());
}
