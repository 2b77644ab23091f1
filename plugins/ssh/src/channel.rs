//! One session's way through a bastion connection.

use std::io;
use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
use std::sync::Arc;
use std::time::Duration;

use pgferry_transport_sdk::Error;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;

use crate::backlog::{Backlog, OutOfMemory, Pressure};
use crate::connection::{Order, Place};
use crate::events::Fate;
use crate::near::{Near, Writer};
use crate::refusal;

/// An open channel from the bastion to the database. Dropping it closes it.
pub struct Channel {
    read: ChannelReadHalf,
    /// Taken when the channel is closed.
    write: Option<ChannelWriteHalf<Msg>>,
    line: Line,
    _place: Place,
}

/// What ties a channel to its connection.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) bastion: Arc<str>,
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    pub(crate) fate: watch::Receiver<Fate>,
    pub(crate) pressure: Pressure,
}

/// How the direction towards the bastion ended.
enum Upload {
    /// The near end will send no more, and the bastion knows.
    Finished,
    /// The near end is gone.
    Abandoned,
    /// The bastion connection takes no more; the other direction learns why.
    Stuck,
}

impl Channel {
    pub(crate) fn new(channel: russh::Channel<Msg>, place: Place, line: Line) -> Self {
        let (read, write) = channel.split();
        Self { read, write: Some(write), line, _place: place }
    }

    /// Carries bytes both ways between `near` and the database until both directions have ended,
    /// the bastion closes the channel, or `near` breaks. Each half close is passed on.
    ///
    /// Errors: unreachable, when the bastion connection was lost; `near` is not shut down then, so
    /// that the reason can be told before.
    ///
    /// Cancel safety: dropping it closes the channel; bytes on their way are lost.
    pub async fn carry(mut self, near: UnixStream) -> Result<(), Error> {
        let near = Near::new(near)
            .map_err(|error| Error::internal(format!("the session's socket: {error}")))?;
        let Some(write) = self.write.as_ref() else { return Ok(()) };
        let far_end = Notify::new();
        let backlog = Backlog::new(self.line.pressure.clone());
        let up = async {
            match upload(&near, write).await {
                Upload::Finished => far_end.notified().await,
                Upload::Abandoned => {}
                Upload::Stuck => std::future::pending().await,
            }
        };
        // Never the other way round: a download that waits for `near` must not keep an upload from
        // going on, nor the reverse, but the first of them to end may end both.
        let outcome = tokio::select! {
            () = up => Ok(()),
            closed = download(&mut self.read, near.writer(), backlog, &far_end) => closed,
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(Broken::Lost) => Err(self.line.lost().await),
            Err(Broken::Near(error)) => {
                Err(Error::internal(format!("the session's socket: {error}")))
            }
            Err(Broken::OutOfMemory) => Err(Error::internal(
                "there is no memory for data that the application does not read",
            )),
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if let Some(write) = self.write.take() {
            // Nobody takes it only when the connection is gone, and the channel with it.
            drop(self.line.orders.send(Order::Release(write)));
        }
    }
}

impl Line {
    /// The error for a stream whose connection has been lost.
    pub(crate) async fn lost(&self) -> Error {
        let mut fate = self.fate.clone();
        let told = timeout(REASON_LIMIT, fate.wait_for(Option::is_some)).await;
        let reason = told.ok().and_then(Result::ok).and_then(|reason| reason.clone());
        refusal::lost(reason.as_deref().unwrap_or("it ended without a reason"), &self.bastion)
    }
}

/// Why bytes can no longer be carried to the near end.
enum Broken {
    /// The connection is gone, and the channel with it.
    Lost,
    /// The system cannot write to the near end, which is still there.
    Near(io::Error),
    /// No memory for what the near end does not take.
    OutOfMemory,
}

async fn upload(near: &Near, far: &ChannelWriteHalf<Msg>) -> Upload {
    loop {
        let Ok(chunk) = near.read().await else { return Upload::Abandoned };
        let ended = chunk.is_empty();
        let taken = if ended { far.eof().await } else { far.data_bytes(chunk).await };
        match taken {
            Ok(()) if ended => return Upload::Finished,
            Ok(()) => {}
            Err(_) => return Upload::Stuck,
        }
    }
}

/// What the bastion has said about its end of the channel.
#[derive(PartialEq, Eq)]
enum Far {
    Sending,
    /// It will send no more.
    Ended,
    Closed,
    Lost,
}

/// Reads the channel as fast as data comes, whether or not the near end takes it.
async fn download(
    read: &mut ChannelReadHalf,
    mut near: Writer<'_>,
    mut backlog: Backlog,
    far_end: &Notify,
) -> Result<(), Broken> {
    let mut far = Far::Sending;
    let mut shut = false;
    loop {
        if backlog.is_empty() {
            match far {
                Far::Sending => {}
                Far::Ended if shut => {}
                Far::Ended => {
                    shut = true;
                    far_end.notify_one();
                    if near.shutdown().is_err() {
                        return Ok(());
                    }
                }
                Far::Closed => return Ok(()),
                Far::Lost => return Err(Broken::Lost),
            }
        }
        let listens = matches!(far, Far::Sending | Far::Ended) && !backlog.is_full();
        // Both are cancel safe: a message is taken whole, and a write that has to wait wrote nothing.
        tokio::select! {
            biased;
            written = near.write(backlog.front()), if !backlog.is_empty() => match written {
                Ok(count) => backlog.written(count),
                // The near end is gone: there is nobody left to tell.
                Err(error) if matches!(error.kind(), BrokenPipe | ConnectionReset) => return Ok(()),
                Err(error) => return Err(Broken::Near(error)),
            },
            message = read.wait(), if listens => match message {
                Some(ChannelMsg::Data { data }) => {
                    backlog.push(data).map_err(|OutOfMemory| Broken::OutOfMemory)?;
                }
                Some(ChannelMsg::Eof) => far = Far::Ended,
                Some(ChannelMsg::Close) => far = Far::Closed,
                Some(_) => {}
                None => far = Far::Lost,
            },
        }
    }
}

/// russh tells why a connection ended just before its channels end.
const REASON_LIMIT: Duration = Duration::from_secs(1);
