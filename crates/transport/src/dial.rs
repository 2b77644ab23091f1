//! Sockets that a plugin has the host open: through the transport beneath it, or by the host's own
//! TCP dialler.

use std::collections::HashMap;
use std::ffi::c_void;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgferry_transport_abi as abi;
use serde_json::Value;
use tokio::runtime;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::error::Failure;
use crate::guest::Guest;
use crate::losses::Losses;
use crate::ops::Terms;
use crate::secret::UserData;
use crate::standing::Phase;
use crate::tcp::Limits;
use crate::{Instance, OpenRequest, Purpose, Status, socket, tcp};

/// The dials of one instance.
pub(crate) struct Dialler {
    beneath: Option<Beneath>,
    last: AtomicU64,
    under_way: Mutex<HashMap<u64, Dial>>,
}

/// The transport beneath, and what broke there.
struct Beneath {
    instance: Arc<Instance>,
    losses: Losses,
}

struct Dial {
    op: u64,
    task: AbortHandle,
}

/// Where a plugin wants to go.
struct Destination {
    host: String,
    port: u16,
    within: Duration,
}

impl Dialler {
    pub(crate) fn new(via: Option<Arc<Instance>>) -> Self {
        let beneath = via.map(|instance| Beneath { instance, losses: Losses::new() });
        Self { beneath, last: AtomicU64::new(0), under_way: Mutex::default() }
    }

    /// The transport beneath.
    pub(crate) fn via(&self) -> Option<&Instance> {
        self.beneath.as_ref().map(|beneath| &*beneath.instance)
    }

    /// What broke beneath.
    pub(crate) fn losses(&self) -> Option<Losses> {
        self.beneath.as_ref().map(|beneath| beneath.losses.clone())
    }

    /// Gives up a dial. Its callback still comes.
    pub(crate) fn cancel(&self, dial: u64) {
        if let Some(dial) = self.lock().remove(&dial) {
            dial.task.abort();
        }
    }

    /// Gives up every dial on behalf of an op.
    pub(crate) fn cancel_for(&self, op: u64) {
        self.lock().retain(|_, dial| {
            if dial.op == op {
                dial.task.abort();
            }
            dial.op != op
        });
    }

    /// Gives up every dial.
    pub(crate) fn cancel_all(&self) {
        for (_, dial) in self.lock().drain() {
            dial.task.abort();
        }
    }

    /// Cancel safety: dropping the future ends the dial, at the transport beneath as well.
    async fn reach(
        &self,
        to: Destination,
        terms: Terms,
        runtime: &runtime::Handle,
    ) -> Result<OwnedFd, Failure> {
        let Some(Beneath { instance, losses }) = &self.beneath else {
            return tcp::connect(&to.host, to.port, terms.limits).await;
        };
        let request = OpenRequest {
            host: to.host,
            port: to.port,
            database: None,
            user: None,
            cluster: None,
            purpose: Purpose::Session,
            limit: terms.limits.deadline.saturating_duration_since(Instant::now()),
            tcp_limit: terms.limits.tcp,
            idle_tunnel: terms.idle_tunnel,
            client_label: None,
        };
        let opened = instance.open(request).await.map_err(|error| Failure {
            status: error.status,
            message: error.message,
            hint: error.hint,
            retry_after: error.retry_after,
        })?;
        losses.watch(opened.closed, runtime);
        Ok(opened.socket)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Dial>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// Starts a dial; its reply is answered exactly once. Gives its number.
    pub(crate) fn dial(self: &Arc<Self>, op: u64, request: &[u8], reply: DialReply) -> u64 {
        let number = self.dialler.last.fetch_add(1, Ordering::Relaxed) + 1;
        match self.destination(op, request) {
            Err(failure) => reply.answer(Err(failure)),
            Ok((destination, terms)) => self.start_dial((number, op), destination, terms, reply),
        }
        number
    }

    fn destination(&self, op: u64, request: &[u8]) -> Result<(Destination, Terms), Failure> {
        if self.phase() > Phase::Serving {
            return Err(Failure::new(Status::Cancelled, "shutting down"));
        }
        let destination = Destination::parse(request).ok_or_else(|| {
            Failure::new(Status::Internal, "a dial needs a JSON object with host and port")
        })?;
        let asked = Instant::now() + destination.within;
        let own =
            Terms { limits: Limits { deadline: asked, tcp: TCP_LIMIT }, idle_tunnel: IDLE_TUNNEL };
        let mut terms = match op {
            0 => own,
            op => self
                .ops
                .terms(op, own)
                .ok_or_else(|| Failure::new(Status::Cancelled, "the open it was for is over"))?,
        };
        terms.limits.deadline = terms.limits.deadline.min(asked);
        Ok((destination, terms))
    }

    fn start_dial(
        self: &Arc<Self>,
        (number, op): (u64, u64),
        to: Destination,
        terms: Terms,
        reply: DialReply,
    ) {
        let guest = Arc::clone(self);
        let reply = reply.holding(self.busy.token());
        // Held until the dial is in the table, so that the task cannot be done before.
        let mut under_way = self.dialler.lock();
        let task = self.runtime.spawn(async move {
            let reached = guest.dialler.reach(to, terms, &guest.runtime).await;
            guest.dialler.lock().remove(&number);
            reply.answer(reached);
        });
        under_way.insert(number, Dial { op, task: task.abort_handle() });
        // The op may have been cancelled since it was looked at.
        let over = op != 0 && self.ops.is_cancelling(op);
        drop(under_way);
        if over {
            self.dialler.cancel(number);
        }
    }
}

impl Destination {
    fn parse(request: &[u8]) -> Option<Self> {
        let request: Value = serde_json::from_slice(request).ok()?;
        let within = request.get("deadline_ms").and_then(Value::as_u64);
        Some(Self {
            host: request.get("host")?.as_str().filter(|host| !host.is_empty())?.to_owned(),
            port: u16::try_from(request.get("port")?.as_u64()?).ok()?,
            within: within.map_or(DIAL_LIMIT, Duration::from_millis).min(LONGEST_DIAL),
        })
    }
}

/// Whom to give a socket. Answers by itself when dropped.
pub(crate) struct DialReply {
    callback: Option<(abi::SockCallback, UserData)>,
    /// Until it is dropped, the plugin's instance is not destroyed.
    token: Option<TaskTrackerToken>,
}

impl DialReply {
    pub(crate) fn new(callback: abi::SockCallback, data: *mut c_void) -> Self {
        Self { callback: Some((callback, UserData(data))), token: None }
    }

    fn holding(self, token: TaskTrackerToken) -> Self {
        let mut reply = self;
        reply.token = Some(token);
        reply
    }

    fn answer(mut self, outcome: Result<OwnedFd, Failure>) {
        self.send(outcome);
    }

    fn send(&mut self, outcome: Result<OwnedFd, Failure>) {
        let Some((callback, data)) = self.callback.take() else { return };
        let given = outcome.and_then(|fd| {
            socket::give_away(fd).map_err(|error| Failure::new(Status::Internal, error.to_string()))
        });
        let (status, sock, message) = match &given {
            Ok(sock) => (Status::Ok, *sock, ""),
            Err(failure) => (failure.status, abi::NO_SOCK, failure.message.as_str()),
        };
        // SAFETY: the plugin's own callback with its own data, once; the socket is its own from now
        // on, and the text lives for the call.
        #[expect(unsafe_code, reason = "call into a plugin")]
        unsafe {
            callback(data.0, status.raw(), sock, abi::Str::borrow(message));
        }
    }
}

impl Drop for DialReply {
    fn drop(&mut self) {
        self.send(Err(Failure::new(Status::Cancelled, "the dial was cancelled")));
    }
}

const DIAL_LIMIT: Duration = Duration::from_secs(30);
const LONGEST_DIAL: Duration = Duration::from_mins(10);
/// For dials on behalf of no open.
const TCP_LIMIT: Duration = Duration::from_secs(10);
/// For dials on behalf of no open.
const IDLE_TUNNEL: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_without_a_sensible_destination_is_refused() {
        for request in
            ["", "[]", r#"{"host":"h"}"#, r#"{"host":"","port":1}"#, r#"{"host":"h","port":65536}"#]
        {
            assert!(Destination::parse(request.as_bytes()).is_none(), "{request} was taken");
        }
        let destination = Destination::parse(br#"{"host":"h","port":1,"deadline_ms":5,"new":0}"#);
        assert_eq!(destination.unwrap().within, Duration::from_millis(5));
    }
}
