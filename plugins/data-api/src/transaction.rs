//! The session's transaction: when it is begun, what it has come to, how it ends.
//!
//! A call may run by itself (the service commits it at once) or in a transaction of the service's. `BEGIN` costs
//! no call: the service's transaction begins with the first statement in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pgferry_pg::message::TransactionStatus;
use tokio::time::Instant;

use crate::api::{Api, Call, Outcome, Parameter, TransactionId};
use crate::canceller::Canceller;
use crate::failure::{Effect, Failure};
use crate::fault::{Fault, state};
use crate::patience::{Access, Patient};

/// The session's transaction, and the calls that are made in it.
pub(crate) struct Transaction<A> {
    calls: Patient<A>,
    block: Block,
    /// What the application has set for the session, which the service's sessions do not keep.
    settings: BTreeMap<String, String>,
}

enum Block {
    /// Statements run by themselves.
    None,
    Open(Open),
    /// Only its end, or going back to a savepoint, is possible.
    Failed(Open),
}

struct Open {
    /// None until a statement needs it, and again when the service has ended it.
    id: Option<TransactionId>,
    scope: Scope,
    /// The modes of `BEGIN`, as they were written.
    modes: Vec<String>,
    last_call: Instant,
    /// The service has ended it: nothing goes back to a savepoint.
    gone: bool,
    /// It was lost while the application was silent, which has not been told yet.
    untold: Option<Fault>,
}

/// Who has begun a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Several statements that PostgreSQL runs as one.
    Implicit,
    /// The application.
    Explicit,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Committed,
    RolledBack,
    /// There was none.
    None,
}

impl<A: Api> Transaction<A> {
    pub(crate) fn new(api: Arc<A>, resume_wait: Duration) -> Self {
        let calls = Patient::new(api, resume_wait);
        Self { calls, block: Block::None, settings: BTreeMap::new() }
    }

    /// What `ReadyForQuery` says.
    pub(crate) fn status(&self) -> TransactionStatus {
        match &self.block {
            Block::Open(Open { scope: Scope::Explicit, .. }) => TransactionStatus::InTransaction,
            Block::Failed(Open { scope: Scope::Explicit, .. }) => TransactionStatus::Failed,
            _ => TransactionStatus::Idle,
        }
    }

    /// Whether a statement would run by itself.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self.block, Block::None)
    }

    /// Whether PostgreSQL would commit at the end of the query or the batch.
    pub(crate) fn is_implicit(&self) -> bool {
        let (Block::Open(open) | Block::Failed(open)) = &self.block else { return false };
        open.scope == Scope::Implicit
    }

    /// Whether the service's own transaction has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.idle_since().is_some()
    }

    /// The modes of the transaction that is open, for the one that is chained to it.
    pub(crate) fn modes(&self) -> String {
        let (Block::Open(open) | Block::Failed(open)) = &self.block else { return String::new() };
        open.modes.join(", ")
    }

    /// Adds modes to a transaction that has not begun yet. False: it has, or there is none.
    pub(crate) fn add_modes(&mut self, modes: &str) -> bool {
        match &mut self.block {
            Block::Open(open) if open.id.is_none() => {
                open.modes.push(modes.to_owned());
                true
            }
            _ => false,
        }
    }

    /// What cancels this session's statements while one runs.
    pub(crate) fn canceller(&self) -> Canceller<A> {
        Canceller { api: self.calls.api() }
    }

    /// Replaces what goes with every statement.
    pub(crate) fn carry(&mut self, settings: &BTreeMap<String, String>) {
        self.settings.clone_from(settings);
    }

    /// The application has left the transaction alone for too long: what it did is undone, and it is told when
    /// it comes back.
    pub(crate) async fn expire(&mut self, fault: Fault) {
        let was_open = matches!(self.block, Block::Open(_));
        match std::mem::replace(&mut self.block, Block::None) {
            Block::Open(mut open) | Block::Failed(mut open) => {
                self.undo(&mut open).await;
                self.block = Block::Failed(open);
            }
            Block::None => {}
        }
        if was_open {
            self.tell_later(fault);
        }
    }

    fn tell_later(&mut self, fault: Fault) {
        if let Block::Failed(open) = &mut self.block {
            open.untold = Some(fault);
        }
    }

    /// Why a statement cannot be run now. None: it can, for the transaction has not failed. If it was lost while the
    /// application was silent, this is told once.
    pub(crate) fn refusal(&mut self) -> Option<Fault> {
        let Block::Failed(open) = &mut self.block else { return None };
        Some(open.untold.take().unwrap_or_else(Fault::aborted))
    }

    /// How long the service's transaction has had no call. None without one.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        match &self.block {
            Block::Open(open) | Block::Failed(open) => open.id.as_ref().map(|_| open.last_call),
            Block::None => None,
        }
    }

    /// Begins a transaction, or makes the application's own of the implicit one. False: there is one.
    pub(crate) fn begin(&mut self, scope: Scope, modes: &str) -> bool {
        let modes: Vec<String> =
            Some(modes.trim().to_owned()).filter(|modes| !modes.is_empty()).into_iter().collect();
        match &mut self.block {
            Block::Open(open) if scope == Scope::Explicit && open.scope == Scope::Implicit => {
                open.scope = Scope::Explicit;
                open.modes.extend(modes);
                true
            }
            Block::None => {
                let last_call = Instant::now();
                let open = Open { id: None, scope, modes, last_call, gone: false, untold: None };
                self.block = Block::Open(open);
                true
            }
            _ => false,
        }
    }

    /// Makes a call where the session stands: by itself, or in its transaction, which fails with it.
    ///
    /// Cancel safety: the statement may have been executed; [`Self::lost`] has to be called then.
    pub(crate) async fn call(&mut self, call: Call, access: Access) -> Result<Outcome, Failure> {
        if self.is_none() && self.settings.is_empty() {
            return self.calls.execute(call, access).await;
        }
        if self.is_none() {
            return self.alone_with_settings(call, access).await;
        }
        let done = self.within(call, access).await;
        if let Err(failure) = &done {
            self.fail(failure.effect).await;
        }
        done
    }

    /// Makes a call whose failure the transaction survives, as one that only asks for something.
    ///
    /// Cancel safety: as of [`Self::call`].
    pub(crate) async fn within(&mut self, call: Call, access: Access) -> Result<Outcome, Failure> {
        let id = self.id().await?;
        let done = self.calls.execute(call.within(id.as_ref()), access).await;
        if let Block::Open(open) | Block::Failed(open) = &mut self.block {
            open.last_call = Instant::now();
        }
        done
    }

    /// Asks for something by a call of its own, whatever the session's transaction. None: it failed, or the session has
    /// settings that such a call would not have.
    ///
    /// Cancel safety: nothing is lost.
    pub(crate) async fn outside(&self, call: Call) -> Option<Outcome> {
        if !self.settings.is_empty() {
            return None;
        }
        self.calls.execute(call, Access::Reads).await.ok()
    }

    /// The transaction failed, in PostgreSQL or for us.
    pub(crate) async fn fail(&mut self, effect: Effect) {
        let mut open = match std::mem::replace(&mut self.block, Block::None) {
            Block::Open(open) => open,
            other => {
                self.block = other;
                return;
            }
        };
        match effect {
            Effect::TransactionGone => (open.id, open.gone) = (None, true),
            // What was executed of it must not be committed.
            Effect::Unknown => self.undo(&mut open).await,
            _ => {}
        }
        self.block = Block::Failed(open);
    }

    /// Fails the transaction for a reason of ours, which its statements had no part in.
    pub(crate) fn fail_here(&mut self) {
        self.block = match std::mem::replace(&mut self.block, Block::None) {
            Block::Open(open) => Block::Failed(open),
            other => other,
        };
    }

    /// Goes back to a savepoint, which mends a failed transaction.
    ///
    /// Errors: PostgreSQL's, if there is none of that name.
    pub(crate) async fn rollback_to(&mut self, sql: String) -> Result<(), Failure> {
        if let Block::Failed(open) = &mut self.block
            && (open.gone || open.id.is_none())
        {
            let fault = open.untold.take().unwrap_or_else(|| {
                let words = "the savepoint went with its transaction, which was rolled back";
                Fault::error(state::NO_SAVEPOINT.into(), words)
            });
            return Err(Failure::new(Effect::Refused, fault));
        }
        let back = self.within(Call::new(sql), Access::Writes).await;
        match (&back, std::mem::replace(&mut self.block, Block::None)) {
            (Ok(_), Block::Failed(open) | Block::Open(open)) => self.block = Block::Open(open),
            (Err(failure), block) => {
                self.block = block;
                self.fail(failure.effect).await;
            }
            (Ok(_), Block::None) => {}
        }
        back.map(drop)
    }

    /// Commits; a failed transaction is rolled back.
    ///
    /// Errors: it is not committed, or nobody knows; or it was lost, and the application did not know that.
    pub(crate) async fn commit(&mut self) -> Result<Ended, Failure> {
        match std::mem::replace(&mut self.block, Block::None) {
            Block::None => Ok(Ended::None),
            Block::Failed(mut open) => {
                self.undo(&mut open).await;
                match open.untold {
                    Some(fault) => Err(Failure::new(Effect::TransactionGone, fault)),
                    None => Ok(Ended::RolledBack),
                }
            }
            Block::Open(mut open) => {
                let Some(id) = &open.id else { return Ok(Ended::Committed) };
                let committed = self.calls.commit(id).await;
                // It would hold its locks until the service ends it.
                if let Err(Failure { effect: Effect::NotYet | Effect::Never, .. }) = committed {
                    self.undo(&mut open).await;
                }
                committed.map(|()| Ended::Committed)
            }
        }
    }

    /// Rolls back.
    pub(crate) async fn rollback(&mut self) -> Ended {
        match std::mem::replace(&mut self.block, Block::None) {
            Block::None => Ended::None,
            Block::Open(mut open) | Block::Failed(mut open) => {
                self.undo(&mut open).await;
                Ended::RolledBack
            }
        }
    }

    /// Keeps the service's transaction alive while the application thinks.
    pub(crate) async fn keep_alive(&mut self) {
        let asked = self.within(Call::new("SELECT 1"), Access::Reads).await;
        if let Err(Failure { effect: Effect::TransactionGone, fault }) = asked
            && matches!(self.block, Block::Open(_))
        {
            self.fail(Effect::TransactionGone).await;
            self.tell_later(fault);
        }
    }

    /// The transaction of the service's, begun now if it has not been.
    async fn id(&mut self) -> Result<Option<TransactionId>, Failure> {
        let (Block::Open(open) | Block::Failed(open)) = &self.block else { return Ok(None) };
        if open.gone {
            return Err(Failure::new(Effect::TransactionGone, Fault::aborted()));
        }
        if let Some(id) = &open.id {
            return Ok(Some(id.clone()));
        }
        let modes = open.modes.clone();
        let id = self.calls.begin().await?;
        if let Block::Open(open) | Block::Failed(open) = &mut self.block {
            (open.id, open.last_call) = (Some(id.clone()), Instant::now());
        }
        for modes in modes {
            let set = Call::new(format!("SET TRANSACTION {modes}")).within(Some(&id));
            self.calls.execute(set, Access::Writes).await?;
        }
        self.replay(&id).await?;
        Ok(Some(id))
    }

    /// Runs one statement with what the application has set.
    async fn alone_with_settings(
        &mut self,
        call: Call,
        access: Access,
    ) -> Result<Outcome, Failure> {
        self.begin(Scope::Implicit, "");
        match self.within(call, access).await {
            Ok(outcome) => self.commit().await.map(|_| outcome),
            Err(failure) => {
                self.rollback().await;
                Err(failure)
            }
        }
    }

    async fn replay(&self, id: &TransactionId) -> Result<(), Failure> {
        if self.settings.is_empty() {
            return Ok(());
        }
        let mut call = Call::default().within(Some(id));
        let mut each = Vec::new();
        for (index, (name, value)) in self.settings.iter().enumerate() {
            each.push(format!("set_config(:n{index}, :v{index}, true)"));
            call.parameters.push((format!("n{index}"), Parameter::Text(name.clone())));
            call.parameters.push((format!("v{index}"), Parameter::Text(value.clone())));
        }
        call.sql = format!("SELECT {}", each.join(", "));
        self.calls.execute(call, Access::Reads).await.map(drop)
    }

    async fn undo(&self, open: &mut Open) {
        if let Some(id) = open.id.take() {
            self.calls.rollback(&id).await;
        }
        open.gone = true;
    }
}

#[cfg(test)]
mod tests;
