//! Who may call: users, roles and their sessions.

use std::collections::HashMap;

use rand::distr::{Alphanumeric, SampleString};

use super::{ACCOUNT, reply::Failure};
use crate::sigv4::{Claim, Credentials, Refusal, Request};

/// A key and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub(crate) credentials: Credentials,
    pub(crate) arn: String,
    pub(crate) user_id: String,
    pub(crate) allow: Vec<String>,
    /// Unix seconds; none for a key that does not end.
    pub(crate) ends: Option<u64>,
}

#[derive(Clone)]
pub(crate) struct AssumableRole {
    pub(crate) arn: String,
    pub(crate) external_id: Option<String>,
    pub(crate) allow: Vec<String>,
    /// Web identity tokens that may become it.
    pub(crate) web_tokens: Vec<String>,
}

#[derive(Default)]
pub(crate) struct Principals {
    by_key: HashMap<String, Principal>,
    pub(crate) roles: Vec<AssumableRole>,
}

/// Why nobody stands behind a request.
#[derive(Debug)]
pub(crate) enum Unauthenticated {
    Refused(Refusal),
    UnknownKey,
    Ended,
}

impl Principals {
    pub(crate) fn add_user(&mut self, name: &str, allow: &[&str]) -> Credentials {
        self.add(Principal {
            credentials: key("AKIA", None),
            arn: format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
            user_id: format!("AIDA{}", capitals(17)),
            allow: owned(allow),
            ends: None,
        })
    }

    /// A session of role `name` that lasts until `ends`.
    pub(crate) fn add_session(
        &mut self,
        (name, session): (&str, &str),
        allow: Vec<String>,
        ends: u64,
    ) -> Principal {
        let principal = Principal {
            credentials: key("ASIA", Some(session_token())),
            arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}"),
            user_id: format!("AROA{}:{session}", capitals(17)),
            allow,
            ends: Some(ends),
        };
        self.add(principal.clone());
        principal
    }

    pub(crate) fn get_mut(&mut self, access_key_id: &str) -> Option<&mut Principal> {
        self.by_key.get_mut(access_key_id)
    }

    /// Who signed `request`. `service` and `region` are those of the endpoint it came to; a
    /// presigned one may ask for `longest` seconds.
    pub(crate) fn authenticate(
        &self,
        request: &Request,
        claim: &Claim,
        (service, region): (&str, &str),
        (now, longest): (u64, u64),
    ) -> Result<Principal, Unauthenticated> {
        let known = self.by_key.get(&claim.access_key_id).ok_or(Unauthenticated::UnknownKey)?;
        if known.credentials.session_token != claim.session_token {
            return Err(Unauthenticated::UnknownKey);
        }
        if known.ends.is_some_and(|ends| ends <= now) {
            return Err(Unauthenticated::Ended);
        }
        let checks = claim
            .check_scope(service, region)
            .and_then(|()| claim.check_time(now, longest))
            .and_then(|()| claim.check_signature(request, &known.credentials.secret_access_key));
        checks.map(|()| known.clone()).map_err(Unauthenticated::Refused)
    }

    fn add(&mut self, principal: Principal) -> Credentials {
        let credentials = principal.credentials.clone();
        self.by_key.insert(credentials.access_key_id.clone(), principal);
        credentials
    }
}

impl Principal {
    pub(crate) fn may(&self, action: &str) -> bool {
        self.allow.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => action.starts_with(start),
            None => pattern == action,
        })
    }

    /// Refuses as AWS words it for an identity without a fitting policy.
    pub(crate) fn check(&self, action: &str, resource: &str) -> Result<(), Failure> {
        if self.may(action) {
            return Ok(());
        }
        Err(Failure::access_denied(&format!(
            "User: {} is not authorized to perform: {action} on resource: {resource} because no \
             identity-based policy allows the {action} action",
            self.arn
        )))
    }
}

pub(crate) fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub(crate) fn random(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}

fn capitals(length: usize) -> String {
    random(length).to_ascii_uppercase()
}

fn key(prefix: &str, session_token: Option<String>) -> Credentials {
    Credentials {
        access_key_id: format!("{prefix}{}", capitals(16)),
        secret_access_key: format!("{}/{}+{}", random(20), random(10), random(8)),
        session_token,
    }
}

/// As long as those of SSO sessions, with the characters that have to be encoded in a URL.
fn session_token() -> String {
    format!("IQoJb3JpZ2luX2VjE{}/{}+{}==", random(400), random(300), random(200))
}
