//! A login that an application does itself at a database, through us: which requests it gets to see, and
//! which answers are carried.
//!
//! What it proves is not looked at, with one exception. A SCRAM proof is bound to a TLS connection or says
//! that there was none to bind it to, and an application in TLS with us has another one than the
//! database has: its proof would be refused as that of somebody in the middle, and rightly. Then it is asked
//! for the password itself, and the login is ours to do.
//!
//! Source: PostgreSQL documentation, "SASL Authentication" and "Message Flow", RFC 5802 (the flags `n`
//! and `y` of the gs2 header), and `src/backend/libpq/auth-scram.c`, which refuses `y` within TLS.

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::message::backend::{
    AUTHENTICATION_CLEARTEXT_PASSWORD, Authentication, authentication_md5_password,
    authentication_sasl, authentication_sasl_continue, authentication_sasl_final,
};
use crate::message::frontend::{
    SaslInitialResponse, decode_password, decode_sasl_response, password_message,
};
use crate::message::{MessageError, Raw};
use crate::scram::{MECHANISM, MECHANISM_PLUS};

/// Longest answer of an application. Source: `PG_MAX_AUTH_TOKEN_LENGTH` in PostgreSQL's `libpq/auth.h`.
pub const ANSWER_MAX: usize = 65_535;

/// How the application is connected, as far as its login depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frontend {
    /// By TLS, which ends here.
    Tls,
    /// In the clear, within this machine.
    Local,
    /// In the clear, across a network.
    Exposed,
}

/// How the database is connected, as far as a login depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// By TLS, and it is the one it should be.
    Verified,
    /// In any other way.
    Unverified,
}

/// Why a login cannot be carried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The database asks for the password in clear text, and nothing says that it is the right one.
    #[error("the server asks for the password in clear text outside verified TLS")]
    Cleartext,
    /// The application would have to send its password in clear text across a network.
    #[error("the password would cross a network in clear text on its way to pgferry")]
    Exposed,
    /// The database asks for something that cannot be carried.
    #[error("{0} authentication cannot be carried")]
    Unsupported(String),
    /// The database ended SCRAM without its own proof.
    #[error("the server ended SCRAM without proving that it knows the password")]
    Unfinished,
    /// The database breaks the protocol.
    #[error(transparent)]
    Protocol(#[from] MessageError),
}

/// What a request of the database leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The application gets this, and has to answer.
    Ask(Bytes),
    /// The application gets this; the database goes on.
    Tell(Bytes),
    /// The database is content.
    Accepted,
}

/// What an answer of the application is. Secrets are wiped from memory when dropped.
#[derive(PartialEq, Eq)]
pub enum Answer {
    /// The database gets this.
    PassOn(Zeroizing<Vec<u8>>),
    /// The password, for a login of ours.
    Password {
        /// As the application gave it.
        password: Zeroizing<Vec<u8>>,
        /// What the database has offered.
        mechanisms: Vec<Bytes>,
    },
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PassOn(_) => "PassOn",
            Self::Password { .. } => "Password",
        })
    }
}

/// Where a login that is carried stands.
#[derive(Debug)]
pub struct Machine {
    frontend: Frontend,
    backend: Backend,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The database has asked for nothing yet.
    Fresh,
    /// The application's turn.
    Asked(Request),
    /// The application has chosen SCRAM: the database's first message comes next.
    Begun,
    /// The application has sent its proof: the database's own comes next.
    Proved,
    /// Everything is said.
    Answered,
}

#[derive(Debug)]
enum Request {
    /// The password, or its MD5 hash.
    Password,
    /// The password, for a login of ours by one of these.
    Secret(Vec<Bytes>),
    /// The first message of SCRAM.
    First,
    /// The proof.
    Proof,
}

impl Machine {
    /// The state before the database's first request.
    pub fn new(frontend: Frontend, backend: Backend) -> Self {
        Self { frontend, backend, state: State::Fresh }
    }

    /// Takes a request of the database, or its acceptance.
    ///
    /// **Errors**: the database's fault, or that of the configuration.
    pub fn on_backend(self, request: Authentication) -> Result<(Self, Step), Refusal> {
        use Authentication as A;

        let unexpected = Refusal::Protocol(MessageError::Unexpected { tag: b'R' });
        let (state, step) = match (self.state, request) {
            (State::Fresh | State::Answered, A::Ok) => (State::Answered, Step::Accepted),
            (State::Begun | State::Proved, A::Ok) => return Err(Refusal::Unfinished),
            (State::Fresh, request) => first(self.frontend, self.backend, request)?,
            (State::Begun, A::SaslContinue(data)) => {
                let request = authentication_sasl_continue(&data)?;
                (State::Asked(Request::Proof), Step::Ask(request))
            }
            (State::Proved, A::SaslFinal(data)) => {
                (State::Answered, Step::Tell(authentication_sasl_final(&data)?))
            }
            _ => return Err(unexpected),
        };
        Ok((Self { state, ..self }, step))
    }

    /// Takes an answer of the application.
    ///
    /// **Errors**: the application's fault: nobody has asked, or it is no answer to what was asked.
    pub fn on_frontend(self, raw: &Raw) -> Result<(Self, Answer), MessageError> {
        let as_it_came = || Answer::PassOn(Zeroizing::new(raw.encode().to_vec()));
        let (state, answer) = match self.state {
            State::Asked(Request::Password) => {
                let password = decode_password(raw)?;
                let message = password_message(&password);
                let message = message.map_err(|_| MessageError::Malformed { tag: raw.tag })?;
                (State::Answered, Answer::PassOn(message))
            }
            State::Asked(Request::Secret(mechanisms)) => {
                let password = decode_password(raw)?;
                (State::Answered, Answer::Password { password, mechanisms })
            }
            State::Asked(Request::First) => {
                // Nothing else was offered.
                if SaslInitialResponse::decode(raw)?.mechanism != MECHANISM {
                    return Err(MessageError::Malformed { tag: raw.tag });
                }
                (State::Begun, as_it_came())
            }
            State::Asked(Request::Proof) => {
                decode_sasl_response(raw)?;
                (State::Proved, as_it_came())
            }
            State::Fresh | State::Begun | State::Proved | State::Answered => {
                return Err(MessageError::Unexpected { tag: raw.tag });
            }
        };
        Ok((Self { state, ..self }, answer))
    }
}

/// The database's first request decides on all the others.
fn first(
    frontend: Frontend,
    backend: Backend,
    request: Authentication,
) -> Result<(State, Step), Refusal> {
    match request {
        Authentication::CleartextPassword if backend != Backend::Verified => {
            Err(Refusal::Cleartext)
        }
        Authentication::CleartextPassword => ask_for_password(frontend, Request::Password),
        // The salt is good for this login alone, and the hash has the user's name in it, which is the
        // same on both sides.
        Authentication::Md5Password { salt } => {
            let request = Bytes::copy_from_slice(&authentication_md5_password(salt));
            Ok((State::Asked(Request::Password), Step::Ask(request)))
        }
        Authentication::Sasl { mechanisms } => sasl(frontend, mechanisms),
        Authentication::Ok | Authentication::SaslContinue(_) | Authentication::SaslFinal(_) => {
            Err(MessageError::Unexpected { tag: b'R' }.into())
        }
        other @ Authentication::Unsupported { .. } => {
            Err(Refusal::Unsupported(other.method().to_owned()))
        }
    }
}

/// Lets the application do SCRAM without a binding where it has no TLS: it says that it cannot bind (`n`),
/// which is true and which every server takes. Within TLS it would say that it could (`y`), and a server
/// that can as well knows by this that somebody has changed the list.
fn sasl(frontend: Frontend, mechanisms: Vec<Bytes>) -> Result<(State, Step), Refusal> {
    let offers = |name: &str| mechanisms.iter().any(|mechanism| mechanism == name);
    let could_bind = frontend == Frontend::Tls && offers(MECHANISM_PLUS);
    if offers(MECHANISM) && !could_bind {
        let request = authentication_sasl(&[MECHANISM])?;
        return Ok((State::Asked(Request::First), Step::Ask(request)));
    }
    if offers(MECHANISM_PLUS) {
        return ask_for_password(frontend, Request::Secret(mechanisms));
    }
    let names: Vec<_> = mechanisms.iter().map(|name| String::from_utf8_lossy(name)).collect();
    Err(Refusal::Unsupported(names.join(", ")))
}

fn ask_for_password(frontend: Frontend, request: Request) -> Result<(State, Step), Refusal> {
    match frontend {
        Frontend::Exposed => Err(Refusal::Exposed),
        Frontend::Tls | Frontend::Local => {
            let message = Bytes::from_static(&AUTHENTICATION_CLEARTEXT_PASSWORD);
            Ok((State::Asked(request), Step::Ask(message)))
        }
    }
}

#[cfg(test)]
mod tests;
