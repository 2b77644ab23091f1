//! What pgferry knows of AWS: one SDK configuration and credential chain for the whole process,
//! AWS's errors in plain words, and where a named database is.
//!
//! It opens no database connection and knows nothing of PostgreSQL.
//!
//! Start from [`Aws`], which hands out an [`Account`] for every [`Identity`], from [`AwsError`], and
//! from [`discovery`].

mod account;
mod cache;
mod diagnosis;
pub mod discovery;
mod error;
mod failure;
mod handed;
mod identity;
mod load;
mod profiles;
mod quote;

pub use account::{Account, Aws};
pub use error::{AwsError, AwsErrorKind};
pub use identity::{AssumeRole, Identity};

/// The start of the names under which the SDK logs, and the lowest level that may be shown of it: at
/// `TRACE` it logs whole requests, with the token of an SSO session among the headers.
pub const SDK_LOGS: (&str, tracing::Level) = ("aws", tracing::Level::DEBUG);
