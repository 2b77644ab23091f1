//! What no driver would do.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::stage::{Stage, failures};
use crate::support::message::{
    V3_0, V3_2, cancel_request, gssenc_request, query, ssl_request, startup, terminate,
};
use crate::support::tls::TlsClient;
use crate::support::wire::Wire;

const ME: [(&str, &str); 2] = [("user", "me"), ("database", "app")];

fn assert_served(wire: &mut Wire) {
    wire.greet(V3_0, &ME);
    assert_eq!(wire.query("select 1")[1].columns(), [Some("1".to_owned())]);
}

fn direct(stage: &Stage, alpn: &[&str]) -> Wire {
    let client = TlsClient::trusting(&stage.ca_file).direct(alpn);
    Wire::over(client.connect(stage.pgferry.address("open")).expect("TLS"))
}

#[test]
fn tls_without_asking_needs_the_name_of_the_protocol() {
    let stage = Stage::get();
    assert_served(&mut direct(&stage, &["postgresql"]));
    assert_served(&mut direct(&stage, &["h2", "postgresql"]));
    let error = direct(&stage, &[]).next();
    assert_eq!(error.field(b'C').as_deref(), Some("08P01"), "{error:?}");
    let text = error.field(b'M').unwrap_or_default();
    assert!(text.contains("application protocol \"postgresql\""), "{text}");
    let client = TlsClient::trusting(&stage.ca_file).direct(&["h2"]);
    let error = client.connect(stage.pgferry.address("open")).expect_err("no common protocol");
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn a_request_for_gss_encryption_may_come_first() {
    let stage = Stage::get();
    let mut wire = Wire::connect(stage.pgferry.address("open"));
    wire.send(&gssenc_request());
    assert_eq!(wire.byte(), b'N');
    wire.send(&ssl_request());
    assert_eq!(wire.byte(), b'S');
}

#[test]
fn requests_for_encryption_inside_tls_are_refused() {
    let stage = Stage::get();
    for request in [ssl_request(), gssenc_request()] {
        for mut wire in [stage.wire("open"), direct(&stage, &["postgresql"])] {
            wire.send(&request);
            let error = wire.next();
            assert_eq!(error.field(b'C').as_deref(), Some("08P01"), "{error:?}");
            assert!(error.field(b'M').unwrap_or_default().contains("inside TLS"), "{error:?}");
            assert!(wire.rest().is_empty());
        }
    }
}

#[test]
fn bytes_stuffed_behind_the_request_are_refused() {
    let stage = Stage::get();
    let mut wire = Wire::connect(stage.pgferry.address("open"));
    wire.send(&[ssl_request(), startup(V3_0, &ME)].concat());
    let error = wire.next();
    assert_eq!(error.field(b'C').as_deref(), Some("08P01"), "{error:?}");
    assert!(error.field(b'M').unwrap_or_default().contains("unencrypted data"), "{error:?}");
    assert!(wire.rest().is_empty());
}

#[test]
fn rubbish_in_the_place_of_a_handshake_gets_an_alert_and_is_counted() {
    let stage = Stage::get();
    let before = stage.failures("open", "local_tls_handshake").unwrap_or(0.0);
    let mut wire = Wire::connect(stage.pgferry.address("open"));
    wire.send(&ssl_request());
    assert_eq!(wire.byte(), b'S');
    wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = wire.rest();
    // A fatal alert: content type 21, then level 2 behind version and length.
    assert!(answer.first() == Some(&0x15) && answer.get(5) == Some(&2), "{answer:?}");
    stage.pgferry.await_metric(&failures("open", "local_tls_handshake"), before + 1.0);
    assert!(stage.pgferry.log().count("the client sent no TLS handshake") >= 1);
}

#[test]
fn a_handshake_that_stalls_ends_at_the_limit_and_holds_nobody_up() {
    let stage = Stage::get();
    let began = tokio::time::Instant::now();
    let address = stage.pgferry.address("open");
    let mut asked = TcpStream::connect(address).unwrap();
    asked.write_all(&ssl_request()).unwrap();
    let mut answer = [0];
    asked.read_exact(&mut answer).unwrap();
    let mut half = TcpStream::connect(address).unwrap();
    // The header of a ClientHello, and nothing behind it.
    half.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).unwrap();
    assert_served(&mut stage.wire("open"));
    assert!(began.elapsed().as_secs() < 3, "served while the others stall");
    for mut stalled in [asked, half] {
        let mut rest = Vec::new();
        stalled.read_to_end(&mut rest).ok();
        assert!(began.elapsed().as_secs() < 20);
    }
    assert!(began.elapsed().as_millis() > 2_900);
}

#[test]
fn a_cancel_request_goes_through_it_and_past_it() {
    let stage = Stage::get();
    for version in [V3_0, V3_2] {
        for encrypted in [true, false] {
            let mut wire = stage.wire("required");
            let greeting = wire.greet(version, &ME);
            let key = greeting.iter().find(|message| message.tag == b'K').expect("a key");
            wire.send(&query("do $$ begin raise notice 'running'; perform pg_sleep(600); end $$"));
            wire.until(b'N');
            let mut cancel = if encrypted {
                stage.wire("required")
            } else {
                Wire::connect(stage.pgferry.address("required"))
            };
            cancel.send(&cancel_request(&key.body));
            assert!(cancel.rest().is_empty());
            let error = wire.until(b'E').pop().expect("an error");
            assert_eq!(error.field(b'C').as_deref(), Some("57014"));
        }
    }
}

#[test]
fn a_session_ends_in_order_also_if_the_connection_is_just_dropped() {
    let stage = Stage::get();
    let address = stage.pgferry.address("elsewhere");
    let closed = |reason: &str| {
        format!(
            "pgferry_client_connections_closed_total{{target=\"elsewhere\",reason=\"{reason}\"}}"
        )
    };
    let client = TlsClient::trusting(&stage.ca_file).for_name("elsewhere.example");
    let open = || Wire::over(client.connect(address).expect("TLS"));
    let mut wire = open();
    assert_served(&mut wire);
    wire.send(&terminate());
    assert!(wire.rest().is_empty());
    stage.pgferry.await_metric(&closed("client_closed"), 1.0);
    let mut wire = open();
    assert_served(&mut wire);
    drop(wire);
    stage.pgferry.await_metric(&closed("client_closed"), 2.0);
}
