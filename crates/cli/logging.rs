//! Log lines on standard error.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::args::{LogFormat, LogLevel};
use crate::output;
use crate::terminal::LogLines;

/// Sends every log line of the process to standard error. Call it once.
pub(crate) fn install(format: LogFormat, level: LogLevel) {
    let builder = tracing_subscriber::fmt()
        .with_writer(|| LogLines)
        .with_max_level(filter(level))
        .with_target(false)
        .with_timer(SystemTime)
        // Its complaint would go to the same place, and panic where that is a closed terminal.
        .log_internal_errors(false);
    let installed = match format {
        LogFormat::Text => builder.with_ansi(output::colour(&io::stderr())).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_ansi(false).try_init(),
    };
    // Only a second call finds one there, and then the first one counts.
    drop(installed);
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
