//! The same over TLS.

use std::sync::Arc;

use pgferry_simulators::{Authority, sigv4::Request, sigv4::sign};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::calls::{INSTANCE, aws, http};

async fn connect(port: u16, authority: &Authority) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// The head of the answer, and what follows of it until the other side ends or `enough` is there.
async fn ask(mut stream: TlsStream<TcpStream>, request: &str, enough: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(enough) {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.unwrap_or(0);
        assert!(length > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend(&buffer[..length]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn calls_and_websockets_come_over_tls_too() {
    let aws = aws();
    let authority = Authority::new("a test's CA").unwrap();
    let port = aws.serve_tls(&authority.issue(&["localhost"]).unwrap()).unwrap().port();
    let host = format!("localhost:{port}");
    let own_port = json!({
        "Target": INSTANCE, "DocumentName": "AWS-StartPortForwardingSession",
        "Parameters": {"portNumber": ["5432"]},
    });
    let request = http(&aws, aws.credentials(), &host, ("StartSession", &own_port));
    let answer = ask(connect(port, &authority).await, &request, "\r\n\r\n{").await;
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let url = body["StreamUrl"].as_str().unwrap();
    let path = url.strip_prefix(&format!("wss://{host}")).unwrap();
    let (path, query) = path.split_once('?').unwrap();
    let mut request = Request {
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: vec![("host".to_owned(), host)],
        body: Vec::new(),
    };
    sign(&mut request, aws.credentials(), aws.region(), "ssmmessages", aws.clock().now());
    let headers = request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let upgrade = format!(
        "GET {path}?{query} HTTP/1.1\r\n{}connection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        headers.collect::<String>(),
    );
    let answer = ask(connect(port, &authority).await, &upgrade, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    // The example of RFC 6455, section 1.3.
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
}
