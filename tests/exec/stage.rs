//! A database with several targets in front of it, and the commands that are run for them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use pgferry_simulators::Role;

use crate::running::Running;
use crate::support::pgferry::{binary, write_config};
use crate::support::shared::Shared;
use crate::support::target::Target;
use crate::support::world::{Way, World};

/// Targets that all tests share.
pub(crate) struct Stage {
    pub(crate) world: World,
    config: PathBuf,
}

static STAGE: Shared<Stage> = Shared::new();

impl Stage {
    pub(crate) fn get() -> Arc<Self> {
        STAGE.get(Self::alone)
    }

    /// One that no other test uses.
    pub(crate) fn alone() -> Self {
        let world = World::start();
        let mut dev = Target::new("dev", &world, Way::Direct, Role::Scram);
        dev.database = world.database_with(", name = \"app\"");
        let mut nameless = Target::new("nameless", &world, Way::Direct, Role::Scram);
        // Local login is not what `run` would ask for: this file is not even there.
        "{ kind = \"scram\", password_file = \"none\" }".clone_into(&mut nameless.local_auth);
        let mut tunnel = Target::new("tunnel", &world, Way::SshLinked, Role::Scram);
        tunnel.database.clone_from(&dev.database);
        let mut broken = dev.clone();
        broken.name = "broken";
        broken.credential = world.credential(Role::Reject);
        let text = format!("{dev}{nameless}{tunnel}{broken}");
        let config = write_config(world.directory(), &text);
        Self { world, config }
    }

    pub(crate) fn command(&self, subcommand: &str, target: &str, words: &[&str]) -> Command {
        command(&self.world, &self.config, subcommand, target, words)
    }

    pub(crate) fn exec(&self, target: &str, words: &[&str]) -> Command {
        self.command("exec", target, words)
    }

    /// A child that prints its environment, and ends when its standard input does.
    pub(crate) fn waiting(&self, target: &str) -> Running {
        let script = "env; echo; read line";
        Running::start(&mut self.exec(target, &["sh", "-c", script]))
    }
}

pub(crate) fn command(
    world: &World,
    config: &Path,
    subcommand: &str,
    target: &str,
    words: &[&str],
) -> Command {
    let mut command = binary();
    // Debian's psql is a script that looks for the newest version; the servers' own needs none.
    let path = std::env::var("PATH").unwrap();
    let programs = world.postgres.programs().display();
    command.env("PATH", format!("{programs}:{path}"));
    for name in std::env::vars_os().map(|(name, _)| name) {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    command.args([subcommand, target, "--config"]).arg(config).arg("--").args(words);
    command
}
