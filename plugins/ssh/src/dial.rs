//! From nothing to an authenticated connection.

use std::sync::Arc;

use pgferry_transport_sdk::Error;
use russh::client::{Handle, connect_stream};
use tokio::io::BufReader;
use tokio::time::{Instant, timeout_at};

use crate::algorithms;
use crate::auth::Login;
use crate::bastion::Destination;
use crate::config::Config;
use crate::connection::{Connection, Keeper};
use crate::environment::Environment;
use crate::events::{Events, EventsSeen};
use crate::host_key::HostKeyCheck;
use crate::key_file;
use crate::refusal;
use crate::socket::{BastionSocket, Lifeline};

/// Connects to the bastion, checks its host key and logs in, before the destination's deadline.
///
/// Errors: the first step that failed, in words; a step that took too long is a timeout.
///
/// Cancel safety: dropping it gives the attempt up and closes the socket.
pub(crate) async fn dial<E: Environment>(
    config: &Config,
    environment: &E,
    to: &Destination,
) -> Result<(Connection, Keeper), Error> {
    let bastion = config.bastion();
    let late = |step: &str| Error::timeout(format!("bastion {bastion} did not {step} in time"));
    // Before the bastion hears of us: what can fail here would only count as a failed login.
    let host_key = HostKeyCheck::load(config)?;
    let key = match &config.key_file {
        Some(path) => {
            let loading = timeout_at(to.deadline, key_file::load(path, environment)).await;
            Some(loading.map_err(|_| Error::timeout("the passphrase did not come in time"))??)
        }
        None => None,
    };
    let meeting = timeout_at(to.deadline, meet(config, environment, host_key, to));
    let met = meeting.await.map_err(|_| late("finish the key exchange"))??;
    let Met { mut handle, events, lifeline } = met;
    let login = Login::new(&mut handle, config).run(key, environment.agent_socket());
    timeout_at(to.deadline, login).await.map_err(|_| late("finish the login"))??;
    announce(config, &events);
    Ok(Connection::new(handle, events, lifeline, &bastion, to.idle_limit))
}

/// A bastion that has proved who it is, and does not know yet who we are.
struct Met {
    handle: Handle<Events>,
    events: EventsSeen,
    lifeline: Lifeline,
}

async fn meet<E: Environment>(
    config: &Config,
    environment: &E,
    host_key: HostKeyCheck,
    to: &Destination,
) -> Result<Met, Error> {
    let begun = Instant::now();
    let limit = to.tcp_limit.min(to.deadline.saturating_duration_since(begun));
    let dialling = environment.dial(&config.host, config.port, limit).await;
    let stream = dialling.map_err(refusal::not_there)?;
    // A round trip and the look-up of a name: too much rather than too little.
    let distance = begun.elapsed();
    let settings = algorithms::session(config, &host_key.known_types(), distance);
    let stall_limit = config.keepalive_interval.0 * (u32::from(config.keepalive_max) + 1);
    let (socket, lifeline) = BastionSocket::new(stream, stall_limit);
    // russh reads every packet in two pieces.
    let socket = BufReader::with_capacity(READ_BUFFER, socket);
    let (events, seen) = Events::new(host_key);
    let handle = connect_stream(Arc::new(settings), socket, events).await;
    let handle = handle.map_err(|error| refusal::handshake(error, &config.bastion()))?;
    Ok(Met { handle, events: seen, lifeline })
}

fn announce(config: &Config, events: &EventsSeen) {
    let (host, port, user) = (&config.host, config.port, &config.user);
    let Some(agreed) = events.negotiated() else { return };
    let (cipher, kex, server) = (agreed.cipher, agreed.key_exchange, agreed.server);
    tracing::info!(host, port, user, cipher, kex, server, "connected to the bastion");
}

const READ_BUFFER: usize = 64 * 1024;
