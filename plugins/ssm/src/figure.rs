//! What the transport counts and measures, for `/metrics`.

use pgferry_transport_sdk::{Error, Host, Metric, Status};

/// One series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Figure {
    /// How many sessions are open now.
    Sessions,
    /// A session was asked for.
    Start(Start),
    /// A session's `WebSocket` was lost.
    Loss,
    /// A session that had lost its `WebSocket` was resumed, or was not.
    Resume(Resume),
    /// How long a session was without a `WebSocket`, in seconds.
    Interruption,
    /// How long a message and its receipt took, in seconds.
    RoundTrip,
    /// Bytes of connections, and of what keeps them apart.
    Bytes(Direction),
    /// Messages that went, or came, once more.
    Repetition(Direction),
}

/// How the start of a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// It is open.
    Ok,
    /// Neither identity nor document, address or agent is one that may.
    Denied,
    /// Node or AWS are not there.
    Unreachable,
    /// AWS asks for fewer calls.
    Throttled,
    /// Somebody did not answer.
    TimedOut,
    /// Anything else.
    Error,
}

/// How a break of a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resume {
    /// It goes on.
    Ok,
    /// It is over for the service.
    Gone,
    /// There was no way to the service in time.
    GivenUp,
}

/// Which way, as the program's own metrics say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the node.
    Rx,
    /// To the node.
    Tx,
}

impl Figure {
    /// Every series, so that each is there from the beginning.
    pub(crate) const ALL: [Self; 17] = [
        Self::Sessions,
        Self::Start(Start::Ok),
        Self::Start(Start::Denied),
        Self::Start(Start::Unreachable),
        Self::Start(Start::Throttled),
        Self::Start(Start::TimedOut),
        Self::Start(Start::Error),
        Self::Loss,
        Self::Resume(Resume::Ok),
        Self::Resume(Resume::Gone),
        Self::Resume(Resume::GivenUp),
        Self::Interruption,
        Self::RoundTrip,
        Self::Bytes(Direction::Rx),
        Self::Bytes(Direction::Tx),
        Self::Repetition(Direction::Rx),
        Self::Repetition(Direction::Tx),
    ];

    /// Registers it with the program.
    pub(crate) fn register(self, host: &Host) -> Metric {
        let (name, help) = self.words();
        let label = self.label();
        let labels = label.as_slice();
        match self {
            Self::Sessions => host.gauge(name, help, labels),
            Self::Interruption | Self::RoundTrip => host.histogram(name, help, labels),
            Self::Start(_)
            | Self::Loss
            | Self::Resume(_)
            | Self::Bytes(_)
            | Self::Repetition(_) => host.counter(name, help, labels),
        }
    }

    /// Its name and its meaning.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Sessions => ("sessions", "Sessions of Session Manager that are open now."),
            Self::Start(_) => ("session_starts_total", "Sessions asked for, by how that ended."),
            Self::Loss => ("websocket_losses_total", "WebSockets that were lost under a session."),
            Self::Resume(_) => {
                ("session_resumes_total", "Ends of such a break, by whether the session goes on.")
            }
            Self::Interruption => {
                ("interruption_seconds", "Time that resumed sessions were without a WebSocket.")
            }
            Self::RoundTrip => (
                "round_trip_seconds",
                "Time from a message to the agent's receipt, at most one sample every 10 seconds and session.",
            ),
            Self::Bytes(_) => (
                "bytes_total",
                "Bytes received from (rx) and sent to (tx) agents, copies left out.",
            ),
            Self::Repetition(_) => {
                ("repetitions_total", "Messages that came (rx) or were sent (tx) once more.")
            }
        }
    }

    const fn label(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Sessions | Self::Loss | Self::Interruption | Self::RoundTrip => None,
            Self::Start(outcome) => Some(("outcome", outcome.word())),
            Self::Resume(outcome) => Some(("outcome", outcome.word())),
            Self::Bytes(direction) | Self::Repetition(direction) => {
                Some(("direction", direction.word()))
            }
        }
    }
}

impl Start {
    pub(crate) fn of(started: &Result<(), Error>) -> Self {
        let Err(error) = started else { return Self::Ok };
        match error.status() {
            Status::AUTH | Status::DENIED => Self::Denied,
            Status::UNREACHABLE => Self::Unreachable,
            Status::THROTTLED => Self::Throttled,
            Status::TIMEOUT => Self::TimedOut,
            _ => Self::Error,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Unreachable => "unreachable",
            Self::Throttled => "throttled",
            Self::TimedOut => "timed_out",
            Self::Error => "error",
        }
    }
}

impl Resume {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Gone => "gone",
            Self::GivenUp => "given_up",
        }
    }
}

impl Direction {
    const fn word(self) -> &'static str {
        match self {
            Self::Rx => "rx",
            Self::Tx => "tx",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_documentation_has_every_figure_with_its_meaning_and_labels() {
        let page = include_str!("../../../docs/metrics.md");
        for figure in Figure::ALL {
            let (name, help) = figure.words();
            let line = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let line = line.unwrap_or_else(|| panic!("{name} is not in docs/metrics.md"));
            assert!(line.contains(help), "{line}");
            if let Some((label, value)) = figure.label() {
                let shown = [label, value].map(|word| line.contains(&format!("`{word}`")));
                assert_eq!(shown, [true, true], "{label}={value}: {line}");
            }
        }
    }

    #[test]
    fn no_two_figures_are_one_series() {
        let series: HashSet<_> =
            Figure::ALL.iter().map(|figure| (figure.words().0, figure.label())).collect();
        assert_eq!(series.len(), Figure::ALL.len());
    }
}
