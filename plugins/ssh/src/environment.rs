//! What the tunnel needs of the program around it: the seam at which tests put their own.

use std::future::Future;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use pgferry_transport_aws::Program;
use pgferry_transport_sdk::{Error, State};
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

/// The services of the program that carries the tunnel. Its clones are the same program.
///
/// Of AWS, and of the time, it knows what [`Program`] asks for; the former is needed for EC2 Instance Connect alone.
pub trait Environment: Program {
    /// A connected socket to the bastion, or to what leads there.
    type Stream: AsyncRead + AsyncWrite + AsFd + Send + Unpin + 'static;

    /// Connects to the bastion within `limit`.
    ///
    /// Errors: unreachable or timeout, in the words of the one who dialled.
    /// Cancel safety: dropping the future gives the attempt up.
    fn dial(
        &self,
        host: &str,
        port: u16,
        limit: Duration,
    ) -> impl Future<Output = Result<Self::Stream, Error>> + Send;

    /// The passphrase of an encrypted key file: the one granted to this transport, or what a person
    /// types who is asked for it in these words, after seconds or minutes.
    ///
    /// Errors: none was granted and nobody can be asked, or its source failed.
    fn passphrase(
        &self,
        words: &str,
    ) -> impl Future<Output = Result<Zeroizing<String>, Error>> + Send;

    /// Where the ssh-agent listens, if there is one.
    fn agent_socket(&self) -> Option<PathBuf>;

    /// Reports that the bastion connection is up, or down and why.
    fn report(&self, state: State, text: &str);

    /// Runs a task that belongs to no single client and ends with the transport.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}
