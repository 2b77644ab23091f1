//! The HTTPS proxy of an office: it opens tunnels, and does nothing else.
//!
//! It takes `CONNECT` as RFC 9110 (9.3.6) and RFC 9112 (3.2.3) write it, and a login as RFC 7617 does. What
//! it does not take it remembers, for the test to read.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header::{HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION},
    http::HeaderValue,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::{net::TcpStream, sync::oneshot, task::JoinSet};

use crate::error::{Context as _, Error};

/// A proxy on 127.0.0.1, on a thread of its own. Dropping it closes its port and its tunnels.
pub struct ConnectProxy {
    address: SocketAddr,
    office: Arc<Office>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Its rules, and what it has seen.
struct Office {
    login: Option<Login>,
    seen: Mutex<Seen>,
}

struct Login {
    user: &'static str,
    password: &'static str,
}

#[derive(Default)]
struct Seen {
    tunnels: Vec<String>,
    refusals: Vec<String>,
    forbidden: Vec<String>,
}

impl ConnectProxy {
    /// Starts one that everybody may use.
    ///
    /// # Panics
    ///
    /// When no port or thread is left.
    pub fn start() -> Self {
        Self::start_for(None)
    }

    /// Starts one that wants this user and password.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub fn start_with_login(user: &'static str, password: &'static str) -> Self {
        Self::start_for(Some(Login { user, password }))
    }

    /// Where it is, as `HTTPS_PROXY` says it, without a login.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// As [`Self::url`], with the login it wants, if it wants one.
    pub fn url_with_login(&self) -> String {
        let Some(Login { user, password }) = &self.office.login else { return self.url() };
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        format!("http://{}:{}@{}", encoded(user), encoded(password), self.address)
    }

    /// Where its tunnels led so far, as `HOST:PORT`.
    pub fn tunnels(&self) -> Vec<String> {
        self.office.seen().tunnels.clone()
    }

    /// What it refused so far, and why.
    pub fn refusals(&self) -> Vec<String> {
        self.office.seen().refusals.clone()
    }

    /// Lets nobody through to this host any more.
    pub fn forbid(&self, host: &str) {
        self.office.seen().forbidden.push(host.to_owned());
    }

    #[expect(clippy::panic, reason = "a test without its proxy cannot go on")]
    fn start_for(login: Option<Login>) -> Self {
        Self::try_start(login).unwrap_or_else(|error| panic!("no proxy: {error}"))
    }

    fn try_start(login: Option<Login>) -> Result<Self, Error> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .doing(|| "listening for the proxy".to_owned())?;
        let address = socket.local_addr().doing(|| "asking for the proxy's port".to_owned())?;
        socket.set_nonblocking(true).doing(|| "opening the proxy's port".to_owned())?;
        let office = Arc::new(Office { login, seen: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .doing(|| "starting the proxy's runtime".to_owned())?;
        let served = Arc::clone(&office);
        let thread = thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || runtime.block_on(listen(socket, served, stopped)))
            .doing(|| "starting the proxy's thread".to_owned())?;
        Ok(Self { address, office, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        // Either may have happened already if the proxy's thread panicked.
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Office {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the tunnel is to lead; otherwise the status to refuse it with, and why.
    fn judge(&self, request: &Request<Incoming>) -> Result<String, (StatusCode, String)> {
        let bad = |why: &str| Err((StatusCode::BAD_REQUEST, why.to_owned()));
        if request.method() != Method::CONNECT {
            return Err((StatusCode::METHOD_NOT_ALLOWED, format!("{}", request.method())));
        }
        let Some(authority) = request.uri().authority() else {
            return bad("it names no host");
        };
        if authority.as_str().contains('@') || authority.port_u16().is_none() {
            return bad("what it names is not HOST:PORT");
        }
        if request.headers().get(HOST).map(HeaderValue::as_bytes)
            != Some(authority.as_str().as_bytes())
        {
            return bad("Host is not what it names");
        }
        if request.body().size_hint().upper() != Some(0) {
            return bad("it has a body");
        }
        let shown = request.headers().get(PROXY_AUTHORIZATION).map(HeaderValue::as_bytes);
        if !self.login.as_ref().is_none_or(|login| login.is(shown)) {
            let why = if shown.is_some() { "a wrong login" } else { "no login" };
            return Err((StatusCode::PROXY_AUTHENTICATION_REQUIRED, why.to_owned()));
        }
        if self.seen().forbidden.iter().any(|host| host == authority.host()) {
            return Err((StatusCode::FORBIDDEN, authority.host().to_owned()));
        }
        Ok(authority.as_str().to_owned())
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Empty<Bytes>> {
        let to = match self.judge(&request) {
            Ok(to) => to,
            Err((status, why)) => return self.refuse(status, &why),
        };
        let Ok(mut far) = TcpStream::connect(&to).await else {
            return self.refuse(StatusCode::BAD_GATEWAY, &to);
        };
        self.seen().tunnels.push(to);
        tokio::spawn(async move {
            if let Ok(near) = hyper::upgrade::on(request).await {
                // Either end may break it.
                tokio::io::copy_bidirectional(&mut TokioIo::new(near), &mut far).await.ok();
            }
        });
        Response::new(Empty::new())
    }

    fn refuse(&self, status: StatusCode, why: &str) -> Response<Empty<Bytes>> {
        self.seen().refusals.push(format!("{}: {why}", status.as_u16()));
        let mut response = Response::new(Empty::new());
        *response.status_mut() = status;
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            let challenge = HeaderValue::from_static("Basic realm=\"the office\"");
            response.headers_mut().insert(PROXY_AUTHENTICATE, challenge);
        }
        response
    }
}

impl Login {
    fn is(&self, shown: Option<&[u8]>) -> bool {
        let encoded = BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password));
        shown == Some(format!("Basic {encoded}").as_bytes())
    }
}

/// Runs until `stopped`.
async fn listen(socket: TcpListener, office: Arc<Office>, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(socket) else { return };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve(stream, Arc::clone(&office)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, office: Arc<Office>) {
    let service = service_fn(move |request| {
        let office = Arc::clone(&office);
        async move { Ok::<_, Infallible>(office.answer(request).await) }
    });
    let mut http = http1::Builder::new();
    // One that has said everything may still listen.
    let connection = http.half_close(true).serve_connection(TokioIo::new(stream), service);
    // A client that leaves in the middle is not this side's fault.
    connection.with_upgrades().await.ok();
}
