//! What must hold before a plan may run: nobody gets in unasked, no secret lies open.

use std::collections::HashMap;
use std::path::Path;

use super::{
    Credential, LocalAuth, LocalIdentity, LocalPassword, LocalTls, PasswordSource, Plan, Roots,
    Target,
};
use crate::error::ConfigError;
use crate::listen::Listen;
use crate::secret::SecretSource;
use crate::transport::Transport;

/// Whether the system can tell who owns the other end of a loopback TCP connection.
const TCP_OWNER_IS_KNOWN: bool = cfg!(target_os = "linux");

pub(super) fn plan(plan: &Plan) -> Result<(), ConfigError> {
    if let Some(admin) = &plan.admin
        && !admin.listen.ip().is_loopback()
    {
        let message = format!(
            "{} can be reached from other machines, and the admin listener has no login; use a \
             loopback address",
            admin.listen
        );
        return Err(ConfigError::meaning(&plan.file, "admin.listen", message));
    }
    for (key, limit) in plan.limits.durations() {
        if limit.is_zero() {
            let message = "is 0, but every wait needs a limit";
            return Err(ConfigError::meaning(&plan.file, format!("limits.{key}"), message));
        }
    }
    if plan.limits.connections == 0 {
        return Err(ConfigError::meaning(&plan.file, "limits.connections", "is 0"));
    }
    distinct_listeners(plan)?;
    for target in &plan.targets {
        local_auth(plan, target)?;
        local_tls(plan, target)?;
    }
    Ok(())
}

fn distinct_listeners(plan: &Plan) -> Result<(), ConfigError> {
    let mut taken = HashMap::new();
    for target in &plan.targets {
        for listen in &target.listen {
            if matches!(listen, Listen::Tcp(address) if address.port() == 0) {
                continue;
            }
            if let Some(other) = taken.insert(listen, &target.name) {
                let message = format!("{listen} is already taken by target `{other}`");
                let key = format!("targets.{}.listen", target.name);
                return Err(ConfigError::meaning(&plan.file, key, message));
            }
        }
    }
    Ok(())
}

/// Any address that others can reach needs `scram`; `same-user` needs a system that tells owners.
fn local_auth(plan: &Plan, target: &Target) -> Result<(), ConfigError> {
    for listen in &target.listen {
        let message = match (&target.local_auth, listen) {
            (LocalAuth::Scram { .. }, _) => continue,
            (_, listen) if !listen.is_local() => format!(
                "{listen} can be reached from other machines; set local_auth = {{ kind = \
                 \"scram\", password_file = \"…\" }}, or listen on 127.0.0.1"
            ),
            (LocalAuth::SameUser, Listen::Tcp(_)) if !TCP_OWNER_IS_KNOWN => "this system cannot \
                 tell who owns the other end of a TCP connection; listen = { unix = \"/dir\" }, \
                 or set local_auth to scram or trust"
                .to_owned(),
            _ => continue,
        };
        let key = format!("targets.{}.local_auth", target.name);
        return Err(ConfigError::meaning(&plan.file, key, message));
    }
    Ok(())
}

/// As with PostgreSQL, no client speaks TLS on a unix socket: there it would be without effect.
fn local_tls(plan: &Plan, target: &Target) -> Result<(), ConfigError> {
    let on_tcp = target.listen.iter().any(|listen| matches!(listen, Listen::Tcp(_)));
    if target.local_tls.is_none() || on_tcp {
        return Ok(());
    }
    let key = format!("targets.{}.local_tls", target.name);
    let message = "is for TCP: no client speaks TLS on a unix socket; leave it out";
    Err(ConfigError::meaning(&plan.file, key, message))
}

/// Every file and variable that the plan takes a secret or a root from is there, and closed to others.
pub(super) fn secrets(plan: &Plan) -> Result<(), ConfigError> {
    plan.targets.iter().try_for_each(|target| of_target(plan, target))?;
    plan.transports.iter().try_for_each(|transport| grants(plan, transport))
}

fn of_target(plan: &Plan, target: &Target) -> Result<(), ConfigError> {
    let error = |below: &str, message: String| {
        ConfigError::meaning(&plan.file, format!("targets.{}.{below}", target.name), message)
    };
    match &target.credential {
        Credential::Password { password: PasswordSource::Secret(password), .. } => {
            let key = match password {
                SecretSource::Env(_) => "credential.password_env",
                SecretSource::File(_) => "credential.password_file",
                SecretSource::Literal(_) => "credential.password",
            };
            kept(plan, password).map_err(|message| error(key, message))?;
        }
        Credential::ClientCert { cert_file, key_file, .. } => {
            present(cert_file).map_err(|message| error("credential.cert_file", message))?;
            private(key_file).map_err(|message| error("credential.key_file", message))?;
        }
        _ => {}
    }
    if let LocalAuth::Scram { password: LocalPassword::File(file), .. } = &target.local_auth {
        private(file).map_err(|message| error("local_auth.password_file", message))?;
    }
    if let Roots::File(file) = &target.database.roots {
        present(file).map_err(|message| error("database.ca_file", message))?;
    }
    // The local CA looks after its own files.
    if let Some(LocalTls { identity: LocalIdentity::Certificate { cert_file, key_file }, .. }) =
        &target.local_tls
    {
        present(cert_file).map_err(|message| error("local_tls.cert_file", message))?;
        private(key_file).map_err(|message| error("local_tls.key_file", message))?;
    }
    Ok(())
}

/// The secrets that a transport may ask for.
fn grants(plan: &Plan, transport: &Transport) -> Result<(), ConfigError> {
    for (secret, source) in &transport.secrets {
        let key = || format!("secrets.{secret} of transport {}", transport.name);
        kept(plan, source).map_err(|message| ConfigError::meaning(&plan.file, key(), message))?;
    }
    Ok(())
}

fn present(file: &Path) -> Result<(), String> {
    std::fs::metadata(file).map(drop).map_err(|e| format!("{}: {e}", file.display()))
}

/// Whether a secret is there, and closed to others.
fn kept(plan: &Plan, secret: &SecretSource) -> Result<(), String> {
    match secret {
        SecretSource::Env(name) if std::env::var_os(name).is_none() => {
            Err(format!("the environment variable {name} is not set"))
        }
        SecretSource::Env(_) => Ok(()),
        SecretSource::File(file) => private(file),
        SecretSource::Literal(_) => private(&plan.file),
    }
}

/// Refuses a file with a secret that others can read, as libpq does with `.pgpass`.
#[cfg(unix)]
fn private(file: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = std::fs::metadata(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(format!(
            "{file} holds a secret and can be read by others (mode {mode:04o}); run: chmod 600 \
             {file}",
            file = file.display()
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn private(file: &Path) -> Result<(), String> {
    present(file)
}
