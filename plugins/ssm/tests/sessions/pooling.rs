//! How connections are spread over sessions.

use std::time::Duration;

use pgferry_simulators::ManagedInstance;
use pgferry_transport_ssm::pool::{Kind, Order};

use crate::world::{LIMIT, NODE, World, client, connect, echo, nobody, order};

#[tokio::test(flavor = "multi_thread")]
async fn each_connection_has_a_session_of_its_own_up_to_the_limit_and_shares_one_beyond() {
    let world = World::new().await;
    let pool =
        world.pool(&format!(r#"{{"instance": "{NODE}", "open_ahead": false, "max_sessions": 2}}"#));
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(connect(&pool).await);
    }
    for client in &mut clients {
        client.echoes(b"SELECT 1").await;
    }
    let streams: Vec<_> =
        world.sessions.sessions().iter().map(|session| session.open_streams).collect();
    assert_eq!(streams, [2, 2]);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_opened_ahead_of_need_and_used_by_the_next_connection() {
    let world = World::new().await;
    let pool = world.pool(&format!(r#"{{"instance": "{NODE}", "max_sessions": 2}}"#));
    let mut first = connect(&pool).await;
    first.echoes(b"one").await;
    world.until(|sessions| sessions.iter().filter(|session| session.messages > 0).count() == 2);
    let mut second = connect(&pool).await;
    second.echoes(b"two").await;
    let streams: Vec<_> = world.sessions.sessions().iter().map(|session| session.streams).collect();
    assert_eq!(streams, [1, 1]);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_connection_has_ended_serves_the_next_one() {
    let world = World::new().await;
    let pool = world.modest_pool();
    for _ in 0..3 {
        let mut client = connect(&pool).await;
        client.echoes(b"SELECT 1").await;
        client.close().await;
        world.until(|sessions| sessions.iter().all(|session| session.open_streams == 0));
    }
    assert_eq!(world.sessions.sessions().len(), 1);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_errand_shares_a_session_although_there_is_room_for_another() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let mut busy = connect(&pool).await;
    busy.echoes(b"SELECT pg_sleep(100)").await;
    let errand = Order { kind: Kind::Errand, ..order("db.internal") };
    client(&pool, &errand).await.echoes(b"cancel").await;
    assert_eq!(world.sessions.sessions().len(), 1);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_found_by_its_tags_among_those_that_are_online() {
    let world = World::new().await;
    let dead = ManagedInstance::new("i-00000000000000001").tag("role", "bastion").offline();
    world.aws.add_managed_instance(dead);
    let pool = world.pool(r#"{"tags": {"role": "bastion"}, "open_ahead": false}"#);
    connect(&pool).await.echoes(b"SELECT 1").await;
    assert_eq!(world.sessions.sessions()[0].target, NODE);
    let named = world.pool(r#"{"name": "bastion", "open_ahead": false}"#);
    connect(&named).await.echoes(b"SELECT 1").await;
    named.close().await;
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_has_moved_is_found_by_a_new_session() {
    let world = World::new().await;
    world.sessions.names(&[("db.internal", nobody())]);
    let pool = world.modest_pool();
    let refused = client(&pool, &order("db.internal")).await;
    let mut refused = refused;
    tokio::io::AsyncWriteExt::write_all(&mut refused.near, b"hello").await.expect("room");
    assert!(refused.fate().await.message().contains("could not connect"));

    // The session that looked the name up is still there; the database has moved.
    world.sessions.names(&[("db.internal", echo().await)]);
    let moved = Order { renew_after: Duration::ZERO, ..order("db.internal") };
    client(&pool, &moved).await.echoes(b"SELECT 1").await;
    assert_eq!(world.sessions.sessions().len(), 2);
    world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_nobody_uses_is_ended_after_a_while() {
    let world = World::new().await;
    let pool = world.modest_pool();
    let brief = Order { idle_limit: Duration::from_millis(1), ..order("db.internal") };
    let mut short = client(&pool, &brief).await;
    short.echoes(b"SELECT 1").await;
    short.close().await;
    world.until(|sessions| sessions.iter().all(pgferry_simulators::SessionRecord::ended));
    tokio::time::timeout(LIMIT, pool.close()).await.expect("nothing is left");
    assert_eq!(pool.sessions(), 0);
    world.end(&pool).await;
}
