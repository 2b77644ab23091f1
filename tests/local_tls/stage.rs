//! A database, and a pgferry in front of it that has certificates.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use pgferry_simulators::{Authority, Role};

use crate::support::pgferry::Pgferry;
use crate::support::shared::Shared;
use crate::support::target::Target;
use crate::support::tls::{TlsClient, ca_file, local_tls};
use crate::support::tool;
use crate::support::wire::Wire;
use crate::support::world::{Way, World};

/// pgferry's own password.
pub(crate) const PASSWORD: &str = "open sesame";

/// Targets: `plain` without a certificate, `open` with one, `required` with one that has to be used,
/// `scram` with one and a local password, `elsewhere` with one for another name.
pub(crate) struct Stage {
    pub(crate) pgferry: Pgferry,
    pub(crate) world: World,
    pub(crate) ca_file: PathBuf,
}

static STAGE: Shared<Stage> = Shared::new();

impl Stage {
    pub(crate) fn get() -> Arc<Self> {
        STAGE.get(Self::start)
    }

    fn start() -> Self {
        let world = World::start();
        let authority = Authority::new("local").expect("an authority");
        let tls = |names: &[&str]| local_tls(world.directory(), &authority, names);
        let here = tls(&["localhost", "127.0.0.1"]);
        let required = here.replace(" }", ", required = true }");
        let plain = Target::new("plain", &world, Way::Direct, Role::Scram);
        let password = world.secret_file("local", PASSWORD);
        let mut scram = Target { name: "scram", ..plain.clone() };
        scram.local_auth = format!("{{ kind = \"scram\", password_file = {password:?} }}");
        let config: String = [
            (plain.clone(), None),
            (Target { name: "open", ..plain.clone() }, Some(&here)),
            (Target { name: "required", ..plain.clone() }, Some(&required)),
            (scram, Some(&here)),
            (Target { name: "elsewhere", ..plain }, Some(&tls(&["elsewhere.example"]))),
        ]
        .into_iter()
        .flat_map(|(target, tls)| {
            let tls = tls.map(|tls| format!("local_tls = {tls}\n"));
            [target.to_string(), tls.unwrap_or_default()]
        })
        .collect();
        let ca_file = ca_file(world.directory(), &authority);
        let head = "[admin]\nlisten = \"127.0.0.1:0\"\n[limits]\nlocal_login = \"3s\"\n";
        let pgferry = Pgferry::start(&format!("{head}{config}"));
        Self { pgferry, world, ca_file }
    }

    /// A session by hand, inside TLS.
    pub(crate) fn wire(&self, target: &str) -> Wire {
        let client = TlsClient::trusting(&self.ca_file);
        Wire::over(client.connect(self.pgferry.address(target)).expect("TLS"))
    }

    /// psql; `more` is more of the connection string.
    pub(crate) fn psql(&self, target: &str, more: &str) -> Command {
        let port = self.pgferry.port(target).to_string();
        psql(&self.world, &port, more)
    }

    /// The value of a counter of failed connects.
    pub(crate) fn failures(&self, target: &str, reason: &str) -> Option<f64> {
        self.pgferry.metric(&failures(target, reason))
    }
}

/// The series that counts failed connects.
pub(crate) fn failures(target: &str, reason: &str) -> String {
    format!(
        "pgferry_connect_failures_total{{target=\"{target}\",phase=\"local_login\",\
         reason=\"{reason}\"}}"
    )
}

/// psql to a port of this machine.
pub(crate) fn psql(world: &World, port: &str, more: &str) -> Command {
    let mut psql = world.postgres.client("psql");
    let conninfo =
        format!("host=localhost hostaddr=127.0.0.1 port={port} user=me dbname=app {more}");
    psql.args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-d", &conninfo]);
    psql.env("HOME", "/nonexistent");
    psql
}

/// Demands that psql fails, with these words.
pub(crate) fn assert_fails(command: &Command, words: &[&str]) {
    let output = tool::run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{output:?}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}
