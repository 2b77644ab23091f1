//! The ssh transport: PostgreSQL sessions through an SSH bastion.
//!
//! One connection to the bastion carries all sessions, each in a channel of its own; the bastion
//! resolves the database's name and connects to it. The host key is checked against the files of
//! known hosts, as OpenSSH does, and the login is by key: from a file or from an ssh-agent.
//!
//! Names are looked up in `ssh_config` once, when the transport is made, and other servers may lie on
//! the way (`ProxyJump`). It asks nobody for more than a key's passphrase, and runs nothing, here or
//! there. The connection to the first server comes from the program's dialler, so another transport can
//! lie beneath it (`via`).
//!
//! Start from [`Ssh`], [`config::Config`], [`route::Route`] and [`bastion::Bastion`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pgferry_transport_aws::Program;
use pgferry_transport_sdk::{
    Context, DialStream, Error, Flags, Host, State, Stream, Target, Transport, export_transport,
};
use zeroize::Zeroizing;

use crate::bastion::{Bastion, Destination};
use crate::config::Config;
use crate::environment::Environment;
use crate::surroundings::Surroundings;

mod algorithms;
mod auth;
mod backlog;
pub mod bastion;
mod block;
mod certificate;
mod certificate_file;
mod chain;
pub mod channel;
pub mod config;
mod connection;
mod dial;
pub mod environment;
mod events;
pub mod hop;
mod host_key;
mod identities;
mod instance_connect;
mod key_file;
pub mod known_hosts;
mod login;
mod near;
mod passphrases;
mod refusal;
pub mod route;
mod signer;
mod socket;
pub mod ssh_config;
pub mod surroundings;

/// One bastion as a transport.
pub struct Ssh {
    bastion: Arc<Bastion<Here>>,
    idle_timeout: Option<Duration>,
}

impl Transport for Ssh {
    type Config = Config;

    const FLAGS: Flags = Flags::DIALS_VIA_HOST;
    const ABOUT: &'static str = "through an SSH bastion";

    fn create(config: Config, host: Host) -> Result<Self, Error> {
        config.check().map_err(Error::config)?;
        let bastion = Bastion::new(&config, &Surroundings::here(), Here(host))?;
        let idle_timeout = config.idle_timeout.map(|limit| limit.0);
        Ok(Self { bastion: Arc::new(bastion), idle_timeout })
    }

    async fn open(self: &Arc<Self>, target: Target, cx: Context) -> Result<Stream, Error> {
        let destination = Destination {
            deadline: cx.answer_by(),
            tcp_limit: target.tcp_limit,
            idle_limit: self.idle_timeout.unwrap_or(target.idle_tunnel),
            host: target.host,
            port: target.port,
        };
        let channel = self.bastion.open(&destination).await?;
        let peer = format!("{}:{}", destination.host, destination.port);
        Ok(Stream::serve(move |near| channel.carry(near))
            .with_detail("peer", peer)
            .with_detail("via", self.bastion.route().to_string()))
    }

    async fn shutdown(&self) {
        self.bastion.close().await;
    }
}

export_transport!(Ssh, "ssh");

/// The program that has loaded this transport.
#[derive(Clone)]
struct Here(Host);

impl Program for Here {
    async fn secret(&self, name: &str) -> Result<Zeroizing<String>, Error> {
        Program::secret(&self.0, name).await
    }

    fn now(&self) -> SystemTime {
        Program::now(&self.0)
    }
}

impl Environment for Here {
    type Stream = DialStream;

    async fn dial(&self, host: &str, port: u16, limit: Duration) -> Result<DialStream, Error> {
        self.0.dial(host, port, limit).await
    }

    async fn passphrase(&self, words: &str) -> Result<Zeroizing<String>, Error> {
        let secret = self.0.ask("key_passphrase", words).await?;
        Ok(Zeroizing::new(secret.expose().to_owned()))
    }

    fn agent_socket(&self) -> Option<PathBuf> {
        std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from)
    }

    fn report(&self, state: State, text: &str) {
        self.0.state(state, text);
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }
}
