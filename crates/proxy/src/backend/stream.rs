//! The stream to the database.

use tokio_rustls::client::TlsStream;

use crate::socket::Socket;
use crate::stream::Stream;

/// How far the other end has been verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// Chain and name: the only state in which a cleartext password may be sent.
    VerifiedFull,
    /// The chain alone.
    VerifiedChain,
    /// Not at all.
    Unverified,
}

/// A connected database, after TLS.
pub(crate) type Backend = Stream<TlsStream<Socket>>;
