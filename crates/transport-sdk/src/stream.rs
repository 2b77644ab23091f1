//! What an open gives: a socket to hand over, or one end of a pair that the plugin feeds.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;

use pgferry_transport_abi::Status;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::panics::{caught_while_polled, injected};
use crate::pump::Pump;
use crate::{Error, Host};

/// What an open gives.
///
/// Hand a socket over ([`Stream::tcp`], [`Stream::socket`]) when you have one that carries the bare
/// bytes: it costs nothing afterwards. Else let the SDK copy ([`Stream::pump`]), or speak on the
/// socket yourself ([`Stream::serve`]).
pub struct Stream {
    kind: Kind,
    detail: Map<String, Value>,
}

enum Kind {
    Handover(OwnedFd),
    Pump(Pump),
    Serve(Serve),
}

type Served = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;
type Serve = Box<dyn FnOnce(UnixStream) -> Served + Send>;

impl Stream {
    /// Effect: hands a connected stream socket over. Keep no duplicate of it.
    pub fn socket(socket: impl Into<OwnedFd>) -> Self {
        Self::new(Kind::Handover(socket.into()))
    }

    /// Effect: takes the socket out of the runtime and hands it over, without Nagle's delay.
    ///
    /// Errors: the system's, when the runtime won't let go of it.
    pub fn tcp(socket: TcpStream) -> Result<Self, Error> {
        socket.set_nodelay(true)?;
        Ok(Self::socket(socket.into_std()?))
    }

    /// Effect: the SDK copies both ways, 64 KiB at a time, and passes on each half close.
    pub fn pump(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self::new(Kind::Pump(Pump::new(stream)))
    }

    /// Effect: as [`Stream::pump`], and when the far side fails *or ends*, `reason` is asked (for at
    /// most a second) before the host's socket is closed. `Some` says that it broke and why; with
    /// `None` an end counts as the far side's clean end of file.
    ///
    /// For channels of a shared session, whose loss looks like an end of file.
    pub fn pump_with(
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        reason: impl Future<Output = Option<Error>> + Send + 'static,
    ) -> Self {
        Self::new(Kind::Pump(Pump::new(stream).with_reason(reason)))
    }

    /// Effect: runs `serve` with the plugin's end of the pair. What it returns reaches the host before
    /// the socket is closed; the SDK holds the socket open until then, even if `serve` drops it.
    pub fn serve<F, Fut>(serve: F) -> Self
    where
        F: FnOnce(UnixStream) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        Self::new(Kind::Serve(Box::new(move |socket| Box::pin(serve(socket)))))
    }

    /// Effect: adds a detail: `peer`, `via`, `session_id`. A `peer` of the form `IP:PORT` is the database
    /// server that was reached, and cancel requests for the session are opened to it; the others are
    /// for the logs.
    #[must_use]
    pub fn with_detail(mut self, key: &str, value: impl Into<String>) -> Self {
        self.detail.insert(key.to_owned(), json!(value.into()));
        self
    }

    fn new(kind: Kind) -> Self {
        Self { kind, detail: Map::new() }
    }

    /// Effect: gets the socket for the host ready, and what has to run afterwards.
    pub(crate) fn prepare(self, host: &Host) -> Result<Prepared, Error> {
        let detail = if self.detail.is_empty() {
            String::new()
        } else {
            Value::Object(self.detail).to_string()
        };
        if let Kind::Handover(socket) = self.kind {
            return Ok(Prepared { socket, detail, feed: None });
        }
        let (socket, kept) = host.border().socketpair()?;
        let feed = Feed::new(self.kind, kept);
        let feed = feed.map_err(|e| Error::internal(format!("the stream's socket: {e}")))?;
        Ok(Prepared { socket, detail, feed })
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            Kind::Handover(_) => "handover",
            Kind::Pump(_) => "pump",
            Kind::Serve(_) => "serve",
        };
        f.debug_struct("Stream").field("kind", &kind).finish_non_exhaustive()
    }
}

/// A stream that is ready to be given away.
pub(crate) struct Prepared {
    pub(crate) socket: OwnedFd,
    pub(crate) detail: String,
    /// What feeds the other end of the pair; nothing for a handover.
    pub(crate) feed: Option<Feed>,
}

/// What feeds the plugin's end of a pair.
pub(crate) enum Feed {
    Pump(Pump, UnixStream),
    /// With a second descriptor of the socket, so that nothing the plugin drops can close it before
    /// the reason was given.
    Serve(Serve, UnixStream, StdUnixStream),
}

impl Feed {
    fn new(kind: Kind, kept: StdUnixStream) -> io::Result<Option<Self>> {
        kept.set_nonblocking(true)?;
        Ok(match kind {
            Kind::Handover(_) => None,
            Kind::Pump(pump) => Some(Self::Pump(pump, UnixStream::from_std(kept)?)),
            Kind::Serve(serve) => {
                Some(Self::Serve(serve, UnixStream::from_std(kept.try_clone()?)?, kept))
            }
        })
    }

    /// Effect: feeds the socket until it ends or `stop` is cancelled, says why, closes it.
    ///
    /// Cancel safety: dropping it says CANCELLED and closes the socket.
    pub(crate) async fn run(self, host: Host, op: u64, stop: &CancellationToken) {
        match self {
            Self::Pump(pump, socket) => {
                let mut end = End::new(socket, host, op);
                let work = pump.run(&mut end.socket);
                end.outcome = until(stop, work).await;
            }
            Self::Serve(serve, fed, kept) => {
                let mut end = End::new(kept, host, op);
                end.outcome = until(stop, async move { serve(fed).await }).await;
            }
        }
    }
}

async fn until(
    stop: &CancellationToken,
    work: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    let work = async move {
        injected("stream");
        work.await
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::cancelled()),
        outcome = caught_while_polled(work) => outcome.flatten(),
    }
}

/// The plugin's end of a pair: says why the stream ended, then closes it.
struct End<Socket> {
    socket: Socket,
    host: Host,
    op: u64,
    outcome: Result<(), Error>,
}

impl<Socket> End<Socket> {
    fn new(socket: Socket, host: Host, op: u64) -> Self {
        Self { socket, host, op, outcome: Err(Error::cancelled()) }
    }
}

impl<Socket> Drop for End<Socket> {
    /// The fields are dropped after this, so the reason always comes before the close.
    fn drop(&mut self) {
        let (status, message) = match &self.outcome {
            Ok(()) => (Status::OK, ""),
            Err(error) => (error.status(), error.message()),
        };
        self.host.border().stream_closed(self.op, status, message);
    }
}
