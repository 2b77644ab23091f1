//! The first bytes of a connection: negotiation, and everything that is wrong with them.

use std::sync::Arc;

use crate::stage::Stage;
use crate::support::message::{V3_0, V3_2, gssenc_request, ssl_request, startup};
use crate::support::wire::{Message, Wire};
use crate::support::world::Way;

/// Serves until the end of the test, whatever the test does to it.
struct Listener(Arc<Stage>);

impl Listener {
    fn get() -> Self {
        Self(Stage::get())
    }

    fn connect(&self) -> Wire {
        Wire::connect(self.0.proxied(Way::Direct))
    }

    /// Sends `bytes` as the first ones, demands an error with `sql_state` and then the end, and that
    /// the next application is served.
    fn refuses(&self, bytes: &[u8], sql_state: &str) -> Message {
        let mut wire = self.connect();
        wire.send(bytes);
        let error = wire.next();
        assert_eq!(error.tag, b'E', "{error:?}");
        assert_eq!(error.field(b'S').as_deref(), Some("FATAL"), "{error:?}");
        assert_eq!(error.field(b'C').as_deref(), Some(sql_state), "{error:?}");
        assert!(wire.rest().is_empty(), "an error is the last word");
        self.serves_the_next();
        error
    }

    fn serves_the_next(&self) {
        let answer = Wire::session(self.0.proxied(Way::Direct), "me").query("select 'served'");
        assert_eq!(answer[1].columns(), [Some("served".to_owned())]);
    }
}

fn ordinary() -> Vec<u8> {
    startup(V3_0, &[("user", "me"), ("database", "app")])
}

#[test]
fn tls_and_gss_are_refused_in_either_order_and_the_session_goes_on_in_the_clear() {
    let listener = Listener::get();
    for requests in [
        vec![ssl_request()],
        vec![gssenc_request()],
        vec![ssl_request(), gssenc_request()],
        vec![gssenc_request(), ssl_request()],
    ] {
        let mut wire = listener.connect();
        for request in requests {
            wire.trickle(&request);
            assert_eq!(wire.byte(), b'N');
        }
        wire.trickle(&ordinary());
        assert_eq!(wire.until(b'Z')[0].tag, b'R');
        assert_eq!(wire.query("select 1")[1].columns(), [Some("1".to_owned())]);
    }
}

#[test]
fn bytes_stuffed_behind_a_request_for_encryption_are_refused() {
    let listener = Listener::get();
    for request in [ssl_request(), gssenc_request()] {
        let error = listener.refuses(&[request, ordinary()].concat(), "08P01");
        let text = error.field(b'M').unwrap_or_default();
        assert!(text.contains("unencrypted data"), "{text}");
    }
}

#[test]
fn the_same_request_for_encryption_is_not_answered_twice() {
    let listener = Listener::get();
    for request in [ssl_request(), gssenc_request()] {
        let mut wire = listener.connect();
        wire.send(&request);
        assert_eq!(wire.byte(), b'N');
        wire.send(&request);
        assert_eq!(wire.next().field(b'C').as_deref(), Some("08P01"));
        assert!(wire.rest().is_empty());
    }
    listener.serves_the_next();
}

#[test]
fn senseless_first_bytes_get_an_error_and_the_listener_serves_the_next() {
    let listener = Listener::get();
    for (bytes, sql_state) in [
        (&b"GET / HTTP/1.0\r\n\r\n"[..], "08P01"),
        (b"\0\0\0\0\0\0\0\0", "08P01"),
        (b"\0\0\0\x04", "08P01"),
        (b"\0\0\x27\x15\0\x03\0\0", "08P01"),
        (b"\x7f\xff\xff\xff\0\x03\0\0", "08P01"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", "08P01"),
        (b"\0\0\0\x08\x04\xd2\x16\x31", "0A000"),
        (b"\0\0\0\x0c\x04\xd2\x16\x2e\0\0\0\x01", "08P01"),
        (b"\0\0\0\x0c\0\x03\0\0user", "08P01"),
        (b"\0\0\0\x0e\0\x03\0\0user\0x", "08P01"),
    ] {
        listener.refuses(bytes, sql_state);
    }
}

#[test]
fn a_startup_packet_that_lacks_what_it_needs_is_refused_with_the_databases_own_code() {
    let listener = Listener::get();
    let without_user = listener.refuses(&startup(V3_0, &[("database", "app")]), "28000");
    assert!(without_user.field(b'M').unwrap_or_default().contains("no PostgreSQL user name"));
    listener.refuses(&startup(V3_0, &[("user", "")]), "28000");
    listener.refuses(&startup(0x0002_0000, &[("user", "me")]), "0A000");
    listener.refuses(&startup(0x0004_0000, &[("user", "me")]), "0A000");
    listener.refuses(&startup(V3_0, &[("user", "me"), ("replication", "maybe")]), "22023");
}

#[test]
fn a_parameter_that_the_database_refuses_comes_back_in_the_databases_words() {
    let stage = Stage::get();
    for parameters in [
        [("user", "app_trust"), ("database", "no_such_database")],
        [("user", "app_trust"), ("work_mem", "no number")],
        [("user", "app_trust"), ("options", "--no-such-option=1")],
        [("user", "app_trust"), ("client_encoding", "KLINGON")],
    ] {
        let refusal = |address: &str| {
            let mut wire = Wire::connect(address);
            let named = [&parameters[..], &[("database", "app")]].concat();
            let named = if parameters[1].0 == "database" { &parameters[..] } else { &named };
            wire.send(&startup(V3_0, named));
            let error = wire.until(b'E').pop().expect("an error");
            assert!(wire.rest().is_empty());
            error
        };
        assert_eq!(refusal(stage.proxied(Way::Direct)), refusal(&stage.direct()));
    }
}

#[test]
fn a_startup_packet_over_the_databases_limit_is_refused() {
    let listener = Listener::get();
    let long = "x".repeat(10_000);
    listener.refuses(&startup(V3_0, &[("user", "me"), ("application_name", &long)]), "08P01");
}

#[test]
fn a_direct_tls_hello_gets_an_alert_that_a_tls_client_understands() {
    let listener = Listener::get();
    let mut wire = listener.connect();
    wire.send(b"\x16\x03\x01\0\x05\x01\0\0\x01\x03");
    let answer = wire.rest();
    // A fatal alert: content type 21, TLS 1.2 on the record layer, two bytes, level 2.
    assert_eq!(&answer[..6], b"\x15\x03\x03\0\x02\x02", "{}", answer.escape_ascii());
    assert_eq!(answer.len(), 7);
    listener.serves_the_next();
}

#[test]
fn connections_that_end_before_they_begin_disturb_nobody() {
    let listener = Listener::get();
    for bytes in [&b""[..], b"\0", b"\0\0\0\x20\0\x03\0\0user\0m"] {
        let mut wire = listener.connect();
        wire.send(bytes);
        wire.close_write();
        assert!(wire.rest().is_empty());
        listener.serves_the_next();
    }
}

#[test]
fn protocol_3_2_is_spoken_and_newer_ones_are_negotiated_down_to_it() {
    let stage = Stage::get();
    let greeting = |version, option: &[(&str, &str)]| {
        let parameters = [&[("user", "me"), ("database", "app")], option].concat();
        let (mut wire, greeting) =
            Wire::greeted(stage.proxied(Way::SshLinked), version, &parameters);
        assert_eq!(wire.query("select 1")[1].columns(), [Some("1".to_owned())]);
        greeting
    };
    let negotiated = |greeting: &[Message]| {
        let told = greeting.iter().find(|message| message.tag == b'v');
        told.map(|message| message.body.clone())
    };
    assert_eq!(negotiated(&greeting(V3_0, &[])), None);
    assert_eq!(negotiated(&greeting(V3_2, &[])), None);
    let newer = greeting(0x0003_270f, &[]);
    assert_eq!(newer[0].tag, b'v', "before anything else");
    assert_eq!(newer[0].body, b"\0\x03\0\x02\0\0\0\0");
    let option = [("_pq_.telepathy", "on")];
    let body = b"\0\x03\0\0\0\0\0\x01_pq_.telepathy\0".to_vec();
    assert_eq!(negotiated(&greeting(V3_0, &option)), Some(body));
    let body = b"\0\x03\0\x02\0\0\0\x01_pq_.telepathy\0".to_vec();
    assert_eq!(negotiated(&greeting(V3_2, &option)), Some(body));
}

#[test]
fn a_broken_message_inside_a_session_ends_it_with_an_error_in_place() {
    let listener = Listener::get();
    let mut wire = Wire::session(listener.0.proxied(Way::Direct), "me");
    wire.send(b"Q\0\0\0\x03");
    let error = wire.next();
    assert_eq!((error.tag, error.field(b'C').as_deref()), (b'E', Some("08P01")), "{error:?}");
    assert!(wire.rest().is_empty());
    listener.serves_the_next();
}
