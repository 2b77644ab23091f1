//! What is not to be had, in words.

use std::time::Duration;

use pgferry_simulators::ManagedInstance;
use pgferry_transport_sdk::Status;
use pgferry_transport_ssm::pool::Order;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use crate::world::{NODE, World, client, connect, nobody, order, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_is_named() {
    let world = World::new().await;
    world.sessions.names(&[("db.internal", nobody())]);
    let pool = world.modest_pool();
    let mut client = client(&pool, &order("db.internal")).await;
    client.near.write_all(b"hello").await.expect("room");
    let error = client.fate().await;
    assert_eq!(error.status(), Status::UNREACHABLE);
    assert!(error.message().contains("could not connect to db.internal:5432"), "{error}");
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_the_node_does_not_know_and_an_address_that_is_forbidden_are_told_apart() {
    let world = World::new().await;
    let pool = world.modest_pool();
    for (host, status, words) in [
        ("nowhere.internal", Status::UNREACHABLE, "does not know host nowhere.internal"),
        ("169.254.169.254", Status::DENIED, "does not forward to 169.254.169.254:5432"),
    ] {
        // The agent may say so before the open is answered, or after.
        let error = match pool.open(&order(host)).await {
            Err(error) => error,
            Ok(connection) => {
                let (near, far) = tokio::net::UnixStream::pair().expect("a pair");
                let error = connection.carry(far).await.expect_err("a reason");
                drop(near);
                error
            }
        };
        assert_eq!(error.status(), status, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_answer_is_given_up_and_the_next_has_another_session() {
    let world = World::new().await;
    let pool = world.modest_pool();
    world.sessions.hold_dials(true);
    let hasty = Order { first_answer: Duration::from_millis(50), ..order("db.internal") };
    let mut held = client(&pool, &hasty).await;
    held.near.write_all(b"hello").await.expect("room");
    let error = held.fate().await;
    assert_eq!(error.status(), Status::TIMEOUT);
    assert!(error.message().contains("no answer from db.internal:5432"), "{error}");
    world.sessions.hold_dials(false);
    connect(&pool).await.echoes(b"SELECT 1").await;
    assert_eq!(world.sessions.sessions().len(), 2);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_connected_has_four_possible_causes() {
    let world = World::new().await;
    world.sessions.offline(NODE);
    let pool = world.pool(&format!(r#"{{"instance": "{NODE}", "boot_wait": "0s"}}"#));
    let error = refusal(&pool, &order("db.internal")).await;
    assert_eq!(error.status(), Status::UNREACHABLE);
    assert!(error.message().contains(NODE) && error.hint().unwrap().starts_with("one of four"));
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_just_booting_is_waited_for() {
    let world = World::new().await;
    world.sessions.offline(NODE);
    let pool = world.modest_pool();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.open(&order("db.internal")).await.map(drop) }
    });
    let called = || world.aws.wait_for_calls("ssm:StartSession", 1, crate::world::LIMIT);
    assert!(tokio::task::block_in_place(called));
    world.sessions.boot(NODE);
    waiting.await.expect("no panic").expect("a session");
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_nobody_has_documents_that_are_none_and_missing_permissions_say_so() {
    let world = World::new().await;
    let refused = async |config: String| {
        let pool = world.pool(&config);
        let error = refusal(&pool, &order("db.internal")).await;
        world.end(&pool).await;
        error
    };
    let error = refused(r#"{"name": "nobody", "boot_wait": "0s"}"#.to_owned()).await;
    assert!(error.message().contains("tagged Name=nobody"), "{error}");

    let error = refused(format!(r#"{{"instance": "{NODE}", "document": "No-Such"}}"#)).await;
    assert!(error.message().contains("no such session document"), "{error}");

    world.aws.allow_only(&world.aws.credentials().access_key_id, &["ssm:Describe*"]);
    let error = refused(format!(r#"{{"instance": "{NODE}"}}"#)).await;
    assert_eq!(error.status(), Status::DENIED);
    assert!(error.message().contains("may not ssm:StartSession"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_too_old_is_refused_with_the_version_it_needs() {
    let world = World::new().await;
    let old = ManagedInstance::new("i-00000000000000001").agent_version("3.1.1300.0");
    world.aws.add_managed_instance(old);
    let pool = world.pool(r#"{"instance": "i-00000000000000001"}"#);
    let error = refusal(&pool, &order("db.internal")).await;
    assert!(error.message().contains("3.1.1300.0 is too old"), "{error}");
    assert!(error.hint().unwrap().contains("AWS-UpdateSSMAgent"));
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_answer_costs_no_more_than_the_time_there_is() {
    let world = World::new().await;
    world.sessions.black_hole(true);
    let pool = world.modest_pool();
    let brief =
        Order { deadline: Instant::now() + Duration::from_millis(300), ..order("db.internal") };
    let error = refusal(&pool, &brief).await;
    assert_eq!(error.status(), Status::TIMEOUT);
    world.sessions.black_hole(false);
    world.end(&pool).await;
}
