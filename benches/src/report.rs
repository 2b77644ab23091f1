//! Runs what was asked for, and writes it down: tables for people, JSON for programs.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::accounting::{busy_nanos, cpu_nanos, family, prefer};
use crate::peers::{DIRECT, Field, PGFERRY, PGFERRY_SSH};
use crate::race::{Lap, Mode, race};
use crate::statistics::Spread;
use crate::{Regime, Run, connect, idle, machine};

/// Measures, writes the JSON file and returns the Markdown.
pub(crate) fn run(run: &Run) -> anyhow::Result<String> {
    let core = pin(run.regime)?;
    let mut field = Field::start(run)?;
    let preferred = prefer_all(&field);
    let mut report = Report { core, text: String::new(), results: Vec::new() };
    report.introduce(&field, run.regime, preferred)?;
    let modes = if run.modes.is_empty() { Mode::ALL.to_vec() } else { run.modes.clone() };
    for mode in modes {
        let rounds = if mode.is_bulk() { run.rounds.div_ceil(6) } else { run.rounds };
        let guard = Guard::start(&field, core);
        let laps = race(&field, mode, rounds)?;
        let foreign = guard.foreign(&field);
        report.table(mode, &laps, foreign)?;
    }
    if run.memory {
        report.memory(&field)?;
    }
    if run.connect {
        // What is idle now must not be in the way.
        field.peers.clear();
        report.connections(&connect::connect(run)?)?;
    }
    if let Some(file) = &run.json {
        let regime = format!("{:?}", run.regime);
        let all =
            json!({ "machine": machine::facts(), "regime": regime, "results": report.results });
        fs::write(file, serde_json::to_string_pretty(&all)? + "\n")?;
    }
    Ok(report.text)
}

/// Everything that is started from here on inherits it.
fn pin(regime: Regime) -> anyhow::Result<Option<usize>> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    if regime == Regime::AllCores {
        return Ok(None);
    }
    let allowed = sched_getaffinity(None)?;
    let core = (0..CpuSet::MAX_CPU).rev().find(|core| allowed.is_set(*core)).unwrap_or(0);
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set)?;
    Ok(Some(core))
}

fn ours(field: &Field) -> Vec<u32> {
    let mut all = family(field.server.id());
    all.push(std::process::id());
    all.extend(field.peers.iter().flat_map(crate::peers::Peer::processes));
    all
}

fn prefer_all(field: &Field) -> bool {
    prefer(&ours(field))
}

/// Watches what else the machine does.
struct Guard {
    core: Option<usize>,
    began: Instant,
    busy: f64,
    ours: f64,
}

impl Guard {
    fn start(field: &Field, core: Option<usize>) -> Self {
        let ours = cpu_nanos(&ours(field));
        Self { core, began: Instant::now(), busy: busy_nanos(core), ours }
    }

    /// Cores that others kept busy meanwhile, of those in use.
    fn foreign(self, field: &Field) -> f64 {
        let busy = busy_nanos(self.core) - self.busy;
        let ours = cpu_nanos(&ours(field)) - self.ours;
        ((busy - ours) / (self.began.elapsed().as_secs_f64() * 1e9)).max(0.0)
    }
}

struct Report {
    core: Option<usize>,
    text: String,
    results: Vec<Value>,
}

impl Report {
    fn introduce(&mut self, field: &Field, regime: Regime, preferred: bool) -> anyhow::Result<()> {
        let facts = machine::facts();
        let regime = match (regime, self.core) {
            (Regime::OneCore, Some(core)) => format!("One core: all on CPU {core}"),
            _ => "All cores, nobody pinned".to_owned(),
        };
        writeln!(self.text, "## {regime}\n\n```json\n{facts}\n```\n")?;
        writeln!(self.text, "Scheduler weight raised over other work: {preferred}.\n")?;
        for peer in &field.peers {
            writeln!(self.text, "- {}: {}", peer.name, peer.about)?;
        }
        for missing in &field.missing {
            writeln!(self.text, "- {missing}: not installed")?;
        }
        writeln!(self.text)?;
        Ok(())
    }

    fn table(&mut self, mode: Mode, laps: &[Lap], foreign: f64) -> anyhow::Result<()> {
        let rounds = laps.first().map_or(0, |lap| lap.cost.len());
        writeln!(self.text, "### {}\n", mode.title())?;
        writeln!(self.text, "{rounds} rounds; others kept {foreign:.2} cores busy.\n")?;
        self.text.push_str(if mode.is_latency() {
            "| way | p50 us | p99 us | added us | relay CPU us/query | pgferry / it: added | pgferry / it: CPU |\n\
             |---|---|---|---|---|---|---|\n"
        } else if mode.is_bulk() {
            "| way | MB/s | relay CPU s/GB | pgferry / it: MB/s | pgferry / it: CPU |\n|---|---|---|---|---|\n"
        } else {
            "| way | thousand q/s | relay CPU us/query | pgferry / it: q/s | pgferry / it: CPU |\n|---|---|---|---|---|\n"
        });
        for lap in laps {
            let row = Row::new(lap, laps);
            self.text.push_str(&row.markdown(mode, lap));
            self.results.push(row.json(mode, lap, foreign));
        }
        self.text.push('\n');
        Ok(())
    }

    fn memory(&mut self, field: &Field) -> anyhow::Result<()> {
        writeln!(
            self.text,
            "### Memory\n\n| way | KiB per idle connection (of 1000) |\n|---|---|"
        )?;
        for (name, kib) in idle::idle(field)? {
            writeln!(self.text, "| {name} | {kib:.1} |")?;
            self.results.push(json!({ "mode": "Idle", "way": name, "kib_per_connection": kib }));
        }
        if let Some((queries, kib)) = idle::unscraped(field)? {
            writeln!(
                self.text,
                "\nAfter {queries} queries that nobody scraped, pgferry's resident memory had grown by {kib:.0} KiB.\n"
            )?;
            self.results.push(json!({ "mode": "Unscraped", "queries": queries, "kib": kib }));
        }
        Ok(())
    }

    fn connections(&mut self, laps: &[Lap]) -> anyhow::Result<()> {
        writeln!(
            self.text,
            "### Fresh connections to PostgreSQL\n\nSCRAM on both sides of a proxy, TLS to the server; one query each.\n\n\
             | way | ms per connection | proxy CPU ms | pgferry / it: time | pgferry / it: CPU |\n|---|---|---|---|---|"
        )?;
        for lap in laps {
            let row = Row::new(lap, laps);
            let ms = |spread: Spread| shown(spread.map(|nanos| nanos / 1e6), 2);
            let (cost, cpu) = (ms(row.cost), ms(row.cpu));
            writeln!(
                self.text,
                "| {} | {cost} | {cpu} | {} | {} |",
                lap.peer,
                shown(row.cost_ratio, 2),
                shown(row.cpu_ratio, 2)
            )?;
            let (cost, cpu) = (row.cost.median, row.cpu.median);
            self.results.push(
                json!({ "mode": "Connect", "way": lap.peer, "nanos": cost, "cpu_nanos": cpu }),
            );
        }
        Ok(())
    }
}

/// One way's figures, and pgferry's in the same rounds divided by them.
struct Row {
    cost: Spread,
    cpu: Spread,
    added: Spread,
    cost_ratio: Spread,
    cpu_ratio: Spread,
    added_ratio: Spread,
}

impl Row {
    fn new(lap: &Lap, all: &[Lap]) -> Self {
        // The tunnels are held against each other.
        let own = if lap.peer.contains("ssh") { PGFERRY_SSH } else { PGFERRY };
        let own = all.iter().find(|lap| lap.peer == own).unwrap_or(lap);
        let direct = all.iter().find(|lap| lap.peer == DIRECT).unwrap_or(lap);
        let added = |lap: &Lap| pairs(&lap.cost, &direct.cost, |one, two| one - two);
        Self {
            cost: Spread::of(lap.cost.iter().copied()),
            cpu: Spread::of(lap.cpu.iter().copied()),
            added: Spread::of(added(lap)),
            cost_ratio: Spread::of(pairs(&own.cost, &lap.cost, |one, two| one / two)),
            cpu_ratio: Spread::of(pairs(&own.cpu, &lap.cpu, |one, two| one / two)),
            added_ratio: Spread::of(pairs(&added(own), &added(lap), |one, two| one / two)),
        }
    }

    fn markdown(&self, mode: Mode, lap: &Lap) -> String {
        let us = |spread: Spread| shown(spread.map(|nanos| nanos / 1e3), 2);
        let (cpu_ratio, name) = (shown(self.cpu_ratio, 2), lap.peer);
        // A cost ratio upside down is a ratio of speeds.
        let speed = shown(self.cost_ratio.map(f64::recip), 2);
        if mode.is_latency() {
            let (p50, p99) = (us(self.cost), lap.p99() / 1e3);
            let (added, cpu, ratio) = (us(self.added), us(self.cpu), shown(self.added_ratio, 2));
            format!("| {name} | {p50} | {p99:.0} | {added} | {cpu} | {ratio} | {cpu_ratio} |\n")
        } else if mode.is_bulk() {
            let rate = shown(self.cost.map(|nanos| 1e3 / nanos), 0);
            // A nanosecond per byte is a second per gigabyte.
            format!("| {name} | {rate} | {} | {speed} | {cpu_ratio} |\n", shown(self.cpu, 3))
        } else {
            let rate = shown(self.cost.map(|nanos| 1e6 / nanos), 1);
            format!("| {name} | {rate} | {} | {speed} | {cpu_ratio} |\n", us(self.cpu))
        }
    }

    fn json(&self, mode: Mode, lap: &Lap, foreign: f64) -> Value {
        let spread = |s: Spread| json!({ "q1": s.lower, "median": s.median, "q3": s.upper });
        json!({
            "mode": format!("{mode:?}"), "way": lap.peer, "rounds": self.cost.count,
            "foreign_cores": foreign,
            "nanos_per_unit": spread(self.cost), "p99_nanos": lap.p99(),
            "cpu_nanos_per_unit": spread(self.cpu), "added_nanos": spread(self.added),
            "pgferry_over_it": {
                "time": spread(self.cost_ratio), "cpu": spread(self.cpu_ratio),
                "added": spread(self.added_ratio),
            },
        })
    }
}

fn pairs(one: &[f64], two: &[f64], combine: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    one.iter().zip(two).map(|(one, two)| combine(*one, *two)).collect()
}

/// Median, with the quartiles in brackets.
fn shown(spread: Spread, digits: usize) -> String {
    let Spread { lower, median, upper, .. } = spread;
    if !median.is_finite() || median == 0.0 && upper == 0.0 {
        return "-".to_owned();
    }
    format!("{median:.digits$} [{lower:.digits$}, {upper:.digits$}]")
}
