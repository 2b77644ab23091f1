//! Sessions without multiplexing, as SSH uses them.

use pgferry_simulators::{Aws, SessionEnd, SessionState};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    calls::{INSTANCE, Opening, aws, start},
    client::{Client, LIMIT, response},
    target::{Target, exactly},
};

fn ssh(aws: &Aws, port: u16) -> Opening {
    let parameters = json!({"portNumber": [port.to_string()]});
    let document = "AWS-StartSSHSession";
    let request = json!({"Target": INSTANCE, "DocumentName": document, "Parameters": parameters});
    start(aws, &request)
}

#[tokio::test]
async fn one_connections_bytes_go_as_they_are() {
    let (aws, target) = (aws(), Target::listen().await);
    let mut client = Client::connect(&aws, &ssh(&aws, target.address.port())).await;
    let mut there = target.accept().await;
    there.write_all(b"SSH-2.0-x\r\n").await.unwrap();
    assert_eq!(client.message(1).await, b"SSH-2.0-x\r\n");
    client.data(b"\x0a").await;
    assert_eq!(exactly(&mut there, 1).await, b"\x0a");
    there.write_all(b"bye").await.unwrap();
    drop(there);
    assert_eq!(client.message(1).await, b"bye");
    assert_eq!(client.closed().await, "");
    let record = aws.session_manager().sessions().remove(0);
    assert_eq!(record.state, SessionState::Ended(SessionEnd::TargetClosed));
    assert_eq!((record.streams, record.open_streams), (1, 0));
}

#[tokio::test]
async fn the_flag_of_a_closed_port_closes_the_connection() {
    let (aws, target) = (aws(), Target::listen().await);
    let mut client = Client::connect(&aws, &ssh(&aws, target.address.port())).await;
    let mut there = target.accept().await;
    client.send(10, &[0, 0, 0, 1]).await;
    assert_eq!(there.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(client.closed().await, "");
}

#[tokio::test]
async fn a_refused_connection_ends_the_session_with_words() {
    let (aws, target) = (aws(), Target::listen().await);
    let address = target.address;
    drop(target);
    let mut client = Client::connect(&aws, &ssh(&aws, address.port())).await;
    let words = client.closed().await;
    assert!(words.starts_with("Unable to connect to specified port: dial tcp"), "{words}");
}

#[tokio::test]
async fn clients_that_are_too_old_for_multiplexing_get_none() {
    let (aws, target) = (aws(), Target::listen().await);
    let mut client = Client::open(&aws, &target.session(&aws)).await;
    client.message(5).await;
    client.send(6, response("1.1.69.0", 1).to_string().as_bytes()).await;
    client.message(7).await;
    let mut there = target.accept().await;
    client.data(b"raw").await;
    assert_eq!(exactly(&mut there, 3).await, b"raw");
    drop(there);
    assert!(aws.session_manager().wait_until(LIMIT, |it| it[0].open_streams == 0));
}
