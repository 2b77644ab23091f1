//! Who takes part: each in a process of its own, all in front of the same server.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use pgferry_simulators::{Grace, Key, Log, Process, Sshd, free_port};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::accounting::family;
use crate::machine::said;
use crate::{Regime, Run};

/// Longest start of anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// The cipher of both SSH clients.
const CIPHER: &str = "aes256-gcm@openssh.com";

/// The names of those that are always there.
pub(crate) const DIRECT: &str = "direct";
pub(crate) const PGFERRY: &str = "pgferry";
pub(crate) const PGFERRY_SSH: &str = "pgferry ssh";

const DIRECT_TRANSPORT: &str = "{ kind = \"direct\" }";

/// One way to the server.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Version and settings, for the reader of the tables.
    pub(crate) about: String,
    pub(crate) address: SocketAddr,
    /// The programs it consists of; none for the direct connection.
    roots: Vec<u32>,
    // Ended before the directory it lives in.
    _process: Option<Process>,
    _bastion: Option<Sshd>,
}

impl Peer {
    /// Its processes now: some fork for each connection.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.roots.iter().flat_map(|root| family(*root)).collect()
    }
}

/// The server and all that lead to it.
pub(crate) struct Field {
    pub(crate) peers: Vec<Peer>,
    /// Peers that are not installed.
    pub(crate) missing: Vec<&'static str>,
    pub(crate) server: Process,
    _directory: TempDir,
}

impl Field {
    /// Starts the server and everybody wanted.
    pub(crate) fn start(run: &Run) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("pgferry-bench-").tempdir()?;
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        let (server, address) = ourselves(&["serve"])?;
        let start = Start { run, directory: directory.path().to_owned(), server: address };
        let (peers, missing) = (vec![start.direct()], Vec::new());
        let mut field = Self { peers, missing, server, _directory: directory };
        for (name, begin) in Start::ALL {
            let ours = name.starts_with(PGFERRY) || name.starts_with("before");
            if !ours && !run.peers.is_empty() && !run.peers.iter().any(|wanted| wanted == name) {
                continue;
            }
            match begin(&start).with_context(|| format!("starting {name}"))? {
                Some(peer) => field.peers.push(Peer { name, ..peer }),
                // It was not asked for.
                None if name.starts_with("before") => {}
                None => field.missing.push(name),
            }
        }
        Ok(field)
    }

    /// One of them.
    pub(crate) fn find(&self, name: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.name == name)
    }
}

/// How one of them is started; none if it is not installed.
type Begin<'a> = fn(&Start<'a>) -> anyhow::Result<Option<Peer>>;

/// What every start needs.
struct Start<'a> {
    run: &'a Run,
    directory: PathBuf,
    server: SocketAddr,
}

impl<'a> Start<'a> {
    const ALL: [(&'static str, Begin<'a>); 8] = [
        ("tokio copy", Self::copy),
        (PGFERRY, Self::pgferry),
        ("before", Self::before),
        ("pgbouncer", Self::pgbouncer),
        ("haproxy", Self::haproxy),
        (PGFERRY_SSH, Self::pgferry_ssh),
        ("before ssh", Self::before_ssh),
        ("ssh -L", Self::ssh),
    ];

    fn direct(&self) -> Peer {
        Peer {
            name: DIRECT,
            about: "no relay".to_owned(),
            address: self.server,
            roots: Vec::new(),
            _process: None,
            _bastion: None,
        }
    }

    fn peer(&self, about: String, address: SocketAddr, process: Process) -> Peer {
        Peer { about, address, roots: vec![process.id()], _process: Some(process), ..self.direct() }
    }

    fn threads(&self) -> usize {
        match self.run.regime {
            Regime::OneCore => 1,
            Regime::AllCores => 2,
        }
    }

    fn copy(&self) -> anyhow::Result<Option<Peer>> {
        let (process, address) = ourselves(&["copy", "--to", &self.server.to_string()])?;
        let about = "copy_bidirectional, 1 thread, 8 KiB buffers".to_owned();
        Ok(Some(self.peer(about, address, process)))
    }

    fn pgferry(&self) -> anyhow::Result<Option<Peer>> {
        self.ferry(&self.run.pgferry, "direct", DIRECT_TRANSPORT).map(Some)
    }

    fn before(&self) -> anyhow::Result<Option<Peer>> {
        let Some(program) = &self.run.before else { return Ok(None) };
        self.ferry(program, "before", DIRECT_TRANSPORT).map(Some)
    }

    fn pgferry_ssh(&self) -> anyhow::Result<Option<Peer>> {
        self.ferry_ssh(&self.run.pgferry, "ssh").map(Some)
    }

    fn before_ssh(&self) -> anyhow::Result<Option<Peer>> {
        let Some(program) = &self.run.before else { return Ok(None) };
        self.ferry_ssh(program, "before-ssh").map(Some)
    }

    fn ferry_ssh(&self, program: &Path, label: &str) -> anyhow::Result<Peer> {
        let bastion = Sshd::start();
        let transport = format!(
            "{{ kind = \"ssh\", host = \"127.0.0.1\", port = {}, user = {:?}, key_file = '{}', \
             known_hosts_file = '{}', ssh_config = false }}",
            bastion.port(),
            bastion.user(),
            bastion.key_file(Key::Ed25519).display(),
            bastion.known_hosts_file().display()
        );
        let mut peer = self.ferry(program, label, &transport)?;
        peer.roots.extend(bastion.process_id());
        peer.about.push_str("; CPU and memory include sshd's");
        Ok(Peer { _bastion: Some(bastion), ..peer })
    }

    fn ferry(&self, program: &Path, label: &str, transport: &str) -> anyhow::Result<Peer> {
        let threads = self.threads();
        let ferry = Ferry { program, directory: &self.directory, label, threads, transport };
        let (process, address) = ferry.start(self.server.port(), &[])?;
        let about = format!(
            "{}, {threads} relay thread(s), all metrics on, local_auth trust",
            said(Command::new(program).arg("version"))
        );
        Ok(self.peer(about, address, process))
    }

    fn pgbouncer(&self) -> anyhow::Result<Option<Peer>> {
        let Some(program) = installed("pgbouncer") else { return Ok(None) };
        let address = free_address();
        let users = self.file("users.txt", "\"bench\" \"unused\"\n")?;
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = session\nserver_reset_query =\nmax_client_conn = 5000\n\
             default_pool_size = 5000\nlog_connections = 0\nlog_disconnections = 0\n",
            self.server.port(),
            address.port(),
            users.display()
        );
        let file = self.file("pgbouncer.ini", &config)?;
        let mut command = as_nobody(&program);
        command.arg(&file);
        let (process, log) = Process::run(&command, Grace::Kill)?;
        listens(address, &log)?;
        let version = said(Command::new(&program).arg("--version"));
        let about = format!("{version}, session pooling, 1 thread, 4 KiB buffers");
        Ok(Some(self.peer(about, address, process)))
    }

    fn haproxy(&self) -> anyhow::Result<Option<Peer>> {
        let Some(program) = installed("haproxy") else { return Ok(None) };
        let (address, threads) = (free_address(), self.threads());
        let config = format!(
            "global\n maxconn 4000\n nbthread {threads}\ndefaults\n mode tcp\n timeout connect 5s\n \
             timeout client 1h\n timeout server 1h\nlisten bench\n bind {address}\n server one {}\n",
            self.server
        );
        let file = self.file("haproxy.cfg", &config)?;
        let mut command = Command::new(&program);
        command.arg("-db").arg("-f").arg(&file);
        let (process, log) = Process::run(&command, Grace::Kill)?;
        listens(address, &log)?;
        let version = said(Command::new(&program).arg("-v"));
        let version = version.split(" - ").next().unwrap_or_default().to_owned();
        let about = format!("{version}, TCP mode, {threads} thread(s), 16 KiB buffers");
        Ok(Some(self.peer(about, address, process)))
    }

    fn ssh(&self) -> anyhow::Result<Option<Peer>> {
        let Some(program) = installed("ssh") else { return Ok(None) };
        let (bastion, address) = (Sshd::start(), free_address());
        let mut command = bastion.client(Key::Ed25519)?;
        command.args(["-N", "-c", CIPHER, "-o", "Compression=no", "-L"]);
        command.arg(format!("{}:{}", address, self.server));
        let (process, log) = Process::run(&command, Grace::Kill)?;
        listens(address, &log)?;
        let version = said(Command::new(program).arg("-V"));
        let about = format!("{version}, {CIPHER}; CPU and memory include sshd's");
        let mut peer = self.peer(about, address, process);
        peer.roots.extend(bastion.process_id());
        Ok(Some(Peer { _bastion: Some(bastion), ..peer }))
    }

    fn file(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        file(&self.directory, name, text)
    }
}

/// A pgferry with one target.
pub(crate) struct Ferry<'a> {
    pub(crate) program: &'a Path,
    /// For its files, and what they are called.
    pub(crate) directory: &'a Path,
    pub(crate) label: &'a str,
    pub(crate) threads: usize,
    pub(crate) transport: &'a str,
}

impl Ferry<'_> {
    /// Starts it in front of a server on this machine, with more in its environment.
    pub(crate) fn start(
        &self,
        port: u16,
        environment: &[(&str, String)],
    ) -> anyhow::Result<(Process, SocketAddr)> {
        let Self { program, directory, label, threads, transport } = self;
        let password = file(directory, &format!("{label}.password"), "unused\n")?;
        let config = format!(
            "[admin]\nlisten = \"127.0.0.1:0\"\n[relay]\nthreads = {threads}\n\
             [limits]\nconnections = 5000\n\
             [targets.bench]\nlisten = \"127.0.0.1:0\"\ntransport = {transport}\n\
             database = {{ host = \"127.0.0.1\", port = {port}, tls = \"disable\" }}\n\
             credential = {{ kind = \"password\", user = \"bench\", password_file = '{}' }}\n\
             local_auth = {{ kind = \"trust\" }}\n",
            password.display()
        );
        let file = file(directory, &format!("{label}.toml"), &config)?;
        let mut command = Command::new(program);
        command.args(["run", "--log-level", "info", "--config"]).arg(&file);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let (process, log) = Process::run(&command, Grace::Terminate)?;
        let address = announced(&log, "ready: target bench on ")?;
        Ok((process, address))
    }
}

fn file(directory: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let file = directory.join(name);
    fs::write(&file, text)?;
    // What pgbouncer reads as nobody holds no secret; what pgferry reads has to look like one.
    let mode = if name.ends_with(".password") { 0o600 } else { 0o644 };
    fs::set_permissions(&file, Permissions::from_mode(mode))?;
    Ok(file)
}

/// Starts this program in another role.
pub(crate) fn ourselves(arguments: &[&str]) -> anyhow::Result<(Process, SocketAddr)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments);
    let (process, log) = Process::run(&command, Grace::Kill)?;
    let address = announced(&log, "listening on ")?;
    Ok((process, address))
}

pub(crate) fn announced(log: &Log, words: &str) -> anyhow::Result<SocketAddr> {
    let line = log.wait_for(words, PATIENCE)?;
    let address = line.split_once(words).and_then(|(_, rest)| rest.split_whitespace().next());
    address.unwrap_or_default().parse().with_context(|| format!("no address in `{line}`"))
}

/// Waits until somebody listens: these programs announce nothing.
pub(crate) fn listens(address: SocketAddr, log: &Log) -> anyhow::Result<()> {
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        anyhow::ensure!(began.elapsed() < PATIENCE, "nobody listens on {address}: {}", log.text());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

pub(crate) fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

/// It refuses to run as root.
pub(crate) fn as_nobody(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
    command
}

pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}
