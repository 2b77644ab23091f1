//! The packets that open a connection, read from a socket.

use pgferry_pg::startup::{
    Action, LocalTls, Machine, Outcome, StartupError, TLS_HELLO, packet_length,
};

use crate::conversation::Conversation;
use crate::error::ConnectionError;
use crate::socket::Socket;

/// A fatal `handshake_failure` alert: the answer that a TLS client understands.
/// Source: RFC 8446, sections 5.1 and 6.
const TLS_ALERT: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28];

/// Reads until the application has said what it wants: a session, or a cancel.
///
/// Cancel safety: none; dropping it loses what was negotiated.
pub(crate) async fn opening(client: &mut Conversation<Socket>) -> Result<Outcome, ConnectionError> {
    let mut machine = Machine::new(LocalTls::NotOffered);
    loop {
        if client.buffer.is_empty() {
            client.fill().await?;
        }
        if client.buffer.first() == Some(&TLS_HELLO)
            && let Err(error) = machine.on_direct_tls()
        {
            // It cannot read a PostgreSQL error; that it has gone too changes nothing.
            client.send(&TLS_ALERT).await.ok();
            return Err(ConnectionError::Opening(error));
        }
        let length = loop {
            match packet_length(&client.buffer)? {
                Some(length) if client.buffer.len() >= length => break length,
                _ => client.fill().await?,
            }
        };
        let packet = client.buffer.split_to(length);
        let (next, action) = machine.on_packet(&packet, client.buffer.len())?;
        machine = next;
        if let Some(answer) = action.answer() {
            client.send(&[answer]).await.map_err(|_| ConnectionError::ClientGone)?;
        }
        match action {
            Action::Finish(outcome) => return Ok(outcome),
            Action::RefuseTls | Action::RefuseGss => {}
            Action::AcceptTls | Action::StartDirectTls => {
                return Err(ConnectionError::Opening(StartupError::DirectTlsNotOffered));
            }
        }
    }
}
