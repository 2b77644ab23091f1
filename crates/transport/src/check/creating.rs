//! Checks of `create`: 5, 6 and 16.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::bench::Bench;
use super::opening::round_trip;
use super::process::in_time;
use super::server::{Server, Service};
use super::{Flaw, Seen, fail};
use crate::guest::WORDLESS;
use crate::{LoadFailure, Status};

/// 5: what is no configuration is refused as one, in words, at once.
pub(super) async fn bad_configurations(bench: Arc<Bench>) -> Seen {
    let bad = bad(&bench.config);
    let count = bad.len();
    for (what, config) in bad {
        let begun = Instant::now();
        match bench.create(config) {
            Ok(subject) => {
                subject.destroy().await?;
                return Err(fail(format!("it takes {what}")));
            }
            Err(failure) => refused_in_words(what, &failure)?,
        }
        in_time("refusing a configuration", begun, Duration::from_secs(1))?;
    }
    Ok(format!("{count} bad configurations are refused in words"))
}

fn refused_in_words(what: &str, failure: &LoadFailure) -> Result<(), Flaw> {
    match failure {
        LoadFailure::Create { status: Status::Config, message, .. } if message != WORDLESS => {
            Ok(())
        }
        LoadFailure::Create { status: Status::Config, .. } => {
            Err(fail(format!("it refuses {what} without saying why")))
        }
        other => Err(fail(format!("{what}: {other}"))),
    }
}

fn bad(good: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let with = |key: &str, value: Value| {
        let mut config: Value = serde_json::from_slice(good).unwrap_or_default();
        if let Some(object) = config.as_object_mut() {
            object.insert(key.to_owned(), value);
        }
        Some(config.to_string().into_bytes())
    };
    vec![
        ("a NULL configuration", None),
        ("an empty configuration", Some(Vec::new())),
        ("a list as configuration", Some(b"[]".to_vec())),
        ("a truncated configuration", Some(b"{\"host\":\"a".to_vec())),
        ("a configuration that is not UTF-8", Some(b"{\"\xff\":1}".to_vec())),
        ("an unknown key", with("pgferry_no_such_key", Value::Null)),
        ("an unknown key of 1 MiB", with("pgferry_no_such_key", "x".repeat(1 << 20).into())),
    ]
}

/// 6: the configuration of the run gives an instance, soon.
pub(super) async fn good_configuration(bench: Arc<Bench>) -> Seen {
    let begun = Instant::now();
    let subject = bench.create(Some(bench.config.clone())).map_err(fail)?;
    in_time("create", begun, Duration::from_secs(1))?;
    let took = begun.elapsed();
    subject.destroy().await?;
    Ok(format!("an instance after {took:.1?}"))
}

/// 16: the end of one instance is not felt by another.
pub(super) async fn two_instances(bench: Arc<Bench>) -> Seen {
    let server = Server::start(Service::Echo).await?;
    let (first, second) = (bench.subject()?, bench.subject()?);
    let mut streams = [first.open(server.port).await?, second.open(server.port).await?];
    for stream in &mut streams {
        round_trip(stream, 1024).await?;
    }
    let [gone, mut stays] = streams;
    drop(gone);
    first.destroy().await?;
    round_trip(&mut stays, 1024).await?;
    round_trip(&mut second.open(server.port).await?, 1024).await?;
    drop(stays);
    second.destroy().await?;
    Ok("the second goes on after the first is destroyed".to_owned())
}
