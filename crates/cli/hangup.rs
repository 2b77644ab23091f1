//! The end of the terminal that pgferry was started in.

use std::fs::File;
use std::io::{self, IsTerminal as _};

/// Whether this process runs in a terminal.
///
/// A closed terminal and an administrator send the same signal. What tells them apart is whether the
/// terminal is still there: the kernel takes it from all its processes before it signals any.
pub(crate) struct Hangup {
    here: bool,
}

impl Hangup {
    /// To be called at the start. What writes neither of its outputs to a terminal has let go of it,
    /// as with `nohup`.
    pub(crate) fn expected() -> Self {
        let shown = io::stdout().is_terminal() || io::stderr().is_terminal();
        Self { here: shown && is_there() }
    }

    /// Whether there was one, and it is gone.
    pub(crate) fn has_come(&self) -> bool {
        self.here && !is_there()
    }
}

/// `/dev/tty` is the controlling terminal of whoever opens it, and cannot be opened without one.
/// Source: tty(4).
fn is_there() -> bool {
    File::open("/dev/tty").is_ok()
}
