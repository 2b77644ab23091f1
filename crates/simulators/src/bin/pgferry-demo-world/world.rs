//! What exists without pgferry: the database, and the bastion in front of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use pgferry_simulators::{Postgres, SERVER_NAME, Sshd};

use crate::{
    failure::Failure,
    narration::{self, Narration},
};

pub(crate) struct World {
    pub(crate) postgres: Postgres,
    pub(crate) bastion: Sshd,
}

impl World {
    pub(crate) fn start() -> Result<Self, Failure> {
        let postgres = Postgres::builder().listen(BEHIND).try_start()?;
        let behind = SocketAddr::new(BEHIND, postgres.port());
        let bastion = Sshd::builder().permit_open(behind).try_start()?;
        Ok(Self { postgres, bastion })
    }

    pub(crate) fn describe(&self, narration: &Narration) {
        narration.fact("PostgreSQL", &format!("{}, certificate for {SERVER_NAME}", self.behind()));
        let bastion = self.bastion.address();
        narration.fact("Bastion", &format!("{bastion}, forwards to {} alone", self.behind()));
        narration::plain(
            "  On a single machine nothing but good manners keeps a client from dialling the database\n  \
             directly. pgferry is given the bastion only, and the bastion's log shows who came through.",
        );
    }

    /// Holds the bastion's log against what the clients did.
    pub(crate) fn prove_the_way(&self, narration: &Narration) -> Result<(), Failure> {
        let (connections, channels) = (self.bastion.connections(), self.bastion.channels());
        // psql, pgbench filling its tables, and four pgbench clients.
        if channels < 6 {
            let log = self.bastion.log().text();
            return Err(Failure::Unexpected(format!(
                "the bastion opened only {channels} channels; its log:\n{log}"
            )));
        }
        narration.fact(
            "Bastion",
            &format!("{channels} channels to the database over {connections} SSH connection(s)"),
        );
        Ok(())
    }

    pub(crate) fn behind(&self) -> SocketAddr {
        SocketAddr::new(BEHIND, self.postgres.port())
    }
}

/// A loopback address of its own, which stands for the private subnet.
const BEHIND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 9, 1));
