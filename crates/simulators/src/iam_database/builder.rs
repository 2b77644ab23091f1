//! What an [`IamDatabase`] may be told before it starts.

use std::{collections::HashMap, net::TcpListener, sync::Arc, thread};

use tokio::sync::oneshot;

use super::{
    IamDatabase,
    answer::Answers,
    backend::Backend,
    front::Front,
    login::Logins,
    token::{ADMIN, Rules},
};
use crate::{
    Aws, Postgres, Role, SERVER_NAME,
    aws::principal::random,
    certificates::Authority,
    error::{Context as _, Error},
};

/// Settings of an [`IamDatabase`] that is about to start.
pub struct Builder<'a> {
    aws: &'a Aws,
    postgres: &'a Postgres,
    rules: Rules,
    roles: Vec<String>,
    direct_tls: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn new(aws: &'a Aws, postgres: &'a Postgres) -> Self {
        let rules = Rules {
            endpoint: SERVER_NAME.to_owned(),
            port: 5432,
            region: aws.region().to_owned(),
            dsql: false,
        };
        Self { aws, postgres, rules, roles: Vec::new(), direct_tls: true }
    }

    /// Another name than [`SERVER_NAME`].
    #[must_use]
    pub fn endpoint(mut self, name: &str) -> Self {
        name.clone_into(&mut self.rules.endpoint);
        self
    }

    /// Another port than 5432 to advertise: tokens have to be signed for it.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.rules.port = port;
        self
    }

    /// Tokens for another region than the [`Aws`] is in.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.rules.region);
        self
    }

    /// Behaves as Aurora DSQL: tokens of its own kind, the database `postgres` alone, the cluster's
    /// name in the TLS handshake, and a role `admin`, which is made in the server.
    #[must_use]
    pub fn dsql(mut self) -> Self {
        self.rules.dsql = true;
        self.role(ADMIN)
    }

    /// Takes TLS only after a request, as servers before PostgreSQL 17 do: a handshake that comes at
    /// once is no startup packet to them, and they close the connection.
    #[must_use]
    pub fn without_direct_tls(mut self) -> Self {
        self.direct_tls = false;
        self
    }

    /// Makes a role that may log in, besides those every [`Postgres`] has.
    #[must_use]
    pub fn role(mut self, name: &str) -> Self {
        self.roles.push(name.to_owned());
        self
    }

    /// Starts listening on a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// With a sentence that says what was not to be had.
    #[expect(clippy::panic, reason = "a test without its database cannot go on")]
    pub fn start(self) -> IamDatabase {
        self.try_start().unwrap_or_else(|error| panic!("no database with IAM login: {error}"))
    }

    /// As [`Self::start`], for callers that want to handle the failure.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] when the server does not make a role, [`Error::Certificate`] when the
    /// endpoint is no name, [`Error::Io`] when no port, thread or temporary directory is left.
    pub fn try_start(self) -> Result<IamDatabase, Error> {
        let backend = self.backend()?;
        let authority = Authority::new("pgferry throwaway IAM CA")?;
        let tls = authority.issue(&[&self.rules.endpoint])?.acceptor(&[b"postgresql"])?;
        let directory = tempfile::Builder::new()
            .prefix("pgferry-iam-")
            .tempdir()
            .doing(|| "making a temporary directory".to_owned())?;
        std::fs::write(directory.path().join("ca.pem"), authority.pem())
            .doing(|| "writing the authority".to_owned())?;
        let socket = TcpListener::bind(("127.0.0.1", 0))
            .doing(|| "listening for the database with IAM login".to_owned())?;
        let address = socket.local_addr().doing(|| "asking for the port".to_owned())?;
        let (logins, answers) = (Logins::default(), Answers::default());
        let world = self.aws.world();
        let Self { rules, direct_tls, .. } = self;
        let front = Front { rules, backend, logins, answers, tls, direct_tls, world };
        let front = Arc::new(front);
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .doing(|| "starting the runtime of the database with IAM login".to_owned())?;
        let running = front.clone().run(socket, stopped);
        let thread = thread::Builder::new()
            .name("IAM database".to_owned())
            .spawn(move || runtime.block_on(running))
            .doing(|| "starting the thread of the database with IAM login".to_owned())?;
        let (stop, thread) = (Some(stop), Some(thread));
        Ok(IamDatabase { front, address, directory, stop, thread })
    }

    fn backend(&self) -> Result<Backend, Error> {
        let known =
            Role::ALL.map(|role| (role.name().to_owned(), self.postgres.password(role).to_owned()));
        let mut passwords = HashMap::from(known);
        for name in &self.roles {
            let password = random(24);
            let quoted = name.replace('"', "\"\"");
            self.postgres
                .query(&format!("CREATE ROLE \"{quoted}\" LOGIN PASSWORD '{password}'"))?;
            passwords.insert(name.clone(), password);
        }
        let socket = format!(".s.PGSQL.{}", self.postgres.port());
        Ok(Backend { socket: self.postgres.socket_directory().join(socket), passwords })
    }
}
