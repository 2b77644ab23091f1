//! From schema to plan: defaults, absolute paths, choices, and what must hold between keys.

use std::collections::BTreeMap;
use std::path::Path;

use super::{
    Admin, Credential, Database, Endpoint, LocalAuth, LocalIdentity, LocalPassword, LocalTls, Plan,
    Roots, Target, TlsMode, check,
};
use crate::error::ConfigError;
use crate::listen::Listen;
use crate::paths;
use crate::schema::{self, ListenList, ListenOne, Tls, TransportChoice};
use crate::search::Found;
use crate::secret::SecretSource;
use crate::transport::{Reader, Transport};

/// Relay threads unless the file says otherwise: enough for a laptop, no more than its cores.
const RELAY_THREADS: usize = 2;

pub(super) struct Resolver<'a> {
    pub(super) found: &'a Found,
    pub(super) file: &'a Path,
    pub(super) base: &'a Path,
}

impl Resolver<'_> {
    pub(super) fn plan(&self, schema: schema::File) -> Result<Plan, ConfigError> {
        if schema.targets.is_empty() {
            return Err(self.error("targets", "is empty: write at least one [targets.NAME]"));
        }
        let mut transports = BTreeMap::new();
        for (name, table) in schema.transports {
            let key = format!("transports.{name}");
            transports.insert(name.clone(), self.transport(&name, key, table)?);
        }
        let mut inline = BTreeMap::new();
        let mut targets = Vec::with_capacity(schema.targets.len());
        for (name, target) in schema.targets {
            targets.push(self.target(name, target, &transports, &mut inline)?);
        }
        for (name, transport) in &transports {
            self.beneath(&format!("transports.{name}.via"), transport, &transports)?;
        }
        for (name, transport) in &inline {
            self.beneath(&format!("targets.{name}.transport.via"), transport, &transports)?;
        }
        transports.append(&mut inline);
        let plan = Plan {
            file: self.file.to_owned(),
            found: self.found.clone(),
            admin: schema.admin.map(|admin| self.admin(&admin)).transpose()?,
            limits: schema.limits,
            relay_threads: self.relay_threads(schema.relay.threads)?,
            targets,
            transports: transports.into_values().collect(),
        };
        check::plan(&plan)?;
        Ok(plan)
    }

    fn admin(&self, admin: &schema::Admin) -> Result<Admin, ConfigError> {
        let error = |message: String| self.error("admin.listen", message);
        let Listen::Tcp(listen) = Listen::tcp(&admin.listen).map_err(error)? else {
            return Err(error("is a TCP address".to_owned()));
        };
        Ok(Admin { listen })
    }

    fn relay_threads(&self, wanted: Option<usize>) -> Result<usize, ConfigError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        match wanted {
            None => Ok(RELAY_THREADS.min(cores)),
            Some(threads @ 1..=64) => Ok(threads),
            Some(threads) => {
                Err(self.error("relay.threads", format!("is {threads}; it must be 1 to 64")))
            }
        }
    }

    fn target(
        &self,
        name: String,
        target: schema::Target,
        transports: &BTreeMap<String, Transport>,
        inline: &mut BTreeMap<String, Transport>,
    ) -> Result<Target, ConfigError> {
        let key = |below: &str| format!("targets.{name}.{below}");
        let listen = self.listen(&key("listen"), target.listen)?;
        let transport =
            self.choose(&name, &key("transport"), target.transport, (transports, inline))?;
        let database = self.database(&key("database"), target.database)?;
        let credential = self.credential(&key("credential"), target.credential)?;
        let local_auth = match target.local_auth {
            schema::LocalAuth::SameUser => LocalAuth::SameUser,
            schema::LocalAuth::Trust => LocalAuth::Trust,
            schema::LocalAuth::Scram { user, password_file } => {
                let file = paths::resolve(self.base, &password_file);
                LocalAuth::Scram { user, password: LocalPassword::File(file) }
            }
        };
        let local_tls =
            target.local_tls.map(|tls| self.local_tls(&key("local_tls"), tls)).transpose()?;
        Ok(Target { name, listen, database, transport, credential, local_auth, local_tls })
    }

    fn local_tls(&self, key: &str, tls: schema::LocalTls) -> Result<LocalTls, ConfigError> {
        Ok(match tls {
            schema::LocalTls::Certificate { cert_file, key_file, required } => {
                let cert_file = paths::resolve(self.base, &cert_file);
                let key_file = paths::resolve(self.base, &key_file);
                LocalTls { identity: LocalIdentity::Certificate { cert_file, key_file }, required }
            }
            schema::LocalTls::LocalCa { required } => {
                let directory = paths::local_ca().ok_or_else(|| {
                    self.error(key, "has no place for the local CA: set HOME or XDG_DATA_HOME")
                })?;
                LocalTls { identity: LocalIdentity::LocalCa { directory }, required }
            }
        })
    }

    fn listen(&self, key: &str, list: ListenList) -> Result<Vec<Listen>, ConfigError> {
        let list = match list {
            ListenList::One(one) => vec![one],
            ListenList::Several(several) if several.is_empty() => {
                return Err(self.error(key, "is empty: name at least one address"));
            }
            ListenList::Several(several) => several,
        };
        list.into_iter()
            .map(|one| match one {
                ListenOne::Tcp(text) => Listen::tcp(&text),
                ListenOne::Unix(unix) => {
                    Listen::unix(paths::resolve(self.base, &unix.unix), unix.port.unwrap_or(5432))
                }
            })
            .map(|listen| listen.map_err(|message| self.error(key, message)))
            .collect()
    }

    /// The name of the instance a target uses; one written inside the target goes to `inline` and is
    /// for this target alone.
    fn choose(
        &self,
        target: &str,
        key: &str,
        choice: TransportChoice,
        (transports, inline): (&BTreeMap<String, Transport>, &mut BTreeMap<String, Transport>),
    ) -> Result<String, ConfigError> {
        let table = match choice {
            TransportChoice::Named(name) if transports.contains_key(&name) => return Ok(name),
            TransportChoice::Named(name) => {
                return Err(self.unknown_transport(key, &name, transports));
            }
            TransportChoice::Inline(table) => table,
        };
        if transports.contains_key(target) {
            let message = format!(
                "is written here, but [transports.{target}] has the same name; write transport = \
                 \"{target}\", or rename one"
            );
            return Err(self.error(key, message));
        }
        let transport = self.transport(target, key.to_owned(), table)?;
        inline.insert(target.to_owned(), transport);
        Ok(target.to_owned())
    }

    /// What lies beneath has to be there. Circles and depth are the transports' own to judge.
    fn beneath(
        &self,
        key: &str,
        transport: &Transport,
        transports: &BTreeMap<String, Transport>,
    ) -> Result<(), ConfigError> {
        match &transport.via {
            Some(via) if !transports.contains_key(via) => {
                Err(self.unknown_transport(key, via, transports))
            }
            _ => Ok(()),
        }
    }

    fn unknown_transport(
        &self,
        key: &str,
        name: &str,
        transports: &BTreeMap<String, Transport>,
    ) -> ConfigError {
        match crate::error::nearest(name, transports.keys().map(String::as_str)) {
            Some(nearest) => {
                self.error(key, format!("no [transports.{name}]; did you mean `{nearest}`?"))
            }
            None => self.error(key, format!("no [transports.{name}] in this file")),
        }
    }

    fn transport(
        &self,
        name: &str,
        key: String,
        table: toml::Table,
    ) -> Result<Transport, ConfigError> {
        Reader { file: self.file, base: self.base, key }.read(name, table)
    }

    fn database(&self, key: &str, database: schema::Database) -> Result<Database, ConfigError> {
        let endpoint = Endpoint { host: database.host, port: database.port };
        if endpoint.host.is_empty() || endpoint.port == 0 {
            return Err(self.error(key, "needs a host, and a port that is not 0"));
        }
        let address = database
            .address
            .map(|address| {
                parse_address(&address, endpoint.port).ok_or_else(|| {
                    let message = format!("`{address}` is neither HOST nor HOST:PORT");
                    self.error(&format!("{key}.address"), message)
                })
            })
            .transpose()?;
        let tls = match database.tls {
            Tls::VerifyFull => TlsMode::VerifyFull,
            Tls::VerifyCa => TlsMode::VerifyCa,
            Tls::Disable => TlsMode::Disable,
        };
        let roots = match database.ca_file {
            None => Roots::ByEndpoint,
            Some(file) => Roots::File(paths::resolve(self.base, &file)),
        };
        Ok(Database { endpoint, address, name: database.name, tls, roots })
    }

    fn credential(
        &self,
        key: &str,
        credential: schema::Credential,
    ) -> Result<Credential, ConfigError> {
        let schema::Credential::Password { user, password_env, password_file, password } =
            credential;
        let password = match (password_env, password_file, password) {
            (Some(env), None, None) => SecretSource::Env(env),
            (None, Some(file), None) => SecretSource::File(paths::resolve(self.base, &file)),
            (None, None, Some(literal)) => SecretSource::Literal(literal),
            _ => {
                let message = "needs one of password_env, password_file and password";
                return Err(self.error(key, message));
            }
        };
        Ok(Credential::Password { user, password })
    }

    fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        ConfigError::meaning(self.file, key, message)
    }
}

/// `HOST`, `HOST:PORT`, `IPV6` or `[IPV6]:PORT`.
fn parse_address(text: &str, default_port: u16) -> Option<Endpoint> {
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some(Endpoint { host: address.ip().to_string(), port: address.port() });
    }
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Some(Endpoint { host: text.to_owned(), port: default_port });
    }
    let (host, port) = match text.split_once(':') {
        None => (text, default_port),
        Some((host, port)) => (host, port.parse().ok()?),
    };
    (!host.is_empty()).then(|| Endpoint { host: host.to_owned(), port })
}
