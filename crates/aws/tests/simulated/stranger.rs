//! Something on the way that is not AWS.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use pgferry_simulators::Authority;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Answers whatever it is asked with the same page. Lives as long as the test's process.
pub(crate) struct Stranger {
    address: SocketAddr,
    heard: Heard,
}

/// The first lines of what was asked.
type Heard = Arc<Mutex<Vec<String>>>;

/// Status line and headers, without the last empty line; and the page.
#[derive(Clone, Copy)]
pub(crate) struct Reply(pub(crate) &'static str, pub(crate) &'static str);

impl Stranger {
    pub(crate) fn saying(reply: Reply) -> Self {
        Self::listening(move |stream, heard| answer(stream, reply, heard))
    }

    /// As a network that inspects TLS: it stands in for localhost with a certificate of its own.
    /// Returns its authority, which a client may trust.
    pub(crate) fn inspecting(reply: Reply) -> (Self, String) {
        let authority = Authority::new("an inspecting network").unwrap();
        let certificate = authority.issue(&["localhost"]).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(certificate.key_pem().as_bytes()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
        let config = Arc::new(config.unwrap());
        let stranger = Self::listening(move |stream, heard| {
            let connection = ServerConnection::new(Arc::clone(&config)).ok()?;
            answer(StreamOwned::new(connection, stream), reply, heard)
        });
        (stranger, authority.pem())
    }

    fn listening(answer: impl Fn(TcpStream, &Heard) -> Option<()> + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Heard::default();
        let hearing = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Whoever leaves in the middle has said so by itself.
                answer(stream, &hearing).unwrap_or_default();
            }
        });
        Self { address, heard }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Hears the whole question: a close with something unread may cut the answer short.
fn answer(stream: impl Read + Write, Reply(head, page): Reply, log: &Heard) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    log.lock().unwrap_or_else(PoisonError::into_inner).push(first.trim_end().to_owned());
    let length = page.len();
    let text = format!("{head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{page}");
    reader.get_mut().write_all(text.as_bytes()).ok()?;
    reader.get_mut().flush().ok()
}
