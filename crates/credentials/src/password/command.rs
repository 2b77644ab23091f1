//! A password that a command prints.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::first_line_of;
use crate::CredentialError;

/// A first line that is longer is no password: a token of AWS has a few thousand bytes.
const LONGEST: usize = 64 * 1024;
/// So much of what it complains about is logged.
const LONGEST_COMPLAINT: usize = 2048;
/// What a command has written is read so long after its end. A process that it leaves behind may keep
/// the pipes open for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs it to its end.
///
/// Cancel safety: the command is killed when this is dropped. What it has started itself is not.
pub(super) async fn run(argv: &[String]) -> Result<SecretString, CredentialError> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(no_output("the command", "it is empty"));
    };
    let not_started =
        |error| CredentialError::NotStarted { program: program.clone(), source: Arc::new(error) };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(not_started)?;
    let mut printed = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut complaint = Vec::new();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let status = {
        let pipes = async {
            tokio::join!(
                collect(stdout, &mut printed, LONGEST),
                collect(stderr, &mut complaint, LONGEST_COMPLAINT)
            )
        };
        let mut pipes = std::pin::pin!(pipes);
        let ended = tokio::select! {
            ended = child.wait() => {
                let _left_behind = timeout(LAST_WORDS, pipes).await;
                ended
            }
            _ = &mut pipes => child.wait().await,
        };
        ended.map_err(not_started)?
    };
    complain(program, &complaint);
    if !status.success() {
        return Err(CredentialError::CommandFailed { program: program.clone(), status });
    }
    let line = first_line_of(&printed);
    match std::str::from_utf8(line) {
        Ok("") => Err(no_output(program, "its first line is empty")),
        Ok(_) if line.len() == LONGEST => Err(no_output(program, "its first line does not end")),
        Ok(password) => Ok(password.into()),
        Err(_) => Err(no_output(program, "its first line is not UTF-8")),
    }
}

fn no_output(program: &str, why: &'static str) -> CredentialError {
    CredentialError::NoOutput { program: program.to_owned(), why }
}

/// Keeps the beginning and reads the rest as well: a full pipe would stop the command.
async fn collect(pipe: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>, most: usize) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = Zeroizing::new([0; 4096]);
    while let Ok(read @ 1..) = pipe.read(&mut *chunk).await {
        let room = most.saturating_sub(into.len());
        into.extend(chunk.iter().take(read.min(room)));
    }
}

/// Nobody else sees what it writes there: pgferry's own error says only that it failed.
fn complain(program: &str, complaint: &[u8]) {
    let text = String::from_utf8_lossy(complaint);
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        tracing::warn!(program, "{}", line.escape_debug());
    }
}

#[cfg(test)]
mod tests;
