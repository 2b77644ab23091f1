//! Towards the application: the packets that open a connection, and who may connect.

pub(crate) mod auth;
pub(crate) mod opening;
pub(crate) mod owner;
