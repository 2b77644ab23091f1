//! A signed WebSocket to the service.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use pgferry_transport_aws::Proxy;
use pgferry_transport_sdk::Error;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::environment::Environment;
use crate::refusal;

/// A WebSocket over whatever leads to the service.
pub(crate) type Socket = WebSocketStream<Box<dyn Duplex>>;

/// A byte stream in both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for S {}

/// How to dial the data channel.
pub(crate) struct Dialler {
    pub(crate) region: String,
    /// None: plain connections, which only simulations of AWS have.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) proxy: Option<Proxy>,
    /// Instead of the host that the service names.
    pub(crate) endpoint: Option<String>,
    pub(crate) signs: bool,
}

impl Dialler {
    /// Connects to `url`, signed with `keys`, and sends `opening` as the first message.
    ///
    /// Errors: whose fault it is, and which step.
    ///
    /// Cancel safety: dropping it gives the attempt up; the token in `opening` may be used up.
    pub(crate) async fn dial(
        &self,
        url: &str,
        opening: String,
        keys: &Credentials,
        environment: &impl Environment,
    ) -> Result<Socket, Error> {
        let address = Address::parse(url, self.endpoint.as_deref(), self.tls.is_none())?;
        let request = self.request(&address, keys, environment)?;
        let late = || Error::timeout(format!("{} did not answer in time", address.host));
        let connecting = Box::pin(self.connect(&address, environment));
        let stream = timeout(CONNECT_LIMIT, connecting).await.map_err(|_| late())??;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(pgferry_ssm_protocol::MAX_FRAME))
            .max_frame_size(Some(pgferry_ssm_protocol::MAX_FRAME));
        let upgrade = Box::pin(client_async_with_config(request, stream, Some(config)));
        let (mut socket, _) = timeout(UPGRADE_LIMIT, upgrade)
            .await
            .map_err(|_| late())?
            .map_err(|error| refusal::upgrade(&error, &address.host))?;
        let sending = futures_util::SinkExt::send(&mut socket, Message::text(opening));
        timeout(UPGRADE_LIMIT, sending)
            .await
            .map_err(|_| late())?
            .map_err(|error| refusal::upgrade(&error, &address.host))?;
        Ok(socket)
    }

    async fn connect(
        &self,
        address: &Address,
        environment: &impl Environment,
    ) -> Result<Box<dyn Duplex>, Error> {
        let Some(tls) = &self.tls else {
            let socket = environment.dial(&address.host, address.port, CONNECT_LIMIT).await;
            return Ok(Box::new(socket.map_err(refusal::not_there)?));
        };
        let (host, port) = match &self.proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => (address.host.as_str(), address.port),
        };
        let socket = environment.dial(host, port, CONNECT_LIMIT).await;
        let mut socket = socket.map_err(refusal::not_there)?;
        if let Some(proxy) = &self.proxy {
            proxy.connect(&mut socket, &address.host, address.port).await?;
        }
        let name = ServerName::try_from(address.host.clone())
            .map_err(|_| Error::protocol(format!("{:?} is no host name", address.host)))?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, socket).await;
        Ok(Box::new(stream.map_err(|error| refusal::tls(&error, &address.host))?))
    }

    /// The request for the upgrade. Only Host and the signature's own headers are signed.
    ///
    /// Source: `communicator/websocketchannel.go` of aws/session-manager-plugin.
    fn request(
        &self,
        address: &Address,
        keys: &Credentials,
        environment: &impl Environment,
    ) -> Result<Request, Error> {
        let unusable = |error: &dyn std::fmt::Display| {
            Error::internal(format!("the address of the data channel cannot be used: {error}"))
        };
        let uri: Uri = address.url.parse().map_err(|error| unusable(&error))?;
        let mut request = uri.into_client_request().map_err(|error| unusable(&error))?;
        if !self.signs || is_presigned(&address.url) {
            return Ok(request);
        }
        let identity = keys.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("ssmmessages")
            .time(environment.now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unusable(&error))?
            .into();
        let host = std::iter::once(("host", address.authority.as_str()));
        let signable =
            SignableRequest::new("GET", address.url.as_str(), host, SignableBody::Bytes(&[]))
                .map_err(|error| unusable(&error))?;
        let signed = sign(signable, &params).map_err(|error| unusable(&error))?;
        signed.into_parts().0.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// Where a data channel is.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    /// Whole: path and query as the service gave them.
    url: String,
    authority: String,
    host: String,
    port: u16,
}

impl Address {
    fn parse(url: &str, endpoint: Option<&str>, plain: bool) -> Result<Self, Error> {
        let wrong = || Error::protocol("the service named no usable address for the data channel");
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        if scheme != if plain { "ws" } else { "wss" } {
            return Err(wrong());
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (named, path) = rest.split_at(end);
        let authority = endpoint.unwrap_or(named);
        let url = format!("{scheme}://{authority}{path}");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        if authority.contains('@') {
            return Err(wrong());
        }
        let port = uri.port_u16().unwrap_or(if plain { 80 } else { 443 });
        Ok(Self { authority: authority.to_owned(), host, port, url })
    }
}

/// Source: `isPresignedURL` in `communicator/websocketchannel.go` of aws/session-manager-plugin.
fn is_presigned(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        PRESIGNED.iter().any(|known| name.eq_ignore_ascii_case(known))
    })
}

const PRESIGNED: &[&str] = &[
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
];
/// Name, TCP, proxy and TLS.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const UPGRADE_LIMIT: Duration = Duration::from_secs(10);
/// Messages are about a kilobyte; it is held for each session.
const READ_BUFFER: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/jo-1?role=publish_subscribe&cell-number=AAEB%2Bx";

    #[test]
    fn the_address_is_used_as_it_came() {
        let address = Address::parse(URL, None, false).unwrap();
        assert_eq!(address.url, URL);
        assert_eq!(
            (address.host.as_str(), address.port),
            ("ssmmessages.eu-west-1.amazonaws.com", 443)
        );
    }

    #[test]
    fn an_endpoint_of_ones_own_replaces_the_host_alone() {
        let address = Address::parse(URL, Some("vpce-1.internal:8443"), false).unwrap();
        assert_eq!((address.host.as_str(), address.port), ("vpce-1.internal", 8443));
        assert!(address.url.ends_with("/jo-1?role=publish_subscribe&cell-number=AAEB%2Bx"));
    }

    #[test]
    fn a_plain_address_is_for_simulations_and_no_other_scheme_is_taken() {
        assert!(Address::parse("ws://127.0.0.1:80/x", None, true).is_ok());
        for (url, plain) in [
            ("ws://host/x", false),
            ("wss://host/x", true),
            ("https://host/x", false),
            ("wss:///x", false),
            ("wss://user@host/x", false),
            ("", false),
        ] {
            assert!(Address::parse(url, None, plain).is_err(), "{url}");
        }
    }

    #[test]
    fn an_address_that_is_signed_already_is_known_by_any_part_of_its_signature() {
        assert!(is_presigned("wss://h/p?a=b&x-amz-signature=0"));
        assert!(!is_presigned(URL) && !is_presigned("wss://h/X-Amz-Date"));
    }
}
