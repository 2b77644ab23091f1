//! The authority, and the certificates it issues.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use time::{Duration, OffsetDateTime};

use crate::error::LocalCaError;

/// Clients are told about the authority once and by hand: it should outlast their machines.
const AUTHORITY_DAYS: i64 = 3650;
/// Leaves live in memory and are renewed there. Under the 398 days that some clients demand.
const LEAF_DAYS: i64 = 30;
/// Clocks of containers and virtual machines may be behind.
const CLOCK_SKEW: Duration = Duration::DAY;

/// A certificate authority for loopback names (ECDSA P-256, which old drivers know too).
pub struct LocalCa {
    pub(crate) directory: PathBuf,
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) end: OffsetDateTime,
}

/// A certificate for this machine, and its key.
pub struct Leaf {
    /// The certificate; its issuer is what clients know already.
    pub certificate: CertificateDer<'static>,
    /// Its key.
    pub key: PrivatePkcs8KeyDer<'static>,
    /// When to issue the next one, in seconds since 1970: well before it ends.
    pub renew_at: UnixTime,
}

impl LocalCa {
    /// The file with its certificate: what clients name in `sslrootcert`.
    pub fn certificate_file(&self) -> PathBuf {
        crate::store::certificate_file(&self.directory)
    }

    /// Its last day, as `YYYY-MM-DD`.
    pub fn end(&self) -> String {
        self.end.date().to_string()
    }

    /// Whether it ends within `days`.
    pub fn ends_within(&self, days: u32, now: UnixTime) -> Result<bool, LocalCaError> {
        Ok(self.end - at(now)? < Duration::days(days.into()))
    }

    /// Issues a certificate for `localhost`, 127.0.0.1, `::1` and those of `addresses` that are
    /// loopback too: for others it may not.
    ///
    /// **Errors**: the authority has ended: the user's to solve.
    pub fn issue(&self, addresses: &[IpAddr], now: UnixTime) -> Result<Leaf, LocalCaError> {
        let now = at(now)?;
        if now >= self.end {
            return Err(LocalCaError::Ended { directory: self.directory.clone(), end: self.end() });
        }
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        for address in addresses.iter().filter(|address| address.is_loopback()) {
            let name = address.to_string();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = named("localhost");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Strict verifiers want the issuer named.
        params.use_authority_key_identifier_extension = true;
        params.not_before = now - CLOCK_SKEW;
        params.not_after = self.end.min(now + Duration::days(LEAF_DAYS));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let renew_at = now + (params.not_after - now) * 2 / 3;
        Ok(Leaf {
            certificate: certificate.der().clone(),
            key: key.serialize_der().into(),
            renew_at: since_1970(renew_at),
        })
    }

    pub(crate) fn new(directory: &Path, key: KeyPair, end: OffsetDateTime) -> Self {
        let issuer = Issuer::new(authority(&key, end), key);
        Self { directory: directory.to_owned(), issuer, end }
    }
}

/// The key and the certificate of a new authority, both as PEM.
pub(crate) fn generate(now: UnixTime) -> Result<(KeyPair, String), LocalCaError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let now = at(now)?;
    let mut params = authority(&key, now + Duration::days(AUTHORITY_DAYS));
    params.not_before = now - CLOCK_SKEW;
    let pem = params.self_signed(&key)?.pem();
    Ok((key, pem))
}

/// What the authority's certificate says. All but the dates follows from the key, so that nothing
/// has to be read back from the certificate.
fn authority(key: &KeyPair, end: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    // Trust stores tell authorities apart by name: each has its own.
    let id = params.key_identifier(key);
    let id = id.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    params.distinguished_name = named(&format!("pgferry local CA {id:08x}"));
    params.not_after = end;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(
                std::net::Ipv6Addr::LOCALHOST.octets(),
                128,
            )),
        ],
        excluded_subtrees: Vec::new(),
    });
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn at(now: UnixTime) -> Result<OffsetDateTime, LocalCaError> {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| rcgen::Error::Time.into())
}

fn since_1970(at: OffsetDateTime) -> UnixTime {
    let seconds = u64::try_from(at.unix_timestamp()).unwrap_or_default();
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use x509_cert::Certificate;
    use x509_cert::der::Decode as _;

    use super::*;

    fn day(number: u64) -> UnixTime {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(86_400 * number))
    }

    fn made(on: UnixTime) -> LocalCa {
        let (key, _) = generate(on).unwrap();
        LocalCa::new(Path::new("/ca"), key, at(on).unwrap() + Duration::days(AUTHORITY_DAYS))
    }

    #[test]
    fn a_leaf_is_renewed_before_it_ends_and_never_outlasts_its_authority() {
        let ca = made(day(20_000));
        let leaf = ca.issue(&[], day(20_000)).unwrap();
        assert_eq!(leaf.renew_at, day(20_020));
        let last = ca.issue(&[], day(20_000 + 3_647)).unwrap();
        let parsed = Certificate::from_der(&last.certificate).unwrap();
        let not_after = parsed.tbs_certificate().validity().not_after.to_unix_duration();
        assert_eq!(not_after.as_secs(), day(20_000 + 3_650).as_secs());
        assert!(last.renew_at < day(20_000 + 3_650));
        assert!(ca.ends_within(30, day(20_000 + 3_647)).unwrap());
        assert!(!ca.ends_within(30, day(20_000)).unwrap());
    }

    #[test]
    fn an_authority_that_has_ended_issues_nothing_and_says_since_when() {
        let ca = made(day(0));
        let error = ca.issue(&[], day(3_650)).err().unwrap();
        assert!(error.to_string().contains("ended on 1979-12-30"), "{error}");
    }

    #[test]
    fn addresses_that_are_not_loopback_are_left_out() {
        let addresses = ["127.0.0.2", "192.0.2.1"].map(|address| address.parse().unwrap());
        let leaf = made(day(20_000)).issue(&addresses, day(20_000)).unwrap();
        let der = leaf.certificate.as_ref();
        let holds = |octets: &[u8]| der.windows(octets.len()).any(|window| window == octets);
        // An iPAddress of a subjectAltName: context tag 7, four octets.
        assert!(holds(&[0x87, 4, 127, 0, 0, 2]) && !holds(&[0x87, 4, 192, 0, 2, 1]));
    }
}
