//! The admin listener: metrics and health over HTTP, for scrapers and probes on the same machine.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use axum::http::{HeaderName, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::health::Status;
use crate::host;
use crate::telemetry::Telemetry;

/// Serves `/metrics`, `/startup`, `/readiness` and `/liveness` until `shutdown` completes.
///
/// One request per connection, 5 s for the request, 10 s altogether, 32 connections at once: a
/// stuck scraper holds nothing for long. On a loopback address only requests whose Host is
/// `localhost` or an IP address are answered.
///
/// Cancel safety: may be dropped at any await; connections in progress end with it.
pub async fn serve_admin(
    listener: TcpListener,
    telemetry: Telemetry,
    shutdown: impl Future<Output = ()>,
) {
    let router = router(&listener, telemetry);
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        let router = router.clone();
        connections.spawn(async move {
            // Held until the connection ends.
            let (stream, _permit) = accepted;
            serve(stream, router).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Waits for room, then for a connection. Those beyond the limit wait in the kernel's queue.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, Option<tokio::sync::OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there always is a permit in the end.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                // Out of descriptors, mostly: without a pause this would spin.
                tracing::warn!(%error, "admin: cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "admin: connection ended early"),
        Err(_) => tracing::debug!("admin: connection took too long"),
    }
}

fn router(listener: &TcpListener, telemetry: Telemetry) -> Router {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/startup", get(startup))
        .route("/readiness", get(readiness))
        .route("/liveness", get(liveness))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(telemetry);
    let loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    if loopback { router.layer(middleware::from_fn(only_local_hosts)) } else { router }
}

async fn only_local_hosts(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(host::is_local) {
        return next.run(request).await;
    }
    let text = "pgferry: this listener is on loopback and answers only to localhost or an IP address \
                in the Host header; ask for http://127.0.0.1:<port>/ instead\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

async fn metrics(State(telemetry): State<Telemetry>) -> Response {
    ([(CONTENT_TYPE, METRICS_TYPE)], telemetry.render()).into_response()
}

async fn startup(State(telemetry): State<Telemetry>) -> Response {
    if telemetry.health().is_started() {
        json(StatusCode::OK, &Answer { status: "started" })
    } else {
        json(StatusCode::SERVICE_UNAVAILABLE, &Answer { status: "starting" })
    }
}

async fn readiness(State(telemetry): State<Telemetry>) -> Response {
    let readiness = telemetry.health().readiness();
    let code = match readiness.status {
        Status::Ready => StatusCode::OK,
        Status::NotReady => StatusCode::SERVICE_UNAVAILABLE,
    };
    json(code, &readiness)
}

async fn liveness() -> Response {
    json(StatusCode::OK, &Answer { status: "alive" })
}

async fn not_found() -> Response {
    let paths = ["/metrics", "/startup", "/readiness", "/liveness"];
    json(StatusCode::NOT_FOUND, &Refusal { error: "no such path", paths: &paths })
}

async fn method_not_allowed() -> Response {
    json(StatusCode::METHOD_NOT_ALLOWED, &Refusal { error: "only GET and HEAD", paths: &[] })
}

#[derive(Serialize)]
struct Answer {
    status: &'static str,
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    paths: &'a [&'static str],
}

fn json(code: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(body) => (code, JSON_HEADERS, body + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

const JSON_HEADERS: [(HeaderName, &str); 2] =
    [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const MAX_CONNECTIONS: usize = 32;
const MAX_HEADER_BYTES: usize = 16 * 1024;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
