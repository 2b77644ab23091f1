//! The throwaway bastion, as OpenSSH's own client sees it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    thread,
};

use pgferry_simulators::{Key, Postgres, Role, Sshd, free_port};

#[test]
fn a_tunnel_carries_a_verified_psql_session() {
    let server = Postgres::builder().listen([127, 0, 9, 1].into()).start();
    let behind = SocketAddr::from(([127, 0, 9, 1], server.port()));
    let bastion = Sshd::builder().permit_open(behind).start();
    let local = free_port();
    let mut ssh = bastion.client(Key::Ed25519).unwrap();
    let forward = format!("127.0.0.1:{local}:{behind}");
    // With -f the client goes to the background once the local port is open, and ends with the bastion.
    ssh.args(["-f", "-N", "-o", "ExitOnForwardFailure=yes", "-L", &forward]);
    ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(ssh.status().unwrap().success());
    let through = server
        .connect_direct_args(Role::Scram)
        .replace("hostaddr=127.0.9.1", "hostaddr=127.0.0.1")
        .replace(&format!("port={}", server.port()), &format!("port={local}"));
    let mut psql = server.client("psql");
    psql.args(["-X", "-A", "-t", "-d", &through, "-c", "SELECT host(inet_server_addr())"]);
    let output = psql.env("PGPASSWORD", server.password(Role::Scram)).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "127.0.9.1", "{output:?}");
    assert_eq!((bastion.connections(), bastion.logins()), (1, 1));
    assert!(bastion.channels() >= 1);
}

#[test]
fn every_listed_key_is_let_in_and_the_unknown_one_is_not() {
    let bastion = Sshd::start();
    let echo = echo();
    for key in [Key::Ed25519, Key::Rsa] {
        assert_eq!(through(&bastion, key, echo), Ok("hello".to_owned()), "{key:?}");
    }
    let refusal = through(&bastion, Key::Unknown, echo).unwrap_err();
    assert!(refusal.contains("Permission denied (publickey)"), "{refusal}");
    // The client runs in batch mode: it may not ask for the passphrase.
    assert!(through(&bastion, Key::Encrypted, echo).is_err());
}

#[test]
fn the_encrypted_key_opens_with_its_passphrase() {
    let bastion = Sshd::start();
    let file = bastion.key_file(Key::Encrypted);
    let opened = |passphrase: &str| {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-y", "-P", passphrase, "-f"]).arg(&file).output().unwrap().status.success()
    };
    assert!(opened(bastion.passphrase()));
    assert!(!opened("wrong"));
}

#[test]
fn only_permitted_destinations_are_opened() {
    let echo = echo();
    let bastion = Sshd::builder().permit_open(([127, 0, 0, 1], 1).into()).start();
    let refusal = through(&bastion, Key::Ed25519, echo).unwrap_err();
    assert!(refusal.contains("administratively prohibited"), "{refusal}");
}

#[test]
fn forwarding_can_be_denied_altogether() {
    let echo = echo();
    let bastion = Sshd::builder().allow_tcp_forwarding(false).start();
    let refusal = through(&bastion, Key::Ed25519, echo).unwrap_err();
    assert!(refusal.contains("administratively prohibited"), "{refusal}");
}

#[test]
fn a_changed_host_key_is_noticed_by_who_connected_before() {
    let echo = echo();
    let mut bastion = Sshd::start();
    let address = bastion.address();
    assert_eq!(through(&bastion, Key::Ed25519, echo), Ok("hello".to_owned()));
    bastion.change_host_key().unwrap();
    assert_eq!(bastion.address(), address);
    let refusal = through(&bastion, Key::Ed25519, echo).unwrap_err();
    assert!(refusal.contains("Host key verification failed"), "{refusal}");
    std::fs::write(bastion.known_hosts_file(), bastion.known_hosts().unwrap()).unwrap();
    assert_eq!(through(&bastion, Key::Ed25519, echo), Ok("hello".to_owned()));
}

#[test]
fn a_stopped_bastion_ends_its_sessions_and_comes_back() {
    let echo = echo();
    let mut bastion = Sshd::start();
    let mut session = pipe(&bastion, Key::Ed25519, echo);
    exchange(&mut session);
    bastion.stop();
    assert!(!session.wait().unwrap().success());
    bastion.resume().unwrap();
    assert_eq!(through(&bastion, Key::Ed25519, echo), Ok("hello".to_owned()));
}

#[test]
fn a_frozen_bastion_is_silent_until_the_thaw() {
    let echo = echo();
    let bastion = Sshd::start();
    let mut session = pipe(&bastion, Key::Ed25519, echo);
    exchange(&mut session);
    bastion.freeze().unwrap();
    let mut late = pipe(&bastion, Key::Ed25519, echo);
    session.stdin.as_mut().unwrap().write_all(b"hello").unwrap();
    assert_eq!((bastion.logins(), late.try_wait().unwrap()), (1, None));
    bastion.thaw().unwrap();
    read_hello(&mut session);
    exchange(&mut late);
    for mut ssh in [session, late] {
        drop(ssh.stdin.take());
        assert!(ssh.wait().unwrap().success());
    }
}

/// Sends "hello" to `destination` through the bastion's own forwarding and returns the answer.
fn through(bastion: &Sshd, key: Key, destination: SocketAddr) -> Result<String, String> {
    let mut ssh = pipe(bastion, key, destination);
    let mut stdin = ssh.stdin.take().unwrap();
    // A client that was refused closes its end first; its exit status tells.
    stdin.write_all(b"hello").ok();
    drop(stdin);
    let output = ssh.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn pipe(bastion: &Sshd, key: Key, destination: SocketAddr) -> Child {
    let mut ssh = bastion.client(key).unwrap();
    ssh.args(["-W", &destination.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    ssh.stderr(Stdio::piped()).spawn().unwrap()
}

fn exchange(ssh: &mut Child) {
    ssh.stdin.as_mut().unwrap().write_all(b"hello").unwrap();
    read_hello(ssh);
}

fn read_hello(ssh: &mut Child) {
    let mut answer = [0; 5];
    ssh.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
}

/// A server that sends everything back, for as long as the test process lives.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    address
}
