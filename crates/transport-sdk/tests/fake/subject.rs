//! A transport that does as it is told: by its configuration, and by the host it is to open.

#![expect(clippy::panic, clippy::unwrap_used, reason = "panics are what it is for")]

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};

use pgferry_transport_sdk::{
    Context, Error, Flags, Host, Secret, State, Stream, Target, Transport, export_transport,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What to do wrong.
    #[serde(default)]
    fault: Fault,
}

#[derive(Default, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    #[default]
    None,
    CreatePanics,
    CreateFails,
    ShutdownPanics,
    ShutdownHangs,
}

pub(crate) struct Subject {
    fault: Fault,
    host: Host,
}

impl Transport for Subject {
    type Config = Config;
    const FLAGS: Flags = Flags::DIALS_VIA_HOST.union(Flags::SPEAKS_POSTGRES);
    const ABOUT: &'static str = "does as it is told";

    fn create(config: Config, host: Host) -> Result<Self, Error> {
        assert!(config.fault != Fault::CreatePanics, "told to panic in create");
        if config.fault == Fault::CreateFails {
            return Err(Error::config("told to fail.").with_hint("tell it otherwise"));
        }
        tracing::info!(answer = 42, "created");
        host.spawn(std::future::pending());
        Ok(Self { fault: config.fault, host })
    }

    async fn open(self: &Arc<Self>, target: Target, cx: Context) -> Result<Stream, Error> {
        tracing::debug!("opening");
        match target.host.as_str() {
            "hang" => std::future::pending().await,
            "panic" => panic!("told to panic in open"),
            "handover" => Stream::tcp(local(&target).await?),
            "pump" => Ok(Stream::pump(local(&target).await?)),
            "pump-lost" => Ok(lost()),
            "pump-broken" => Ok(Stream::pump(Broken)),
            "pump-panics" => Ok(Stream::pump(Panics)),
            "serve" => Ok(Stream::serve(echo).with_detail("peer", "nobody")),
            "serve-fails" => Ok(Stream::serve(fail)),
            "serve-panics" => Ok(Stream::serve(|_| async { panic!("told to panic in serve") })),
            "dial" => Ok(Stream::pump(cx.dial(&target.database.unwrap(), target.port).await?)),
            "dial-handover" => Ok(Stream::socket(cx.dial("below", 1).await?.into_socket()?)),
            "secret" => {
                let secret = cx.secret(&target.database.unwrap()).await?;
                Ok(Stream::serve(echo).with_detail("secret", shown(&secret)))
            }
            "escape" => {
                *ESCAPED.lock().unwrap() = Some(cx.host().clone());
                Err(Error::internal("gone"))
            }
            "services" => {
                self.host.state(State::Degraded, "slow");
                self.host.counter("opens_total", "Opens.", &[("to", "db")]).increment();
                Err(Error::throttled("later").with_retry_after(std::time::Duration::from_secs(3)))
            }
            other => Err(Error::unreachable(format!("{other} is nowhere"))),
        }
    }

    async fn shutdown(&self) {
        match self.fault {
            Fault::ShutdownPanics => panic!("told to panic in shutdown"),
            Fault::ShutdownHangs => std::future::pending().await,
            _ => self.host.state(State::Down, "bye"),
        }
    }
}

export_transport!(Subject, "subject");

/// A host that something outside the instance kept.
pub(crate) static ESCAPED: Mutex<Option<Host>> = Mutex::new(None);

async fn local(target: &Target) -> Result<TcpStream, Error> {
    Ok(TcpStream::connect(("127.0.0.1", target.port)).await?)
}

fn shown(secret: &Secret) -> String {
    format!("{} {secret:?}", secret.expose())
}

async fn echo(socket: UnixStream) -> Result<(), Error> {
    let (mut from, mut to) = socket.into_split();
    tokio::io::copy(&mut from, &mut to).await?;
    Ok(())
}

/// Drops its socket long before it says why.
async fn fail(mut socket: UnixStream) -> Result<(), Error> {
    socket.read_u8().await?;
    drop(socket);
    tokio::task::yield_now().await;
    Err(Error::auth("the session was revoked"))
}

/// A channel whose session is lost: it ends like a clean one.
fn lost() -> Stream {
    let (mut far, near) = tokio::io::duplex(64);
    let told = async move {
        // One byte first, so that the test sees the stream work.
        drop(far.write_all(b"x").await);
    };
    tokio::spawn(told);
    Stream::pump_with(near, async { Some(Error::unreachable("the bastion went away")) })
}

/// A far side whose reads fail.
struct Broken;

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

/// A far side that panics when read.
struct Panics;

impl AsyncRead for Panics {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        panic!("told to panic in a stream")
    }
}

macro_rules! swallows {
    ($($far:ty),*) => {$(
        impl AsyncWrite for $far {
            fn poll_write(
                self: Pin<&mut Self>,
                _: &mut TaskContext<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                Poll::Ready(Ok(buf.len()))
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
    )*};
}
swallows!(Broken, Panics);
