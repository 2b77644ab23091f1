use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use pgferry_pg::frame::Message;
use pgferry_pg::session::Tick;
use pgferry_pg::startup::Replication;
use pgferry_pg::{ErrorReport, SqlState};
use pgferry_telemetry::{BuildInfo, Settings, Telemetry};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::*;
use crate::socket::{Socket, UnixSocket};
use crate::stream::Stream;

const HOUR: Duration = Duration::from_hours(1);
const QUERY: &[u8] = b"Q\0\0\0\x06x\0";
const IDLE: &[u8] = b"Z\0\0\0\x05I";
const IN_TRANSACTION: &[u8] = b"Z\0\0\0\x05T";

/// One end for the relay, the other one for the test.
fn pair() -> (Socket, UnixStream) {
    let (ours, theirs) = StdUnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (Socket::Unix(UnixSocket::new(ours).unwrap()), UnixStream::from_std(theirs).unwrap())
}

/// Sends a message from one end to the other, through the relay.
async fn pass(from: &mut UnixStream, to: &mut UnixStream, message: &[u8]) {
    from.write_all(message).await.unwrap();
    let mut arrived = vec![0; message.len()];
    to.read_exact(&mut arrived).await.unwrap();
    assert_eq!(arrived, message);
}

/// How a session ends whose application and database do what `script` says.
async fn end_of(
    lifetime: Option<Duration>,
    on_read_only: &(dyn Fn() + Sync),
    script: impl AsyncFnOnce(&mut UnixStream, &mut UnixStream),
) -> End {
    let build = BuildInfo { version: "", commit: None, rustc: "" };
    let telemetry = Telemetry::new(build, Settings::new(&["select"])).unwrap();
    let metrics = telemetry.target("db", "direct");
    let ((client, mut application), (server, mut database)) = (pair(), pair());
    let (mut frontend, mut backend) = (Stream::Plain(client), Stream::Plain(server));
    let mut session = Session::new(Replication::None);
    session.on_backend(Message { tag: b'Z', body_len: 1, prefix: b"I" }, Tick(0), &mut |_| {});
    let activity = Arc::default();
    let (thread, client_gone) = (0, HOUR);
    let terms = Terms { metrics: &metrics, thread, activity, client_gone, lifetime, on_read_only };
    let sides = ((&mut frontend, Bytes::new()), (&mut backend, Bytes::new()));
    let mut relay = Relay::new(sides.0, sides.1, session, terms);
    let drain = Drain::default();
    let (end, ()) =
        tokio::join!(relay.run(Bytes::new(), &drain), script(&mut application, &mut database));
    end
}

#[tokio::test(start_paused = true)]
async fn a_session_with_a_lifetime_ends_when_it_is_idle_and_not_before() {
    let began = Instant::now();
    let end = end_of(Some(HOUR), &|| {}, async |_, _| {}).await;
    assert!(matches!(end, End::Outlived), "{end:?}");
    assert_eq!(began.elapsed().as_secs(), HOUR.as_secs());

    let began = Instant::now();
    let end = end_of(Some(HOUR), &|| {}, async |application, database| {
        pass(application, database, QUERY).await;
        pass(database, application, IN_TRANSACTION).await;
        tokio::time::sleep(2 * HOUR).await;
        pass(application, database, QUERY).await;
        tokio::time::sleep(HOUR).await;
        pass(database, application, IDLE).await;
    });
    let end = end.await;
    assert!(matches!(end, End::Outlived), "{end:?}");
    assert_eq!(began.elapsed().as_secs(), 3 * HOUR.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_lifetime_stays() {
    let end = end_of(None, &|| {}, async |application, database| {
        tokio::time::sleep(100 * HOUR).await;
        application.shutdown().await.unwrap();
        database.shutdown().await.unwrap();
    });
    let end = end.await;
    assert!(matches!(end, End::ClientClosed), "{end:?}");
}

#[tokio::test]
async fn a_database_that_takes_no_changes_is_told_of_once_a_session() {
    let told = AtomicUsize::new(0);
    let count = || {
        told.fetch_add(1, Ordering::Relaxed);
    };
    let refusal = |state| ErrorReport::error(state, "no").encode();
    end_of(None, &count, async |application, database| {
        for state in [SqlState::QUERY_CANCELED, SqlState::READ_ONLY_SQL_TRANSACTION] {
            for _ in 0..2 {
                pass(application, database, QUERY).await;
                pass(database, application, &refusal(state)).await;
                pass(database, application, IDLE).await;
            }
        }
        application.shutdown().await.unwrap();
        database.shutdown().await.unwrap();
    })
    .await;
    assert_eq!(told.load(Ordering::Relaxed), 1);
}
