//! Free ports.

use std::net::{IpAddr, Ipv4Addr, TcpListener};

use crate::error::{Context, Error};

/// A port that was free on 127.0.0.1 a moment ago.
///
/// Someone else may take it before it is used: prefer port 0 where the listener can be asked for
/// its address. The servers of this crate recognise a clash and try another port.
///
/// # Panics
///
/// When the machine has no port left.
#[expect(clippy::panic, reason = "a test without a port cannot go on")]
pub fn free_port() -> u16 {
    free_port_on(Ipv4Addr::LOCALHOST.into()).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn free_port_on(address: IpAddr) -> Result<u16, Error> {
    TcpListener::bind((address, 0))
        .and_then(|listener| listener.local_addr())
        .map(|local| local.port())
        .doing(|| format!("looking for a free port on {address}"))
}
