//! Descriptor numbers from plugins, checked before anything owns them.
//!
//! What can be known about a number is checked: that it is open, a stream socket, connected and not
//! listening, and (on Linux) not the very socket that was accepted under this number before. What
//! cannot be known is whether the number is one that another part of the program holds: a plugin
//! that gives away a client's socket breaks that client's connection.

use std::collections::HashMap;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::sync::{LazyLock, Mutex, PoisonError};

use pgferry_transport_abi as abi;
use rustix::fs::OFlags;
use rustix::io::{Errno, FdFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// Why a number was not taken. Unless it says so, the number was not touched: it may be anybody's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("no socket")]
    None,
    #[error("{0} is not an open descriptor")]
    NotOpen(abi::Sock),
    #[error("descriptor {0} is not a socket")]
    NotASocket(RawFd),
    #[error("socket {0} is not a stream socket")]
    NotAStream(RawFd),
    #[error("socket {0} is listening")]
    Listening(RawFd),
    #[error("socket {0} is not connected")]
    NotConnected(RawFd),
    #[error("socket {0} was handed over before")]
    Known(RawFd),
    /// Not the plugin's fault: the peer was faster. The socket was taken and closed.
    #[error("the connection was reset before it could be used: {0}")]
    Reset(Errno),
}

/// Takes ownership of what a plugin handed over: close-on-exec and non-blocking from here on.
pub(crate) fn adopt(number: abi::Sock) -> Result<OwnedFd, Unfit> {
    if number < 0 {
        return Err(Unfit::None);
    }
    let raw = RawFd::try_from(number).map_err(|_| Unfit::NotOpen(number))?;
    // SAFETY: F_GETFD takes any number and changes nothing.
    #[expect(unsafe_code, reason = "the number may not be open, so it cannot be borrowed yet")]
    let flags = unsafe { libc::fcntl(raw, libc::F_GETFD) };
    if flags < 0 {
        return Err(Unfit::NotOpen(number));
    }
    // SAFETY: it was open a moment ago. If a plugin's other thread closes it now, the calls below
    // fail, or look at another descriptor without changing it.
    #[expect(unsafe_code, reason = "the number is only looked at")]
    let looked_at = unsafe { BorrowedFd::borrow_raw(raw) };
    let reset = look(looked_at)?;
    // SAFETY: open, a connected stream socket, and by the contract the host's from now on.
    #[expect(unsafe_code, reason = "the socket changes owner here")]
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    if let Some(error) = reset {
        return Err(Unfit::Reset(error));
    }
    prepare(&socket).map_err(Unfit::Reset)?;
    Ok(socket)
}

/// Looks at a number. Gives the error of a connection that is over already.
fn look(fd: BorrowedFd<'_>) -> Result<Option<Errno>, Unfit> {
    let raw = fd.as_raw_fd();
    if sockopt::socket_type(fd).map_err(|_| Unfit::NotASocket(raw))? != SocketType::STREAM {
        return Err(Unfit::NotAStream(raw));
    }
    if sockopt::socket_acceptconn(fd) == Ok(true) {
        return Err(Unfit::Listening(raw));
    }
    if already_known(fd, raw) {
        return Err(Unfit::Known(raw));
    }
    match rustix::net::getpeername(fd) {
        Ok(_) => Ok(None),
        // A socket that never was connected has no error to tell; one that was reset has.
        Err(_) => match sockopt::socket_error(fd) {
            Ok(Err(error)) => Ok(Some(error)),
            _ => Err(Unfit::NotConnected(raw)),
        },
    }
}

/// Whether this very socket was adopted under this number before. A socket has an inode of its own
/// while it lives, so number and inode together can only come twice if it was never closed.
fn already_known(fd: BorrowedFd<'_>, raw: RawFd) -> bool {
    if !cfg!(target_os = "linux") {
        return false;
    }
    let Ok(stat) = rustix::fs::fstat(fd) else { return false };
    let mut adopted = ADOPTED.lock().unwrap_or_else(PoisonError::into_inner);
    adopted.insert(raw, stat.st_ino) == Some(stat.st_ino)
}

/// Gives a socket to a plugin, blocking, as the pairs are. It may come back as the plugin's own.
pub(crate) fn give_away(socket: OwnedFd) -> Result<abi::Sock, Errno> {
    set_blocking(&socket, Blocking::Yes)?;
    let raw = socket.into_raw_fd();
    ADOPTED.lock().unwrap_or_else(PoisonError::into_inner).remove(&raw);
    abi::Sock::try_from(raw).map_err(|_| Errno::OVERFLOW)
}

/// The inode of the socket adopted last under each number. The numbers are the process's, so the
/// table is; it never outgrows the process's limit on descriptors.
static ADOPTED: LazyLock<Mutex<HashMap<RawFd, u64>>> = LazyLock::new(Mutex::default);

fn prepare(socket: &OwnedFd) -> Result<(), Errno> {
    rustix::io::fcntl_setfd(socket, FdFlags::CLOEXEC)?;
    set_blocking(socket, Blocking::No)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocking {
    Yes,
    No,
}

pub(crate) fn set_blocking(socket: &OwnedFd, blocking: Blocking) -> Result<(), Errno> {
    let mut flags = rustix::fs::fcntl_getfl(socket)?;
    flags.set(OFlags::NONBLOCK, blocking == Blocking::No);
    rustix::fs::fcntl_setfl(socket, flags)
}

/// A connected pair, close-on-exec, blocking, with buffers that do not slow a pump down. (macOS
/// starts with 8 KiB.)
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    const BUFFER: usize = 256 * 1024;
    let (left, right) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, pair_flags(), None)?;
    for end in [&left, &right] {
        rustix::io::fcntl_setfd(end, FdFlags::CLOEXEC)?;
        sockopt::set_socket_send_buffer_size(end, BUFFER)?;
        sockopt::set_socket_recv_buffer_size(end, BUFFER)?;
        #[cfg(target_vendor = "apple")]
        sockopt::set_socket_nosigpipe(end, true)?;
    }
    Ok((left, right))
}

#[cfg(not(target_vendor = "apple"))]
fn pair_flags() -> SocketFlags {
    SocketFlags::CLOEXEC
}

#[cfg(target_vendor = "apple")]
fn pair_flags() -> SocketFlags {
    SocketFlags::empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    fn number(fd: &impl std::os::fd::AsRawFd) -> abi::Sock {
        isize::try_from(fd.as_raw_fd()).unwrap()
    }

    #[test]
    fn a_connected_socket_is_taken_once() {
        let (left, _right) = pair().unwrap();
        let given = number(&left);
        let taken = adopt(isize::try_from(left.into_raw_fd()).unwrap()).unwrap();
        assert!(rustix::fs::fcntl_getfl(&taken).unwrap().contains(OFlags::NONBLOCK));
        assert!(rustix::io::fcntl_getfd(&taken).unwrap().contains(FdFlags::CLOEXEC));
        let known = Unfit::Known(taken.as_raw_fd());
        assert_eq!(adopt(given).unwrap_err(), known);
    }

    #[test]
    fn what_is_not_a_connected_stream_is_left_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let file = File::open("/proc/self/exe").unwrap();
        let fresh =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        assert_eq!(adopt(number(&listener)).unwrap_err(), Unfit::Listening(listener.as_raw_fd()));
        assert_eq!(adopt(number(&udp)).unwrap_err(), Unfit::NotAStream(udp.as_raw_fd()));
        assert_eq!(adopt(number(&file)).unwrap_err(), Unfit::NotASocket(file.as_raw_fd()));
        assert_eq!(adopt(number(&fresh)).unwrap_err(), Unfit::NotConnected(fresh.as_raw_fd()));
        assert_eq!(adopt(-1).unwrap_err(), Unfit::None);
        assert_eq!(adopt(1 << 20).unwrap_err(), Unfit::NotOpen(1 << 20));
        assert!(file.metadata().is_ok());
        assert!(listener.local_addr().is_ok());
    }

    #[test]
    fn a_connection_that_was_reset_is_taken_and_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        socket2::SockRef::from(&theirs).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(theirs);
        let mut polled = [rustix::event::PollFd::new(&ours, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut polled, None).unwrap();
        let given = isize::try_from(ours.into_raw_fd()).unwrap();
        assert_eq!(adopt(given).unwrap_err(), Unfit::Reset(Errno::CONNRESET));
    }
}
