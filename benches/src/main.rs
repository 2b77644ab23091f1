//! Measures what pgferry costs, beside a direct connection, bare relays and the usual peers.
//!
//! All of them run at the same time, on one machine, against one server. A client holds connections
//! to all of them and goes round: a burst of a few milliseconds to each, in an order that rotates.
//! What the machine does besides hits all alike, and the ratio of two bursts of one round says more
//! than two runs after one another ever could.
//!
//! It is not a load test of PostgreSQL: the server behind the relays answers from memory.
//!
//! Start from [`race::race`], the rounds, and [`peers::Field`], who takes part.

mod accounting;
mod client;
mod connect;
mod copy_relay;
mod fake_server;
mod idle;
mod machine;
mod peers;
mod race;
mod report;
mod ssm;
mod statistics;
mod wire;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures pgferry beside its peers.
#[derive(Parser)]
#[command(name = "pgferry-bench", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure, and print tables in Markdown.
    Run(Run),
    /// Measure the ssm transport against a simulated Session Manager, and print tables in Markdown.
    Ssm(ssm::Arguments),
    /// Answer like a PostgreSQL server, from memory. Started by `run`.
    Serve,
    /// Relay bytes with tokio's `copy_bidirectional`, as a lower bound. Started by `run`.
    Copy {
        /// Where to.
        #[arg(long)]
        to: SocketAddr,
    },
}

/// What to measure.
#[derive(Args)]
pub(crate) struct Run {
    /// The pgferry to measure: a release build.
    #[arg(long)]
    pub(crate) pgferry: PathBuf,
    /// Another build of pgferry to hold it against, as `before`.
    #[arg(long)]
    pub(crate) before: Option<PathBuf>,
    /// Everything on one core, which says what work costs, or on all, which says what runs in parallel.
    #[arg(long, value_enum, default_value_t = Regime::OneCore)]
    pub(crate) regime: Regime,
    /// Rounds of the latency modes; bulk modes take a sixth.
    #[arg(long, default_value_t = 150)]
    pub(crate) rounds: usize,
    /// What to measure; everything if none is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) modes: Vec<race::Mode>,
    /// Who takes part beside pgferry and the direct connection; all that are installed if none is named.
    #[arg(long, value_delimiter = ',')]
    pub(crate) peers: Vec<String>,
    /// Also measure connections per second, over TLS and SCRAM on a real PostgreSQL.
    #[arg(long)]
    pub(crate) connect: bool,
    /// Also measure memory: of 1000 idle connections, and of many queries that nobody scrapes.
    #[arg(long)]
    pub(crate) memory: bool,
    /// Where to write the figures as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// Which cores take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Regime {
    /// Client, relays and server share the last core.
    OneCore,
    /// Nobody is pinned.
    AllCores,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Run(run) => {
            let text = report::run(&run)?;
            std::io::stdout().write_all(text.as_bytes())?;
            Ok(())
        }
        Command::Ssm(arguments) => {
            let text = ssm::measure(&arguments)?;
            std::io::stdout().write_all(text.as_bytes())?;
            Ok(())
        }
        Command::Serve => fake_server::serve(),
        Command::Copy { to } => copy_relay::relay(to),
    }
}
