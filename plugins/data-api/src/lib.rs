//! The data-api transport: PostgreSQL sessions over the RDS Data API.
//!
//! It is the PostgreSQL server itself: on its end of the socket it speaks the protocol, and it runs every statement
//! by a call of the RDS Data API, so that no network path to the database is needed. It is told the cluster and the
//! name of the secret, never the secret; it reads no AWS profile and no environment.
//!
//! What may change something is never executed twice: calls are repeated only if they never reached the database, or
//! only read. What the service cannot write down comes as text that PostgreSQL printed.
//!
//! Start from [`DataApi`], [`gateway::Gateway`] and [`cluster::Cluster`].

use std::sync::Arc;

use pgferry_transport_sdk::{
    Context, Error, Flags, Host, Stream, Target, Transport, export_transport,
};

use crate::cluster::Cluster;
use crate::config::Config;
use crate::gateway::Gateway;

mod act;
mod api;
mod canceller;
pub mod cluster;
pub mod config;
mod connection;
mod description;
mod extended;
mod failure;
#[cfg(test)]
mod fake;
mod fault;
pub mod gateway;
mod greeting;
mod inference;
mod interruption;
mod native;
mod order;
mod pages;
mod patience;
mod perform;
mod portal;
mod refusal;
mod report;
mod returning;
mod run;
mod service;
mod session;
mod settings;
mod shape;
mod shapes;
mod simple;
mod transaction;
mod wire;
mod wrap;

/// The clusters that one identity reaches over the Data API.
pub struct DataApi {
    gateway: Arc<Gateway<Host>>,
}

impl Transport for DataApi {
    type Config = Config;

    const FLAGS: Flags = Flags::SPEAKS_POSTGRES;
    const ABOUT: &'static str = "over the RDS Data API";

    fn create(config: Config, host: Host) -> Result<Self, Error> {
        Ok(Self { gateway: Gateway::new(config, host)? })
    }

    async fn open(self: &Arc<Self>, target: Target, _: Context) -> Result<Stream, Error> {
        let cluster = Cluster::of(&target)?;
        let via = cluster.arn.clone();
        let door = Box::pin(self.gateway.open(cluster)).await?;
        Ok(Stream::serve(move |socket| door.serve(socket)).with_detail("via", via))
    }
}

export_transport!(DataApi, "data_api");
