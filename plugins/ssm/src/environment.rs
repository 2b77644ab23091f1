//! What the tunnel needs of the program around it: the seam at which tests put their own.

use std::future::Future;
use std::time::Duration;

use pgferry_transport_aws::Program;
use pgferry_transport_sdk::{Error, State};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::figure::Figure;

/// The services of the program that carries the tunnel. Its clones are the same program.
pub trait Environment: Program {
    /// A connected socket to the service, or to what leads there.
    type Socket: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static;

    /// Connects within `limit`.
    ///
    /// Errors: unreachable or timeout, in the words of the one who dialled.
    /// Cancel safety: dropping the future gives the attempt up.
    fn dial(
        &self,
        host: &str,
        port: u16,
        limit: Duration,
    ) -> impl Future<Output = Result<Self::Socket, Error>> + Send;

    /// Reports that the sessions work, or that they don't and why.
    fn report(&self, state: State, text: &str);

    /// Adds to a counter, sets a gauge, or observes a value.
    fn record(&self, figure: Figure, value: f64);

    /// Runs a task that belongs to no single client and ends with the transport.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}
