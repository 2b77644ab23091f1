//! The Prometheus text format, for the metrics the exporter does not hold.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::{self, Write as _};

use crate::catalog::Metric;
use crate::histogram::{Bounds, Snapshot};

/// Text of one scrape under construction.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    text: String,
}

impl Exposition {
    /// Continues after what the exporter wrote.
    pub(crate) const fn after(text: String) -> Self {
        Self { text }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Opens a family; its samples must follow directly.
    pub(crate) fn family(&mut self, metric: &Metric) {
        self.line(format_args!("# HELP {} {}", metric.name, metric.help));
        self.line(format_args!("# TYPE {} {}", metric.name, metric.kind.word()));
    }

    /// One sample whose value is a time.
    pub(crate) fn seconds(&mut self, metric: &Metric, labels: &[&str], nanos: u64) {
        let labels = Labels { names: metric.labels, values: labels };
        self.line(format_args!("{}{{{labels}}} {}", metric.name, Seconds(nanos)));
    }

    /// One sample that is 1 or 0.
    pub(crate) fn state(&mut self, metric: &Metric, labels: &[&str], state: bool) {
        let labels = Labels { names: metric.labels, values: labels };
        self.line(format_args!("{}{{{labels}}} {}", metric.name, u8::from(state)));
    }

    /// All samples of one histogram series. The count is added up from the same numbers as the
    /// buckets, so that `_count` always equals the `+Inf` bucket.
    pub(crate) fn histogram(
        &mut self,
        metric: &Metric,
        labels: &[&str],
        bounds: &Bounds,
        snapshot: &Snapshot,
    ) {
        let (name, labels) = (metric.name, Labels { names: metric.labels, values: labels });
        let mut count = 0;
        let mut bounds = bounds.seconds().iter();
        for bucket in &snapshot.counts {
            count += bucket;
            match bounds.next() {
                Some(le) => {
                    self.line(format_args!("{name}_bucket{{{labels},le=\"{le}\"}} {count}"));
                }
                None => self.line(format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {count}")),
            }
        }
        self.line(format_args!("{name}_sum{{{labels}}} {}", Seconds(snapshot.sum_nanos)));
        self.line(format_args!("{name}_count{{{labels}}} {count}"));
    }

    fn line(&mut self, arguments: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(arguments);
        self.text.push('\n');
    }
}

/// `name="value",…` with values escaped.
struct Labels<'a> {
    names: &'a [&'a str],
    values: &'a [&'a str],
}

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.names.iter().zip(self.values);
        for (index, (name, value)) in pairs.enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{name}=\"")?;
            for character in value.chars() {
                match character {
                    '\\' => f.write_str("\\\\")?,
                    '"' => f.write_str("\\\"")?,
                    '\n' => f.write_str("\\n")?,
                    other => f.write_char(other)?,
                }
            }
            f.write_char('"')?;
        }
        Ok(())
    }
}

/// Nanoseconds written as seconds, without the rounding a float would bring.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        f.write_str(format!("{whole}.{rest:09}").trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_become_exact_seconds() {
        let seconds = |nanos| Seconds(nanos).to_string();
        assert_eq!(seconds(0), "0");
        assert_eq!(seconds(1), "0.000000001");
        assert_eq!(seconds(1_500_000), "0.0015");
        assert_eq!(seconds(10_000_000_000), "10");
        assert_eq!(seconds(u64::MAX), "18446744073.709551615");
    }

    #[test]
    fn label_values_are_escaped() {
        let labels = Labels { names: &["a", "b"], values: &["q\"b\\n\nü", ""] };
        assert_eq!(labels.to_string(), r#"a="q\"b\\n\nü",b="""#);
    }

    #[test]
    fn buckets_are_accumulated_and_end_in_the_count() {
        let bounds = Bounds::new(&[0.0005, 1.0]).unwrap();
        let snapshot = Snapshot { counts: vec![1, 2, 3], sum_nanos: 2_000_000_001 };
        let mut text = Exposition::default();
        let metric = &crate::catalog::CLIENT_STALL;
        text.histogram(metric, &["dev"], &bounds, &snapshot);
        let name = metric.name;
        let expected = format!(
            "{name}_bucket{{target=\"dev\",le=\"0.0005\"}} 1\n\
             {name}_bucket{{target=\"dev\",le=\"1\"}} 3\n\
             {name}_bucket{{target=\"dev\",le=\"+Inf\"}} 6\n\
             {name}_sum{{target=\"dev\"}} 2.000000001\n\
             {name}_count{{target=\"dev\"}} 6\n"
        );
        assert_eq!(text.finish(), expected);
    }
}
