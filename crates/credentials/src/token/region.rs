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
    let missing = |host, why| Err(CredentialError::NoRegion { host, why });
    if address && !imitation {
        return missing(host, WithoutRegion::Address);
    }
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if host.is_empty() || !host.chars().all(is_host) {
        return Err(CredentialError::NotAHost(endpoint.host.clone()));
    }
    let configured = identity.region.clone();
    let region = match (name.region, configured) {
        (Some(region), configured) => {
            let instead_of = configured.filter(|configured| *configured != region);
            return Ok(Signed { host, region: Some(region), instead_of });
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const WRITER: &str = "Shop.cluster-c9abc.EU-west-1.rds.amazonaws.com.";
    const GLOBAL: &str = "g.global-c9abc.global.rds.amazonaws.com";
    const DSQL: &str = "abtxyz4u5k6m7n8o9p0qrstuvw.dsql.us-west-2.on.aws";

    fn at(host: &str, identity: &Identity) -> Result<Signed, String> {
        of(Service::Rds, host, identity)
    }

    fn of(service: Service, host: &str, identity: &Identity) -> Result<Signed, String> {
        let endpoint = Endpoint { host: host.to_owned(), port: 5432, told: false };
        signed_for(service, &endpoint, identity).map_err(|error| {
            assert!(error.hint().is_some(), "{error}");
            error.to_string()
        })
    }

    fn region(region: &str) -> Identity {
        Identity { region: Some(region.to_owned()), ..Identity::default() }
    }

    #[test]
    fn the_name_as_aws_writes_it_says_its_region() {
        let signed = at(WRITER, &Identity::default()).unwrap();
        assert_eq!(signed.host, "shop.cluster-c9abc.eu-west-1.rds.amazonaws.com");
        assert_eq!((signed.region.as_deref(), signed.instead_of), (Some("eu-west-1"), None));
        let china = at("db.c9.rds.cn-north-1.amazonaws.com.cn", &Identity::default()).unwrap();
        assert_eq!(china.region.as_deref(), Some("cn-north-1"));
        let proxy = at("p.proxy-c9.us-gov-west-1.rds.amazonaws.com", &Identity::default()).unwrap();
        assert_eq!(proxy.region.as_deref(), Some("us-gov-west-1"));
    }

    #[test]
    fn the_regions_of_name_and_configuration_may_differ_and_the_names_counts() {
        let signed = at(WRITER, &region("us-east-1")).unwrap();
        assert_eq!(signed.region.as_deref(), Some("eu-west-1"));
        assert_eq!(signed.instead_of.as_deref(), Some("us-east-1"));
        assert_eq!(at(WRITER, &region("eu-west-1")).unwrap().instead_of, None);
    }

    #[test]
    fn a_global_endpoint_needs_a_region() {
        assert!(at(GLOBAL, &Identity::default()).unwrap_err().contains("global database"));
        let signed = at(GLOBAL, &region("eu-north-1")).unwrap();
        assert_eq!(signed.region.as_deref(), Some("eu-north-1"));
    }

    #[test]
    fn a_name_of_ones_own_needs_a_region() {
        let error = at("db.corp.example", &Identity::default()).unwrap_err();
        assert!(error.contains("no endpoint name of AWS"), "{error}");
        let signed = at("db.corp.example", &region("eu-west-1")).unwrap();
        assert_eq!(signed.region.as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn an_address_is_signed_for_with_an_imitation_of_aws_alone() {
        for address in ["localhost", "LOCALHOST.", "127.0.0.1", "::1", "10.0.0.7", "db.localhost"] {
            let error = at(address, &region("eu-west-1")).unwrap_err();
            assert!(error.contains("is an address"), "{address}: {error}");
            let imitation =
                Identity { endpoint_url: Some("http://x".to_owned()), ..region("eu-west-1") };
            // A URL, which is what is signed, has brackets around an address with colons.
            assert_eq!(at(address, &imitation).is_ok(), address != "::1", "{address}");
        }
    }

    #[test]
    fn what_rds_has_told_is_in_the_region_that_was_asked() {
        let host = "localhost.localstack.cloud".to_owned();
        let endpoint = Endpoint { host, port: 4510, told: true };
        let signed = signed_for(Service::Rds, &endpoint, &Identity::default()).unwrap();
        assert_eq!(signed.region, None);
    }

    #[test]
    fn each_service_has_its_own_endpoints() {
        let dsql = |host| of(Service::Dsql, host, &Identity::default());
        assert_eq!(dsql(DSQL).unwrap().region.as_deref(), Some("us-west-2"));
        assert!(dsql(WRITER).unwrap_err().contains("takes no token of dsql"));
        assert!(at(DSQL, &Identity::default()).unwrap_err().contains("takes no token of iam"));
    }

    #[test]
    fn what_is_no_host_name_is_not_signed() {
        for host in ["", "a b.c9abc.us-east-1.rds.amazonaws.com", "db/x", "db?Action=x", "user@db"]
        {
            let error = at(host, &region("us-east-1")).unwrap_err();
            assert!(error.contains("no host name"), "{host}: {error}");
        }
    }
}
