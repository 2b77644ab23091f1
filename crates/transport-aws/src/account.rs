//! Where AWS is, as the program says it.

use std::path::PathBuf;

use pgferry_transport_sdk::Error;
use serde::Deserialize;

use crate::program::Program;

/// Where AWS is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// As in `eu-central-1`; never empty.
    pub region: String,
    /// Instead of the service's own address.
    #[serde(default)]
    pub endpoint_url: Option<String>,
    /// The certificates to trust instead of the system's.
    #[serde(default)]
    pub ca_bundle: Option<PathBuf>,
    /// The proxy on the way to everything that is reached by TLS.
    #[serde(default)]
    pub https_proxy: Option<String>,
}

impl Account {
    /// Asks the program for it.
    ///
    /// Errors: the program's; internal if it is none of what the contract says.
    pub async fn ask(program: &impl Program) -> Result<Self, Error> {
        let text = program.secret("aws:config").await?;
        let account: Self = serde_json::from_str(&text)
            .map_err(|error| Error::internal(format!("the program's aws:config: {error}")))?;
        if account.region.is_empty() {
            return Err(Error::denied("no AWS region is known for this transport").with_hint(
                "set region for it, AWS_REGION, or region in the profile of ~/.aws/config",
            ));
        }
        Ok(account)
    }

    /// Whether the person has chosen to speak to AWS without TLS, which only simulations of it allow.
    pub fn is_plain(&self) -> bool {
        self.endpoint_url.as_ref().is_some_and(|url| url.starts_with("http://"))
    }
}
