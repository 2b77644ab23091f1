//! A session that carries one connection's bytes as they are.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    time::{sleep, timeout},
};

use super::{
    super::{
        message::{Broken, FLAG, OUTPUT},
        record::SessionEnd,
    },
    Channel, Flag,
    mux::LONGEST,
    pen::Pen,
    receiver::Receiver,
};

pub(super) async fn serve(
    mut incoming: Receiver<'_>,
    target: SocketAddr,
) -> Result<SessionEnd, SessionEnd> {
    let channel = incoming.channel;
    let mut connection = TcpStream::connect(target).await.map_err(|_| {
        let words = format!(
            "Unable to connect to specified port: dial tcp {target}: connect: connection refused"
        );
        SessionEnd::Failed(words)
    })?;
    connection.set_nodelay(true).ok();
    channel.session.update(|state| {
        state.record.streams += 1;
        state.record.open_streams += 1;
    });
    let (read, write) = connection.split();
    let end = tokio::select! {
        end = receive(&mut incoming, write) => end,
        () = send(channel, read) => Ok(SessionEnd::TargetClosed),
    };
    channel.session.update(|state| state.record.open_streams -= 1);
    if matches!(end, Ok(SessionEnd::TargetClosed)) {
        // What has no receipt yet is repeated for a while.
        timeout(DRAIN, drained(&mut incoming)).await.ok();
    }
    end
}

async fn receive(
    incoming: &mut Receiver<'_>,
    mut write: WriteHalf<'_>,
) -> Result<SessionEnd, SessionEnd> {
    loop {
        let message = incoming.next().await?;
        match message.payload_type {
            OUTPUT => {
                if write.write_all(&message.payload).await.is_err() {
                    return Ok(SessionEnd::TargetClosed);
                }
            }
            FLAG => match Flag::read(&message.payload)? {
                Flag::TerminateSession => return Ok(SessionEnd::Flag),
                Flag::DisconnectToPort => return Ok(SessionEnd::TargetClosed),
            },
            other => return Err(Broken(format!("payload type {other} among data")).into()),
        }
    }
}

/// Until the connection ends.
async fn send(channel: &Channel, mut read: ReadHalf<'_>) {
    let mut pen = Pen::new(channel);
    let mut data = [0; LONGEST];
    while let Ok(length @ 1..) = read.read(&mut data).await {
        pen.write(data.get(..length).unwrap_or_default()).await;
    }
}

async fn drained(incoming: &mut Receiver<'_>) {
    let channel = incoming.channel;
    while !channel.outbox().is_empty() {
        tokio::select! {
            message = incoming.next() => if message.is_err() { return },
            () = sleep(Duration::from_millis(10)) => {}
        }
    }
}

const DRAIN: Duration = Duration::from_secs(2);
