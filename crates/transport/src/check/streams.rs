//! Checks of how streams end: 11, 12 and 14.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

use super::bench::{Bench, Stream, Subject};
use super::process::Usage;
use super::server::{Server, Service};
use super::{Flaw, Seen, ensure, fail, skip};
use crate::Status;

/// 11: one direction's end is not the other's.
pub(super) async fn half_close(bench: Arc<Bench>) -> Seen {
    const TAIL: usize = 64 * 1024;
    let subject = bench.subject()?;
    let server = Server::start(Service::AfterTheEnd(TAIL)).await?;
    let mut stream = subject.open(server.port).await?;
    stream.bytes.write_all(b"the last words").await.map_err(fail)?;
    stream.bytes.shutdown().await.map_err(fail)?;
    let got = read_to_end(&mut stream).await?;
    ensure(got == TAIL, || {
        format!("after the host's end {got} of {TAIL} bytes still came from the server")
    })?;
    let (count, mut counted) = unbounded_channel();
    let server = Server::start(Service::BeforeTheEnd(TAIL, count)).await?;
    let mut stream = subject.open(server.port).await?;
    let got = read_to_end(&mut stream).await?;
    ensure(got == TAIL, || format!("{got} of {TAIL} bytes came before the server's end"))?;
    stream.bytes.write_all(&vec![7; TAIL]).await.map_err(fail)?;
    stream.bytes.shutdown().await.map_err(fail)?;
    let arrived = timeout(LIMIT, counted.recv()).await.ok().flatten();
    ensure(arrived == Some(TAIL as u64), || {
        format!("after the server's end {arrived:?} of {TAIL} bytes arrived there")
    })?;
    drop(stream);
    subject.destroy().await?;
    Ok("64 KiB arrive after either side's end".to_owned())
}

async fn read_to_end(stream: &mut Stream) -> Result<usize, Flaw> {
    let mut bytes = Vec::new();
    let read = timeout(LIMIT, stream.bytes.read_to_end(&mut bytes)).await;
    read.map_err(|_| fail(format!("the stream did not end within {LIMIT:?}")))?.map_err(fail)
}

/// 12: a reset does not look like an orderly end.
///
/// A plugin that pumps is let off: what it pumps over may not tell the one from the other. An SSH
/// server, for one, passes both on as the channel's end (RFC 4254, section 5.3, has no message for a
/// reset). One that hands over its own TCP socket, or says anything at all, has no such excuse.
pub(super) async fn reset(bench: Arc<Bench>) -> Seen {
    let subject = bench.subject()?;
    let server = Server::start(Service::Reset).await?;
    let mut stream = subject.open(server.port).await?;
    stream.bytes.write_all(&[1]).await.map_err(fail)?;
    let read = timeout(LIMIT, stream.bytes.read(&mut [0; 16])).await;
    let seen = match read.map_err(|_| fail("the reset was not passed on"))? {
        Ok(0) => {
            let why = stream.closed.wait(Duration::from_millis(50)).await;
            match why.filter(|why| why.status != Status::Ok) {
                Some(why) => format!("it says why: {} ({})", why.status, why.message),
                None if stream.is_pumped => {
                    return Err(skip(
                        "the stream ends as if nothing had happened; the plugin pumps, so perhaps \
                         it cannot know",
                    ));
                }
                None => return Err(fail("the stream ends as if nothing had happened")),
            }
        }
        Ok(_) => return Err(fail("bytes came from nowhere")),
        Err(error) => format!("the socket says why: {error}"),
    };
    drop(stream);
    subject.destroy().await?;
    Ok(seen)
}

/// 14: streams that the host closes, whatever was going on, leave nothing behind.
pub(super) async fn closed_early(bench: Arc<Bench>) -> Seen {
    let subject = bench.subject()?;
    // Once before, for whatever is made at the first time.
    close_in_every_way(&subject).await?;
    let before = Usage::at_rest().await;
    for _ in 0..5 {
        close_in_every_way(&subject).await?;
    }
    let seen = before.restored_within(Duration::from_secs(2)).await?;
    subject.destroy().await?;
    Ok(seen)
}

async fn close_in_every_way(subject: &Subject) -> Result<(), Flaw> {
    // They end with this: a tunnel's far end may keep its socket to a server that reads nothing for as
    // long as the server lives, and that would count as the plugin's.
    let (flood, echo) = (Server::start(Service::Flood).await?, Server::start(Service::Echo).await?);
    drop(subject.open(echo.port).await?);
    let mut reading = subject.open(flood.port).await?;
    reading.bytes.read_exact(&mut [0; 1024]).await.map_err(fail)?;
    let mut writing = subject.open(flood.port).await?;
    let chunk = vec![7; 64 * 1024];
    // Ends when every buffer on the way is full: the server does not read.
    while let Ok(written) =
        timeout(Duration::from_millis(20), writing.bytes.write_all(&chunk)).await
    {
        written.map_err(fail)?;
    }
    Ok(())
}

const LIMIT: Duration = Duration::from_secs(10);
