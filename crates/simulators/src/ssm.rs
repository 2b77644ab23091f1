//! Simulated Session Manager: the API, the data channel behind it, and the agents at its end.
//!
//! All of it is written from the sources of AWS's own plugin and agent, and shares no code with what
//! it judges. A client that breaks a rule of the protocol loses its session, and the test can read
//! which rule it was.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use conditions::Breach;
use conditions::{Conditions, Cut, How};
pub use disorder::Disorder;
use document::{Document, Properties};
pub use inventory::ManagedInstance;
pub use record::{SessionEnd, SessionRecord, SessionState};
pub(crate) use session::Session;
use tokio::time::interval;

use crate::{
    aws::{Aws, Clock, principal::Principal},
    fault_relay::Direction,
};

mod agent;
pub(crate) mod api;
mod conditions;
mod disorder;
mod document;
mod inventory;
mod listing;
mod message;
mod record;
mod session;
mod version;
pub(crate) mod websocket;

/// The handle by which tests watch and disturb sessions; clones share the service.
#[derive(Clone)]
pub struct SessionManager(Arc<Service>);

struct Service {
    conditions: Arc<Conditions>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    nodes: Vec<ManagedInstance>,
    documents: HashMap<String, Document>,
    sessions: Vec<Arc<Session>>,
    page_size: Option<usize>,
}

impl Aws {
    /// A new machine that Session Manager can reach.
    pub fn add_managed_instance(&self, instance: ManagedInstance) {
        self.session_manager().state().nodes.push(instance);
    }

    /// A new ECS task that Session Manager can reach, as `CLUSTER_TASK_RUNTIME`.
    pub fn add_ecs_task(&self, task: &str) {
        self.add_managed_instance(ManagedInstance::new(&format!("ecs:{task}")));
    }

    /// The control over sessions.
    pub fn session_manager(&self) -> SessionManager {
        self.world().sessions.clone()
    }
}

impl SessionManager {
    pub(crate) fn new(clock: Clock) -> Self {
        let conditions = Arc::new(Conditions::new(clock));
        Self(Arc::new(Service { conditions, state: Mutex::default() }))
    }

    /// Every session so far, in the order they were started.
    pub fn sessions(&self) -> Vec<SessionRecord> {
        self.state().sessions.iter().map(|session| session.record()).collect()
    }

    /// Blocks until there have been `count` sessions; false after `limit`.
    pub fn wait_for_sessions(&self, count: usize, limit: Duration) -> bool {
        self.wait_until(limit, |sessions| sessions.len() >= count)
    }

    /// Blocks until the sessions are as `condition` wants them; false after `limit`.
    pub fn wait_until(
        &self,
        limit: Duration,
        mut condition: impl FnMut(&[SessionRecord]) -> bool,
    ) -> bool {
        self.conditions().news.wait(limit, || condition(&self.sessions()))
    }

    /// How many connections are open, in all sessions together.
    pub fn connections(&self) -> usize {
        self.sessions().iter().map(|session| session.open_streams).sum()
    }

    /// The rules that clients broke so far.
    pub fn breaches(&self) -> Vec<Breach> {
        self.conditions().breaches().clone()
    }

    /// What agents resolve from now on, in sessions that begin from now on; other names do not
    /// resolve. An address with port 0 stands for the port that is asked for, others for their own.
    pub fn names(&self, names: &[(&str, SocketAddr)]) {
        let names = names.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
        self.conditions().settings().names = names;
    }

    /// An address that agents must not connect to, besides those of AWS's own services.
    pub fn forbid(&self, address: IpAddr) {
        self.conditions().settings().forbidden.push(address);
    }

    /// A document of the account's own, which does what `like` does.
    ///
    /// # Panics
    ///
    /// When `like` is not one of the three documents of AWS.
    #[expect(clippy::panic, reason = "a test that is wrong about its documents cannot go on")]
    pub fn add_document(&self, name: &str, like: &str) {
        let document = Document::named(like).unwrap_or_else(|| panic!("there is no {like}"));
        self.state().documents.insert(name.to_owned(), document);
    }

    /// Gives out Describe results in pages of at most this many, however many are asked for.
    pub fn set_page_size(&self, size: usize) {
        self.state().page_size = Some(size);
    }

    /// The instance goes away, and its agents with it: clients hear nothing of that.
    pub fn offline(&self, instance: &str) {
        let mut state = self.state();
        for node in state.nodes.iter_mut().filter(|node| node.id == instance) {
            node.online = false;
        }
        for session in &state.sessions {
            if session.record().target == instance {
                session.lose_agent();
            }
        }
    }

    /// The instance is there again; sessions from before have no agent.
    pub fn boot(&self, instance: &str) {
        for node in self.state().nodes.iter_mut().filter(|node| node.id == instance) {
            node.online = true;
        }
    }

    /// Ends every `WebSocket` that is open with a close frame, as the service does every hour with
    /// 1000 and "Bye".
    pub fn close_websockets(&self, code: u16, reason: &str) {
        self.cut(How::Close(code, reason.to_owned()));
    }

    /// Resets every `WebSocket` that is open.
    pub fn reset_websockets(&self) {
        self.cut(How::Reset);
    }

    /// While true, `WebSocket`s stay open, and nothing is read or written, pings neither; new ones
    /// get no answer.
    pub fn black_hole(&self, on: bool) {
        self.conditions().hole.send_replace(on);
    }

    /// While true, agents hang in dialling, as for an address that nobody answers at.
    pub fn hold_dials(&self, on: bool) {
        self.conditions().dials_held.send_replace(on);
    }

    /// Ends the session as if it had timed out: resuming it gives no token.
    pub fn expire_session(&self, id: &str) {
        if let Some(session) = self.session(id) {
            session.end(SessionEnd::Expired);
        }
    }

    /// Ends the session in the agent's name, with these words for the client.
    pub fn fail_session(&self, id: &str, words: &str) {
        if let Some(session) = self.session(id) {
            session.end(SessionEnd::Failed(words.to_owned()));
        }
    }

    /// Has the session's agent vanish. Nobody is told.
    pub fn crash_agent(&self, id: &str) {
        if let Some(session) = self.session(id) {
            session.lose_agent();
        }
    }

    /// Sends `pause_publication` to the clients of all sessions.
    pub fn pause_publication(&self) {
        self.tell_clients("pause_publication");
    }

    /// Sends `start_publication` to the clients of all sessions.
    pub fn start_publication(&self) {
        self.tell_clients("start_publication");
    }

    /// What happens to frames on their way from now on. Agents are the backend.
    pub fn disturb(&self, direction: Direction, disorder: Disorder) {
        self.conditions().settings().lanes(direction).disorder = disorder;
    }

    /// Loses the next `count` receipts.
    pub fn lose_receipts(&self, direction: Direction, count: usize) {
        self.conditions().settings().lanes(direction).lose_receipts = count;
    }

    /// Loses the next `count` messages that are not receipts.
    pub fn lose_messages(&self, direction: Direction, count: usize) {
        self.conditions().settings().lanes(direction).lose_data = count;
    }

    /// How long agents take from one message of data to the next; 1.4 ms unless told otherwise, which
    /// is what their sleep of 1 ms comes to. That makes 0.7 MB a second and session.
    pub fn agent_rest(&self, rest: Duration) {
        self.conditions().settings().rest = rest;
    }

    /// The most bytes of data in a message; 1,024 unless told otherwise.
    pub fn payload_limit(&self, bytes: usize) {
        self.conditions().settings().payload_limit = bytes;
    }

    /// The most messages of data a second that a client may send for 2 s; 1,000 unless told
    /// otherwise.
    pub fn pace_limit(&self, messages: usize) {
        self.conditions().settings().pace_limit = messages;
    }

    /// How long a session lasts that nobody uses, by the simulated clock; 20 minutes unless told
    /// otherwise.
    pub fn idle_timeout(&self, limit: Duration) {
        self.conditions().settings().idle_timeout = limit;
    }

    /// What stream addresses begin with (such as `wss://localhost:4433`) instead of the address
    /// that was called.
    pub fn stream_base(&self, base: &str) {
        self.conditions().settings().stream_base = Some(base.to_owned());
    }

    /// Whether stream addresses carry a signature, so that nobody else has to sign them, or may.
    pub fn presign_streams(&self, on: bool) {
        self.conditions().settings().presigned = on;
    }

    pub(crate) fn hole(&self) -> tokio::sync::watch::Receiver<bool> {
        self.conditions().hole.subscribe()
    }

    fn cut(&self, how: How) {
        self.conditions().cut.send_modify(|cut| *cut = Cut { number: cut.number + 1, how });
    }

    fn tell_clients(&self, kind: &str) {
        for session in &self.state().sessions {
            if !session.record().ended() {
                session.notify(kind, b"{}", None);
            }
        }
    }

    fn conditions(&self) -> &Conditions {
        &self.0.conditions
    }

    fn document(&self, name: &str) -> Option<Document> {
        Document::named(name).or_else(|| self.state().documents.get(name).copied())
    }

    fn online(&self, target: &str) -> Option<ManagedInstance> {
        self.state().nodes.iter().find(|node| node.id == target && node.online).cloned()
    }

    pub(crate) fn instances(&self) -> Vec<ManagedInstance> {
        let state = self.state();
        state.nodes.iter().filter(|node| !node.id.starts_with("ecs:")).cloned().collect()
    }

    fn page_size(&self) -> usize {
        self.state().page_size.unwrap_or(usize::MAX)
    }

    fn session(&self, id: &str) -> Option<Arc<Session>> {
        self.state().sessions.iter().find(|session| session.id == id).cloned()
    }

    fn start_session(
        &self,
        (target, document): (&str, &str),
        reason: Option<&str>,
        properties: Properties,
        (owner, node): (&Principal, ManagedInstance),
    ) -> Arc<Session> {
        let name = owner.arn.rsplit('/').next().unwrap_or("session");
        let record = SessionRecord {
            id: session::new_id(name),
            target: target.to_owned(),
            document: document.to_owned(),
            host: properties.host.clone(),
            port: properties.port,
            reason: reason.map(str::to_owned),
            owner: owner.arn.clone(),
            state: SessionState::Waiting,
            resumed: 0,
            connections: 0,
            client_version: None,
            resolved: None,
            streams: 0,
            open_streams: 0,
            messages: 0,
            repeats: 0,
        };
        let (session, uplink) = Session::new(record, properties, self.0.conditions.clone());
        let agent = tokio::spawn(agent::run(session.clone(), uplink, node));
        session.agent_is(agent.abort_handle());
        tokio::spawn(watch_idleness(session.clone()));
        self.state().sessions.push(session.clone());
        self.conditions().news.tell();
        session
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn watch_idleness(session: Arc<Session>) {
    let mut ticks = interval(Duration::from_millis(100));
    while !session.record().ended() {
        ticks.tick().await;
        session.end_if_idle();
    }
}

fn stream_path(session: &str) -> String {
    format!("{STREAM_PATH}{session}")
}

pub(crate) const STREAM_PATH: &str = "/v1/data-channel/";
/// The second parameter is opaque, and has characters that must not be encoded again.
const STREAM_QUERY: &str = "role=publish_subscribe&cell-number=AAEAAf%2Bq7w%3D%3D";
