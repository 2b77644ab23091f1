//! What a user may write, and what the program runs.
//!
//! The schema types mirror the TOML file letter for letter and refuse every unknown key;
//! [`Plan`] is the resolved form (absolute paths, defaults filled in, choices as enums) and the only
//! thing the rest of the program sees. This crate opens no socket and resolves no name; it reads the
//! configuration file and looks at the mode of files that hold secrets.
//!
//! Start from [`Plan::load`] and [`search`].

mod duration;
mod error;
mod listen;
mod paths;
mod plan;
mod schema;
mod secret;
mod transport;

pub use error::ConfigError;
pub use listen::Listen;
pub use paths::search;
pub use plan::{
    Admin, Credential, Database, Endpoint, Limits, LocalAuth, LocalPassword, Plan, Roots, Target,
    TlsMode,
};
pub use secret::{Secret, SecretSource};
pub use transport::Transport;
