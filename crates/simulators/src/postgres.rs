//! A throwaway PostgreSQL server.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;

pub use builder::{Builder, Presented};
use passwords::Passwords;
pub use role::Role;

use crate::{
    SERVER_NAME,
    error::{Context, Error},
    log::Log,
    port::free_port_on,
    process::{Grace, Process},
    tool,
};

mod account;
mod builder;
mod cluster;
mod passwords;
mod role;

/// A real PostgreSQL server with TLS, a role for every way to log in, and databases `app` and
/// `postgres`. Its data lives in a temporary directory; dropping the value ends it.
///
/// `app` belongs to [`Role::Scram`]; every role may create tables in its `public` schema.
pub struct Postgres {
    // First, so that the server is gone before its files are.
    process: Option<Process>,
    log: Log,
    programs: PathBuf,
    listen: Option<IpAddr>,
    port: u16,
    passwords: Passwords,
    directory: TempDir,
}

/// How a server is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Ends sessions with FATAL 57P01 and writes a checkpoint.
    Fast,
    /// Ends every process at once, as a crash would: sessions get a warning (57P02) or nothing.
    Immediate,
}

impl Postgres {
    /// Starts from the defaults: 127.0.0.1, a free port, a certificate for [`SERVER_NAME`].
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// As `Postgres::builder().start()`.
    ///
    /// # Panics
    ///
    /// As [`Builder::start`].
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// The address listened on; none when only the unix socket is.
    pub fn address(&self) -> Option<IpAddr> {
        self.listen
    }

    /// The port, which the unix socket's name carries too. It stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of the unix socket.
    pub fn socket_directory(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// The file with the certificate authority a client has to trust.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The directory of the server's own programs: psql, pgbench, `pg_dump`...
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The password of `role`, made for this server alone.
    pub fn password(&self, role: Role) -> &str {
        self.passwords.of(role)
    }

    /// The server's log. Connections, disconnections and replication commands are logged.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The process id of the postmaster; none while stopped.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// What libpq needs to connect as `role` to `app` without a proxy: verify-full against
    /// [`SERVER_NAME`] while dialling the real address, or the unix socket if there is no address.
    ///
    /// The password is not in it: it would show in the process list. It goes into `PGPASSWORD`.
    pub fn connect_direct_args(&self, role: Role) -> String {
        let user = role.name();
        let port = self.port;
        match self.listen {
            Some(address) => format!(
                "host={SERVER_NAME} hostaddr={address} port={port} user={user} dbname=app \
                 sslmode=verify-full sslrootcert={}",
                self.ca_file().display()
            ),
            None => format!(
                "host={} port={port} user={user} dbname=app",
                self.socket_directory().display()
            ),
        }
    }

    /// psql, connected to `app` as `role` without a proxy: bare rows, no start-up file, stops at the
    /// first error, and untouched by the caller's `PG*` variables.
    pub fn psql(&self, role: Role) -> Command {
        let mut psql = self.client("psql");
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d"]);
        psql.arg(self.connect_direct_args(role)).env("PGPASSWORD", self.password(role));
        psql
    }

    /// Runs SQL in `app` as the superuser through the unix socket, past everything under test, and
    /// returns the rows: columns separated by `|`.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] with psql's words.
    pub fn query(&self, sql: &str) -> Result<String, Error> {
        let mut psql = self.client("psql");
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "app"]);
        psql.arg("-h").arg(self.socket_directory()).args(["-p", &self.port.to_string()]);
        psql.args(["-c", sql]).env("PGPASSWORD", self.password(Role::Superuser));
        tool::run(&mut psql).map(|rows| rows.trim_end().to_owned())
    }

    /// A client program of the server's own version, without the caller's `PG*` variables.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for name in inherited.filter(|name| name.as_encoded_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        command
    }

    /// Stops the server and returns once all its processes are gone.
    ///
    /// # Errors
    ///
    /// [`Error::StillRunning`] after 30 seconds. Stopping a stopped server is not an error.
    pub fn stop(&mut self, mode: Shutdown) -> Result<(), Error> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.signal(match mode {
            Shutdown::Fast => Signal::INT,
            Shutdown::Immediate => Signal::QUIT,
        })?;
        process.wait(STOP_LIMIT).map(drop)
    }

    /// Stops the server, then starts it again on the same port with the same data.
    ///
    /// # Errors
    ///
    /// As [`Self::stop`] and [`Self::resume`].
    pub fn restart(&mut self, mode: Shutdown) -> Result<(), Error> {
        self.stop(mode)?;
        self.resume()
    }

    /// Starts a stopped server again.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] when the server refuses, for instance because its port was taken meanwhile.
    pub fn resume(&mut self) -> Result<(), Error> {
        match self.serve()? {
            Served::Ready => Ok(()),
            Served::PortTaken => Err(Error::NoPort { program: "postgres" }),
        }
    }

    /// Stops all processes of the server without closing anything: a host that went silent.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the server has ended.
    pub fn freeze(&self) -> Result<(), Error> {
        self.process.as_ref().map_or(Ok(()), Process::freeze)
    }

    /// Undoes [`Self::freeze`].
    ///
    /// # Errors
    ///
    /// As [`Self::freeze`].
    pub fn thaw(&self) -> Result<(), Error> {
        self.process.as_ref().map_or(Ok(()), Process::thaw)
    }

    fn serve_on_free_port(&mut self) -> Result<(), Error> {
        for _ in 0..PORT_ATTEMPTS {
            self.port = free_port_on(self.listen.unwrap_or(LOOPBACK))?;
            if matches!(self.serve()?, Served::Ready) {
                return Ok(());
            }
        }
        Err(Error::NoPort { program: "postgres" })
    }

    fn serve(&mut self) -> Result<Served, Error> {
        let mut server = account::command(&self.programs.join("postgres"))?;
        server.arg("-D").arg(self.directory.path().join("data"));
        server.args(["-p", &self.port.to_string()]).env("LC_ALL", "C");
        server.current_dir(self.directory.path());
        let mark = self.log.mark();
        let process = Process::start(&server, Grace::Quit, self.directory.path(), &self.log)?;
        // Its own words, not a guess from timing, tell a port that someone else took.
        let line = self.log.wait_for_any_after(mark, &[READY, TAKEN], START_LIMIT)?;
        if line.contains(TAKEN) {
            process.end();
            return Ok(Served::PortTaken);
        }
        self.process = Some(process);
        Ok(Served::Ready)
    }
}

enum Served {
    Ready,
    PortTaken,
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).doing(|| format!("writing {}", path.display()))
}

const READY: &str = "database system is ready to accept connections";
const TAKEN: &str = "Address already in use";
const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const PORT_ATTEMPTS: u32 = 5;
const START_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(30);
