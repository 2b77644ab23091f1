//! One version of a secret, read for what a login needs. Pure.

use std::time::SystemTime;

use secrecy::SecretString;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::lookup::Endpoint;
use crate::{CredentialError, Secret};

/// The keys that RDS, the rotation functions of AWS and its consoles write, then libpq's words.
/// Source: "JSON structure of AWS Secrets Manager secrets" of the Secrets Manager user guide.
const USER: [&str; 2] = ["username", "user"];
const PASSWORD: [&str; 1] = ["password"];
const HOST: [&str; 2] = ["host", "hostname"];
const DATABASE: [&str; 2] = ["dbname", "database"];
const PORT: &str = "port";
/// `PostgreSQL`'s own, where nobody says another.
const DEFAULT_PORT: u16 = 5432;

/// What a version of a secret says.
#[derive(Clone)]
pub(crate) struct Version {
    /// Secrets Manager's name for it.
    pub(crate) id: String,
    pub(crate) created: Option<SystemTime>,
    pub(crate) user: String,
    pub(crate) password: SecretString,
    pub(crate) database: Option<String>,
    secret: String,
    host: Option<String>,
    port: Option<u16>,
}

/// A version as Secrets Manager gives it.
pub(super) struct Raw {
    /// The secret's name or ARN, for messages.
    pub(super) secret: String,
    pub(super) id: String,
    pub(super) created: Option<SystemTime>,
    /// None for a binary one.
    pub(super) text: Option<Zeroizing<String>>,
}

impl Version {
    /// Reads it in the shape it has: an object of JSON, or else the password and nothing more.
    pub(super) fn read(raw: Raw, wanted: &Secret) -> Result<Self, CredentialError> {
        let Raw { secret, id, created, text } = raw;
        let unusable = |why: String, fix| {
            let secret = secret.clone();
            CredentialError::UnusableSecret { secret, why, fix }
        };
        let Some(text) = text else {
            let why = "is binary".to_owned();
            return Err(unusable(
                why,
                "store it as text: a JSON object with username and password",
            ));
        };
        let mut fields = match serde_json::from_str(&text) {
            Ok(Value::Object(fields)) => Fields { fields, plain: false },
            _ if wanted.password_key.is_some() => {
                let why = "is no JSON object, and so has no keys".to_owned();
                return Err(unusable(why, "leave password_key out, or store it as a JSON object"));
            }
            _ => Fields::of_password(&text),
        };
        let user = match (&wanted.user, &wanted.user_key) {
            (Some(user), _) => Some(user.clone()),
            (None, Some(key)) => fields.take(&[key.as_str()]),
            (None, None) => fields.take(&USER),
        };
        let Some(user) = user.filter(|user| !user.is_empty()) else {
            let why = format!("names no user{}", fields.known());
            return Err(unusable(why, "set user of the credential, or user_key"));
        };
        let password = match &wanted.password_key {
            Some(key) => fields.take(&[key.as_str()]),
            None => fields.take(&PASSWORD),
        };
        let Some(password) = password.filter(|password| !password.is_empty()) else {
            let why = format!("has no password{}", fields.known());
            return Err(unusable(why, "set password_key of the credential"));
        };
        let (host, port, database) = (fields.take(&HOST), fields.port(), fields.take(&DATABASE));
        let password = SecretString::from(password);
        let (host, database) = (filled(host), filled(database));
        Ok(Self { id, created, user, password, database, secret, host, port })
    }

    /// Where the secret says that the database is.
    pub(crate) fn endpoint(&self, port: Option<u16>) -> Result<Endpoint, CredentialError> {
        let Some(host) = self.host.clone() else {
            return Err(CredentialError::UnusableSecret {
                secret: self.secret.clone(),
                why: "does not say where the database is".to_owned(),
                fix: "set host, cluster or instance of the database",
            });
        };
        let port = port.or(self.port).unwrap_or(DEFAULT_PORT);
        Ok(Endpoint { host, port, told: false })
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// The object's members. What is left of them is cleared on drop.
struct Fields {
    fields: Map<String, Value>,
    plain: bool,
}

impl Fields {
    /// A text that is no object: one line that somebody may have ended.
    fn of_password(text: &str) -> Self {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let [key] = PASSWORD;
        let fields = Map::from_iter([(key.to_owned(), Value::from(line))]);
        Self { fields, plain: true }
    }

    /// The first text there is.
    fn take(&mut self, keys: &[&str]) -> Option<String> {
        let key = keys.iter().find(|key| self.fields.get(**key).is_some_and(Value::is_string))?;
        match self.fields.remove(*key) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// A number, or a text of one: functions and people write both.
    fn port(&self) -> Option<u16> {
        let port = match self.fields.get(PORT)? {
            Value::Number(number) => number.as_u64().and_then(|port| u16::try_from(port).ok()),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        port.filter(|port| *port != 0)
    }

    /// Which keys there are, for a person who looks for one.
    fn known(&self) -> String {
        if self.plain {
            return ": it is a plain text".to_owned();
        }
        let keys: Vec<&str> = self.fields.keys().map(String::as_str).collect();
        format!(
            "; its other keys: {}",
            if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
        )
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        for value in self.fields.values_mut() {
            if let Value::String(text) = value {
                zeroize::Zeroize::zeroize(text);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
