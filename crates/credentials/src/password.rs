//! Where a password is.

mod command;
mod pgpass;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::CredentialError;
use crate::shared::Shared;

/// A password's place. It is read anew for each lease, so that a changed file counts at once.
#[derive(Clone, Debug)]
pub enum Password {
    /// An environment variable of this process.
    Env(String),
    /// The first line of a file.
    File(PathBuf),
    /// The value itself.
    Literal(SecretString),
    /// libpq's password file: `None` for `PGPASSFILE`, or else `.pgpass` in the home directory. The
    /// endpoint's own name counts, not what is dialled.
    Pgpass(Option<PathBuf>),
    /// The first line that a command prints, which is run without a shell and without input. Those
    /// who want it at once share a run. What it writes to its standard error is logged.
    Command(Vec<String>),
}

/// The password of one user, for all sessions of a target.
pub(crate) struct Passwords {
    user: String,
    password: Password,
    runs: Shared<SecretString>,
}

/// The session that a password is for.
pub(crate) struct Opening<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) database: Option<&'a str>,
}

/// A password that has been given.
pub(crate) struct Given(SecretString);

impl Given {
    pub(crate) fn secret(&self) -> &SecretString {
        &self.0
    }
}

impl Passwords {
    pub(crate) fn new(user: String, password: Password) -> Self {
        Self { user, password, runs: Shared::default() }
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// The password; after a refusal what it is by now, if that is another.
    ///
    /// Cancel safety: safe; a command is ended.
    pub(crate) async fn next(
        &self,
        opening: &Opening<'_>,
        refused: Option<Given>,
    ) -> Result<Option<Given>, CredentialError> {
        let password = self.read(opening).await?;
        let old = |Given(refused): Given| refused.expose_secret() == password.expose_secret();
        Ok(if refused.is_some_and(old) { None } else { Some(Given(password)) })
    }

    async fn read(&self, opening: &Opening<'_>) -> Result<SecretString, CredentialError> {
        match &self.password {
            Password::Literal(value) => Ok(value.clone()),
            Password::Env(name) => of_env(name),
            Password::File(file) => first_line(file).await,
            Password::Pgpass(file) => pgpass::find(file.as_deref(), &self.user, opening).await,
            Password::Command(argv) => {
                let seen = self.runs.last();
                let newer = |number| number > seen;
                let run = self.runs.get(|held| newer(held.number), || command::run(argv)).await;
                run.map(|held| held.value)
            }
        }
    }
}

fn of_env(name: &str) -> Result<SecretString, CredentialError> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value.into()),
        Ok(_) => Err(CredentialError::EmptyEnv(name.to_owned())),
        Err(std::env::VarError::NotPresent) => Err(CredentialError::MissingEnv(name.to_owned())),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(CredentialError::NotUnicode(format!("environment variable {name}")))
        }
    }
}

fn unreadable(file: &Path, error: std::io::Error) -> CredentialError {
    CredentialError::Unreadable { file: file.to_owned(), source: Arc::new(error) }
}

async fn first_line(file: &Path) -> Result<SecretString, CredentialError> {
    let bytes =
        tokio::fs::read(file).await.map(Zeroizing::new).map_err(|error| unreadable(file, error))?;
    let line = first_line_of(&bytes);
    if line.is_empty() {
        return Err(CredentialError::EmptyFile(file.to_owned()));
    }
    let text = std::str::from_utf8(line)
        .map_err(|_| CredentialError::NotUnicode(file.display().to_string()))?;
    Ok(text.into())
}

/// Without its end, be that of Unix or of DOS.
fn first_line_of(bytes: &[u8]) -> &[u8] {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(password: Password) -> Result<SecretString, CredentialError> {
        let opening = Opening { host: "db", port: 5432, database: None };
        Passwords::new("app".to_owned(), password).read(&opening).await
    }

    async fn read(content: &[u8]) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let password = of(Password::File(file.path().to_owned())).await;
        password.map(|p| p.expose_secret().to_owned()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_password_file_gives_its_first_line_without_the_line_end() {
        assert_eq!(read(b"s3cret\n").await.unwrap(), "s3cret");
        assert_eq!(read(b"s3cret\r\nnotes\n").await.unwrap(), "s3cret");
        assert_eq!(read(b" spaces count ").await.unwrap(), " spaces count ");
    }

    #[tokio::test]
    async fn an_empty_or_binary_file_is_an_error_and_no_empty_password() {
        assert!(read(b"").await.unwrap_err().contains("empty"));
        assert!(read(b"\nsecond line\n").await.unwrap_err().contains("empty"));
        assert!(read(b"\xff\xfe").await.unwrap_err().contains("UTF-8"));
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let error = of(Password::File("/nonexistent/pw".into())).await.unwrap_err();
        assert!(error.to_string().contains("/nonexistent/pw"));
    }

    #[tokio::test]
    async fn an_unset_variable_is_named() {
        let error = of(Password::Env("PGFERRY_NEVER_SET".into())).await.unwrap_err();
        assert!(error.to_string().contains("PGFERRY_NEVER_SET"));
    }

    #[test]
    fn a_literal_password_shows_in_no_debug_output() {
        assert!(!format!("{:?}", Password::Literal("hunter2".into())).contains("hunter2"));
    }
}
