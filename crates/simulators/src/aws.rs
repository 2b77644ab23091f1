//! Simulated AWS: identities, secrets, database clusters and sessions behind one HTTP port.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

pub use clock::Clock;
pub use fault::Fault;
use fault::Faults;
use fleet::Fleet;
pub use fleet::{Cluster, Instance, ServerlessV2};
use instance_connect::Pushes;
pub use journal::Call;
use journal::Journal;
use principal::{AssumableRole, Principals, owned};
pub use rotation::Rotation;
use secrets_manager::{Secret, Vault};
use server::Port;
use sso::Portal;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{
    certificates::Certificate,
    data_api::DataApi,
    error::{Context as _, Error},
    sigv4::Credentials,
    ssm::SessionManager,
};

pub(crate) mod call;
mod clock;
mod ec2;
mod environment;
mod fault;
mod fleet;
mod instance_connect;
mod journal;
pub(crate) mod principal;
mod rds;
pub(crate) mod reply;
mod rotation;
mod secrets_manager;
pub(crate) mod server;
mod sso;
mod sts;
mod xml;

/// STS, Secrets Manager, the Describe calls of RDS and EC2, the Data API, Session Manager and the SSO
/// portal on one loopback port, as strict as the real ones about who may call: every signature is verified,
/// for this region and the right service, by a clock that tests can move.
///
/// It serves plain HTTP, which `AWS_ENDPOINT_URL` allows, on a thread of its own. Dropping it closes
/// the port and ends the connections.
pub struct Aws {
    world: Arc<World>,
    address: SocketAddr,
    credentials: Credentials,
    directory: TempDir,
    /// Dropped to end the service.
    ports: Option<mpsc::UnboundedSender<Port>>,
    thread: Option<JoinHandle<()>>,
}

/// What the services share with each other and with [`crate::IamDatabase`].
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) region: String,
    journal: Journal,
    faults: Faults,
    pub(crate) sessions: SessionManager,
    pub(crate) data_api: DataApi,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) principals: Principals,
    vault: Vault,
    fleet: Fleet,
    portal: Portal,
    pub(crate) pushes: Pushes,
}

impl World {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the cluster of this name has its Data API on; none if there is no such cluster.
    pub(crate) fn data_api_enabled(&self, cluster: &str) -> Option<bool> {
        let state = self.state();
        state.fleet.clusters.iter().find(|it| it.name == cluster).map(|it| it.data_api)
    }

    /// The value labelled AWSCURRENT of the secret with this name or ARN.
    pub(crate) fn current_secret(&self, id: &str) -> Option<String> {
        self.state().vault.find(id)?.current().map(str::to_owned)
    }
}

impl Aws {
    /// Starts in `us-east-1`, with one user who may do everything.
    ///
    /// # Panics
    ///
    /// When no port, thread or temporary directory is left.
    pub fn start() -> Self {
        Self::start_in("us-east-1")
    }

    /// As [`Self::start`] in another region.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    #[expect(clippy::panic, reason = "a test without its AWS cannot go on")]
    pub fn start_in(region: &str) -> Self {
        Self::try_start(region).unwrap_or_else(|error| panic!("no simulated AWS: {error}"))
    }

    /// As [`Self::start_in`], for callers that want to handle the failure.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when no port, thread or temporary directory is left.
    pub fn try_start(region: &str) -> Result<Self, Error> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .doing(|| "listening for the simulated AWS".to_owned())?;
        let address = socket.local_addr().doing(|| "asking for the port".to_owned())?;
        let directory = tempfile::Builder::new()
            .prefix("pgferry-aws-")
            .tempdir()
            .doing(|| "making a temporary directory".to_owned())?;
        let clock = Clock::default();
        let world = Arc::new(World {
            sessions: SessionManager::new(clock.clone()),
            data_api: DataApi::new(clock.clone()),
            clock,
            region: region.to_owned(),
            journal: Journal::default(),
            faults: Faults::default(),
            state: Mutex::default(),
        });
        let credentials = world.state().principals.add_user("somebody", &["*"]);
        let (ports, incoming) = mpsc::unbounded_channel();
        // The receiver is here.
        ports.send(Port { socket, tls: None }).ok();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .doing(|| "starting the runtime of the simulated AWS".to_owned())?;
        let served = world.clone();
        let thread = thread::Builder::new()
            .name("simulated AWS".to_owned())
            .spawn(move || runtime.block_on(server::run(incoming, served)))
            .doing(|| "starting the thread of the simulated AWS".to_owned())?;
        let (ports, thread) = (Some(ports), Some(thread));
        let aws = Self { world, address, credentials, directory, ports, thread };
        aws.write_files()?;
        Ok(aws)
    }

    /// What goes into `AWS_ENDPOINT_URL`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the port is, for a relay in front of it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves HTTPS as well, with this certificate, on a port of its own. Returns where. Sessions
    /// that are started there have addresses with `wss`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when no port is left, or the certificate is none.
    pub fn serve_tls(&self, certificate: &Certificate) -> Result<SocketAddr, Error> {
        let tls = certificate.acceptor(&[b"http/1.1"])?;
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .doing(|| "listening for the simulated AWS".to_owned())?;
        let address = socket.local_addr().doing(|| "asking for the port".to_owned())?;
        if let Some(ports) = &self.ports {
            // It fails only when the service's thread has panicked.
            ports.send(Port { socket, tls: Some(tls) }).ok();
        }
        Ok(address)
    }

    /// The one region there is.
    pub fn region(&self) -> &str {
        &self.world.region
    }

    /// The account everything is in.
    pub fn account(&self) -> &'static str {
        ACCOUNT
    }

    /// The clock that signatures, sessions and dates go by.
    pub fn clock(&self) -> &Clock {
        &self.world.clock
    }

    /// The key of the user who may do everything.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// A new user who may do what `allow` names: `rds:DescribeDBClusters`, `rds:Describe*`, `*`.
    pub fn add_user(&self, name: &str, allow: &[&str]) -> Credentials {
        self.world.state().principals.add_user(name, allow)
    }

    /// A new role that everybody with `sts:AssumeRole` may become, who knows the external id.
    /// Returns its ARN.
    pub fn add_role(&self, name: &str, external_id: Option<&str>, allow: &[&str]) -> String {
        self.role(name, external_id, allow, Vec::new())
    }

    /// A new role that whoever has the web identity `token` may become. Returns its ARN.
    pub fn add_web_identity_role(&self, name: &str, token: &str, allow: &[&str]) -> String {
        self.role(name, None, allow, vec![token.to_owned()])
    }

    /// A temporary key, as `AssumeRole` gives one.
    pub fn add_session(&self, role: &str, life: Duration, allow: &[&str]) -> Credentials {
        let ends = self.world.clock.now() + life.as_secs();
        let principals = &mut self.world.state().principals;
        principals.add_session((role, "test"), owned(allow), ends).credentials
    }

    /// Changes what a key may do from now on.
    ///
    /// # Panics
    ///
    /// When there is no such key.
    pub fn allow_only(&self, access_key_id: &str, allow: &[&str]) {
        self.with_principal(access_key_id, |principal| principal.allow = owned(allow));
    }

    /// Ends the session of a temporary key now.
    ///
    /// # Panics
    ///
    /// When there is no such key.
    pub fn end_session(&self, access_key_id: &str) {
        self.with_principal(access_key_id, |principal| principal.ends = Some(0));
    }

    /// A new secret. Returns its ARN.
    pub fn add_secret(&self, name: &str, value: &str) -> String {
        let now = self.world.clock.now();
        self.world.state().vault.add(name, value, &self.world.region, now)
    }

    /// Says that `secret` is encrypted with a key of the account's own: from now on reading it
    /// takes `kms:Decrypt` as well.
    ///
    /// # Panics
    ///
    /// When there is no such secret.
    pub fn encrypt_with_own_key(&self, secret: &str) {
        self.with_secret(secret, |secret, _| secret.own_key = true);
    }

    /// The value of `secret` labelled AWSCURRENT.
    ///
    /// # Panics
    ///
    /// When there is no such secret.
    pub fn secret_value(&self, secret: &str) -> String {
        self.with_secret(secret, |secret, _| secret.current().unwrap_or_default().to_owned())
    }

    /// A new Aurora cluster, with its instances.
    pub fn add_cluster(&self, cluster: Cluster) {
        self.world.state().fleet.clusters.push(cluster);
    }

    /// What RDS tells from now on of the cluster that has the same name.
    pub fn replace_cluster(&self, cluster: Cluster) {
        let clusters = &mut self.world.state().fleet.clusters;
        clusters.retain(|other| other.name != cluster.name);
        clusters.push(cluster);
    }

    /// A new instance that is in no cluster.
    pub fn add_instance(&self, instance: Instance) {
        self.world.state().fleet.instances.push(instance);
    }

    /// Gives out Describe results in pages of at most this many, however many are asked for.
    pub fn page_size(&self, size: usize) {
        self.world.state().fleet.page_size = Some(size);
    }

    /// The next `times` calls of `action` (such as `rds:DescribeDBClusters`) meet `fault`.
    pub fn inject(&self, action: &str, fault: Fault, times: u32) {
        self.world.faults.plan(action, fault, times);
    }

    /// Serves the calls that hang.
    pub fn release(&self) {
        self.world.faults.release();
    }

    /// Forgets the faults that are still to come, and serves the calls that hang.
    pub fn clear_faults(&self) {
        self.world.faults.clear();
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.world.journal.calls()
    }

    /// How many calls of `action` there were.
    pub fn count(&self, action: &str) -> usize {
        self.calls().iter().filter(|call| call.action == action).count()
    }

    /// Blocks until there were `count` calls of `action`, answered or not; false after `limit`.
    pub fn wait_for_calls(&self, action: &str, count: usize, limit: Duration) -> bool {
        self.world.journal.wait(action, count, limit)
    }

    pub(crate) fn world(&self) -> Arc<World> {
        self.world.clone()
    }

    fn role(
        &self,
        name: &str,
        external_id: Option<&str>,
        allow: &[&str],
        web_tokens: Vec<String>,
    ) -> String {
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{name}");
        let external_id = external_id.map(str::to_owned);
        let role = AssumableRole { arn: arn.clone(), external_id, allow: owned(allow), web_tokens };
        self.world.state().principals.roles.push(role);
        arn
    }

    #[expect(clippy::panic, reason = "a test that is wrong about its keys cannot go on")]
    fn with_principal(&self, id: &str, change: impl FnOnce(&mut principal::Principal)) {
        let mut state = self.world.state();
        let found = state.principals.get_mut(id);
        change(found.unwrap_or_else(|| panic!("there is no key {id}")));
    }

    #[expect(clippy::panic, reason = "a test that is wrong about its secrets cannot go on")]
    fn with_secret<T>(&self, id: &str, change: impl FnOnce(&mut Secret, u64) -> T) -> T {
        let now = self.world.clock.now();
        let mut state = self.world.state();
        let found = state.vault.find_mut(id);
        change(found.unwrap_or_else(|| panic!("there is no secret {id}")), now)
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        drop(self.ports.take());
        if let Some(thread) = self.thread.take() {
            // It may have panicked.
            thread.join().ok();
        }
    }
}

pub(crate) const ACCOUNT: &str = "123456789012";
