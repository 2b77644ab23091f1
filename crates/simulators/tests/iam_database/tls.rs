//! Direct TLS and newer protocol versions, which older clients do not speak.

use std::{io, sync::Arc};

use pgferry_simulators::{Aws, IamDatabase, Postgres};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{World, psql, said};

#[tokio::test]
async fn direct_tls_needs_the_name_of_the_protocol() {
    let world = World::start();
    let token = world.database.token(world.aws.credentials(), "app_scram");
    let mut stream = connect(&world.database, &[b"postgresql"], true).await.unwrap();
    log_in(&mut stream, 0, &token).await.unwrap();
    assert!(world.database.logins()[0].direct_tls);
    let mut nameless = connect(&world.database, &[], true).await.unwrap();
    log_in(&mut nameless, 0, &token).await.unwrap_err();
    connect(&world.database, &[b"h2"], true).await.unwrap_err();
    assert_eq!(world.database.logins().len(), 1);
}

#[tokio::test]
async fn dsql_finds_its_cluster_by_the_name_in_the_handshake() {
    let (aws, postgres) = (Aws::start(), Postgres::start());
    let database = IamDatabase::builder(&aws, &postgres).dsql().start();
    let token = database.token(aws.credentials(), "app_scram");
    let alpn: &[&[u8]] = &[b"postgresql"];
    let mut named = connect(&database, alpn, true).await.unwrap();
    log_in(&mut named, 0, &token).await.unwrap();
    let mut nameless = connect(&database, alpn, false).await.unwrap();
    log_in(&mut nameless, 0, &token).await.unwrap_err();
}

#[tokio::test]
async fn a_server_that_waits_for_a_request_takes_a_handshake_for_nonsense() {
    let (aws, postgres) = (Aws::start(), Postgres::start());
    let database = IamDatabase::builder(&aws, &postgres).without_direct_tls().start();
    connect(&database, &[b"postgresql"], true).await.unwrap_err();
    let token = database.token(aws.credentials(), "app_scram");
    let settings = "user=app_scram dbname=app";
    let asked = said(&mut psql(&postgres, &database, settings, &token, "SELECT 1"));
    assert_eq!(asked, Ok("1".to_owned()));
}

#[tokio::test]
async fn a_newer_protocol_version_is_negotiated_down() {
    let world = World::start();
    let token = world.database.token(world.aws.credentials(), "app_scram");
    let mut stream = connect(&world.database, &[b"postgresql"], true).await.unwrap();
    let before = log_in(&mut stream, 2, &token).await.unwrap();
    assert_eq!(before, [b"v\0\0\0\x0c\0\0\0\0\0\0\0\0".as_slice(), CLEARTEXT_PASSWORD].concat());
}

/// Returns what came before the token was sent; leaves the session logged in.
async fn log_in(stream: &mut TlsStream<TcpStream>, minor: u16, token: &str) -> io::Result<Vec<u8>> {
    let parameters = b"user\0app_scram\0database\0postgres\0\0";
    let version = [&[0, 3], minor.to_be_bytes().as_slice()].concat();
    stream.write_all(&sized(&[&version, parameters.as_slice()].concat())).await?;
    let mut before = Vec::new();
    while !before.ends_with(CLEARTEXT_PASSWORD) {
        before.push(stream.read_u8().await?);
    }
    let password = [token.as_bytes(), b"\0"].concat();
    stream.write_all(&[b"p".as_slice(), &sized(&password)].concat()).await?;
    let mut ok = [0; 9];
    stream.read_exact(&mut ok).await?;
    assert_eq!(&ok, b"R\0\0\0\x08\0\0\0\0");
    Ok(before)
}

async fn connect(
    database: &IamDatabase,
    protocols: &[&[u8]],
    name: bool,
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(database.ca_file()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.enable_sni = name;
    let server = ServerName::try_from(database.endpoint().to_owned()).unwrap();
    let tcp = TcpStream::connect(database.address()).await?;
    TlsConnector::from(Arc::new(config)).connect(server, tcp).await
}

fn sized(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [length.to_be_bytes().as_slice(), body].concat()
}

const CLEARTEXT_PASSWORD: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
