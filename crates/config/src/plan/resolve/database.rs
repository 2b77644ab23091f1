//! Where the database is, as far as the file says it.

use super::super::{Address, Credential, Database, Location, Role, Roots, TlsMode};
use super::Resolver;
use crate::error::ConfigError;
use crate::paths;
use crate::schema::{self, Tls};

/// The one database that Aurora DSQL has.
const DSQL_DATABASE: &str = "postgres";

impl Resolver<'_> {
    pub(super) fn database(
        &self,
        key: &str,
        database: schema::Database,
        credential: &Credential,
    ) -> Result<Database, ConfigError> {
        let location = self.location(key, &database, credential)?;
        if database.port == Some(0) {
            return Err(self.error(&format!("{key}.port"), "is 0"));
        }
        let address = database.address.as_deref().map(|text| {
            parse_address(text).ok_or_else(|| {
                let message = format!("`{text}` is neither HOST nor HOST:PORT");
                self.error(&format!("{key}.address"), message)
            })
        });
        let tls = match database.tls {
            Tls::VerifyFull => TlsMode::VerifyFull,
            Tls::VerifyCa => TlsMode::VerifyCa,
            Tls::Disable => TlsMode::Disable,
        };
        let roots = match database.ca_file {
            None => Roots::ByEndpoint,
            Some(file) => Roots::File(paths::resolve(self.base, &file)),
        };
        let address = address.transpose()?;
        let only = matches!(credential, Credential::Dsql { .. }).then(|| DSQL_DATABASE.to_owned());
        let name = database.name.or(only);
        Ok(Database { location, port: database.port, address, name, tls, roots })
    }

    fn location(
        &self,
        key: &str,
        database: &schema::Database,
        credential: &Credential,
    ) -> Result<Location, ConfigError> {
        let own_secret = matches!(credential, Credential::SecretsManager { secret: Some(_), .. });
        let location = match (&database.host, &database.cluster, &database.instance) {
            (Some(host), None, None) => Location::Host(host.clone()),
            (None, Some(name), None) => {
                let role = match database.role {
                    Some(schema::Role::Reader) => Role::Reader,
                    Some(schema::Role::Writer) | None => Role::Writer,
                };
                return self
                    .named(key, "cluster", name)
                    .map(|name| Location::Cluster { name, role });
            }
            (None, None, Some(name)) => Location::Instance(self.named(key, "instance", name)?),
            (None, None, None) if own_secret => Location::Secret,
            (None, None, None) => {
                return Err(self.error(key, "needs one of host, cluster and instance"));
            }
            _ => return Err(self.error(key, "has more than one of host, cluster and instance")),
        };
        if database.role.is_some() {
            let message = "chooses between the endpoints of a cluster: it needs cluster";
            return Err(self.error(&format!("{key}.role"), message));
        }
        match &location {
            Location::Host(host) => self.named(key, "host", host).map(|_| location),
            _ => Ok(location),
        }
    }

    fn named(&self, key: &str, what: &str, name: &str) -> Result<String, ConfigError> {
        if name.is_empty() {
            return Err(self.error(&format!("{key}.{what}"), "is empty"));
        }
        Ok(name.to_owned())
    }
}

/// `HOST`, `HOST:PORT`, `IPV6` or `[IPV6]:PORT`.
fn parse_address(text: &str) -> Option<Address> {
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some(Address { host: address.ip().to_string(), port: Some(address.port()) });
    }
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Some(Address { host: text.to_owned(), port: None });
    }
    let (host, port) = match text.split_once(':') {
        None => (text, None),
        Some((host, port)) => (host, Some(port.parse().ok()?)),
    };
    (!host.is_empty()).then(|| Address { host: host.to_owned(), port })
}
