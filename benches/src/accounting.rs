//! Whose CPU time it was: read from the scheduler's nanosecond counters, not from clock ticks.

use std::fs;
use std::path::Path;

/// The scheduler's clock ticks per second in `/proc/stat`, the same on every Linux.
const TICKS: f64 = 100.0;

/// CPU time of all threads of these processes, in nanoseconds. One that has ended counts nothing.
pub(crate) fn cpu_nanos(processes: &[u32]) -> f64 {
    let threads = processes.iter().flat_map(|process| {
        fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten()
    });
    threads.filter_map(|thread| first_number(&thread.path().join("schedstat"))).sum()
}

/// A process and all below it.
pub(crate) fn family(root: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(u32, u32)> = processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, parent(process)?)))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&above) = found.get(next) {
        found.extend(parents.iter().filter(|(_, parent)| *parent == above).map(|(child, _)| child));
        next += 1;
    }
    found
}

fn parent(process: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// Memory of these processes, shared pages divided among their users, in KiB.
pub(crate) fn pss_kib(processes: &[u32]) -> f64 {
    processes.iter().filter_map(|process| rollup(*process, "Pss:")).sum()
}

/// Resident memory of a process, in KiB.
pub(crate) fn rss_kib(process: u32) -> f64 {
    rollup(process, "Rss:").unwrap_or(f64::NAN)
}

fn rollup(process: u32, field: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What the cores in use were busy with, in nanoseconds, whoever it was.
pub(crate) fn busy_nanos(core: Option<usize>) -> f64 {
    let label = core.map_or_else(|| "cpu ".to_owned(), |core| format!("cpu{core} "));
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let Some(line) = text.lines().find_map(|line| line.strip_prefix(&label)) else { return 0.0 };
    let fields: Vec<f64> = line.split_whitespace().filter_map(|f| f.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal: what is neither idle nor waiting.
    let busy: f64 =
        fields.iter().take(8).sum::<f64>() - fields.get(3..5).map_or(0.0, |idle| idle.iter().sum());
    busy * 1e9 / TICKS
}

/// Gives these processes more weight than what else runs, where the system lets us. The kernel groups
/// processes by session, so that niceness counts between groups only.
pub(crate) fn prefer(processes: &[u32]) -> bool {
    let weigh = |process: &u32| fs::write(format!("/proc/{process}/autogroup"), "-15").is_ok();
    // All of them are tried, whatever becomes of the first.
    processes.iter().filter(|process| weigh(process)).count() == processes.len()
}

fn first_number(file: &Path) -> Option<f64> {
    fs::read_to_string(file).ok()?.split(' ').next()?.trim().parse().ok()
}
