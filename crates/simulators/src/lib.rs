//! Throwaway servers and faults: a real PostgreSQL, a real OpenSSH bastion, a relay that misbehaves
//! on request, and a simulated AWS. Tests, benches and the demo share them.
//!
//! Everything here listens on loopback, lives in a temporary directory, carries keys and passwords
//! made for it alone, and is gone when its value is dropped: also after a panic, and also when the
//! owning process is killed. So a server that many tests share may live in a `static`, whose value
//! is never dropped: it goes when the test process does.
//!
//! It is not a model of PostgreSQL or SSH. The servers are Debian's own; this crate only starts,
//! watches, freezes and ends them. It imports nothing of pgferry, so that one misreading of a
//! protocol cannot hide on both sides of a test.
//!
//! AWS is a model, for want of a real one to run: where it had to choose, it is the stricter.
//!
//! Start from [`Postgres`], [`Sshd`], [`FaultRelay`], [`Aws`], [`IamDatabase`], [`SessionManager`],
//! [`DataApi`] and [`ConnectProxy`]; [`Authority`] issues the certificates.
//!
//! Every blocking wait takes a limit or has a documented one. The `start` functions panic with a
//! full sentence, which is what a test wants; each has a `try_start` beside it for other callers.

pub use aws::{Aws, Call, Clock, Cluster, Fault, Instance as DbInstance, Rotation, ServerlessV2};
pub use certificates::{Authority, Certificate};
pub use connect_proxy::ConnectProxy;
pub use data_api::{
    Abandoned, AbortedCommit, DataApi, DataApiCall, ErrorText, EscapeStrings, Leak, Leftovers,
    NullType, RowLimit, SeveralStatements, Undecodable, Unknowns,
};
pub use error::Error;
pub use fault_relay::{Counters, Direction, FaultRelay, NewConnections};
pub use iam_database::{Answer, Builder as IamDatabaseBuilder, Flaw, IamDatabase, Login};
pub use log::{Log, Mark};
pub use port::free_port;
pub use postgres::{Builder as PostgresBuilder, Postgres, Presented, Role, Shutdown};
pub use process::{Grace, Process};
pub use sshd::{Builder as SshdBuilder, Key, Sshd};
pub use ssm::{
    Breach, Disorder, ManagedInstance, SessionEnd, SessionManager, SessionRecord, SessionState,
};

mod aws;
mod certificates;
mod connect_proxy;
mod data_api;
mod error;
mod fault_relay;
mod iam_database;
mod log;
mod port;
mod postgres;
mod process;
pub mod sigv4;
mod sshd;
mod ssm;
mod tool;

/// The endpoint name in the throwaway server's certificate, in the shape Aurora gives its clusters.
pub const SERVER_NAME: &str = "demo.cluster-abc123.us-east-1.rds.amazonaws.com";
