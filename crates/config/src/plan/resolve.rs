//! From schema to plan: defaults, absolute paths, choices, and what must hold between keys.

mod aws;
mod credential;
mod database;

use std::collections::BTreeMap;
use std::path::Path;

use super::{Admin, Aws, LocalAuth, LocalIdentity, LocalPassword, LocalTls, Plan, Target, check};
use crate::error::ConfigError;
use crate::listen::Listen;
use crate::paths;
use crate::schema::{self, ListenList, ListenOne, TransportChoice};
use crate::search::Found;
use crate::transport::{Reader, Transport};

/// Relay threads unless the file says otherwise: enough for a laptop, no more than its cores.
const RELAY_THREADS: usize = 2;

/// Where a target's transport is written, and whose AWS it would use.
struct Place<'a> {
    target: &'a str,
    key: String,
    aws: &'a Aws,
}

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
        let aws = self.aws("aws", &Aws::default(), schema.aws)?;
        let mut transports = BTreeMap::new();
        for (name, table) in schema.transports {
            let key = format!("transports.{name}");
            transports.insert(name.clone(), self.transport(&name, key, table, &aws)?);
        }
        let mut inline = BTreeMap::new();
        let mut targets = Vec::with_capacity(schema.targets.len());
        for (name, target) in schema.targets {
            let target = self.target(name, target, &aws, (&transports, &mut inline))?;
            targets.push(target);
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
        all: &Aws,
        transports: (&BTreeMap<String, Transport>, &mut BTreeMap<String, Transport>),
    ) -> Result<Target, ConfigError> {
        let key = |below: &str| format!("targets.{name}.{below}");
        let listen = self.listen(&key("listen"), target.listen)?;
        let aws = self.aws(&key("aws"), all, target.aws)?;
        let place = Place { target: &name, key: key("transport"), aws: &aws };
        let transport = self.choose(place, target.transport, transports)?;
        let credential = self.credential(&key("credential"), target.credential)?;
        let database = self.database(&key("database"), target.database, &credential)?;
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
        Ok(Target { name, listen, database, transport, credential, aws, local_auth, local_tls })
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
        place: Place<'_>,
        choice: TransportChoice,
        (transports, inline): (&BTreeMap<String, Transport>, &mut BTreeMap<String, Transport>),
    ) -> Result<String, ConfigError> {
        let Place { target, key, aws } = place;
        let table = match choice {
            TransportChoice::Named(name) if transports.contains_key(&name) => return Ok(name),
            TransportChoice::Named(name) => {
                return Err(self.unknown_transport(&key, &name, transports));
            }
            TransportChoice::Inline(table) => table,
        };
        if transports.contains_key(target) {
            let message = format!(
                "is written here, but [transports.{target}] has the same name; write transport = \
                 \"{target}\", or rename one"
            );
            return Err(self.error(&key, message));
        }
        let transport = self.transport(target, key, table, aws)?;
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
        mut table: toml::Table,
        above: &Aws,
    ) -> Result<Transport, ConfigError> {
        let reader = Reader { file: self.file, base: self.base, key };
        let own: Option<schema::Aws> = reader.take(&mut table, "aws")?;
        let mut transport = reader.read(name, table)?;
        if own.is_some() && matches!(transport.kind.as_str(), "direct" | "exec") {
            let message = format!("is for plugins: {} asks nobody for it", transport.kind);
            return Err(self.error(&format!("{}.aws", reader.key), message));
        }
        transport.aws = match own {
            Some(own) => Some(self.aws(&format!("{}.aws", reader.key), above, own)?),
            None => transport.wants_aws().then(|| above.clone()),
        };
        Ok(transport)
    }

    fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        ConfigError::meaning(self.file, key, message)
    }
}
