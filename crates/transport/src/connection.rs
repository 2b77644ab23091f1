//! What a successful open gives: a socket, and a way to learn why it ended.

use std::fmt;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::Status;
use crate::losses::Losses;
use crate::ops::StreamGuard;

/// A connected socket to the target.
#[derive(Debug)]
pub struct Connection {
    /// The socket: a connected stream, close-on-exec, non-blocking. Checked, so that a plugin
    /// cannot pass off anything else.
    pub socket: OwnedFd,
    /// Why the stream ended, once it has.
    pub closed: CloseReason,
    /// What the transport says about the way it took.
    pub detail: Detail,
}

/// What a transport says about the way it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// The address that was reached, as this transport can be asked for it again: a cancel request
    /// goes there. Anything but `IP:PORT` is for people alone.
    pub peer: Option<String>,
    /// The hop in between: the bastion, the managed instance.
    pub via: Option<String>,
    /// The far side's name for the session.
    pub session_id: Option<String>,
}

/// Why a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// [`Status::Ok`] for an orderly end.
    pub status: Status,
    /// The transport's words, prefixed with its name; empty for an orderly end.
    pub message: String,
}

/// Learns why a stream ended. Keep it as long as the socket: without it the reason is only logged.
pub struct CloseReason(State);

enum State {
    /// The socket is the way itself; there is nobody to say why it ended.
    Silent,
    Listening {
        reason: oneshot::Receiver<Closed>,
        /// None where nobody numbers the streams.
        stream: Option<StreamGuard>,
        beneath: Option<Losses>,
    },
    /// Known, and what happened beneath may be added.
    Told {
        closed: Closed,
        beneath: Losses,
    },
    Known(Closed),
}

impl CloseReason {
    pub(crate) fn silent() -> Self {
        Self(State::Silent)
    }

    pub(crate) fn listening(
        reason: oneshot::Receiver<Closed>,
        stream: Option<StreamGuard>,
    ) -> Self {
        Self(State::Listening { reason, stream, beneath: None })
    }

    /// Has the reason name what broke beneath, too.
    pub(crate) fn on_top_of(self, losses: Option<Losses>) -> Self {
        match self.0 {
            State::Listening { reason, stream, .. } => {
                Self(State::Listening { reason, stream, beneath: losses })
            }
            other => Self(other),
        }
    }

    /// Waits for the transport to say why the stream ended. Gives `None` at once if it never will,
    /// and after `limit` if it has not. Once known, the reason is given again each time.
    ///
    /// Cancel safety: dropping the future loses nothing.
    pub async fn wait(&mut self, limit: Duration) -> Option<Closed> {
        if let State::Listening { reason, beneath, .. } = &mut self.0 {
            self.0 = match tokio::time::timeout(limit, reason).await {
                Err(_elapsed) => return None,
                Ok(Ok(closed)) => match beneath.take() {
                    Some(beneath) if closed.status != Status::Ok => State::Told { closed, beneath },
                    _ => State::Known(closed),
                },
                Ok(Err(_dropped)) => State::Silent,
            };
        }
        if let State::Told { closed, beneath } = &self.0 {
            let message = beneath.explain(closed.message.clone(), limit).await;
            self.0 = State::Known(Closed { status: closed.status, message });
        }
        self.known()
    }

    /// The op that the stream came from, while it may still end with a reason.
    pub(crate) fn op(&self) -> Option<u64> {
        match &self.0 {
            State::Listening { stream, .. } => stream.as_ref().map(|stream| stream.op),
            State::Silent | State::Told { .. } | State::Known(_) => None,
        }
    }

    fn known(&self) -> Option<Closed> {
        match &self.0 {
            State::Known(closed) => Some(closed.clone()),
            State::Silent | State::Listening { .. } | State::Told { .. } => None,
        }
    }
}

impl fmt::Debug for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            State::Silent => "CloseReason(silent)",
            State::Listening { .. } => "CloseReason(listening)",
            State::Told { .. } | State::Known(_) => "CloseReason(known)",
        })
    }
}
