//! `exec`, the second built-in transport: a command of the user's carries the bytes on its standard
//! input and output, as OpenSSH's `ProxyCommand` does.

mod child;
mod command;
mod stderr;

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::process;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::child::{Running, Who};
use self::command::Command;
use crate::connection::{CloseReason, Closed, Connection, Detail};
use crate::error::Failure;
use crate::{InstanceSpec, LoadFailure, OpenRequest, Status};

/// An instance of `exec`.
pub(crate) struct Exec {
    name: String,
    prefix: String,
    command: Command,
    pub(crate) runtime: Handle,
    children: TaskTracker,
    ending: CancellationToken,
}

impl Exec {
    pub(crate) fn create(spec: &InstanceSpec, runtime: Handle) -> Result<Arc<Self>, LoadFailure> {
        let label = format!("{KIND} {}", env!("CARGO_PKG_VERSION"));
        let refusal = |message| LoadFailure::Create {
            plugin: label.clone(),
            status: Status::Config,
            message,
        };
        if !spec.secrets.is_empty() {
            return Err(refusal("it asks for no secrets; take them out of its table".to_owned()));
        }
        let command = Command::read(&spec.config).map_err(refusal)?;
        Ok(Arc::new(Self {
            prefix: format!("transport {} ({label}): ", spec.name),
            name: spec.name.clone(),
            command,
            runtime,
            children: TaskTracker::new(),
            ending: CancellationToken::new(),
        }))
    }

    /// Starts the command. That it runs is all that is known then: whether it reaches the target
    /// shows when the target answers, or the command ends.
    ///
    /// Cancel safety: dropping the future ends a command that has been started.
    pub(crate) async fn open(
        self: &Arc<Self>,
        request: &OpenRequest,
        deadline: Instant,
        permit: OwnedSemaphorePermit,
    ) -> Result<Connection, Failure> {
        let command = self.prepare(request)?;
        let to = format!("{}:{}", request.host, request.port);
        let exec = Arc::clone(self);
        // The start waits until the program has been loaded.
        let starting = self.runtime.spawn_blocking(move || {
            let started = exec.start(command, &to);
            drop(permit);
            started
        });
        let late = || Failure::new(Status::Timeout, "the command was not started in time");
        let started = timeout_at(deadline, starting).await.map_err(|_elapsed| late())?;
        let ended = |_| Failure::new(Status::Internal, "the runtime for transports has ended");
        let (socket, reason) = started.map_err(ended)??;
        let closed = CloseReason::listening(reason, None);
        Ok(Connection { socket, closed, detail: Detail::default() })
    }

    /// Ends every child and waits until the last one is gone.
    pub(crate) async fn shutdown(&self) {
        self.ending.cancel();
        self.children.close();
        self.children.wait().await;
    }

    fn prepare(&self, request: &OpenRequest) -> Result<process::Command, Failure> {
        let arguments = self.command.arguments(&request.host, request.port);
        let arguments = arguments.map_err(|why| Failure::new(Status::Config, why))?;
        let mut command = process::Command::new(self.command.program());
        command
            .args(arguments)
            .env("PGFERRY_TRANSPORT", &self.name)
            .env("PGFERRY_TARGET_HOST", &request.host)
            .env("PGFERRY_TARGET_PORT", request.port.to_string())
            .env("PGFERRY_PURPOSE", request.purpose.as_str());
        Ok(command)
    }

    fn start(
        &self,
        command: process::Command,
        to: &str,
    ) -> Result<(OwnedFd, oneshot::Receiver<Closed>), Failure> {
        // Before the look at `ending`: a shutdown either waits for this child or is seen here.
        let token = self.children.token();
        if self.ending.is_cancelled() {
            return Err(Failure::new(Status::Cancelled, "shutting down"));
        }
        let who = Who {
            instance: self.name.clone(),
            prefix: self.prefix.clone(),
            program: self.command.program().to_owned(),
            to: to.to_owned(),
        };
        let started = Running::start(command, who);
        let (running, socket) = started.map_err(|error| self.not_started(&error))?;
        tracing::debug!(
            instance = self.name,
            program = self.command.program(),
            to,
            "a command was started"
        );
        let (tell, reason) = oneshot::channel();
        let ending = self.ending.clone();
        self.runtime.spawn(async move {
            running.attend(ending, tell).await;
            drop(token);
        });
        Ok((socket, reason))
    }

    fn not_started(&self, error: &io::Error) -> Failure {
        let program = self.command.program();
        let (status, hint) = match error.kind() {
            io::ErrorKind::NotFound if !program.contains('/') => (
                Status::Config,
                "Install it, or name it with its path: PATH may be another one here.",
            ),
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                (Status::Config, "Check command of the transport.")
            }
            // ENOEXEC: a script without its first line, or a program of another machine.
            _ if error.raw_os_error() == Some(libc::ENOEXEC) => {
                (Status::Config, "A script needs a first line that names its interpreter.")
            }
            _ => (Status::Internal, "The system may be short of processes, memory or files."),
        };
        let failure = Failure::new(status, format!("cannot run {program}: {error}"));
        Failure { hint: Some(hint.to_owned()), ..failure }
    }
}

impl fmt::Debug for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The kind that is no plugin and runs a command.
pub(crate) const KIND: &str = "exec";
