//! Which plugins this program has, and where it looks for others.

use std::collections::BTreeMap;
use std::sync::Arc;

use pgferry_aws::Aws;
use pgferry_config::{SecretSource, Transport};
use pgferry_transport::{Entry, InstanceSpec, Prompt, SearchPath, SecretService};
use pgferry_transport_abi::{ABI_MAJOR, ABI_MINOR};

use crate::args::PluginDirectories;
use crate::aws_secrets::AwsSecrets;

/// The transports linked in.
pub(crate) fn linked() -> Vec<(&'static str, Entry)> {
    vec![
        #[cfg(feature = "data-api")]
        ("data-api", pgferry_transport_data_api::entry()),
        #[cfg(feature = "ssh")]
        ("ssh", pgferry_transport_ssh::entry()),
        #[cfg(feature = "ssm")]
        ("ssm", pgferry_transport_ssm::entry()),
    ]
}

/// The version of the transport contract that this program speaks.
pub(crate) fn contract() -> String {
    format!("{ABI_MAJOR}.{ABI_MINOR}")
}

/// Where libraries are looked for.
pub(crate) fn search_path(directories: &PluginDirectories) -> SearchPath {
    if directories.no_plugins {
        return SearchPath::disabled();
    }
    let absolute = directories
        .directories
        .iter()
        .filter(|directory| !directory.as_os_str().is_empty())
        .map(|directory| std::path::absolute(directory).unwrap_or_else(|_| directory.clone()));
    SearchPath::from_env(absolute.collect())
}

/// A configured transport in the host's terms.
pub(crate) fn instance_spec(
    transport: Transport,
    prompt: Option<&Arc<dyn Prompt>>,
    aws: &Aws,
) -> InstanceSpec {
    let service = transport.aws.as_ref().map(|whose| {
        let secrets: Arc<dyn SecretService> = Arc::new(AwsSecrets::of(aws, whose));
        secrets
    });
    let secrets: BTreeMap<_, _> = transport
        .secrets
        .into_iter()
        .filter_map(|(name, source)| match source {
            SecretSource::Env(variable) => {
                Some((name, pgferry_transport::SecretSource::Env(variable)))
            }
            SecretSource::File(file) => Some((name, pgferry_transport::SecretSource::File(file))),
            // The schema has no literal secrets for transports.
            SecretSource::Literal(_) => None,
        })
        .collect();
    InstanceSpec {
        name: transport.name,
        kind: transport.kind,
        path: transport.path,
        sha256: transport.sha256,
        config: transport.config,
        secrets,
        service,
        prompt: prompt.cloned(),
        via: transport.via,
        max_concurrent_opens: transport.max_opens,
    }
}
