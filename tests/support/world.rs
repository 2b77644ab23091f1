//! A database, a bastion in front of it, and the configuration that leads there.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgferry_simulators::{Key, Postgres, Role, SERVER_NAME, Sshd};
use tempfile::{NamedTempFile, TempDir};

use super::pgferry::Pgferry;
use super::plugin;

/// How a target reaches its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The built-in transport.
    Direct,
    /// The ssh plugin that is linked in.
    SshLinked,
    /// The ssh plugin, loaded from its shared library.
    SshLoaded,
    /// The example plugin in Rust, loaded.
    TcpRust,
    /// The example plugin in C, loaded.
    TcpC,
}

impl Way {
    pub(crate) const ALL: [Self; 5] =
        [Self::Direct, Self::SshLinked, Self::SshLoaded, Self::TcpRust, Self::TcpC];
}

/// Throwaway servers, and secrets in files.
pub(crate) struct World {
    pub(crate) postgres: Postgres,
    pub(crate) sshd: Sshd,
    directory: TempDir,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::with(Postgres::start(), Sshd::start())
    }

    pub(crate) fn with(postgres: Postgres, sshd: Sshd) -> Self {
        Self { postgres, sshd, directory: tempfile::tempdir().expect("a directory") }
    }

    /// A private directory, gone with everything else.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A file with a secret in it, as the configuration wants it.
    pub(crate) fn secret_file(&self, name: &str, secret: &str) -> PathBuf {
        let file = self.directory.path().join(name);
        // Moved into place, because tests share a world and a reader must not see half of it.
        let mut new = NamedTempFile::new_in(&self.directory).expect("a file of the owner's alone");
        writeln!(new, "{secret}").expect("the secret can be written");
        new.persist(&file).expect("and moved");
        file
    }

    /// The `transport = …` value of a way.
    pub(crate) fn transport(&self, way: Way) -> String {
        match way {
            Way::Direct => "{ kind = \"direct\" }".to_owned(),
            Way::SshLinked => self.ssh(""),
            Way::SshLoaded => self.ssh(&format!(", path = {:?}", plugin::library("ssh"))),
            Way::TcpRust => {
                let library = plugin::library("tcp");
                format!("{{ kind = \"tcp\", path = {library:?} }}")
            }
            Way::TcpC => format!("{{ kind = \"tcp\", path = {:?} }}", plugin::tcp_c()),
        }
    }

    fn ssh(&self, more: &str) -> String {
        let Self { sshd, .. } = self;
        format!(
            "{{ kind = \"ssh\", host = \"127.0.0.1\", port = {}, user = \"{}\", key_file = {:?}, \
             known_hosts_file = {:?}, ssh_config = false{more} }}",
            sshd.port(),
            sshd.user(),
            sshd.key_file(Key::Ed25519),
            sshd.known_hosts_file(),
        )
    }

    /// The `database = …` value: the RDS-shaped name, dialled where the server really is.
    pub(crate) fn database(&self) -> String {
        self.database_with("")
    }

    /// As [`Self::database`], with more keys: `", name = \"app\""`.
    pub(crate) fn database_with(&self, more: &str) -> String {
        let Self { postgres, .. } = self;
        format!(
            "{{ host = \"{SERVER_NAME}\", port = {}, address = \"{}\", ca_file = {:?}{more} }}",
            postgres.port(),
            postgres.address().expect("a TCP listener"),
            postgres.ca_file()
        )
    }

    /// The `credential = …` value of a role.
    pub(crate) fn credential(&self, role: Role) -> String {
        let file = self.secret_file(role.name(), self.postgres.password(role));
        format!("{{ kind = \"password\", user = \"{}\", password_file = {file:?} }}", role.name())
    }

    /// A whole target.
    pub(crate) fn target(&self, name: &str, way: Way, role: Role) -> String {
        format!(
            "[targets.{name}]\nlisten = \"127.0.0.1:0\"\ndatabase = {}\ntransport = {}\n\
             credential = {}\n",
            self.database(),
            self.transport(way),
            self.credential(role)
        )
    }

    /// psql through pgferry: bare rows, no start-up file, stops at the first error.
    pub(crate) fn psql(&self, pgferry: &Pgferry, target: &str) -> Command {
        let mut psql = self.postgres.client("psql");
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d"]);
        psql.arg(format!("host=127.0.0.1 port={} user=me dbname=app", pgferry.port(target)));
        psql
    }
}
