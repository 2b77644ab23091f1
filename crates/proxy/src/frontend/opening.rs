//! The packets that open a connection, read from a socket.

use std::sync::Arc;

use pgferry_pg::startup::{self, Action, Machine, Outcome, TLS_HELLO, packet_length};

use super::identity::LocalTls;
use super::stream::Frontend;
use super::tls::{Shown, check_direct, first_byte};
use crate::conversation::Conversation;
use crate::error::ConnectionError;
use crate::socket::Socket;
use crate::stream::Stream;

/// A fatal `handshake_failure` alert: the answer that a TLS client understands.
/// Source: RFC 8446, sections 5.1 and 6.
const TLS_ALERT: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28];

/// How a connection opened.
pub(crate) struct Opening {
    pub(crate) outcome: Outcome,
    /// The certificate that the application was shown; `None` without TLS.
    pub(crate) shown: Option<Arc<Shown>>,
}

/// Reads until the application has said what it wants: a session, or a cancel. Does TLS on the way,
/// if it asks for it and `local_tls` is there.
///
/// Cancel safety: none; dropping it loses what was negotiated.
pub(crate) async fn opening(
    client: &mut Conversation<Frontend>,
    local_tls: Option<&LocalTls>,
) -> Result<Opening, ConnectionError> {
    // As with PostgreSQL, unix sockets have no TLS.
    let local_tls = local_tls.filter(|_| matches!(client.stream.socket(), Some(Socket::Tcp(_))));
    let mut machine = Machine::new(match local_tls {
        Some(_) => startup::LocalTls::Offered,
        None => startup::LocalTls::NotOffered,
    });
    let mut shown = None;
    if let Some(local_tls) = local_tls
        && starts_with_tls(client).await?
    {
        machine = machine.on_direct_tls()?.0;
        shown = Some(accept(client, local_tls).await?);
        check_direct(&client.stream)?;
    }
    loop {
        let packet = packet(client, machine).await?;
        let (next, action) = machine.on_packet(&packet, client.buffer.len())?;
        machine = next;
        if let Some(answer) = action.answer() {
            client.send(&[answer]).await.map_err(|_| ConnectionError::ClientGone)?;
        }
        match (action, local_tls) {
            (Action::Finish(outcome), _) => return Ok(Opening { outcome, shown }),
            (Action::AcceptTls, Some(local_tls)) => {
                shown = Some(accept(client, local_tls).await?);
            }
            // The machine accepts only what it was told is offered.
            _ => {}
        }
    }
}

/// Whether the application speaks TLS without asking. Takes nothing: the handshake wants it all.
async fn starts_with_tls(client: &Conversation<Frontend>) -> Result<bool, ConnectionError> {
    let Some(socket) = client.stream.socket() else { return Ok(false) };
    let first = first_byte(socket).await.map_err(|_| ConnectionError::ClientGone)?;
    Ok(first == Some(TLS_HELLO))
}

async fn accept(
    client: &mut Conversation<Frontend>,
    local_tls: &LocalTls,
) -> Result<Arc<Shown>, ConnectionError> {
    let shown = local_tls.shown();
    shown.accept(&mut client.stream).await?;
    Ok(shown)
}

/// Reads one whole packet.
async fn packet(
    client: &mut Conversation<Frontend>,
    machine: Machine,
) -> Result<bytes::BytesMut, ConnectionError> {
    if client.buffer.is_empty() {
        client.fill().await?;
    }
    if client.buffer.first() == Some(&TLS_HELLO)
        && matches!(client.stream, Stream::Plain(_))
        && let Err(error) = machine.on_direct_tls()
    {
        // It cannot read a PostgreSQL error; that it has gone too changes nothing.
        client.send(&TLS_ALERT).await.ok();
        return Err(ConnectionError::Opening(error));
    }
    loop {
        match packet_length(&client.buffer)? {
            Some(length) if client.buffer.len() >= length => {
                return Ok(client.buffer.split_to(length));
            }
            _ => client.fill().await?,
        }
    }
}
