//! The HTTPS proxy on the way to the service: RFC 9110, 9.3.6.

use aws_smithy_http_client::proxy::ProxyConfig;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use pgferry_transport_sdk::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

/// A proxy that speaks HTTP itself.
pub struct Proxy {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    login: Option<(String, Zeroizing<String>)>,
}

impl Proxy {
    /// Reads its address, `http://[user:password@]host[:port]`.
    ///
    /// Errors: denied; the address is not repeated, since it may hold a password.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::denied("the HTTPS proxy's address is not http://host:port")
                .with_hint("check HTTPS_PROXY; a proxy that wants TLS itself is not supported")
        };
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
        let authority = authority.ok_or_else(wrong)?;
        let login = authority.as_str().rsplit_once('@').map(|(login, _)| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            (decoded(user), Zeroizing::new(decoded(password)))
        });
        Ok(Self { host: authority.host().to_owned(), port: uri.port_u16().unwrap_or(80), login })
    }

    /// For the SDK's calls.
    ///
    /// Errors: denied.
    pub fn for_calls(&self) -> Result<ProxyConfig, Error> {
        let config = ProxyConfig::https(format!("http://{}:{}", self.host, self.port))
            .map_err(|_| Error::denied("the HTTPS proxy's address cannot be used"))?;
        Ok(match &self.login {
            // The SDK makes a URL of them as they are, and reads that again.
            Some((user, password)) => config.with_basic_auth(encoded(user), encoded(password)),
            None => config,
        })
    }

    /// Asks it for a tunnel to `host`.
    ///
    /// Errors: denied, if it wants another login or lets nobody through; unreachable.
    ///
    /// Cancel safety: the socket is of no use afterwards.
    pub async fn connect<S>(&self, socket: &mut S, host: &str, port: u16) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let broken = |error| {
            Error::unreachable(format!("the proxy {} hung up: {error}", self.host))
                .with_hint("check HTTPS_PROXY")
        };
        socket.write_all(self.request(host, port).as_bytes()).await.map_err(broken)?;
        socket.flush().await.map_err(broken)?;
        let status = read_status(socket).await.map_err(broken)?;
        match status {
            200..=299 => Ok(()),
            407 => {
                Err(Error::denied(format!("the proxy {} wants a user and a password", self.host))
                    .with_hint("write them into HTTPS_PROXY: http://user:password@host:port"))
            }
            status => Err(Error::denied(format!(
                "the proxy {} does not let through to {host}:{port} (HTTP {status})",
                self.host
            ))
            .with_hint("have ssmmessages allowed in the proxy, or exempted in NO_PROXY")),
        }
    }

    fn request(&self, host: &str, port: u16) -> Zeroizing<String> {
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some((user, password)) = &self.login {
            let login = Zeroizing::new(format!("{user}:{}", password.as_str()));
            request.push_str("Proxy-Authorization: Basic ");
            BASE64_STANDARD.encode_string(login.as_bytes(), &mut request);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        Zeroizing::new(request)
    }
}

/// Reads the head of the answer, byte by byte: what follows it is the tunnel's.
async fn read_status(socket: &mut (impl AsyncRead + Unpin)) -> std::io::Result<u16> {
    let strange = || std::io::Error::other("it does not answer as a proxy does");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LONGEST_HEAD {
            return Err(strange());
        }
        head.push(socket.read_u8().await?);
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(&head).map_err(|_| strange())?;
    response.code.ok_or_else(strange)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

const LONGEST_HEAD: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(answer: &str) -> (Result<(), Error>, String) {
        let proxy = Proxy::parse("http://jo:p%40ss@proxy.internal:3128").unwrap();
        let (mut ours, mut theirs) = tokio::io::duplex(4096);
        theirs.write_all(answer.as_bytes()).await.unwrap();
        let outcome = proxy.connect(&mut ours, "ssmmessages.eu-west-1.amazonaws.com", 443).await;
        drop(ours);
        let mut asked = String::new();
        theirs.read_to_string(&mut asked).await.unwrap();
        (outcome, asked)
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for_with_the_login_of_the_address() {
        let (outcome, asked) = answered("HTTP/1.1 200 Connection established\r\n\r\n").await;
        outcome.unwrap();
        assert!(asked.starts_with("CONNECT ssmmessages.eu-west-1.amazonaws.com:443 HTTP/1.1\r\n"));
        assert!(asked.contains("\r\nProxy-Authorization: Basic am86cEBzcw==\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn a_proxy_that_wants_a_login_or_says_no_is_named() {
        let (outcome, _) = answered("HTTP/1.1 407 Who\r\nX: y\r\n\r\n").await;
        assert!(outcome.unwrap_err().message().contains("proxy.internal wants a user"));
        let (outcome, _) = answered("HTTP/1.1 403 No\r\n\r\n").await;
        assert!(outcome.unwrap_err().message().contains("does not let through"));
    }

    #[tokio::test]
    async fn what_is_no_proxy_is_found_out() {
        let (outcome, _) = answered("SSH-2.0-OpenSSH_9.6\r\n\r\n").await;
        assert!(outcome.unwrap_err().message().contains("hung up"));
    }

    #[test]
    fn only_a_proxy_that_speaks_plain_http_can_be_used() {
        let proxy = Proxy::parse("proxy.internal:8080").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.internal", 8080));
        for wrong in ["https://proxy:443", "socks5://proxy:1080", "http://", "http://jo:pw@"] {
            let error = Proxy::parse(wrong).map(|_| ()).unwrap_err();
            assert!(!error.message().contains("pw"), "{error}");
        }
    }
}
