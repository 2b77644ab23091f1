//! A cluster behind a simulated Data API, and applications that reach it through the transport.

use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use pgferry_simulators::{Aws, Cluster, DataApiCall, Postgres, Role};
use pgferry_transport_aws::Program;
use pgferry_transport_data_api::cluster::Cluster as Target;
use pgferry_transport_data_api::config::Config;
use pgferry_transport_data_api::gateway::{Door, Gateway};
use pgferry_transport_sdk::Error;
use tokio::net::UnixStream;
use tokio_postgres::{Client, NoTls};
use zeroize::Zeroizing;

/// For whatever has to happen sooner or later.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// A database of its own for each test would take a second each: they keep to schemas of their own.
static POSTGRES: LazyLock<Postgres> = LazyLock::new(Postgres::start);

/// The cluster, and the transport that leads to it.
pub(crate) struct World {
    pub(crate) aws: Aws,
    gateway: Arc<Gateway<Here>>,
    target: Target,
}

/// The program around the transport.
#[derive(Clone)]
pub(crate) struct Here {
    credentials: Arc<str>,
    config: Arc<str>,
}

impl Program for Here {
    async fn secret(&self, name: &str) -> Result<Zeroizing<String>, Error> {
        match name {
            "aws:credentials" => Ok(Zeroizing::new(self.credentials.to_string())),
            "aws:config" => Ok(Zeroizing::new(self.config.to_string())),
            other => Err(Error::denied(format!("{other} is not granted"))),
        }
    }

    fn now(&self) -> SystemTime {
        #[expect(clippy::disallowed_methods, reason = "the simulated AWS has the same clock")]
        SystemTime::now()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::configured("{}")
    }

    pub(crate) fn configured(config: &str) -> Self {
        let aws = Aws::start();
        aws.add_cluster(Cluster::new("demo").data_api());
        aws.data_api().attach("demo", &POSTGRES);
        let login = serde_json::json!({
            "username": Role::Scram.name(), "password": POSTGRES.password(Role::Scram),
        });
        let secret = aws.add_secret("rds!cluster-demo", &login.to_string());
        let target = Target {
            arn: format!("arn:aws:rds:{}:{}:cluster:demo", aws.region(), aws.account()),
            secret,
            region: Some(aws.region().to_owned()),
            database: "app".to_owned(),
        };
        let config: Config = serde_json::from_str(config).expect("a configuration");
        let gateway = Gateway::new(config, here(&aws)).expect("a gateway");
        Self { aws, gateway, target }
    }

    /// An application, connected through the transport.
    pub(crate) async fn connect(&self) -> Client {
        self.connect_with("").await.expect("a session")
    }

    /// As [`Self::connect`], with more settings.
    pub(crate) async fn connect_with(&self, more: &str) -> Result<Client, tokio_postgres::Error> {
        let config: tokio_postgres::Config =
            format!("user={} dbname=app {more}", Role::Scram.name()).parse().expect("settings");
        let (client, connection) = config.connect_raw(self.socket().await, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// The near end of a session's socket.
    pub(crate) async fn socket(&self) -> UnixStream {
        let (near, far) = UnixStream::pair().expect("a pair of sockets");
        let door = self.gateway.open(self.target.clone()).await.expect("a way in");
        tokio::spawn(door.serve(far));
        near
    }

    /// Ways in for applications that come later.
    pub(crate) fn doors(&self) -> Doors {
        Doors { gateway: Arc::clone(&self.gateway), target: self.target.clone() }
    }

    /// The calls of the Data API that `work` makes.
    pub(crate) async fn calls<T>(&self, work: impl Future<Output = T>) -> (T, Vec<DataApiCall>) {
        let before = self.aws.data_api().calls().len();
        let done = work.await;
        (done, self.aws.data_api().calls().split_off(before))
    }
}

/// Opens ways in.
pub(crate) struct Doors {
    gateway: Arc<Gateway<Here>>,
    target: Target,
}

impl Doors {
    pub(crate) async fn open(&self) -> Door<Here> {
        self.gateway.open(self.target.clone()).await.expect("a way in")
    }
}

/// A program of the database's own version.
pub(crate) fn client_program(name: &str) -> Command {
    POSTGRES.client(name)
}

/// Settings of libpq that lead to the database by its port, and the password.
pub(crate) fn direct_settings() -> (String, String) {
    let settings = POSTGRES.connect_direct_args(Role::Scram);
    (settings, POSTGRES.password(Role::Scram).to_owned())
}

/// An application that reaches the database by its port.
pub(crate) async fn direct() -> Client {
    let settings = format!(
        "host=127.0.0.1 port={} user={} password={} dbname=app",
        POSTGRES.port(),
        Role::Scram.name(),
        POSTGRES.password(Role::Scram)
    );
    let (client, connection) =
        tokio_postgres::connect(&settings, NoTls).await.expect("the database itself");
    tokio::spawn(connection);
    client
}

fn here(aws: &Aws) -> Here {
    let keys = aws.credentials();
    let credentials = serde_json::json!({
        "Version": 1,
        "AccessKeyId": keys.access_key_id,
        "SecretAccessKey": keys.secret_access_key,
        "SessionToken": keys.session_token,
    });
    let config = serde_json::json!({
        "region": aws.region(),
        "endpoint_url": aws.endpoint_url(),
    });
    Here { credentials: credentials.to_string().into(), config: config.to_string().into() }
}
