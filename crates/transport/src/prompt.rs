//! Asking a person for a secret that the configuration does not grant.

use std::io;

use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// Somebody at a terminal.
pub trait Prompt: Send + Sync {
    /// Shows `question` and gives what was typed. Blocks until then, or until shortly after
    /// `withdrawn` is cancelled.
    ///
    /// **Errors**: nobody is there, or nobody answered.
    fn ask(
        &self,
        question: &str,
        withdrawn: &CancellationToken,
    ) -> Result<Zeroizing<Vec<u8>>, PromptError>;
}

/// Why nothing was typed.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// There is no terminal to ask at.
    #[error("there is no terminal to ask at")]
    NoTerminal,
    /// The program is on its way out.
    #[error("shutting down")]
    Withdrawn,
    /// The person has left, or declined.
    #[error("nobody answered at the terminal")]
    Unanswered,
    /// The terminal failed.
    #[error("the terminal cannot be used: {0}")]
    Unusable(#[from] io::Error),
}
