//! What a plugin reports about its ops, judged and passed on.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::Status;
use crate::connection::{CloseReason, Closed, Connection, Detail};
use crate::error::Failure;
use crate::guest::Guest;
use crate::ops::{Answer, StreamGuard, Verdict, WithSocket};
use crate::reply::Reply;
use crate::socket::{Unfit, adopt};

impl Guest {
    /// Takes the plugin's answer to an op, on the plugin's thread.
    pub(crate) fn answered(self: &Arc<Self>, op: u64, reply: Reply) {
        let with_socket = if reply.status == Status::Ok { WithSocket::Yes } else { WithSocket::No };
        if with_socket == WithSocket::No && reply.socket >= 0 {
            self.misbehaved("an error came with a socket");
        }
        match self.ops.answer(op, with_socket) {
            Verdict::Deliver { answer, hold, closed } => {
                let outcome = match with_socket {
                    WithSocket::Yes => self.connection(op, &reply, closed),
                    WithSocket::No => Err(self.error(reply.into_failure())),
                };
                // Nobody may wait any more; then the connection is dropped, and so closed, here.
                drop(answer.send(outcome));
                drop(hold);
            }
            Verdict::Late(hold) => {
                if with_socket == WithSocket::Yes {
                    drop(adopt(reply.socket));
                }
                drop(hold);
            }
            Verdict::Create => self.ops.create_said(op, reply.into_failure()),
            Verdict::Violation(what) => self.violated(&format!("{what} (op {op})")),
        }
    }

    fn connection(&self, op: u64, reply: &Reply, closed: oneshot::Receiver<Closed>) -> Answer {
        let stream = StreamGuard { ops: Arc::clone(&self.ops), op };
        match adopt(reply.socket) {
            Ok(socket) => Ok(Connection {
                socket,
                closed: CloseReason::listening(closed, Some(stream))
                    .on_top_of(self.dialler.losses()),
                detail: Detail::read(&reply.detail),
            }),
            Err(reset @ Unfit::Reset(_)) => {
                Err(self.error(Failure::new(Status::Unreachable, reset.to_string())))
            }
            Err(unfit) => {
                let what = format!("it gave a socket that cannot be used: {unfit}");
                match unfit {
                    Unfit::Known(_) => self.violated(&what),
                    _ => self.misbehaved(&what),
                }
                Err(self.error(Failure::new(Status::Internal, what)))
            }
        }
    }

    /// Takes the plugin's word on why a stream ended.
    pub(crate) fn stream_closed(self: &Arc<Self>, op: u64, status: Status, message: &str) {
        if status == Status::Panic {
            self.panicked();
        }
        let prefixed =
            if message.is_empty() { String::new() } else { format!("{}{message}", self.layers()) };
        if let Err(closed) = self.ops.close(op, Closed { status, message: prefixed })
            && closed.status != Status::Ok
        {
            tracing::debug!(instance = self.name, op, %status, message, "a stream ended");
        }
    }
}
