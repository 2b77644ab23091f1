//! Why the demo did not come to its end.

use std::io;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(
        "usage: pgferry-demo-world --pgferry PROGRAM --ssh-plugin LIBRARY --ssm-plugin LIBRARY [--once]"
    )]
    Usage,
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Simulator(#[from] pgferry_simulators::Error),
    #[error("{0}: {1}")]
    Io(&'static str, io::Error),
    #[error("{program} failed:\n{output}")]
    Client { program: String, output: String },
    #[error("pgferry ended:\n{0}")]
    FerryEnded(String),
    #[error("{0}")]
    Unexpected(String),
}

impl Failure {
    /// 130 is what a shell reports for a program that Ctrl-C ended.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Interrupted => 130,
            _ => 1,
        }
    }
}
