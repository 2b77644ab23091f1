//! Towards the application: the packets that open a connection, TLS, and who may connect.

pub(crate) mod auth;
pub(crate) mod identity;
pub(crate) mod opening;
pub(crate) mod owner;
pub(crate) mod stream;
pub(crate) mod tls;
