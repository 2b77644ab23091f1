//! Towards the database: a path, TLS, and the login with the swapped credential.

pub(crate) mod client_certificate;
pub(crate) mod dial;
pub(crate) mod identity;
pub(crate) mod login;
pub(crate) mod roots;
pub(crate) mod route;
pub(crate) mod scram;
pub(crate) mod stream;
pub(crate) mod tls;
