//! Metrics that plugins register: named, bounded, handed to the observer.

use std::sync::{PoisonError, RwLock};

use pgferry_transport_abi as abi;
use serde_json::{Map, Value};

use crate::observer::{Metric, MetricKind, Observer, Recorder};
use crate::text;

/// The metrics of one instance. A metric's number is its place here, counted from one.
#[derive(Default)]
pub(crate) struct Metrics(RwLock<Vec<Registered>>);

struct Registered {
    metric: Metric,
    recorder: Option<Recorder>,
}

impl Metrics {
    /// Registers a metric, or finds it. The error says why it is refused.
    pub(crate) fn register(
        &self,
        metric: Metric,
        instance: &str,
        observer: &dyn Observer,
    ) -> Result<u64, &'static str> {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &Registered| {
            known.metric.name == metric.name && known.metric.labels == metric.labels
        };
        let place = if let Some(place) = all.iter().position(same) {
            place
        } else if all.len() >= MOST {
            return Err("the instance has as many label sets as it may have");
        } else {
            let recorder = observer.metric(instance, &metric);
            all.push(Registered { metric, recorder });
            all.len() - 1
        };
        u64::try_from(place + 1).map_err(|_| "too many")
    }

    pub(crate) fn record(&self, number: u64, value: f64) {
        let Some(place) = number.checked_sub(1).and_then(|place| usize::try_from(place).ok())
        else {
            return;
        };
        let recorder = {
            let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
            all.get(place).and_then(|registered| registered.recorder.clone())
        };
        if let Some(record) = recorder.filter(|_| value.is_finite()) {
            record(value);
        }
    }
}

/// A metric as a plugin describes it. The error says what is wrong with it.
pub(crate) fn described(
    plugin: &str,
    kind: abi::MetricKind,
    [name, help, labels]: [&[u8]; 3],
) -> Result<Metric, &'static str> {
    let kind = match kind {
        abi::MetricKind::COUNTER => MetricKind::Counter,
        abi::MetricKind::GAUGE => MetricKind::Gauge,
        abi::MetricKind::HISTOGRAM => MetricKind::Histogram,
        _ => return Err("its kind is none of counter, gauge and histogram"),
    };
    let name = std::str::from_utf8(name).ok().filter(|name| is_name(name)).ok_or(BAD_NAME)?;
    Ok(Metric {
        kind,
        plugin: plugin.to_owned(),
        name: format!("pgferry_plugin_{plugin}_{name}"),
        help: text::bounded(help, 256),
        labels: labels_in(labels)?,
    })
}

fn labels_in(json: &[u8]) -> Result<Vec<(String, String)>, &'static str> {
    if json.is_empty() {
        return Ok(Vec::new());
    }
    let labels: Map<String, Value> =
        serde_json::from_slice(json).map_err(|_| "its labels are not a JSON object")?;
    if labels.len() > MOST_LABELS {
        return Err("it has more than 8 labels");
    }
    let label = |(name, value): (String, Value)| match value {
        Value::String(_) if name == "instance" => Err("the label \"instance\" is the host's"),
        Value::String(value) if is_name(&name) => Ok((name, text::bounded(value.as_bytes(), 128))),
        _ => Err("its labels are not names with strings"),
    };
    // Sorted already: the map is.
    let mut labels: Vec<_> = labels.into_iter().map(label).collect::<Result<_, _>>()?;
    labels.sort();
    Ok(labels)
}

fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(letter)
}

const BAD_NAME: &str = "its name is not made of lower-case letters, digits and '_'";
const MOST: usize = 64;
const MOST_LABELS: usize = 8;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Default)]
    struct Recorded(Arc<Mutex<Vec<(String, f64)>>>);

    impl Observer for Recorded {
        fn metric(&self, _instance: &str, metric: &Metric) -> Option<Recorder> {
            let (seen, name) = (Arc::clone(&self.0), metric.name.clone());
            Some(Arc::new(move |value| seen.lock().unwrap().push((name.clone(), value))))
        }
    }

    fn counter(name: &str, labels: &str) -> Result<Metric, &'static str> {
        described("ssh", abi::MetricKind::COUNTER, [name.as_bytes(), b"help", labels.as_bytes()])
    }

    #[test]
    fn a_value_reaches_the_observer_under_the_prefixed_name() {
        let (metrics, observer) = (Metrics::default(), Recorded::default());
        let number =
            metrics.register(counter("rekeys_total", "").unwrap(), "i", &observer).unwrap();
        metrics.record(number, 2.0);
        metrics.record(0, 5.0);
        metrics.record(99, 5.0);
        assert_eq!(
            *observer.0.lock().unwrap(),
            [("pgferry_plugin_ssh_rekeys_total".to_owned(), 2.0)]
        );
    }

    #[test]
    fn the_same_name_and_labels_give_the_same_number() {
        let (metrics, observer) = (Metrics::default(), Recorded::default());
        let number =
            |labels| metrics.register(counter("x", labels).unwrap(), "i", &observer).unwrap();
        let first = number(r#"{"a":"1","b":"2"}"#);
        assert_eq!(number(r#"{"b":"2","a":"1"}"#), first);
        assert_ne!(number(r#"{"a":"1"}"#), first);
    }

    #[test]
    fn label_sets_are_capped() {
        let (metrics, observer) = (Metrics::default(), Recorded::default());
        for n in 0..MOST {
            let labels = format!(r#"{{"n":"{n}"}}"#);
            metrics.register(counter("x", &labels).unwrap(), "i", &observer).unwrap();
        }
        assert!(metrics.register(counter("y", "").unwrap(), "i", &observer).is_err());
    }

    #[test]
    fn names_and_labels_that_no_scraper_takes_are_refused() {
        for (name, labels) in
            [("Bad", ""), ("", ""), ("x", "[]"), ("x", r#"{"a":1}"#), ("x", r#"{"instance":"i"}"#)]
        {
            assert!(counter(name, labels).is_err(), "{name} {labels} was taken");
        }
    }
}
