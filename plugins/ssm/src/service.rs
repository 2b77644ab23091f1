//! Session Manager, as one transport uses it: which node, whose credentials, how to get there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pgferry_ssm_protocol::OpenDataChannel;
use pgferry_transport_aws::{Account, Keys, Proxy, Roots};
use pgferry_transport_sdk::Error;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::call::{Calls, Ticket};
use crate::config::Config;
use crate::destination::Destination;
use crate::dial::{Dialler, Socket};
use crate::environment::Environment;
use crate::failure::{self, CallError};
use crate::refusal;
use crate::target::Selector;

/// What every session needs.
pub(crate) struct Service<E> {
    pub(crate) config: Config,
    pub(crate) environment: E,
    selector: Selector,
    region: String,
    calls: Calls,
    dialler: Dialler,
    keys: Arc<Keys<E>>,
    /// Nodes that were said to be online, and were not.
    refused: Mutex<BTreeSet<String>>,
}

impl<E: Environment> Service<E> {
    /// Asks the program for the account; makes no call.
    ///
    /// Errors: the program's; denied, about certificates or the proxy.
    pub(crate) async fn new(
        config: Config,
        selector: Selector,
        environment: E,
    ) -> Result<Self, Error> {
        let account = Account::ask(&environment).await?;
        let roots = Roots::load(account.ca_bundle.as_deref())?;
        let proxy = account.https_proxy.as_deref().map(Proxy::parse).transpose()?;
        let keys = Arc::new(Keys::new(environment.clone()));
        let calls = Calls::new(&account, &roots, proxy.as_ref(), &keys)?;
        let dialler = Dialler {
            region: account.region.clone(),
            tls: if account.is_plain() { None } else { Some(roots.client()?) },
            proxy,
            endpoint: config.messages_endpoint.clone(),
            signs: config.sign.unwrap_or(true),
        };
        let refused = Mutex::default();
        Ok(Self {
            config,
            environment,
            selector,
            region: account.region,
            calls,
            dialler,
            keys,
            refused,
        })
    }

    /// Starts a session. A node that is not connected is waited for: it may have been started just now.
    ///
    /// Errors: whose fault it is, and what to do about it.
    ///
    /// Cancel safety: a session may have been started that nobody knows of. So it is only told that the transport is
    /// `closing`: then nothing more is asked, and what is under way is waited for briefly.
    pub(crate) async fn begin(
        &self,
        to: &Destination,
        until: Instant,
        closing: &mut watch::Receiver<bool>,
    ) -> Result<(String, Ticket), Error> {
        let patience = until.min(Instant::now() + self.config.boot_wait());
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        loop {
            let absent = match self.try_begin(to, closing).await? {
                Ok(begun) => return Ok(begun),
                Err(absent) => absent,
            };
            let wait = backoff.wait(rand::random());
            if Instant::now() + wait >= patience {
                return Err(absent);
            }
            tracing::debug!(reason = %absent, "waiting for the managed node");
            tokio::select! {
                () = sleep(wait) => {}
                () = close(closing) => return Err(refusal::shutting_down()),
            }
        }
    }

    /// Outside: it is of no use to try again. Inside: the node may come.
    async fn try_begin(
        &self,
        to: &Destination,
        closing: &mut watch::Receiver<bool>,
    ) -> Result<Result<(String, Ticket), Error>, Error> {
        let found = tokio::select! {
            biased;
            () = close(closing) => return Err(refusal::shutting_down()),
            found = Box::pin(self.node()) => found?,
        };
        let Some(node) = found else {
            return Ok(Err(failure::nobody(&self.selector.words(), &self.region)));
        };
        let given_up = async {
            close(closing).await;
            sleep(LAST_START_LIMIT).await;
        };
        let started = tokio::select! {
            started = Box::pin(self.start(&node, to)) => started,
            () = given_up => return Err(refusal::shutting_down()),
        };
        match started {
            Ok(ticket) => Ok(Ok((node, ticket))),
            Err(CallError::NotConnected) => {
                let error = CallError::NotConnected.into_error(&node, &self.region);
                self.refused().insert(node);
                Ok(Err(error))
            }
            Err(error) => Err(error.into_error(&node, &self.region)),
        }
    }

    async fn start(&self, node: &str, to: &Destination) -> Result<Ticket, CallError> {
        let started = self.calls.start(node, to, &self.config).await;
        if let Err(CallError::Expired(_)) = started {
            self.keys.forget().await;
            return self.calls.start(node, to, &self.config).await;
        }
        started
    }

    /// The managed node: of those that are online the first that did not turn out not to be.
    async fn node(&self) -> Result<Option<String>, Error> {
        let tags = match &self.selector {
            Selector::Id(id) => return Ok(Some(id.clone())),
            Selector::Tags(tags) => tags,
        };
        let mut online = self.calls.online(tags).await;
        if let Err(CallError::Expired(_)) = online {
            self.keys.forget().await;
            online = self.calls.online(tags).await;
        }
        let online =
            online.map_err(|error| error.into_error(&self.selector.words(), &self.region))?;
        let mut refused = self.refused();
        if online.iter().all(|node| refused.contains(node)) {
            refused.clear();
        }
        Ok(online.into_iter().find(|node| !refused.contains(node)))
    }

    /// Dials the data channel with a token that was just given.
    ///
    /// Errors: whose fault it is, and which step.
    ///
    /// Cancel safety: the token may be used up.
    pub(crate) async fn dial(
        &self,
        url: &str,
        token: &str,
        client_id: Uuid,
    ) -> Result<Socket, Error> {
        let opening = OpenDataChannel { request_id: random_uuid(), client_id, token }.encode();
        let keys = self.keys.current().await?;
        self.dialler.dial(url, opening, &keys, &self.environment).await
    }

    /// Goes on with a session whose WebSocket was lost. None: the session is over.
    ///
    /// Errors: it may be tried again.
    pub(crate) async fn resume(
        &self,
        session: &str,
        url: &str,
        client_id: Uuid,
    ) -> Result<Option<Socket>, Error> {
        let token = match self.calls.resume(session).await {
            Ok(Some(token)) => token,
            Ok(None) => return Ok(None),
            Err(error) => {
                if matches!(error, CallError::Expired(_)) {
                    self.keys.forget().await;
                }
                return Err(error.into_error(&self.selector.words(), &self.region));
            }
        };
        self.dial(url, &token, client_id).await.map(Some)
    }

    /// Ends a session, or leaves it to its idle timeout if that takes too long.
    pub(crate) async fn terminate(&self, session: &str) {
        let call = async {
            let ended = self.calls.terminate(session).await;
            if let Err(CallError::Expired(_)) = ended {
                self.keys.forget().await;
                return self.calls.terminate(session).await;
            }
            ended
        };
        match timeout(TERMINATE_LIMIT, call).await {
            Ok(Ok(()) | Err(CallError::Gone)) => tracing::debug!(session, "session terminated"),
            Ok(Err(error)) => {
                let error = error.into_error(&self.selector.words(), &self.region);
                tracing::warn!(session, %error, "the session is left to its idle timeout");
            }
            Err(_) => tracing::warn!(session, "the session is left to its idle timeout: no answer"),
        }
    }

    fn refused(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the transport is on its way out.
async fn close(closing: &mut watch::Receiver<bool>) {
    // Without its pool there is no transport.
    drop(closing.wait_for(|closing| *closing).await);
}

/// A name by chance alone.
pub(crate) fn random_uuid() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

/// Together within the five seconds that a transport has for its end.
const LAST_START_LIMIT: Duration = Duration::from_secs(2);
const TERMINATE_LIMIT: Duration = Duration::from_secs(2);
