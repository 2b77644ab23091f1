//! The stream to the application.

use pgferry_pg::passthrough;
use tokio_rustls::server::TlsStream;

use crate::conversation::Conversation;
use crate::socket::Socket;
use crate::stream::Stream;

/// A connected application, before or after TLS.
pub(crate) type Frontend = Stream<TlsStream<Socket>>;

impl Frontend {
    /// The socket beneath; `None` if it is gone.
    pub(crate) fn socket(&self) -> Option<&Socket> {
        match self {
            Self::Plain(socket) => Some(socket),
            Self::Tls(stream) => Some(stream.get_ref().0),
            Self::Gone => None,
        }
    }

    /// How far what it says can be overheard.
    pub(crate) fn exposure(&self) -> passthrough::Frontend {
        match self {
            Self::Tls(_) => passthrough::Frontend::Tls,
            Self::Plain(Socket::Unix(_)) | Self::Gone => passthrough::Frontend::Local,
            Self::Plain(Socket::Tcp(stream)) => match stream.peer_addr() {
                Ok(peer) if peer.ip().to_canonical().is_loopback() => passthrough::Frontend::Local,
                _ => passthrough::Frontend::Exposed,
            },
        }
    }
}

impl Conversation<Frontend> {
    /// Completes when the application has closed and nothing it sent is left to read. Never
    /// completes while unread bytes are there.
    ///
    /// Cancel safety: what had to be read to see it is in the buffer.
    pub(crate) async fn closed_by_peer(&mut self) {
        match &self.stream {
            Stream::Plain(socket) => socket.closed_by_peer().await,
            // Its end is a message of TLS, which only TLS can read.
            Stream::Tls(_) => {
                if self.fill().await.is_ok() {
                    std::future::pending::<()>().await;
                }
            }
            Stream::Gone => {}
        }
    }
}
