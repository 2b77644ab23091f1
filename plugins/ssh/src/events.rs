//! What russh tells about one bastion connection while it lives.

use std::sync::{Arc, Mutex, PoisonError};

use pgferry_transport_sdk::Error;
use russh::client::{
    ChannelOpenHandle, DisconnectReason, Handler, Msg, RemoteDisconnectInfo, Session,
};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId, ChannelOpenFailure, Names};
use tokio::sync::{mpsc, watch};

use crate::host_key::HostKeyCheck;

/// Why a connection ended, once it has.
pub(crate) type Fate = Option<Arc<str>>;

/// The receiver of russh's events for one connection.
pub(crate) struct Events {
    host_key: HostKeyCheck,
    fate: watch::Sender<Fate>,
    /// What the bastion says about each channel it refuses, in the order of its refusals: russh
    /// gives the one who asked for the channel only the reason code.
    refusals: mpsc::UnboundedSender<String>,
    negotiated: Arc<Mutex<Option<Negotiated>>>,
}

/// The other ends of [`Events`].
pub(crate) struct EventsSeen {
    pub(crate) fate: watch::Receiver<Fate>,
    pub(crate) set_fate: watch::Sender<Fate>,
    pub(crate) refusals: mpsc::UnboundedReceiver<String>,
    negotiated: Arc<Mutex<Option<Negotiated>>>,
}

/// What was agreed on with the bastion, for the log.
#[derive(Debug, Clone)]
pub(crate) struct Negotiated {
    pub(crate) cipher: String,
    pub(crate) key_exchange: String,
    pub(crate) server: String,
}

/// Why the key exchange ended early.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// The host key was refused.
    HostKey(Error),
    /// Anything else.
    Protocol(russh::Error),
}

impl From<russh::Error> for HandshakeError {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

impl Events {
    pub(crate) fn new(host_key: HostKeyCheck) -> (Self, EventsSeen) {
        let (fate, fate_seen) = watch::channel(None);
        let (refusals, refusals_seen) = mpsc::unbounded_channel();
        let negotiated = Arc::new(Mutex::new(None));
        let seen = EventsSeen {
            fate: fate_seen,
            set_fate: fate.clone(),
            refusals: refusals_seen,
            negotiated: Arc::clone(&negotiated),
        };
        (Self { host_key, fate, refusals, negotiated }, seen)
    }
}

impl EventsSeen {
    pub(crate) fn negotiated(&self) -> Option<Negotiated> {
        self.negotiated.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Sets the fate of a connection unless it has one: the first reason is the cause of the others.
pub(crate) fn seal(fate: &watch::Sender<Fate>, reason: &str) {
    fate.send_if_modified(|fate| {
        let first = fate.is_none();
        if first {
            *fate = Some(reason.into());
        }
        first
    });
}

impl Handler for Events {
    type Error = HandshakeError;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        self.host_key.accept(shown).map_err(HandshakeError::HostKey)?;
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _shared_secret: Option<&[u8]>,
        names: &Names,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let negotiated = Negotiated {
            cipher: names.cipher.as_ref().to_owned(),
            key_exchange: names.kex.as_ref().to_owned(),
            server: String::from_utf8_lossy(session.remote_sshid()).into_owned(),
        };
        *self.negotiated.lock().unwrap_or_else(PoisonError::into_inner) = Some(negotiated);
        Ok(())
    }

    async fn auth_banner(&mut self, text: &str, _: &mut Session) -> Result<(), Self::Error> {
        tracing::debug!(banner = text.trim(), "the bastion's banner");
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        _: ChannelOpenFailure,
        description: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        // Nobody listens any more only when the connection is being thrown away.
        drop(self.refusals.send(description.to_owned()));
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        seal(&self.fate, &end_in_words(&reason));
        Ok(())
    }

    // A bastion has no business opening channels to us, and russh accepts them unless told
    // otherwise: dropping the handle refuses.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }
}

fn end_in_words(reason: &DisconnectReason<HandshakeError>) -> String {
    match reason {
        DisconnectReason::ReceivedDisconnect(RemoteDisconnectInfo { message, .. })
            if !message.is_empty() =>
        {
            format!("it closed the connection: {message}")
        }
        DisconnectReason::ReceivedDisconnect(_) => "it closed the connection".to_owned(),
        DisconnectReason::Error(HandshakeError::HostKey(error)) => error.message().to_owned(),
        DisconnectReason::Error(HandshakeError::Protocol(error)) => match error {
            russh::Error::KeepaliveTimeout => "it no longer answers keepalives".to_owned(),
            russh::Error::Disconnect | russh::Error::HUP => "it closed the connection".to_owned(),
            russh::Error::IO(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                "it closed the connection".to_owned()
            }
            other => other.to_string(),
        },
    }
}
