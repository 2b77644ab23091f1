//! The sessions that the service keeps to a database.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
};

use tokio_postgres::{Client, Config, Error, NoTls};

/// Where a session leads, and who logs in. Its Debug would show the password: it has none.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Login {
    pub(super) address: SocketAddr,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) database: String,
}

/// A session with its backend. Dropping it ends both.
pub(super) struct Session {
    pub(super) client: Client,
    /// Its process id.
    pub(super) backend: i32,
    /// How many statements were prepared in it.
    pub(super) prepared: u32,
    login: Login,
}

/// Sessions that nobody uses at the moment, by login.
#[derive(Default)]
pub(super) struct Pools(HashMap<Login, Pool>);

#[derive(Default)]
struct Pool {
    idle: VecDeque<Session>,
    /// The backend that was used last.
    last: Option<i32>,
}

impl Login {
    pub(super) async fn open(&self) -> Result<Session, Error> {
        let mut config = Config::new();
        config
            .host(self.address.ip().to_string())
            .port(self.address.port())
            .user(&self.user)
            .password(&self.password)
            .dbname(&self.database)
            .application_name(APPLICATION_NAME)
            .options("-c TimeZone=UTC -c DateStyle=ISO,MDY");
        let (client, connection) = config.connect(NoTls).await?;
        // It ends with the client; what it says is in the client's errors.
        tokio::spawn(connection);
        let backend = client.query_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?;
        Ok(Session { client, backend, prepared: 0, login: self.clone() })
    }

    /// Cancels what the backend runs.
    pub(super) async fn cancel(&self, backend: i32) -> Result<(), Error> {
        let other = self.open().await?;
        other.client.execute("SELECT pg_cancel_backend($1)", &[&backend]).await.map(drop)
    }
}

impl Session {
    /// Runs a statement of the service's own.
    pub(super) async fn command(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }

    /// Whether an error has aborted its transaction.
    pub(super) async fn is_aborted(&self) -> bool {
        self.command("SAVEPOINT aborted_or_not").await.is_err()
    }
}

impl Pools {
    /// The session that has rested longest. None if a new one is to be opened: there are always
    /// several, so that no two calls in a row meet the same.
    pub(super) fn take(&mut self, login: &Login) -> Option<Session> {
        let pool = self.0.get_mut(login)?;
        pool.idle.retain(|session| !session.client.is_closed());
        let rested = pool.idle.front()?;
        let enough = pool.idle.len() >= FEWEST && Some(rested.backend) != pool.last;
        enough.then(|| pool.idle.pop_front())?
    }

    /// All of them, those that have rested longest first.
    pub(super) fn drain(&mut self) -> Vec<Session> {
        self.0.values_mut().flat_map(|pool| pool.idle.drain(..)).collect()
    }

    /// Takes it back.
    pub(super) fn put(&mut self, session: Session) {
        let pool = self.0.entry(session.login.clone()).or_default();
        pool.last = Some(session.backend);
        pool.idle.push_back(session);
    }
}

/// Idle sessions that a pool keeps before it uses one again.
const FEWEST: usize = 3;
const APPLICATION_NAME: &str = "RDS Data API";
