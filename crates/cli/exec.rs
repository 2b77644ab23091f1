//! `pgferry exec`: a command with a listener of its own, for as long as it runs.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use pgferry_config::{Listen, LocalAuth, LocalPassword, Plan, Secret};
use pgferry_proxy::Server;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::args::LogFormat;
use crate::args::client::{Exec, Session};
use crate::assembly::{self, Parts};
use crate::child::Child;
use crate::conninfo::{self, ConnInfo, LOCAL_USER, Place};
use crate::exit::{Exit, Failure};
use crate::hex::hex;
use crate::inherited::Login;
use crate::logging;
use crate::progress::Progress;
use crate::run;

/// How long sessions that the command has left behind may take to end in order.
const GRACE: Duration = Duration::from_secs(1);

pub(crate) fn exec(exec: Exec) -> Result<u8, Failure> {
    let mut words = exec.command.into_iter();
    let program = words.next().unwrap_or_default();
    run_with(&exec.session, &program, words.collect())
}

/// Runs a program with a way to the target in its environment, and gives its exit code.
pub(crate) fn run_with(
    session: &Session,
    program: &OsString,
    arguments: Vec<OsString>,
) -> Result<u8, Failure> {
    logging::install(LogFormat::Text, session.log_level);
    let (plan, access) = private(session)?;
    let parts = assembly::assemble(plan, &session.plugins, Some(&assembly::terminal()))?;
    for (target, _) in &parts.targets {
        let (name, kind) = (target.name(), &target.instance().plugin().name);
        let words = format!("pgferry: opening the path to {name} ({kind}) ...");
        parts.observer.show(Progress::new(&words));
    }
    let mut command = Command::new(program);
    command.args(arguments);
    serve(parts, access, command)
}

/// The plan for this target alone, with one listener that only the returned password opens, or, where the
/// command logs in at the database itself, only processes of this user.
fn private(session: &Session) -> Result<(Plan, ConnInfo), Failure> {
    let invalid = |error| Failure::new(Exit::Config, error);
    let mut plan = assembly::load(&session.config)?;
    let target = plan.target(session.target.name.as_deref()).map_err(invalid)?;
    let (name, login) = (target.name.clone(), Login::of(target));
    let database = match (&target.database.name, conninfo::inherited("PGDATABASE")) {
        (None, Some(inherited)) => Some(inherited),
        _ => conninfo::database(target).map(str::to_owned),
    };
    let (local_auth, user, password) = match login {
        Login::Here => {
            let password = random_password();
            let generated = LocalPassword::Generated(password.clone());
            let local_auth = LocalAuth::Scram { user: None, password: generated };
            (local_auth, Some(LOCAL_USER.to_owned()), Some(password))
        }
        Login::AtDatabase if cfg!(target_os = "linux") => {
            (LocalAuth::SameUser, conninfo::inherited("PGUSER"), None)
        }
        Login::AtDatabase => {
            return Err(Failure::new(
                Exit::Config,
                anyhow::anyhow!(
                    "target \"{name}\" has no local password (passthrough), and this system cannot tell \
                     whose process connects; use pgferry run, with listen = {{ unix = \"/dir\" }}"
                ),
            ));
        }
    };
    let place = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    for target in plan.targets.iter_mut().filter(|target| target.name == name) {
        target.listen = vec![Listen::Tcp(place)];
        target.local_auth = local_auth.clone();
        // The command reaches it over loopback, and knows nothing of certificates.
        target.local_tls = None;
    }
    plan.admin = None;
    let plan = plan.select(&[name]).map_err(invalid)?;
    let (place, sslmode) = (Place::Tcp(place), conninfo::WITHOUT_TLS);
    Ok((plan, ConnInfo { place, user, password, database, sslmode, login }))
}

/// 256 bits, in characters that need no quotes anywhere.
fn random_password() -> Secret {
    let bytes = zeroize::Zeroizing::new(rand::random::<[u8; 32]>());
    Secret::new(hex(&*bytes))
}

fn serve(parts: Parts, access: ConnInfo, command: Command) -> Result<u8, Failure> {
    let Parts { plan, transports, targets, runtime, .. } = parts;
    let control = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Internal, error))?;
    let outcome = control.block_on(async {
        let server = Server::start(targets, plan.relay_threads)
            .await
            .map_err(|error| Failure::new(Exit::Unavailable, error))?;
        let outcome = accompany(&server, access, command).await;
        transports.stop_asking();
        server.drain(GRACE, CancellationToken::new()).await;
        transports.shutdown().await;
        outcome
    });
    // As in `run`: not to be dropped on another runtime, nor waited for.
    runtime.shutdown_background();
    outcome
}

/// Starts the command once the listener is there, and waits for its end.
async fn accompany(server: &Server, access: ConnInfo, mut command: Command) -> Result<u8, Failure> {
    let internal = |error: anyhow::Error| Failure::new(Exit::Internal, error);
    let bound = server.bound().first().map(|bound| bound.address.parse());
    let Some(Ok(address)) = bound else {
        return Err(internal(anyhow::anyhow!("the listener has no address")));
    };
    for name in access.login.removed() {
        command.env_remove(name);
    }
    for (name, value) in (ConnInfo { place: Place::Tcp(address), ..access }).variables() {
        command.env(name, value.as_str());
    }
    let child = Child::spawn(&mut command).map_err(|error| not_started(&command, &error))?;
    // Only now: the child is to have the limits that its user gave it.
    run::raise_open_files();
    drop(command);
    let ended = tokio::task::spawn_blocking(|| child.wait()).await;
    let ended = ended.map_err(anyhow::Error::from).and_then(|waited| Ok(waited?));
    ended.context("waiting for the command").map_err(internal)
}

/// A shell's codes for a command that cannot be run.
fn not_started(command: &Command, error: &io::Error) -> Failure {
    let program = command.get_program().to_string_lossy();
    if error.kind() != io::ErrorKind::NotFound {
        return Failure::new(Exit::NotExecutable, anyhow::anyhow!("{program}: {error}"));
    }
    let hint = match &*program {
        "psql" => {
            "; it is in the package postgresql-client (Debian, Ubuntu), postgresql (Fedora) \
                   or libpq (Homebrew)"
        }
        _ => "",
    };
    Failure::new(Exit::NotFound, anyhow::anyhow!("{program}: command not found{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_256_bits_and_is_another_one_each_time() {
        let (one, two) = (random_password(), random_password());
        assert_eq!(one.expose().len(), 64);
        assert!(one.expose().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(one != two);
    }
}
