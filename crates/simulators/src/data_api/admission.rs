//! Who may call, and which database a call is for.

use serde_json::Value;

use super::{Service, refusal::bad_request, request::Request, session::Login};
use crate::aws::{ACCOUNT, World, principal::Principal, reply::Failure};

impl Service {
    /// The login to the database that the request is for, if the caller may have it.
    pub(super) fn admit(
        &self,
        action: &str,
        request: &Request,
        (caller, world): (&Principal, &World),
    ) -> Result<Login, Failure> {
        caller.check(&format!("rds-data:{action}"), &request.resource)?;
        let name = cluster(&request.resource, world)?;
        caller.check("secretsmanager:GetSecretValue", &request.secret)?;
        let (user, password) = secret(&request.secret, world)?;
        let mut state = self.state();
        if state.resuming > 0 {
            state.resuming -= 1;
            let message = "The Aurora DB instance is resuming after being auto-paused. Please \
                           wait a few seconds and try again.";
            return Err(Failure::new(400, "DatabaseResumingException", message));
        }
        let address = state.databases.get(&name).copied().ok_or_else(|| {
            let message = format!("The cluster {name} has no writer instance.");
            Failure::new(404, "DatabaseNotFoundException", &message)
        })?;
        let database = request.database.clone().unwrap_or_else(|| DATABASE.to_owned());
        Ok(Login { address, user, password, database })
    }
}

/// The name of the cluster, if it has its Data API on.
fn cluster(resource: &str, world: &World) -> Result<String, Failure> {
    let start = format!("arn:aws:rds:{}:{ACCOUNT}:cluster:", world.region);
    let name = resource.strip_prefix(&start).ok_or_else(|| {
        bad_request(&format!("The resource {resource} isn't a cluster in this region."))
    })?;
    match world.data_api_enabled(name) {
        Some(true) => Ok(name.to_owned()),
        Some(false) => {
            let message = format!("HttpEndpoint is not enabled for resource {resource}");
            Err(Failure::new(400, "HttpEndpointNotEnabledException", &message))
        }
        None => {
            let message = format!("The cluster {name} isn't found.");
            Err(Failure::new(404, "DatabaseNotFoundException", &message))
        }
    }
}

fn secret(id: &str, world: &World) -> Result<(String, String), Failure> {
    let value = world.current_secret(id).ok_or_else(|| {
        let message = "There was a problem with the Secrets Manager secret used with the \
                       request: it isn't found.";
        Failure::new(400, "SecretsErrorException", message)
    })?;
    let value: Value = serde_json::from_str(&value).unwrap_or_default();
    let member = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
    member("username").zip(member("password")).ok_or_else(|| {
        let message = "The Secrets Manager secret used with the request isn't valid.";
        Failure::new(400, "InvalidSecretException", message)
    })
}

/// Where a request leads that names no database.
const DATABASE: &str = "postgres";
