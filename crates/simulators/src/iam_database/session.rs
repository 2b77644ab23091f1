//! One client, from its first byte to the end of its session.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{
    answer::Answer,
    backend,
    front::Front,
    login::Login,
    startup::{Opening, Startup},
    token::Flaw,
    wire::{authentication, read_message, refuse},
};
use crate::sigv4::sha256_hex;

/// How the client's bytes are protected.
#[derive(Clone, Copy)]
enum Channel {
    Plain(IpAddr),
    Tls { direct: bool },
}

/// Whom a session is for.
struct Claimed<'a> {
    startup: &'a Startup,
    user: &'a str,
    database: &'a str,
    channel: Channel,
}

/// An error is the client's leaving, or its breaking the protocol: the connection just ends.
pub(super) async fn serve(
    front: &Front,
    mut stream: TcpStream,
    peer: SocketAddr,
) -> io::Result<()> {
    let mut first = [0];
    within(stream.peek(&mut first)).await?;
    if front.direct_tls && first == [TLS_HANDSHAKE] {
        return encrypted(front, stream, true).await;
    }
    loop {
        match within(Opening::read(&mut stream)).await? {
            Opening::GssEncryption => stream.write_all(b"N").await?,
            Opening::Tls => {
                stream.write_all(b"S").await?;
                return encrypted(front, stream, false).await;
            }
            opening => {
                return opened(front, &mut stream, opening, Channel::Plain(peer.ip())).await;
            }
        }
    }
}

async fn encrypted(front: &Front, stream: TcpStream, direct: bool) -> io::Result<()> {
    let mut stream = within(front.tls.accept(stream)).await?;
    let (_, connection) = stream.get_ref();
    // Without the name of the protocol, direct TLS is open to confusion with other protocols.
    if direct && connection.alpn_protocol() != Some(b"postgresql") {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // DSQL finds the cluster by the name alone.
    if front.rules.dsql && connection.server_name() != Some(&front.rules.endpoint) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let opening = within(Opening::read(&mut stream)).await?;
    Box::pin(opened(front, &mut stream, opening, Channel::Tls { direct })).await
}

async fn opened<S: AsyncRead + AsyncWrite + Unpin>(
    front: &Front,
    stream: &mut S,
    opening: Opening,
    channel: Channel,
) -> io::Result<()> {
    let startup = match opening {
        Opening::Cancel(packet) => {
            within(front.backend.cancel(&packet)).await?;
            return stream.shutdown().await;
        }
        Opening::Session(startup) => startup,
        Opening::Tls | Opening::GssEncryption => return Err(io::ErrorKind::InvalidData.into()),
    };
    let Some(user) = startup.parameter("user").filter(|user| !user.is_empty()) else {
        let message = "no PostgreSQL user name specified in startup packet";
        return refuse(stream, "28000", message).await;
    };
    let database = startup.database(user);
    let claimed = Claimed { startup: &startup, user, database, channel };
    let Some(mut backend) = within(log_in(front, stream, &claimed)).await? else {
        return Ok(());
    };
    copy_bidirectional(stream, &mut backend).await.map(drop)
}

/// None if the client was refused, and told so.
async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    front: &Front,
    stream: &mut S,
    claimed: &Claimed<'_>,
) -> io::Result<Option<UnixStream>> {
    if let Err((flaw, code, message)) = admissible(front, claimed) {
        front.logins.add(claimed.login(None, Err(flaw)));
        return refuse(stream, code, &message).await.map(|()| None);
    }
    if let Some(negotiation) = claimed.startup.negotiation() {
        stream.write_all(&negotiation).await?;
    }
    stream.write_all(&authentication(CLEARTEXT_PASSWORD)).await?;
    stream.flush().await?;
    let reply = read_message(stream).await?;
    let Some(token) = reply.body.strip_suffix(b"\0").filter(|_| reply.kind == b'p') else {
        return refuse(stream, "08P01", "expected password response").await.map(|()| None);
    };
    let outcome = front.check(&String::from_utf8_lossy(token), claimed.user);
    let refused = outcome.is_err();
    front.logins.add(claimed.login(Some(sha256_hex(token)), outcome));
    if refused {
        let message = failure(front, claimed.user);
        return refuse(stream, "28000", &message).await.map(|()| None);
    }
    match front.backend.open(claimed.startup, claimed.user).await? {
        backend::Session::Open(backend) => {
            stream.write_all(&authentication(OK)).await?;
            Ok(Some(backend))
        }
        backend::Session::Refused(error) => {
            stream.write_all(&error).await?;
            stream.shutdown().await.map(|()| None)
        }
    }
}

/// What can be said before a token is asked for.
fn admissible(front: &Front, claimed: &Claimed<'_>) -> Result<(), (Flaw, &'static str, String)> {
    let (user, database) = (claimed.user, claimed.database);
    if let Channel::Plain(peer) = claimed.channel {
        let message = format!(
            "no pg_hba.conf entry for host \"{peer}\", user \"{user}\", database \"{database}\", \
             no encryption"
        );
        return Err((Flaw::NoTls, "28000", message));
    }
    match front.answers.next() {
        Some(Answer::AuthenticationFailed) => {
            return Err((Flaw::Planned, "28000", failure(front, user)));
        }
        Some(Answer::StartingUp) => {
            let message = "the database system is starting up".to_owned();
            return Err((Flaw::Planned, "57P03", message));
        }
        None => {}
    }
    if front.rules.dsql && database != "postgres" {
        let message = format!("database \"{database}\" does not exist");
        return Err((Flaw::Database(database.to_owned()), "3D000", message));
    }
    Ok(())
}

/// The same whatever the reason.
fn failure(front: &Front, user: &str) -> String {
    if front.rules.dsql {
        return "unable to accept connection, access denied".to_owned();
    }
    format!("PAM authentication failed for user \"{user}\"")
}

impl Claimed<'_> {
    fn login(&self, token_digest: Option<String>, outcome: Result<String, Flaw>) -> Login {
        Login {
            user: self.user.to_owned(),
            database: self.database.to_owned(),
            direct_tls: matches!(self.channel, Channel::Tls { direct: true }),
            token_digest,
            outcome,
        }
    }
}

/// As long as PostgreSQL gives a client to log in.
async fn within<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(LOGIN_LIMIT, step).await.map_err(io::Error::from)?
}

const LOGIN_LIMIT: Duration = Duration::from_mins(1);
const TLS_HANDSHAKE: u8 = 0x16;
const OK: u32 = 0;
const CLEARTEXT_PASSWORD: u32 = 3;
