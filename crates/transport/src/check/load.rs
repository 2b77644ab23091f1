//! Check 15: many opens, one after the other and at once.

use std::sync::Arc;
use std::time::Duration;

use super::bench::{Bench, Subject};
use super::opening::round_trip;
use super::process::Usage;
use super::server::{Server, Service};
use super::{Flaw, Seen};

/// 15: opens leave nothing behind.
pub(super) async fn many_opens(bench: Arc<Bench>) -> Seen {
    const IN_TURN: usize = 200;
    const AT_ONCE: usize = 50;
    let server = Server::start(Service::Echo).await?;
    let subject = bench.subject()?;
    // Once before, for whatever is made at the first time and kept.
    at_once(&subject, server.port, AT_ONCE).await?;
    let before = Usage::at_rest().await;
    for _ in 0..IN_TURN {
        round_trip(&mut subject.open(server.port).await?, 100).await?;
    }
    at_once(&subject, server.port, AT_ONCE).await?;
    // A pool in the plugin may keep idle threads for a while: tokio's does for 10 s.
    let seen = before.restored_within(Duration::from_secs(15)).await?;
    subject.destroy().await?;
    Ok(format!("after {IN_TURN} opens in turn and {AT_ONCE} at once, {seen}"))
}

async fn at_once(subject: &Subject, port: u16, count: usize) -> Result<(), Flaw> {
    let mut streams = Vec::new();
    let mut opening: Vec<_> = (0..count).map(|_| Box::pin(subject.open(port))).collect();
    // All are polled before any is awaited to its end.
    std::future::poll_fn(|cx| {
        opening.retain_mut(|open| match open.as_mut().poll(cx) {
            std::task::Poll::Ready(stream) => {
                streams.push(stream);
                false
            }
            std::task::Poll::Pending => true,
        });
        if opening.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    for stream in streams {
        round_trip(&mut stream?, 100).await?;
    }
    Ok(())
}
