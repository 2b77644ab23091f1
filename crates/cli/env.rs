//! `pgferry env`: a target's listener as settings of the environment.

use crate::args::client::Env;
use crate::exit::{Exit, Failure};
use crate::{listener, output, shell};

pub(crate) fn env(env: &Env) -> Result<Exit, Failure> {
    let conninfo = listener::conninfo(&env.config, &env.target, &env.listener)?;
    let text = shell::settings(env.shell, &conninfo.variables(), &conninfo.login.removed());
    output::line(text.as_str());
    Ok(Exit::Ok)
}
