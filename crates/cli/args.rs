//! What can be written on the command line.

pub(crate) mod client;

use std::path::PathBuf;

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
    /// Print version, build and what is linked in.
    Version(Version),
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  pgferry run                              every target of the configuration
  pgferry run dev                          only [targets.dev]
  pgferry run --config ./pgferry.toml --log-format json

The first SIGINT or SIGTERM lets sessions finish (limits.drain), the second ends them.")]
pub(crate) struct Run {
    /// The targets to serve; all of the file if none is named.
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    pub(crate) plugins: PluginDirectories,
    /// How log lines look on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// Which log lines there are: error, warn, info, debug or trace.
    #[arg(long, value_enum, default_value_t = LogLevel::Info)]
    pub(crate) log_level: LogLevel,
}

#[derive(Args)]
pub(crate) struct ConfigFile {
    /// The configuration file; without it the user's (~/.config/pgferry/config.toml, or below
    /// `$XDG_CONFIG_HOME`), then /etc/pgferry/config.toml.
    #[arg(long = "config", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct PluginDirectories {
    /// Look for plugins here first; may be repeated.
    #[arg(long = "plugin-dir", value_name = "DIR")]
    pub(crate) directories: Vec<PathBuf>,
    /// Load no plugin from a library: only those linked in.
    #[arg(long)]
    pub(crate) no_plugins: bool,
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
    /// Check a configuration without running it: keys, files, permissions, plugins.
    Check(ConfigCheck),
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
    pub(crate) config_json: String,
    /// Print for programs.
    #[arg(long)]
    pub(crate) json: bool,
    /// Run the checks here: what the parent process calls.
    #[arg(long, hide = true)]
    pub(crate) in_this_process: bool,
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
}
