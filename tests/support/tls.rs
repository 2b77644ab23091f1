//! An application's side of TLS, for tests that speak the protocol by hand.

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::PATIENCE;
use super::message::ssl_request;

/// How an application begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// With an `SSLRequest`.
    Asking,
    /// With the handshake (PostgreSQL 17).
    Direct,
}

/// A client that verifies the certificate for a name.
#[derive(Clone)]
pub(crate) struct TlsClient {
    config: ClientConfig,
    name: ServerName<'static>,
    begin: Begin,
}

impl TlsClient {
    /// Trusts the authorities of a file, for `localhost`, and asks.
    pub(crate) fn trusting(ca_file: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(ca_file).expect("a certificate");
        roots.add(authority).expect("one that can be a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the usual versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        Self { config, name, begin: Begin::Asking }
    }

    /// Begins at once, and names these application protocols.
    pub(crate) fn direct(mut self, alpn: &[&str]) -> Self {
        self.begin = Begin::Direct;
        self.config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    pub(crate) fn for_name(mut self, name: &'static str) -> Self {
        self.name = ServerName::try_from(name).expect("a name");
        self
    }

    /// Connects, and gives the clear side of a connection whose other side is encrypted on a thread
    /// of its own. Closing one's writing side becomes TLS's `close_notify`.
    pub(crate) fn connect(&self, address: &str) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        theirs.set_nonblocking(true)?;
        let (tell, told) = mpsc::channel();
        let (client, address) = (self.clone(), address.to_owned());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let mut tls = match client.handshake(&address).await {
                    Ok(tls) => tls,
                    Err(error) => return tell.send(Err(error)).expect("somebody waits"),
                };
                tell.send(Ok(())).expect("somebody waits");
                let mut clear = tokio::net::UnixStream::from_std(theirs).expect("a socket");
                // How it ends is for the test to see, at its own end.
                copy_bidirectional(&mut clear, &mut tls).await.ok();
            });
        });
        told.recv_timeout(PATIENCE).expect("the handshake ends")?;
        Ok(ours)
    }

    async fn handshake(
        &self,
        address: &str,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        if self.begin == Begin::Asking {
            stream.write_all(&ssl_request()).await?;
            assert_eq!(stream.read_u8().await?, b'S');
        }
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        connector.connect(self.name.clone(), stream).await
    }
}

/// Writes a certificate for `names` and its key, and gives the `local_tls = …` value for them.
pub(crate) fn local_tls(
    directory: &Path,
    authority: &pgferry_simulators::Authority,
    names: &[&str],
) -> String {
    let certificate = authority.issue(names).expect("a certificate");
    let write = |name: &str, text: &str| {
        let mut file = tempfile::Builder::new()
            .prefix(name)
            .suffix(".pem")
            .tempfile_in(directory)
            .expect("a file");
        file.write_all(text.as_bytes()).expect("it is written");
        file.keep().expect("it is kept").1
    };
    let (cert_file, key_file) =
        (write("cert", certificate.pem()), write("key", certificate.key_pem()));
    format!("{{ kind = \"certificate\", cert_file = {cert_file:?}, key_file = {key_file:?} }}")
}

/// Writes what a client has to trust.
pub(crate) fn ca_file(
    directory: &Path,
    authority: &pgferry_simulators::Authority,
) -> std::path::PathBuf {
    let file = directory.join("local-authority.pem");
    std::fs::write(&file, authority.pem()).expect("it is written");
    file
}
