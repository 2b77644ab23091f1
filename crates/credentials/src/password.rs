//! Where a password is.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::CredentialError;

/// A password's place. It is read anew for each lease, so that a changed file counts at once.
#[derive(Clone, Debug)]
pub enum Password {
    /// An environment variable of this process.
    Env(String),
    /// The first line of a file.
    File(PathBuf),
    /// The value itself.
    Literal(SecretString),
}

impl Password {
    /// Reads the password.
    ///
    /// Cancel safety: may be dropped at any time.
    pub async fn read(&self) -> Result<SecretString, CredentialError> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Env(name) => match std::env::var(name) {
                Ok(value) if !value.is_empty() => Ok(value.into()),
                Ok(_) => Err(CredentialError::EmptyEnv(name.clone())),
                Err(std::env::VarError::NotPresent) => {
                    Err(CredentialError::MissingEnv(name.clone()))
                }
                Err(std::env::VarError::NotUnicode(_)) => {
                    Err(CredentialError::NotUnicode(format!("environment variable {name}")))
                }
            },
            Self::File(file) => first_line(file).await,
        }
    }
}

async fn first_line(file: &Path) -> Result<SecretString, CredentialError> {
    let bytes = tokio::fs::read(file)
        .await
        .map(Zeroizing::new)
        .map_err(|source| CredentialError::Unreadable { file: file.to_owned(), source })?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(CredentialError::EmptyFile(file.to_owned()));
    }
    let text = std::str::from_utf8(line)
        .map_err(|_| CredentialError::NotUnicode(file.display().to_string()))?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    async fn read(content: &[u8]) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let password = Password::File(file.path().to_owned()).read().await;
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
        let error = Password::File("/nonexistent/pw".into()).read().await.unwrap_err();
        assert!(error.to_string().contains("/nonexistent/pw"));
    }

    #[tokio::test]
    async fn an_unset_variable_is_named() {
        let error = Password::Env("PGFERRY_NEVER_SET".into()).read().await.unwrap_err();
        assert!(error.to_string().contains("PGFERRY_NEVER_SET"));
    }

    #[test]
    fn a_literal_password_shows_in_no_debug_output() {
        assert!(!format!("{:?}", Password::Literal("hunter2".into())).contains("hunter2"));
    }
}
