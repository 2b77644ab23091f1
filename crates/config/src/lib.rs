//! What a user may write, and what the program runs.
//!
//! The schema types mirror the TOML file letter for letter and refuse every unknown key;
//! [`Plan`] is the resolved form (absolute paths, defaults filled in, choices as enums) and the only
//! thing the rest of the program sees. This crate opens no socket and resolves no name; it reads the
//! configuration file, looks at the mode of files that hold secrets, and keeps the record of the
//! files that a person trusts.
//!
//! Start from [`search`], [`Plan::load`] and [`Document`].

mod document;
mod duration;
mod entry;
mod error;
mod listen;
mod paths;
mod plan;
mod power;
mod schema;
mod search;
mod secret;
mod setting;
mod transport;
mod trust;

pub use document::Document;
pub use error::ConfigError;
pub use listen::Listen;
pub use paths::local_ca;
pub use plan::{
    Address, Admin, AssumeRole, Aws, Credential, Database, Endpoint, Limits, LocalAuth,
    LocalIdentity, LocalPassword, LocalTls, Location, PasswordSource, Plan, Role, Roots, Target,
    TlsMode,
};
pub use power::{Power, shown};
pub use search::{Candidate, Found, Place, REPOSITORY_FILE, search, search_repository};
pub use secret::{Secret, SecretSource};
pub use setting::{Origin, Setting};
pub use transport::Transport;
pub use trust::{Trust, TrustStore};
