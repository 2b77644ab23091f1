//! The bastion: one connection for all, made when it is needed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgferry_transport_sdk::{Error, State, Status};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::channel::Channel;
use crate::config::Config;
use crate::connection::{Connection, OpenError, Place};
use crate::dial::{Dialled, Means, dial};
use crate::environment::Environment;
use crate::instance_connect::InstanceConnect;
use crate::passphrases::Passphrases;
use crate::route::Route;
use crate::surroundings::Surroundings;

/// One bastion. Its connection is made on first use, shared, and made anew after it was lost; it is
/// closed when nobody has used it for a while. Nothing reconnects by itself.
pub struct Bastion<E> {
    route: Route,
    /// How many sessions share a connection.
    limit: usize,
    environment: E,
    passphrases: Arc<Passphrases>,
    instance_connect: InstanceConnect<E>,
    slot: Mutex<Slot>,
}

/// Where an open has to lead, and how long it may take.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The database's name or address, as the bastion knows it.
    pub host: String,
    /// The database's port.
    pub port: u16,
    /// When the open has to be answered.
    pub deadline: Instant,
    /// Limit for the TCP connection to the bastion.
    pub tcp_limit: Duration,
    /// How long the bastion connection may outlive its last channel.
    pub idle_limit: Duration,
}

enum Slot {
    Vacant,
    /// Somebody is connecting; all who need the connection wait for the same outcome.
    Dialling(Outcome),
    Open(Connection),
}

type Outcome = watch::Receiver<Option<Result<Connection, Error>>>;

impl Destination {
    /// A destination that has to be reached `within` a time.
    pub fn new(host: &str, port: u16, within: Duration) -> Self {
        let (tcp_limit, idle_limit) = (within, Duration::from_mins(5));
        let deadline = Instant::now() + within;
        Self { host: host.to_owned(), port, deadline, tcp_limit, idle_limit }
    }
}

impl<E: Environment> Bastion<E> {
    /// A bastion to which nobody has connected yet. Reads `ssh_config`, and nothing else.
    ///
    /// Errors: config: what is wrong with the configuration or with `ssh_config`.
    pub fn new(config: &Config, here: &Surroundings, environment: E) -> Result<Self, Error> {
        let route = Route::resolve(config, here)?;
        let limit = config.sessions_per_connection.map_or(usize::MAX, |limit| limit.get().into());
        let (passphrases, slot) = (Arc::default(), Mutex::new(Slot::Vacant));
        let instance_connect = InstanceConnect::new(environment.clone());
        Ok(Self { route, limit, environment, passphrases, instance_connect, slot })
    }

    /// The way there.
    pub const fn route(&self) -> &Route {
        &self.route
    }

    /// Opens a channel to the database. A connection that turns out to be dead is replaced once.
    ///
    /// Errors: every failure on the way, with whose fault it is and what to do about it.
    ///
    /// Cancel safety: an attempt to connect goes on for those who also wait for it; a channel that
    /// comes too late is closed.
    pub async fn open(self: &Arc<Self>, to: &Destination) -> Result<Channel, Error> {
        let (connection, place) = self.connection(to).await?;
        match connection.open(to, place).await {
            Ok(channel) => return Ok(channel),
            Err(OpenError::Refused(error)) => return Err(error),
            Err(OpenError::Dead(error)) => {
                tracing::info!(bastion = %self.route.bastion, %error, "connecting anew");
                connection.retire();
            }
        }
        let (connection, place) = self.connection(to).await?;
        Ok(connection.open(to, place).await?)
    }

    /// Closes the connection and with it all channels.
    ///
    /// Cancel safety: it is closed even if nobody waits.
    pub async fn close(&self) {
        let slot = std::mem::replace(&mut *self.lock(), Slot::Vacant);
        if let Slot::Open(connection) = slot {
            connection.close("the transport is shutting down");
            connection.ended().await;
        }
    }

    /// A place on the shared connection, which is made if there is none or it is full.
    async fn connection(self: &Arc<Self>, to: &Destination) -> Result<(Connection, Place), Error> {
        loop {
            let (mut outcome, joined) = match self.join_or_dial(to) {
                Way::Open(connection, place) => return Ok((connection, place)),
                Way::Joined(outcome) => (outcome, true),
                Way::Begun(outcome) => (outcome, false),
            };
            let waited = timeout_at(to.deadline, outcome.wait_for(Option::is_some)).await;
            let bastion = &self.route.bastion;
            let outcome = match waited {
                Err(_) => {
                    let text = format!("{bastion} could not be reached in time");
                    let awaited = self.passphrases.awaited();
                    return Err(awaited.unwrap_or_else(|| Error::timeout(text)));
                }
                Ok(Err(_)) => return Err(Error::internal("the transport is shutting down")),
                Ok(Ok(outcome)) => outcome.clone(),
            };
            match outcome {
                Some(Ok(connection)) => {
                    // Full already, if others have been faster.
                    if let Some(place) = connection.place(self.limit) {
                        return Ok((connection, place));
                    }
                }
                // The attempt had the deadline of the client who began it; we may have more time.
                Some(Err(error)) if joined && error.status() == Status::TIMEOUT => {}
                Some(Err(error)) => return Err(error),
                None => return Err(Error::internal("an attempt to connect had no outcome")),
            }
        }
    }

    fn join_or_dial(self: &Arc<Self>, to: &Destination) -> Way {
        let mut slot = self.lock();
        match &*slot {
            Slot::Open(connection) => {
                if let Some(place) = connection.place(self.limit) {
                    return Way::Open(connection.clone(), place);
                }
                connection.retire();
            }
            // Without an outcome to come, its task has been dropped.
            Slot::Dialling(outcome) if outcome.has_changed().is_ok() => {
                return Way::Joined(outcome.clone());
            }
            Slot::Dialling(_) | Slot::Vacant => {}
        }
        let (tell, outcome) = watch::channel(None);
        *slot = Slot::Dialling(outcome.clone());
        drop(slot);
        let (bastion, to) = (Arc::clone(self), to.clone());
        self.environment.spawn(async move {
            let outcome = bastion.dial(&to).await;
            tell.send_replace(Some(outcome));
        });
        Way::Begun(outcome)
    }

    async fn dial(self: &Arc<Self>, to: &Destination) -> Result<Connection, Error> {
        let means = Means {
            passphrases: &self.passphrases,
            instance_connect: &self.instance_connect,
            environment: &self.environment,
        };
        match Box::pin(dial(&self.route, &means, to)).await {
            Ok(dialled) => {
                let connection = dialled.connection.clone();
                *self.lock() = Slot::Open(connection.clone());
                self.environment.report(State::Up, &format!("connected to {}", self.route));
                let bastion = Arc::clone(self);
                self.environment.spawn(bastion.keep(dialled));
                Ok(connection)
            }
            Err(error) => {
                *self.lock() = Slot::Vacant;
                self.environment.report(State::Down, error.message());
                Err(error)
            }
        }
    }

    async fn keep(self: Arc<Self>, dialled: Dialled) {
        let Dialled { connection, keeper, chain } = dialled;
        let reason = keeper.run().await;
        drop(chain);
        let bastion = &self.route.bastion;
        tracing::info!(%bastion, %reason, "bastion connection ended");
        let mut slot = self.lock();
        if matches!(&*slot, Slot::Open(current) if current.is(&connection)) {
            *slot = Slot::Vacant;
            drop(slot);
            self.environment.report(State::Down, &format!("connection to {bastion}: {reason}"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a client comes by the connection.
enum Way {
    Open(Connection, Place),
    Joined(Outcome),
    Begun(Outcome),
}
