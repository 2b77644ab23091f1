//! What can be wrong with the local CA.

use std::io;
use std::path::PathBuf;

/// A local CA that cannot be used. The user's to mend, but for [`Self::Signing`]; the text says how.
#[derive(Debug, thiserror::Error)]
pub enum LocalCaError {
    /// There is none yet.
    #[error("there is no local CA in {} yet; make it with: pgferry local-ca", .0.display())]
    NotMade(PathBuf),
    /// A file or directory cannot be used.
    #[error("{}: {source}", .file.display())]
    Io {
        /// The file or directory.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can read its key.
    #[error(
        "{file} holds the local CA's key and can be read by others (mode {mode:04o}); run: chmod \
         600 {file}",
        file = .file.display()
    )]
    Open {
        /// The key's file.
        file: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error(
        "{}: {why}; remove the directory, make a new local CA with `pgferry local-ca`, and give its \
         certificate to the clients again",
        .file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Its time is over.
    #[error(
        "the local CA in {} ended on {end}; remove the directory, make a new one with `pgferry \
         local-ca`, and give its certificate to the clients again",
        .directory.display()
    )]
    Ended {
        /// Where it is.
        directory: PathBuf,
        /// The day.
        end: String,
    },
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Signing(#[from] rcgen::Error),
}
