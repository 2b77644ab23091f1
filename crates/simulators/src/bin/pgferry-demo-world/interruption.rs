//! Ctrl-C, and being told to end.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel},
    thread,
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::{failure::Failure, ferry::Ferry};

/// Turns SIGINT, SIGTERM and SIGHUP into an event, so that the world is taken down in order.
pub(crate) struct Interruption {
    events: Receiver<()>,
}

impl Interruption {
    pub(crate) fn watch() -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(|error| Failure::Io("watching for signals", error))?;
        let (send, events) = channel();
        let (ready, watching) = channel();
        thread::spawn(move || runtime.block_on(forward(&send, &ready)));
        let _: Result<(), _> = watching.recv();
        Ok(Self { events })
    }

    /// Fails if an interruption has come.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.events.try_recv() {
            Ok(()) => Err(Failure::Interrupted),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => Ok(()),
        }
    }

    /// Blocks until an interruption comes; fails if pgferry ends before.
    pub(crate) fn wait_unless(&self, ferry: &Ferry) -> Result<(), Failure> {
        loop {
            match self.events.recv_timeout(GLANCE) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => ferry.check()?,
            }
        }
    }
}

async fn forward(events: &Sender<()>, ready: &Sender<()>) {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
        return;
    };
    ready.send(()).ok();
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    // Nobody listens any more when the demo is over.
    events.send(()).ok();
}

/// How often pgferry is looked at while nothing happens.
const GLANCE: Duration = Duration::from_secs(1);
