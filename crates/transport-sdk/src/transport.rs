//! The trait a plugin implements.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Context, Error, Flags, Host, Stream, Target};

/// One instance of a transport: what a `[transports.NAME]` table of the configuration makes.
///
/// ```
/// use std::sync::Arc;
/// use pgferry_transport_sdk::{Context, Error, Host, Stream, Target, Transport, export_transport};
///
/// pub struct Tcp;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// pub struct Config {}
///
/// impl Transport for Tcp {
///     type Config = Config;
///     const ABOUT: &'static str = "plain TCP";
///
///     fn create(_: Config, _: Host) -> Result<Self, Error> {
///         Ok(Self)
///     }
///
///     async fn open(self: &Arc<Self>, target: Target, _: Context) -> Result<Stream, Error> {
///         let address = (target.host.as_str(), target.port);
///         Stream::tcp(tokio::net::TcpStream::connect(address).await?)
///     }
/// }
///
/// export_transport!(Tcp, "tcp_doc");
/// # fn main() {}
/// ```
pub trait Transport: Send + Sync + Sized + 'static {
    /// What a user may write. Derive it with `#[serde(deny_unknown_fields)]`, so that a misspelt key
    /// stops the start instead of being ignored. It holds no secrets: those come from
    /// [`Context::secret`].
    type Config: DeserializeOwned + JsonSchema;

    /// What kind of transport it is.
    const FLAGS: Flags = Flags::NONE;

    /// One line for a person.
    const ABOUT: &'static str;

    /// Effect: makes an instance, without network I/O, in well under a second. Runs inside the
    /// runtime, so that things like timers may be made.
    ///
    /// Errors: `CONFIG` for what the user has to correct.
    fn create(config: Self::Config, host: Host) -> Result<Self, Error>;

    /// Effect: opens one path to the target.
    ///
    /// Errors: the status decides what the application sees and whether it is tried again; the
    /// message is one line, lower case, without a secret and without a dot at the end.
    ///
    /// Cancel safety: dropped when the host gives up or the deadline passes, so it has to be safe to
    /// drop at every await.
    fn open(
        self: &Arc<Self>,
        target: Target,
        cx: Context,
    ) -> impl Future<Output = Result<Stream, Error>> + Send;

    /// Effect: says goodbye (closes shared sessions) after the last stream ended. Has what is left
    /// of the 5 s a destroy may take. Tasks of [`Host::spawn`] are still running.
    ///
    /// Cancel safety: dropped when the time is over.
    fn shutdown(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}
