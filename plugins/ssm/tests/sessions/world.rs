//! The program around the transport, the simulated AWS and a database, as the tests need them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use pgferry_simulators::sigv4::Credentials;
use pgferry_simulators::{Aws, ManagedInstance, SessionManager, SessionRecord};
use pgferry_transport_aws::Program;
use pgferry_transport_sdk::{Error, State};
use pgferry_transport_ssm::config::Config;
use pgferry_transport_ssm::destination::Destination;
use pgferry_transport_ssm::environment::Environment;
use pgferry_transport_ssm::figure::Figure;
use pgferry_transport_ssm::pool::{Kind, Order, Pool};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

/// The managed node that every test has.
pub(crate) const NODE: &str = "i-0123456789abcdef0";
/// For whatever has to happen sooner or later.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Everything around the transport.
pub(crate) struct World {
    pub(crate) aws: Aws,
    pub(crate) sessions: SessionManager,
    /// Instead of the simulated AWS's own plain port.
    pub(crate) endpoint: Option<String>,
    pub(crate) ca_bundle: Option<String>,
    pub(crate) https_proxy: Option<String>,
    ledger: Arc<Mutex<Ledger>>,
}

/// What the program hands out, and what it was told.
struct Ledger {
    keys: Credentials,
    /// When they end, as the program says it.
    ends: Option<String>,
    asked: usize,
    /// For how long the computer has slept.
    slept: Duration,
    figures: HashMap<Figure, f64>,
}

/// The environment that is handed to the transport.
#[derive(Clone)]
pub(crate) struct Here {
    ledger: Arc<Mutex<Ledger>>,
    config: Arc<str>,
}

/// A connection that is being carried: its near end, and how the carrying ends.
pub(crate) struct Client {
    pub(crate) near: UnixStream,
    pub(crate) carried: JoinHandle<Result<(), Error>>,
}

impl World {
    /// One node, online, which knows `db.internal` as a database that says everything back.
    pub(crate) async fn new() -> Self {
        let aws = Aws::start();
        aws.add_managed_instance(ManagedInstance::new(NODE).name("bastion").tag("role", "bastion"));
        let sessions = aws.session_manager();
        sessions.names(&[("db.internal", echo().await)]);
        let keys = aws.credentials().clone();
        let ledger =
            Ledger { keys, ends: None, asked: 0, slept: Duration::ZERO, figures: HashMap::new() };
        let ledger = Arc::new(Mutex::new(ledger));
        Self { aws, sessions, endpoint: None, ca_bundle: None, https_proxy: None, ledger }
    }

    pub(crate) fn pool(&self, config: &str) -> Arc<Pool<Here>> {
        let config: Config = serde_json::from_str(config).expect("a configuration");
        Pool::new(config, self.here()).expect("a pool")
    }

    /// A pool of one node that opens no session ahead of need.
    pub(crate) fn modest_pool(&self) -> Arc<Pool<Here>> {
        self.pool(&format!(r#"{{"instance": "{NODE}", "open_ahead": false}}"#))
    }

    fn here(&self) -> Here {
        let endpoint = self.endpoint.clone().unwrap_or_else(|| self.aws.endpoint_url());
        let config = serde_json::json!({
            "region": self.aws.region(),
            "endpoint_url": endpoint,
            "ca_bundle": self.ca_bundle,
            "https_proxy": self.https_proxy,
        });
        Here { ledger: Arc::clone(&self.ledger), config: config.to_string().into() }
    }

    /// The credentials that the program has from now on, and when it says that they end.
    pub(crate) fn hand_out(&self, keys: &Credentials, ends: Option<String>) {
        let mut ledger = self.ledger();
        ledger.keys = keys.clone();
        ledger.ends = ends;
    }

    /// How often the program was asked for credentials.
    pub(crate) fn asked(&self) -> usize {
        self.ledger().asked
    }

    /// What a figure has come to: the sum of a counter or of a histogram's values, the last value of a gauge.
    pub(crate) fn figure(&self, figure: Figure) -> f64 {
        self.ledger().figures.get(&figure).copied().unwrap_or_default()
    }

    /// Has the computer sleep: clocks go on, and nothing else does.
    pub(crate) fn sleep(&self, time: Duration) {
        self.ledger().slept += time;
        self.aws.clock().advance(time);
    }

    /// Holds that a figure has come to this whole number.
    pub(crate) fn counts(&self, figure: Figure, count: u32) {
        let seen = self.figure(figure);
        assert!(seen.total_cmp(&f64::from(count)).is_eq(), "{figure:?} is {seen}, not {count}");
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no panic")
    }

    /// Waits until the sessions are as `condition` wants them.
    pub(crate) fn until(&self, condition: impl FnMut(&[SessionRecord]) -> bool) {
        let waited = tokio::task::block_in_place(|| self.sessions.wait_until(LIMIT, condition));
        assert!(waited, "the sessions never were as expected: {:?}", self.sessions.sessions());
    }

    /// Ends the transport's life and holds that it broke no rule and left nothing behind.
    pub(crate) async fn end(&self, pool: &Pool<Here>) {
        timeout(LIMIT, pool.close()).await.expect("the transport should have ended");
        assert_eq!(self.sessions.breaches(), [], "rules of the protocol were broken");
        let left: Vec<_> =
            self.sessions.sessions().into_iter().filter(|session| !session.ended()).collect();
        assert!(left.is_empty(), "sessions were left behind: {left:?}");
    }
}

/// An order for a connection to `host`, with limits that no test reaches.
pub(crate) fn order(host: &str) -> Order {
    Order {
        to: Destination { host: host.to_owned(), port: 5432 },
        deadline: Instant::now() + LIMIT,
        first_answer: LIMIT,
        renew_after: LIMIT,
        idle_limit: Duration::from_mins(10),
        agent_silence: LIMIT,
        kind: Kind::Session,
    }
}

pub(crate) async fn connect(pool: &Arc<Pool<Here>>) -> Client {
    client(pool, &order("db.internal")).await
}

pub(crate) async fn client(pool: &Arc<Pool<Here>>, order: &Order) -> Client {
    let connection = pool.open(order).await.expect("an open connection");
    let (near, far) = UnixStream::pair().expect("a pair of sockets");
    Client { near, carried: tokio::spawn(connection.carry(far)) }
}

/// The error of an open that has to fail.
pub(crate) async fn refusal(pool: &Arc<Pool<Here>>, order: &Order) -> Error {
    match timeout(LIMIT, pool.open(order)).await.expect("an answer") {
        Ok(_) => panic!("the open should have failed"),
        Err(error) => error,
    }
}

impl Client {
    /// Says something and holds that the database says it back.
    pub(crate) async fn echoes(&mut self, said: &[u8]) {
        let mut heard = vec![0; said.len()];
        let (mut read, mut write) = self.near.split();
        let exchange = async {
            tokio::try_join!(write.write_all(said), read.read_exact(&mut heard)).expect("an echo");
        };
        timeout(LIMIT, exchange).await.expect("an echo in time");
        assert!(heard == said, "other bytes came back than were sent");
    }

    /// Holds that exactly this comes next.
    pub(crate) async fn hears(&mut self, said: &[u8]) {
        let mut heard = vec![0; said.len()];
        let read = timeout(LIMIT, self.near.read_exact(&mut heard)).await;
        read.expect("an echo in time").expect("an echo");
        assert!(heard == said, "other bytes came back than were sent");
    }

    /// The error with which the carrying ends.
    pub(crate) async fn fate(self) -> Error {
        let end = timeout(LIMIT, self.carried).await.expect("the connection should have ended");
        end.expect("no panic").expect_err("the connection should have ended with a reason")
    }

    /// Closes the near end, and waits until nothing is carried any more.
    pub(crate) async fn close(self) {
        drop(self.near);
        let end = timeout(LIMIT, self.carried).await.expect("the connection should have ended");
        end.expect("no panic").expect("a clean end");
    }
}

/// A database that says everything back.
pub(crate) async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = socket.split();
                drop(tokio::io::copy(&mut read, &mut write).await);
            });
        }
    });
    address
}

/// An address at which nobody listens, nor will while the process lives: the tests beside this one look for free
/// ports too.
pub(crate) fn nobody() -> SocketAddr {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let address = socket.local_addr().expect("its address");
    std::mem::forget(socket);
    address
}

impl Here {
    /// As a credential process writes them.
    fn credentials(&self) -> String {
        let mut ledger = self.ledger.lock().expect("no panic");
        ledger.asked += 1;
        let Ledger { keys, ends, .. } = &*ledger;
        let credentials = serde_json::json!({
            "Version": 1,
            "AccessKeyId": keys.access_key_id,
            "SecretAccessKey": keys.secret_access_key,
            "SessionToken": keys.session_token,
            "Expiration": ends,
        });
        credentials.to_string()
    }
}

impl Program for Here {
    async fn secret(&self, name: &str) -> Result<Zeroizing<String>, Error> {
        match name {
            "aws:credentials" => Ok(Zeroizing::new(self.credentials())),
            "aws:config" => Ok(Zeroizing::new(self.config.as_ref().to_owned())),
            other => Err(Error::denied(format!("{other} is not granted"))),
        }
    }

    fn now(&self) -> SystemTime {
        let slept = self.ledger.lock().expect("no panic").slept;
        #[expect(clippy::disallowed_methods, reason = "the simulated AWS has the real time")]
        let now = SystemTime::now();
        now + slept
    }
}

impl Environment for Here {
    type Socket = TcpStream;

    async fn dial(&self, host: &str, port: u16, limit: Duration) -> Result<TcpStream, Error> {
        let dialled = timeout(limit, TcpStream::connect((host, port))).await;
        Ok(dialled.map_err(|_| Error::timeout("no answer"))??)
    }

    fn report(&self, _: State, _: &str) {}

    fn record(&self, figure: Figure, value: f64) {
        let mut ledger = self.ledger.lock().expect("no panic");
        let sum = ledger.figures.entry(figure).or_default();
        *sum = if figure == Figure::Sessions { value } else { *sum + value };
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(task));
    }
}
