//! Something that listens, for agents to connect to.

use std::net::SocketAddr;

use pgferry_simulators::Aws;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    calls::{Opening, remote, start},
    client::LIMIT,
};

pub(crate) struct Target {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Target {
    pub(crate) async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { address: listener.local_addr().unwrap(), listener }
    }

    pub(crate) async fn accept(&self) -> TcpStream {
        timeout(LIMIT, self.listener.accept()).await.unwrap().unwrap().0
    }

    /// A session to here.
    pub(crate) fn session(&self, aws: &Aws) -> Opening {
        aws.session_manager().names(&[("db.internal", self.address)]);
        start(aws, &remote("db.internal", 5432))
    }
}

pub(crate) async fn exactly(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut read = vec![0; length];
    timeout(LIMIT, stream.read_exact(&mut read)).await.unwrap().unwrap();
    read
}
