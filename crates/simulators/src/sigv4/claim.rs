//! What a request says about who signed it, and whether that is true.

use super::{
    ALGORITHM, Canonical, Refusal, Request, SKEW, Scope, canonical::pairs, parse_timestamp,
    sha256_hex, signature, timestamp,
};

/// A signature as found in a request: who claims to have signed what, and when.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The key's id.
    pub access_key_id: String,
    /// What it was signed for.
    pub scope: Scope,
    /// When it was signed, in Unix seconds.
    pub signed_at: u64,
    /// How long a presigned request lives, in seconds; none for one that is sent at once.
    pub expires: Option<u64>,
    /// The session token shown.
    pub session_token: Option<String>,
    signed_headers: Vec<String>,
    signature: String,
}

impl Claim {
    /// Reads the `Authorization` header and those that go with it.
    ///
    /// # Errors
    ///
    /// [`Refusal::Missing`] without one, else what is missing or malformed in it.
    pub fn from_headers(request: &Request) -> Result<Self, Refusal> {
        let header = request.header("authorization").ok_or(Refusal::Missing)?;
        let rest = header.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(' '));
        let rest = rest.ok_or_else(|| incomplete("Unsupported AWS 'algorithm'"))?;
        let part = |name: &str| {
            let parts = rest.split(',').filter_map(|part| part.trim().split_once('='));
            let value = parts.filter(|(key, _)| *key == name).map(|(_, value)| value).next();
            value.ok_or_else(|| {
                incomplete(&format!("Authorization header requires '{name}' parameter."))
            })
        };
        let (access_key_id, scope) = credential(part("Credential")?)?;
        let date = request.header("x-amz-date").ok_or_else(|| {
            incomplete("Authorization header requires existence of a 'X-Amz-Date' header.")
        })?;
        let claim = Self {
            access_key_id,
            scope,
            signed_at: time(date)?,
            expires: None,
            session_token: request.header("x-amz-security-token").map(str::to_owned),
            signed_headers: part("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: part("Signature")?.to_owned(),
        };
        claim.require("x-amz-date")?;
        if claim.session_token.is_some() {
            claim.require("x-amz-security-token")?;
        }
        claim.whole()
    }

    /// Reads the `X-Amz-…` parameters of a presigned request.
    ///
    /// # Errors
    ///
    /// [`Refusal::Missing`] without any, else what is missing or malformed in them.
    pub fn from_query(request: &Request) -> Result<Self, Refusal> {
        let pairs = pairs(&request.query);
        let optional = |name: &str| {
            let mut found = pairs.iter().filter(|(key, _)| key == name.as_bytes());
            let value = found.next().and_then(|(_, value)| String::from_utf8(value.clone()).ok());
            // Two of a kind leave open which of them was meant.
            if found.next().is_some() { None } else { value }
        };
        let part = |name: &str| {
            optional(name).ok_or_else(|| {
                incomplete(&format!("AWS query-string parameters must include '{name}'."))
            })
        };
        if !pairs.iter().any(|(key, _)| key.starts_with(b"X-Amz-")) {
            return Err(Refusal::Missing);
        }
        if part("X-Amz-Algorithm")? != ALGORITHM {
            return Err(incomplete("Unsupported AWS 'algorithm'"));
        }
        let (access_key_id, scope) = credential(&part("X-Amz-Credential")?)?;
        let expires = part("X-Amz-Expires")?;
        let claim = Self {
            access_key_id,
            scope,
            signed_at: time(&part("X-Amz-Date")?)?,
            expires: Some(expires.parse().map_err(|_| incomplete("X-Amz-Expires is no number"))?),
            session_token: optional("X-Amz-Security-Token"),
            signed_headers: part("X-Amz-SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: part("X-Amz-Signature")?,
        };
        claim.whole()
    }

    /// Whether the scope is that of `service` in `region`.
    ///
    /// # Errors
    ///
    /// [`Refusal::Service`] or [`Refusal::Region`].
    pub fn check_scope(&self, service: &str, region: &str) -> Result<(), Refusal> {
        if self.scope.service != service {
            return Err(Refusal::Service { service: service.to_owned() });
        }
        if self.scope.region != region {
            return Err(Refusal::Region { signed: self.scope.region.clone() });
        }
        Ok(())
    }

    /// Whether the request is neither too old nor from the future; `longest` is what a presigned
    /// one may ask for, in seconds.
    ///
    /// # Errors
    ///
    /// [`Refusal::Expired`], [`Refusal::NotYetCurrent`] or [`Refusal::Lifetime`].
    pub fn check_time(&self, now: u64, longest: u64) -> Result<(), Refusal> {
        if self.expires.is_some_and(|expires| expires == 0 || expires > longest) {
            return Err(Refusal::Lifetime { limit: longest });
        }
        let life = self.expires.unwrap_or(SKEW);
        let signed = timestamp(self.signed_at);
        if now > self.signed_at + life {
            let limit = timestamp(now.saturating_sub(life));
            return Err(Refusal::Expired {
                signed,
                limit,
                now: timestamp(now),
                allowed: life / 60,
            });
        }
        if self.signed_at > now + SKEW {
            let limit = timestamp(now + SKEW);
            return Err(Refusal::NotYetCurrent { signed, limit, now: timestamp(now) });
        }
        Ok(())
    }

    /// Whether `secret` made this signature over exactly this request.
    ///
    /// # Errors
    ///
    /// [`Refusal::Payload`] or [`Refusal::Mismatch`].
    pub fn check_signature(&self, request: &Request, secret: &str) -> Result<(), Refusal> {
        let hash = request.header("x-amz-content-sha256");
        if hash.is_some_and(|hash| hash != sha256_hex(&request.body)) {
            return Err(Refusal::Payload);
        }
        let canonical = Canonical::new(request, &self.signed_headers).ok_or(Refusal::Mismatch)?;
        let right = signature(secret, &self.scope, &timestamp(self.signed_at), &canonical);
        if right == self.signature { Ok(()) } else { Err(Refusal::Mismatch) }
    }

    fn whole(self) -> Result<Self, Refusal> {
        self.require("host")?;
        if !timestamp(self.signed_at).starts_with(&self.scope.date) {
            return Err(Refusal::ScopeDate);
        }
        Ok(self)
    }

    fn require(&self, header: &str) -> Result<(), Refusal> {
        if self.signed_headers.iter().any(|name| name == header) {
            return Ok(());
        }
        Err(Refusal::Unsigned(header.to_owned()))
    }

    /// The headers that were signed, in lower case.
    pub fn signed_headers(&self) -> &[String] {
        &self.signed_headers
    }
}

fn credential(text: &str) -> Result<(String, Scope), Refusal> {
    let parts: Vec<&str> = text.split('/').collect();
    let [key, date, region, service, "aws4_request"] = parts.as_slice() else {
        return Err(incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. \
             keyid/date/region/service/term",
        ));
    };
    let text = |part: &&str| (*part).to_owned();
    let scope = Scope { date: text(date), region: text(region), service: text(service) };
    if scope.date.len() != 8 {
        return Err(Refusal::ScopeDate);
    }
    Ok((text(key), scope))
}

fn time(text: &str) -> Result<u64, Refusal> {
    parse_timestamp(text).ok_or_else(|| {
        incomplete(
            "Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601",
        )
    })
}

fn incomplete(what: &str) -> Refusal {
    Refusal::Incomplete(what.to_owned())
}
