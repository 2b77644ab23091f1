//! What exists without pgferry: the database, and the bastion and the managed node in front of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use pgferry_simulators::{Aws, IamDatabase, ManagedInstance, Postgres, Role, SERVER_NAME, Sshd};

use crate::{
    failure::Failure,
    narration::{self, Narration},
};

pub(crate) struct World {
    pub(crate) postgres: Postgres,
    pub(crate) bastion: Sshd,
    pub(crate) aws: Aws,
    /// The same server, as RDS shows it to those who log in with tokens.
    pub(crate) iam: IamDatabase,
}

impl World {
    pub(crate) fn start() -> Result<Self, Failure> {
        let postgres = Postgres::builder().listen(BEHIND).try_start()?;
        let behind = SocketAddr::new(BEHIND, postgres.port());
        let aws = Aws::try_start(REGION)?;
        let password = postgres.password(Role::Scram);
        let value = format!(r#"{{"username":"{}","password":"{password}"}}"#, Role::Scram.name());
        aws.add_secret(SECRET, &value);
        aws.add_managed_instance(ManagedInstance::new("i-0123456789abcdef0").name(NODE));
        let iam = IamDatabase::builder(&aws, &postgres).role(TOKEN_USER).try_start()?;
        let bastion = Sshd::builder().permit_open(behind).permit_open(iam.address()).try_start()?;
        Ok(Self { postgres, bastion, aws, iam })
    }

    pub(crate) fn describe(&self, narration: &Narration) {
        narration.fact("PostgreSQL", &format!("{}, certificate for {SERVER_NAME}", self.behind()));
        let bastion = self.bastion.address();
        narration.fact("Bastion", &format!("{bastion}, forwards to the database alone"));
        narration.fact(
            "By token",
            &format!("{}, the same server, as RDS asks for tokens", self.iam.address()),
        );
        narration.fact("Managed node", &format!("{NODE}, which Session Manager reaches"));
        narration.fact("AWS", &format!("simulated, {}, {REGION}", self.aws.endpoint_url()));
        narration::plain(
            "  On a single machine nothing but good manners keeps a client from dialling the database\n  \
             directly. pgferry is given bastion and node only, and they tell who came through.",
        );
    }

    /// Holds the bastion's log against what the clients did.
    pub(crate) fn prove_the_way(&self, narration: &Narration) -> Result<(), Failure> {
        let (connections, channels) = (self.bastion.connections(), self.bastion.channels());
        // psql three times, pgbench filling its tables, and four pgbench clients.
        if channels < 8 {
            let log = self.bastion.log().text();
            return Err(Failure::Unexpected(format!(
                "the bastion opened only {channels} channels; its log:\n{log}"
            )));
        }
        narration.fact(
            "Bastion",
            &format!("{channels} channels to the database over {connections} SSH connection(s)"),
        );
        self.prove_the_way_through_the_node(narration)
    }

    fn prove_the_way_through_the_node(&self, narration: &Narration) -> Result<(), Failure> {
        let manager = self.aws.session_manager();
        let (sessions, breaches) = (manager.sessions(), manager.breaches());
        let streams: usize = sessions.iter().map(|session| session.streams).sum();
        if streams == 0 || !breaches.is_empty() {
            return Err(Failure::Unexpected(format!(
                "nobody came through the node, or not as one does: {sessions:?}, {breaches:?}"
            )));
        }
        let said =
            format!("{streams} connection(s) to the database in {} session(s)", sessions.len());
        narration.fact("Managed node", &said);
        Ok(())
    }

    pub(crate) fn behind(&self) -> SocketAddr {
        SocketAddr::new(BEHIND, self.postgres.port())
    }
}

/// The region in the endpoint's name.
const REGION: &str = "us-east-1";
/// The secret of the user that psql is.
pub(crate) const SECRET: &str = "demo/app";
/// The tag `Name` of the managed node.
pub(crate) const NODE: &str = "demo-node";
/// A user that has no password.
pub(crate) const TOKEN_USER: &str = "app_token";
/// A loopback address of its own, which stands for the private subnet.
const BEHIND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 9, 1));
