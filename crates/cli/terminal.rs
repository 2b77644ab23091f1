//! The controlling terminal: where a person is asked for a passphrase or told what takes so long, and
//! how log lines pass by.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgferry_transport::{Prompt, PromptError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcgetwinsize,
    tcsetattr,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// The terminal that this process belongs to, if it is there and this process is in front.
pub(crate) struct Terminal;

impl Prompt for Terminal {
    fn ask(
        &self,
        question: &str,
        withdrawn: &CancellationToken,
    ) -> Result<Zeroizing<Vec<u8>>, PromptError> {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        if withdrawn.is_cancelled() {
            return Err(PromptError::Withdrawn);
        }
        let terminal = foreground().ok_or(PromptError::NoTerminal)?;
        let _quiet = Quiet::begin(&terminal)?;
        let _question = Question::begin(&terminal, format!("pgferry: {question}"))?;
        read_line(&terminal, withdrawn)
    }
}

/// The controlling terminal. Not for a process in the background, which would be stopped for using it.
fn foreground() -> Option<File> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
    let front = tcgetpgrp(&terminal).ok()?;
    (front == rustix::process::getpgrp()).then_some(terminal)
}

/// A terminal that shows nothing of what is typed, until this is dropped. Ctrl-C stays a signal.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn begin(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        // Byte by byte, so that a question can be withdrawn while nothing is typed.
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 0;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 1;
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // It fails only for a terminal that is gone.
        tcsetattr(self.terminal, OptionalActions::Flush, &self.before).ok();
    }
}

/// A question on the screen, until this is dropped: log lines then go above it.
struct Question<'a>(&'a File);

impl<'a> Question<'a> {
    fn begin(mut terminal: &'a File, question: String) -> io::Result<Self> {
        let mut shown = shown();
        if let Some(Shown::Remark(_)) = *shown {
            terminal.write_all(ERASE.as_bytes())?;
        }
        terminal.write_all(question.as_bytes())?;
        *shown = Some(Shown::Question(question));
        Ok(Self(terminal))
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let mut shown = shown();
        *shown = None;
        // The line break that was typed has not been shown either.
        self.0.write_all(b"\n").ok();
    }
}

/// Words on the screen for a person who waits, until this is dropped. The cursor stays before them, so
/// that whatever somebody else writes takes their place.
pub(crate) struct Remark(());

impl Remark {
    /// On standard error, if it is a terminal that is ours and reads whole lines; else `None`.
    pub(crate) fn begin(words: &str) -> Option<Self> {
        let mut shown = shown();
        let mut stderr = io::stderr().lock();
        if shown.is_some() || !stderr.is_terminal() || !takes_lines(&stderr) {
            return None;
        }
        let terminal = foreground()?;
        let words = fitting(words, tcgetwinsize(&terminal).ok()?.ws_col);
        write!(stderr, "{words}\r").ok()?;
        stderr.flush().ok()?;
        *shown = Some(Shown::Remark(words));
        Some(Self(()))
    }
}

impl Drop for Remark {
    fn drop(&mut self) {
        let mut shown = shown();
        // A question has taken its place, if it is not there.
        if let Some(Shown::Remark(_)) = *shown {
            *shown = None;
            // The terminal may be gone.
            write!(io::stderr().lock(), "{ERASE}").ok();
        }
    }
}

/// Whether the terminal knows how to erase, and nobody reads it key by key: an editor has the whole
/// screen then.
fn takes_lines(terminal: impl AsFd) -> bool {
    let knows = std::env::var("TERM").is_ok_and(|name| !name.is_empty() && name != "dumb");
    let modes = tcgetattr(terminal).map(|attributes| attributes.local_modes);
    knows && modes.is_ok_and(|modes| modes.contains(LocalModes::ICANON))
}

/// As much as stays on one line. A terminal that does not know its width says 0.
fn fitting(words: &str, columns: u16) -> String {
    let most = if columns == 0 { 80 } else { usize::from(columns) };
    words.chars().take(most.saturating_sub(1)).collect()
}

/// Standard error for log lines, which spare what is on the screen.
pub(crate) struct LogLines;

impl io::Write for LogLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = shown();
        let mut stderr = io::stderr().lock();
        match &*shown {
            Some(Shown::Question(question)) if stderr.is_terminal() => {
                let erase = ERASE.as_bytes();
                stderr.write_all(&[b"\r", erase, line, question.as_bytes()].concat())?;
                Ok(line.len())
            }
            Some(Shown::Remark(words)) => {
                let erase = ERASE.as_bytes();
                stderr.write_all(&[erase, line, words.as_bytes(), b"\r"].concat())?;
                Ok(line.len())
            }
            _ => stderr.write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// What is on the last line of the screen.
enum Shown {
    /// The cursor is behind it.
    Question(String),
    /// The cursor is before it.
    Remark(String),
}

fn shown() -> MutexGuard<'static, Option<Shown>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_line(
    terminal: &File,
    withdrawn: &CancellationToken,
) -> Result<Zeroizing<Vec<u8>>, PromptError> {
    // Never grown: that would leave copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let began = Instant::now();
    while !withdrawn.is_cancelled() {
        if began.elapsed() > LIMIT {
            return Err(PromptError::Unanswered);
        }
        let Some(byte) = next_byte(terminal)? else { continue };
        match byte {
            b'\r' | b'\n' => return Ok(line),
            END_OF_FILE if line.is_empty() => return Err(PromptError::Unanswered),
            BACKSPACE | DELETE => rub_out(&mut line),
            KILL_LINE => line.clear(),
            _ if line.len() < LONGEST => line.push(byte),
            _ => {}
        }
    }
    Err(PromptError::Withdrawn)
}

/// What was typed within the last moment, if anything was.
fn next_byte(terminal: &File) -> Result<Option<u8>, PromptError> {
    let mut waiting = [PollFd::new(terminal, PollFlags::IN)];
    let moment = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    match poll(&mut waiting, Some(&moment)) {
        Ok(0) | Err(Errno::INTR) => return Ok(None),
        Ok(_) => {}
        Err(error) => return Err(PromptError::Unusable(error.into())),
    }
    if waiting.iter().any(|fd| fd.revents().contains(PollFlags::HUP)) {
        return Err(PromptError::Unanswered);
    }
    // macOS cannot poll a terminal and says so at once: there VTIME is what waits.
    let mut byte = Zeroizing::new([0]);
    match rustix::io::read(terminal, &mut *byte) {
        Ok(0) | Err(Errno::INTR) => Ok(None),
        Ok(_) => Ok(byte.first().copied()),
        Err(error) => Err(PromptError::Unusable(error.into())),
    }
}

/// Takes back one character, which may be several bytes of UTF-8.
fn rub_out(line: &mut Vec<u8>) {
    while line.pop().is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {}
}

static TURN: Mutex<()> = Mutex::new(());
static SHOWN: Mutex<Option<Shown>> = Mutex::new(None);

/// From the cursor to the end of the line.
const ERASE: &str = "\x1b[K";

const END_OF_FILE: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const KILL_LINE: u8 = 0x15;
const DELETE: u8 = 0x7f;
const LONGEST: usize = 1024;
/// A person who has not answered by then has left.
const LIMIT: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_on_one_line() {
        assert_eq!(fitting("öpening", 4), "öpe");
        assert_eq!(fitting("opening", 80), "opening");
        assert_eq!(fitting("opening", 0), "opening");
    }

    #[test]
    fn a_character_of_several_bytes_is_taken_back_whole() {
        let mut line = "aä€".as_bytes().to_vec();
        for left in ["aä", "a", "", ""] {
            rub_out(&mut line);
            assert_eq!(line, left.as_bytes());
        }
    }
}
