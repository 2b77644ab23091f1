//! Other servers on the way to the bastion.

use std::fs;

use pgferry_transport_sdk::{State, Status};
use pgferry_transport_ssh::config::Config;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::aliases::{home, named, route, world};
use crate::databases::echo;
use crate::sshd::{Sshd, public_key, user};
use crate::world::{LIMIT, Session};

/// A home directory in which each server has an alias (`one`, `two`, `three`) and a known key.
fn home_with(servers: &[&Sshd], more: &str) -> TempDir {
    let mut text = more.to_owned();
    for (name, sshd) in ["one", "two", "three"].iter().zip(servers) {
        sshd.config();
        let (id, known) = (sshd.directory.path().join("id"), sshd.known_hosts());
        let (id, known) = (id.display(), known.display());
        let host = format!(
            "Host {name}\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {id}\n \
             UserKnownHostsFile {known}\n",
            sshd.port(),
            user(),
        );
        text.push_str(&host);
    }
    home(&text)
}

async fn round_trip(session: &mut Session) {
    session.near.write_all(b"x").await.unwrap();
    let answer = timeout(LIMIT, session.near.read_u8()).await.expect("the session hangs");
    assert_eq!(answer.unwrap(), b'x');
}

#[tokio::test]
async fn a_session_travels_through_two_servers() {
    let (one, two) = (Sshd::start(), Sshd::start());
    let home = home_with(&[&one, &two], "");
    let config = Config { jump: Some(vec!["one".to_owned()]), ..named("two") };
    let transport = world(&home).transport(config);
    let port = echo().await;
    let mut first = transport.open("127.0.0.1", port).await.unwrap();
    let mut second = transport.open("127.0.0.1", port).await.unwrap();
    round_trip(&mut first).await;
    round_trip(&mut second).await;
    assert_eq!((one.connections(), two.connections(), transport.dials()), (1, 1, 1));
    let (state, text) = transport.next_state().await;
    assert_eq!(state, State::Up);
    assert!(text.ends_with(&format!("via one (127.0.0.1:{})", one.port())), "{text}");
}

#[tokio::test]
async fn a_chain_of_three_carries_bulk_both_ways_and_ends_as_one() {
    let (one, two, three) = (Sshd::start(), Sshd::start(), Sshd::start());
    let home = home_with(&[&one, &two, &three], "Host three\n ProxyJump one,two\n");
    let transport = world(&home).transport(named("three"));
    let Session { mut near, carried } = transport.open("127.0.0.1", echo().await).await.unwrap();
    let sent: Vec<u8> = (0..6_000_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    let mut received = vec![0; sent.len()];
    let (mut reading, mut writing) = near.split();
    let both = async { tokio::join!(writing.write_all(&sent), reading.read_exact(&mut received)) };
    let (wrote, read) = timeout(LIMIT, both).await.expect("it hangs");
    wrote.unwrap();
    read.unwrap();
    assert!(received == sent);
    assert_eq!((one.connections(), two.connections(), three.connections()), (1, 1, 1));
    timeout(LIMIT, transport.close()).await.unwrap();
    carried.await.unwrap().unwrap_err();
    for sshd in [&one, &two, &three] {
        sshd.connections_ended().await;
    }
}

#[tokio::test]
async fn the_first_jump_of_a_list_has_a_way_of_its_own() {
    let (one, two, three) = (Sshd::start(), Sshd::start(), Sshd::start());
    // The way of the first, `two`, leads through `one`; that of `three` is overruled.
    let more = "Host two\n ProxyJump one\nHost three\n ProxyCommand false\n";
    let home = home_with(&[&one, &two, &three], more);
    let config = Config { jump: Some(vec!["two".to_owned()]), ..named("three") };
    let way = route(&config, home.path()).unwrap();
    let way: Vec<_> = way.hops().map(|hop| hop.alias.clone()).collect();
    assert_eq!(way, ["one", "two", "three"]);
    world(&home).transport(config).open("127.0.0.1", echo().await).await.unwrap();
}

#[tokio::test]
async fn a_wrong_host_key_names_the_server_that_showed_it() {
    let (one, two) = (Sshd::start(), Sshd::start());
    let home = home_with(&[&one, &two], "Host two\n ProxyJump one\n");
    let other = public_key(&one.key("other", "ed25519", "").with_extension("pub"));
    let spoil = |sshd: &Sshd| {
        let good = fs::read_to_string(sshd.known_hosts()).unwrap();
        fs::write(sshd.known_hosts(), format!("[127.0.0.1]:{} {other}\n", sshd.port())).unwrap();
        good
    };
    let transport = world(&home).transport(named("two"));
    let good = spoil(&two);
    let error = transport.refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::DENIED);
    let expected = format!("host key of [127.0.0.1]:{} has changed", two.port());
    assert!(error.message().starts_with(&expected), "{error}");
    fs::write(two.known_hosts(), good).unwrap();

    spoil(&one);
    let error = transport.refusal("127.0.0.1", 1).await;
    let expected = format!("host key of jump [127.0.0.1]:{} has changed", one.port());
    assert!(error.message().starts_with(&expected), "{error}");
    let remedy = format!("ssh-keygen -R '[127.0.0.1]:{}'", one.port());
    assert!(error.hint().unwrap().contains(&remedy), "{:?}", error.hint());
}

#[tokio::test]
async fn a_refused_login_names_the_server_that_refused() {
    let (one, two) = (Sshd::start(), Sshd::start());
    let home = home_with(&[&one, &two], "Host two\n ProxyJump one\n");
    let stranger = one.key("stranger", "ed25519", "");
    let config = Config { key_file: Some(stranger), ..named("two") };
    let error = world(&home).transport(config).refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::AUTH);
    let expected = format!("bastion two (127.0.0.1:{}) refused user", two.port());
    assert!(error.message().starts_with(&expected), "{error}");

    let config = Config { jump: Some(vec!["nobody-of-that-name@one".to_owned()]), ..named("two") };
    let error = world(&home).transport(config).refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::AUTH);
    let expected =
        format!("jump one (127.0.0.1:{}) refused user \"nobody-of-that-name\"", one.port());
    assert!(error.message().starts_with(&expected), "{error}");
}

#[tokio::test]
async fn a_bastion_that_the_jump_does_not_reach_is_told_apart_from_the_jump() {
    let one = Sshd::start();
    let home = home_with(&[&one], "");
    let config = Config {
        jump: Some(vec!["one".to_owned()]),
        key_file: Some(one.directory.path().join("id")),
        known_hosts_file: Some(one.known_hosts()),
        port: std::num::NonZeroU16::new(1),
        ..named("127.0.0.1")
    };
    let error = world(&home).transport(config).refusal("127.0.0.1", 5432).await;
    assert_eq!(error.status(), Status::UNREACHABLE);
    let expected = format!("jump one (127.0.0.1:{}): 127.0.0.1:1 refused", one.port());
    assert!(error.message().starts_with(&expected), "{error}");
    assert!(error.hint().unwrap().starts_with("check that bastion 127.0.0.1:1 runs"));
}

#[tokio::test]
async fn a_jump_that_dies_is_named_by_the_sessions_it_ends() {
    let (one, two, three) = (Sshd::start(), Sshd::start(), Sshd::start());
    let home = home_with(&[&one, &two, &three], "Host three\n ProxyJump one,two\n");
    for (dies, name) in [(&one, "one"), (&two, "two")] {
        let transport = world(&home).transport(named("three"));
        let port = echo().await;
        let mut session = transport.open("127.0.0.1", port).await.unwrap();
        round_trip(&mut session).await;
        assert_eq!(transport.next_state().await.0, State::Up);
        dies.kill_connections();
        let error = session.end().await;
        assert_eq!(error.status(), Status::UNREACHABLE);
        let bastion = format!("connection to bastion three (127.0.0.1:{}) lost: ", three.port());
        assert!(error.message().starts_with(&bastion), "{error}");
        let jump = format!("connection to jump {name} (127.0.0.1:{}) lost: ", dies.port());
        assert!(error.message().contains(&jump), "{error}");
        assert_eq!(error.message().matches("lost").count(), 2, "{error}");
        let (state, text) = transport.next_state().await;
        assert_eq!(state, State::Down);
        assert!(text.contains(&jump), "{text}");
        transport.open("127.0.0.1", port).await.unwrap();
        assert_eq!(transport.dials(), 2);
        timeout(LIMIT, transport.close()).await.unwrap();
    }
}

#[test]
fn a_way_that_leads_in_a_circle_or_nowhere_is_refused() {
    let home = home(
        "IdentityFile /key\nHost a\n ProxyJump b\nHost b\n ProxyJump c\nHost c\n ProxyJump a\n\
         Host h*\n ProxyJump x%h\n",
    );
    let error = route(&named("a"), home.path()).unwrap_err();
    assert_eq!(error.status(), Status::CONFIG);
    assert!(error.message().starts_with("the way leads in a circle: a:22, then c:22, then b:22"));
    let error = route(&named("h"), home.path()).unwrap_err();
    assert!(error.message().contains("proxyjump: \"x%h\" is not"), "{error}");
    let many = (0..9).map(|number| format!("n{number}")).collect();
    let config = Config { jump: Some(many), ..named("far") };
    let error = route(&config, home.path()).unwrap_err();
    assert_eq!(error.message(), "more than 8 jumps to bastion far:22");
    let config = Config { jump: Some(vec!["a b".to_owned()]), ..named("far") };
    let error = route(&config, home.path()).unwrap_err();
    assert_eq!(error.message(), "jump: \"a b\" is not [user@]host[:port]");
}
