//! What the database, its credential and the listeners must have of each other.

use std::net::IpAddr;

use pgferry_endpoint::{Endpoint, Kind};

use crate::error::ConfigError;
use crate::plan::{Credential, LocalAuth, Location, Plan, Target, TlsMode};

/// Where something is wrong, below the target, and what.
type Wrong = (&'static str, String);

pub(super) fn access(plan: &Plan, target: &Target) -> Result<(), ConfigError> {
    [tls, host, managed_secret, dsql, passthrough]
        .into_iter()
        .try_for_each(|check| check(target))
        .map_err(|(below, message)| {
            ConfigError::meaning(&plan.file, format!("targets.{}.{below}", target.name), message)
        })
}

/// A token is a password in the clear: it is for the endpoint that it was signed for, and for nobody
/// who has merely some certificate. A certificate of one's own is shown in TLS alone.
fn tls(target: &Target) -> Result<(), Wrong> {
    let message = match (&target.credential, target.database.tls) {
        (Credential::Iam { .. } | Credential::Dsql { .. }, mode) if mode != TlsMode::VerifyFull => {
            "sends a token to a server that is not verified: leave it out, or set \"verify-full\""
        }
        (Credential::ClientCert { .. }, TlsMode::Disable) => {
            "leaves no TLS to show the client certificate in: leave it out, or set \"verify-ca\""
        }
        _ => return Ok(()),
    };
    Err(("database.tls", message.to_owned()))
}

/// Tokens are signed for the endpoint's own name, whatever leads there.
fn host(target: &Target) -> Result<(), Wrong> {
    let (Credential::Iam { .. }, Location::Host(host)) =
        (&target.credential, &target.database.location)
    else {
        return Ok(());
    };
    let no_name = host.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost");
    let message = if no_name {
        format!(
            "is {host}, but a token is signed for the endpoint's own name: write that as host, and \
             this as address"
        )
    } else if is_dsql(host) {
        "is Aurora DSQL, which takes no tokens of RDS: set credential.kind = \"dsql\"".to_owned()
    } else {
        return Ok(());
    };
    Err(("database.host", message))
}

/// Only for what RDS lists with clusters and instances can it be asked which secret is theirs.
fn managed_secret(target: &Target) -> Result<(), Wrong> {
    let (Credential::SecretsManager { secret: None, .. }, Location::Host(host)) =
        (&target.credential, &target.database.location)
    else {
        return Ok(());
    };
    let what = match Endpoint::parse(host).kind {
        Kind::Writer | Kind::Reader | Kind::Custom | Kind::Instance => return Ok(()),
        Kind::Proxy => "an RDS Proxy",
        Kind::Limitless => "a Limitless shard group",
        Kind::Global => "a global endpoint",
        Kind::Dsql => "Aurora DSQL",
        Kind::Other => "no endpoint of RDS",
    };
    let message = format!(
        "has no secret, and {host} is {what}: RDS has none for it; set secret to its ARN or name"
    );
    Err(("credential", message))
}

/// Source: Aurora DSQL user guide: one database, `postgres`; IAM tokens for its own endpoints.
fn dsql(target: &Target) -> Result<(), Wrong> {
    let Credential::Dsql { .. } = &target.credential else { return Ok(()) };
    let database = &target.database;
    match &database.location {
        Location::Host(host) if is_dsql(host) => {}
        location => {
            let message = format!(
                "is {location}, but kind = \"dsql\" needs the host of an Aurora DSQL cluster: \
                 ID.dsql.REGION.on.aws"
            );
            return Err(("database", message));
        }
    }
    match &database.name {
        Some(name) if name != "postgres" => {
            let message = format!("is {name}, but Aurora DSQL has one database, postgres");
            Err(("database.name", message))
        }
        _ => Ok(()),
    }
}

/// One login cannot prove two passwords.
fn passthrough(target: &Target) -> Result<(), Wrong> {
    match (&target.credential, &target.local_auth) {
        (Credential::Passthrough, LocalAuth::Scram { .. }) => {
            let message = "is scram, which asks for a password of its own, but with kind = \
                           \"passthrough\" applications log in to the database: leave it out, and \
                           listen where no other machine can connect";
            Err(("local_auth", message.to_owned()))
        }
        _ => Ok(()),
    }
}

fn is_dsql(host: &str) -> bool {
    Endpoint::parse(host).kind == Kind::Dsql
}
