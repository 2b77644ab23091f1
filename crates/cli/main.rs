//! The command line of pgferry. Everything it does is elsewhere: this crate reads the arguments,
//! wires the parts together and turns what went wrong into an exit code.

mod access;
mod admin;
mod args;
mod assembly;
mod aws_secrets;
mod child;
mod config_check;
mod config_credential;
mod config_origin;
mod config_trust;
mod conninfo;
mod env;
mod exec;
mod exit;
mod hangup;
mod hex;
mod inherited;
mod listener;
mod local_ca;
mod logging;
mod observer;
mod output;
mod plugin_check;
mod plugin_list;
mod plugins;
mod progress;
mod psql;
mod ready_line;
mod reload;
mod run;
mod shell;
mod terminal;
mod url;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::args::{Arguments, Command, ConfigCommand, PluginCommand};
use crate::exit::Exit;

fn main() -> ExitCode {
    // The matches know which values came from the environment.
    let parsed = Arguments::command().try_get_matches().and_then(|matches| {
        Arguments::from_arg_matches(&matches).map(|arguments| (arguments, matches))
    });
    let (arguments, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return exit::usage(&error).into(),
    };
    let outcome = match arguments.command {
        Command::Run(run) => run::run(&run),
        Command::Exec(exec) => return exit::of_child(exec::exec(exec)),
        Command::Psql(psql) => return exit::of_child(psql::psql(psql)),
        Command::Url(url) => url::url(&url),
        Command::Env(env) => env::env(&env),
        Command::Config(ConfigCommand::Check(check)) => config_check::check(&check, &matches),
        Command::Config(ConfigCommand::Trust(trust)) => config_trust::trust(&trust),
        Command::Config(ConfigCommand::Untrust(untrust)) => config_trust::untrust(&untrust),
        Command::Plugin(PluginCommand::List(list)) => Ok(plugin_list::list(&list)),
        Command::Plugin(PluginCommand::Check(check)) => plugin_check::check(&check),
        Command::LocalCa(arguments) => local_ca::local_ca(&arguments),
        Command::Version(version) => Ok(version::version(&version)),
    };
    outcome.unwrap_or_else(exit::Failure::tell).into()
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
