//! The name and the region that a token is signed for. Pure.
//!
//! The database checks the signature for its own region, and no other: where the name tells it, it
//! counts, whatever else is configured for calls of AWS.

use std::net::IpAddr;

use pgferry_aws::Identity;
use pgferry_endpoint::{Endpoint as Name, Kind};

use super::Service;
use crate::lookup::Endpoint;
use crate::{CredentialError, WithoutRegion};

/// What a signature says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signed {
    /// In lower case, and without the final dot: as AWS writes it.
    pub(super) host: String,
    /// `None`: that of the account, which was asked for the endpoint there.
    pub(super) region: Option<String>,
    /// A region that is configured and does not count.
    pub(super) instead_of: Option<String>,
}

/// A name that is not AWS's is signed for with a configured region alone: RDS takes none, but there
/// are imitations of AWS, and DSQL behind names of one's own. An address is nobody's name.
pub(super) fn signed_for(
    service: Service,
    endpoint: &Endpoint,
    identity: &Identity,
) -> Result<Signed, CredentialError> {
    let host = endpoint.host.trim_end_matches('.').to_ascii_lowercase();
    let name = Name::parse(&host);
    check_service(service, &host, name.kind)?;
    let imitation = endpoint.told || identity.endpoint_url.is_some();
    let address = is_address(&host);
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if host.is_empty() || !address && !host.chars().all(is_host) {
        return Err(CredentialError::NotAHost(endpoint.host.clone()));
    }
    let configured = identity.region.clone();
    let missing = |host, why| Err(CredentialError::NoRegion { host, why });
    let region = match (name.region, configured) {
        (Some(region), configured) => {
            let instead_of = configured.filter(|configured| *configured != region);
            return Ok(Signed { host, region: Some(region), instead_of });
        }
        (None, _) if address && !imitation => return missing(host, WithoutRegion::Address),
        (None, None) if endpoint.told => None,
        (None, None) if name.kind == Kind::Global => return missing(host, WithoutRegion::Global),
        (None, None) => return missing(host, WithoutRegion::Alias),
        (None, configured) => configured,
    };
    Ok(Signed { host, region, instead_of: None })
}

fn check_service(service: Service, host: &str, kind: Kind) -> Result<(), CredentialError> {
    let (is, kind, other) = match (service, kind) {
        (Service::Rds, Kind::Dsql) => ("an endpoint of Aurora DSQL", "iam", "dsql"),
        (_, Kind::Other | Kind::Dsql) | (Service::Rds, _) => return Ok(()),
        (Service::Dsql, _) => ("an endpoint of RDS", "dsql", "iam"),
    };
    Err(CredentialError::WrongService { host: host.to_owned(), is, kind, other })
}

fn is_address(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok()
}
