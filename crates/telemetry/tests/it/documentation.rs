//! The documentation follows the code.

use std::fs;

use pgferry_telemetry::catalog;

use crate::support::repository;

const BEGIN: &str = "<!-- generated: the metric table -->\n";
const END: &str = "<!-- end of the generated part -->";

#[test]
fn the_table_in_the_documentation_is_the_one_in_the_code() {
    let path = repository("docs/metrics.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("docs/metrics.md has lost its begin mark");
    let (table, after) = rest.split_once(END).expect("docs/metrics.md has lost its end mark");
    let wanted = format!("\n{}\n", catalog::markdown());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert!(
        table == wanted,
        "docs/metrics.md is out of date; write it anew with\n    \
         UPDATE_GOLDEN=1 cargo test -p pgferry-telemetry documentation"
    );
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    for metric in catalog::ALL {
        let name = metric.name;
        assert_eq!(name.ends_with("_total"), metric.kind == catalog::Kind::Counter, "{name}");
        assert_eq!(metric.buckets.is_empty(), metric.kind != catalog::Kind::Histogram, "{name}");
        let stem = name.trim_end_matches("_total");
        let unit = metric.unit.word();
        let suffix = ["seconds", "bytes"].contains(&unit).then_some(unit);
        assert!(suffix.is_none_or(|unit| stem.ends_with(unit)), "{name} is in {unit}");
    }
}

/// Source: <https://opentelemetry.io/docs/specs/semconv/database/database-metrics/>
#[test]
fn the_bounds_opentelemetry_advises_are_among_ours() {
    for advised in [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0] {
        assert!(catalog::QUERY_BUCKETS.contains(&advised), "{advised}");
    }
}
