//! The untyped packets that open a connection: TLS and GSS requests, cancel request, startup.
//!
//! The shell reads until [`packet_length`] knows the length and that many bytes are there, gives the
//! packet to [`Machine::on_packet`], carries out the [`Action`] and goes on until the action is
//! [`Action::Finish`]. A first byte of [`TLS_HELLO`] goes to [`Machine::on_direct_tls`] instead.
//!
//! Source: `ProcessStartupPacket` and `ProcessSSLStartup` in PostgreSQL's
//! `src/backend/tcop/backend_startup.c`.

mod error;
mod message;
mod version;

pub use error::StartupError;
pub use message::{Replication, StartupMessage};
pub use version::{NegotiateProtocolVersion, ProtocolVersion};

use crate::CancelKey;

/// Code of an `SSLRequest`.
pub const SSL_REQUEST_CODE: u32 = 0x04d2_162f;
/// Code of a `GSSENCRequest`.
pub const GSSENC_REQUEST_CODE: u32 = 0x04d2_1630;
/// Code of a `CancelRequest`.
pub const CANCEL_REQUEST_CODE: u32 = 0x04d2_162e;

/// Longest packet, its length not counted. Source: `MAX_STARTUP_PACKET_LENGTH` in `pqcomm.h`.
pub const PACKET_BODY_MAX: usize = 10_000;

/// First byte of a TLS handshake: the application speaks TLS without asking (PostgreSQL 17).
pub const TLS_HELLO: u8 = 0x16;

/// The application protocol that direct TLS has to name. Source: `PG_ALPN_PROTOCOL` in `pqcomm.h`.
pub const ALPN: &[u8] = b"postgresql";

/// Whether the listener can do TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalTls {
    /// It has a certificate.
    Offered,
    /// It has none, or listens on a Unix socket.
    NotOffered,
}

/// What the shell does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer `S` and do the TLS handshake as server, then read the next packet inside.
    AcceptTls,
    /// Answer `N` to the TLS request, then read the next packet.
    RefuseTls,
    /// Answer `N` to the GSS encryption request, then read the next packet.
    RefuseGss,
    /// Do the TLS handshake with the bytes already read, demand [`ALPN`] of it (see
    /// [`check_direct_tls_alpn`]), then read the next packet inside.
    StartDirectTls,
    /// The opening is over.
    Finish(Outcome),
}

impl Action {
    /// The byte to write before anything else.
    pub fn answer(&self) -> Option<u8> {
        match self {
            Self::AcceptTls => Some(b'S'),
            Self::RefuseTls | Self::RefuseGss => Some(b'N'),
            Self::StartDirectTls | Self::Finish(_) => None,
        }
    }
}

/// What an opening ends with.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A session is to be started.
    Startup(StartupMessage),
    /// A query is to be cancelled; the connection gets no answer and is closed.
    Cancel(CancelKey),
}

/// Where the opening of a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// Nothing was asked yet.
    Fresh(LocalTls),
    /// GSS encryption was refused; TLS may still be asked for.
    GssRefused(LocalTls),
    /// TLS was refused; GSS encryption may still be asked for.
    TlsRefused,
    /// Both were refused.
    BothRefused,
    /// TLS is running; what comes now comes inside.
    TlsRunning,
    /// Startup or cancel was seen.
    Done,
}

impl Machine {
    /// The state of a new connection.
    pub fn new(local_tls: LocalTls) -> Self {
        Self::Fresh(local_tls)
    }

    /// Takes one whole packet, its length included.
    ///
    /// `buffered_behind` is the number of bytes already read behind the packet. Behind a request for
    /// encryption there must be none: they came in the clear, perhaps from somebody in the middle, and
    /// would be taken for encrypted ones (CVE-2021-23214, CVE-2021-23222).
    ///
    /// **Errors**: all the application's fault.
    pub fn on_packet(
        self,
        packet: &[u8],
        buffered_behind: usize,
    ) -> Result<(Self, Action), StartupError> {
        let body = match packet_length(packet)? {
            Some(length) if length == packet.len() => packet.get(4..).unwrap_or_default(),
            _ => return Err(StartupError::InvalidLength),
        };
        let Some((code, content)) = body.split_first_chunk::<4>() else {
            return Err(StartupError::InvalidLength);
        };
        match u32::from_be_bytes(*code) {
            SSL_REQUEST_CODE => {
                refuse_early_data("TLS", buffered_behind)?;
                self.on_ssl_request()
            }
            GSSENC_REQUEST_CODE => {
                refuse_early_data("GSS encryption", buffered_behind)?;
                self.on_gssenc_request()
            }
            CANCEL_REQUEST_CODE => self.finish(|| parse_cancel(content).map(Outcome::Cancel)),
            code => self.finish(|| StartupMessage::parse_body(code, content).map(Outcome::Startup)),
        }
    }

    /// Takes a first byte of [`TLS_HELLO`].
    ///
    /// **Errors**: no TLS here, or something was already negotiated on this connection.
    pub fn on_direct_tls(self) -> Result<(Self, Action), StartupError> {
        match self {
            Self::Fresh(LocalTls::Offered) => Ok((Self::TlsRunning, Action::StartDirectTls)),
            Self::Fresh(LocalTls::NotOffered) => Err(StartupError::DirectTlsNotOffered),
            _ => Err(StartupError::InvalidLength),
        }
    }

    fn on_ssl_request(self) -> Result<(Self, Action), StartupError> {
        match self {
            Self::Fresh(LocalTls::Offered) | Self::GssRefused(LocalTls::Offered) => {
                Ok((Self::TlsRunning, Action::AcceptTls))
            }
            Self::Fresh(LocalTls::NotOffered) => Ok((Self::TlsRefused, Action::RefuseTls)),
            Self::GssRefused(LocalTls::NotOffered) => Ok((Self::BothRefused, Action::RefuseTls)),
            Self::TlsRunning => Err(StartupError::RequestInsideTls("SSLRequest")),
            Self::TlsRefused | Self::BothRefused => {
                Err(StartupError::RepeatedRequest("SSLRequest"))
            }
            Self::Done => Err(StartupError::AfterTheEnd),
        }
    }

    fn on_gssenc_request(self) -> Result<(Self, Action), StartupError> {
        match self {
            Self::Fresh(local_tls) => Ok((Self::GssRefused(local_tls), Action::RefuseGss)),
            Self::TlsRefused => Ok((Self::BothRefused, Action::RefuseGss)),
            Self::TlsRunning => Err(StartupError::RequestInsideTls("GSSENCRequest")),
            Self::GssRefused(_) | Self::BothRefused => {
                Err(StartupError::RepeatedRequest("GSSENCRequest"))
            }
            Self::Done => Err(StartupError::AfterTheEnd),
        }
    }

    fn finish(
        self,
        parse: impl FnOnce() -> Result<Outcome, StartupError>,
    ) -> Result<(Self, Action), StartupError> {
        match self {
            Self::Done => Err(StartupError::AfterTheEnd),
            _ => Ok((Self::Done, Action::Finish(parse()?))),
        }
    }
}

/// Length of the packet that begins with `bytes`, its length field included. `None` as long as fewer
/// than four bytes are there.
///
/// **Errors**: the application's fault: a length outside the bounds PostgreSQL sets.
pub fn packet_length(bytes: &[u8]) -> Result<Option<usize>, StartupError> {
    let Some(length) = bytes.first_chunk::<4>() else {
        return Ok(None);
    };
    match usize::try_from(u32::from_be_bytes(*length)) {
        Ok(length) if (8..=PACKET_BODY_MAX + 4).contains(&length) => Ok(Some(length)),
        _ => Err(StartupError::InvalidLength),
    }
}

/// Checks the application protocol that a direct TLS handshake agreed on.
///
/// **Errors**: none or another one was agreed: the application's fault. PostgreSQL demands it, so that
/// a TLS connection meant for another service cannot be turned at this one.
pub fn check_direct_tls_alpn(negotiated: Option<&[u8]>) -> Result<(), StartupError> {
    if negotiated == Some(ALPN) { Ok(()) } else { Err(StartupError::DirectTlsWithoutAlpn) }
}

fn refuse_early_data(request: &'static str, buffered_behind: usize) -> Result<(), StartupError> {
    if buffered_behind == 0 { Ok(()) } else { Err(StartupError::EarlyData(request)) }
}

fn parse_cancel(content: &[u8]) -> Result<CancelKey, StartupError> {
    let Some((process_id, secret)) = content.split_first_chunk::<4>() else {
        return Err(StartupError::InvalidCancelRequest);
    };
    CancelKey::new(u32::from_be_bytes(*process_id), secret)
        .map_err(|_| StartupError::InvalidCancelRequest)
}

#[cfg(test)]
mod tests;
