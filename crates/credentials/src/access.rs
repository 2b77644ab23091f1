//! One target's access to its database: where that is, and who pgferry is there.

use crate::{CredentialError, Lease, Location, Source};

/// Where a target's database is and who pgferry is to it. Shared by the target's connections.
#[derive(Debug)]
pub struct Access {
    location: Location,
    source: Source,
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
    /// Asks nobody yet.
    pub fn new(location: Location, source: Source) -> Self {
        Self { location, source }
    }

    /// The endpoint's name, where it is known without asking.
    pub fn host(&self) -> Option<&str> {
        let Location::Host { host, .. } = &self.location;
        Some(host)
    }

    /// The opening of one session for an application that logs in as `client_user`.
    pub fn attempt<'a>(&'a self, client_user: &'a str) -> Attempt<'a> {
        Attempt { access: self, client_user, given: 0 }
    }

    /// Says that the endpoint may lead elsewhere now: the server of a session was lost, or turned out
    /// to be no writer. The next attempt asks anew, where anybody can be asked.
    pub fn moved(&self) {
        tracing::debug!(location = ?self.location, "the endpoint is looked up anew");
    }
}

/// The credentials that one session may be opened with, one after the other.
#[derive(Debug)]
pub struct Attempt<'a> {
    access: &'a Access,
    client_user: &'a str,
    given: usize,
}

impl Attempt<'_> {
    /// The first call gives what is believed to be right. Each further one says that the database has
    /// refused (28000 or 28P01) what was given last, and gives the next that is worth a try: a fresh
    /// token, a secret that was rotated meanwhile. `None` if there is nothing left. It may wait before
    /// it asks again; the caller sets the limit.
    ///
    /// # Errors
    /// The credential or the endpoint cannot be had; the error says whose fault that is.
    ///
    /// # Cancel safety
    /// Safe: what others wait for goes on.
    pub async fn next(&mut self) -> Result<Option<Offer>, CredentialError> {
        self.given += 1;
        if self.given > 1 {
            return Ok(None);
        }
        let Location::Host { host, port } = &self.access.location;
        let lease = self.access.source.resolve(self.client_user).await?;
        Ok(Some(Offer { host: host.clone(), port: *port, database: None, lease }))
    }
}
