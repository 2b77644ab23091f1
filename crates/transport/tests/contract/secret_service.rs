//! Secrets that a service has: who gets them, how long one waits for them, and what is said if not.

use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pgferry_transport::{
    InstanceSpec, OpenRequest, SecretAnswer, SecretFailure, SecretService, Status,
};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::harness::{hostile_spec, request, start};

/// What a service of a test does.
enum Doing {
    /// Gives one more letter each time.
    Counts(AtomicUsize),
    Fails,
    /// Says that it was asked, and never answers.
    Hangs(Arc<Notify>),
}

struct Service {
    doing: Doing,
    whose: &'static str,
}

impl SecretService for Service {
    fn answer(&self, name: &str) -> Option<SecretAnswer> {
        if name != "aws:credentials" {
            return None;
        }
        Some(match &self.doing {
            Doing::Counts(asked) => {
                let letters = asked.fetch_add(1, Ordering::Relaxed) + 1;
                Box::pin(ready(Ok(Zeroizing::new(vec![b'x'; letters]))))
            }
            Doing::Fails => Box::pin(ready(Err(SecretFailure {
                status: Status::Auth,
                message: "the SSO session is over".to_owned(),
            }))),
            Doing::Hangs(asked) => {
                asked.notify_one();
                Box::pin(pending())
            }
        })
    }

    fn identity(&self) -> String {
        self.whose.to_owned()
    }
}

fn spec(doing: Doing) -> InstanceSpec {
    of("work", doing)
}

fn of(whose: &'static str, doing: Doing) -> InstanceSpec {
    InstanceSpec { service: Some(Arc::new(Service { doing, whose })), ..hostile_spec("h") }
}

fn counting() -> Doing {
    Doing::Counts(AtomicUsize::new(0))
}

async fn messages<const OPENS: usize>(spec: InstanceSpec, trick: &str) -> [String; OPENS] {
    let (transports, _) = start(vec![spec]);
    let instance = transports.instance("h").unwrap();
    let mut messages = [const { String::new() }; OPENS];
    for message in &mut messages {
        let error = instance.open(request(trick, 1)).await.unwrap_err();
        *message = error.message.replace("transport h (hostile 0.1): ", "");
    }
    messages
}

#[tokio::test]
async fn each_request_is_answered_anew() {
    let asked = messages::<3>(spec(counting()), "secret-aws").await;
    let length = |bytes| format!("a value of {bytes} bytes, last x");
    assert_eq!(asked, [length(1), length(2), length(3)]);
}

#[tokio::test]
async fn an_instance_without_the_service_is_denied_and_told_what_grants_it() {
    let [said] = messages(hostile_spec("h"), "secret-aws").await;
    assert!(said.contains("\"aws:credentials\" is not granted to the transport h"), "{said}");
    assert!(said.contains("grant it with aws = {}"), "{said}");
}

#[tokio::test]
async fn a_service_gives_nothing_but_what_is_its_own() {
    let [said] = messages(spec(counting()), "secret-other").await;
    assert!(said.contains("the secret \"other\" is not granted"), "{said}");
}

#[tokio::test]
async fn a_failure_arrives_in_its_own_words() {
    assert_eq!(messages(spec(Doing::Fails), "secret-aws").await, ["the SSO session is over"]);
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_given_up_with_the_open_that_asked() {
    let (transports, _) = start(vec![spec(Doing::Hangs(Arc::default()))]);
    let limit = Duration::from_secs(1);
    let asking = OpenRequest { limit, ..request("secret-aws", 1) };
    let error = transports.instance("h").unwrap().open(asking).await.unwrap_err();
    let words = "the secret \"aws:credentials\" did not come in time";
    assert!(error.message.contains(words), "{}", error.message);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_service() {
    let asked = Arc::new(Notify::new());
    let (transports, _) = start(vec![spec(Doing::Hangs(Arc::clone(&asked)))]);
    let instance = transports.instance("h").unwrap();
    let open = tokio::spawn(async move {
        let request = OpenRequest { limit: Duration::from_mins(10), ..request("secret-aws", 1) };
        instance.open(request).await
    });
    asked.notified().await;
    tokio::time::timeout(Duration::from_secs(5), transports.shutdown()).await.unwrap();
    assert_eq!(open.await.unwrap().unwrap_err().status, Status::Cancelled);
}

#[tokio::test]
async fn an_instance_is_made_anew_when_its_secrets_are_somebody_elses() {
    let (transports, _) = start(vec![spec(counting())]);
    let same = transports.succeed(vec![spec(counting())]).unwrap();
    let instance = |of: &pgferry_transport::Transports| of.instance("h").unwrap();
    assert!(Arc::ptr_eq(&instance(&transports), &instance(&same)));
    for other in [of("home", counting()), hostile_spec("h")] {
        let next = transports.succeed(vec![other]).unwrap();
        assert!(!Arc::ptr_eq(&instance(&transports), &instance(&next)));
    }
}
