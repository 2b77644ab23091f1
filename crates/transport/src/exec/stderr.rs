//! What a child says on its standard error: line by line into the log, the last one kept.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::text::bounded;

/// The last line that a child wrote.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastLine(Arc<Mutex<Option<String>>>);

impl LastLine {
    pub(crate) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, line: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
    }
}

/// Reads to the end, and logs for the instance and the target.
pub(crate) async fn follow(
    mut stderr: impl AsyncRead + Unpin,
    last: LastLine,
    instance: String,
    to: String,
) {
    let mut lines = Lines::default();
    let mut logged = 0_u32;
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = stderr.read(&mut chunk).await {
        lines.take(chunk.get(..read).unwrap_or_default(), &mut |line| {
            logged = logged.saturating_add(1);
            match logged {
                ..=MOST_LOGGED => tracing::info!(instance, to, "command: {line}"),
                JUST_TOO_MANY => tracing::warn!(
                    instance,
                    to,
                    "command: wrote {MOST_LOGGED} lines; the rest is not logged"
                ),
                _ => {}
            }
            last.set(line);
        });
    }
    lines.finish(&mut |line| {
        tracing::info!(instance, to, "command: {line}");
        last.set(line);
    });
}

/// Cuts bytes into lines and keeps no more of one than is shown.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
}

impl Lines {
    fn take(&mut self, bytes: &[u8], on_line: &mut dyn FnMut(String)) {
        for byte in bytes {
            match byte {
                b'\n' => self.finish(on_line),
                // One more than is shown, so that what was cut off can be told.
                _ if self.line.len() <= LONGEST_LINE => self.line.push(*byte),
                _ => {}
            }
        }
    }

    /// Ends the line under way. Empty ones are nobody's last word.
    fn finish(&mut self, on_line: &mut dyn FnMut(String)) {
        let line = bounded(self.line.trim_ascii(), LONGEST_LINE);
        self.line.clear();
        if !line.is_empty() {
            on_line(line);
        }
    }
}

const LONGEST_LINE: usize = 512;
/// Of one child.
const MOST_LOGGED: u32 = 100;
const JUST_TOO_MANY: u32 = MOST_LOGGED + 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_bounded_and_made_harmless() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        let long = "x".repeat(2 * LONGEST_LINE);
        for chunk in ["on", "e\r\n\n", "t\x1b[31mwo\n", &long, "\nlast"] {
            lines.take(chunk.as_bytes(), &mut |line| seen.push(line));
        }
        lines.finish(&mut |line| seen.push(line));
        let cut = format!("{}…", "x".repeat(LONGEST_LINE));
        assert_eq!(seen, ["one", "t [31mwo", &cut, "last"]);
    }

    #[tokio::test]
    async fn the_last_line_stays() {
        let last = LastLine::default();
        follow(&b"first\nno route to host\n\n"[..], last.clone(), String::new(), String::new())
            .await;
        assert_eq!(last.get().as_deref(), Some("no route to host"));
    }
}
