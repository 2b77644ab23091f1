//! Checks of `open` and `cancel`: 7, 8 and 10.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::bench::{Bench, Stream, request};
use super::process::{Usage, in_time};
use super::server::{BlackHole, Server, Service, refusing_port};
use super::{Flaw, Seen, ensure, fail};
use crate::Status;

/// 7: where nobody is, it says so, within the time it was given.
pub(super) async fn unreachable(bench: Arc<Bench>) -> Seen {
    let subject = bench.subject()?;
    let targets = [
        ("127.0.0.1", refusing_port().await?),
        // Source: RFC 5737 keeps these addresses for documentation, RFC 6761 this name for nobody.
        ("192.0.2.1", 5432),
        ("no-such-host.invalid", 5432),
    ];
    let mut seen = Vec::new();
    for (host, port) in targets {
        let mut request = request(host, port);
        request.limit = Duration::from_secs(2);
        let (limit, begun) = (request.limit, Instant::now());
        let Err(error) = subject.instance.open(request).await else {
            return Err(fail(format!("it reached {host}:{port}")));
        };
        in_time("failing", begun, limit + Duration::from_secs(1))?;
        let fits = matches!(error.status, Status::Unreachable | Status::Timeout);
        ensure(fits, || format!("{host}: {} instead of unreachable: {error}", error.status))?;
        subject.quiet_within(Duration::from_secs(1)).await?;
        seen.push(format!("{host} {}", error.status));
    }
    subject.destroy().await?;
    Ok(seen.join(", "))
}

/// 8: what goes through comes back the same.
pub(super) async fn echo(bench: Arc<Bench>) -> Seen {
    let server = Server::start(Service::Echo).await?;
    let subject = bench.subject()?;
    for length in [1, 64 * 1024, 16 * 1024 * 1024] {
        round_trip(&mut subject.open(server.port).await?, length).await?;
    }
    subject.destroy().await?;
    Ok("1 byte, 64 KiB and 16 MiB came back as sent".to_owned())
}

/// Sends bytes to an echo and compares what comes back.
pub(super) async fn round_trip(stream: &mut Stream, length: usize) -> Result<(), Flaw> {
    let sent = noise(length);
    let mut received = vec![0; length];
    let (mut reader, mut writer) = stream.bytes.split();
    let both =
        async { tokio::try_join!(writer.write_all(&sent), reader.read_exact(&mut received)) };
    timeout(ECHO_LIMIT, both)
        .await
        .map_err(|_| fail(format!("{length} bytes did not come back within {ECHO_LIMIT:?}")))?
        .map_err(|error| fail(format!("while {length} bytes went through: {error}")))?;
    ensure(sent == received, || format!("{length} bytes came back changed"))
}

/// Bytes without a pattern that a wrong copy could repeat.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_ne_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// 10: a cancelled open is answered soon, and leaves nothing behind.
pub(super) async fn cancel(bench: Arc<Bench>) -> Seen {
    let subject = bench.subject()?;
    let server = Server::start(Service::Echo).await?;
    round_trip(&mut subject.open(server.port).await?, 1).await?;
    let hole = BlackHole::new().map_err(fail)?;
    let before = Usage::at_rest().await;
    for delay in [0, 1, 50] {
        let open = subject.instance.open(request("127.0.0.1", hole.port));
        // An open that ends before it is cancelled is none of this check's business.
        drop(timeout(Duration::from_millis(delay), open).await);
        subject.quiet_within(Duration::from_secs(1)).await?;
    }
    before.restored_within(Duration::from_secs(2)).await?;
    let mut stream = subject.open(server.port).await?;
    if let Some(op) = stream.closed.op() {
        subject.guest.ask_cancel(op);
    }
    round_trip(&mut stream, 64 * 1024).await?;
    drop(stream);
    subject.destroy().await?;
    Ok("after 0, 1 and 50 ms answered within 1 s; after the answer without effect".to_owned())
}

const ECHO_LIMIT: Duration = Duration::from_secs(30);
