//! A bastion: OpenSSH's sshd in a directory of its own.
//!
//! The listener is ours and sshd runs once per connection, as under inetd. So the port is free for
//! certain, connections can be counted, and each can be killed.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use pgferry_transport_ssh::config::Config;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

pub(crate) struct Sshd {
    pub(crate) directory: TempDir,
    address: SocketAddr,
    children: Arc<Mutex<Vec<Child>>>,
    ending: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Sshd {
    /// A bastion with an ed25519 host key, that knows the user's key `id`.
    pub(crate) fn start() -> Self {
        Self::with("", &["ed25519"])
    }

    pub(crate) fn with(settings: &str, host_keys: &[&str]) -> Self {
        assert!(
            Path::new(SSHD).exists(),
            "these tests need {SSHD}; on Debian: apt-get install openssh-server openssh-client"
        );
        if rustix::process::getuid().is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let directory = tempfile::tempdir().unwrap();
        let mut lines = vec![COMMON.to_owned(), settings.to_owned()];
        for kind in host_keys {
            let key = directory.path().join(format!("host_{kind}"));
            make_key(&key, kind, "");
            lines.push(format!("HostKey {}", key.display()));
        }
        let authorized = directory.path().join("authorized_keys");
        lines.push(format!("AuthorizedKeysFile {}\n", authorized.display()));
        fs::write(directory.path().join("sshd_config"), lines.join("\n")).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (children, ending) = (Arc::default(), Arc::default());
        let mut sshd = Self { directory, address, children, ending, accepting: None };
        sshd.accepting = Some(sshd.accept(listener));
        sshd.authorize(&sshd.key("id", "ed25519", ""));
        sshd
    }

    fn accept(&self, listener: TcpListener) -> JoinHandle<()> {
        let (children, ending) = (Arc::clone(&self.children), Arc::clone(&self.ending));
        let directory = self.directory.path().to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ending.load(Ordering::Acquire) {
                    return;
                }
                children.lock().unwrap().push(serve(stream.unwrap(), &directory));
            }
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// A key of the user's; its public half is beside it.
    pub(crate) fn key(&self, name: &str, kind: &str, passphrase: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        make_key(&path, kind, passphrase);
        path
    }

    pub(crate) fn authorize(&self, key: &Path) {
        let path = self.directory.path().join("authorized_keys");
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(&fs::read(key.with_extension("pub")).unwrap()).unwrap();
    }

    /// Adds lines to `sshd_config`, for connections to come.
    pub(crate) fn configure(&self, lines: &str) {
        let path = self.directory.path().join("sshd_config");
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        writeln!(file, "{lines}").unwrap();
    }

    /// The type and base64 of a host key.
    pub(crate) fn host_key(&self, kind: &str) -> String {
        let path = self.directory.path().join(format!("host_{kind}.pub"));
        public_key(&path)
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.directory.path().join("known_hosts")
    }

    /// A transport that logs in with `id` and knows the bastion's ed25519 key.
    pub(crate) fn config(&self) -> Config {
        let line = format!("[127.0.0.1]:{} {}\n", self.port(), self.host_key("ed25519"));
        fs::write(self.known_hosts(), line).unwrap();
        self.config_without_known_hosts()
    }

    pub(crate) fn config_without_known_hosts(&self) -> Config {
        Config {
            host: "127.0.0.1".to_owned(),
            port: NonZeroU16::new(self.port()),
            user: Some(user()),
            key_file: Some(self.directory.path().join("id")),
            known_hosts_file: Some(self.known_hosts()),
            ..Config::default()
        }
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.children.lock().unwrap().len()
    }

    /// Waits until all connections have ended by themselves.
    pub(crate) async fn connections_ended(&self) {
        let children = std::mem::take(&mut *self.children.lock().unwrap());
        let waiting = tokio::task::spawn_blocking(move || {
            for mut child in children {
                child.wait().unwrap();
            }
        });
        let ended = tokio::time::timeout(crate::world::LIMIT, waiting).await;
        ended.expect("a connection is still open").unwrap();
    }

    /// Stops all connections there are from answering, as a lost network would.
    pub(crate) fn freeze_connections(&self) {
        for child in self.children.lock().unwrap().iter() {
            kill_process_group(Pid::from_child(child), Signal::STOP).unwrap();
        }
    }

    /// Ends all connections there are, as a crash would.
    pub(crate) fn kill_connections(&self) {
        for child in self.children.lock().unwrap().iter_mut() {
            kill(child);
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        // Wakes the listener up. If it is gone already, so is its thread.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
        self.kill_connections();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            println!("--- sshd ---\n{log}");
        }
    }
}

/// Runs `ssh-keygen`.
pub(crate) fn ssh_keygen(arguments: &[&str]) {
    let output = Command::new("ssh-keygen")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("these tests need ssh-keygen; on Debian: apt-get install openssh-client");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The type and base64 of a public key file.
pub(crate) fn public_key(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

pub(crate) fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn serve(stream: TcpStream, directory: &Path) -> Child {
    let log = OpenOptions::new().create(true).append(true).open(directory.join("log")).unwrap();
    let copy: File = OwnedFd::from(stream.try_clone().unwrap()).into();
    Command::new(SSHD)
        .args(["-i", "-e", "-f"])
        .arg(directory.join("sshd_config"))
        .stdin(OwnedFd::from(stream))
        .stdout(copy)
        .stderr(log)
        .process_group(0)
        .spawn()
        .unwrap()
}

fn kill(child: &mut Child) {
    // One that has been waited for has no process any more, and its number may be another's.
    if child.try_wait().unwrap().is_none() {
        kill_process_group(Pid::from_child(child), Signal::KILL).unwrap();
        child.wait().unwrap();
    }
}

pub(crate) fn make_key(path: &Path, kind: &str, passphrase: &str) {
    let path = path.to_str().unwrap();
    ssh_keygen(&["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", path]);
}

const SSHD: &str = "/usr/sbin/sshd";

const COMMON: &str = "\
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
LogLevel VERBOSE
";
