//! A simulated AWS, and a process that knows no other.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource;
use pgferry_aws::{Account, Identity};
use pgferry_credentials::{Access, CredentialError, Location, Offer, Source};
use pgferry_simulators::sigv4::Credentials;
use pgferry_simulators::{Aws, Clock};
use tokio::task::JoinSet;

/// Marks the child.
const ALONE: &str = "PGFERRY_CREDENTIALS_TEST_ALONE";
/// As many applications as connect at once.
pub(crate) const CROWD: usize = 200;

pub(crate) struct World {
    pub(crate) aws: Aws,
    ours: pgferry_aws::Aws,
}

/// Runs `test` in a child process that has an empty home and no other environment.
pub(crate) fn alone<T: AsyncFnOnce(World)>(test: T) {
    let name = std::any::type_name::<T>();
    let name = name.split_once("::").unwrap().1.split("::{{").next().unwrap();
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(async { test(World::start()).await });
    }
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env_clear()
        .env(ALONE, "1")
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{name}: {said}");
}

pub(crate) fn home() -> PathBuf {
    std::env::var_os("HOME").unwrap().into()
}

/// Writes the keys where the SDK looks.
pub(crate) fn has_keys(keys: &Credentials) {
    let token = keys.session_token.as_ref();
    let token = token.map(|it| format!("aws_session_token = {it}\n")).unwrap_or_default();
    let text = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n{token}",
        keys.access_key_id, keys.secret_access_key
    );
    std::fs::write(home().join(Path::new(".aws/credentials")), text).unwrap();
}

impl World {
    fn start() -> Self {
        let aws = Aws::start();
        let ours = pgferry_aws::Aws::with_clock(Ticking::new(aws.clock()));
        let world = Self { aws, ours };
        has_keys(world.aws.credentials());
        world
    }

    pub(crate) fn identity(&self) -> Identity {
        let region = Some(self.aws.region().to_owned());
        Identity { region, endpoint_url: Some(self.aws.endpoint_url()), ..Identity::default() }
    }

    pub(crate) fn account(&self, identity: &Identity) -> Account {
        self.ours.account(identity)
    }

    pub(crate) fn access(&self, location: Location, source: Source) -> Arc<Access> {
        Arc::new(Access::new(location, source, self.account(&self.identity())))
    }

    /// How many calls of `action` there were.
    pub(crate) fn count(&self, action: &str) -> usize {
        self.aws.count(action)
    }
}

/// The first offer of a new attempt.
pub(crate) async fn first(access: &Access) -> Result<Offer, CredentialError> {
    access.attempt("client").next().await.map(|offer| offer.expect("a first offer"))
}

/// What a crowd of new attempts is offered, all of which the database refuses `refusals` times.
pub(crate) async fn crowd(access: &Arc<Access>, refusals: usize) -> Vec<Option<Offer>> {
    let barrier = Arc::new(tokio::sync::Barrier::new(CROWD));
    let mut attempts = JoinSet::new();
    for _ in 0..CROWD {
        let (access, barrier) = (Arc::clone(access), Arc::clone(&barrier));
        attempts.spawn(async move {
            let mut attempt = access.attempt("client");
            for _ in 0..refusals {
                attempt.next().await.unwrap().unwrap();
                // All are refused before any of them asks again.
                barrier.wait().await;
            }
            attempt.next().await.unwrap()
        });
    }
    attempts.join_all().await
}

/// The text and the hint of an error.
pub(crate) fn told(error: &CredentialError) -> (String, String) {
    (error.to_string(), error.hint().unwrap_or_default())
}

/// The simulator's clock, a microsecond further each time it is looked at: what was made at different
/// times shows it.
struct Ticking {
    clock: Clock,
    looks: AtomicU64,
}

impl Ticking {
    fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), looks: AtomicU64::new(0) }
    }
}

impl TimeSource for Ticking {
    fn now(&self) -> SystemTime {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        let since = Duration::from_secs(self.clock.now()) + Duration::from_micros(looks);
        SystemTime::UNIX_EPOCH + since
    }
}

impl fmt::Debug for Ticking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticking")
    }
}
