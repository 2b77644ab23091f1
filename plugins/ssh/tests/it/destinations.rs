//! What the bastion says about databases it does not reach.

use std::net::Ipv4Addr;
use std::time::Duration;

use pgferry_transport_sdk::Status;
use pgferry_transport_ssh::bastion::Destination;
use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, connect, listen, socket};
use tokio::net::TcpListener;

use crate::databases::echo;
use crate::sshd::Sshd;
use crate::world::World;

#[tokio::test]
async fn a_port_where_nobody_listens_is_refused_and_says_so() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = transport.refusal("127.0.0.1", port).await;
    assert_eq!(error.status(), Status::UNREACHABLE);
    let expected = format!("127.0.0.1:{port} refused: Connection refused");
    assert!(error.message().ends_with(&expected), "{error}");
    assert!(error.hint().unwrap().contains("port"));
}

#[tokio::test]
async fn a_name_the_bastion_does_not_know_is_named() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let error = transport.refusal("no-such-database.invalid", 5432).await;
    assert_eq!(error.status(), Status::UNREACHABLE);
    let expected = "does not know host no-such-database.invalid";
    assert!(error.message().contains(expected), "{error}");
}

#[tokio::test]
async fn a_destination_outside_permit_open_is_denied() {
    let port = echo().await;
    let sshd = Sshd::with(&format!("PermitOpen 127.0.0.1:{port}"), &["ed25519"]);
    let transport = World::default().transport(sshd.config());
    transport.open("127.0.0.1", port).await.unwrap();
    let error = transport.refusal("127.0.0.1", echo().await).await;
    assert_eq!(error.status(), Status::DENIED);
    assert!(error.message().contains("does not allow forwarding to"), "{error}");
    assert!(error.hint().unwrap().contains("PermitOpen"));
}

#[tokio::test]
async fn a_bastion_without_forwarding_denies() {
    let sshd = Sshd::with("AllowTcpForwarding no", &["ed25519"]);
    let transport = World::default().transport(sshd.config());
    let error = transport.refusal("127.0.0.1", echo().await).await;
    assert_eq!(error.status(), Status::DENIED);
    assert!(error.hint().unwrap().contains("AllowTcpForwarding"));
}

#[tokio::test]
async fn refusals_at_the_same_time_are_not_mixed_up() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    transport.open("127.0.0.1", echo().await).await.unwrap();
    let (unknown, refused, again) = tokio::join!(
        transport.refusal("no-such-database.invalid", 5432),
        transport.refusal("127.0.0.1", 1),
        transport.refusal("other.invalid", 5432),
    );
    assert!(unknown.message().contains("does not know host no-such-database.invalid"));
    assert!(refused.message().contains("127.0.0.1:1 refused"));
    assert!(again.message().contains("does not know host other.invalid"));
}

#[tokio::test]
async fn a_database_that_does_not_answer_costs_its_own_client_alone() {
    let sshd = Sshd::start();
    let transport = World::default().transport(sshd.config());
    let (silent, _full) = silent_port();
    let to = Destination::new("127.0.0.1", silent, Duration::from_secs(2));
    let error = transport.open_to(&to).await.err().expect("nobody accepts there");
    assert_eq!(error.status(), Status::TIMEOUT);
    let expected = format!("is connected, but got no answer from 127.0.0.1:{silent} in time");
    assert!(error.message().ends_with(&expected), "{error}");
    assert!(error.hint().unwrap().contains("security group"));
    transport.open("127.0.0.1", echo().await).await.unwrap();
    assert_eq!(transport.dials(), 1, "the bastion connection was fine");
}

/// A port whose queue is full, so that the kernel drops what else comes, as a firewall would.
fn silent_port() -> (u16, Vec<rustix::fd::OwnedFd>) {
    let stream = || socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let listener = stream();
    bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    listen(&listener, 0).unwrap();
    let address = rustix::net::getsockname(&listener).unwrap();
    let address = SocketAddrV4::try_from(address).unwrap();
    let first = stream();
    connect(&first, &address).unwrap();
    (address.port(), vec![listener, first])
}
