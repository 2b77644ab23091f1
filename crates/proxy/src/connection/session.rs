//! A session from the database's first `ReadyForQuery` to its last byte.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use pgferry_endpoint::{Endpoint, Kind};
use pgferry_pg::frame::Message;
use pgferry_pg::message::backend::{AUTHENTICATION_OK, backend_key_data, ready_for_query};
use pgferry_pg::message::frontend::TERMINATE;
use pgferry_pg::message::{MessageError, TransactionStatus};
use pgferry_pg::session::{Session, Tick};
use pgferry_pg::{CancelKey, ErrorReport};
use pgferry_telemetry::{CloseReason, Origin, Severity};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::ending::{Lifetime, close_reason, report};
use super::entering::Entered;
use super::establish::Opened;
use crate::backend::login::LoggedIn;
use crate::backend::route::Route;
use crate::backend::stream::Backend;
use crate::cancel_keys::{Meant, Registered};
use crate::conversation::Conversation;
use crate::farewell::farewell;
use crate::frontend::stream::Frontend;
use crate::relay::{Drain, End, REASON_LIMIT, Relay, Terms};
use crate::sessions::Taken;
use crate::target::Target;

/// How long the database gets to take our goodbye.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);

/// Hands the application the database's greeting, relays, and says the last words.
pub(super) async fn run(
    target: &Arc<Target>,
    client: Conversation<Frontend>,
    opened: Opened,
    thread: usize,
    drain: &Drain,
) -> CloseReason {
    let Opened { startup, entered, welcomed, place: _place, .. } = opened;
    let Entered { logged_in, server, route, mut path_end, .. } = entered;
    let lifetime = Lifetime::at(&route.endpoint.host);
    let on_read_only = read_only_watch(target, &route);
    let LoggedIn { mut backend, excess, greeting, cancel_key, status, .. } = logged_in;
    let activity = Arc::default();
    let registered = cancel_key.map(|theirs| {
        let version = startup.effective_version();
        let activity = Arc::clone(&activity);
        let path = Taken { target: Arc::clone(target), route };
        let meant = Meant { theirs, server, activity, path };
        target.sessions.cancel_keys.register(meant, version)
    });
    let session = Session::new(startup.replication());
    let session = at_rest(session, status);
    let (mut frontend, early) = client.into_parts();
    let key = registered.as_ref().map(Registered::key);
    let greeting = match whole_greeting(welcomed, &greeting, key, status) {
        Ok(greeting) => greeting,
        Err(error) => {
            warn!(target = target.name, %error, "the greeting cannot be encoded");
            return CloseReason::ProtocolError;
        }
    };
    let sides = ((&mut frontend, early), (&mut backend, excess));
    let terms = Terms {
        metrics: &target.metrics,
        thread,
        activity,
        client_gone: target.limits.client_gone,
        lifetime: lifetime.limit(),
        on_read_only: &on_read_only,
    };
    let mut relay = Relay::new(sides.0, sides.1, session, terms);
    let end = relay.run(greeting, drain).await;
    let can_speak = relay.can_speak();
    if relay.server_stopped() || matches!(end, End::ServerLost(_)) {
        target.access.moved();
        target.sessions.unsettle();
    }
    drop(registered);
    let why = match &end {
        End::ServerLost(_) => path_end.wait(REASON_LIMIT).await.map(|closed| closed.message),
        _ => None,
    };
    let report = report(&target.name, &end, why.as_deref(), lifetime);
    say_goodbye(target, &mut frontend, &mut backend, &end, report.as_ref().filter(|_| can_speak))
        .await;
    if let Some(report) = report {
        note(target, &end, &report, can_speak);
    }
    close_reason(&end)
}

/// What to do when the database takes no changes. Where the endpoint is a writer's, it has become a
/// reader in a failover, or an old address was kept: new sessions look for the writer anew.
fn read_only_watch<'t>(target: &'t Target, route: &Route) -> impl Fn() + Sync + use<'t> {
    let writer = matches!(Endpoint::parse(&route.endpoint.host).kind, Kind::Writer | Kind::Global);
    move || {
        if writer {
            info!(target = target.name, "a writer takes no changes: it is looked up anew");
            target.access.moved();
        }
    }
}

/// The session after the database's first `ReadyForQuery`, which went by before the relay.
fn at_rest(mut session: Session, status: TransactionStatus) -> Session {
    let ready = ready_for_query(status);
    let message = Message { tag: b'Z', body_len: 1, prefix: ready.get(5..).unwrap_or_default() };
    session.on_backend(message, Tick(0), &mut |_| {});
    session
}

/// `AuthenticationOk` unless the application has it, what the database told, our own cancel key,
/// `ReadyForQuery`.
fn whole_greeting(
    welcomed: bool,
    told: &[u8],
    key: Option<&CancelKey>,
    status: TransactionStatus,
) -> Result<Bytes, MessageError> {
    let mut greeting = BytesMut::with_capacity(told.len() + 64);
    if !welcomed {
        greeting.put_slice(&AUTHENTICATION_OK);
    }
    greeting.put_slice(told);
    if let Some(key) = key {
        greeting.put_slice(&backend_key_data(key)?);
    }
    greeting.put_slice(&ready_for_query(status));
    Ok(greeting.freeze())
}

async fn say_goodbye(
    target: &Target,
    frontend: &mut Frontend,
    backend: &mut Backend,
    end: &End,
    report: Option<&ErrorReport>,
) {
    let to_backend = async {
        // An idle database is told in its own language; a broken path is not worth the try.
        if matches!(end, End::Drained) {
            backend.write_all(&TERMINATE).await?;
        }
        backend.shutdown().await
    };
    let to_frontend = async {
        if !matches!(end, End::ClientLost) {
            let words = report.map(ErrorReport::encode).unwrap_or_default();
            farewell(frontend, &words).await;
        }
    };
    let ((), shut) = tokio::join!(to_frontend, timeout(GOODBYE_LIMIT, to_backend));
    if let Ok(Err(error)) = shut {
        debug!(target = target.name, %error, "the database left before our goodbye");
    }
}

fn note(target: &Target, end: &End, report: &ErrorReport, told: bool) {
    let origin = if matches!(end, End::ServerLost(_)) { Origin::Transport } else { Origin::Proxy };
    target.metrics.error(Severity::Fatal, report.sql_state.as_str(), origin);
    if !matches!(end, End::Drained | End::Outlived) {
        // In the middle of a message nothing can be said: then the log alone has it.
        warn!(target = target.name, error = report.message, told, "session ended");
    }
}
