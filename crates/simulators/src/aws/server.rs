//! Takes calls over HTTP, holds them to account, and passes them on.

use std::{
    convert::Infallible,
    future::{pending, ready},
    io,
    sync::Arc,
    time::Duration,
    time::SystemTime,
};

use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::{
    Response,
    body::{Frame, Incoming as Body},
    header::HeaderValue,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
    time::interval,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;

use super::{
    State, World,
    call::{Incoming, Scheme},
    ec2,
    fault::Fault,
    instance_connect,
    journal::Call,
    principal::{Principal, Unauthenticated},
    rds,
    reply::{Failure, Protocol, Success},
    secrets_manager, sso, sts,
};
use crate::{
    data_api, sigv4,
    ssm::{api, websocket},
};

/// Where calls come in.
pub(super) struct Port {
    pub(super) socket: std::net::TcpListener,
    /// None where HTTP is spoken in the clear.
    pub(super) tls: Option<TlsAcceptor>,
}

/// A connection of either kind.
pub(crate) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The body of an answer.
type Answer = http_body_util::Either<Full<Bytes>, SlowBody>;
type SlowBody = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// Runs until nobody can add a port any more; ports and connections end with it.
pub(super) async fn run(mut ports: mpsc::UnboundedReceiver<Port>, world: Arc<World>) {
    let mut listeners = JoinSet::new();
    let expiring = world.clone();
    listeners.spawn(async move {
        let mut ticks = interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            let now = expiring.clock.now();
            expiring.state().pushes.expire(now);
        }
    });
    while let Some(port) = ports.recv().await {
        listeners.spawn(listen(port, world.clone()));
    }
}

async fn listen(port: Port, world: Arc<World>) {
    let Port { socket, tls } = port;
    let listener = socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket));
    let Ok(listener) = listener else { return };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve(stream, tls.clone(), world.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, world: Arc<World>) {
    let scheme = if tls.is_some() { Scheme::Https } else { Scheme::Http };
    let stream = match tls {
        None => Stream::Left(stream),
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => Stream::Right(Box::new(stream)),
            // A client that does not trust this certificate is the subject of a test.
            Err(_) => return,
        },
    };
    let service = service_fn(move |request| {
        let world = world.clone();
        async move { answer(request, scheme, &world).await }
    });
    // A client that leaves in the middle is not this side's fault.
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    connection.with_upgrades().await.ok();
}

/// An error ends the connection without an answer.
async fn answer(
    mut request: hyper::Request<Body>,
    scheme: Scheme,
    world: &World,
) -> Result<Response<Answer>, io::Error> {
    let upgrade = hyper::upgrade::on(&mut request);
    let incoming = Incoming::read(received(request).await?, scheme);
    let action = incoming.qualified_action();
    let hold = world.faults.hold();
    let fault = world.faults.next(&action);
    let number = world.journal.begin(entry(&incoming, action, world.clock.now()));
    let answer = served(&incoming, world, fault.as_ref(), &hold).await?;
    let code = answer.as_ref().err().map(|it| it.code(incoming.protocol).to_owned());
    world.journal.end(number, code);
    if fault == Some(Fault::LostAnswer) {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    if let Ok(Success::DataChannel(session)) = &answer {
        world.sessions.hole().wait_for(|hole| !hole).await.ok();
        let key = incoming.request.header("sec-websocket-key").unwrap_or_default();
        return Ok(websocket::accept(session.clone(), key, upgrade).map(Answer::Left));
    }
    let id = format!("00000000-0000-4000-8000-{number:012x}");
    let mut response = incoming.protocol.response(&incoming.action, &answer, &id);
    // The date by which a caller notices that its own clock is wrong.
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(world.clock.now());
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(date)) {
        response.headers_mut().insert("date", date);
    }
    Ok(match fault {
        Some(Fault::SlowBody) => slow(response, hold).await.map(Answer::Right),
        _ => response.map(Answer::Left),
    })
}

/// What a call comes to, with a fault if there is one.
async fn served(
    incoming: &Incoming,
    world: &World,
    fault: Option<&Fault>,
    hold: &watch::Receiver<u64>,
) -> Result<Result<Success, Failure>, io::Error> {
    Ok(match fault {
        Some(Fault::Drop) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Fault::Hang) => {
            released(hold.clone()).await;
            serve_call(incoming, world).await
        }
        Some(Fault::InternalAfter) => {
            serve_call(incoming, world).await.and(Err(Failure::internal()))
        }
        Some(Fault::LostAnswer | Fault::SlowBody) | None => serve_call(incoming, world).await,
        Some(fault) => Err(fault.failure().unwrap_or_else(Failure::internal)),
    })
}

/// The second half of the body waits.
async fn slow(response: Response<Full<Bytes>>, hold: watch::Receiver<u64>) -> Response<SlowBody> {
    let (head, body) = response.into_parts();
    let mut first = body.collect().await.unwrap_or_default().to_bytes();
    let second = first.split_off(first.len() / 2);
    let second = stream::once(async move {
        released(hold).await;
        Ok(Frame::data(second))
    });
    let all = stream::once(ready(Ok(Frame::data(first)))).chain(second);
    Response::from_parts(head, StreamBody::new(all.boxed()))
}

async fn released(mut hold: watch::Receiver<u64>) {
    if hold.changed().await.is_err() {
        pending::<Infallible>().await;
    }
}

fn entry(incoming: &Incoming, action: String, time: u64) -> Call {
    let claim = incoming.claim.as_ref().ok();
    Call {
        action,
        access_key_id: claim.map(|claim| claim.access_key_id.clone()),
        region: claim.map(|claim| claim.scope.region.clone()),
        time,
        error: None,
    }
}

async fn received(request: hyper::Request<Body>) -> Result<sigv4::Request, io::Error> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(io::Error::other)?;
    let header = |(name, value): (&hyper::header::HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Ok(sigv4::Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(header).collect(),
        body: body.to_bytes().to_vec(),
    })
}

async fn serve_call(incoming: &Incoming, world: &World) -> Result<Success, Failure> {
    if incoming.protocol != Protocol::DataApi {
        return dispatch(incoming, world);
    }
    let caller = caller(incoming, world, &world.state(), world.clock.now())?;
    data_api::call(incoming, &caller, world).await
}

fn dispatch(incoming: &Incoming, world: &World) -> Result<Success, Failure> {
    let now = world.clock.now();
    let state = &mut *world.state();
    let action = (incoming.service.as_str(), incoming.action.as_str());
    match action {
        ("sso", "GetRoleCredentials") => return sso::role_credentials(incoming, state, now),
        ("sso-oauth", "CreateToken") => return sso::create_token(&incoming.json()?, state, now),
        ("sts", "AssumeRoleWithWebIdentity") => {
            let principals = &mut state.principals;
            return sts::assume_role_with_web_identity(&incoming.parameters, principals, now);
        }
        _ => {}
    }
    let caller = caller(incoming, world, state, now)?;
    let parameters = &incoming.parameters;
    let fleet = (&state.fleet, world.region.as_str());
    match action {
        ("sts", "GetCallerIdentity") => Ok(sts::get_caller_identity(&caller)),
        ("sts", "AssumeRole") => sts::assume_role(&caller, parameters, &mut state.principals, now),
        ("secretsmanager", "GetSecretValue") => {
            secrets_manager::get_secret_value(&caller, &incoming.json()?, &state.vault)
        }
        ("secretsmanager", "DescribeSecret") => {
            secrets_manager::describe_secret(&caller, &incoming.json()?, &state.vault)
        }
        ("rds", "DescribeDBClusters") => rds::clusters(&caller, parameters, fleet),
        ("rds", "DescribeDBInstances") => rds::instances(&caller, parameters, fleet),
        ("rds", "DescribeDBClusterEndpoints") => rds::endpoints(&caller, parameters, fleet),
        ("ec2", "DescribeInstances") => {
            let nodes = world.sessions.instances();
            ec2::instances(&caller, parameters, (&nodes, &world.region))
        }
        ("ec2-instance-connect", "SendSSHPublicKey") => {
            let nodes = world.sessions.instances();
            let here = (nodes.as_slice(), world.region.as_str(), now);
            let body = incoming.json()?;
            instance_connect::send_ssh_public_key(&caller, &body, &mut state.pushes, here)
        }
        ("ssm", action) => api::call(action, incoming, &caller, (&world.sessions, &world.region)),
        ("ssmmessages", _) => {
            api::data_channel(incoming, &caller, (&world.sessions, &world.region))
        }
        (_, action) => {
            let version = parameters.optional("Version").unwrap_or_default();
            Err(Failure::unknown_action(action, version))
        }
    }
}

fn caller(
    incoming: &Incoming,
    world: &World,
    state: &State,
    now: u64,
) -> Result<Principal, Failure> {
    let claim = incoming.claim.as_ref().map_err(|it| Unauthenticated::Refused(it.clone()))?;
    // Nobody's action is refused for its signature first, as the front doors do.
    let service = match (incoming.service.as_str(), incoming.protocol) {
        ("", Protocol::Query(_)) => claim.scope.service.as_str(),
        (service, _) => service,
    };
    let request = &incoming.request;
    let times = (now, PRESIGNED_LIMIT);
    Ok(state.principals.authenticate(request, claim, (service, &world.region), times)?)
}

/// More than any service takes: those that take less say so.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// Seconds.
const PRESIGNED_LIMIT: u64 = 900;
