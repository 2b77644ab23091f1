//! The rounds: a short burst on each peer in turn, again and again.

use std::io;

use anyhow::Context as _;
use clap::ValueEnum;

use crate::accounting::cpu_nanos;
use crate::client::{Client, concurrent};
use crate::peers::{Field, Peer};
use crate::statistics::Spread;
use crate::wire;

/// The first rounds only warm up.
const WARM_UP: usize = 3;
/// Queries in a burst, one after another: some milliseconds.
const SERIAL: usize = 100;
/// Queries sent at once, and how often.
const PIPELINE: (usize, usize) = (100, 10);
/// Sessions that are busy at once, and their queries in a burst.
const SESSIONS: usize = 8;
const CONCURRENT: usize = 400;
/// Bytes of a burst in bulk.
const BULK: usize = 32 * 1024 * 1024;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Simple queries, one after another.
    Simple,
    /// Prepared queries, one after another.
    Prepared,
    /// Prepared queries on eight connections at once.
    Conc8,
    /// Prepared queries, 100 sent at once.
    Pipe,
    /// Rows of 1 KiB.
    OutWide,
    /// Rows of 30 bytes.
    OutNarrow,
    /// Bulk input in messages of 8 KiB.
    In,
}

impl Mode {
    pub(crate) const ALL: [Self; 7] = [
        Self::Simple,
        Self::Prepared,
        Self::Conc8,
        Self::Pipe,
        Self::OutWide,
        Self::OutNarrow,
        Self::In,
    ];

    /// A heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Simple => "Simple queries, one at a time",
            Self::Prepared => "Prepared queries, one at a time",
            Self::Conc8 => "Prepared queries, 8 connections at once",
            Self::Pipe => "Prepared queries, pipelined 100 deep",
            Self::OutWide => "Results of 1 KiB rows",
            Self::OutNarrow => "Results of 30-byte rows",
            Self::In => "COPY FROM STDIN, 8 KiB messages",
        }
    }

    pub(crate) fn is_bulk(self) -> bool {
        matches!(self, Self::OutWide | Self::OutNarrow | Self::In)
    }

    pub(crate) fn is_latency(self) -> bool {
        matches!(self, Self::Simple | Self::Prepared)
    }
}

/// What one peer showed in one mode, round by round.
#[derive(Debug)]
pub(crate) struct Lap {
    pub(crate) peer: &'static str,
    /// Nanoseconds per query or byte; the median query of a burst where they go one by one.
    pub(crate) cost: Vec<f64>,
    /// CPU time of the relay per query or byte, in nanoseconds.
    pub(crate) cpu: Vec<f64>,
    /// Single queries of all rounds, sorted, where they go one by one.
    pub(crate) singles: Vec<f64>,
}

impl Lap {
    /// The slowest hundredth begins here.
    pub(crate) fn p99(&self) -> f64 {
        self.singles.get(self.singles.len() * 99 / 100).copied().unwrap_or(f64::NAN)
    }
}

/// Runs a mode's rounds over the whole field.
pub(crate) fn race(field: &Field, mode: Mode, rounds: usize) -> anyhow::Result<Vec<Lap>> {
    let mut runners = field
        .peers
        .iter()
        .map(|peer| Runner::new(peer, mode).with_context(|| format!("connecting to {}", peer.name)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    for round in 0..rounds + WARM_UP {
        let count = runners.len();
        for turn in 0..count {
            let Some(runner) = runners.get_mut((round + turn) % count) else { continue };
            let name = runner.lap.peer;
            runner.burst(mode, round >= WARM_UP).with_context(|| format!("a burst on {name}"))?;
        }
    }
    Ok(runners.into_iter().map(Runner::finish).collect())
}

struct Runner {
    clients: Vec<Client>,
    processes: Vec<u32>,
    lap: Lap,
}

impl Runner {
    fn new(peer: &Peer, mode: Mode) -> io::Result<Self> {
        let sessions = if mode == Mode::Conc8 { SESSIONS } else { 1 };
        let clients =
            (0..sessions).map(|_| Client::connect(peer.address)).collect::<Result<_, _>>()?;
        let (cost, cpu, singles) = (Vec::new(), Vec::new(), Vec::new());
        let lap = Lap { peer: peer.name, cost, cpu, singles };
        // Only now: some fork for each connection.
        Ok(Self { clients, processes: peer.processes(), lap })
    }

    fn burst(&mut self, mode: Mode, counts: bool) -> io::Result<()> {
        let before = cpu_nanos(&self.processes);
        let (singles, nanos, units) = self.timed(mode)?;
        let cpu = cpu_nanos(&self.processes) - before;
        if !counts {
            return Ok(());
        }
        let cost = if singles.is_empty() {
            nanos / units
        } else {
            Spread::of(singles.iter().copied()).median
        };
        self.lap.cost.push(cost);
        self.lap.cpu.push(cpu / units);
        self.lap.singles.extend(singles);
        Ok(())
    }

    /// Single times, or the time of all; and how many queries or bytes it was.
    #[expect(clippy::cast_precision_loss, reason = "counts of queries and bytes are small")]
    fn timed(&mut self, mode: Mode) -> io::Result<(Vec<f64>, f64, f64)> {
        let Some(client) = self.clients.first_mut() else { return Ok((Vec::new(), 0.0, 0.0)) };
        let execute = wire::execute_answer().len();
        let all = |nanos, units| Ok((Vec::new(), nanos, units));
        match mode {
            Mode::Simple => {
                let answer = wire::simple_answer().len();
                let singles = client.serial(&wire::query("SELECT 1"), answer, SERIAL)?;
                Ok((singles, 0.0, SERIAL as f64))
            }
            Mode::Prepared => {
                let singles = client.serial(&wire::execute(), execute, SERIAL)?;
                Ok((singles, 0.0, SERIAL as f64))
            }
            Mode::Conc8 => {
                let request = wire::execute();
                let nanos = concurrent(&mut self.clients, &request, execute, CONCURRENT)?;
                all(nanos, CONCURRENT as f64)
            }
            Mode::Pipe => {
                let nanos = client.pipelined(&wire::execute(), execute, PIPELINE)?;
                all(nanos, (PIPELINE.0 * PIPELINE.1) as f64)
            }
            Mode::OutWide => all(client.out(1024, BULK)?, BULK as f64),
            Mode::OutNarrow => all(client.out(30, BULK)?, BULK as f64),
            Mode::In => all(client.copy_in(BULK)?, BULK as f64),
        }
    }

    fn finish(mut self) -> Lap {
        self.lap.singles.sort_by(f64::total_cmp);
        self.lap
    }
}
