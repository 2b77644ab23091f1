//! Why a credential, or the endpoint it is for, cannot be had.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use pgferry_aws::AwsError;

/// A credential or an endpoint that cannot be had. The texts name places, never values. Cheap to
/// clone: everyone who waited for the same answer gets the same error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CredentialError {
    /// AWS's, or the network's on the way to it.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The user's: a variable is not set.
    #[error("the environment variable {0} is not set")]
    MissingEnv(String),
    /// The user's: a variable is set to nothing.
    #[error("the environment variable {0} is empty")]
    EmptyEnv(String),
    /// The user's: a file is missing or may not be read.
    #[error("{}: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// The user's: the first line of a file is empty.
    #[error("the first line of {} is empty", .0.display())]
    EmptyFile(PathBuf),
    /// The user's: PostgreSQL passwords are text.
    #[error("{0} is not UTF-8")]
    NotUnicode(String),
    /// The user's: a password file that is none, or that others can read. libpq ignores such a one.
    #[error("{} {}", .file.display(), .why)]
    Pgpass {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The user's: no line of the password file is for this session.
    #[error("{} has no line for {session}", .file.display())]
    NoPgpassLine {
        /// The file.
        file: PathBuf,
        /// `host:port:database:user`, as a line would begin.
        session: String,
    },
    /// The user's: no password file is named and there is no home directory.
    #[error("there is no password file: neither PGPASSFILE nor a home directory is set")]
    NoHome,
    /// The user's: a command cannot be started.
    #[error("cannot run {program}: {source}")]
    NotStarted {
        /// The program.
        program: String,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// The user's: a command failed.
    #[error("{program} gave no password: {status}")]
    CommandFailed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The user's: a command succeeded with an output that is no password.
    #[error("{program} gave no password: {why}")]
    NoOutput {
        /// The program.
        program: String,
        /// What is wrong with the output.
        why: &'static str,
    },
    /// The user's: neither the name of the endpoint nor the configuration says its region.
    #[error("the region to sign for is not known: {host} {why}")]
    NoRegion {
        /// The endpoint.
        host: String,
        /// Why its name does not tell.
        why: WithoutRegion,
    },
    /// The user's: a token for an endpoint of the other service.
    #[error("{host} is {is}, which takes no token of {kind}")]
    WrongService {
        /// The endpoint.
        host: String,
        /// What its name says.
        is: &'static str,
        /// The credential's kind, as the configuration names it.
        kind: &'static str,
        /// The one that it takes.
        other: &'static str,
    },
    /// The user's: what is no host name cannot be signed for.
    #[error("no token can be signed for `{0}`: it is no host name")]
    NotAHost(String),
    /// The SDK's: it did not sign.
    #[error("no token was signed: {0}")]
    NotSigned(String),
    /// The user's: RDS runs another database system there.
    #[error("{what} is no PostgreSQL database: its engine is {engine}")]
    NotPostgres {
        /// Cluster or instance, and its name.
        what: String,
        /// As RDS names it.
        engine: String,
    },
    /// The user's: the database does not run.
    #[error("{what} is {status}")]
    NotRunning {
        /// Cluster or instance, and its name.
        what: String,
        /// As RDS names it.
        status: String,
        /// The command that starts it, where one does.
        start: Option<String>,
    },
    /// The user's: RDS would refuse every token.
    #[error("IAM database authentication is off on {what}")]
    IamOff {
        /// Cluster or instance, and its name.
        what: String,
        /// The command that turns it on.
        enable: String,
    },
    /// The user's: the service would refuse every statement.
    #[error("the Data API is off on {what}")]
    DataApiOff {
        /// Cluster, and its name.
        what: String,
        /// The command that turns it on.
        enable: String,
    },
    /// The user's: only clusters of Aurora have it.
    #[error("{0} has no Data API: it belongs to no cluster")]
    NoDataApi(String),
    /// AWS's: what was found has no such endpoint, or not yet.
    #[error("RDS tells no endpoint of {what}, which is {status}")]
    NoEndpoint {
        /// Cluster or instance, and its name.
        what: String,
        /// As RDS names it.
        status: String,
    },
    /// The user's: the master user's password is not kept by RDS.
    #[error("RDS manages no secret for {0}")]
    NotManaged(String),
    /// The user's: a secret that is not what a login needs.
    #[error("the secret {secret} {why}")]
    UnusableSecret {
        /// Its ARN or name, as it was configured or found.
        secret: String,
        /// What is wrong with it.
        why: String,
        /// The key of the configuration, or of the secret, that mends it.
        fix: &'static str,
    },
    /// The user's: nobody says where the database is.
    #[error("nothing says where the database is")]
    NoHost,
    /// Our own: whoever asked for all has been stopped, with the program.
    #[error("the look-up of the credential was interrupted")]
    Interrupted,
}

/// Why the name of an endpoint does not tell its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutRegion {
    /// A global database leads to whichever region has the writer.
    Global,
    /// A name of the user's own, for all that can be seen.
    Alias,
    /// An IP address or this computer: a tunnel's end, never the database's own name.
    Address,
}

impl std::fmt::Display for WithoutRegion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Global => "is the endpoint of a global database, which belongs to no region",
            Self::Alias => "is no endpoint name of AWS",
            Self::Address => {
                "is an address, not the endpoint's own name, for which tokens are made"
            }
        })
    }
}

impl CredentialError {
    /// Whether nobody could be asked just now: what is configured may be right.
    pub fn is_outage(&self) -> bool {
        use pgferry_aws::AwsErrorKind::{Proxy, Throttled, Unreachable};
        matches!(self, Self::Aws(error) if matches!(error.kind(), Unreachable | Proxy | Throttled))
    }

    /// What the person can do, as an imperative sentence without a full stop.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Aws(error) => return error.hint().map(str::to_owned),
            Self::MissingEnv(name) | Self::EmptyEnv(name) => {
                format!("set {name} where pgferry is started")
            }
            Self::Unreadable { .. } => "check the path and who may read the file".to_owned(),
            Self::EmptyFile(_) => "write the password into its first line".to_owned(),
            Self::NotUnicode(_) => "write it as UTF-8".to_owned(),
            Self::Pgpass { file, .. } => {
                format!("let it be a file of your own: chmod 600 {}", file.display())
            }
            Self::NoPgpassLine { session, .. } => format!("add a line: {session}:PASSWORD"),
            Self::NoHome => "set PGPASSFILE or HOME".to_owned(),
            Self::NotStarted { .. } => "check its name and PATH; there is no shell".to_owned(),
            Self::CommandFailed { program, .. } | Self::NoOutput { program, .. } => {
                format!("run {program} by hand: its first line is the password; the log has its stderr")
            }
            Self::NoRegion { why, .. } => match why {
                WithoutRegion::Global => "set region for this database, to the writer's".to_owned(),
                WithoutRegion::Alias => {
                    "give the endpoint's own name in host, and what is dialled in address; or set region \
                     for this database if that is its own name"
                        .to_owned()
                }
                WithoutRegion::Address => {
                    "give the endpoint's own name in host, and what is dialled in address".to_owned()
                }
            },
            Self::WrongService { other, .. } => format!("use the credential kind {other}"),
            Self::NotAHost(_) => "give the endpoint's own name in host".to_owned(),
            Self::NotPostgres { .. } => "name a PostgreSQL database".to_owned(),
            Self::NotRunning { start: Some(start), .. } => format!("start it: {start}"),
            Self::NotRunning { .. } | Self::NoEndpoint { .. } => {
                "try again when RDS says that it is available".to_owned()
            }
            Self::IamOff { enable, .. } | Self::DataApiOff { enable, .. } => {
                format!("turn it on: {enable}")
            }
            Self::NoDataApi(_) => {
                "name a cluster of Aurora PostgreSQL, or use another transport".to_owned()
            }
            Self::NotManaged(_) => "name the secret of the credential".to_owned(),
            Self::UnusableSecret { fix, .. } => (*fix).to_owned(),
            Self::NoHost => "set host, cluster or instance of the database".to_owned(),
            Self::NotSigned(_) | Self::Interrupted => return None,
        })
    }
}
