//! A database that asks in every way, and pgferry in front of it without a credential of its own.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use pgferry_simulators::{Authority, Postgres, Role, Sshd};

use crate::support::pgferry::Pgferry;
use crate::support::shared::Shared;
use crate::support::target::Target;
use crate::support::tls::{ca_file, local_tls};
use crate::support::tool;
use crate::support::world::{Way, World};

/// Targets: `plain` without TLS towards applications and `open` with it, both with TLS towards the
/// database; `bare` and `bare_open` without that; `chain`, which does not verify the server's name;
/// `tunnel` through a bastion.
pub(crate) struct Stage {
    pub(crate) pgferry: Pgferry,
    pub(crate) config: String,
    pub(crate) world: World,
    pub(crate) ca_file: PathBuf,
}

static STAGE: Shared<Stage> = Shared::new();

impl Stage {
    pub(crate) fn get() -> Arc<Self> {
        STAGE.get(Self::start)
    }

    /// One of one's own.
    pub(crate) fn start() -> Self {
        let postgres = Postgres::builder()
            .hba("host all app_gss all gss")
            .hba("hostnossl all app_open all password")
            // SCRAM, or MD5 for those whose secret is stored so.
            .hba("host all +by_md5 all md5")
            .start();
        let create = "create role app_gss login; create role by_md5; \
                      create role app_open login password 'open'";
        postgres.query(create).expect("roles");
        let world = World::with(postgres, Sshd::start());
        let authority = Authority::new("local").expect("an authority");
        let tls = local_tls(world.directory(), &authority, &["localhost", "127.0.0.1"]);
        let ca_file = ca_file(world.directory(), &authority);
        let target = |name, way, more: &str| {
            let mut target = Target::new(name, &world, way, Role::Scram);
            target.database = world.database_with(more);
            "{ kind = \"passthrough\" }".clone_into(&mut target.credential);
            target.to_string()
        };
        let bare = ", tls = \"disable\"";
        let config = [
            target("plain", Way::Direct, ""),
            target("open", Way::Direct, "") + &format!("local_tls = {tls}\n"),
            target("bare", Way::Direct, bare),
            target("bare_open", Way::Direct, bare) + &format!("local_tls = {tls}\n"),
            target("chain", Way::Direct, ", tls = \"verify-ca\""),
            target("tunnel", Way::SshLinked, ", name = \"app\""),
        ]
        .concat();
        let head = "[admin]\nlisten = \"127.0.0.1:0\"\n";
        let pgferry = Pgferry::start(&format!("{head}{config}"));
        Self { pgferry, config, world, ca_file }
    }

    /// psql as this user, with this password if there is one; `more` is more of the connection string.
    pub(crate) fn psql(
        &self,
        target: &str,
        user: &str,
        password: Option<&str>,
        more: &str,
    ) -> Command {
        self.psql_to(self.pgferry.port(target), user, password, more)
    }

    /// psql to a port of this machine.
    pub(crate) fn psql_to(
        &self,
        port: u16,
        user: &str,
        password: Option<&str>,
        more: &str,
    ) -> Command {
        let mut psql = self.world.postgres.client("psql");
        let conninfo = format!("host=localhost hostaddr=127.0.0.1 port={port} dbname=app {more}");
        psql.args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-d", &conninfo]);
        psql.env("HOME", "/nonexistent").env("PGUSER", user).env("PGCLIENTENCODING", "UTF8");
        if let Some(password) = password {
            psql.env("PGPASSWORD", password);
        }
        psql
    }

    /// psql as one of the roles.
    pub(crate) fn psql_as(&self, target: &str, role: Role, more: &str) -> Command {
        self.psql(target, role.name(), Some(self.world.postgres.password(role)), more)
    }
}

/// Who the database says it is.
pub(crate) fn user(mut psql: Command) -> String {
    tool::succeed(psql.args(["-c", "select current_user"])).trim_end().to_owned()
}

/// Demands that psql fails, and gives what it said.
pub(crate) fn failure(mut psql: Command) -> String {
    let output = tool::run(psql.args(["-c", "select 1"]));
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

/// Demands that psql fails, with these words.
pub(crate) fn assert_fails(psql: Command, words: &[&str]) {
    let said = failure(psql);
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}
