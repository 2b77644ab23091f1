//! A throwaway OpenSSH bastion.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

pub use builder::Builder;
pub use keys::Key;

use crate::{
    error::{Context, Error},
    log::Log,
    port::free_port_on,
    process::{Grace, Process},
    tool,
};

mod builder;
mod keys;

/// A real `sshd` on 127.0.0.1 that lets the current user in with keys made for it.
///
/// Its files live in a temporary directory; dropping the value ends the server and its sessions.
pub struct Sshd {
    // First, so that the server is gone before its files are.
    process: Option<Process>,
    log: Log,
    program: PathBuf,
    port: u16,
    user: String,
    passphrase: String,
    directory: TempDir,
}

impl Sshd {
    /// Starts from the defaults: forwarding to everywhere is allowed.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// As `Sshd::builder().start()`.
    ///
    /// # Panics
    ///
    /// As [`Builder::start`].
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Where it listens. It stays the same over [`Self::resume`].
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The only user let in: the one running this process.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The file with one of the private keys that are let in.
    pub fn key_file(&self, key: Key) -> PathBuf {
        self.directory.path().join(key.file())
    }

    /// The passphrase of [`Key::Encrypted`].
    pub fn passphrase(&self) -> &str {
        &self.passphrase
    }

    /// The known hosts file of someone who connected before: it carries the host keys the server
    /// first started with, whatever [`Self::change_host_key`] did since.
    pub fn known_hosts_file(&self) -> PathBuf {
        self.directory.path().join("known_hosts")
    }

    /// The known hosts lines that fit the present host keys.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a key file cannot be read.
    pub fn known_hosts(&self) -> Result<String, Error> {
        let mut lines = Vec::new();
        for file in keys::HOST_KEYS {
            let path = self.directory.path().join(file).with_extension("pub");
            let key = fs::read_to_string(&path).doing(|| format!("reading {}", path.display()))?;
            let (kind, body) = key.trim().split_once(' ').unwrap_or_default();
            let body = body.split(' ').next().unwrap_or_default();
            lines.push(format!("[127.0.0.1]:{} {kind} {body}\n", self.port));
        }
        Ok(lines.concat())
    }

    /// The directory of keys that were pushed: a file for each user.
    pub(crate) fn pushed_keys(&self) -> PathBuf {
        self.directory.path().join(builder::PUSHED)
    }

    /// The server's log, at debug level: connections, logins and forwarding requests.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.log.count("Connection from ")
    }

    /// How many logins succeeded so far.
    pub fn logins(&self) -> usize {
        self.log.count("Accepted publickey for ")
    }

    /// How many channels to a forwarding destination were asked for so far.
    pub fn channels(&self) -> usize {
        self.log.count("server_request_direct_tcpip: originator")
    }

    /// The process id of the listening process; none while stopped.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// The OpenSSH client with key, port, user and a strict check against [`Self::known_hosts_file`];
    /// the caller adds `-L`, `-W` or a command.
    ///
    /// # Errors
    ///
    /// [`Error::MissingTool`] without openssh-client.
    pub fn client(&self, key: Key) -> Result<Command, Error> {
        let mut ssh = Command::new(tool::find("ssh", "openssh-client")?);
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]);
        ssh.args(["-o", "StrictHostKeyChecking=yes", "-o"]);
        ssh.arg(format!("UserKnownHostsFile={}", self.known_hosts_file().display()));
        ssh.arg("-i").arg(self.key_file(key)).args(["-p", &self.port.to_string()]);
        ssh.arg(format!("{}@127.0.0.1", self.user)).env_remove("SSH_AUTH_SOCK");
        Ok(ssh)
    }

    /// Ends the server and all its sessions at once, as a host that crashed would.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.end();
        }
    }

    /// Starts a stopped server again, on the same port.
    ///
    /// # Errors
    ///
    /// [`Error::NoPort`] when the port was taken meanwhile.
    pub fn resume(&mut self) -> Result<(), Error> {
        match self.serve()? {
            Served::Ready => Ok(()),
            Served::PortTaken => Err(Error::NoPort { program: "sshd" }),
        }
    }

    /// Gives the server other host keys: ends it with its sessions and starts it again on the same
    /// port.
    ///
    /// # Errors
    ///
    /// As [`Self::resume`].
    pub fn change_host_key(&mut self) -> Result<(), Error> {
        self.stop();
        keys::make_host_keys(self.directory.path())?;
        self.resume()
    }

    /// Stops the server and its sessions without closing anything: a network that swallows every
    /// packet.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the server has ended.
    pub fn freeze(&self) -> Result<(), Error> {
        self.process.as_ref().map_or(Ok(()), Process::freeze)
    }

    /// Undoes [`Self::freeze`].
    ///
    /// # Errors
    ///
    /// As [`Self::freeze`].
    pub fn thaw(&self) -> Result<(), Error> {
        self.process.as_ref().map_or(Ok(()), Process::thaw)
    }

    fn serve_on_free_port(&mut self) -> Result<(), Error> {
        for _ in 0..PORT_ATTEMPTS {
            self.port = free_port_on(Ipv4Addr::LOCALHOST.into())?;
            if matches!(self.serve()?, Served::Ready) {
                let path = self.known_hosts_file();
                return fs::write(&path, self.known_hosts()?)
                    .doing(|| format!("writing {}", path.display()));
            }
        }
        Err(Error::NoPort { program: "sshd" })
    }

    fn serve(&mut self) -> Result<Served, Error> {
        let mut server = Command::new(&self.program);
        server.args(["-D", "-e", "-p", &self.port.to_string(), "-f"]);
        server.arg(self.directory.path().join("sshd_config"));
        let mark = self.log.mark();
        let process = Process::start(&server, Grace::Kill, self.directory.path(), &self.log)?;
        let line = self.log.wait_for_any_after(mark, &[READY, TAKEN], START_LIMIT)?;
        if line.contains(TAKEN) {
            process.end();
            return Ok(Served::PortTaken);
        }
        self.process = Some(process);
        Ok(Served::Ready)
    }
}

enum Served {
    Ready,
    PortTaken,
}

const READY: &str = "Server listening on ";
const TAKEN: &str = "Address already in use";
const PORT_ATTEMPTS: u32 = 5;
const START_LIMIT: Duration = Duration::from_secs(30);
