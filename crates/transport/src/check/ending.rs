//! Checks of `destroy`: 18 and 19.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::bench::{Bench, DESTROY_LIMIT, request};
use super::process::{Usage, eventually, in_time};
use super::server::{BlackHole, Server, Service};
use super::{Flaw, Seen, fail};

/// 18: destroy comes to an end whatever is going on, and is the end.
pub(super) async fn destroy(bench: Arc<Bench>) -> Seen {
    bench.subject()?.destroy().await?;
    let before = Usage::at_rest().await;
    bench.subject()?.destroy().await?;
    if !bench.plugin.speaks_postgres() {
        with_an_open_under_way(&bench).await?;
        with_streams(&bench).await?;
    }
    // A call after the end is a violation, which check 9 counts; it needs a moment to come.
    eventually(Duration::from_millis(300), || false).await;
    bench.mistakes.none()?;
    before.restored_within(Duration::from_secs(15)).await
}

async fn with_an_open_under_way(bench: &Arc<Bench>) -> Result<(), Flaw> {
    let hole = BlackHole::new().map_err(fail)?;
    let subject = bench.subject()?;
    let guest = Arc::clone(&subject.guest);
    let port = hole.port;
    let opening = tokio::spawn(async move {
        drop(subject.instance.open(request("127.0.0.1", port)).await);
    });
    eventually(Duration::from_millis(200), || !guest.busy.is_empty()).await;
    let begun = Instant::now();
    let ended = guest.shutdown(begun + DESTROY_LIMIT).await;
    opening.await.map_err(fail)?;
    super::ensure(ended, || "it did not end with an open under way".to_owned())?;
    in_time("destroy with an open under way", begun, DESTROY_LIMIT)
}

async fn with_streams(bench: &Arc<Bench>) -> Result<(), Flaw> {
    let server = Server::start(Service::Echo).await?;
    let subject = bench.subject()?;
    let streams = [subject.open(server.port).await?, subject.open(server.port).await?];
    let begun = Instant::now();
    subject.destroy().await?;
    in_time("destroy with streams open", begun, DESTROY_LIMIT)?;
    drop(streams);
    Ok(())
}

/// 19: an instance leaves nothing behind.
pub(super) async fn create_and_destroy(bench: Arc<Bench>) -> Seen {
    const TIMES: usize = 100;
    bench.subject()?.destroy().await?;
    let before = Usage::at_rest().await;
    for _ in 0..TIMES {
        bench.subject()?.destroy().await?;
    }
    let seen = before.restored_within(Duration::from_secs(15)).await?;
    Ok(format!("after {TIMES} instances, {seen}"))
}
