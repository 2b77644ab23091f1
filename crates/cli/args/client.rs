//! Arguments of the commands that connect a client: `exec`, `psql`, `url` and `env`.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

use super::{ConfigFile, LogLevel, PluginDirectories};

#[derive(Args)]
#[command(after_help = "\
Examples:
  pgferry exec dev -- pg_dump --schema-only
  pgferry exec dev -- ./manage.py migrate
  pgferry exec dev -- sh -c 'pg_dump -Fc > dev.dump && ls -l dev.dump'

The command gets PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE and DATABASE_URL. They lead
to a listener of its own, whose password is made anew each time; nothing has to run before, and
nothing is left after. The exit code is the command's: 128 + n if signal n ended it, 127 if it is not
found, 126 if it cannot be executed.")]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) session: Session,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  pgferry psql dev
  pgferry psql dev -- -c 'select now()'
  pgferry psql dev -- -d other_database -f script.sql

Short for: pgferry exec TARGET -- psql ARGS")]
pub(crate) struct Psql {
    #[command(flatten)]
    pub(crate) session: Session,
    /// Arguments of psql.
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) arguments: Vec<OsString>,
}

/// What `exec` and `psql` have in common.
#[derive(Args)]
pub(crate) struct Session {
    #[command(flatten)]
    pub(crate) target: TargetName,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    pub(crate) plugins: PluginDirectories,
    /// Which of pgferry's own log lines there are on standard error.
    #[arg(long, env = "PGFERRY_LOG_LEVEL", hide_env_values = true, value_enum)]
    #[arg(default_value_t = LogLevel::Warn)]
    pub(crate) log_level: LogLevel,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  pgferry url dev
  psql \"$(pgferry url dev)\"
  pgferry url dev --socket

It is where `pgferry run` listens, whether it runs or not. For a client without `pgferry run`, see
pgferry exec --help.")]
pub(crate) struct Url {
    #[command(flatten)]
    pub(crate) target: TargetName,
    #[command(flatten)]
    pub(crate) listener: Listener,
    /// Print the password of a `scram` listener, also where standard output is no terminal.
    #[arg(long)]
    pub(crate) show_password: bool,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  eval \"$(pgferry env dev)\"
  pgferry env dev --shell fish | source
  pgferry env dev --shell pwsh | Out-String | Invoke-Expression
  pgferry env dev --shell dotenv > .env

It leads to where `pgferry run` listens, whether it runs or not. PGPASSWORD is there where the listener
asks for one (local_auth with kind scram). For sh, fish and pwsh, variables that would lead elsewhere
are unset.")]
pub(crate) struct Env {
    #[command(flatten)]
    pub(crate) target: TargetName,
    #[command(flatten)]
    pub(crate) listener: Listener,
    /// Whose language to print.
    #[arg(long, env = "PGFERRY_SHELL", hide_env_values = true, value_enum)]
    #[arg(default_value_t = Shell::Sh)]
    pub(crate) shell: Shell,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
}

#[derive(Args)]
pub(crate) struct TargetName {
    /// The target; may be left out where there is only one.
    #[arg(value_name = "TARGET")]
    pub(crate) name: Option<String>,
}

#[derive(Args)]
pub(crate) struct Listener {
    /// The unix socket, where the target also listens on an address.
    #[arg(long)]
    pub(crate) socket: bool,
}

/// A language for settings of the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// sh, bash, zsh, ksh, dash
    Sh,
    /// fish
    Fish,
    /// PowerShell
    Pwsh,
    /// NAME=value lines
    Dotenv,
    /// One object
    Json,
}
