//! What an instance may tell of its targets, as long as they are its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Status;
use crate::observer::{Metric, Observer, Recorder, TunnelState};

/// Passes on what one instance tells, from the time its targets are its own until it is replaced. An
/// old tunnel that closes says nothing about the new one. What is counted counts at any time.
pub(crate) struct Heard {
    observer: Arc<dyn Observer>,
    voice: Mutex<Voice>,
}

enum Voice {
    /// Its generation is not in use yet, and may never be. What it said comes later.
    Waiting(Vec<Said>),
    Speaking,
    Replaced,
}

struct Said {
    instance: String,
    news: News,
}

enum News {
    State(TunnelState, String),
    Opened(Duration),
    Failed(Status, Duration),
}

impl Heard {
    pub(crate) fn new(observer: Arc<dyn Observer>) -> Self {
        Self { observer, voice: Mutex::new(Voice::Waiting(Vec::new())) }
    }

    /// Its targets are its own now.
    pub(crate) fn speak(&self) {
        let mut voice = self.voice();
        if let Voice::Waiting(said) = &mut *voice {
            let said = std::mem::take(said);
            *voice = Voice::Speaking;
            // Under the lock, so that what comes next is told after it.
            for said in said {
                self.pass_on(said);
            }
        }
    }

    /// From now on it speaks for nobody.
    pub(crate) fn replace(&self) {
        *self.voice() = Voice::Replaced;
    }

    fn say(&self, instance: &str, news: News) {
        let said = Said { instance: instance.to_owned(), news };
        match &mut *self.voice() {
            Voice::Waiting(earlier) => {
                earlier.push(said);
                return;
            }
            Voice::Replaced => return,
            Voice::Speaking => {}
        }
        self.pass_on(said);
    }

    fn pass_on(&self, Said { instance, news }: Said) {
        match news {
            News::State(state, message) => self.observer.state(&instance, state, &message),
            News::Opened(took) => self.observer.opened(&instance, took),
            News::Failed(status, took) => self.observer.failed(&instance, status, took),
        }
    }

    fn voice(&self) -> MutexGuard<'_, Voice> {
        self.voice.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Heard {
    fn state(&self, instance: &str, state: TunnelState, message: &str) {
        self.say(instance, News::State(state, message.to_owned()));
    }

    fn violation(&self, instance: &str, what: &str) {
        self.observer.violation(instance, what);
    }

    fn abandoned(&self, instance: &str) {
        self.observer.abandoned(instance);
    }

    fn metric(&self, instance: &str, metric: &Metric) -> Option<Recorder> {
        self.observer.metric(instance, metric)
    }

    fn opening(&self, instance: &str) -> Option<Box<dyn Send>> {
        self.observer.opening(instance)
    }

    fn opened(&self, instance: &str, took: Duration) {
        self.say(instance, News::Opened(took));
    }

    fn failed(&self, instance: &str, status: Status, took: Duration) {
        self.say(instance, News::Failed(status, took));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Ear(Mutex<Vec<String>>);

    impl Observer for Ear {
        fn state(&self, instance: &str, state: TunnelState, message: &str) {
            self.0.lock().unwrap().push(format!("{instance} {} {message}", state.label()));
        }
    }

    #[test]
    fn what_is_said_before_its_time_is_heard_later_and_after_it_never() {
        let ear = Arc::new(Ear::default());
        let heard = Heard::new(Arc::<Ear>::clone(&ear));
        let say = |message: &str| heard.state("bastion", TunnelState::Up, message);
        say("early");
        assert!(ear.0.lock().unwrap().is_empty());
        heard.speak();
        say("in time");
        heard.replace();
        say("late");
        heard.speak();
        assert_eq!(*ear.0.lock().unwrap(), ["bastion up early", "bastion up in time"]);
    }
}
