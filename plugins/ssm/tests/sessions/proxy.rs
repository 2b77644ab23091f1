//! Calls and data channels through the HTTPS proxy of an office.

use std::io::Write as _;

use pgferry_simulators::{Authority, ConnectProxy};
use pgferry_transport_sdk::Status;
use tempfile::NamedTempFile;

use crate::world::{World, connect, order, refusal};

/// An AWS that is reached by TLS through `proxy`, as `url` says it.
struct Stage {
    world: World,
    /// Where both services are, as a tunnel is asked for.
    aws: String,
    _bundle: NamedTempFile,
}

impl Stage {
    async fn behind(url: String) -> Self {
        let mut world = World::new().await;
        let authority = Authority::new("the throwaway AWS").expect("an authority");
        let certificate = authority.issue(&["localhost", "127.0.0.1"]).expect("a certificate");
        let port = world.aws.serve_tls(&certificate).expect("a port").port();
        let aws = format!("localhost:{port}");
        let mut bundle = NamedTempFile::new().expect("a file");
        bundle.write_all(authority.pem().as_bytes()).expect("a bundle");
        world.ca_bundle = bundle.path().to_str().map(str::to_owned);
        world.endpoint = Some(format!("https://{aws}"));
        world.https_proxy = Some(url);
        Self { world, aws, _bundle: bundle }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_data_channel_go_through_the_proxy_with_its_login() {
    let proxy = ConnectProxy::start_with_login("jo", "p@ss:w/rd");
    let stage = Stage::behind(proxy.url_with_login()).await;
    let pool = stage.world.modest_pool();
    let mut client = connect(&pool).await;
    client.echoes(b"through the office").await;
    stage.world.sessions.close_websockets(1000, "Bye");
    client.echoes(b"and again").await;
    stage.world.end(&pool).await;
    let tunnels = proxy.tunnels();
    assert!(tunnels.len() >= 3, "calls, and two data channels: {tunnels:?}");
    assert!(tunnels.iter().all(|to| *to == stage.aws), "{tunnels:?}");
    assert!(proxy.refusals().is_empty(), "{:?}", proxy.refusals());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_wants_a_login_is_named() {
    let proxy = ConnectProxy::start_with_login("jo", "p@ss");
    let stage = Stage::behind(proxy.url()).await;
    let pool = stage.world.modest_pool();
    let error = refusal(&pool, &order("db.internal")).await;
    assert_eq!(error.status(), Status::DENIED);
    assert!(error.message().contains("proxy wants a user and a password"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("HTTPS_PROXY")), "{error}");
    assert!(proxy.tunnels().is_empty() && !proxy.refusals().is_empty());
    stage.world.end(&pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_lets_calls_through_and_not_the_data_channel_is_told_apart() {
    let proxy = ConnectProxy::start();
    let stage = Stage::behind(proxy.url()).await;
    let elsewhere = stage.aws.replace("localhost", "127.0.0.1");
    stage.world.sessions.stream_base(&format!("wss://{elsewhere}"));
    proxy.forbid("127.0.0.1");
    let pool = stage.world.modest_pool();
    let error = refusal(&pool, &order("db.internal")).await;
    assert_eq!(error.status(), Status::DENIED);
    let words = format!("does not let through to {elsewhere} (HTTP 403)");
    assert!(error.message().contains(&words), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("ssmmessages")), "{error}");
    stage.world.end(&pool).await;
}
