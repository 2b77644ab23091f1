//! What is known about the state of the process, and whether that makes it ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// The state of the process. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Health {
    state: Arc<Mutex<State>>,
}

/// What a transport says about its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TunnelState {
    /// Nobody has needed it yet.
    #[default]
    Idle,
    /// It is being set up.
    Connecting,
    /// It stands.
    Up,
    /// It stands, but something is wrong with it.
    Degraded,
    /// It broke.
    Down,
}

impl Health {
    /// Every listener is bound and every plugin was asked to start.
    pub fn started(&self) {
        self.edit(|state| state.started = true);
    }

    /// Every configured plugin is loaded.
    pub fn plugins_loaded(&self) {
        self.edit(|state| state.plugins_loaded = true);
    }

    /// The process is stopping: no new connections from now on.
    pub fn draining(&self) {
        self.edit(|state| state.draining = true);
    }

    /// The part of the state that belongs to `target`. Asking for it makes the target known: it
    /// must have a bound listener before the process is ready.
    pub fn target(&self, target: &str) -> TargetHealth {
        self.edit(|state| {
            state.targets.entry(target.to_owned()).or_default();
        });
        self.prospect(target)
    }

    /// As [`target`](Self::target), for one that may yet be refused: the process knows of it once
    /// its listener is bound.
    pub fn prospect(&self, target: &str) -> TargetHealth {
        TargetHealth { health: self.clone(), target: target.to_owned() }
    }

    /// The target is served no more. What is told about it from now on is dropped.
    pub fn forget(&self, target: &str) {
        self.edit(|state| state.targets.remove(target));
    }

    /// Whether the start is over.
    pub fn is_started(&self) -> bool {
        self.edit(|state| state.started)
    }

    /// The verdict, with what speaks against it.
    pub(crate) fn readiness(&self) -> Readiness {
        self.edit(|state| state.readiness())
    }

    fn edit<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The state of one target. Texts given here are shown to whoever can reach the admin listener: no
/// secrets.
#[derive(Debug, Clone)]
pub struct TargetHealth {
    health: Health,
    target: String,
}

impl TargetHealth {
    /// Whether applications can reach the target's listener.
    pub fn listener_bound(&self, bound: bool) {
        self.health.edit(|state| {
            state.targets.entry(self.target.clone()).or_default().listener_bound = bound;
        });
    }

    /// What the transport says. Shown, and no part of the verdict: tunnels are opened when needed.
    pub fn tunnel(&self, state: TunnelState, message: &str) {
        self.edit(|target| target.tunnel = Tunnel { state, message: message.to_owned() });
    }

    /// Connections fail at `hop`. Shown, and no part of the verdict: one broken target must not
    /// take the others out of service.
    pub fn failing(&self, hop: &str, reason: &str) {
        let failure = Failure { hop: hop.to_owned(), reason: reason.to_owned() };
        self.edit(|target| target.failing = Some(failure));
    }

    /// A connection got through: forgets [`failing`](Self::failing).
    pub fn working(&self) {
        self.edit(|target| target.failing = None);
    }

    fn edit(&self, change: impl FnOnce(&mut TargetState)) {
        self.health.edit(|state| {
            if let Some(target) = state.targets.get_mut(&self.target) {
                change(target);
            }
        });
    }
}

/// What `/readiness` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Readiness {
    pub(crate) status: Status,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) targets: BTreeMap<String, TargetState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Ready,
    NotReady,
}

/// One thing that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Reason {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
    pub(crate) reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(crate) struct TargetState {
    listener_bound: bool,
    tunnel: Tunnel,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing: Option<Failure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
struct Tunnel {
    state: TunnelState,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Failure {
    hop: String,
    reason: String,
}

#[derive(Debug, Default)]
struct State {
    started: bool,
    plugins_loaded: bool,
    draining: bool,
    targets: BTreeMap<String, TargetState>,
}

impl State {
    fn readiness(&self) -> Readiness {
        let process = [
            (!self.started, "still starting"),
            (!self.plugins_loaded, "plugins are not loaded yet"),
            (self.draining, "draining: the process is stopping"),
        ];
        let process = process.into_iter().filter(|(blocks, _)| *blocks);
        let unbound = self.targets.iter().filter(|(_, target)| !target.listener_bound);
        let reasons: Vec<Reason> = process
            .map(|(_, reason)| Reason { target: None, reason })
            .chain(unbound.map(|(target, _)| Reason {
                target: Some(target.clone()),
                reason: "the listener is not bound",
            }))
            .collect();
        let status = if reasons.is_empty() { Status::Ready } else { Status::NotReady };
        Readiness { status, reasons, targets: self.targets.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Health {
        let health = Health::default();
        health.plugins_loaded();
        health.target("dev").listener_bound(true);
        health.started();
        health
    }

    fn reasons(health: &Health) -> Vec<(Option<String>, &'static str)> {
        let reasons = health.readiness().reasons;
        reasons.into_iter().map(|reason| (reason.target, reason.reason)).collect()
    }

    #[test]
    fn a_started_process_with_all_listeners_bound_is_ready() {
        assert_eq!(ready().readiness().status, Status::Ready);
    }

    #[test]
    fn a_new_process_says_everything_it_waits_for() {
        let health = Health::default();
        let _target = health.target("dev");
        let expected = [
            (None, "still starting"),
            (None, "plugins are not loaded yet"),
            (Some("dev".to_owned()), "the listener is not bound"),
        ];
        assert_eq!(reasons(&health), expected);
    }

    #[test]
    fn an_unbound_listener_names_its_target() {
        let health = ready();
        health.target("prod").listener_bound(false);
        assert_eq!(health.readiness().status, Status::NotReady);
        assert_eq!(reasons(&health), [(Some("prod".to_owned()), "the listener is not bound")]);
    }

    #[test]
    fn a_draining_process_is_not_ready() {
        let health = ready();
        health.draining();
        assert_eq!(reasons(&health), [(None, "draining: the process is stopping")]);
    }

    #[test]
    fn a_broken_tunnel_is_shown_and_does_not_take_the_process_out() {
        let health = ready();
        let dev = health.target("dev");
        dev.tunnel(TunnelState::Down, "agent offline");
        dev.failing("transport", "agent offline");
        let readiness = health.readiness();
        assert_eq!(readiness.status, Status::Ready);
        let json = serde_json::to_value(&readiness).unwrap();
        assert_eq!(json["targets"]["dev"]["tunnel"]["state"], "down");
        assert_eq!(json["targets"]["dev"]["failing"]["hop"], "transport");

        dev.working();
        let json = serde_json::to_value(health.readiness()).unwrap();
        assert!(json["targets"]["dev"].get("failing").is_none());
    }
}
