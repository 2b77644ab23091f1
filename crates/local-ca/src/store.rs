//! The directory that holds the authority: `ca.pem`, and `ca.key` for its owner alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rcgen::KeyPair;
use rustix::io::Errno;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use zeroize::Zeroizing;

use crate::authority::{self, LocalCa};
use crate::error::LocalCaError;

/// What [`LocalCa::make`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It made the authority.
    Now,
    /// There was one already.
    Before,
}

/// The certificate of the authority in a directory: what clients name in `sslrootcert`.
pub fn certificate_file(directory: &Path) -> PathBuf {
    directory.join("ca.pem")
}

fn key_file(directory: &Path) -> PathBuf {
    directory.join("ca.key")
}

impl LocalCa {
    /// Opens the authority of a directory, and makes it first if there is none. Its files appear
    /// together or not at all; of two processes that make it at once both get the same one.
    ///
    /// **Errors**: the directory cannot be written, or holds something else: the user's to solve.
    pub fn make(directory: &Path, now: UnixTime) -> Result<(Self, Made), LocalCaError> {
        match Self::open(directory) {
            Err(LocalCaError::NotMade(_)) => {}
            opened => return Ok((opened?, Made::Before)),
        }
        let failed = |source| LocalCaError::Io { file: directory.to_owned(), source };
        let parent = directory.parent().unwrap_or(directory);
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        let (key, certificate) = authority::generate(now)?;
        // For its owner alone from the start.
        let new = tempfile::Builder::new()
            .prefix(".local-ca.")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(failed)?;
        let pem = Zeroizing::new(key.serialize_pem());
        write(&key_file(new.path()), pem.as_bytes(), 0o600).map_err(failed)?;
        write(&certificate_file(new.path()), certificate.as_bytes(), 0o644).map_err(failed)?;
        let made = match fs::rename(new.path(), directory) {
            Ok(()) => Made::Now,
            Err(error) if is_there_already(&error) => Made::Before,
            Err(error) => return Err(failed(error)),
        };
        match Self::open(directory) {
            Err(LocalCaError::NotMade(_)) => {
                Err(damaged(&key_file(directory), "is missing, and the directory is not empty"))
            }
            opened => Ok((opened?, made)),
        }
    }

    /// Opens the authority of a directory.
    ///
    /// **Errors**: none was made, its files are damaged or others can read its key: the user's to
    /// solve.
    pub fn open(directory: &Path) -> Result<Self, LocalCaError> {
        let file = key_file(directory);
        let text = match private(&file) {
            Err(LocalCaError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(LocalCaError::NotMade(directory.to_owned()));
            }
            text => text?,
        };
        let key = KeyPair::from_pem(&text)
            .map_err(|_| damaged(&file, "is no private key that pgferry has made"))?;
        let end = end(&certificate_file(directory), &key)?;
        Ok(Self::new(directory, key, end))
    }
}

fn write(file: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn is_there_already(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOTEMPTY | Errno::EXIST))
}

/// The text of a file that nobody else can read.
fn private(file: &Path) -> Result<Zeroizing<String>, LocalCaError> {
    let failed = |source| LocalCaError::Io { file: file.to_owned(), source };
    let mode = fs::metadata(file).map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(LocalCaError::Open { file: file.to_owned(), mode });
    }
    fs::read_to_string(file).map(Zeroizing::new).map_err(failed)
}

/// When the certificate of this key ends.
fn end(file: &Path, key: &KeyPair) -> Result<OffsetDateTime, LocalCaError> {
    let der = CertificateDer::from_pem_file(file)
        .map_err(|error| damaged(file, &format!("no certificate can be read: {error}")))?;
    let parsed = Certificate::from_der(&der)
        .map_err(|error| damaged(file, &format!("the certificate is damaged: {error}")))?;
    let certificate = parsed.tbs_certificate();
    let public = certificate.subject_public_key_info().subject_public_key.raw_bytes();
    if public != key.public_key_raw() {
        return Err(damaged(file, "the certificate belongs to another key than ca.key"));
    }
    let seconds = certificate.validity().not_after.to_unix_duration().as_secs();
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or_else(|| damaged(file, "the certificate has no end that makes sense"))
}

fn damaged(file: &Path, why: &str) -> LocalCaError {
    LocalCaError::Damaged { file: file.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_790_000_000));

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn it_is_made_once_and_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("share/pgferry/local-ca");
        assert!(matches!(LocalCa::open(&directory), Err(LocalCaError::NotMade(_))));
        assert_eq!(LocalCa::make(&directory, NOW).unwrap().1, Made::Now);
        let certificate = fs::read(certificate_file(&directory)).unwrap();
        assert_eq!(LocalCa::make(&directory, NOW).unwrap().1, Made::Before);
        assert_eq!(fs::read(certificate_file(&directory)).unwrap(), certificate);
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&key_file(&directory)), 0o600);
        let beside = fs::read_dir(directory.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "nothing is left behind");
    }

    #[test]
    fn those_who_make_it_at_once_get_the_same_one() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("local-ca");
        let made: Vec<Made> = std::thread::scope(|scope| {
            let make = || LocalCa::make(&directory, NOW).unwrap().1;
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert_eq!(made.iter().filter(|made| **made == Made::Now).count(), 1);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_fix() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("local-ca");
        LocalCa::make(&directory, NOW).unwrap();
        let key = key_file(&directory);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        let error = LocalCa::open(&directory).err().unwrap().to_string();
        assert!(error.contains("mode 0640") && error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_damaged_authority_is_named_and_never_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let (one, two) = (home.path().join("one"), home.path().join("two"));
        LocalCa::make(&one, NOW).unwrap();
        LocalCa::make(&two, NOW).unwrap();
        let file = certificate_file(&one);
        fs::copy(certificate_file(&two), &file).unwrap();
        let error = LocalCa::make(&one, NOW).err().unwrap().to_string();
        assert!(error.contains("belongs to another key"), "{error}");
        fs::write(&file, "rubbish").unwrap();
        let error = LocalCa::make(&one, NOW).err().unwrap().to_string();
        assert!(error.contains("ca.pem") && error.contains("no certificate"), "{error}");
        fs::write(key_file(&one), "rubbish").unwrap();
        let error = LocalCa::make(&one, NOW).err().unwrap().to_string();
        assert!(error.contains("ca.key") && error.contains("no private key"), "{error}");
        fs::remove_file(key_file(&one)).unwrap();
        let error = LocalCa::make(&one, NOW).err().unwrap().to_string();
        assert!(error.contains("ca.key: is missing"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "rubbish");
    }
}
