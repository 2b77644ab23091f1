//! Metrics that plugins bring.

use pgferry_telemetry::{MetricId, MetricKind, PluginMetrics, RegisterError};

use crate::support::{samples, telemetry};

fn counter(metrics: &PluginMetrics, name: &str) -> Result<MetricId, RegisterError> {
    metrics.register(MetricKind::Counter, name, "Things.", &[])
}

#[test]
fn a_plugins_metric_carries_its_plugin_and_instance() {
    let telemetry = telemetry();
    let metrics = telemetry.plugin("data-api", "prod");
    let labels = [("region", "eu-west-1")];
    let id = metrics.register(MetricKind::Counter, "pages_total", "Pages.", &labels).unwrap();
    assert_ne!(id.raw(), 0);
    metrics.record(id, 2.0);
    metrics.record(MetricId::from_raw(id.raw()), 1.0);
    let series = "pgferry_plugin_data_api_pages_total{instance=\"prod\",region=\"eu-west-1\"}";
    assert_eq!(samples(&telemetry.render())[series], 3.0);
}

#[test]
fn a_plugins_histogram_is_a_histogram_and_no_summary() {
    let telemetry = telemetry();
    let metrics = telemetry.plugin("ssm", "i");
    let id = metrics.register(MetricKind::Histogram, "rtt_seconds", "RTT.", &[]).unwrap();
    metrics.record(id, 0.03);
    let text = telemetry.render();
    assert!(text.contains("# TYPE pgferry_plugin_ssm_rtt_seconds histogram"), "{text}");
    let samples = samples(&text);
    let bucket = |le| {
        samples[&format!("pgferry_plugin_ssm_rtt_seconds_bucket{{instance=\"i\",le=\"{le}\"}}")]
    };
    assert_eq!((bucket("0.025"), bucket("0.05"), bucket("+Inf")), (0.0, 1.0, 1.0));
}

#[test]
fn registering_again_finds_the_same_series() {
    let telemetry = telemetry();
    let metrics = telemetry.plugin("ssm", "i");
    assert_eq!(counter(&metrics, "a_total"), counter(&metrics, "a_total"));
}

#[test]
fn an_instance_cannot_register_without_end() {
    let telemetry = telemetry();
    let metrics = telemetry.plugin("ssm", "i");
    for index in 0..64 {
        counter(&metrics, &format!("a{index}_total")).unwrap();
    }
    assert_eq!(counter(&metrics, "one_more_total"), Err(RegisterError::TooMany));
    counter(&metrics, "a0_total").unwrap();
    counter(&telemetry.plugin("ssm", "other"), "one_more_total").unwrap();
}

#[test]
fn names_and_labels_that_would_spoil_the_scrape_are_refused() {
    let telemetry = telemetry();
    let metrics = telemetry.plugin("ssm", "i");
    let register = |kind, name, help, labels: &[(&str, &str)]| {
        metrics.register(kind, name, help, labels).unwrap_err()
    };
    for name in ["", "a b_total", "a-b_total", "a\n_total", "x_bucket", "x_sum", "x_count"] {
        let refused = register(MetricKind::Counter, name, "h", &[]);
        assert_eq!(refused, RegisterError::Name(name.to_owned()));
    }
    let total = RegisterError::Total("things".to_owned());
    assert_eq!(register(MetricKind::Counter, "things", "h", &[]), total);
    let total = RegisterError::Total("things_total".to_owned());
    assert_eq!(register(MetricKind::Gauge, "things_total", "h", &[]), total);
    let help = RegisterError::Help("things".to_owned());
    assert_eq!(register(MetricKind::Gauge, "things", " \n", &[]), help);
    for label in ["", "le", "quantile", "instance", "__name__", "1st", "a-b", "a\"b"] {
        let refused = register(MetricKind::Gauge, "things", "h", &[(label, "v")]);
        assert_eq!(refused, RegisterError::Label(label.to_owned()));
    }
    let twice = register(MetricKind::Gauge, "things", "h", &[("a", "1"), ("a", "2")]);
    assert_eq!(twice, RegisterError::Label("a".to_owned()));
    let long = "v".repeat(129);
    let long = register(MetricKind::Gauge, "things", "h", &[("a", &long)]);
    assert_eq!(long, RegisterError::Label("a".to_owned()));
}

#[test]
fn one_name_cannot_have_two_kinds_even_over_two_plugins() {
    let telemetry = telemetry();
    let gauge = |plugin: &str, name| {
        telemetry.plugin(plugin, "i").register(MetricKind::Gauge, name, "h", &[])
    };
    gauge("a_b", "c").unwrap();
    gauge("a", "b_c").unwrap();
    let clash = telemetry.plugin("a", "j").register(MetricKind::Histogram, "b_c", "h", &[]);
    assert_eq!(clash, Err(RegisterError::Kind("pgferry_plugin_a_b_c".to_owned())));
}

#[test]
fn values_and_ids_that_make_no_sense_are_ignored() {
    let telemetry = telemetry();
    let metrics = telemetry.plugin("ssm", "i");
    let id = counter(&metrics, "a_total").unwrap();
    for value in [f64::NAN, f64::INFINITY, -5.0] {
        metrics.record(id, value);
    }
    metrics.record(MetricId::from_raw(0), 1.0);
    metrics.record(MetricId::from_raw(u64::MAX), 1.0);
    let samples = samples(&telemetry.render());
    assert_eq!(samples["pgferry_plugin_ssm_a_total{instance=\"i\"}"], 0.0);
}
