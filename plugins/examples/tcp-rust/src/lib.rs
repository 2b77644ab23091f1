//! The smallest complete transport plugin in Rust: plain TCP, the socket handed over.
//!
//! It isn't the way pgferry dials by itself; it is the plugin to copy when you write one.

use std::sync::Arc;

use pgferry_transport_sdk::{Context, Error, Host, Stream, Target, Transport, export_transport};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Plain TCP.
#[derive(Debug)]
pub struct Tcp;

/// Nothing to configure.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl Transport for Tcp {
    type Config = Config;
    const ABOUT: &'static str = "plain TCP, as an example";

    fn create(_: Config, _: Host) -> Result<Self, Error> {
        Ok(Self)
    }

    async fn open(self: &Arc<Self>, target: Target, _: Context) -> Result<Stream, Error> {
        let address = format!("{}:{}", target.host, target.port);
        let dial = TcpStream::connect((target.host.as_str(), target.port));
        let late = || Error::timeout(format!("{address} did not answer"));
        let dialled = timeout(target.tcp_limit, dial).await.map_err(|_| late())?;
        let socket = dialled.map_err(|e| Error::unreachable(format!("{address}: {e}")))?;
        tracing::debug!(address, "connected");
        Ok(Stream::tcp(socket)?.with_detail("peer", address))
    }
}

export_transport!(Tcp, "tcp");
