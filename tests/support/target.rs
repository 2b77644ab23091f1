//! One target of a configuration, to be changed before it is written.

use std::fmt;

use pgferry_simulators::Role;

use super::world::{Way, World};

/// `[targets.NAME]`, with the value of each key as TOML.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) listen: String,
    pub(crate) database: String,
    pub(crate) transport: String,
    pub(crate) credential: String,
    pub(crate) local_auth: String,
}

impl Target {
    /// A target that works.
    pub(crate) fn new(name: &'static str, world: &World, way: Way, role: Role) -> Self {
        Self {
            name,
            listen: "\"127.0.0.1:0\"".to_owned(),
            database: world.database(),
            transport: world.transport(way),
            credential: world.credential(role),
            local_auth: "{ kind = \"same-user\" }".to_owned(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, listen, database, transport, credential, local_auth } = self;
        writeln!(f, "[targets.{name}]\nlisten = {listen}\ndatabase = {database}")?;
        writeln!(f, "transport = {transport}\ncredential = {credential}")?;
        writeln!(f, "local_auth = {local_auth}")
    }
}
