//! What a throwaway bastion may be told before it starts.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use rand::distr::{Alphanumeric, SampleString};
use rustix::process::geteuid;

use super::{Sshd, keys};
use crate::{
    error::{Context, Error},
    log::Log,
    tool,
};

/// Settings of a [`Sshd`] that is about to start.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    permit_open: Vec<SocketAddr>,
    forwarding: Forwarding,
    settings: Vec<(String, String)>,
    keys: Keys,
}

/// Where users' keys are.
#[derive(Clone, Copy, Debug, Default)]
enum Keys {
    #[default]
    Listed,
    Pushed,
}

#[derive(Clone, Copy, Debug, Default)]
enum Forwarding {
    #[default]
    Allowed,
    Denied,
}

impl Builder {
    /// Forwards to this address and to no other. May be given several times.
    #[must_use]
    pub fn permit_open(mut self, destination: SocketAddr) -> Self {
        self.permit_open.push(destination);
        self
    }

    /// Whether forwarding is allowed at all.
    #[must_use]
    pub fn allow_tcp_forwarding(mut self, allowed: bool) -> Self {
        self.forwarding = if allowed { Forwarding::Allowed } else { Forwarding::Denied };
        self
    }

    /// Lets nobody in but with a key that [`crate::Aws::serve_instance_connect`] has put there.
    #[must_use]
    pub fn keys_by_instance_connect(mut self) -> Self {
        self.keys = Keys::Pushed;
        self
    }

    /// How many shells one connection may have. OpenSSH does *not* count forwarding channels.
    #[must_use]
    pub fn max_sessions(self, sessions: u32) -> Self {
        self.setting("MaxSessions", &sessions.to_string())
    }

    /// Adds a line to `sshd_config`; it wins over this crate's own.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the bastion and waits until it listens.
    ///
    /// # Panics
    ///
    /// With a sentence that names the missing package, or the server's log.
    #[expect(clippy::panic, reason = "a test without its bastion cannot go on")]
    pub fn start(self) -> Sshd {
        self.try_start().unwrap_or_else(|error| panic!("no throwaway sshd: {error}"))
    }

    /// As [`Self::start`], for callers that want to handle the failure.
    ///
    /// # Errors
    ///
    /// [`Error::MissingTool`], or the failure of the server with what it said.
    pub fn try_start(self) -> Result<Sshd, Error> {
        let program = tool::find("sshd", "openssh-server")?;
        let user = tool::run(Command::new("id").arg("-un"))?.trim().to_owned();
        let directory = tempfile::Builder::new()
            .prefix("pgferry-sshd-")
            .tempdir()
            .doing(|| "making a temporary directory".to_owned())?;
        let passphrase = Alphanumeric.sample_string(&mut rand::rng(), 24);
        keys::make_host_keys(directory.path())?;
        keys::make_user_keys(directory.path(), &passphrase)?;
        fs::create_dir(directory.path().join(PUSHED))
            .doing(|| "making a directory for pushed keys".to_owned())?;
        self.configure(directory.path())?;
        let log = Log::new("sshd");
        let mut server = Sshd { process: None, log, program, port: 0, user, passphrase, directory };
        server.serve_on_free_port()?;
        Ok(server)
    }

    fn configure(&self, directory: &Path) -> Result<(), Error> {
        if geteuid().is_root() {
            // Made at boot by the system's own service, which a container does not run.
            fs::create_dir_all("/run/sshd").doing(|| "making /run/sshd".to_owned())?;
        }
        fs::write(directory.join("sshd_config"), self.conf(directory))
            .doing(|| "writing sshd_config".to_owned())
    }

    fn conf(&self, directory: &Path) -> String {
        // sshd takes the first value it meets, so the caller's come first.
        let mut lines: Vec<String> =
            self.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
        if !self.permit_open.is_empty() {
            let open: Vec<_> = self.permit_open.iter().map(ToString::to_string).collect();
            lines.push(format!("PermitOpen {}", open.join(" ")));
        }
        lines.push(match self.forwarding {
            Forwarding::Allowed => "AllowTcpForwarding yes".to_owned(),
            Forwarding::Denied => "AllowTcpForwarding no".to_owned(),
        });
        let file = |name: &str| directory.join(name).display().to_string();
        lines.extend(keys::HOST_KEYS.map(|key| format!("HostKey {}", file(key))));
        let keys = match self.keys {
            Keys::Listed => file("authorized_keys"),
            Keys::Pushed => format!("{}/%u", file(PUSHED)),
        };
        lines.push(format!("AuthorizedKeysFile {keys}"));
        lines.push(format!("UsePAM {}", pam()));
        lines.push(SETTINGS.to_owned());
        lines.join("\n")
    }
}

/// The directory of keys that were pushed, a file for each user.
pub(super) const PUSHED: &str = "pushed";

/// Without PAM, sshd refuses an account whose password is locked (`!`), which is how many systems
/// come with root. With PAM, a key is enough.
fn pam() -> &'static str {
    let accounts = fs::read_to_string("/etc/shadow").unwrap_or_default();
    let locked = accounts.lines().any(|line| line.starts_with("root:!"));
    if geteuid().is_root() && locked { "yes" } else { "no" }
}

const SETTINGS: &str = "\
    ListenAddress 127.0.0.1\nPidFile none\nStrictModes no\nUseDNS no\nPrintMotd no\n\
    PermitRootLogin prohibit-password\nPubkeyAuthentication yes\n\
    PasswordAuthentication no\nKbdInteractiveAuthentication no\n\
    X11Forwarding no\nMaxStartups 200\nMaxAuthTries 20\nLogLevel DEBUG1\n";
