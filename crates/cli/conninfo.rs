//! What a client needs to connect to a listener, as libpq's variables and as a URL.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pgferry_config::{Credential, Listen, Secret, Target};
use zeroize::Zeroizing;

use crate::inherited::Login;

/// What RFC 3986 calls unreserved stays; everything else is encoded, wherever it stands.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// For listeners without TLS: a client that insists on it would be refused.
pub(crate) const WITHOUT_TLS: &str = "disable";
/// For listeners with TLS, whether they require it or not.
const WITH_TLS: &str = "require";

/// A way to a listener, in libpq's terms.
#[derive(Clone, Debug)]
pub(crate) struct ConnInfo {
    pub(crate) place: Place,
    /// The client's own choice if absent.
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    /// The client's own choice if absent.
    pub(crate) database: Option<String>,
    pub(crate) sslmode: &'static str,
    pub(crate) login: Login,
}

/// Where a client connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(SocketAddr),
    Unix { directory: String, port: u16 },
}

/// A variable of the environment. The value may be a password.
pub(crate) type Variable = (&'static str, Zeroizing<String>);

impl Place {
    /// Where clients on this machine reach a listener; `None` if only a run of pgferry knows.
    pub(crate) fn of(listen: &Listen) -> Option<Self> {
        match listen {
            Listen::Tcp(address) if address.port() == 0 => None,
            Listen::Tcp(address) => Some(Self::Tcp(from_here(*address))),
            Listen::Unix { directory, port } => {
                let directory = directory.to_str()?.to_owned();
                Some(Self::Unix { directory, port: *port })
            }
        }
    }
}

/// Nobody can connect to "every address", but to the loopback one of that family.
fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The database that a session opens: the configured one, else the one that libpq would take for the
/// database's own user, and not for the local one. Where a secret has that user, it is the one that
/// every server has; a `dbname` in the secret goes before either.
pub(crate) fn database(target: &Target) -> Option<&str> {
    match (&target.database.name, &target.credential) {
        (Some(name), _) => Some(name),
        (None, Credential::SecretsManager { user: None, .. }) => Some("postgres"),
        (None, _) => user(target),
    }
}

/// The user that a client names, unless that is its own choice.
pub(crate) fn user(target: &Target) -> Option<&str> {
    match &target.credential {
        Credential::Passthrough => None,
        credential => Some(credential.user().unwrap_or(LOCAL_USER)),
    }
}

/// A variable of the caller's, unless it is empty: so libpq sees them.
pub(crate) fn inherited(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whom a client says it is where no other name is better. The database never sees it.
pub(crate) const LOCAL_USER: &str = "pgferry";

/// How a client speaks to a target's listener: unix sockets have no TLS.
pub(crate) fn sslmode(target: &Target, place: &Place) -> &'static str {
    match place {
        Place::Tcp(_) if target.local_tls.is_some() => WITH_TLS,
        Place::Tcp(_) | Place::Unix { .. } => WITHOUT_TLS,
    }
}

impl ConnInfo {
    /// libpq's variables, and the URL as `DATABASE_URL`.
    pub(crate) fn variables(&self) -> Vec<Variable> {
        let (host, port) = match &self.place {
            Place::Tcp(address) => (address.ip().to_string(), address.port()),
            Place::Unix { directory, port } => (directory.clone(), *port),
        };
        let mut variables = vec![("PGHOST", host.into()), ("PGPORT", port.to_string().into())];
        if let Some(user) = &self.user {
            variables.push(("PGUSER", user.clone().into()));
        }
        if let Some(database) = &self.database {
            variables.push(("PGDATABASE", database.clone().into()));
        }
        variables.push(("PGSSLMODE", self.sslmode.to_owned().into()));
        variables.push(("DATABASE_URL", self.url()));
        if let Some(password) = &self.password {
            variables.push(("PGPASSWORD", password.expose().to_owned().into()));
        }
        variables
    }

    /// A connection URI.
    /// Source: PostgreSQL documentation, "Connection URIs".
    pub(crate) fn url(&self) -> Zeroizing<String> {
        let password = self.password.as_ref().map(|password| {
            Zeroizing::new(utf8_percent_encode(password.expose(), RESERVED).to_string())
        });
        self.url_with(password.as_ref().map(|password| password.as_str()))
    }

    /// As [`Self::url`], with something in the place of a password.
    pub(crate) fn masked_url(&self) -> Zeroizing<String> {
        self.url_with(self.password.as_ref().map(|_| MASK))
    }

    fn url_with(&self, password: Option<&str>) -> Zeroizing<String> {
        let encoded = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
        let user = self.user.as_deref().map(encoded);
        let who = match (user, password) {
            (Some(user), Some(password)) => format!("{user}:{password}@"),
            (Some(user), None) => format!("{user}@"),
            (None, _) => String::new(),
        };
        let who = Zeroizing::new(who);
        let (who, sslmode) = (who.as_str(), self.sslmode);
        let database = self.database.as_deref().map(encoded).unwrap_or_default();
        Zeroizing::new(match &self.place {
            Place::Tcp(address) => {
                format!("postgresql://{who}{address}/{database}?sslmode={sslmode}")
            }
            Place::Unix { directory, port } => format!(
                "postgresql://{who}/{database}?host={}&port={port}&sslmode={sslmode}",
                encoded(directory)
            ),
        })
    }
}

/// Nobody's password, and no character that a URL would have to encode.
const MASK: &str = "********";

#[cfg(test)]
mod tests {
    use super::*;

    fn info(place: Place) -> ConnInfo {
        ConnInfo {
            place,
            user: Some("o'neill@x".to_owned()),
            password: Some(Secret::new("p:w %#?".to_owned())),
            database: Some("my db/ü".to_owned()),
            sslmode: WITHOUT_TLS,
            login: Login::Here,
        }
    }

    fn tcp(address: &str) -> Place {
        Place::Tcp(address.parse().unwrap())
    }

    #[test]
    fn every_part_of_a_url_is_encoded() {
        let url = info(tcp("[::1]:15432")).url();
        let tail = "@[::1]:15432/my%20db%2F%C3%BC?sslmode=disable";
        assert_eq!(*url, format!("postgresql://o%27neill%40x:p%3Aw%20%25%23%3F{tail}"));
        let masked = info(tcp("[::1]:15432")).masked_url();
        assert_eq!(*masked, format!("postgresql://o%27neill%40x:********{tail}"));
    }

    #[test]
    fn a_unix_socket_is_a_host_parameter() {
        let place = Place::Unix { directory: "/run/my pg".to_owned(), port: 6000 };
        let url = ConnInfo { password: None, ..info(place) }.url();
        let tail = "@/my%20db%2F%C3%BC?host=%2Frun%2Fmy%20pg&port=6000&sslmode=disable";
        assert_eq!(*url, format!("postgresql://o%27neill%40x{tail}"));
    }

    #[test]
    fn what_the_client_chooses_itself_is_left_out() {
        let of = |place| ConnInfo { user: None, password: None, database: None, ..info(place) };
        assert_eq!(*of(tcp("127.0.0.1:5")).url(), "postgresql://127.0.0.1:5/?sslmode=disable");
        let place = Place::Unix { directory: "/run".to_owned(), port: 5 };
        let tail = "host=%2Frun&port=5&sslmode=disable";
        assert_eq!(*of(place).url(), format!("postgresql:///?{tail}"));
        let variables = of(tcp("127.0.0.1:5")).variables();
        let names: Vec<_> = variables.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["PGHOST", "PGPORT", "PGSSLMODE", "DATABASE_URL"]);
    }

    #[test]
    fn variables_are_as_they_are() {
        let variables = info(tcp("127.0.0.1:1")).variables();
        let value = |name| variables.iter().find(|(is, _)| *is == name).map(|(_, v)| v.as_str());
        assert_eq!(value("PGHOST"), Some("127.0.0.1"));
        assert_eq!(value("PGPORT"), Some("1"));
        assert_eq!(value("PGUSER"), Some("o'neill@x"));
        assert_eq!(value("PGPASSWORD"), Some("p:w %#?"));
        assert_eq!(value("PGDATABASE"), Some("my db/ü"));
    }

    #[test]
    fn every_address_is_reached_by_loopback_and_a_port_of_the_systems_choice_by_none() {
        let place = |text: &str| Place::of(&Listen::Tcp(text.parse().unwrap()));
        assert_eq!(place("0.0.0.0:5"), Some(tcp("127.0.0.1:5")));
        assert_eq!(place("[::]:5"), Some(tcp("[::1]:5")));
        assert_eq!(place("172.17.0.1:5"), Some(tcp("172.17.0.1:5")));
        assert_eq!(place("127.0.0.1:0"), None);
    }

    #[test]
    fn no_password_is_in_debug_output() {
        assert!(!format!("{:?}", info(tcp("127.0.0.1:1"))).contains("p:w"));
    }
}
