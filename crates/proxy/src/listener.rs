//! Listeners: where applications connect.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgferry_config::Listen;
use socket2::TcpKeepalive;
use tokio::net::{TcpListener, UnixListener};

/// How long a listener rests when the process is out of descriptors: accepting again at once would
/// only spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// How long a client may be silent before the system asks whether it is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);
/// Between two questions to a silent client.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// A bound address.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

/// A unix listener and its file, which is removed with it.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    listener: UnixListener,
    file: PathBuf,
    /// Device and number of the file.
    identity: (u64, u64),
}

/// An accepted socket, not yet tied to a runtime.
#[derive(Debug)]
pub(crate) enum Accepted {
    Tcp(std::net::TcpStream, SocketAddr),
    Unix(StdUnixStream),
}

impl Listener {
    /// Binds. A unix socket is for its owner alone (0600); a stale one of an earlier run is replaced.
    pub(crate) async fn bind(listen: &Listen) -> io::Result<Self> {
        match (listen, listen.socket_path()) {
            (Listen::Tcp(address), _) => TcpListener::bind(address).await.map(Self::Tcp),
            (Listen::Unix { .. }, Some(file)) => bind_unix(file).map(Self::Unix),
            (Listen::Unix { .. }, None) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// The address applications use, with the port the system chose.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => {
                listener.local_addr().map_or_else(|_| "?".to_owned(), |a| a.to_string())
            }
            Self::Unix(socket) => socket.file.display().to_string(),
        }
    }

    /// The next connection. Errors of single connections are passed over.
    ///
    /// Cancel safety: an accepted connection is never lost.
    pub(crate) async fn accept(&self) -> Accepted {
        loop {
            let accepted = match self {
                Self::Tcp(listener) => accept_tcp(listener).await,
                Self::Unix(socket) => socket
                    .listener
                    .accept()
                    .await
                    .and_then(|(stream, _)| stream.into_std().map(Accepted::Unix)),
            };
            match accepted {
                Ok(accepted) => return accepted,
                Err(error) if is_exhaustion(&error) => {
                    tracing::error!(%error, "cannot accept connections; raise the limit of open files");
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection was gone before it was accepted");
                }
            }
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Another process may have put its own in the place; a leftover is replaced at the next start.
        if identity(&self.file).is_ok_and(|identity| identity == self.identity) {
            fs::remove_file(&self.file).ok();
        }
    }
}

async fn accept_tcp(listener: &TcpListener) -> io::Result<Accepted> {
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    // A client on another machine may vanish without a word; its session must not stay for ever.
    socket2::SockRef::from(&stream).set_tcp_keepalive(
        &TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_INTERVAL),
    )?;
    Ok(Accepted::Tcp(stream.into_std()?, peer))
}

/// Binds under a private name and moves it into place, so that the socket is never there with wider
/// permissions than it should have.
fn bind_unix(file: PathBuf) -> io::Result<UnixSocket> {
    if is_alive(&file)? {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let private = file.with_extension(format!("{}.new", std::process::id()));
    let listener = UnixListener::bind(&private)?;
    let placed = fs::set_permissions(&private, fs::Permissions::from_mode(0o600))
        .and_then(|()| fs::rename(&private, &file));
    if let Err(error) = placed {
        fs::remove_file(&private).ok();
        return Err(error);
    }
    Ok(UnixSocket { listener, identity: identity(&file)?, file })
}

fn identity(file: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(file).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Whether somebody serves the socket already. Anything there that is no socket is left alone.
fn is_alive(file: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
        Ok(metadata) if metadata.file_type().is_socket() => {
            Ok(StdUnixStream::connect(file).is_ok())
        }
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(directory: &Path) -> Listen {
        Listen::Unix { directory: directory.to_owned(), port: 5432 }
    }

    #[tokio::test]
    async fn a_unix_socket_is_for_its_owner_alone_and_goes_with_the_listener() {
        let directory = tempfile::tempdir().unwrap();
        let listener = Listener::bind(&listen(directory.path())).await.unwrap();
        let file = directory.path().join(".s.PGSQL.5432");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        drop(listener);
        assert!(!file.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(".s.PGSQL.5432");
        drop(std::os::unix::net::UnixListener::bind(&file).unwrap());
        assert!(file.exists());
        let _first = Listener::bind(&listen(directory.path())).await.unwrap();
        let second = Listener::bind(&listen(directory.path())).await.unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_never_removed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(".s.PGSQL.5432");
        fs::write(&file, "precious").unwrap();
        assert!(Listener::bind(&listen(directory.path())).await.is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    }
}
