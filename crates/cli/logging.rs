//! Log lines on standard error.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::{LogFormat, LogLevel};
use crate::output;
use crate::terminal::LogLines;

/// Sends every log line of the process to standard error. Call it once.
pub(crate) fn install(format: LogFormat, level: LogLevel) {
    let builder = tracing_subscriber::fmt()
        .with_writer(|| LogLines)
        .with_max_level(LevelFilter::TRACE)
        .with_target(false)
        .with_timer(SystemTime)
        // Its complaint would go to the same place, and panic where that is a closed terminal.
        .log_internal_errors(false);
    let installed = match format {
        LogFormat::Text => {
            let colour = output::colour(&io::stderr());
            builder.with_ansi(colour).finish().with(filter(level)).try_init()
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_ansi(false);
            builder.finish().with(filter(level)).try_init()
        }
    };
    // Only a second call finds one there, and then the first one counts.
    drop(installed);
}

fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let (sdk, most) = pgferry_aws::SDK_LOGS;
    Targets::new().with_default(level).with_target(sdk, level.min(most.into()))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn trace_shows_no_requests_of_the_sdk() {
        let trace = filter(LogLevel::Trace);
        assert!(trace.would_enable("pgferry_aws::account", &Level::TRACE));
        assert!(trace.would_enable("aws_config::profile", &Level::DEBUG));
        assert!(!trace.would_enable("aws_smithy_runtime::client::orchestrator", &Level::TRACE));
        let info = filter(LogLevel::Info);
        assert!(info.would_enable("aws_config::profile", &Level::INFO));
        assert!(!info.would_enable("aws_config::profile", &Level::DEBUG));
    }
}
