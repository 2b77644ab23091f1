use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::UNIX_EPOCH;

use aws_smithy_async::time::TimeSource;

use super::*;
use crate::error::AwsErrorKind;

/// A clock that the test moves.
#[derive(Clone, Debug, Default)]
struct Clock(Arc<AtomicU64>);

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

impl Clock {
    fn at(&self, second: u64) -> SharedTimeSource {
        self.0.store(second, Ordering::SeqCst);
        SharedTimeSource::new(self.clone())
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
}

fn until(key: &str, end: Option<u64>) -> Credentials {
    let end = end.map(|second| UNIX_EPOCH + Duration::from_secs(second));
    Credentials::new(key, "secret", None, end, "test")
}

fn failure(text: &str) -> AwsError {
    AwsError::new(AwsErrorKind::Other, text)
}

/// What the cache gives where the source answers `answer`; the key's name tells which it was.
async fn get(
    cache: &Cache,
    clock: &SharedTimeSource,
    answer: Result<Credentials, AwsError>,
) -> Result<String, AwsError> {
    let found = cache.get(cache.seen(), clock, || async { answer }).await?;
    Ok(found.access_key_id().to_owned())
}

#[test]
fn credentials_are_kept_until_two_minutes_before_their_end() {
    run(async {
        let (cache, clock) = (Cache::default(), Clock::default());
        assert_eq!(
            get(&cache, &clock.at(0), Ok(until("first", Some(3600)))).await.unwrap(),
            "first"
        );
        let later = get(&cache, &clock.at(3479), Ok(until("second", Some(7200)))).await;
        assert_eq!(later.unwrap(), "first");
        let renewed = get(&cache, &clock.at(3480), Ok(until("second", Some(7200)))).await;
        assert_eq!(renewed.unwrap(), "second");
    });
}

#[test]
fn keys_without_an_end_are_read_again_after_a_quarter_of_an_hour() {
    run(async {
        let (cache, clock) = (Cache::default(), Clock::default());
        get(&cache, &clock.at(0), Ok(until("first", None))).await.unwrap();
        assert_eq!(get(&cache, &clock.at(899), Ok(until("second", None))).await.unwrap(), "first");
        assert_eq!(get(&cache, &clock.at(900), Ok(until("second", None))).await.unwrap(), "second");
    });
}

#[test]
fn credentials_that_hold_outlive_a_failed_renewal_but_not_their_end() {
    run(async {
        let (cache, clock) = (Cache::default(), Clock::default());
        get(&cache, &clock.at(0), Ok(until("first", Some(3600)))).await.unwrap();
        let held = get(&cache, &clock.at(3500), Err(failure("offline"))).await;
        assert_eq!(held.unwrap(), "first");
        let over = get(&cache, &clock.at(3600), Err(failure("still offline"))).await;
        assert_eq!(over.unwrap_err().to_string(), "still offline");
    });
}

#[test]
fn a_source_that_gives_what_is_nearly_over_is_not_asked_every_time() {
    run(async {
        let (cache, clock) = (Cache::default(), Clock::default());
        get(&cache, &clock.at(0), Ok(until("first", Some(60)))).await.unwrap();
        assert_eq!(
            get(&cache, &clock.at(9), Ok(until("second", Some(60)))).await.unwrap(),
            "first"
        );
        assert_eq!(
            get(&cache, &clock.at(10), Ok(until("second", Some(60)))).await.unwrap(),
            "second"
        );
    });
}

/// 200 users at once, and a source that answers when all of them want it. How often the source was asked, and what
/// everybody got.
async fn crowd(answer: Result<Credentials, AwsError>) -> (u32, Vec<Result<Credentials, AwsError>>) {
    let (cache, asked) = (Arc::new(Cache::default()), Arc::new(AtomicU32::new(0)));
    let clock = Clock::default().at(0);
    let everybody_waits = Arc::new(tokio::sync::Barrier::new(201));
    let go = Arc::new(tokio::sync::Notify::new());
    let mut users = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (cache, asked, clock, answer) =
            (Arc::clone(&cache), Arc::clone(&asked), clock.clone(), answer.clone());
        let (barrier, go) = (Arc::clone(&everybody_waits), Arc::clone(&go));
        users.spawn(async move {
            let seen = cache.seen();
            barrier.wait().await;
            let resolve = || async move {
                asked.fetch_add(1, Ordering::SeqCst);
                go.notified().await;
                answer
            };
            cache.get(seen, &clock, resolve).await
        });
    }
    everybody_waits.wait().await;
    go.notify_one();
    let results = users.join_all().await;
    (asked.load(Ordering::SeqCst), results)
}

#[test]
fn two_hundred_users_at_once_ask_the_source_once() {
    run(async {
        let (asked, results) = crowd(Ok(until("shared", Some(3600)))).await;
        assert_eq!(asked, 1);
        assert!(results.iter().all(Result::is_ok));
    });
}

#[test]
fn two_hundred_users_at_once_share_one_failure() {
    run(async {
        let (asked, results) = crowd(Err(failure("no"))).await;
        assert_eq!(asked, 1);
        assert!(results.iter().all(|result| result.as_ref().is_err_and(|e| e.to_string() == "no")));
    });
}

#[test]
fn whoever_asks_after_a_failure_asks_anew() {
    run(async {
        let (cache, clock) = (Cache::default(), Clock::default());
        get(&cache, &clock.at(0), Err(failure("no"))).await.unwrap_err();
        assert_eq!(get(&cache, &clock.at(0), Ok(until("found", None))).await.unwrap(), "found");
    });
}
