//! Which server a session is on: an endpoint may have several behind one name, and a cancel request
//! has to find that very one again.

use std::net::SocketAddr;

use pgferry_config::Endpoint;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::stream::Backend;

/// What is known about the server of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The address that was reached, where the transport knows it.
    peer: Option<SocketAddr>,
    /// The SHA-256 of its certificate.
    certificate: Option<[u8; 32]>,
    /// Its own name within the configured cluster.
    instance: Option<String>,
}

/// Where to look for it before the configured endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shortcut {
    /// The very address of the session: where nobody answers, the server is gone.
    Peer(Endpoint),
    /// A name that the far end of a tunnel may or may not resolve.
    Instance(Endpoint),
}

impl Identity {
    /// `endpoint` is the configured host.
    pub(crate) fn of(backend: &Backend, peer: Option<SocketAddr>, endpoint: &str) -> Self {
        let leaf = leaf(backend);
        Self {
            peer,
            certificate: leaf.map(digest),
            instance: leaf.and_then(|leaf| instance_of(endpoint, &dns_names(leaf))),
        }
    }

    /// Whether this connection leads to it. Where certificates are shared or there is no TLS, they
    /// cannot tell.
    pub(crate) fn is_behind(&self, backend: &Backend) -> bool {
        self.certificate == leaf(backend).map(digest)
    }

    /// A way to it that leads to no other server of the endpoint. `configured` is where the target
    /// is dialled: if it is not the endpoint's own name, its domain says nothing about the path.
    pub(crate) fn shortcut(&self, endpoint: &str, configured: &Endpoint) -> Option<Shortcut> {
        if let Some(peer) = self.peer {
            let place = Endpoint { host: peer.ip().to_string(), port: peer.port() };
            return Some(Shortcut::Peer(place));
        }
        let host = self.instance.clone().filter(|_| configured.host == endpoint)?;
        Some(Shortcut::Instance(Endpoint { host, port: configured.port }))
    }
}

impl Shortcut {
    pub(crate) fn place(&self) -> &Endpoint {
        match self {
            Self::Peer(place) | Self::Instance(place) => place,
        }
    }
}

fn leaf(backend: &Backend) -> Option<&CertificateDer<'static>> {
    let Backend::Tls(stream) = backend else { return None };
    stream.get_ref().1.peer_certificates()?.first()
}

fn digest(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

fn dns_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(parsed) = Certificate::from_der(certificate) else { return Vec::new() };
    let names = parsed.tbs_certificate().get_extension::<SubjectAltName>();
    let Ok(Some((_critical, names))) = names else { return Vec::new() };
    let dns = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
        _ => None,
    };
    names.0.iter().filter_map(dns).collect()
}

/// The one name among a certificate's that is an instance endpoint beside a cluster's endpoint:
/// `NAME.ID.REGION.rds.amazonaws.com` for `….cluster-ID.REGION.rds.amazonaws.com` (or `cluster-ro-`,
/// `cluster-custom-`). None if there is no such name, or more than one.
///
/// Source: Amazon Aurora User Guide, "Amazon Aurora endpoint connections".
fn instance_of(endpoint: &str, names: &[String]) -> Option<String> {
    let endpoint = endpoint.to_ascii_lowercase();
    let (_, domain) = endpoint.split_once('.')?;
    if !DOMAINS.iter().any(|rds| domain.ends_with(rds)) {
        return None;
    }
    let id = CLUSTERS.iter().find_map(|kind| domain.strip_prefix(kind))?;
    let mut instances = names.iter().filter(|name| {
        let own = name.split_once('.').filter(|(_, domain)| *domain == id);
        own.is_some_and(|(own, _)| is_identifier(own))
    });
    let found = instances.next()?;
    instances.all(|other| other == found).then(|| found.clone())
}

/// Letters, digits and hyphens, beginning with a letter: never an option, and no wildcard.
fn is_identifier(label: &str) -> bool {
    label.starts_with(|c: char| c.is_ascii_lowercase())
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

const DOMAINS: [&str; 2] = [".rds.amazonaws.com", ".rds.amazonaws.com.cn"];
/// The longer ones first: `cluster-` is the beginning of all of them.
const CLUSTERS: [&str; 3] = ["cluster-custom-", "cluster-ro-", "cluster-"];

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    const CLUSTER: &str = "dev.cluster-abc1.us-east-1.rds.amazonaws.com";
    const READER: &str = "dev.cluster-ro-abc1.us-east-1.rds.amazonaws.com";
    const CUSTOM: &str = "reports.cluster-custom-abc1.us-east-1.rds.amazonaws.com";
    const ONE: &str = "one-1.abc1.us-east-1.rds.amazonaws.com";

    fn instance(endpoint: &str, names: &[&str]) -> Option<String> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        instance_of(endpoint, &names)
    }

    #[test]
    fn an_instance_is_found_beside_every_kind_of_cluster_endpoint() {
        for endpoint in [CLUSTER, READER, CUSTOM, "DEV.cluster-ro-abc1.us-east-1.RDS.amazonaws.com"]
        {
            assert_eq!(instance(endpoint, &[CLUSTER, READER, ONE]).as_deref(), Some(ONE));
        }
        let (endpoint, one) = (
            "dev.cluster-abc1.cn-north-1.rds.amazonaws.com.cn",
            "one.abc1.cn-north-1.rds.amazonaws.com.cn",
        );
        assert_eq!(instance(endpoint, &[one]).as_deref(), Some(one));
    }

    #[test]
    fn a_name_of_another_domain_or_shape_is_none() {
        for name in [
            "one.abc2.us-east-1.rds.amazonaws.com",
            "one.abc1.us-east-2.rds.amazonaws.com",
            "one.abc1.us-east-1.rds.amazonaws.com.attacker.example",
            "a.one.abc1.us-east-1.rds.amazonaws.com",
            "*.abc1.us-east-1.rds.amazonaws.com",
            "-oProxyCommand.abc1.us-east-1.rds.amazonaws.com",
            "abc1.us-east-1.rds.amazonaws.com",
            CLUSTER,
            READER,
        ] {
            assert_eq!(instance(READER, &[name]), None, "{name}");
        }
        assert_eq!(instance("db.cluster-ro-abc1.example", &["one.abc1.example"]), None);
        assert_eq!(instance(ONE, &[ONE]), None, "it is the endpoint already");
    }

    #[test]
    fn of_two_instances_neither_is_taken() {
        let two = "two.abc1.us-east-1.rds.amazonaws.com";
        assert_eq!(instance(READER, &[ONE, two]), None);
        assert_eq!(instance(READER, &[ONE, ONE]).as_deref(), Some(ONE));
    }

    #[test]
    fn names_are_read_from_a_certificate() {
        let names = vec![READER.to_owned(), ONE.to_owned()];
        let params = CertificateParams::new(names.clone()).unwrap();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(dns_names(certificate.der()), names);
        assert_eq!(dns_names(&CertificateDer::from(vec![1, 2, 3])), Vec::<String>::new());
    }

    #[test]
    fn the_address_of_the_session_goes_before_a_name() {
        let configured = Endpoint { host: READER.to_owned(), port: 5432 };
        let by_name = Identity { instance: Some(ONE.to_owned()), ..Identity::default() };
        let place = Endpoint { host: ONE.to_owned(), port: 5432 };
        assert_eq!(by_name.shortcut(READER, &configured), Some(Shortcut::Instance(place)));
        let elsewhere = Endpoint { host: "127.0.0.1".to_owned(), port: 1 };
        assert_eq!(by_name.shortcut(READER, &elsewhere), None);
        let both = Identity { peer: Some("10.0.0.1:5433".parse().unwrap()), ..by_name };
        let place = Endpoint { host: "10.0.0.1".to_owned(), port: 5433 };
        assert_eq!(both.shortcut(READER, &configured), Some(Shortcut::Peer(place)));
        assert_eq!(Identity::default().shortcut(READER, &configured), None);
    }
}
