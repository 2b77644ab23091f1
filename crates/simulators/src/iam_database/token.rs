//! What makes a token good.
//!
//! A token is a presigned request without its scheme: `host:port/?Action=connect&DBUser=…` for RDS,
//! `host/?Action=DbConnect…` for DSQL.

use crate::{
    aws::principal::{Principals, Unauthenticated},
    sigv4::{Claim, Credentials, Refusal, Request, presign},
};

/// Why a login was refused. Clients are not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// It came without TLS.
    #[error("no TLS")]
    NoTls,
    /// It is not of a token's form, such as an ordinary password.
    #[error("not a token")]
    NotAToken,
    /// It is signed for another host.
    #[error("signed for the host {0:?}")]
    Host(String),
    /// It is signed for another port.
    #[error("signed for the port {0:?}")]
    Port(String),
    /// It is signed for another action.
    #[error("signed for the action {0:?}")]
    Action(String),
    /// It is signed for another user.
    #[error("signed for the user {0:?}")]
    User(String),
    /// The signature is not good.
    #[error("{0}")]
    Signature(#[from] Refusal),
    /// Nobody has that key, or not with that session token.
    #[error("unknown key or session token")]
    UnknownKey,
    /// The session behind the key has ended.
    #[error("the session has ended")]
    Ended,
    /// The key's owner may not connect.
    #[error("not allowed: {0}")]
    NotAllowed(&'static str),
    /// There is no such database.
    #[error("no database {0:?}")]
    Database(String),
    /// The refusal was planned by the test.
    #[error("planned")]
    Planned,
}

/// Whose tokens are good where.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) endpoint: String,
    pub(super) port: u16,
    pub(super) region: String,
    pub(super) dsql: bool,
}

impl Rules {
    /// Returns the id of the key that signed `token`.
    pub(super) fn check(
        &self,
        token: &str,
        user: &str,
        principals: &Principals,
        now: u64,
    ) -> Result<String, Flaw> {
        let (host, query) = token.split_once("/?").ok_or(Flaw::NotAToken)?;
        self.check_host(host)?;
        self.check_parameters(query, user)?;
        let request = Request {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            query: query.to_owned(),
            headers: vec![("host".to_owned(), host.to_owned())],
            body: Vec::new(),
        };
        let claim = Claim::from_query(&request)?;
        let scope = (self.service(), self.region.as_str());
        let times = (now, self.longest_life());
        let principal =
            principals.authenticate(&request, &claim, scope, times).map_err(|why| match why {
                Unauthenticated::Refused(refusal) => Flaw::Signature(refusal),
                Unauthenticated::UnknownKey => Flaw::UnknownKey,
                Unauthenticated::Ended => Flaw::Ended,
            })?;
        let right = self.right(user);
        if !principal.may(right) {
            return Err(Flaw::NotAllowed(right));
        }
        Ok(claim.access_key_id)
    }

    pub(super) fn sign(&self, credentials: &Credentials, user: &str, now: u64) -> String {
        let host = self.signed_host();
        let mut parameters = vec![("Action", self.action(user))];
        if !self.dsql {
            parameters.push(("DBUser", user));
        }
        let scope = (self.region.as_str(), self.service());
        let query = presign(&host, &parameters, credentials, scope, (now, RDS_LIFE));
        format!("{host}/?{query}")
    }

    fn check_host(&self, signed: &str) -> Result<(), Flaw> {
        if signed == self.signed_host() {
            return Ok(());
        }
        // A scheme in front is part of no host.
        let (host, port) = signed.rsplit_once(':').unwrap_or((signed, ""));
        if host != self.endpoint {
            return Err(Flaw::Host(host.to_owned()));
        }
        Err(Flaw::Port(port.to_owned()))
    }

    fn check_parameters(&self, query: &str, user: &str) -> Result<(), Flaw> {
        let pairs = crate::sigv4::pairs(query);
        let one = |name: &str| {
            let values: Vec<_> = pairs.iter().filter(|(key, _)| key == name.as_bytes()).collect();
            match values.as_slice() {
                [(_, value)] => Ok(String::from_utf8_lossy(value).into_owned()),
                _ => Err(Flaw::NotAToken),
            }
        };
        let action = one("Action")?;
        if action != self.action(user) {
            return Err(Flaw::Action(action));
        }
        if self.dsql {
            return Ok(());
        }
        let signed = one("DBUser")?;
        if signed == user { Ok(()) } else { Err(Flaw::User(signed)) }
    }

    fn signed_host(&self) -> String {
        if self.dsql { self.endpoint.clone() } else { format!("{}:{}", self.endpoint, self.port) }
    }

    fn service(&self) -> &'static str {
        if self.dsql { "dsql" } else { "rds-db" }
    }

    fn action(&self, user: &str) -> &'static str {
        match (self.dsql, user) {
            (false, _) => "connect",
            (true, ADMIN) => "DbConnectAdmin",
            (true, _) => "DbConnect",
        }
    }

    fn right(&self, user: &str) -> &'static str {
        match (self.dsql, user) {
            (false, _) => "rds-db:connect",
            (true, ADMIN) => "dsql:DbConnectAdmin",
            (true, _) => "dsql:DbConnect",
        }
    }

    fn longest_life(&self) -> u64 {
        if self.dsql { DSQL_LIFE } else { RDS_LIFE }
    }
}

/// DSQL's own role for administration.
pub(super) const ADMIN: &str = "admin";
/// Seconds.
const RDS_LIFE: u64 = 15 * 60;
/// Seconds: a week.
const DSQL_LIFE: u64 = 7 * 24 * 3600;
