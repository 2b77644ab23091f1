//! IAM Identity Center: the portal that hands out role credentials, and its token service.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::{
    Aws, State,
    call::Incoming,
    principal::{owned, random},
    reply::{Failure, Success},
};
use crate::{
    error::{Context as _, Error},
    sigv4::{extended, hex},
};

#[derive(Default)]
pub(crate) struct Portal {
    /// Access tokens, with their end in Unix seconds.
    tokens: HashMap<String, u64>,
    refresh_tokens: Vec<String>,
    /// Account, role and what it may do.
    grants: Vec<(String, String, Vec<String>)>,
}

/// `GET /federation/credentials`, which a bearer token opens and no signature.
pub(super) fn role_credentials(
    incoming: &Incoming,
    state: &mut State,
    now: u64,
) -> Result<Success, Failure> {
    let token = incoming.request.header("x-amz-sso_bearer_token").unwrap_or_default();
    if state.portal.tokens.get(token).is_none_or(|ends| *ends <= now) {
        let message = "Session token not found or invalid";
        return Err(Failure::new(401, "UnauthorizedException", message));
    }
    let parameter = |name| {
        let missing = || Failure::new(400, "InvalidRequestException", "Missing parameter");
        incoming.parameters.optional(name).ok_or_else(missing)
    };
    let (account, role) = (parameter("account_id")?, parameter("role_name")?);
    let mut grants = state.portal.grants.iter();
    let Some((.., allow)) = grants.find(|grant| grant.0 == account && grant.1 == role) else {
        return Err(Failure::new(403, "ForbiddenException", "No access"));
    };
    let name = format!("AWSReservedSSO_{role}_0123456789abcdef");
    let principal =
        state.principals.add_session((&name, "person"), allow.clone(), now + ROLE_SESSION);
    Ok(Success::Json(json!({"roleCredentials": {
        "accessKeyId": principal.credentials.access_key_id,
        "secretAccessKey": principal.credentials.secret_access_key,
        "sessionToken": principal.credentials.session_token,
        "expiration": (now + ROLE_SESSION) * 1000,
    }})))
}

/// `POST /token` with a refresh token.
pub(super) fn create_token(
    request: &Value,
    state: &mut State,
    now: u64,
) -> Result<Success, Failure> {
    let field = |name| request.get(name).and_then(Value::as_str).unwrap_or_default();
    if field("clientId") != CLIENT || field("clientSecret") != CLIENT_SECRET {
        return Err(Failure::new(401, "InvalidClientException", "Invalid client"));
    }
    if field("grantType") != "refresh_token" {
        let message = "Only refreshing is simulated";
        return Err(Failure::new(400, "UnsupportedGrantTypeException", message));
    }
    let known = state.portal.refresh_tokens.iter().position(|it| it == field("refreshToken"));
    let Some(known) = known else {
        return Err(Failure::new(400, "InvalidGrantException", "Invalid refresh token provided"));
    };
    state.portal.refresh_tokens.swap_remove(known);
    let (token, refresh) = state.portal.open_session(now + ROLE_SESSION);
    Ok(Success::Json(json!({
        "accessToken": token,
        "expiresIn": ROLE_SESSION,
        "refreshToken": refresh,
        "tokenType": "Bearer",
    })))
}

impl Portal {
    fn open_session(&mut self, ends: u64) -> (String, String) {
        let (token, refresh) = (random(200), random(200));
        self.tokens.insert(token.clone(), ends);
        self.refresh_tokens.push(refresh.clone());
        (token, refresh)
    }
}

impl Aws {
    /// Lets whoever logs in to the portal become `role` in `account`.
    pub fn add_sso_role(&self, account: &str, role: &str, allow: &[&str]) {
        let grant = (account.to_owned(), role.to_owned(), owned(allow));
        self.world.state().portal.grants.push(grant);
    }

    /// What `aws sso login` does: opens a portal session and writes its token below `home`, for
    /// the `sso-session` of this name, or for a legacy profile's start URL. Without a refresh
    /// token, so it ends after `life`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be written.
    pub fn sso_login(&self, home: &Path, session: &str, life: Duration) -> Result<(), Error> {
        self.write_sso_session(home, session, life, false)
    }

    /// As [`Self::sso_login`], with a refresh token.
    ///
    /// # Errors
    ///
    /// As [`Self::sso_login`].
    pub fn sso_login_refreshable(
        &self,
        home: &Path,
        session: &str,
        life: Duration,
    ) -> Result<(), Error> {
        self.write_sso_session(home, session, life, true)
    }

    /// Ends every portal session; the files that tell of them stay, and look valid.
    pub fn sso_end_sessions(&self) {
        let portal = &mut self.world.state().portal;
        portal.tokens.clear();
        portal.refresh_tokens.clear();
    }

    fn write_sso_session(
        &self,
        home: &Path,
        session: &str,
        life: Duration,
        refreshable: bool,
    ) -> Result<(), Error> {
        let now = self.world.clock.now();
        let ends = now + life.as_secs();
        let (token, refresh) = self.world.state().portal.open_session(ends);
        let mut cached = json!({
            "startUrl": SSO_START_URL,
            "region": self.region(),
            "accessToken": token,
            "expiresAt": extended(ends),
            "clientId": CLIENT,
            "clientSecret": CLIENT_SECRET,
            "registrationExpiresAt": extended(now + REGISTRATION),
        });
        if let (true, Some(cached)) = (refreshable, cached.as_object_mut()) {
            cached.insert("refreshToken".to_owned(), refresh.into());
        }
        let directory = home.join(".aws/sso/cache");
        let path = directory.join(format!("{}.json", hex(&Sha1::digest(session))));
        let write = || {
            fs::create_dir_all(&directory)?;
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(cached.to_string().as_bytes())
        };
        write().doing(|| format!("writing {}", path.display()))
    }
}

/// The portal's address in profiles; nothing answers there.
pub(crate) const SSO_START_URL: &str = "https://pgferry.awsapps.com/start";
const CLIENT: &str = "pgferry-simulated-client";
const CLIENT_SECRET: &str = "pgferry-simulated-client-secret";
/// Seconds.
const ROLE_SESSION: u64 = 3600;
/// Seconds.
const REGISTRATION: u64 = 90 * 24 * 3600;
