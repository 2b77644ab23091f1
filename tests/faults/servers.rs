//! Something else than PostgreSQL at the database's address.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::thread;

use pgferry_simulators::Role;

use crate::support::client::{Fault, Wire};
use crate::support::target::Target;
use crate::support::world::Way;
use crate::{WORLD, at_once, start};

/// What two clients in a row are told about a server that answers its first packet with `answer` and
/// closes.
fn told_about(answer: &'static [u8]) -> Fault {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut target = Target::new("db", &WORLD, Way::Direct, Role::Scram);
    let ours = format!("port = {}", WORLD.postgres.port());
    let port = listener.local_addr().unwrap().port();
    target.database = target.database.replace(&ours, &format!("port = {port}"));
    // Ends with the test process: it only waits for connections.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.read_exact(&mut [0; 8]).unwrap();
            stream.write_all(answer).unwrap();
            // Too late where the other side has read enough and hung up already.
            stream.shutdown(Shutdown::Write).ok();
            // Closed by the other side, which must not be reset before it has read the answer.
            stream.read_to_end(&mut Vec::new()).ok();
        }
    });
    let pgferry = start("", &[&target]);
    let fault = at_once(|| Wire::refused(pgferry.port("db")));
    assert_eq!(at_once(|| Wire::refused(pgferry.port("db"))), fault);
    fault
}

#[test]
fn a_web_server_is_recognised_as_none_of_postgresqls() {
    let fault = told_about(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    fault.assert("db", "08001", &["tls", "0x48", "does not speak PostgreSQL"], "database.port");
}

#[test]
fn a_server_that_hangs_up_is_reported() {
    let fault = told_about(b"");
    fault.assert("db", "08001", &["tls", "closed before TLS began"], "closes them");
}

#[test]
fn a_server_that_agrees_to_tls_and_then_speaks_something_else_is_reported() {
    let fault = told_about(b"SSH-2.0-not really\r\n");
    fault.assert("db", "08001", &["tls", "the TLS handshake failed"], "TLS 1.2 and 1.3");
}

#[test]
fn bytes_stuffed_behind_the_answer_to_the_tls_request_are_never_taken_for_the_servers() {
    // A whole login in clear text behind the refusal: CVE-2021-23222 the other way round.
    let fault = told_about(b"NR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I");
    fault.assert("db", "08001", &["tls", "does not speak TLS"], "database.tls");
}
