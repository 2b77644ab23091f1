//! The way to an endpoint: where it is dialled, and the TLS that belongs to its name.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pgferry_config::{Database, Endpoint};
use pgferry_credentials::{Offer, Proof};
use pgferry_transport::Cluster;

use super::roots::Authorities;
use super::tls::{Tls, TrustError};

/// One endpoint as sessions are opened to it. Cancel requests take the route of their session.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Its own name and port: what TLS verifies and tokens are signed for.
    pub(crate) endpoint: Endpoint,
    /// Where it is dialled.
    pub(crate) dial: Endpoint,
    /// The database to open; the application's choice if absent.
    pub(crate) database: Option<String>,
    pub(crate) tls: Tls,
    /// What a transport has to know that is the server itself.
    pub(crate) cluster: Option<Cluster>,
}

/// The routes of one target. Where the database is looked up, each offer may name another endpoint.
pub(crate) struct Routes {
    database: Database,
    authorities: Option<Arc<Authorities>>,
    /// The endpoints used last, the latest at the end.
    known: Mutex<Vec<(String, Tls)>>,
}

/// Endpoints of one target whose TLS is kept: a cluster's writer and reader, before and after a
/// failover. One more costs reading its roots again.
const KNOWN_MAX: usize = 8;

impl Routes {
    /// `in_process` if the transport is the server itself: then nothing leaves this process, and
    /// there is nobody to do TLS with.
    ///
    /// # Errors
    /// The roots of `ca_file` cannot be read: the user's fault.
    pub(crate) fn new(database: &Database, in_process: bool) -> Result<Self, TrustError> {
        let authorities = if in_process { None } else { Authorities::new(database)? };
        let authorities = authorities.map(Arc::new);
        Ok(Self { database: database.clone(), authorities, known: Mutex::default() })
    }

    /// The database to open, where the configuration names one.
    pub(crate) fn database(&self) -> Option<&str> {
        self.database.name.as_deref()
    }

    /// Sets up the TLS of an endpoint that is known before anybody connects.
    ///
    /// # Errors
    /// No certificate can be for that name, or nobody's signature on one would count.
    pub(crate) fn learn(&self, host: &str) -> Result<(), TrustError> {
        let tls = Tls::new(self.authorities.as_deref(), host)?;
        self.keep(host, tls);
        Ok(())
    }

    /// The route to what is offered.
    ///
    /// # Errors
    /// As [`Self::learn`].
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn to(&self, offer: &Offer) -> Result<Route, TrustError> {
        let endpoint = Endpoint { host: offer.host.clone(), port: offer.port };
        Ok(Route {
            dial: self.database.dial(&endpoint),
            database: self.database.name.clone().or_else(|| offer.database.clone()),
            tls: self.tls(&endpoint.host).await?,
            cluster: cluster(&offer.lease.proof),
            endpoint,
        })
    }

    async fn tls(&self, host: &str) -> Result<Tls, TrustError> {
        let known =
            self.known().iter().find(|(known, _)| known == host).map(|(_, tls)| tls.clone());
        if let Some(tls) = known {
            return Ok(tls);
        }
        // The system's trust store is read from disk.
        let (authorities, name) = (self.authorities.clone(), host.to_owned());
        let read = tokio::task::spawn_blocking(move || Tls::new(authorities.as_deref(), &name));
        let tls = read.await.map_err(|error| TrustError::Setup(error.to_string()))??;
        self.keep(host, tls.clone());
        Ok(tls)
    }

    fn keep(&self, host: &str, tls: Tls) {
        let mut known = self.known();
        known.retain(|(known, _)| known != host);
        if known.len() == KNOWN_MAX {
            known.remove(0);
        }
        known.push((host.to_owned(), tls));
    }

    fn known(&self) -> MutexGuard<'_, Vec<(String, Tls)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cluster(proof: &Proof) -> Option<Cluster> {
    let Proof::DataApi(api) = proof else { return None };
    Some(Cluster {
        arn: api.cluster_arn.clone(),
        secret_arn: api.secret_arn.clone(),
        region: api.region.clone(),
    })
}

#[cfg(test)]
mod tests {
    use pgferry_config::{Address, Location, Roots, TlsMode};
    use pgferry_credentials::Lease;

    use super::*;

    fn offer(host: &str, database: Option<&str>) -> Offer {
        let lease = Lease { user: "app".to_owned(), proof: Proof::Certificate, expires: None };
        Offer { host: host.to_owned(), port: 6543, database: database.map(str::to_owned), lease }
    }

    fn database(name: Option<&str>, address: Option<Address>) -> Database {
        Database {
            location: Location::Secret,
            port: None,
            address,
            name: name.map(str::to_owned),
            tls: TlsMode::VerifyFull,
            roots: Roots::ByEndpoint,
        }
    }

    fn host(region: &str) -> String {
        format!("db.cluster-c9abc.{region}.rds.amazonaws.com")
    }

    #[tokio::test]
    async fn the_configured_database_and_address_go_before_those_of_an_offer() {
        let elsewhere = Address { host: "10.0.0.7".to_owned(), port: None };
        let routes = Routes::new(&database(Some("mine"), Some(elsewhere)), false).unwrap();
        let route = routes.to(&offer(&host("us-east-1"), Some("theirs"))).await.unwrap();
        assert_eq!(route.endpoint, Endpoint { host: host("us-east-1"), port: 6543 });
        assert_eq!(route.dial, Endpoint { host: "10.0.0.7".to_owned(), port: 6543 });
        assert_eq!(route.database.as_deref(), Some("mine"));
        let routes = Routes::new(&database(None, None), false).unwrap();
        let route = routes.to(&offer(&host("us-east-1"), Some("theirs"))).await.unwrap();
        assert_eq!(route.dial, route.endpoint);
        assert_eq!(route.database.as_deref(), Some("theirs"));
    }

    #[tokio::test]
    async fn a_region_without_roots_is_an_error_of_that_endpoint_alone() {
        let routes = Routes::new(&database(None, None), false).unwrap();
        let error = routes.to(&offer(&host("il-central-1"), None)).await.unwrap_err();
        assert!(matches!(error, TrustError::NoRegion(_)), "{error}");
        assert!(routes.learn(&host("il-central-1")).is_err());
        assert!(routes.to(&offer(&host("eu-west-1"), None)).await.is_ok());
        assert!(matches!(routes.to(&offer("a b", None)).await, Err(TrustError::Name(_))));
    }

    #[tokio::test]
    async fn a_few_endpoints_are_kept_and_the_oldest_goes_first() {
        let routes = Routes::new(&database(None, None), false).unwrap();
        for at in 0..KNOWN_MAX + 3 {
            let host = format!("db-{at}.c9abc.us-east-1.rds.amazonaws.com");
            routes.to(&offer(&host, None)).await.unwrap();
            routes.to(&offer(&host, None)).await.unwrap();
        }
        let known: Vec<_> = routes.known().iter().map(|(host, _)| host.clone()).collect();
        assert_eq!(known.len(), KNOWN_MAX);
        assert!(known.first().unwrap().starts_with("db-3."), "{known:?}");
    }

    #[tokio::test]
    async fn a_server_in_this_process_needs_no_roots() {
        let routes = Routes::new(&database(None, None), true).unwrap();
        let route = routes.to(&offer(&host("il-central-1"), None)).await.unwrap();
        assert!(matches!(route.tls, Tls::Disabled));
    }
}
