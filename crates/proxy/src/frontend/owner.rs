//! Who owns the other end of a local connection.

use std::io;

use crate::socket::Socket;

/// A user of this system, by number.
pub(crate) type Uid = u32;

/// Why an owner is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnerError {
    #[error("the system does not tell who owns the other end of a TCP connection")]
    #[cfg_attr(target_os = "linux", expect(dead_code, reason = "Linux tells"))]
    Unsupported,
    #[error("the system knows no local process at the other end")]
    NotLocal,
    #[error("cannot ask the system: {0}")]
    Io(#[from] io::Error),
}

/// The user whose process holds the other end.
///
/// Cancel safety: may be dropped at any time.
pub(crate) async fn of(socket: &Socket) -> Result<Uid, OwnerError> {
    match socket {
        Socket::Unix(stream) => Ok(stream.peer_user()?),
        Socket::Tcp(stream) => tcp::owner(stream.local_addr()?, stream.peer_addr()?).await,
    }
}

/// The user this process runs as.
pub(crate) fn own() -> Uid {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(target_os = "linux"))]
mod tcp {
    use std::net::SocketAddr;

    use super::{OwnerError, Uid};

    pub(super) async fn owner(_ours: SocketAddr, _theirs: SocketAddr) -> Result<Uid, OwnerError> {
        Err(OwnerError::Unsupported)
    }
}

#[cfg(target_os = "linux")]
mod tcp {
    use std::net::{IpAddr, SocketAddr};

    use super::{OwnerError, Uid};

    /// Finds the peer's own socket, which is in the same tables as ours because it is on this
    /// machine, with the two addresses the other way round.
    ///
    /// Source: `Documentation/networking/proc_net_tcp.rst` in the kernel's tree.
    pub(super) async fn owner(ours: SocketAddr, theirs: SocketAddr) -> Result<Uid, OwnerError> {
        let tables: &[&str] = match theirs {
            // A dual-stack socket that talks IPv4 is in the other table.
            SocketAddr::V4(_) => &["/proc/net/tcp", "/proc/net/tcp6"],
            SocketAddr::V6(_) => &["/proc/net/tcp6"],
        };
        for table in tables {
            let text = match tokio::fs::read_to_string(table).await {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                other => other?,
            };
            if let Some(uid) = text.lines().find_map(|line| owner_in(line, theirs, ours)) {
                return Ok(uid);
            }
        }
        Err(OwnerError::NotLocal)
    }

    const ESTABLISHED: &str = "01";

    /// The owner, if the line is the established socket from `local` to `remote`.
    ///
    /// The kernel shows user 0 and inode 0 for sockets that no process holds any more: those are not
    /// root's.
    fn owner_in(line: &str, local: SocketAddr, remote: SocketAddr) -> Option<Uid> {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let here = fields.next()?;
        let there = fields.next()?;
        let state = fields.next()?;
        if state != ESTABLISHED || !is(here, local) || !is(there, remote) {
            return None;
        }
        let uid = fields.nth(3)?.parse().ok()?;
        let inode: u64 = fields.nth(1)?.parse().ok()?;
        (inode != 0).then_some(uid)
    }

    fn is(field: &str, address: SocketAddr) -> bool {
        let Some((ip, port)) = field.split_once(':') else { return false };
        u16::from_str_radix(port, 16).is_ok_and(|port| port == address.port())
            && octets(ip).is_some_and(|octets| match address.ip() {
                IpAddr::V4(v4) => octets == v4.octets() || octets == v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => octets == v6.octets(),
            })
    }

    /// The tables write an address as 32-bit words in the machine's own order, in hexadecimal.
    fn octets(field: &str) -> Option<Vec<u8>> {
        let mut octets = Vec::with_capacity(16);
        for start in (0..field.len()).step_by(8) {
            let word = u32::from_str_radix(field.get(start..start + 8)?, 16).ok()?;
            octets.extend(word.to_ne_bytes());
        }
        Some(octets)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const LINE: &str = "   1: 0100007F:D431 0100007F:3C48 01 00000000:00000000 00:00000000 \
                            00000000  1000        0 51234 1 0000000000000000 20 4 30 10 -1";

        fn address(text: &str) -> SocketAddr {
            text.parse().unwrap()
        }

        #[test]
        #[cfg(target_endian = "little")]
        fn the_owner_of_the_mirrored_socket_is_found() {
            let (theirs, ours) = (address("127.0.0.1:54321"), address("127.0.0.1:15432"));
            assert_eq!(owner_in(LINE, theirs, ours), Some(1000));
            assert_eq!(owner_in(LINE, ours, theirs), None);
        }

        #[test]
        #[cfg(target_endian = "little")]
        fn a_socket_that_no_process_holds_is_nobodys_and_not_roots() {
            let (theirs, ours) = (address("127.0.0.1:54321"), address("127.0.0.1:15432"));
            let orphan = LINE.replace("1000", "0").replace("51234", "0");
            assert_eq!(owner_in(&orphan, theirs, ours), None);
            let time_wait = LINE.replace(" 01 ", " 06 ").replace("1000", "0");
            assert_eq!(owner_in(&time_wait, theirs, ours), None);
        }

        #[tokio::test]
        async fn a_connection_of_this_process_is_its_own() {
            for address in ["127.0.0.1:0", "[::1]:0"] {
                let Ok(listener) = tokio::net::TcpListener::bind(address).await else {
                    continue; // a machine without IPv6
                };
                let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
                let (client, accepted) = tokio::join!(client, listener.accept());
                let _client = client.unwrap();
                let (stream, peer) = accepted.unwrap();
                let uid = owner(stream.local_addr().unwrap(), peer).await.unwrap();
                assert_eq!(uid, super::super::own());
            }
        }
    }
}
