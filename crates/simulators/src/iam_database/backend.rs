//! The way to the real server.

use std::{collections::HashMap, io, path::PathBuf};

use bytes::BytesMut;
use postgres_protocol::{
    authentication::{
        md5_hash,
        sasl::{ChannelBinding, ScramSha256},
    },
    message::frontend,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use super::{
    startup::Startup,
    wire::{Message, read_message},
};

pub(super) struct Backend {
    /// The server's unix socket.
    pub(super) socket: PathBuf,
    /// By role.
    pub(super) passwords: HashMap<String, String>,
}

/// What became of a login with the real server.
pub(super) enum Session {
    /// Everything after `AuthenticationOk` is still to come.
    Open(UnixStream),
    /// Its `ErrorResponse`.
    Refused(Vec<u8>),
}

impl Backend {
    /// Logs in as the user whom `startup` names. Not cancel safe.
    pub(super) async fn open(&self, startup: &Startup, user: &str) -> io::Result<Session> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        stream.write_all(&startup.packet()).await?;
        let password = self.passwords.get(user).map_or("", String::as_str);
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        loop {
            let message = read_message(&mut stream).await?;
            match message.kind {
                b'E' => return Ok(Session::Refused(message.bytes())),
                b'R' if message.body == [0; 4] => return Ok(Session::Open(stream)),
                b'R' => {
                    let answer = answer(&message, (user, password), &mut scram)?;
                    stream.write_all(&answer).await?;
                }
                _ => {}
            }
        }
    }

    /// Hands a cancel request on, and returns once the server has closed its connection: then the
    /// signal is sent.
    pub(super) async fn cancel(&self, packet: &[u8]) -> io::Result<()> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        stream.write_all(packet).await?;
        stream.read_to_end(&mut Vec::new()).await.map(drop)
    }
}

/// The answer to an authentication request; empty where none is due.
fn answer(
    request: &Message,
    (user, password): (&str, &str),
    scram: &mut ScramSha256,
) -> io::Result<BytesMut> {
    let mut answer = BytesMut::new();
    let (code, rest) = request.body.split_first_chunk::<4>().ok_or(io::ErrorKind::InvalidData)?;
    match u32::from_be_bytes(*code) {
        3 => frontend::password_message(password.as_bytes(), &mut answer)?,
        5 => {
            let salt = *rest.first_chunk().ok_or(io::ErrorKind::InvalidData)?;
            let hash = md5_hash(user.as_bytes(), password.as_bytes(), salt);
            frontend::password_message(hash.as_bytes(), &mut answer)?;
        }
        10 => frontend::sasl_initial_response("SCRAM-SHA-256", scram.message(), &mut answer)?,
        11 => {
            scram.update(rest)?;
            frontend::sasl_response(scram.message(), &mut answer)?;
        }
        12 => scram.finish(rest)?,
        _ => return Err(io::ErrorKind::Unsupported.into()),
    }
    Ok(answer)
}
