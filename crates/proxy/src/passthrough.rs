//! A login that the application does itself at the database: both sides' messages are carried, as
//! [`pgferry_pg::passthrough`] decides.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pgferry_config::Limits;
use pgferry_pg::message::backend::BackendMessage;
use pgferry_pg::message::{MessageError, Raw};
use pgferry_pg::passthrough::{self, ANSWER_MAX, Answer, Machine, Refusal, Step};
use tokio::time::{Instant, timeout};

use crate::backend::login::{self, LoggedIn, LoginError};
use crate::backend::stream::{Backend, Security};
use crate::conversation::Conversation;
use crate::error::ConnectionError;
use crate::farewell::farewell;
use crate::frontend::stream::Frontend;

/// `Terminate`: an application that gives up in order.
const TERMINATE: u8 = b'X';

/// Sends `startup` and carries the application's login until the database is ready. What the database
/// takes counts to `server_login`, what the application takes to `local_login`. `asked` is set once the
/// application takes part.
///
/// **Errors**: the database's refusal of the application is [`LoginError::Denied`]; nothing of ours is
/// at fault then, and there is nothing to try again.
///
/// Cancel safety: none; dropping it closes the connection to the database.
pub(crate) async fn login(
    client: &mut Conversation<Frontend>,
    (backend, security): (Backend, Security),
    startup: &[u8],
    limits: &Limits,
    asked: &mut bool,
) -> Result<LoggedIn, ConnectionError> {
    let machine = Machine::new(
        client.stream.exposure(),
        match security {
            Security::VerifiedFull => passthrough::Backend::Verified,
            Security::VerifiedChain | Security::Unverified => passthrough::Backend::Unverified,
        },
    );
    let mut carrier = Carrier {
        client,
        asked,
        server: Conversation::new(backend),
        greeting: BytesMut::new(),
        thinking: Patience::new(limits.local_login),
        serving: Patience::new(limits.server_login),
    };
    match carrier.login(machine, startup).await {
        Ok(ready) => Ok(carrier.logged_in(ready)),
        Err(error) => {
            // The client may have gone to ask a person for the password: no fault, and in the
            // database's log it should not look like one.
            if matches!(error, ConnectionError::ClientGone) {
                farewell(&mut carrier.server.stream, &[]).await;
            }
            Err(error)
        }
    }
}

/// What a login ends with.
struct Ready {
    cancel_key: Option<pgferry_pg::CancelKey>,
    status: pgferry_pg::message::TransactionStatus,
    authenticated_at: Instant,
}

/// The two sides of a login, and how long each may still take.
struct Carrier<'a> {
    client: &'a mut Conversation<Frontend>,
    asked: &'a mut bool,
    server: Conversation<Backend>,
    /// The database's parameters and notices, for the application.
    greeting: BytesMut,
    thinking: Patience,
    serving: Patience,
}

impl Carrier<'_> {
    async fn login(&mut self, machine: Machine, startup: &[u8]) -> Result<Ready, ConnectionError> {
        self.serve(async |server, _| Ok(server.send(startup).await?)).await?;
        self.authenticate(machine).await?;
        let authenticated_at = Instant::now();
        let ready =
            self.serve(async |server, greeting| login::wait_until_ready(server, greeting).await);
        let (cancel_key, status) = ready.await?;
        Ok(Ready { cancel_key, status, authenticated_at })
    }

    async fn authenticate(&mut self, mut machine: Machine) -> Result<(), ConnectionError> {
        loop {
            let request = self
                .serve(async |server, greeting| login::next_authentication(server, greeting).await);
            let (next, step) = machine.on_backend(request.await?).map_err(refused)?;
            machine = match step {
                Step::Accepted => return Ok(()),
                Step::Tell(message) => {
                    self.tell(&message).await?;
                    next
                }
                Step::Ask(message) => {
                    self.tell(&message).await?;
                    let raw = self.answer().await?;
                    let (next, answer) = next.on_frontend(&raw)?;
                    raw.wipe();
                    self.pass_on(answer).await?;
                    next
                }
            }
        }
    }

    /// Sends to the application.
    async fn tell(&mut self, message: &Bytes) -> Result<(), ConnectionError> {
        *self.asked = true;
        let told = self.thinking.wait(self.client.send(message)).await;
        told.ok_or(ConnectionError::LocalLoginTimeout(self.thinking.limit))?
            .map_err(|_| ConnectionError::ClientGone)
    }

    /// The application's answer, unless the database has enough of waiting for it.
    async fn answer(&mut self) -> Result<Raw, ConnectionError> {
        let Self { client, server, greeting, thinking, .. } = self;
        let answer = async {
            loop {
                tokio::select! {
                    answer = client.next_secret(ANSWER_MAX) => return Ok(answer?),
                    said = login::next(server, greeting) => unasked(&said?)?,
                }
            }
        };
        let answer: Option<Result<Raw, ConnectionError>> = thinking.wait(answer).await;
        let answer = answer.ok_or(ConnectionError::LocalLoginTimeout(thinking.limit))?;
        match answer.map_err(denied)? {
            raw if raw.tag == TERMINATE => Err(ConnectionError::ClientGone),
            raw => Ok(raw),
        }
    }

    async fn pass_on(&mut self, answer: Answer) -> Result<(), ConnectionError> {
        self.serve(async |server, greeting| match answer {
            Answer::PassOn(message) => Ok(server.send(&message).await?),
            Answer::Password { password, mechanisms } => {
                login::sasl(server, &mechanisms, &password, greeting).await
            }
        })
        .await
    }

    /// Works with the database, unless it takes too long or the application leaves.
    async fn serve<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Conversation<Backend>, &mut BytesMut) -> Result<T, LoginError>,
    ) -> Result<T, ConnectionError> {
        let Self { client, server, greeting, serving, .. } = self;
        let served = serving.wait(async {
            tokio::select! {
                done = work(server, greeting) => done.map_err(|error| denied(error.into())),
                () = client.closed_by_peer() => Err(ConnectionError::ClientGone),
            }
        });
        served.await.ok_or(ConnectionError::LoginTimeout(serving.limit))?
    }

    fn logged_in(self, ready: Ready) -> LoggedIn {
        let Ready { cancel_key, status, authenticated_at } = ready;
        let (backend, excess) = self.server.into_parts();
        let greeting = self.greeting;
        LoggedIn { backend, excess, greeting, cancel_key, status, authenticated_at }
    }
}

/// What the database may say while it waits for the application.
fn unasked(said: &BackendMessage) -> Result<(), LoginError> {
    match said {
        BackendMessage::ParameterStatus { .. } | BackendMessage::Notice(_) => Ok(()),
        _ => Err(LoginError::Protocol(MessageError::Unexpected { tag: b'R' })),
    }
}

/// A refusal that is about the application's own user and password.
fn denied(error: ConnectionError) -> ConnectionError {
    match error {
        ConnectionError::Login(LoginError::Rejected { fields, raw })
            if fields.sql_state().is_some_and(|state| state.class() == "28") =>
        {
            LoginError::Denied { fields, raw }.into()
        }
        other => other,
    }
}

fn refused(refusal: Refusal) -> LoginError {
    match refusal {
        Refusal::Cleartext => LoginError::CleartextRefused,
        Refusal::Exposed => LoginError::FrontendExposed,
        Refusal::Unsupported(method) => LoginError::Unsupported(method),
        Refusal::Unfinished => LoginError::ScramUnfinished,
        Refusal::Protocol(error) => LoginError::Protocol(error),
    }
}

/// What is left of a limit that several waits share.
struct Patience {
    limit: Duration,
    left: Duration,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { limit, left: limit }
    }

    /// Waits as long as is left; `None` if that was not enough.
    async fn wait<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let began = Instant::now();
        let done = timeout(self.left, work).await.ok();
        self.left = self.left.saturating_sub(began.elapsed());
        done
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn several_waits_share_a_limit() {
        let mut patience = Patience::new(Duration::from_secs(3));
        let seconds = |count| sleep(Duration::from_secs(count));
        assert_eq!(patience.wait(seconds(2)).await, Some(()));
        assert_eq!(patience.wait(seconds(2)).await, None);
        assert_eq!(patience.left, Duration::ZERO);
        assert_eq!(patience.wait(async { 1 }).await, Some(1), "what is there already is taken");
    }
}
