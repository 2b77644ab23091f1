//! Which Host headers a listener on loopback accepts.
//!
//! A web page can point a name of its own at 127.0.0.1 and then read what listens there as its own
//! origin (DNS rebinding). The browser still sends the page's name as Host, so a listener that only
//! answers to loopback names and addresses stays out of its reach.

use std::net::IpAddr;

/// Whether `host`, the value of a Host header, names this machine or is an address.
pub(crate) fn is_local(host: &str) -> bool {
    let name = without_port(host);
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !ends_inside(name) =>
        {
            name
        }
        _ => host,
    }
}

/// Whether a cut after `name` falls inside a bracketed IPv6 address.
fn ends_inside(name: &str) -> bool {
    name.starts_with('[') && !name.ends_with(']')
}
