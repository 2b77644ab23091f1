//! What the proxy takes, and what it does not.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
};

use pgferry_simulators::ConnectProxy;

/// Somebody who says "hello" to each caller, and the address.
fn greeter() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut caller, _)) = listener.accept() {
            caller.write_all(b"hello").ok();
        }
    });
    address
}

/// What comes back for a request, up to the end.
fn answer(proxy: &ConnectProxy, request: &str) -> String {
    let address = proxy.url().trim_start_matches("http://").to_owned();
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn connect(to: SocketAddr, more: &str) -> String {
    format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{more}\r\n")
}

#[test]
fn a_tunnel_leads_where_it_was_asked_to() {
    let (proxy, to) = (ConnectProxy::start(), greeter());
    let answer = answer(&proxy, &connect(to, ""));
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nhello"), "{answer}");
    assert_eq!((proxy.tunnels(), proxy.refusals()), (vec![to.to_string()], vec![]));
}

#[test]
fn only_the_right_login_is_let_through() {
    let (proxy, to) = (ConnectProxy::start_with_login("jo", "p@ss"), greeter());
    assert!(proxy.url_with_login().starts_with("http://jo:p%40ss@127.0.0.1:"));
    for login in ["", "Proxy-Authorization: Basic am86cGFzcw==\r\n"] {
        let answer = answer(&proxy, &connect(to, login));
        assert!(answer.starts_with("HTTP/1.1 407 "), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("proxy-authenticate: basic"), "{answer}");
    }
    assert_eq!(proxy.refusals(), ["407: no login", "407: a wrong login"]);
    let right = connect(to, "Proxy-Authorization: Basic am86cEBzcw==\r\n");
    assert!(answer(&proxy, &right).ends_with("hello"));
}

#[test]
fn what_is_no_request_for_a_tunnel_is_refused_with_the_reason() {
    let (proxy, to) = (ConnectProxy::start(), greeter());
    proxy.forbid("127.0.0.9");
    for (request, refusal) in [
        (format!("GET http://{to}/ HTTP/1.1\r\nHost: {to}\r\n\r\n"), "405: GET"),
        (
            format!("CONNECT {to} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            "400: Host is not what it names",
        ),
        (format!("CONNECT {to} HTTP/1.1\r\n\r\n"), "400: Host is not what it names"),
        (connect("127.0.0.9:443".parse().unwrap(), ""), "403: 127.0.0.9"),
    ] {
        answer(&proxy, &request);
        assert_eq!(proxy.refusals().last().map(String::as_str), Some(refusal), "{request}");
    }
    assert!(proxy.tunnels().is_empty());
}
