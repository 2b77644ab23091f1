//! The host's own TCP dialler: Happy Eyeballs, and a socket that notices a dead peer.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::Status;
use crate::error::Failure;

/// The time for a dial: the whole of it, name resolution included, and the TCP part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) deadline: Instant,
    pub(crate) tcp: Duration,
}

/// Connects to a host and gives the socket, non-blocking, registered nowhere.
///
/// Cancel safety: dropping the future closes whatever was under way.
pub(crate) async fn connect(host: &str, port: u16, limits: Limits) -> Result<OwnedFd, Failure> {
    let place = Place { host, port };
    let addresses = timeout_at(limits.deadline, resolve(place))
        .await
        .map_err(|_elapsed| place.fails(Status::Timeout, "the name was not resolved in time"))??;
    let deadline = limits.deadline.min(Instant::now() + limits.tcp);
    let connected = match timeout_at(deadline, race(addresses)).await {
        Err(_elapsed) => return Err(place.fails(Status::Timeout, "no answer in time")),
        Ok(Err(refusals)) => return Err(place.fails(Status::Unreachable, &refusals)),
        Ok(Ok(stream)) => finish(stream),
    };
    connected.map_err(|error| place.fails(Status::Unreachable, &error.to_string()))
}

#[derive(Clone, Copy)]
struct Place<'a> {
    host: &'a str,
    port: u16,
}

impl Place<'_> {
    fn fails(self, status: Status, why: &str) -> Failure {
        Failure::new(status, format!("cannot connect to {}:{}: {why}", self.host, self.port))
    }
}

async fn resolve(place: Place<'_>) -> Result<VecDeque<SocketAddr>, Failure> {
    let found = tokio::net::lookup_host((place.host, place.port))
        .await
        .map_err(|error| place.fails(Status::Unreachable, &error.to_string()))?;
    let addresses = alternate(found);
    if addresses.is_empty() {
        return Err(place.fails(Status::Unreachable, "the name has no address"));
    }
    Ok(addresses)
}

/// The two families in turn, beginning with the one the system prefers. Source: RFC 8305, 4.
fn alternate(found: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let found: Vec<_> = found.take(MOST_ADDRESSES).collect();
    let preferred = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| address.is_ipv6() == preferred);
    let mut mixed = VecDeque::new();
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return mixed;
        }
        mixed.extend(pair.into_iter().flatten());
    }
}

/// Starts one attempt after the other, the next as soon as one fails or takes long; the first to
/// connect wins. The error lists what became of each.
async fn race(mut waiting: VecDeque<SocketAddr>) -> Result<TcpStream, String> {
    let mut attempts = JoinSet::new();
    let mut refusals: Vec<String> = Vec::new();
    loop {
        if let Some(address) = waiting.pop_front() {
            attempts.spawn(async move { (address, TcpStream::connect(address).await) });
        }
        let stagger = if waiting.is_empty() { FOREVER } else { STAGGER };
        match tokio::time::timeout(stagger, attempts.join_next()).await {
            Err(_elapsed) => {}
            Ok(Some(Ok((_, Ok(stream))))) => return Ok(stream),
            Ok(Some(Ok((address, Err(error))))) => refusals.push(format!("{address}: {error}")),
            Ok(Some(Err(error))) => refusals.push(error.to_string()),
            Ok(None) => return Err(refusals.join("; ")),
        }
    }
}

fn finish(stream: TcpStream) -> io::Result<OwnedFd> {
    let socket = SockRef::from(&stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE)
            .with_retries(KEEPALIVE_PROBES),
    )?;
    // Keepalive probes stop while data is unacknowledged; this limit counts then.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(KEEPALIVE * (KEEPALIVE_PROBES + 1)))?;
    Ok(stream.into_std()?.into())
}

/// Source: RFC 8305, 5.
const STAGGER: Duration = Duration::from_millis(250);
/// The caller's deadline ends the wait.
const FOREVER: Duration = Duration::from_hours(24);
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 3;
const MOST_ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn limits() -> Limits {
        Limits { deadline: Instant::now() + Duration::from_secs(5), tcp: Duration::from_secs(5) }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_take_turns_beginning_with_the_preferred_one() {
        let found = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(address);
        let order = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"].map(address);
        assert_eq!(alternate(found.into_iter()), order);
    }

    #[tokio::test]
    async fn the_socket_is_tuned_and_usable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fd = connect("127.0.0.1", port, limits()).await.unwrap();
        let stream = std::net::TcpStream::from(fd);
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE);
        assert_eq!(stream.peer_addr().unwrap().port(), port);
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_hold_up_the_next() {
        let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refused = refusing.local_addr().unwrap();
        drop(refusing);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let stream = race(VecDeque::from([refused, open])).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
    }

    #[tokio::test]
    async fn every_refusal_is_named() {
        let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = refusing.local_addr().unwrap().port();
        drop(refusing);
        let failure = connect("127.0.0.1", port, limits()).await.unwrap_err();
        assert_eq!(failure.status, Status::Unreachable);
        assert!(failure.message.contains(&format!("127.0.0.1:{port}: ")), "{}", failure.message);
        assert!(failure.message.contains("refused"), "{}", failure.message);
    }
}
