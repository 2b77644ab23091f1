//! A session that carries many connections.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex};

use super::{
    super::{
        message::{Broken, FLAG, OUTPUT},
        record::SessionEnd,
    },
    Channel, Flag,
    handshake::KeepAlive,
    pen::Pen,
    receiver::Receiver,
    streams,
};

/// The agent has a local socket between its data channel and smux; what fits into it counts when
/// a database does not read.
pub(super) async fn serve(
    incoming: Receiver<'_>,
    target: SocketAddr,
    keep_alive: KeepAlive,
) -> Result<SessionEnd, SessionEnd> {
    let channel = incoming.channel;
    let (near, far) = duplex(SOCKET_BUFFER);
    let (from_mux, to_mux) = tokio::io::split(near);
    tokio::select! {
        end = receive(incoming, to_mux) => end,
        end = send(channel, from_mux) => end,
        end = streams::serve(channel, far, target, keep_alive) => Err(end),
    }
}

/// While `to_mux` takes nothing, nothing is acknowledged.
async fn receive(
    mut incoming: Receiver<'_>,
    mut to_mux: WriteHalf<DuplexStream>,
) -> Result<SessionEnd, SessionEnd> {
    loop {
        let message = incoming.next().await?;
        match message.payload_type {
            OUTPUT => to_mux.write_all(&message.payload).await.map_err(|_| gone())?,
            FLAG => match Flag::read(&message.payload)? {
                // It gets no receipt.
                Flag::TerminateSession => return Ok(SessionEnd::Flag),
                Flag::DisconnectToPort => {
                    let rule = "flag DisconnectToPort in a session that carries many connections";
                    return Err(Broken(rule.to_owned()).into());
                }
            },
            other => return Err(Broken(format!("payload type {other} among data")).into()),
        }
    }
}

async fn send(
    channel: &Channel,
    mut from_mux: ReadHalf<DuplexStream>,
) -> Result<SessionEnd, SessionEnd> {
    let mut pen = Pen::new(channel);
    let mut data = [0; LONGEST];
    loop {
        let read = from_mux.read(&mut data).await.map_err(|_| gone())?;
        let data = data.get(..read).filter(|data| !data.is_empty()).ok_or_else(gone)?;
        pen.write(data).await;
    }
}

fn gone() -> SessionEnd {
    SessionEnd::Failed("the multiplexer is gone".to_owned())
}

/// Bytes of data in a message.
pub(super) const LONGEST: usize = 1024;
const SOCKET_BUFFER: usize = 200 * 1024;
