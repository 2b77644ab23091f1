//! Servers on the loopback interface for the checks to reach through the plugin.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{AbortHandle, JoinSet};

use super::{Flaw, fail};

/// What a server does with each connection.
#[derive(Clone)]
pub(super) enum Service {
    /// Sends everything back.
    Echo,
    /// Waits for the end, then sends this many bytes.
    AfterTheEnd(usize),
    /// Sends this many bytes and its own end, then counts what still comes.
    BeforeTheEnd(usize, UnboundedSender<u64>),
    /// Resets the connection at the first byte.
    Reset,
    /// Sends without end and reads nothing.
    Flood,
}

/// A server; it and its connections end with it.
pub(super) struct Server {
    pub(super) port: u16,
    task: AbortHandle,
}

impl Server {
    pub(super) async fn start(service: Service) -> Result<Self, Flaw> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(fail)?;
        let port = listener.local_addr().map_err(fail)?.port();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let service = service.clone();
                // A connection may end however the plugin likes; the checks look at their own end.
                connections.spawn(async move { drop(serve(stream, service).await) });
            }
        });
        Ok(Self { port, task: task.abort_handle() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, service: Service) -> std::io::Result<()> {
    match service {
        Service::Echo => {
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await?;
            writer.shutdown().await
        }
        Service::AfterTheEnd(length) => {
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
            stream.write_all(&vec![7; length]).await?;
            stream.shutdown().await
        }
        Service::BeforeTheEnd(length, count) => {
            stream.write_all(&vec![7; length]).await?;
            stream.shutdown().await?;
            let counted = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
            // The check may have given up.
            let _ = count.send(counted);
            Ok(())
        }
        Service::Reset => {
            stream.read_u8().await?;
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))
        }
        Service::Flood => {
            let chunk = vec![7; 64 * 1024];
            loop {
                stream.write_all(&chunk).await?;
            }
        }
    }
}

/// A port at which a connection attempt gets no answer: a listener whose queue is full. (Where the
/// system answers all the same, the attempt succeeds or is refused, and a check on it still holds.)
pub(super) struct BlackHole {
    pub(super) port: u16,
    _listener: Socket,
    _queued: Vec<Socket>,
}

impl BlackHole {
    pub(super) fn new() -> std::io::Result<Self> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        listener.listen(0)?;
        let address = listener.local_addr()?;
        let port = address.as_socket().map_or(0, |address| address.port());
        let mut queued = Vec::new();
        for _ in 0..4 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            // Under way is what it should be.
            drop(socket.connect(&address));
            queued.push(socket);
        }
        Ok(Self { port, _listener: listener, _queued: queued })
    }
}

/// A port that nobody listens on.
pub(super) async fn refusing_port() -> Result<u16, Flaw> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(fail)?;
    Ok(listener.local_addr().map_err(fail)?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_black_hole_does_not_answer() {
        let hole = BlackHole::new().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, hole.port));
        let error =
            std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }
}
