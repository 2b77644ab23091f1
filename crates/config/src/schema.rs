//! The TOML file, letter for letter. Every table refuses keys it does not know.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::duration;
use crate::secret::Secret;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) admin: Option<Admin>,
    #[serde(default)]
    pub(crate) aws: Aws,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) relay: Relay,
    #[serde(default)]
    pub(crate) targets: BTreeMap<String, Target>,
    #[serde(default)]
    pub(crate) transports: BTreeMap<String, toml::Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Admin {
    pub(crate) listen: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Relay {
    pub(crate) threads: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) listen: ListenList,
    #[serde(default)]
    pub(crate) database: Database,
    #[serde(default)]
    pub(crate) transport: TransportChoice,
    pub(crate) credential: Credential,
    #[serde(default)]
    pub(crate) aws: Aws,
    #[serde(default)]
    pub(crate) local_auth: LocalAuth,
    pub(crate) local_tls: Option<LocalTls>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected \"ADDRESS:PORT\", { unix = \"/dir\" } or a list of these")]
pub(crate) enum ListenList {
    One(ListenOne),
    Several(Vec<ListenOne>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected \"ADDRESS:PORT\" or { unix = \"/dir\", port = 5432 }")]
pub(crate) enum ListenOne {
    Tcp(String),
    Unix(ListenUnix),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenUnix {
    pub(crate) unix: PathBuf,
    pub(crate) port: Option<u16>,
}

/// Whose AWS it is: for a target, or, at the top of the file, for all that say nothing else.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aws {
    pub(crate) profile: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) assume_role: Option<AssumeRole>,
    pub(crate) endpoint_url: Option<String>,
}

/// The ARN of a role, or a table that has it.
pub(crate) enum AssumeRole {
    Arn(String),
    Table(AssumeRoleTable),
}

impl<'de> Deserialize<'de> for AssumeRole {
    /// By hand, because an untagged enum would say nothing of the key that was mistyped.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> de::Visitor<'de> for Either {
            type Value = AssumeRole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the ARN of a role, or a table with role_arn")
            }

            fn visit_str<E: de::Error>(self, arn: &str) -> Result<AssumeRole, E> {
                Ok(AssumeRole::Arn(arn.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<AssumeRole, A::Error> {
                let table = de::value::MapAccessDeserializer::new(map);
                AssumeRoleTable::deserialize(table).map(AssumeRole::Table)
            }
        }

        from.deserialize_any(Either)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssumeRoleTable {
    pub(crate) role_arn: String,
    pub(crate) external_id: Option<String>,
    pub(crate) session_name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) cluster: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) role: Option<Role>,
    pub(crate) name: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) tls: Tls,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    Writer,
    Reader,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tls {
    #[default]
    VerifyFull,
    VerifyCa,
    Disable,
}

/// A name from `[transports.NAME]`, or the transport itself.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected the name of a [transports.NAME] or a table with `kind`")]
pub(crate) enum TransportChoice {
    Named(String),
    Inline(toml::Table),
}

impl Default for TransportChoice {
    fn default() -> Self {
        Self::Inline(toml::Table::from_iter([("kind".to_owned(), "direct".into())]))
    }
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Credential {
    Password(PasswordCredential),
    Iam {
        user: String,
    },
    SecretsManager {
        secret: Option<String>,
        user: Option<String>,
        user_key: Option<String>,
        password_key: Option<String>,
    },
    Dsql {
        user: Option<String>,
    },
    Passthrough {},
    ClientCert {
        user: String,
        cert_file: PathBuf,
        key_file: PathBuf,
    },
}

/// A user, and one place that its password is at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordCredential {
    pub(crate) user: String,
    pub(crate) password_env: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) password: Option<Secret>,
    pub(crate) password_command: Option<Vec<String>>,
    pub(crate) pgpass_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) pgpass: bool,
}

#[derive(Deserialize, Default)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum LocalAuth {
    #[default]
    SameUser,
    Scram {
        user: Option<String>,
        password_file: PathBuf,
    },
    Trust,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum LocalTls {
    Certificate {
        cert_file: PathBuf,
        key_file: PathBuf,
        #[serde(default)]
        required: bool,
    },
    LocalCa {
        #[serde(default)]
        required: bool,
    },
}

/// A secret granted to a transport: `secrets.NAME = { env = "…" }` or `{ file = "…" }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    pub(crate) env: Option<String>,
    pub(crate) file: Option<PathBuf>,
}

macro_rules! limits {
    ($($name:ident = $default:expr, $doc:literal;)*) => {
        /// How long each step may take. Every wait of the program ends at one of these.
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Limits {
            $(#[doc = $doc] #[serde(deserialize_with = "duration::deserialize")] pub $name: Duration,)*
            /// Clients connected to one target at a time.
            pub connections: usize,
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* connections: 1000 }
            }
        }

        impl Limits {
            /// Key, default and meaning of each duration, for the documentation's table.
            pub const TABLE: &'static [(&'static str, Duration, &'static str)] =
                &[$((stringify!($name), $default, $doc),)*];

            /// The durations by key.
            pub(crate) fn durations(&self) -> impl Iterator<Item = (&'static str, Duration)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

limits! {
    local_login = Duration::from_secs(30),
        "From accept until the client has sent its startup packet and logged in locally. With `passthrough` \
         also what it takes to answer the database.";
    startup = Duration::from_mins(1),
        "From the local login until the database is ready, retries included. Each step below has its own \
         limit within this one.";
    credentials = Duration::from_secs(10), "Reading or fetching the credential.";
    tunnel_open = Duration::from_secs(30),
        "Opening a path to the database: the whole answer of the transport.";
    tcp = Duration::from_secs(10), "One TCP connect: to the database, or to the bastion.";
    tls = Duration::from_secs(10), "TLS with the database, from `SSLRequest` to the end of the handshake.";
    server_login = Duration::from_mins(1),
        "From the startup packet to the database's first `ReadyForQuery`. Longer than a paused Aurora \
         Serverless cluster takes to resume.";
    cancel = Duration::from_secs(10), "Carrying one `CancelRequest` to the database, all hops together.";
    client_gone = Duration::from_secs(10),
        "How long a session whose client has closed waits for bytes from the database.";
    drain = Duration::from_secs(30), "From SIGTERM or SIGINT until busy sessions are closed hard.";
    idle_tunnel = Duration::from_mins(10),
        "How long a transport keeps a shared tunnel without sessions.";
}
