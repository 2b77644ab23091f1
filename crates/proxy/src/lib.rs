//! One PostgreSQL session, from the application to the database.
//!
//! A connection goes through the modules in this order: `listener` accepts it, `frontend` reads
//! its startup packet and logs the application in locally, `backend` opens a path, does TLS and
//! logs in at the database, `relay` carries the bytes until one side ends. Whatever fails on the
//! way becomes a PostgreSQL error that names target, hop and fix ([`ConnectionError`]).
//!
//! It is no pooler: one application session is one database session, so that LISTEN, temporary
//! tables, SET, prepared statements, advisory locks, COPY and replication all just work.
//!
//! Start from [`Target`] and [`Server`].

mod backend;
mod binding;
mod cancel;
mod cancel_keys;
mod certificate;
mod clock;
mod connection;
mod conversation;
mod error;
mod farewell;
mod frontend;
mod listener;
mod listening;
mod passthrough;
mod relay;
mod server;
mod sessions;
mod socket;
mod stream;
mod target;

pub use backend::login::LoginError;
pub use backend::tls::{TlsError, TrustError};
pub use certificate::CertificateError;
pub use error::{Blame, ConnectionError};
pub use frontend::auth::{LocalAuthError, Refused, local_password};
pub use frontend::identity::IdentityError;
pub use frontend::tls::LocalTlsError;
pub use server::{Bound, Server, StartError};
pub use target::{Parts as TargetParts, Target, TargetError};
