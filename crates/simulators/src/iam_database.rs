//! A database that lets nobody in without a token, as RDS and DSQL do with IAM login.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration};

pub use answer::Answer;
pub use builder::Builder;
use front::Front;
pub use login::Login;
use tempfile::TempDir;
pub use token::Flaw;
use tokio::sync::oneshot;

use crate::{Aws, Postgres, sigv4::Credentials};

mod answer;
mod backend;
mod builder;
mod front;
mod login;
mod session;
mod startup;
mod token;
mod wire;

/// A TLS front before a real [`Postgres`] that asks for a password in clear, takes it for a token,
/// checks that as strictly as AWS does, and carries the session to the server as the role named.
///
/// Its certificate is for the endpoint's own name, from an authority of its own. The endpoint and
/// the port it advertises have nothing to do with the address it is dialled at: just as behind a
/// tunnel. It needs the [`Postgres`] to live on.
///
/// It accepts a session only if its token is signed for the endpoint, the advertised port and the
/// very user who logs in, by a key of the [`Aws`] that may connect, within the last 15 minutes, and
/// came within TLS. To the client every refusal is the same; [`Self::logins`] tells them apart.
pub struct IamDatabase {
    front: Arc<Front>,
    address: SocketAddr,
    directory: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl IamDatabase {
    /// As `IamDatabase::builder(aws, postgres).start()`: the endpoint is [`crate::SERVER_NAME`].
    ///
    /// # Panics
    ///
    /// As [`Builder::start`].
    pub fn start(aws: &Aws, postgres: &Postgres) -> Self {
        Self::builder(aws, postgres).start()
    }

    /// Settings for one in front of `postgres`, with the keys, region and clock of `aws`.
    pub fn builder<'a>(aws: &'a Aws, postgres: &'a Postgres) -> Builder<'a> {
        Builder::new(aws, postgres)
    }

    /// Where to dial.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name in its certificate, for which tokens have to be signed.
    pub fn endpoint(&self) -> &str {
        &self.front.rules.endpoint
    }

    /// The port for which tokens have to be signed.
    pub fn port(&self) -> u16 {
        self.front.rules.port
    }

    /// The file with the certificate authority a client has to trust.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A token with which `user` may log in now, if `credentials` are good.
    pub fn token(&self, credentials: &Credentials, user: &str) -> String {
        self.front.rules.sign(credentials, user, self.front.now())
    }

    /// Every login that came as far as being decided about, in that order.
    pub fn logins(&self) -> Vec<Login> {
        self.front.logins.all()
    }

    /// How many tokens were accepted.
    pub fn accepted(&self) -> usize {
        self.logins().iter().filter(|login| login.outcome.is_ok()).count()
    }

    /// How many logins were refused.
    pub fn refused(&self) -> usize {
        self.logins().iter().filter(|login| login.outcome.is_err()).count()
    }

    /// How many different tokens were shown.
    pub fn distinct_tokens(&self) -> usize {
        let mut digests: Vec<_> =
            self.logins().into_iter().filter_map(|login| login.token_digest).collect();
        digests.sort();
        digests.dedup();
        digests.len()
    }

    /// Blocks until `count` logins were decided about; false after `limit`.
    pub fn wait_for_logins(&self, count: usize, limit: Duration) -> bool {
        self.front.logins.wait(count, limit)
    }

    /// The next `times` logins get `answer`, however right they are.
    pub fn answer_next(&self, answer: Answer, times: usize) {
        self.front.answers.plan(answer, times);
    }
}

impl Drop for IamDatabase {
    fn drop(&mut self) {
        // Either may have happened already if the thread panicked.
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
