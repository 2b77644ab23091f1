//! What a throwaway server may be told before it starts.

use std::{
    fs::{self, Permissions},
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use super::{LOOPBACK, Postgres, account, cluster, passwords::Passwords, write};
use crate::{
    SERVER_NAME,
    certificates::{Authority, Certificate},
    error::{Context, Error},
    log::Log,
    tool,
};

/// Settings of a [`Postgres`] that is about to start.
#[derive(Clone, Debug)]
pub struct Builder {
    listen: Option<IpAddr>,
    presented: Presented,
    instance: Option<String>,
    settings: Vec<(String, String)>,
    hba: Vec<String>,
}

/// The certificate the server presents. Clients always trust [`Postgres::ca_file`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// From the trusted authority, for [`SERVER_NAME`].
    Right,
    /// From the trusted authority, for another cluster.
    WrongName,
    /// For the right name, from an authority nobody trusts.
    WrongAuthority,
    /// Right in all but its dates.
    Expired,
    /// None: the server refuses TLS with `N`.
    Nothing,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            listen: Some(LOOPBACK),
            presented: Presented::Right,
            instance: None,
            settings: Vec::new(),
            hba: Vec::new(),
        }
    }
}

impl Builder {
    /// Listens on another loopback address, such as 127.0.9.1.
    #[must_use]
    pub fn listen(mut self, address: IpAddr) -> Self {
        self.listen = Some(address);
        self
    }

    /// Listens on the unix socket alone.
    #[must_use]
    pub fn unix_socket_only(mut self) -> Self {
        self.listen = None;
        self
    }

    /// Presents another certificate than the right one.
    #[must_use]
    pub fn present(mut self, presented: Presented) -> Self {
        self.presented = presented;
        self
    }

    /// Names this instance in the right certificate, too, behind [`SERVER_NAME`].
    #[must_use]
    pub fn instance(mut self, name: &str) -> Self {
        self.instance = Some(name.to_owned());
        self
    }

    /// Adds a line to `postgresql.conf`; it wins over this crate's own.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a line to `pg_hba.conf` before this crate's own.
    #[must_use]
    pub fn hba(mut self, line: &str) -> Self {
        self.hba.push(line.to_owned());
        self
    }

    /// Starts the server and waits until it accepts connections.
    ///
    /// # Panics
    ///
    /// With a sentence that names the missing package, or the server's log.
    #[expect(clippy::panic, reason = "a test without its server cannot go on")]
    pub fn start(self) -> Postgres {
        self.try_start().unwrap_or_else(|error| panic!("no throwaway PostgreSQL: {error}"))
    }

    /// As [`Self::start`], for callers that want to handle the failure.
    ///
    /// # Errors
    ///
    /// [`Error::MissingTool`], or the failure of `initdb` or the server with what it said.
    pub fn try_start(self) -> Result<Postgres, Error> {
        let programs = tool::postgres_programs()?;
        let directory = tempfile::Builder::new()
            .prefix("pgferry-postgres-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .doing(|| "making a temporary directory".to_owned())?;
        account::give(directory.path())?;
        let passwords = Passwords::random();
        cluster::create(&programs, directory.path(), &passwords)?;
        self.configure(directory.path())?;
        self.certify(directory.path())?;
        let log = Log::new("postgres");
        let listen = self.listen;
        let mut server =
            Postgres { process: None, log, programs, listen, port: 0, passwords, directory };
        server.serve_on_free_port()?;
        Ok(server)
    }

    fn configure(&self, directory: &Path) -> Result<(), Error> {
        let address = self.listen.map_or_else(String::new, |address| address.to_string());
        let tls = if self.presented == Presented::Nothing { "off" } else { "on" };
        let sockets = directory.join("socket");
        fs::create_dir(&sockets).doing(|| "making the socket directory".to_owned())?;
        account::give(&sockets)?;
        let mut conf = format!(
            "listen_addresses = '{address}'\nunix_socket_directories = '{}'\n\
             ssl = {tls}\nssl_cert_file = '{}'\nssl_key_file = '{}'\n{SETTINGS}",
            sockets.display(),
            directory.join("server.pem").display(),
            directory.join("server.key").display(),
        );
        for (name, value) in &self.settings {
            conf.extend([name, " = '", &value.replace('\'', "''"), "'\n"]);
        }
        let own = format!("{}\n{HBA}", self.hba.join("\n"));
        append(&directory.join("data/postgresql.conf"), &conf)?;
        write(&directory.join("data/pg_hba.conf"), &own)
    }

    fn certify(&self, directory: &Path) -> Result<(), Error> {
        let authority = Authority::new("pgferry throwaway CA")?;
        write(&directory.join("ca.pem"), &authority.pem())?;
        let Some(certificate) = self.presented.issue(&authority, self.instance.as_deref())? else {
            return Ok(());
        };
        write(&directory.join("server.pem"), certificate.pem())?;
        let key = directory.join("server.key");
        write(&key, certificate.key_pem())?;
        // PostgreSQL refuses a key that others can read.
        fs::set_permissions(&key, Permissions::from_mode(0o600))
            .doing(|| "closing the server key".to_owned())?;
        account::give(&key)
    }
}

impl Presented {
    fn issue(
        self,
        trusted: &Authority,
        instance: Option<&str>,
    ) -> Result<Option<Certificate>, Error> {
        let names: Vec<&str> = [SERVER_NAME].into_iter().chain(instance).collect();
        match self {
            Self::Right => trusted.issue(&names),
            Self::WrongName => trusted.issue(&[WRONG_NAME]),
            Self::WrongAuthority => Authority::new("nobody's CA")?.issue(&[SERVER_NAME]),
            Self::Expired => trusted.issue_expired(&[SERVER_NAME]),
            Self::Nothing => return Ok(None),
        }
        .map(Some)
    }
}

fn append(path: &Path, text: &str) -> Result<(), Error> {
    let before = fs::read_to_string(path).doing(|| format!("reading {}", path.display()))?;
    write(path, &format!("{before}\n{text}"))
}

const WRONG_NAME: &str = "other.cluster-xyz789.us-east-1.rds.amazonaws.com";

const SETTINGS: &str = "\
    wal_level = logical\nmax_wal_senders = 10\nmax_replication_slots = 10\n\
    fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n\
    log_connections = on\nlog_disconnections = on\nlog_replication_commands = on\n\
    log_line_prefix = '%m [%p] %q%u@%d '\nlogging_collector = off\n";

// The first line that fits decides. `host` is both with and without TLS.
const HBA: &str = "\
    local    all          app_trust                     trust\n\
    local    all          app_reject                    reject\n\
    local    all          app_md5                       md5\n\
    local    all          all                           scram-sha-256\n\
    local    replication  app_repl                      scram-sha-256\n\
    host     all          app_reject        all         reject\n\
    host     all          app_trust         all         trust\n\
    host     all          app_md5           all         md5\n\
    hostssl  all          app_clear         all         password\n\
    hostnossl all         app_clear         all         reject\n\
    hostnossl all         app_hostssl_only  all         reject\n\
    host     all          all               all         scram-sha-256\n\
    host     replication  app_repl          all         scram-sha-256\n";
