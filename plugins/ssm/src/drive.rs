//! One WebSocket's life: frames in both directions, and whether the service is still there.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use pgferry_ssm_protocol::{Channel, Tally};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::dial::Socket;
use crate::environment::Environment;
use crate::figure::{Direction, Figure};
use crate::line::{Line, Standing, Step};

/// How a WebSocket's life ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The session may go on over another one.
    Lost(String),
    /// The service is there, and the agent has given no sign of life for so long.
    Silent(Duration),
    /// Nobody needs the session any more.
    Unused,
    /// The session is over.
    Over,
}

/// How long to wait for what may never come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For a connection that uses the session.
    idle: Duration,
    /// For a sign of life of the agent that owes one.
    agent: Duration,
}

impl Patience {
    /// Whoever had the session opened is always given the time to take it.
    pub(crate) fn new(idle: Duration, agent: Duration) -> Self {
        Self { idle: idle.max(LEAST_IDLE), agent }
    }
}

/// Carries frames until the WebSocket breaks, or the session is over or no longer needed.
///
/// Cancel safety: frames may be lost, which the session repeats on its next WebSocket.
pub(crate) async fn drive(
    socket: &mut Socket,
    line: &Line,
    patience: Patience,
    environment: &impl Environment,
) -> Ended {
    let (sink, stream) = socket.split();
    let pulse = Pulse::new();
    let mut receiving = pin!(receive(stream, line, &pulse));
    let ended = tokio::select! {
        ended = &mut receiving => ended,
        ended = send(sink, line, &pulse, environment) => {
            // What has arrived all the same the agent need not repeat, a message each tenth of a second.
            drop(timeout(LAST_FRAMES_LIMIT, receiving).await);
            ended
        }
        ended = watch(line, &pulse, patience, environment) => ended,
    };
    count(line, environment);
    ended
}

/// Sends what is left, tells the agent that it is the end, and closes.
pub(crate) async fn say_goodbye(socket: &mut Socket, line: &Line) {
    let goodbye = async {
        send_all(socket, line).await?;
        line.say_goodbye();
        send_all(socket, line).await?;
        socket.close(None).await
    };
    // A service that does not take it in time learns it from TerminateSession.
    if let Ok(Err(error)) = timeout(GOODBYE_LIMIT, goodbye).await {
        tracing::debug!(%error, "no orderly end of the data channel");
    }
}

async fn send_all(socket: &mut Socket, line: &Line) -> Result<(), tungstenite::Error> {
    while let Step::Send(frame) = line.step() {
        socket.feed(Message::Binary(frame)).await?;
    }
    socket.flush().await
}

async fn receive(mut stream: SplitStream<&mut Socket>, line: &Line, pulse: &Pulse) -> Ended {
    loop {
        while !line.wants_frames() {
            line.taken.notified().await;
        }
        let message = stream.next().await;
        pulse.beat();
        match message {
            Some(Ok(Message::Binary(frame))) => line.on_frame(&frame),
            Some(Ok(Message::Close(Some(close)))) => {
                let (code, reason) = (u16::from(close.code), close.reason);
                return Ended::Lost(format!(
                    "the service closed the data channel ({code} {reason})"
                ));
            }
            Some(Ok(Message::Close(None))) | None => {
                return Ended::Lost("the service closed the data channel".to_owned());
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Ended::Lost(format!("the data channel broke: {error}")),
        }
    }
}

async fn send(
    mut sink: SplitSink<&mut Socket, Message>,
    line: &Line,
    pulse: &Pulse,
    environment: &impl Environment,
) -> Ended {
    let outcome: Result<std::convert::Infallible, tungstenite::Error> = async {
        loop {
            if pulse.wants_ping.swap(false, Ordering::AcqRel) {
                sink.feed(Message::Ping(Bytes::from_static(b"pgferry"))).await?;
            }
            match line.step() {
                Step::Send(frame) => sink.feed(Message::Binary(frame)).await?,
                Step::Wait(until) => {
                    sink.flush().await?;
                    count(line, environment);
                    tokio::select! {
                        () = line.work.notified() => {}
                        () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
                    }
                }
            }
        }
    }
    .await;
    match outcome {
        Ok(never) => match never {},
        Err(error) => Ended::Lost(format!("the data channel broke: {error}")),
    }
}

/// Signs of life: anything that comes, pongs among them.
struct Pulse {
    began: Instant,
    /// Milliseconds after `began`.
    heard_at: AtomicU64,
    wants_ping: AtomicBool,
}

impl Pulse {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            heard_at: AtomicU64::new(0),
            wants_ping: AtomicBool::new(false),
        }
    }

    fn beat(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard_at.store(now, Ordering::Release);
    }

    fn silent_for(&self) -> Duration {
        let heard_at = Duration::from_millis(self.heard_at.load(Ordering::Acquire));
        self.began.elapsed().saturating_sub(heard_at)
    }
}

/// Asks for signs of life, and sees when nobody needs the session any more.
async fn watch(
    line: &Line,
    pulse: &Pulse,
    patience: Patience,
    environment: &impl Environment,
) -> Ended {
    let mut standing = line.standing();
    let mut naps = Naps { instant: Instant::now(), clock: environment.now() };
    let mut pinged_at = Instant::now();
    // After a sleep nothing that was heard before counts.
    let mut answer_by = None;
    let mut listening_since = Instant::now();
    loop {
        // An agent's time must not be up before the service has had time for a pong.
        let tick = Instant::now() + TICK.min(patience.agent / 4);
        let wake_at = line.unused_since().map_or(tick, |since| tick.min(since + patience.idle));
        let agent_due = line.agent_is_due(patience.agent);
        let wake_at = agent_due.map_or(wake_at, |due| wake_at.min(due));
        let wake_at = answer_by.map_or(wake_at, |by| wake_at.min(by));
        tokio::select! {
            _ = standing.wait_for(|standing| matches!(standing, Standing::Over(_))) => {
                return Ended::Over;
            }
            () = line.freed.notified() => {}
            () = sleep_until(wake_at.max(Instant::now() + LEAST_WAIT)) => {}
        }
        if line.retire_unused(patience.idle) {
            return Ended::Unused;
        }
        if line.paused_for().is_some_and(|time| time >= Channel::PAUSE_LIMIT) {
            return Ended::Lost("the service has paused the session for too long".to_owned());
        }
        if !line.wants_frames() {
            // Nobody listens for an answer.
            pulse.beat();
            listening_since = Instant::now();
        }
        if let Some(ended) = agent_gone(line, pulse, patience.agent, listening_since) {
            return ended;
        }
        if let Some(time) = line.take_round_trip() {
            environment.record(Figure::RoundTrip, time.as_secs_f64());
        }
        let slept = naps.one_since(environment.now());
        // Of an agent nothing can be said while the service is not heard.
        let interval = agent_due.map_or(PING_INTERVAL, |_| PING_INTERVAL.min(patience.agent / 4));
        if slept || pinged_at.elapsed() >= interval {
            pinged_at = Instant::now();
            pulse.wants_ping.store(true, Ordering::Release);
            line.work.notify_one();
        }
        if slept {
            answer_by = Some(Instant::now() + AFTER_SLEEP);
        }
        let heard = pulse.silent_for();
        if let Some(by) = answer_by.filter(|by| Instant::now() >= *by) {
            answer_by = None;
            if heard > AFTER_SLEEP && Instant::now() - by < TICK {
                return Ended::Lost("nothing is heard from the service after a sleep".to_owned());
            }
        }
        if heard > PING_INTERVAL * 2 + TICK {
            return Ended::Lost(format!("nothing is heard from the service for {heard:.0?}"));
        }
    }
}

/// Whether the agent, or the way to it, is to be given up.
fn agent_gone(line: &Line, pulse: &Pulse, patience: Duration, since: Instant) -> Option<Ended> {
    let silence = line.silence_beyond(patience)?.min(since.elapsed());
    if silence < patience {
        return None;
    }
    let heard = pulse.silent_for();
    Some(if heard < patience {
        Ended::Silent(silence)
    } else {
        Ended::Lost(format!("nothing is heard from the service for {heard:.0?}"))
    })
}

/// Records what the line has carried since it was asked last.
fn count(line: &Line, environment: &impl Environment) {
    let Tally { sent_bytes, received_bytes, repeated, copies } = line.take_tally();
    for (figure, count) in [
        (Figure::Bytes(Direction::Tx), sent_bytes),
        (Figure::Bytes(Direction::Rx), received_bytes),
        (Figure::Repetition(Direction::Tx), repeated),
        (Figure::Repetition(Direction::Rx), copies),
    ] {
        if count > 0 {
            environment.record(figure, f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
        }
    }
}

/// Sleeps of the computer, during which the clock goes on and this process's time does not.
struct Naps {
    instant: Instant,
    clock: SystemTime,
}

impl Naps {
    fn one_since(&mut self, clock: SystemTime) -> bool {
        let passed = clock.duration_since(self.clock).unwrap_or_default();
        let slept = passed.saturating_sub(self.instant.elapsed());
        *self = Self { instant: Instant::now(), clock };
        slept >= NAP
    }
}

/// Proxies and NATs forget connections after a minute at the earliest.
const PING_INTERVAL: Duration = Duration::from_secs(25);
const TICK: Duration = Duration::from_secs(10);
const LEAST_IDLE: Duration = Duration::from_secs(1);
const LEAST_WAIT: Duration = Duration::from_millis(20);
/// Less is a clock that was set.
const NAP: Duration = Duration::from_secs(30);
const AFTER_SLEEP: Duration = Duration::from_secs(5);
/// A connection that broke while it was written to has ended for reading, too, behind what has arrived.
const LAST_FRAMES_LIMIT: Duration = Duration::from_millis(500);
const GOODBYE_LIMIT: Duration = Duration::from_millis(700);

#[cfg(test)]
mod tests;
