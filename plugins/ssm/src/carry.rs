//! One connection: bytes between the program and the database, through a session.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pgferry_transport_sdk::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, sleep_until};

use crate::environment::Environment;
use crate::lane::Lane;
use crate::line::Ending;
use crate::pool::{Order, Pool};
use crate::refusal;
use crate::session::Session;

/// A stream of a session, ready to be carried.
pub struct Connection<E> {
    pool: Arc<Pool<E>>,
    order: Order,
    lane: Lane,
    session: Session,
    /// Whether a session was replaced for it already.
    renewed: bool,
}

impl<E: Environment> Connection<E> {
    pub(crate) fn new(pool: Arc<Pool<E>>, order: Order, lane: Lane, session: Session) -> Self {
        Self { pool, order, lane, session, renewed: false }
    }

    /// The session's id, as Session Manager and `CloudTrail` call it.
    pub fn session_id(&self) -> &str {
        &self.session.id
    }

    /// The managed node it leads through.
    pub fn node(&self) -> &str {
        &self.session.line.node
    }

    /// Carries bytes both ways between `near` and the database until the database closes, the session is lost for
    /// good, or `near` is closed. There is no half-close: when `near` will send no more, the database's connection
    /// still lasts until `near` is closed altogether.
    ///
    /// Errors: unreachable or timeout while the database has not said anything, internal afterwards.
    ///
    /// Cancel safety: dropping it closes the stream behind what is written.
    pub async fn carry(mut self, mut near: UnixStream) -> Result<(), Error> {
        let Some(first) = Box::pin(self.meet(&mut near)).await? else { return Ok(()) };
        if near.write_all(&first).await.is_err() {
            return Ok(());
        }
        relay(&mut near, &self.lane).await
    }

    /// Until the database has said something, the agent may still say that it could not connect. On a session that has
    /// been there for a while that may be due to an address that is no longer the database's: what the program has
    /// said so far is said again on a new one.
    async fn meet(&mut self, near: &mut UnixStream) -> Result<Option<Bytes>, Error> {
        let mut said = BytesMut::with_capacity(SAID);
        let mut answer_by: Option<Instant> = None;
        loop {
            let before = said.len();
            tokio::select! {
                answer = self.lane.read() => match answer {
                    Ok(first) => return Ok(first),
                    Err(Ending::Over(error)) => return Err(error),
                    Err(Ending::NotConnected) => {
                        self.renew(&said).await?;
                        answer_by = None;
                    }
                },
                read = near.read_buf(&mut said), if before < SAID => match read {
                    Ok(1..) => {
                        let new = said.get(before..).unwrap_or_default();
                        // A stream has room for more than SAID bytes, or has ended, which its reader learns.
                        self.lane.offer(new);
                    }
                    Ok(0) | Err(_) => return self.last_answer(near).await,
                },
                () = sleep_until(answer_by.unwrap_or_else(Instant::now)), if answer_by.is_some() => {
                    return Err(self.no_answer());
                }
            }
            if !said.is_empty() {
                answer_by.get_or_insert_with(|| Instant::now() + self.order.first_answer);
            }
        }
    }

    /// The program will say no more, and may still listen.
    async fn last_answer(&self, near: &UnixStream) -> Result<Option<Bytes>, Error> {
        tokio::select! {
            answer = self.lane.read() => match answer {
                Ok(first) => Ok(first),
                Err(Ending::Over(error)) => Err(error),
                Err(Ending::NotConnected) => Err(refusal::not_connected(&self.order.to)),
            },
            () = hung_up(near) => Ok(None),
        }
    }

    async fn renew(&mut self, said: &[u8]) -> Result<(), Error> {
        let refused = refusal::not_connected(&self.order.to);
        if self.renewed || self.session.started_at.elapsed() < self.order.renew_after {
            return Err(refused);
        }
        self.renewed = true;
        tracing::info!(session = %self.session.id, to = %self.order.to, "refused: trying a new session");
        let order = Order { deadline: Instant::now() + RENEW_LIMIT, ..self.order.clone() };
        let renewed = self.pool.renew(&order, self.session.started_at).await;
        let (lane, session) = renewed.map_err(|error| {
            tracing::debug!(%error, "no new session");
            refused
        })?;
        lane.offer(said);
        (self.lane, self.session) = (lane, session);
        Ok(())
    }

    fn no_answer(&self) -> Error {
        let line = self.lane.line();
        if let Some(reason) = line.broken() {
            return refusal::resuming(&reason);
        }
        // The agent connects one after the other: behind this one, all others would wait too.
        line.retire();
        refusal::no_answer(&self.order.to)
    }
}

/// Copies both ways. Never one way inside the other: a download that waits for `near` must not keep an upload from going
/// on, nor the reverse.
async fn relay(near: &mut UnixStream, lane: &Lane) -> Result<(), Error> {
    let (mut near_in, mut near_out) = near.split();
    let up = async {
        let mut buffer = BytesMut::with_capacity(BUFFER);
        while let Ok(1..) = near_in.read_buf(&mut buffer).await {
            lane.write(&buffer).await;
            buffer.clear();
        }
        hung_up(near_in.as_ref()).await;
        Ok(())
    };
    let down = async {
        loop {
            match lane.read().await {
                Ok(Some(data)) => {
                    if near_out.write_all(&data).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(None) => return Ok(()),
                Err(Ending::Over(error)) => return Err(error),
                Err(Ending::NotConnected) => {
                    return Err(Error::internal("the database's connection is gone"));
                }
            }
        }
    };
    tokio::select! { ended = up => ended, ended = down => ended }
}

/// After a half close `near` may still read, or be gone. Asked now and then: no event tells them apart.
async fn hung_up(near: &UnixStream) {
    while near.ready(Interest::WRITABLE).await.is_ok_and(|ready| !ready.is_write_closed()) {
        sleep(HANG_UP_CHECK).await;
    }
}

/// Said before the database's first word: a request for TLS, or a startup message.
const SAID: usize = 16 * 1024;
const BUFFER: usize = 32 * 1024;
const RENEW_LIMIT: Duration = Duration::from_secs(15);
const HANG_UP_CHECK: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
