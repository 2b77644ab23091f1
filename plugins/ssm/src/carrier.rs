//! The program that carries this transport.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pgferry_transport_aws::Program;
use pgferry_transport_sdk::{DialStream, Error, Host, Metric, State};
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::figure::Figure;

/// The host, and what it counts for us.
#[derive(Clone)]
pub(crate) struct Carrier {
    host: Host,
    figures: Arc<HashMap<Figure, Metric>>,
}

impl Carrier {
    pub(crate) fn new(host: Host) -> Self {
        let figures = Figure::ALL.into_iter().map(|figure| (figure, figure.register(&host)));
        Self { figures: Arc::new(figures.collect()), host }
    }
}

impl Program for Carrier {
    async fn secret(&self, name: &str) -> Result<Zeroizing<String>, Error> {
        Program::secret(&self.host, name).await
    }

    fn now(&self) -> SystemTime {
        self.host.now()
    }
}

impl Environment for Carrier {
    type Socket = DialStream;

    async fn dial(&self, host: &str, port: u16, limit: Duration) -> Result<DialStream, Error> {
        self.host.dial(host, port, limit).await
    }

    fn report(&self, state: State, text: &str) {
        self.host.state(state, text);
    }

    fn record(&self, figure: Figure, value: f64) {
        if let Some(metric) = self.figures.get(&figure) {
            metric.record(value);
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.host.spawn(task);
    }
}
