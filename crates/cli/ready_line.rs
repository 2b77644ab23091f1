//! What is said of a listener once applications may connect.

use std::net::IpAddr;

use pgferry_config::{LocalIdentity, LocalTls, Plan};
use pgferry_proxy::Bound;
use tracing::info;

use crate::local_ca;

/// Says where applications may connect.
pub(crate) fn announce(plan: &Plan, bound: &[Bound]) {
    for bound in bound {
        let target = plan.targets.iter().find(|target| target.name == bound.target);
        let kind = target
            .and_then(|target| plan.transports.iter().find(|t| t.name == target.transport))
            .map_or("", |transport| transport.kind.as_str());
        let tls = target.and_then(|target| target.local_tls.as_ref());
        let connect = psql(&bound.address, tls);
        info!(
            "ready: target {} on {} ({kind}); connect with: {connect}",
            bound.target, bound.address
        );
    }
}

/// The command that connects to a listener, for copying. With the local CA it verifies; with a
/// certificate of the user's own only the user knows what clients trust and call this machine, and
/// libpq's default takes TLS where it is offered.
fn psql(address: &str, tls: Option<&LocalTls>) -> String {
    let (host, port) = address
        .split_once("/.s.PGSQL.")
        .or_else(|| address.rsplit_once(':'))
        .unwrap_or((address, "5432"));
    let host = host.trim_matches(['[', ']']);
    if let Some(LocalTls { identity: LocalIdentity::LocalCa { directory }, .. }) = tls
        && host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    {
        return local_ca::psql(&pgferry_local_ca::certificate_file(directory), port);
    }
    format!("psql -h {host} -p {port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_listener_has_a_command_to_copy() {
        assert_eq!(psql("127.0.0.1:15432", None), "psql -h 127.0.0.1 -p 15432");
        assert_eq!(psql("[::1]:15432", None), "psql -h ::1 -p 15432");
        assert_eq!(psql("/run/pg/.s.PGSQL.5432", None), "psql -h /run/pg -p 5432");
        let identity = LocalIdentity::LocalCa { directory: "/home/me/ca".into() };
        let tls = Some(&LocalTls { identity, required: true });
        assert_eq!(
            psql("127.0.0.1:15432", tls),
            "psql \"host=localhost port=15432 sslmode=verify-full sslrootcert=/home/me/ca/ca.pem\""
        );
        assert_eq!(psql("192.0.2.1:15432", tls), "psql -h 192.0.2.1 -p 15432");
        assert_eq!(psql("/run/pg/.s.PGSQL.5432", tls), "psql -h /run/pg -p 5432");
    }
}
