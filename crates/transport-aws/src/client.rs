//! What the clients of all services have in common.

use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider as TlsProvider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use pgferry_transport_sdk::Error;

use crate::keys::{Keys, Provider};
use crate::program::Program;
use crate::proxy::Proxy;
use crate::roots::Roots;

/// The SDK's way to AWS: TLS that believes `roots`, through the proxy if there is one. The variables of
/// the process are not looked at.
///
/// Errors: denied, about certificates or the proxy.
pub fn http_client(roots: &Roots, proxy: Option<&Proxy>) -> Result<SharedHttpClient, Error> {
    let tls = roots.context()?;
    let proxy = proxy.map(Proxy::for_calls).transpose()?.unwrap_or_else(ProxyConfig::disabled);
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder()
            .proxy_config(proxy.clone())
            .tls_provider(TlsProvider::Rustls(CryptoMode::AwsLc))
            .tls_context(tls.clone());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.build()
    }))
}

/// The keys, as a client of the SDK asks for them. Its own cache is to be switched off
/// (`IdentityCache::no_cache`): the keys are one already, and can be told to forget.
pub fn provider<P: Program>(keys: &Arc<Keys<P>>) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Provider(Arc::clone(keys)))
}
