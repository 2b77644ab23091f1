//! Where sessions come from: the ways to the regions, and what all sessions of a database share.

use std::collections::HashMap;
use std::sync::Arc;

use pgferry_pg::CancelKey;
use pgferry_pg::message::TransactionStatus;
use pgferry_pg::startup::{Action, LocalTls, Machine, Outcome, StartupMessage};
use pgferry_transport_aws::{Account, Keys, Program};
use pgferry_transport_sdk::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;

use crate::cluster::Cluster;
use crate::config::Config;
use crate::connection::Connection;
use crate::extended::Prepared;
use crate::failure::Failure;
use crate::greeting::{self, Facts};
use crate::interruption::Interruptions;
use crate::patience::Patient;
use crate::service::{Service, Way};
use crate::session::Session;
use crate::settings::Settings;
use crate::shapes::{Shapes, Shared};
use crate::transaction::Transaction;

/// One data-api transport.
pub struct Gateway<P> {
    config: Config,
    program: P,
    keys: Arc<Keys<P>>,
    ways: Mutex<HashMap<String, Arc<Way<P>>>>,
    databases: Mutex<HashMap<Cluster, Arc<Database>>>,
    interruptions: Arc<Interruptions>,
}

/// What all sessions of a database share.
#[derive(Default)]
struct Database {
    facts: Mutex<Option<Arc<Facts>>>,
    shapes: Arc<Shared>,
}

impl<P: Program> Gateway<P> {
    /// Makes no call.
    ///
    /// Errors: config, in words.
    pub fn new(config: Config, program: P) -> Result<Arc<Self>, Error> {
        config.check().map_err(Error::config)?;
        let keys = Arc::new(Keys::new(program.clone()));
        Ok(Arc::new(Self {
            config,
            program,
            keys,
            ways: Mutex::default(),
            databases: Mutex::default(),
            interruptions: Arc::default(),
        }))
    }

    /// Gets ready to serve a session for `cluster`; no call is made to the database.
    ///
    /// Errors: the program's, about credentials; denied, about the region, certificates or the proxy.
    ///
    /// Cancel safety: nothing is lost.
    pub async fn open(self: &Arc<Self>, cluster: Cluster) -> Result<Door<P>, Error> {
        let account = Account::ask(&self.program).await?;
        let region = cluster.region.clone().unwrap_or_else(|| account.region.clone());
        let mut ways = self.ways.lock().await;
        let way = if let Some(way) = ways.get(&region) {
            Arc::clone(way)
        } else {
            let way = Arc::new(Way::new(&account, &region, &self.keys)?);
            ways.insert(region, Arc::clone(&way));
            way
        };
        drop(ways);
        // Who cannot log in at AWS hears of it before a session begins.
        self.keys.current().await?;
        Ok(Door { gateway: Arc::clone(self), way, cluster })
    }

    async fn database(&self, cluster: &Cluster) -> Arc<Database> {
        let mut databases = self.databases.lock().await;
        Arc::clone(databases.entry(cluster.clone()).or_default())
    }
}

/// The way into one cluster, for one application.
pub struct Door<P> {
    gateway: Arc<Gateway<P>>,
    way: Arc<Way<P>>,
    cluster: Cluster,
}

impl<P: Program> Door<P> {
    /// Serves what comes through `socket`: a session, or the request to cancel a statement of another.
    ///
    /// Errors: the application's connection broke, or what it says is no protocol.
    ///
    /// Cancel safety: a transaction is left to the service, which ends it after three minutes.
    pub async fn serve<S>(self, socket: S) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut connection = Connection::new(socket);
        let Some(packet) = connection.read_startup().await? else { return Ok(()) };
        let opened = Machine::new(LocalTls::NotOffered).on_packet(&packet, 0);
        match opened.map_err(|error| Error::protocol(error.to_string()))?.1 {
            Action::Finish(Outcome::Cancel(key)) => {
                self.gateway.interruptions.interrupt(&key);
                Ok(())
            }
            Action::Finish(Outcome::Startup(startup)) => {
                Box::pin(self.session(connection, &startup)).await
            }
            _ => Err(Error::protocol("TLS was asked for on the transport's own socket")),
        }
    }

    async fn session<S>(
        mut self,
        mut connection: Connection<S>,
        startup: &StartupMessage,
    ) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if let Ok(database) = str::from_utf8(startup.database()) {
            database.clone_into(&mut self.cluster.database);
        }
        let gateway = Arc::clone(&self.gateway);
        let database = gateway.database(&self.cluster).await;
        let service = Arc::new(Service { way: self.way, cluster: self.cluster });
        let resume_wait = gateway.config.resume_wait();
        let facts = match facts(&database, &Patient::new(Arc::clone(&service), resume_wait)).await {
            Ok(facts) => facts,
            Err(failure) => {
                connection.answers.error(&failure.fault.fatal());
                return connection.flush().await;
            }
        };
        let (key, place, interruption) = loop {
            let key = random_key()?;
            if let Some((place, interruption)) = gateway.interruptions.enter(&key) {
                break (key, place, interruption);
            }
        };
        let wanted = greeting::wanted(startup);
        let named = wanted.iter().find(|(name, _)| name == "application_name");
        facts.tell(&key, named.map_or("", |(_, value)| value), &mut connection.answers);
        let mut session = Session {
            connection,
            work: Transaction::new(service, resume_wait),
            shapes: Shapes::new(Arc::clone(&database.shapes)),
            prepared: Prepared::default(),
            settings: Settings::default(),
            facts,
            interruption,
            idle_limit: gateway.config.idle_in_transaction(),
            label: format!("/* pgferry {:016x} */ ", rand::random::<u64>()),
            skipping: false,
        };
        let served = match session.adopt(wanted).await {
            Ok(()) => {
                session.answers().ready_for_query(TransactionStatus::Idle);
                Box::pin(session.serve()).await
            }
            Err(fault) => {
                session.answers().error(&fault.fatal());
                session.connection.flush().await
            }
        };
        drop(place);
        served
    }
}

/// Asked once; those who come meanwhile wait for the answer.
async fn facts<P: Program>(
    database: &Database,
    calls: &Patient<Service<P>>,
) -> Result<Arc<Facts>, Failure> {
    let mut known = database.facts.lock().await;
    if let Some(facts) = known.as_ref() {
        return Ok(Arc::clone(facts));
    }
    let facts = Arc::new(Facts::ask(calls).await?);
    *known = Some(Arc::clone(&facts));
    Ok(facts)
}

/// A process id and a secret by chance: the host gives applications keys of its own.
fn random_key() -> Result<CancelKey, Error> {
    let process_id = rand::random::<u32>() & 0x7fff_ffff;
    let secret: [u8; 4] = rand::random();
    CancelKey::new(process_id, &secret).map_err(|error| Error::internal(error.to_string()))
}
