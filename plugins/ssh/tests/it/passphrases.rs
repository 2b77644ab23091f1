//! Encrypted keys whose passphrase a person types.

use std::sync::Arc;
use std::time::Duration;

use pgferry_transport_sdk::Status;
use pgferry_transport_ssh::bastion::Destination;
use pgferry_transport_ssh::config::Config;
use tokio::time::timeout;

use crate::databases::echo;
use crate::sshd::{Sshd, ssh_keygen};
use crate::world::{LIMIT, Person, World};

fn encrypted(sshd: &Sshd) -> Config {
    let key = sshd.key("encrypted", "ed25519", "open sesame");
    sshd.authorize(&key);
    Config { key_file: Some(key), ..sshd.config() }
}

#[tokio::test]
async fn ten_who_come_at_once_wait_for_one_answer() {
    let sshd = Sshd::start();
    let (person, mut asked, answer) = Person::new();
    let world = World { person: Some(person), ..World::default() };
    let transport = Arc::new(world.transport(encrypted(&sshd)));
    let port = echo().await;
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let transport = Arc::clone(&transport);
        opening.spawn(async move { transport.open("127.0.0.1", port).await.unwrap() });
    }
    assert!(asked.recv().await.unwrap().starts_with("passphrase of key file /"));
    answer.send("open barley").unwrap();
    assert!(asked.recv().await.unwrap().starts_with("that is not it; passphrase of"));
    answer.send("open sesame").unwrap();
    timeout(LIMIT, opening.join_all()).await.unwrap();
    sshd.kill_connections();
    transport.open("127.0.0.1", port).await.unwrap();
    assert!(asked.try_recv().is_err(), "what is known is not asked for again");
}

#[tokio::test]
async fn an_answer_that_comes_late_is_there_for_the_next() {
    let sshd = Sshd::start();
    let (person, mut asked, answer) = Person::new();
    let world = World { person: Some(person), ..World::default() };
    let config = encrypted(&sshd);
    let key = config.key_file.clone().unwrap();
    let transport = world.transport(config);
    let port = echo().await;
    for _ in 0..2 {
        let to = Destination::new("127.0.0.1", port, Duration::from_millis(50));
        let error = transport.open_to(&to).await.err().expect("nobody has answered");
        assert_eq!(error.status(), Status::TIMEOUT);
        assert!(error.message().starts_with("pgferry waits at its terminal for the"), "{error}");
        assert!(error.hint().unwrap().contains("connect again"));
    }
    answer.send("open sesame").unwrap();
    transport.open("127.0.0.1", port).await.unwrap();
    asked.recv().await.unwrap();
    assert!(asked.try_recv().is_err(), "two who waited asked once");

    // Encrypted anew: the person is asked anew, once the next connection needs the key.
    let key = key.to_str().unwrap();
    ssh_keygen(&["-q", "-p", "-P", "open sesame", "-N", "other words", "-f", key]);
    sshd.kill_connections();
    answer.send("other words").unwrap();
    transport.open("127.0.0.1", port).await.unwrap();
    asked.recv().await.unwrap();
}

#[tokio::test]
async fn three_wrong_answers_are_enough_until_the_next_client() {
    let sshd = Sshd::start();
    let (person, mut asked, answer) = Person::new();
    let world = World { person: Some(person), ..World::default() };
    let transport = world.transport(encrypted(&sshd));
    for wrong in ["one", "two", "three"] {
        answer.send(wrong).unwrap();
    }
    let error = transport.refusal("127.0.0.1", 1).await;
    assert_eq!(error.status(), Status::AUTH);
    assert!(error.message().starts_with("the passphrase does not open key file"), "{error}");
    answer.send("open sesame").unwrap();
    transport.open("127.0.0.1", echo().await).await.unwrap();
    for _ in 0..4 {
        asked.recv().await.unwrap();
    }
    assert!(asked.try_recv().is_err());
    assert_eq!(sshd.connections(), 1, "the bastion saw none of it");
}
