//! Which Host headers a listener on loopback accepts.
//!
//! A web page can point a name of its own at 127.0.0.1 and then read what listens there as its own
//! origin (DNS rebinding). The browser still sends the page's name as Host, so a listener that only
//! answers to loopback names and addresses stays out of its reach.

use std::net::IpAddr;

use axum::http::uri::Authority;

/// Whether `host`, the value of a Host header, names this machine or is an address.
pub(crate) fn is_local(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_and_addresses_are_local() {
        for host in [
            "localhost",
            "LocalHost:9632",
            "127.0.0.1",
            "127.0.0.1:9632",
            "[::1]",
            "[::1]:9632",
            "10.0.0.5:80",
        ] {
            assert!(is_local(host), "{host}");
        }
    }

    #[test]
    fn names_of_web_pages_are_not_local() {
        for host in [
            "",
            "evil.example",
            "evil.example:9632",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1:9632@evil.example",
            "[::1",
            "::1",
            "localhost:9632:9632",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
