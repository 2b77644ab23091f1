//! Fresh connections to a real PostgreSQL: SCRAM on both sides of the proxy, TLS to the server.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use pgferry_simulators::{Grace, Postgres, Process, Role, SERVER_NAME};
use tokio::time::Instant;

use crate::Run;
use crate::accounting::{cpu_nanos, family};
use crate::peers::{PGFERRY, announced, as_nobody, free_address, installed, listens};
use crate::race::Lap;

const WARM_UP: usize = 2;
const ROUNDS: usize = 20;
const BURST: usize = 5;

/// What each way shows per connection: nanoseconds until the first query is answered and the connection
/// closed, and CPU time of the proxy. The first is a connection without TLS and without a proxy.
pub(crate) fn connect(run: &Run) -> anyhow::Result<Vec<Lap>> {
    let postgres = Postgres::start();
    let directory = tempfile::Builder::new().prefix("pgferry-bench-").tempdir()?;
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
    let world = World { run, postgres: &postgres, directory: directory.path() };
    let mut ways = vec![world.direct()?, world.pgferry()?];
    ways.extend(world.pgbouncer()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for round in 0..ROUNDS + WARM_UP {
        let count = ways.len();
        for turn in 0..count {
            let Some(way) = ways.get_mut((round + turn) % count) else { continue };
            let processes = way.process.as_ref().map(|p| family(p.id())).unwrap_or_default();
            let (before, began) = (cpu_nanos(&processes), Instant::now());
            for _ in 0..BURST {
                let name = way.lap.peer;
                runtime.block_on(one(&way.config)).with_context(|| format!("through {name}"))?;
            }
            if round >= WARM_UP {
                way.lap.cost.push(per_connection(began.elapsed().as_secs_f64() * 1e9));
                way.lap.cpu.push(per_connection(cpu_nanos(&processes) - before));
            }
        }
    }
    Ok(ways.into_iter().map(|way| way.lap).collect())
}

#[expect(clippy::cast_precision_loss, reason = "a handful")]
fn per_connection(nanos: f64) -> f64 {
    nanos / BURST as f64
}

async fn one(config: &tokio_postgres::Config) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    client.simple_query("SELECT 1").await?;
    drop(client);
    // It ends with its client; a fault in closing costs nothing here.
    connection.await.ok();
    Ok(())
}

struct Way {
    lap: Lap,
    config: tokio_postgres::Config,
    process: Option<Process>,
}

struct World<'a> {
    run: &'a Run,
    postgres: &'a Postgres,
    directory: &'a Path,
}

impl World<'_> {
    fn direct(&self) -> anyhow::Result<Way> {
        let host = self.postgres.address().context("PostgreSQL listens on TCP")?;
        Ok(self.way("direct, no TLS", SocketAddr::new(host, self.postgres.port()), None))
    }

    fn pgferry(&self) -> anyhow::Result<Way> {
        let password = self.file("password", self.password(), 0o600)?;
        let password = password.display();
        let address = self.postgres.address().context("PostgreSQL listens on TCP")?;
        let user = Role::Scram.name();
        let config = format!(
            "[relay]\nthreads = 1\n[targets.bench]\nlisten = \"127.0.0.1:0\"\n\
             database = {{ host = {SERVER_NAME:?}, port = {}, address = \"{address}\", ca_file = '{}' }}\n\
             credential = {{ kind = \"password\", user = {user:?}, password_file = '{password}' }}\n\
             local_auth = {{ kind = \"scram\", password_file = '{password}' }}\n",
            self.postgres.port(),
            self.postgres.ca_file().display()
        );
        let file = self.file("pgferry.toml", &config, 0o600)?;
        let mut command = Command::new(&self.run.pgferry);
        command.args(["run", "--config"]).arg(&file);
        let (process, log) = Process::run(&command, Grace::Terminate)?;
        let address = announced(&log, "ready: target bench on ")?;
        Ok(self.way(PGFERRY, address, Some(process)))
    }

    fn pgbouncer(&self) -> anyhow::Result<Option<Way>> {
        let Some(program) = installed("pgbouncer") else { return Ok(None) };
        let address = free_address();
        let server = self.postgres.address().context("PostgreSQL listens on TCP")?;
        let trust = fs::read_to_string(self.postgres.ca_file())?;
        let trust = self.file("ca.pem", &trust, 0o644)?;
        let user = format!("\"{}\" \"{}\"\n", Role::Scram.name(), self.password());
        let users = self.file("users.txt", &user, 0o644)?;
        let config = format!(
            "[databases]\n* = host={server} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\n\
             pool_mode = session\nserver_lifetime = 0\nserver_tls_sslmode = verify-ca\n\
             server_tls_ca_file = {}\nlog_connections = 0\nlog_disconnections = 0\n",
            self.postgres.port(),
            address.port(),
            users.display(),
            trust.display()
        );
        let file = self.file("pgbouncer.ini", &config, 0o644)?;
        let mut command = as_nobody(&program);
        command.arg(&file);
        let (process, log) = Process::run(&command, Grace::Kill)?;
        listens(address, &log)?;
        Ok(Some(self.way("pgbouncer, no reuse", address, Some(process))))
    }

    fn way(&self, name: &'static str, address: SocketAddr, process: Option<Process>) -> Way {
        let mut config = tokio_postgres::Config::new();
        config.host(address.ip().to_string()).port(address.port()).dbname("app");
        config.user(Role::Scram.name()).password(self.password());
        config.ssl_mode(tokio_postgres::config::SslMode::Disable);
        let (cost, cpu, singles) = (Vec::new(), Vec::new(), Vec::new());
        Way { lap: Lap { peer: name, cost, cpu, singles }, config, process }
    }

    fn password(&self) -> &str {
        self.postgres.password(Role::Scram)
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> anyhow::Result<PathBuf> {
        let file = self.directory.join(name);
        fs::write(&file, text)?;
        fs::set_permissions(&file, Permissions::from_mode(mode))?;
        Ok(file)
    }
}
