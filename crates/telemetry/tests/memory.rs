//! Recording does not grow memory, whether or not anybody scrapes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use pgferry_telemetry::{BuildInfo, MetricKind, Outcome, Settings, Telemetry};

/// Counts the bytes the current thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: usize, sign: isize) {
    // A thread that is ending has no counter any more, and nothing to measure.
    let _ = HELD.try_with(|held| held.set(held.get() + sign * bytes.cast_signed()));
}

#[expect(unsafe_code, reason = "a global allocator cannot be written without")]
// SAFETY: both methods hand on to the system's allocator with the arguments they were given.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[cfg(test)]
fn telemetry() -> Telemetry {
    let build = BuildInfo { version: "1.2.3", commit: None, rustc: "1.95.0" };
    Telemetry::new(build, Settings::new(&["SELECT", "OTHER"])).unwrap()
}

#[test]
fn ten_million_statements_cost_no_more_than_one() {
    let telemetry = telemetry();
    let queries = telemetry.target("dev", "ssm").queries(0);
    queries.record(0, Outcome::Ok, 1);
    let before = HELD.get();
    for index in 1..10_000_000 {
        queries.record(0, Outcome::Ok, index * 10_000);
    }
    assert_eq!(HELD.get(), before);
    assert!(telemetry.render().contains("_count{db_system_name=\"postgresql\",target=\"dev\",db_operation_name=\"SELECT\",outcome=\"ok\"} 10000000\n"));
}

#[test]
fn every_cell_of_a_target_fits_in_a_few_kilobytes() {
    let telemetry = telemetry();
    let before = HELD.get();
    let queries = telemetry.target("dev", "ssm").queries(0);
    for outcome in Outcome::ALL {
        queries.record(0, *outcome, 1);
        queries.record(1, *outcome, 1);
    }
    let held = HELD.get() - before;
    assert!((1..32 * 1024).contains(&held), "{held} bytes");
}

#[tokio::test(start_paused = true)]
async fn upkeep_keeps_a_plugins_histogram_small_without_a_scraper() {
    let telemetry = telemetry();
    let metrics = telemetry.plugin("ssm", "i");
    let id = metrics.register(MetricKind::Histogram, "rtt_seconds", "RTT.", &[]).unwrap();
    let upkeep = tokio::spawn({
        let telemetry = telemetry.clone();
        async move { telemetry.upkeep_forever().await }
    });
    let before = HELD.get();
    for _ in 0..50 {
        (0..20_000).for_each(|_| metrics.record(id, 0.01));
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    upkeep.abort();
    let held = HELD.get() - before;
    assert!(held < 4 * 1024 * 1024, "{held} bytes held after a million samples");
    assert!(telemetry.render().contains("rtt_seconds_count{instance=\"i\"} 1000000\n"));
}
