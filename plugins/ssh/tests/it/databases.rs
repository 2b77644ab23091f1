//! What stands in for a database: servers that treat bytes in one simple way each.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server that runs `serve` for each connection; gives its port.
pub(crate) async fn server<F, Fut>(serve: F) -> u16
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// Sends back what it gets.
pub(crate) async fn echo() -> u16 {
    server(|mut stream| async move {
        let (mut reader, mut writer) = stream.split();
        // The other end may go away in the middle.
        drop(tokio::io::copy(&mut reader, &mut writer).await);
    })
    .await
}

/// Sends without end, whether or not anybody reads.
pub(crate) async fn flood() -> u16 {
    server(|mut stream| async move {
        let block = vec![0x5a; 64 * 1024];
        while stream.write_all(&block).await.is_ok() {}
    })
    .await
}

/// Takes nothing and says nothing until the other end is gone.
pub(crate) async fn deaf() -> u16 {
    server(|stream| async move {
        let kept = stream;
        std::future::pending::<()>().await;
        drop(kept);
    })
    .await
}

/// Reads all there is, then answers with the number of bytes and closes.
pub(crate) async fn counter() -> u16 {
    server(|mut stream| async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        stream.write_all(all.len().to_string().as_bytes()).await.unwrap();
    })
    .await
}
