//! An ssh-agent of OpenSSH's.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// An ssh-agent that ends with the test.
pub(crate) struct Agent {
    process: Child,
    pub(crate) socket: PathBuf,
}

impl Agent {
    pub(crate) fn start(directory: &Path) -> Self {
        let socket = directory.join("agent");
        let mut process = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need ssh-agent; on Debian: apt-get install openssh-client");
        // It prints its socket once it listens there.
        let mut line = String::new();
        let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        assert!(line.contains("SSH_AUTH_SOCK"), "{line}");
        Self { process, socket }
    }

    /// Adds a key and the certificate beside it, if there is one.
    pub(crate) fn add(&self, key: &Path) {
        let mut add = Command::new("ssh-add");
        add.arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket).stdin(Stdio::null());
        assert!(add.status().unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
