//! The files and variables that a plan takes secrets from are there, and closed to others.

use std::path::Path;

use crate::error::ConfigError;
use crate::paths;
use crate::plan::{
    Credential, LocalAuth, LocalIdentity, LocalPassword, LocalTls, PasswordSource, Plan, Roots,
    Target,
};
use crate::secret::SecretSource;
use crate::transport::Transport;

/// Every file and variable that the plan takes a secret or a root from is there, and closed to others.
pub(in crate::plan) fn secrets(plan: &Plan) -> Result<(), ConfigError> {
    plan.targets.iter().try_for_each(|target| of_target(plan, target))?;
    plan.transports.iter().try_for_each(|transport| grants(plan, transport))
}

fn of_target(plan: &Plan, target: &Target) -> Result<(), ConfigError> {
    let error = |below: &str, message: String| {
        ConfigError::meaning(&plan.file, format!("targets.{}.{below}", target.name), message)
    };
    credential(plan, &target.credential)
        .map_err(|(key, message)| error(&format!("credential.{key}"), message))?;
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

/// What a credential is read from; the key it stands at, and what is wrong.
fn credential(plan: &Plan, credential: &Credential) -> Result<(), (&'static str, String)> {
    let at = |key: &'static str| move |message: String| (key, message);
    match credential {
        Credential::Password { password, .. } => match password {
            PasswordSource::Secret(secret) => {
                let key = match secret {
                    SecretSource::Env(_) => "password_env",
                    SecretSource::File(_) => "password_file",
                    SecretSource::Literal(_) => "password",
                };
                kept(plan, secret).map_err(at(key))
            }
            PasswordSource::Pgpass(Some(file)) => private(file).map_err(at("pgpass_file")),
            PasswordSource::Pgpass(None) => match paths::pgpass() {
                Some(file) => private(&file).map_err(at("pgpass")),
                None => Err(("pgpass", "has no place to look at: set PGPASSFILE or HOME".into())),
            },
            PasswordSource::Command(argv) => found(argv).map_err(at("password_command")),
        },
        Credential::ClientCert { cert_file, key_file, .. } => {
            present(cert_file).map_err(at("cert_file"))?;
            private(key_file).map_err(at("key_file"))
        }
        Credential::Iam { .. }
        | Credential::SecretsManager { .. }
        | Credential::Dsql { .. }
        | Credential::Passthrough => Ok(()),
    }
}

/// Whether a program with a path is there. One without is looked for in `PATH` when it is run.
fn found(argv: &[String]) -> Result<(), String> {
    match argv.first().filter(|program| program.contains('/')) {
        Some(program) => present(Path::new(program)),
        None => Ok(()),
    }
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
