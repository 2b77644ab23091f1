//! One target's access to its database: where that is, and who pgferry is there.

use std::fmt;

use pgferry_aws::Account;

use crate::data_api::data_api;
use crate::lookup::{Endpoint, Lookup};
use crate::password::{Given, Opening, Passwords};
use crate::secret::{Secrets, Tries};
use crate::token::{Service, Tokens};
use crate::{CredentialError, Lease, Location, Proof, Source};

/// Where a target's database is and who pgferry is to it. Shared by the target's connections: what
/// one of them has asked for serves the others.
pub struct Access {
    lookup: Lookup,
    giver: Giver,
}

/// A source, with what it keeps.
enum Giver {
    Passwords(Passwords),
    Tokens(Tokens),
    Secrets(Secrets),
    Certificate { user: String },
    Application,
    DataApi { secret: Option<String> },
}

/// All that is needed to open one session.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The endpoint's own name: what TLS verifies and tokens are signed for.
    pub host: String,
    /// The endpoint's own port.
    pub port: u16,
    /// The database to open, where location or secret says one and the configuration does not.
    pub database: Option<String>,
    /// Who pgferry is there.
    pub lease: Lease,
}

impl Access {
    /// Asks nobody yet. `account` is asked only where location or source need AWS.
    pub fn new(location: Location, source: Source, account: Account) -> Self {
        let iam = matches!(source, Source::Iam { .. });
        let giver = match source {
            Source::Password { user, password } => Giver::Passwords(Passwords::new(user, password)),
            Source::Iam { user } => Giver::Tokens(Tokens::new(Service::Rds, &user)),
            Source::Dsql { user } => Giver::Tokens(Tokens::new(Service::Dsql, &user)),
            Source::SecretsManager(secret) => Giver::Secrets(Secrets::new(secret)),
            Source::ClientCert { user } => Giver::Certificate { user },
            Source::DataApi { secret } => Giver::DataApi { secret },
            Source::Passthrough => Giver::Application,
        };
        Self { lookup: Lookup::new(location, account, iam), giver }
    }

    /// The endpoint's name, where it is known without asking.
    pub fn host(&self) -> Option<&str> {
        match self.lookup.location() {
            Location::Host { host, .. } => Some(host),
            _ => None,
        }
    }

    /// The opening of one session for an application that logs in as `client_user`.
    pub fn attempt<'a>(&'a self, client_user: &'a str) -> Attempt<'a> {
        let state = State::New;
        Attempt { access: self, client_user, database: None, state }
    }

    /// Says that the endpoint may lead elsewhere now: the server of a session was lost, or turned out
    /// to be no writer. The next attempt asks anew, where anybody can be asked: RDS no more than twice
    /// a minute, however many sessions are lost at once.
    pub fn moved(&self) {
        self.lookup.moved();
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("location", self.lookup.location()).finish_non_exhaustive()
    }
}

/// The credentials that one session may be opened with, one after the other.
pub struct Attempt<'a> {
    access: &'a Access,
    client_user: &'a str,
    database: Option<&'a str>,
    state: State,
}

/// What the database has refused.
enum State {
    /// Nothing yet.
    New,
    Password(Given),
    Token(u64),
    Secret(Tries),
    /// There is nothing else.
    Over,
}

impl<'a> Attempt<'a> {
    /// The database that the session will open: a line of a password file may be for that one alone.
    #[must_use]
    pub fn to_database(mut self, name: &'a str) -> Self {
        self.database = Some(name);
        self
    }

    /// The first call gives what is believed to be right. Each further one says that the database has
    /// refused (28000 or 28P01) what was given last, and gives the next that is worth a try: a fresh
    /// token, a secret that was rotated meanwhile. `None` if there is nothing left. It may wait before
    /// it asks again; the caller sets the limit.
    ///
    /// # Errors
    /// The credential or the endpoint cannot be had; the error says whose fault that is.
    ///
    /// # Cancel safety
    /// Safe: what others wait for goes on. A command that is run for a password is ended.
    pub async fn next(&mut self) -> Result<Option<Offer>, CredentialError> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let access = self.access;
        if matches!(state, State::Over) {
            return Ok(None);
        }
        if let Giver::DataApi { secret } = &access.giver {
            let (place, api) = Box::pin(data_api(&access.lookup, secret.as_deref())).await?;
            let lease = lease(self.client_user, Proof::DataApi(api));
            return Ok(Some(Offer { host: place.host, port: place.port, database: None, lease }));
        }
        let place = Box::pin(access.lookup.endpoint()).await?;
        if let Giver::Secrets(secrets) = &access.giver {
            let tries = if let State::Secret(tries) = state { tries } else { Tries::default() };
            return self.secret(secrets, place, tries).await;
        }
        let place = place.ok_or(CredentialError::NoHost)?;
        let mut database = None;
        let lease = match &access.giver {
            Giver::Passwords(passwords) => self.password(passwords, &place, state).await?,
            Giver::Tokens(tokens) => {
                database = tokens.only_database().map(str::to_owned);
                Some(self.token(tokens, &place, state).await?)
            }
            Giver::Certificate { user } => Some(lease(user, Proof::Certificate)),
            Giver::Application | Giver::Secrets(_) | Giver::DataApi { .. } => {
                Some(lease(self.client_user, Proof::Application))
            }
        };
        Ok(lease.map(|lease| Offer { host: place.host, port: place.port, database, lease }))
    }

    async fn password(
        &mut self,
        passwords: &Passwords,
        place: &Endpoint,
        state: State,
    ) -> Result<Option<Lease>, CredentialError> {
        let refused = if let State::Password(refused) = state { Some(refused) } else { None };
        let first = refused.is_none();
        let opening = Opening { host: &place.host, port: place.port, database: self.database };
        let Some(given) = passwords.next(&opening, refused).await? else { return Ok(None) };
        let lease = lease(passwords.user(), Proof::Password(given.secret().clone()));
        if first {
            self.state = State::Password(given);
        }
        Ok(Some(lease))
    }

    async fn token(
        &mut self,
        tokens: &Tokens,
        place: &Endpoint,
        state: State,
    ) -> Result<Lease, CredentialError> {
        let refused = if let State::Token(refused) = state { refused } else { 0 };
        let held = tokens.get(place, refused, self.access.lookup.account()).await?;
        if refused == 0 {
            self.state = State::Token(held.number);
        }
        let (expires, proof) = (Some(held.value.expires), Proof::Token(held.value.secret));
        Ok(Lease { user: tokens.user().to_owned(), proof, expires })
    }

    /// A secret may say the place as well.
    async fn secret(
        &mut self,
        secrets: &Secrets,
        place: Option<Endpoint>,
        mut tries: Tries,
    ) -> Result<Option<Offer>, CredentialError> {
        let Some(version) = Box::pin(secrets.next(&mut tries, &self.access.lookup)).await? else {
            return Ok(None);
        };
        self.state = State::Secret(tries);
        let place = match (place, self.access.lookup.location()) {
            (Some(place), _) => place,
            (None, Location::Secret { port }) => version.endpoint(*port)?,
            (None, _) => return Err(CredentialError::NoHost),
        };
        let lease = lease(&version.user, Proof::Password(version.password.clone()));
        let database = version.database.clone();
        Ok(Some(Offer { host: place.host, port: place.port, database, lease }))
    }
}

fn lease(user: &str, proof: Proof) -> Lease {
    Lease { user: user.to_owned(), proof, expires: None }
}

impl fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("access", self.access).finish_non_exhaustive()
    }
}
