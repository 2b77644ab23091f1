//! The ssm transport: PostgreSQL sessions through AWS Session Manager.
//!
//! Speaks Session Manager's data channel itself (`pgferry-ssm-protocol`): a managed node in the database's
//! network connects to the database, and its SSM agent carries the bytes. No inbound port, no SSH key, no AWS
//! CLI. Each connection has a session of its own up to a limit and shares one beyond; a session whose
//! WebSocket breaks is resumed without its connections noticing, and ended when nobody needs it.
//!
//! It reads no AWS profile and no environment: credentials and region come from the program, as do the
//! sockets of the data channel, so another transport can lie beneath it (`via`). It knows nothing of PostgreSQL.
//!
//! Start from [`Ssm`], [`config::Config`] and [`pool::Pool`].

use std::sync::Arc;
use std::time::Duration;

use pgferry_transport_sdk::{
    Context, Error, Flags, Host, Purpose, Stream, Target, Transport, export_transport,
};

use crate::carrier::Carrier;
use crate::config::Config;
use crate::pool::{Kind, Order, Pool};

mod backoff;
mod call;
mod carrier;
pub mod carry;
pub mod config;
pub mod destination;
mod dial;
mod drive;
pub mod environment;
mod failure;
#[cfg(test)]
mod far;
pub mod figure;
mod lane;
mod line;
mod once;
mod persistence;
pub mod pool;
mod refusal;
mod service;
mod session;
mod state;
mod streams;
pub mod target;

/// One managed node as a transport.
pub struct Ssm {
    config: Config,
    pool: Arc<Pool<Carrier>>,
    idle_timeout: Option<Duration>,
}

impl Transport for Ssm {
    type Config = Config;

    const FLAGS: Flags = Flags::DIALS_VIA_HOST;
    const ABOUT: &'static str = "through AWS Session Manager";

    fn create(config: Config, host: Host) -> Result<Self, Error> {
        let idle_timeout = config.idle_timeout.map(|limit| limit.0);
        Ok(Self { pool: Pool::new(config.clone(), Carrier::new(host))?, config, idle_timeout })
    }

    async fn open(self: &Arc<Self>, target: Target, cx: Context) -> Result<Stream, Error> {
        let order = Order {
            deadline: cx.answer_by(),
            // The program's own limits begin later, and have less to say.
            first_answer: target.tcp_limit.mul_f64(0.9),
            renew_after: RENEW_AFTER,
            agent_silence: AGENT_SILENCE,
            idle_limit: self.idle_timeout.unwrap_or(target.idle_tunnel),
            kind: match target.purpose {
                Purpose::Cancel | Purpose::Probe => Kind::Errand,
                _ => Kind::Session,
            },
            to: self.config.destination(target.host, target.port),
        };
        let to = order.to.clone();
        let opened = Box::pin(self.pool.open(&order)).await;
        let connection = opened.map_err(|error| refusal::naming(error, &to))?;
        let (session, via) = (connection.session_id().to_owned(), connection.node().to_owned());
        let carry = async move |near| {
            connection.carry(near).await.map_err(|error| refusal::naming(error, &to))
        };
        Ok(Stream::serve(carry)
            .with_detail("peer", order.to.to_string())
            .with_detail("via", via)
            .with_detail("session_id", session))
    }

    async fn shutdown(&self) {
        self.pool.close().await;
    }
}

export_transport!(Ssm, "ssm");

/// A session that is younger has just looked the database's name up.
const RENEW_AFTER: Duration = Duration::from_secs(5);
/// Agents that lose their own connection to the service are back well within it.
const AGENT_SILENCE: Duration = Duration::from_secs(25);
