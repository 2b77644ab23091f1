//! What transports need to call AWS as the program does.
//!
//! A transport reads no AWS profile and no variable of the process: who it is ([`Keys`]), where AWS is
//! ([`Account`]), whom to believe ([`Roots`]) and the [`Proxy`] on the way come from the program, as the
//! secrets `aws:credentials` and `aws:config`. [`http_client`] and [`provider`] make of them what a client of
//! the SDK wants, and [`CallFailure`] says what became of a call.

mod account;
mod client;
mod failure;
mod keys;
mod program;
mod proxy;
mod roots;

pub use account::Account;
pub use client::{http_client, provider};
pub use failure::CallFailure;
pub use keys::Keys;
pub use program::Program;
pub use proxy::Proxy;
pub use roots::Roots;
