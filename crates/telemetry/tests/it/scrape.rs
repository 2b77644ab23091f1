//! What a scrape holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgferry_telemetry::{
    CancelResult, CloseReason, InstallError, Origin, Outcome, Phase, PhaseOutcome, Settings,
    Severity, Telemetry, catalog,
};

use crate::support::{BUILD, OPERATIONS, busy, samples, telemetry};

const QUERY: &str = "db_client_operation_duration_seconds";

fn query_series(part: &str, operation: &str, outcome: &str, le: &str) -> String {
    let le = if le.is_empty() { String::new() } else { format!(",le=\"{le}\"") };
    format!(
        "{QUERY}_{part}{{db_system_name=\"postgresql\",target=\"dev\",\
         db_operation_name=\"{operation}\",outcome=\"{outcome}\"{le}}}"
    )
}

#[test]
fn a_statement_lands_in_its_bucket_and_all_above() {
    let telemetry = telemetry();
    telemetry.target("dev", "ssm").queries(0).record(0, Outcome::Ok, 2_500_000);
    let samples = samples(&telemetry.render());
    let bucket = |le: &str| samples[&query_series("bucket", "SELECT", "ok", le)];
    assert_eq!((bucket("0.001"), bucket("0.0025"), bucket("60"), bucket("+Inf")), (0., 1., 1., 1.));
    assert_eq!(samples[&query_series("sum", "SELECT", "ok", "")], 0.0025);
    assert_eq!(samples[&query_series("count", "SELECT", "ok", "")], 1.0);
}

#[test]
fn relay_threads_are_merged_into_one_series() {
    let telemetry = telemetry();
    let dev = telemetry.target("dev", "ssm");
    for thread in 0..3 {
        dev.queries(thread).record(1, Outcome::Cancelled, 1_000_000_000);
    }
    let samples = samples(&telemetry.render());
    assert_eq!(samples[&query_series("count", "INSERT", "cancelled", "")], 3.0);
    assert_eq!(samples[&query_series("sum", "INSERT", "cancelled", "")], 3.0);
}

#[test]
fn one_relay_thread_has_one_set_of_histograms_however_often_it_asks() {
    let telemetry = telemetry();
    telemetry.target("dev", "ssm").queries(0).record(0, Outcome::Ok, 1);
    telemetry.target("dev", "ssm").queries(0).record(0, Outcome::Ok, 1);
    assert_eq!(samples(&telemetry.render())[&query_series("count", "SELECT", "ok", "")], 2.0);
}

#[test]
fn a_target_that_changes_its_transport_keeps_its_statement_times() {
    let telemetry = telemetry();
    for transport in ["ssm", "ssh"] {
        let target = telemetry.target("dev", transport);
        target.queries(0).record(0, Outcome::Ok, 1);
        target.stall(500_000_000);
        target.phase(Phase::Tls, PhaseOutcome::Ok, Duration::from_millis(1));
    }
    let samples = samples(&telemetry.render());
    assert_eq!(samples[&query_series("count", "SELECT", "ok", "")], 2.0);
    assert_eq!(samples["pgferry_client_stall_seconds_total{target=\"dev\"}"], 1.0);
    for transport in ["ssm", "ssh"] {
        let series = format!(
            "pgferry_connect_phase_duration_seconds_bucket{{target=\"dev\",\
             transport=\"{transport}\",phase=\"tls\",outcome=\"ok\",le=\"0.001\"}}"
        );
        assert_eq!(samples[&series], 1.0);
    }
}

#[test]
fn an_operation_beyond_the_list_counts_as_the_last() {
    let telemetry = telemetry();
    telemetry.target("dev", "ssm").queries(0).record(usize::MAX, Outcome::Error, 1);
    assert_eq!(samples(&telemetry.render())[&query_series("count", "OTHER", "error", "")], 1.0);
}

/// Every sample takes one second, so a consistent scrape has sum <= count in each series.
#[test]
fn scrapes_taken_while_threads_record_are_consistent() {
    const SAMPLES: u32 = 200_000;
    let telemetry = telemetry();
    let target = telemetry.target("dev", "ssm");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let recorders: Vec<_> = (0..2)
            .map(|thread| {
                let queries = target.queries(thread);
                scope.spawn(move || {
                    (0..SAMPLES).for_each(|_| queries.record(0, Outcome::Ok, 1_000_000_000));
                })
            })
            .collect();
        let scraper = scope.spawn(|| scrape_until(&telemetry, &done));
        for recorder in recorders {
            recorder.join().unwrap();
        }
        done.store(true, Ordering::Release);
        assert!(scraper.join().unwrap() > 0);
    });
    let samples = samples(&telemetry.render());
    assert_eq!(samples[&query_series("count", "SELECT", "ok", "")], f64::from(2 * SAMPLES));
    assert_eq!(samples[&query_series("sum", "SELECT", "ok", "")], f64::from(2 * SAMPLES));
}

fn scrape_until(telemetry: &Telemetry, done: &AtomicBool) -> usize {
    let (mut scrapes, mut last) = (0, 0.0);
    while !done.load(Ordering::Acquire) || scrapes == 0 {
        let samples = samples(&telemetry.render());
        scrapes += 1;
        let Some(count) = samples.get(&query_series("count", "SELECT", "ok", "")) else { continue };
        assert_eq!(samples[&query_series("bucket", "SELECT", "ok", "+Inf")], *count);
        assert_eq!(samples[&query_series("bucket", "SELECT", "ok", "0.5")], 0.0);
        assert!(samples[&query_series("sum", "SELECT", "ok", "")] <= *count);
        assert!(*count >= last, "{count} after {last}");
        last = *count;
    }
    scrapes
}

#[test]
fn a_new_target_shows_its_counters_at_zero() {
    let telemetry = telemetry();
    telemetry.target("dev", "ssm").listener("127.0.0.1:15432");
    let samples = samples(&telemetry.render());
    for series in [
        "pgferry_client_connections{target=\"dev\",listener=\"127.0.0.1:15432\"}",
        "pgferry_client_connections_total{target=\"dev\",listener=\"127.0.0.1:15432\"}",
        "pgferry_client_connections_closed_total{target=\"dev\",reason=\"client_closed\"}",
        "pgferry_cancel_requests_total{target=\"dev\",result=\"not_found\"}",
        "pgferry_io_bytes_total{target=\"dev\",side=\"server\",direction=\"tx\"}",
        "pgferry_client_stall_seconds_total{target=\"dev\"}",
    ] {
        assert_eq!(samples.get(series), Some(&0.0), "{series}");
    }
    let of_target = samples.keys().filter(|series| series.contains("target=\"dev\"")).count();
    assert_eq!(of_target, 22, "docs/metrics.md names this figure in its budget");
}

#[test]
fn a_connection_is_open_until_its_guard_goes() {
    let telemetry = telemetry();
    let dev = telemetry.target("dev", "ssm");
    let (first, second) = (dev.connection_opened("l"), dev.connection_opened("l"));
    let open = "pgferry_client_connections{target=\"dev\",listener=\"l\"}";
    assert_eq!(samples(&telemetry.render())[open], 2.0);
    first.close(CloseReason::Shutdown);
    drop(second);
    let samples = samples(&telemetry.render());
    let closed = |reason| {
        samples[&format!(
            "pgferry_client_connections_closed_total{{target=\"dev\",reason=\"{reason}\"}}"
        )]
    };
    assert_eq!((samples[open], closed("shutdown"), closed("aborted")), (0.0, 1.0, 1.0));
}

#[test]
fn errors_of_unknown_codes_share_a_series() {
    let telemetry = telemetry();
    let dev = telemetry.target("dev", "ssm");
    for code in ["42P98", "42P99", "42601", "<script>"] {
        dev.error(Severity::Fatal, code, Origin::Server);
    }
    let samples = samples(&telemetry.render());
    let errors = |code| {
        samples[&format!(
            "pgferry_errors_total{{target=\"dev\",severity=\"FATAL\",\
             db_response_status_code=\"{code}\",origin=\"server\"}}"
        )]
    };
    assert_eq!((errors("42***"), errors("42601"), errors("other")), (2.0, 1.0, 1.0));
}

#[test]
fn every_cancel_result_and_tunnel_state_is_told_apart() {
    let telemetry = telemetry();
    let dev = telemetry.target("dev", "ssh");
    for result in CancelResult::ALL {
        dev.cancel(*result);
    }
    let tunnel = "pgferry_tunnel_up{target=\"dev\",transport=\"ssh\"}";
    assert_eq!(samples(&telemetry.render()).get(tunnel), None);
    dev.tunnel(true);
    assert_eq!(samples(&telemetry.render())[tunnel], 1.0);
    dev.tunnel(false);
    let samples = samples(&telemetry.render());
    assert_eq!(samples[tunnel], 0.0);
    for result in CancelResult::ALL {
        let series = format!(
            "pgferry_cancel_requests_total{{target=\"dev\",result=\"{}\"}}",
            result.label()
        );
        assert_eq!(samples[&series], 1.0);
    }
}

#[test]
fn a_strange_target_name_reads_the_same_in_every_family() {
    let name = "we\"ird\\name\\\"\\\\x\n";
    let escaped = r#"target="we\"ird\\name\\\"\\\\x\n""#;
    let text = busy(name).render();
    for metric in catalog::ALL.iter().filter(|metric| metric.labels.contains(&"target")) {
        let samples = text.lines().filter(|line| line.starts_with(metric.name));
        let wrong: Vec<_> = samples.filter(|line| !line.contains(escaped)).collect();
        assert_eq!(wrong, Vec::<&str>::new());
    }
}

#[test]
fn every_row_of_the_catalogue_is_shown_once_with_help_and_type() {
    let text = busy("dev").render();
    for metric in catalog::ALL {
        let help = format!("# HELP {} {}", metric.name, metric.help);
        let kind = format!("# TYPE {} {}", metric.name, metric.kind.word());
        assert_eq!(text.lines().filter(|line| *line == help).count(), 1, "{help}");
        assert_eq!(text.lines().filter(|line| *line == kind).count(), 1, "{kind}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let empty = Telemetry::new(BUILD, Settings::new(&[])).unwrap_err();
    assert_eq!(empty, InstallError::NoOperations);
    let settings = Settings { buckets: vec![1.0, 0.5], ..Settings::new(OPERATIONS) };
    let unordered = Telemetry::new(BUILD, settings).unwrap_err();
    assert!(matches!(unordered, InstallError::Buckets(_)), "{unordered}");
}

#[test]
fn configured_buckets_are_the_ones_shown() {
    let settings = Settings { buckets: vec![0.02, 2.0], ..Settings::new(OPERATIONS) };
    let telemetry = Telemetry::new(BUILD, settings).unwrap();
    telemetry.target("dev", "ssm").queries(0).record(0, Outcome::Ok, 1_000_000_000);
    let samples = samples(&telemetry.render());
    let bucket = |le: &str| samples.get(&query_series("bucket", "SELECT", "ok", le)).copied();
    assert_eq!(
        [bucket("0.02"), bucket("2"), bucket("+Inf"), bucket("0.5")],
        [Some(0.0), Some(1.0), Some(1.0), None]
    );
}
