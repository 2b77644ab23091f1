//! What can be written on the command line.

pub(crate) mod client;

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit;

/// Carries PostgreSQL sessions from a local address to private Aurora and RDS databases.
#[derive(Parser)]
#[command(name = "pgferry", version, after_help = exit::TABLE, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve targets until SIGINT or SIGTERM.
    Run(Run),
    /// Run a command with a way to a target in its environment, and end with it.
    Exec(client::Exec),
    /// Run psql on a target.
    Psql(client::Psql),
    /// Print a target's listener as a connection URI.
    Url(client::Url),
    /// Print a target's listener as settings for a shell.
    Env(client::Env),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at transport plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Make the certificate authority for `local_tls = { kind = "local-ca" }`, or show it.
    LocalCa(LocalCa),
    /// Print version, build and what is linked in.
    Version(Version),
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  pgferry run                              every target of the configuration
  pgferry run dev                          only [targets.dev]
  pgferry run --config ./pgferry.toml --log-format json

The first SIGINT or SIGTERM lets sessions finish (limits.drain), the second ends them. SIGHUP reads
the configuration again: new sessions go by it, those that are open go on as they are.")]
pub(crate) struct Run {
    /// The targets to serve; all of the file if none is named.
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    pub(crate) plugins: PluginDirectories,
    /// How log lines look on standard error.
    #[arg(long, env = "PGFERRY_LOG_FORMAT", hide_env_values = true, value_enum)]
    #[arg(default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// Which log lines there are: error, warn, info, debug or trace.
    #[arg(long, env = "PGFERRY_LOG_LEVEL", hide_env_values = true, value_enum)]
    #[arg(default_value_t = LogLevel::Info)]
    pub(crate) log_level: LogLevel,
}

#[derive(Args)]
pub(crate) struct ConfigFile {
    /// The configuration file; without it .pgferry.toml here or above, then the user's
    /// (~/.config/pgferry/config.toml, or below `$XDG_CONFIG_HOME`), then /etc/pgferry/config.toml.
    #[arg(long = "config", value_name = "FILE", env = "PGFERRY_CONFIG", hide_env_values = true)]
    #[arg(value_parser = path())]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct PluginDirectories {
    /// Look for plugins here first; may be repeated.
    #[arg(long = "plugin-dir", value_name = "DIR", env = "PGFERRY_PLUGIN_DIR")]
    #[arg(hide_env_values = true, value_delimiter = ':', value_parser = path())]
    pub(crate) directories: Vec<PathBuf>,
    /// Load no plugin from a library: only those linked in.
    #[arg(long, env = "PGFERRY_NO_PLUGINS", hide_env_values = true)]
    pub(crate) no_plugins: bool,
}

/// A path; an empty one, which may come from the environment, counts as none.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a configuration without running it, and show every setting with its origin.
    Check(ConfigCheck),
    /// Agree to what a .pgferry.toml asks for.
    Trust(ConfigTrust),
    /// Take that back.
    Untrust(ConfigUntrust),
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  pgferry config check
  pgferry config check --config ./pgferry.toml --json")]
pub(crate) struct ConfigCheck {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    pub(crate) plugins: PluginDirectories,
    /// Print for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  pgferry config trust                     the .pgferry.toml here or above
  pgferry config trust --yes ~/src/shop    for scripts, after reading it
  pgferry config trust --list

It counts for the text as it is now: a changed file has to be trusted again.")]
pub(crate) struct ConfigTrust {
    /// The file, or its directory; without it the one in the working directory or above.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Agree without being asked.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Show what is trusted.
    #[arg(long, conflicts_with_all = ["file", "yes"])]
    pub(crate) list: bool,
}

#[derive(Args)]
pub(crate) struct ConfigUntrust {
    /// The file, or its directory; without it the one in the working directory or above.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum PluginCommand {
    /// List the plugins that are linked in and those in the plugin directories. Loads none.
    List(PluginList),
    /// Load a plugin in a process of its own and check it against the contract.
    Check(PluginCheck),
}

#[derive(Args)]
pub(crate) struct PluginList {
    #[command(flatten)]
    pub(crate) plugins: PluginDirectories,
    /// Print for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  pgferry plugin check ./libpgferry_transport_tcp.so
  pgferry plugin check ./libpgferry_transport_x.so --config-json '{\"host\":\"bastion\"}' --json")]
pub(crate) struct PluginCheck {
    /// The library.
    #[arg(value_name = "LIBRARY")]
    pub(crate) library: PathBuf,
    /// The plugin's own configuration.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    #[arg(env = "PGFERRY_CONFIG_JSON", hide_env_values = true)]
    pub(crate) config_json: String,
    /// Print for programs.
    #[arg(long)]
    pub(crate) json: bool,
    /// Run the checks here: what the parent process calls.
    #[arg(long, hide = true)]
    pub(crate) in_this_process: bool,
}

#[derive(Args)]
#[command(after_help = "\
Made once, in $XDG_DATA_HOME/pgferry/local-ca (by default below ~/.local/share); later calls show
where it is. Its certificates are good for localhost, 127.0.0.0/8 and ::1 alone.

Examples:
  pgferry local-ca
  export PGSSLMODE=verify-full PGSSLROOTCERT=$(pgferry local-ca --json | jq -r .certificate)")]
pub(crate) struct LocalCa {
    /// Print for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Version {
    /// Print for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_makes_sense() {
        Arguments::command().debug_assert();
    }

    /// Flags of one call: they say what to do now, and have no place in an environment.
    const OF_ONE_CALL: &[&str] =
        &["help", "version", "json", "yes", "list", "socket", "show-password", "in-this-process"];

    #[test]
    fn every_flag_has_its_variable_and_shows_no_value_of_it() {
        let mut wrong = Vec::new();
        let mut commands = vec![Arguments::command()];
        while let Some(command) = commands.pop() {
            for (arg, flag) in command.get_arguments().filter_map(|a| Some((a, a.get_long()?))) {
                let variable = format!("PGFERRY_{}", flag.replace('-', "_").to_uppercase());
                let fine = arg.get_env().is_some_and(|env| *env == *variable)
                    && arg.is_hide_env_values_set();
                if !fine && !OF_ONE_CALL.contains(&flag) {
                    wrong.push(format!("{} --{flag}", command.get_name()));
                }
            }
            commands.extend(command.get_subcommands().cloned());
        }
        assert!(wrong.is_empty(), "without env and hide_env_values: {wrong:?}");
    }
}
