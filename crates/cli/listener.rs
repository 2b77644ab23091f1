//! The way to a configured listener, whether pgferry runs or not.

use anyhow::anyhow;
use pgferry_config::{Listen, LocalAuth, Plan, Secret, Target};
use pgferry_proxy::local_password;

use crate::args::ConfigFile;
use crate::args::client::{Listener, TargetName};
use crate::assembly;
use crate::conninfo::{self, ConnInfo, Place};
use crate::exit::{Exit, Failure};
use crate::inherited::Login;

/// How a client connects to the target under `pgferry run`.
pub(crate) fn conninfo(
    config: &ConfigFile,
    name: &TargetName,
    listener: &Listener,
) -> Result<ConnInfo, Failure> {
    let plan: Plan = assembly::load(config)?;
    let invalid = |error: anyhow::Error| Failure::new(Exit::Config, error);
    let target = plan.target(name.name.as_deref()).map_err(|error| invalid(error.into()))?;
    let place = place(target, listener).map_err(|why| invalid(anyhow!(why)))?;
    let (user, password) = match &target.local_auth {
        LocalAuth::SameUser | LocalAuth::Trust => (None, None),
        LocalAuth::Scram { user, password } => {
            let known = local_password(password).map_err(|error| invalid(error.into()))?;
            let text = String::from_utf8(known.to_vec()).map_err(|_| {
                invalid(anyhow!("the local password of {name} is not UTF-8", name = target.name))
            })?;
            (user.as_deref(), Some(Secret::new(text)))
        }
    };
    let user = user.or_else(|| conninfo::user(target)).map(str::to_owned);
    let database = conninfo::database(target).map(str::to_owned);
    let (sslmode, login) = (conninfo::sslmode(target, &place), Login::of(target));
    Ok(ConnInfo { place, user, password, database, sslmode, login })
}

/// The first listener that has a fixed place: an address, unless the socket is wanted or there is no
/// other.
fn place(target: &Target, listener: &Listener) -> Result<Place, String> {
    let name = &target.name;
    let unix = |listen: &&Listen| matches!(listen, Listen::Unix { .. });
    let mut sockets = target.listen.iter().filter(unix);
    let addresses = target.listen.iter().filter(|listen| !unix(listen));
    if listener.socket {
        return sockets.find_map(Place::of).ok_or_else(|| {
            format!("target {name} listens on no unix socket; add {{ unix = \"/dir\" }} to listen")
        });
    }
    addresses.chain(sockets).find_map(Place::of).ok_or_else(|| {
        format!(
            "target {name} listens on port 0, so its port is another one at each start; give it \
             one in listen, or use pgferry exec"
        )
    })
}
