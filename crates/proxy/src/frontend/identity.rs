//! The certificate that a target shows to applications: the user's own, or one of the local CA.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use pgferry_config::{Listen, LocalIdentity};
use pgferry_local_ca::{LocalCa, LocalCaError};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::tls::Shown;
use crate::certificate::{self, CertificateError};

/// TLS towards applications.
pub(crate) struct LocalTls {
    identity: Identity,
    /// Whether sessions without it are refused.
    pub(crate) required: bool,
}

enum Identity {
    Own(Arc<Shown>),
    Issued(Box<Issued>),
}

/// The local CA, and the certificate it issued last. That one is short-lived, and pgferry may run
/// for long: whoever finds it old gets a new one, sessions that have it keep it.
struct Issued {
    ca: LocalCa,
    addresses: Vec<IpAddr>,
    clock: Arc<dyn TimeProvider>,
    latest: Mutex<(Arc<Shown>, UnixTime)>,
}

/// A certificate that cannot be shown. The user's fault, found at the start.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The user's own.
    #[error(transparent)]
    Own(#[from] CertificateError),
    /// The local CA.
    #[error(transparent)]
    LocalCa(#[from] LocalCaError),
    /// The certificate of the local CA.
    #[error("the local CA's certificate cannot be used: {0}")]
    Issued(rustls::Error),
    /// The system has no time.
    #[error("the system does not know what time it is")]
    NoTime,
}

/// Says that a certificate ends so many days before it does.
const NOTICE_DAYS: u32 = 14;
const DAY: u64 = 86_400;

impl LocalTls {
    /// Reads certificate and key, or opens the local CA and has it issue a certificate.
    pub(crate) fn new(
        plan: &pgferry_config::LocalTls,
        listen: &[Listen],
    ) -> Result<Self, IdentityError> {
        let identity = match &plan.identity {
            LocalIdentity::Certificate { cert_file, key_file } => {
                Identity::Own(Arc::new(own(cert_file, key_file)?))
            }
            LocalIdentity::LocalCa { directory } => {
                let addresses = listen.iter().filter_map(address).collect();
                let ca = LocalCa::open(directory)?;
                Identity::Issued(Box::new(Issued::new(
                    ca,
                    addresses,
                    Arc::new(DefaultTimeProvider),
                )?))
            }
        };
        Ok(Self { identity, required: plan.required })
    }

    /// What to show to an application that connects now.
    pub(crate) fn shown(&self) -> Arc<Shown> {
        match &self.identity {
            Identity::Own(shown) => Arc::clone(shown),
            Identity::Issued(issued) => issued.shown(),
        }
    }
}

impl Issued {
    fn new(
        ca: LocalCa,
        addresses: Vec<IpAddr>,
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Self, IdentityError> {
        let now = clock.current_time().ok_or(IdentityError::NoTime)?;
        let latest = Mutex::new(issue(&ca, &addresses, now)?);
        Ok(Self { ca, addresses, clock, latest })
    }

    /// The latest certificate, renewed if it is time. If that fails the old one goes on: it says
    /// itself when it has ended.
    fn shown(&self) -> Arc<Shown> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = self.clock.current_time().filter(|now| *now >= latest.1) {
            match issue(&self.ca, &self.addresses, now) {
                Ok(renewed) => *latest = renewed,
                Err(error) => tracing::warn!(%error, "the local certificate was not renewed"),
            }
        }
        Arc::clone(&latest.0)
    }
}

fn issue(
    ca: &LocalCa,
    addresses: &[IpAddr],
    now: UnixTime,
) -> Result<(Arc<Shown>, UnixTime), IdentityError> {
    let leaf = ca.issue(addresses, now)?;
    let provider = provider();
    let certificate = CertifiedKey::from_der(vec![leaf.certificate], leaf.key.into(), &provider)
        .map_err(IdentityError::Issued)?;
    let shown = Shown::new(certificate, provider).map_err(IdentityError::Issued)?;
    Ok((Arc::new(shown), leaf.renew_at))
}

fn own(cert_file: &Path, key_file: &Path) -> Result<Shown, IdentityError> {
    let certificate = certificate::read(cert_file, key_file)?;
    Shown::new(certificate, provider())
        .map_err(|source| CertificateError::of(source, cert_file, key_file).into())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn address(listen: &Listen) -> Option<IpAddr> {
    match listen {
        Listen::Tcp(address) => Some(address.ip()),
        Listen::Unix { .. } => None,
    }
}

/// What a user should know about a target's TLS towards applications, though it can be served.
pub(crate) fn warnings(plan: &pgferry_config::Target, now: UnixTime) -> Vec<String> {
    let reachable = || plan.listen.iter().filter(|listen| !listen.is_local());
    let mut warnings = Vec::new();
    match plan.local_tls.as_ref().map(|tls| &tls.identity) {
        None => warnings.extend(reachable().map(|listen| {
            format!(
                "{listen} can be reached from other machines, and statements and rows go there \
                 in the clear: set local_tls"
            )
        })),
        Some(LocalIdentity::LocalCa { directory }) => {
            warnings.extend(reachable().map(|listen| {
                format!(
                    "the local CA signs for loopback names alone: clients of {listen} cannot use \
                     sslmode=verify-full, only verify-ca; for others set local_tls to a \
                     certificate of your own"
                )
            }));
            let ca = LocalCa::open(directory).ok();
            let ending = ca.filter(|ca| ca.ends_within(NOTICE_DAYS, now).unwrap_or(false));
            warnings.extend(ending.map(|ca| {
                let directory = directory.display();
                format!("the local CA in {directory} ends on {}", ca.end())
            }));
        }
        Some(LocalIdentity::Certificate { cert_file, .. }) => {
            warnings.extend(validity_warning(cert_file, now));
        }
    }
    warnings
}

/// Expired certificates are shown all the same: clients that do not verify never mind.
fn validity_warning(cert_file: &Path, now: UnixTime) -> Option<String> {
    let der = CertificateDer::from_pem_file(cert_file).ok()?;
    let parsed = Certificate::from_der(&der).ok()?;
    let validity = parsed.tbs_certificate().validity();
    let (begin, end) = (validity.not_before, validity.not_after);
    let left = end.to_unix_duration().as_secs().checked_sub(now.as_secs());
    let file = cert_file.display();
    match left {
        None => {
            Some(format!("the certificate in {file} ended on {end}: clients that verify refuse it"))
        }
        Some(_) if begin.to_unix_duration().as_secs() > now.as_secs() => Some(format!(
            "the certificate in {file} begins on {begin}: clients refuse it till then"
        )),
        Some(left) if left < u64::from(NOTICE_DAYS) * DAY => {
            Some(format!("the certificate in {file} ends on {end}"))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    /// A clock that is set by hand.
    #[derive(Debug, Default)]
    struct Clock(AtomicU64);

    impl TimeProvider for Clock {
        fn current_time(&self) -> Option<UnixTime> {
            Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
        }
    }

    #[test]
    fn a_certificate_of_the_local_ca_is_renewed_in_a_long_run() {
        let clock = Arc::new(Clock(AtomicU64::new(20_000 * DAY)));
        let home = tempfile::tempdir().unwrap();
        let now = clock.current_time().unwrap();
        let (ca, _) = LocalCa::make(&home.path().join("local-ca"), now).unwrap();
        let issued = Issued::new(ca, Vec::new(), clock.clone()).unwrap();
        let first = issued.shown();
        clock.0.store(20_019 * DAY, Ordering::Relaxed);
        assert!(Arc::ptr_eq(&first, &issued.shown()));
        clock.0.store(20_020 * DAY, Ordering::Relaxed);
        let second = issued.shown();
        assert_ne!(first.end_point, second.end_point);
        assert!(Arc::ptr_eq(&second, &issued.shown()));
        // The authority itself has ended: what there is goes on.
        clock.0.store(24_000 * DAY, Ordering::Relaxed);
        assert!(Arc::ptr_eq(&second, &issued.shown()));
    }
}
