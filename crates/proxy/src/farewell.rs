//! The last words to an application: an error it can read before the connection closes. And an end
//! in order for a database that has nothing to do with it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long an application gets to take its last message and close.
const LIMIT: Duration = Duration::from_secs(2);
/// How much of what it still sends is thrown away meanwhile.
const DISCARD_MAX: u64 = 16 * 1024 * 1024;

/// Sends `words` (none is fine) and closes.
///
/// Closing a TCP socket with unread bytes resets it, and the reset may overtake the message: so our
/// side is shut down first and what still arrives is read away until the application closes too.
///
/// Cancel safety: dropping it closes the connection at once.
pub(crate) async fn farewell<S>(stream: &mut S, words: &[u8])
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        stream.write_all(words).await?;
        stream.flush().await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(DISCARD_MAX), &mut tokio::io::sink()).await
    };
    if let Ok(Err(error)) = timeout(LIMIT, exchange).await {
        tracing::debug!(%error, "the other side left before its last message");
    }
}
