//! What can go wrong while a throwaway server is set up.

use std::{io, time::Duration};

/// Why a simulator could not do what was asked. The fault is always this machine's or this crate's,
/// never that of the code under test.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program this crate runs is not installed.
    #[error(
        "`{tool}` was not found; on Debian: apt-get install --no-install-recommends {package} \
         (or run scripts/install-tools.sh)"
    )]
    MissingTool {
        /// The program.
        tool: String,
        /// The Debian package that carries it.
        package: &'static str,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The refusal.
        source: io::Error,
    },
    /// A program ended with a failure; its output says why.
    #[error("{program} failed ({status}):\n{output}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// What it wrote.
        output: String,
    },
    /// A server ended before the awaited line appeared in its log.
    #[error("{program} ended while waiting for {awaited:?}; its log:\n{log}")]
    Ended {
        /// The server.
        program: String,
        /// The text that was awaited.
        awaited: String,
        /// The log so far.
        log: String,
    },
    /// The awaited line did not appear in time.
    #[error("{program} did not say {awaited:?} within {limit:?}; its log:\n{log}")]
    Silent {
        /// The server.
        program: String,
        /// The text that was awaited.
        awaited: String,
        /// How long it was waited for.
        limit: Duration,
        /// The log so far.
        log: String,
    },
    /// No free port was found in several attempts.
    #[error("every port tried for {program} was taken by someone else at the last moment")]
    NoPort {
        /// The server.
        program: &'static str,
    },
    /// A certificate could not be made.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A process did not end in time.
    #[error("{program} did not end within {limit:?}")]
    StillRunning {
        /// The process.
        program: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The awaited number of bytes did not pass in time.
    #[error("{passed} of {awaited} bytes passed within {limit:?}")]
    TooFewBytes {
        /// Bytes that did pass.
        passed: u64,
        /// Bytes waited for.
        awaited: u64,
        /// How long they were waited for.
        limit: Duration,
    },
}

/// Adds the sentence to an operating system error.
pub(crate) trait Context<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what: what(), source: source.into() })
    }
}
