//! Check 20: a plugin that is told to panic says so, and the process lives.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::bench::{Bench, request};
use super::server::{Server, Service};
use super::{Seen, fail, skip};
use crate::{LoadFailure, Status};

/// 20: wherever it panics, the host hears of it.
pub(super) async fn panics(bench: Arc<Bench>, place: String) -> Seen {
    let created = bench.create(Some(bench.config.clone()));
    let subject = match (place.as_str(), created) {
        ("create", Err(LoadFailure::Create { status: Status::Panic, message, .. })) => {
            return Ok(format!("in create: {message}"));
        }
        (_, Err(failure)) => return Err(fail(failure)),
        ("create", Ok(_)) => return Err(skip("it does not panic on request")),
        (_, Ok(subject)) => subject,
    };
    let server = Server::start(Service::Echo).await?;
    let opened = subject.instance.open(request("127.0.0.1", server.port)).await;
    let connection = match (place.as_str(), opened) {
        ("open", Err(error)) if error.status == Status::Panic => {
            return Ok(format!("in open: {error}"));
        }
        (_, Err(error)) => return Err(fail(error)),
        ("open", Ok(_)) => return Err(skip("it does not panic on request")),
        (_, Ok(connection)) => connection,
    };
    let mut stream = super::bench::Stream::new(connection).map_err(fail)?;
    let read = timeout(Duration::from_secs(2), stream.bytes.read(&mut [0])).await;
    let Ok(Ok(0) | Err(_)) = read else { return Err(skip("it does not panic on request")) };
    match stream.closed.wait(Duration::from_millis(50)).await {
        Some(closed) if closed.status == Status::Panic => {
            Ok(format!("in a stream: {}", closed.message))
        }
        _ => Err(fail("the stream ended without a word about a panic")),
    }
}
