//! A server on the way, as `ProxyJump` names it: pure.

use std::str::FromStr;

/// `[user@]host[:port]` or `ssh://[user@]host[:port]`; host may be an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jump {
    /// Who logs in there.
    pub user: Option<String>,
    /// Its name, address or alias.
    pub host: String,
    /// Its port.
    pub port: Option<u16>,
}

impl FromStr for Jump {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not [user@]host[:port]");
        let place = text.strip_prefix("ssh://").map_or(text, |uri| uri.trim_end_matches('/'));
        let (user, place) = match place.rsplit_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, place),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(bracketed) => {
                let (host, rest) = bracketed.split_once(']').ok_or_else(wrong)?;
                let port = if rest.is_empty() { None } else { rest.strip_prefix(':') };
                if port.is_none() && !rest.is_empty() {
                    return Err(wrong());
                }
                (host, port)
            }
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let port = match port.filter(|port| !port.is_empty()) {
            Some(port) => Some(port.parse().ok().filter(|&port| port > 0).ok_or_else(wrong)?),
            None => None,
        };
        let strange =
            |c: char| c.is_whitespace() || c.is_control() || "'\"`$;&<>|(){},/%#".contains(c);
        let is_empty = host.is_empty() || user.as_ref().is_some_and(String::is_empty);
        if is_empty || host.starts_with('-') || host.contains(strange) {
            return Err(wrong());
        }
        Ok(Self { user, host: host.to_owned(), port })
    }
}

/// A comma-separated list, the nearest server first; `none` is an empty one.
///
/// Errors: in words.
pub(crate) fn list(text: &str) -> Result<Vec<Jump>, String> {
    let text = text.split_once('#').map_or(text, |(text, _)| text).trim_end();
    if text.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    text.split(',').map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jump(text: &str) -> Result<(Option<String>, String, Option<u16>), String> {
        text.parse::<Jump>().map(|jump| (jump.user, jump.host, jump.port))
    }

    #[test]
    fn user_and_port_may_be_left_out() {
        let jo = || Some("jo".to_owned());
        assert_eq!(jump("gate"), Ok((None, "gate".to_owned(), None)));
        assert_eq!(jump("jo@gate:2222"), Ok((jo(), "gate".to_owned(), Some(2222))));
        assert_eq!(jump("ssh://jo@gate:22/"), Ok((jo(), "gate".to_owned(), Some(22))));
        assert_eq!(jump("jo@[fe80::1]:22"), Ok((jo(), "fe80::1".to_owned(), Some(22))));
        assert_eq!(jump("a@b@gate").unwrap().0.as_deref(), Some("a@b"));
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in
            ["", "@gate", "jo@", "gate:0", "gate:x", "a b", "-oProxy", "[::1", "[::1]x", "a;b"]
        {
            assert!(jump(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_list_is_in_the_order_of_the_way_and_none_is_empty() {
        let hosts: Vec<_> = list("a,jo@b:1 # far").unwrap().into_iter().map(|j| j.host).collect();
        assert_eq!(hosts, ["a", "b"]);
        assert_eq!(list("NONE"), Ok(vec![]));
        assert!(list("a,,b").is_err());
    }
}
