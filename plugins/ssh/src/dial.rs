//! From nothing to an authenticated connection: one server after the other.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use pgferry_transport_sdk::Error;
use russh::client::{Handle, connect_stream};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::time::{Instant, timeout_at};

use crate::algorithms::{self, Known};
use crate::auth::Login;
use crate::bastion::Destination;
use crate::chain::Chain;
use crate::connection::{Connection, Keeper};
use crate::environment::Environment;
use crate::events::{Events, EventsSeen};
use crate::hop::Hop;
use crate::host_key::HostKeyCheck;
use crate::identities::{self, Keys};
use crate::instance_connect::InstanceConnect;
use crate::passphrases::Passphrases;
use crate::refusal;
use crate::route::Route;
use crate::socket::{BastionSocket, Lifeline};

/// A connection to the bastion, and what it travels through.
pub(crate) struct Dialled {
    pub(crate) connection: Connection,
    pub(crate) keeper: Keeper,
    pub(crate) chain: Chain,
}

/// What it takes to log in somewhere.
pub(crate) struct Means<'a, E> {
    pub(crate) passphrases: &'a Arc<Passphrases>,
    pub(crate) instance_connect: &'a InstanceConnect<E>,
    pub(crate) environment: &'a E,
}

/// Connects to each server on the route, checks its host key and logs in, before the destination's
/// deadline.
///
/// Errors: the first step that failed, in words; a step that took too long is a timeout.
///
/// Cancel safety: dropping it gives the attempt up and closes what is open.
pub(crate) async fn dial<E: Environment>(
    route: &Route,
    means: &Means<'_, E>,
    to: &Destination,
) -> Result<Dialled, Error> {
    let environment = means.environment;
    // Before any server hears of us: what can fail here would only count as a failed login.
    let mut prepared = Vec::new();
    for hop in route.hops() {
        prepared
            .push((hop, Prepared::load(hop, means.passphrases, environment, to.deadline).await?));
    }
    let mut chain = Chain::default();
    let mut connected = None;
    for (hop, prepared) in prepared {
        if let Some((hop, connection)) = connected.take() {
            chain.add(hop, connection, environment);
        }
        let step = Step { hop, chain: &chain, means, to };
        let connection = Box::pin(step.connect(prepared)).await;
        connected = Some((hop, connection.map_err(|error| chain.broken().unwrap_or(error))?));
    }
    let (_, (connection, keeper)) =
        connected.ok_or_else(|| Error::internal("a route without a bastion"))?;
    Ok(Dialled { connection, keeper, chain })
}

/// What is read from files for one server.
struct Prepared {
    host_key: HostKeyCheck,
    keys: Keys,
}

impl Prepared {
    async fn load<E: Environment>(
        hop: &Hop,
        passphrases: &Arc<Passphrases>,
        environment: &E,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let host_key = HostKeyCheck::load(hop, environment.now())?;
        let loading = identities::load(hop, passphrases, environment, deadline);
        let loading = timeout_at(deadline, loading).await;
        let late = |_| {
            let late = || Error::timeout(format!("the keys for {hop} could not be read in time"));
            passphrases.awaited().unwrap_or_else(late)
        };
        Ok(Self { host_key, keys: loading.map_err(late)?? })
    }
}

/// One server on the route, with all before it connected.
struct Step<'a, E> {
    hop: &'a Hop,
    chain: &'a Chain,
    means: &'a Means<'a, E>,
    to: &'a Destination,
}

/// A server that has proved who it is, and does not know yet who we are.
struct Met {
    handle: Handle<Events>,
    events: EventsSeen,
    lifeline: Lifeline,
}

impl<E: Environment> Step<'_, E> {
    async fn connect(&self, mut prepared: Prepared) -> Result<(Connection, Keeper), Error> {
        let (hop, to, environment) = (self.hop, self.to, self.means.environment);
        let late = |step: &str| Error::timeout(format!("{hop} did not {step} in time"));
        let meeting = timeout_at(self.meet_by(), self.meet(prepared.host_key)).await;
        let Met { mut handle, events, lifeline } =
            meeting.map_err(|_| late("finish the key exchange"))??;
        if let Some(instance) = &hop.identities.instance {
            // Not before: the instance forgets it after a minute.
            let key = Box::pin(self.means.instance_connect.key(instance, &hop.user));
            let late = |_| {
                Error::timeout(format!(
                    "EC2 Instance Connect did not hand {instance} a key in time"
                ))
            };
            let key = timeout_at(to.deadline, key).await.map_err(late)??;
            prepared.keys.private.push(("a key by EC2 Instance Connect".to_owned(), key));
        }
        let agent = identities::agent_socket(hop, environment);
        let login = Login::new(&mut handle, hop);
        let login = login.run(prepared.keys, agent, environment.now());
        timeout_at(to.deadline, login).await.map_err(|_| late("finish the login"))??;
        announce(hop, &events);
        Ok(Connection::new(handle, events, lifeline, &hop.to_string(), to.idle_limit))
    }

    async fn meet(&self, host_key: HostKeyCheck) -> Result<Met, Error> {
        let (hop, to, begun) = (self.hop, self.to, Instant::now());
        let known = host_key.known();
        let (events, seen) = Events::new(host_key);
        let greeting = Greeting { hop, known, events, seen };
        let limit = to.tcp_limit.min(self.meet_by().saturating_duration_since(begun));
        if self.chain.is_empty() {
            let dialling = self.means.environment.dial(&hop.host, hop.port, limit).await;
            let stream = dialling.map_err(refusal::not_there)?;
            greeting.exchange_keys(stream, begun.elapsed()).await
        } else {
            let until = Destination { deadline: begun + limit, ..to.clone() };
            let channel = self.chain.open(hop, &until).await?;
            let fate = greeting.seen.set_fate.clone();
            let stream = self.chain.carry(channel, fate, self.means.environment)?;
            greeting.exchange_keys(stream, begun.elapsed()).await
        }
    }

    /// When the key exchange has to be done: `ConnectTimeout` covers everything up to the login.
    fn meet_by(&self) -> Instant {
        let own = self.hop.connect_timeout.and_then(|limit| Instant::now().checked_add(limit));
        own.map_or(self.to.deadline, |own| own.min(self.to.deadline))
    }
}

/// What the key exchange needs beside a stream.
struct Greeting<'a> {
    hop: &'a Hop,
    known: Known,
    events: Events,
    seen: EventsSeen,
}

impl Greeting<'_> {
    /// `distance` is a round trip and the look-up of a name: too much rather than too little.
    async fn exchange_keys<S>(self, stream: S, distance: Duration) -> Result<Met, Error>
    where
        S: AsyncRead + AsyncWrite + AsFd + Send + Unpin + 'static,
    {
        let Self { hop, known, events, seen } = self;
        let settings = algorithms::session(hop, &known, distance);
        let stall_limit = hop.keepalive_interval * (u32::from(hop.keepalive_max) + 1);
        let (socket, lifeline) = BastionSocket::new(stream, stall_limit);
        // russh reads every packet in two pieces.
        let socket = BufReader::with_capacity(READ_BUFFER, socket);
        let handle = connect_stream(Arc::new(settings), socket, events).await;
        let handle = handle.map_err(|error| refusal::handshake(error, &hop.to_string()))?;
        Ok(Met { handle, events: seen, lifeline })
    }
}

fn announce(hop: &Hop, events: &EventsSeen) {
    let (role, host, port, user) = (hop.role.word(), &hop.host, hop.port, &hop.user);
    let Some(agreed) = events.negotiated() else { return };
    let (cipher, kex, server) = (agreed.cipher, agreed.key_exchange, agreed.server);
    tracing::info!(host, port, user, cipher, kex, server, "connected to the {role}");
}

const READ_BUFFER: usize = 64 * 1024;
