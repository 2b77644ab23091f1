//! libpq's password file.
//!
//! Source: "The Password File" of the documentation of PostgreSQL's libpq, and for what it leaves open
//! (where a password ends, what is escaped) the behaviour of psql 18.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{Opening, unreadable};
use crate::CredentialError;

/// Any permission of group and others.
const OTHERS: u32 = 0o077;

/// The password of the first line that is for this session.
pub(super) async fn find(
    file: Option<&Path>,
    user: &str,
    opening: &Opening<'_>,
) -> Result<SecretString, CredentialError> {
    let file = file.map(Path::to_owned).or_else(usual).ok_or(CredentialError::NoHome)?;
    let metadata = tokio::fs::metadata(&file).await.map_err(|error| unreadable(&file, error))?;
    if !metadata.is_file() {
        return Err(CredentialError::Pgpass { file, why: "is no plain file" });
    }
    if metadata.permissions().mode() & OTHERS != 0 {
        return Err(CredentialError::Pgpass { file, why: "can be read or written by others" });
    }
    let read = tokio::fs::read(&file).await;
    let content = Zeroizing::new(read.map_err(|error| unreadable(&file, error))?);
    let port = opening.port.to_string();
    let database = opening.database.unwrap_or("*");
    let session = [opening.host, &port, database, user];
    let Some(password) = password_for(&content, session) else {
        return Err(CredentialError::NoPgpassLine {
            file,
            session: session.map(escaped).join(":"),
        });
    };
    match std::str::from_utf8(&password) {
        Ok("") => {
            Err(CredentialError::Pgpass { file, why: "has an empty password for this session" })
        }
        Ok(password) => Ok(password.into()),
        Err(_) => Err(CredentialError::NotUnicode(file.display().to_string())),
    }
}

fn usual() -> Option<PathBuf> {
    let named = std::env::var_os("PGPASSFILE").filter(|name| !name.is_empty());
    named.map(PathBuf::from).or_else(|| {
        let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
        home.map(|home| home.join(".pgpass"))
    })
}

/// `session` is host, port, database and user.
fn password_for(content: &[u8], session: [&str; 4]) -> Option<Zeroizing<Vec<u8>>> {
    let lines = content.split(|byte| *byte == b'\n').map(without_line_end);
    lines.filter(|line| !line.starts_with(b"#")).find_map(|line| {
        let rest =
            session.iter().try_fold(line, |rest, wanted| matched(rest, wanted.as_bytes()))?;
        Some(field(rest).0)
    })
}

fn without_line_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What follows a field that is `*` or `wanted`. The last field has no colon after it, these have.
fn matched<'a>(line: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    if let Some(rest) = line.strip_prefix(b"*:") {
        return Some(rest);
    }
    let (value, rest) = field(line);
    rest.filter(|_| value.as_slice() == wanted)
}

/// A field up to its colon, without the backslashes that escape a character, and what follows that
/// colon, if there is one.
fn field(line: &[u8]) -> (Zeroizing<Vec<u8>>, Option<&[u8]>) {
    let mut value = Zeroizing::new(Vec::with_capacity(line.len()));
    let mut rest = line;
    loop {
        rest = match rest {
            [] => return (value, None),
            [b':', rest @ ..] => return (value, Some(rest)),
            [b'\\', escaped, rest @ ..] => {
                value.push(*escaped);
                rest
            }
            [byte, rest @ ..] => {
                value.push(*byte);
                rest
            }
        };
    }
}

/// As it is written in a line.
fn escaped(field: &str) -> String {
    field.replace('\\', "\\\\").replace(':', "\\:")
}

#[cfg(test)]
mod tests;
