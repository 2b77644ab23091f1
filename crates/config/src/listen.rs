//! Where a target listens: TCP addresses and unix socket directories.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// One address an application can connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// A TCP address; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A directory that gets PostgreSQL's socket name, `.s.PGSQL.PORT`.
    Unix {
        /// The directory, as clients name it in `host=`.
        directory: PathBuf,
        /// The number in the socket's name, as clients name it in `port=`.
        port: u16,
    },
}

/// Bytes a unix socket's path may have: `sun_path` less its closing NUL.
/// Source: unix(7) for Linux, sys/un.h for macOS.
const UNIX_PATH_LIMIT: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

impl Listen {
    /// Parses `127.0.0.1:15432`, `[::1]:15432` or `localhost:15432`.
    pub(crate) fn tcp(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
            return Ok(Self::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)));
        }
        Err(format!("`{text}` is no listen address; write it like \"127.0.0.1:15432\""))
    }

    /// Checks the length that the system sets on socket paths.
    pub(crate) fn unix(directory: PathBuf, port: u16) -> Result<Self, String> {
        let listen = Self::Unix { directory, port };
        match listen.socket_path().map(|path| path.as_os_str().len()) {
            Some(length) if length > UNIX_PATH_LIMIT => Err(format!(
                "the socket path {listen} has {length} bytes; this system allows {UNIX_PATH_LIMIT}, \
                 so choose a shorter directory"
            )),
            _ => Ok(listen),
        }
    }

    /// The socket file of a unix listener.
    pub fn socket_path(&self) -> Option<PathBuf> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix { directory, port } => Some(directory.join(format!(".s.PGSQL.{port}"))),
        }
    }

    /// Whether only processes of this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix { .. } => true,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { directory, port } => {
                write!(f, "{}/.s.PGSQL.{port}", directory.display())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_ip_and_port_or_localhost() {
        assert_eq!(Listen::tcp("localhost:1").unwrap().to_string(), "127.0.0.1:1");
        assert_eq!(Listen::tcp("[::1]:15432").unwrap().to_string(), "[::1]:15432");
        assert!(Listen::tcp("15432").unwrap_err().contains("127.0.0.1:15432"));
    }

    #[test]
    fn a_socket_path_over_the_systems_limit_is_refused_before_it_is_bound() {
        let long = PathBuf::from(format!("/{}", "d".repeat(120)));
        assert!(Listen::unix(long, 5432).unwrap_err().contains("shorter directory"));
    }
}
