//! Local login: who may use a listener. Nothing else has happened yet when it runs.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use pgferry_config::LocalPassword;
use pgferry_pg::message::Raw;
use pgferry_pg::message::backend::{
    authentication_sasl, authentication_sasl_continue, authentication_sasl_final,
};
use pgferry_pg::message::frontend::{SaslInitialResponse, decode_sasl_response};
use pgferry_pg::scram;
use pgferry_pg::startup::StartupMessage;
use zeroize::Zeroizing;

use super::owner;
use super::stream::Frontend;
use crate::conversation::Conversation;
use crate::error::ConnectionError;

/// Who may use a listener.
#[derive(Debug)]
pub(crate) enum LocalAuth {
    SameUser,
    Scram { user: Option<String>, verifier: Arc<scram::Verifier> },
    Trust,
}

/// Why an application was turned away. Its own fault, or an attack.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// `same-user`: another user's process.
    #[error("the connection comes from a process of user {0}, not of the one who runs pgferry")]
    OtherUser(u32),
    /// `same-user`: the owner cannot be told.
    #[error("cannot tell whose process this connection comes from: {0}")]
    UnknownOwner(String),
    /// `scram`: another user name than the configured one.
    #[error("password authentication failed for user \"{0}\"")]
    WrongUser(String),
    /// `scram`: a wrong password.
    #[error("password authentication failed for user \"{0}\"")]
    WrongPassword(String),
    /// `required`: a session without TLS.
    #[error("this target is for TLS alone, and the connection has no encryption")]
    NoEncryption,
    /// `scram`: an exchange that does not follow its rules.
    #[error("the SCRAM exchange is broken: {0}")]
    Scram(String),
}

/// A password file that cannot be used for local login. The user's fault.
#[derive(Debug, thiserror::Error)]
pub enum LocalAuthError {
    /// The file cannot be read.
    #[error("{}: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its first line is empty.
    #[error("the first line of {} is empty: it has to be the password", .0.display())]
    Empty(PathBuf),
}

/// PostgreSQL's own default (`scram_iterations`).
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
/// The longest answer: a SCRAM message, with the mechanism's name in front.
const ANSWER_MAX: usize = scram::MESSAGE_MAX + 64;

impl LocalAuth {
    pub(crate) fn new(plan: &pgferry_config::LocalAuth) -> Result<Self, LocalAuthError> {
        match plan {
            pgferry_config::LocalAuth::SameUser => Ok(Self::SameUser),
            pgferry_config::LocalAuth::Trust => Ok(Self::Trust),
            pgferry_config::LocalAuth::Scram { user, password } => {
                let password = local_password(password)?;
                let verifier = scram::Verifier::derive(&password, rand::random(), ITERATIONS);
                Ok(Self::Scram { user: user.clone(), verifier: Arc::new(verifier) })
            }
        }
    }

    /// Checks the peer's owner, where that is what the listener goes by. Also done for a cancel
    /// request, which carries no other proof than its key.
    pub(crate) async fn check_owner(&self, frontend: &Frontend) -> Result<(), ConnectionError> {
        if !matches!(self, Self::SameUser) {
            return Ok(());
        }
        let socket = frontend.socket().ok_or(ConnectionError::ClientGone)?;
        let uid = owner::of(socket)
            .await
            .map_err(|error| ConnectionError::Refused(Refused::UnknownOwner(error.to_string())))?;
        if uid == 0 || uid == owner::own() {
            return Ok(());
        }
        Err(ConnectionError::Refused(Refused::OtherUser(uid)))
    }

    /// Lets the application in, or says why not. `AuthenticationOk` is not sent here: it goes out
    /// when the database has let us in too. `end_point` is the certificate's hash if the
    /// application sees one.
    ///
    /// Cancel safety: none; a half-done exchange cannot be taken up again.
    pub(crate) async fn login(
        &self,
        client: &mut Conversation<Frontend>,
        startup: &StartupMessage,
        end_point: Option<scram::EndPoint>,
    ) -> Result<(), ConnectionError> {
        match self {
            Self::Trust => Ok(()),
            Self::SameUser => self.check_owner(&client.stream).await,
            Self::Scram { user, verifier } => {
                let name = String::from_utf8_lossy(startup.user()).into_owned();
                let exchange = scram::Exchange::new(Arc::clone(verifier), end_point);
                scram_login(client, exchange, &name).await?;
                match user {
                    Some(user) if *user != name => {
                        Err(ConnectionError::Refused(Refused::WrongUser(name)))
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

/// What an application has to know for `scram`. A file is read now.
pub fn local_password(password: &LocalPassword) -> Result<Zeroizing<Vec<u8>>, LocalAuthError> {
    let file = match password {
        LocalPassword::Generated(secret) => {
            return Ok(Zeroizing::new(secret.expose().as_bytes().to_vec()));
        }
        LocalPassword::File(file) => file,
    };
    let text = std::fs::read(file)
        .map(Zeroizing::new)
        .map_err(|source| LocalAuthError::Unreadable { file: file.clone(), source })?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(LocalAuthError::Empty(file.clone()));
    }
    Ok(Zeroizing::new(line.to_vec()))
}

async fn scram_login(
    client: &mut Conversation<Frontend>,
    exchange: scram::Exchange,
    user: &str,
) -> Result<(), ConnectionError> {
    client.send(&authentication_sasl(exchange.mechanisms())?).await.map_err(gone)?;
    let first = SaslInitialResponse::decode(&answer(client).await?)?;
    let nonce = scram::ServerNonce::from_random(&rand::random());
    let (exchange, server_first) = exchange
        .client_first(&first.mechanism, &first.data.unwrap_or_default(), &nonce)
        .map_err(|error| scram_error(error, user))?;
    client.send(&authentication_sasl_continue(server_first.as_bytes())?).await.map_err(gone)?;
    let last = decode_sasl_response(&answer(client).await?)?;
    let server_final = exchange.client_final(&last).map_err(|error| scram_error(error, user))?;
    client.send(&authentication_sasl_final(server_final.as_bytes())?).await.map_err(gone)
}

async fn answer(client: &mut Conversation<Frontend>) -> Result<Raw, ConnectionError> {
    Ok(client.next(ANSWER_MAX).await?)
}

fn scram_error(error: scram::ScramError, user: &str) -> ConnectionError {
    ConnectionError::Refused(match error {
        scram::ScramError::WrongPassword => Refused::WrongPassword(user.to_owned()),
        other => Refused::Scram(other.to_string()),
    })
}

fn gone(_error: std::io::Error) -> ConnectionError {
    ConnectionError::ClientGone
}
