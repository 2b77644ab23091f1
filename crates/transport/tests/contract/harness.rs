//! Compiles plugins, starts transports with them, and hears what the host reports.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use pgferry_transport::{
    InstanceSpec, LoadError, Metric, Observer, OpenRequest, Purpose, Recorder, SearchPath,
    Transports, TunnelState,
};
use tempfile::{NamedTempFile, TempDir};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Compiles `tests/plugins/<source>.c` as the plugin `name` into a directory of its own.
pub(crate) fn compile(source: &str, name: &str, defines: &[&str]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().join(format!("libpgferry_transport_{name}.so"));
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("cc")
        .args(["-std=gnu11", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"])
        .args(defines.iter().map(|define| format!("-D{define}")))
        .arg("-I")
        .arg(home.join("../transport-abi/include"))
        .arg("-o")
        .arg(&library)
        .arg(home.join("tests/plugins").join(format!("{source}.c")))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::set_permissions(&library, PermissionsExt::from_mode(0o755)).unwrap();
    (dir, library)
}

/// The hostile plugin, compiled once. It lies in a directory that goes when the process does.
pub(crate) fn hostile() -> PathBuf {
    static COMPILED: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    COMPILED.get_or_init(|| compile("hostile", "hostile", &[])).1.clone()
}

/// Everything logged so far, by any test.
pub(crate) fn logged() -> String {
    static LOG: OnceLock<NamedTempFile> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let file = NamedTempFile::new().unwrap();
        let writer = file.reopen().unwrap();
        tracing_subscriber::fmt().with_writer(writer).with_ansi(false).init();
        file
    });
    std::fs::read_to_string(log.path()).unwrap()
}

pub(crate) fn hostile_spec(name: &str) -> InstanceSpec {
    InstanceSpec { path: Some(hostile()), ..InstanceSpec::new(name, "hostile") }
}

/// What the host reported, in words.
pub(crate) struct Reports(UnboundedReceiver<String>);

impl Reports {
    /// Waits for a report that begins so, passing over others.
    pub(crate) async fn wait_for(&mut self, beginning: &str) -> String {
        let found = async {
            loop {
                let report = self.0.recv().await.unwrap();
                if report.starts_with(beginning) {
                    return report;
                }
            }
        };
        tokio::time::timeout(Duration::from_mins(1), found).await.unwrap()
    }

    /// Whether there was a report that begins so, up to now.
    pub(crate) fn had(&mut self, beginning: &str) -> bool {
        std::iter::from_fn(|| self.0.try_recv().ok()).any(|report| report.starts_with(beginning))
    }
}

struct Reporter(Mutex<UnboundedSender<String>>);

impl Reporter {
    fn say(&self, what: String) {
        // The test may have stopped listening.
        drop(self.0.lock().unwrap().send(what));
    }
}

impl Observer for Reporter {
    fn state(&self, _instance: &str, state: TunnelState, message: &str) {
        self.say(format!("state {}: {message}", state.label()));
    }

    fn violation(&self, _instance: &str, what: &str) {
        self.say(format!("violation: {what}"));
    }

    fn abandoned(&self, instance: &str) {
        self.say(format!("abandoned: {instance}"));
    }

    fn metric(&self, _instance: &str, metric: &Metric) -> Option<Recorder> {
        let (name, said) = (metric.name.clone(), self.0.lock().unwrap().clone());
        Some(Arc::new(move |value| said.send(format!("metric {name} {value}")).unwrap()))
    }
}

/// Starts transports on the test's own runtime.
pub(crate) fn start(specs: Vec<InstanceSpec>) -> (Transports, Reports) {
    let (said, heard) = unbounded_channel();
    let observer = Arc::new(Reporter(Mutex::new(said)));
    let transports =
        Transports::start(specs, &[], SearchPath::only([]), observer, Handle::current()).unwrap();
    (transports, Reports(heard))
}

/// The error of a start that must fail.
pub(crate) fn refusal(specs: Vec<InstanceSpec>, search: SearchPath) -> LoadError {
    let observer = Arc::new(pgferry_transport::Unobserved);
    Transports::start(specs, &[], search, observer, Handle::current()).unwrap_err()
}

/// Somebody to connect to.
pub(crate) fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A request that tells the hostile plugin what to do.
pub(crate) fn request(trick: &str, port: u16) -> OpenRequest {
    OpenRequest {
        host: "127.0.0.1".to_owned(),
        port,
        database: Some(trick.to_owned()),
        user: None,
        cluster: None,
        purpose: Purpose::Session,
        limit: Duration::from_secs(10),
        tcp_limit: Duration::from_secs(5),
        idle_tunnel: Duration::from_mins(1),
        client_label: None,
    }
}
