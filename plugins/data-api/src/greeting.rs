//! The opening of a session: what the application says first, and what it is told of the database.

use std::collections::BTreeMap;

use pgferry_pg::CancelKey;
use pgferry_pg::message::backend;
use pgferry_pg::startup::StartupMessage;

use crate::api::{Api, Call, Field};
use crate::failure::{Effect, Failure};
use crate::fault::Fault;
use crate::patience::{Access, Patient};
use crate::refusal;
use crate::wire::backend::Answers;

/// What applications are told of a database, which is asked once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// By the names of `ParameterStatus`.
    pub(crate) parameters: BTreeMap<&'static str, String>,
}

impl Facts {
    /// Asks the database; a paused cluster resumes.
    ///
    /// Errors: why the database cannot be reached.
    ///
    /// Cancel safety: nothing is lost.
    pub(crate) async fn ask<A: Api>(calls: &Patient<A>) -> Result<Self, Failure> {
        let settings = ASKED.map(|name| format!("pg_catalog.current_setting('{name}')"));
        let sql = format!(
            "SELECT {}, pg_catalog.current_setting('search_path'), session_user::text",
            settings.join(", ")
        );
        let outcome = calls.execute(Call::new(sql), Access::Reads).await?;
        let row = outcome.rows.into_iter().next().unwrap_or_default();
        let texts: Option<Vec<String>> = row.into_iter().map(text).collect();
        let texts = texts.filter(|texts| texts.len() == ASKED.len() + 2).ok_or_else(|| {
            let words = "the Data API's answer about the database's settings is not complete";
            Failure::new(Effect::Never, Fault::error(refusal::PROTOCOL, words))
        })?;
        let names = ASKED.into_iter().chain(["search_path", "session_authorization"]);
        let mut parameters: BTreeMap<_, _> = names.zip(texts).collect();
        if !tells_search_path(parameters.get("server_version")) {
            parameters.remove("search_path");
        }
        parameters.insert("client_encoding", "UTF8".to_owned());
        parameters.insert("in_hot_standby", "off".to_owned());
        Ok(Self { parameters })
    }

    /// What follows a login, but for `ReadyForQuery`.
    pub(crate) fn tell(&self, key: &CancelKey, application: &str, answers: &mut Answers) {
        answers.authentication_ok();
        answers.parameter_status("application_name", application);
        for (name, value) in &self.parameters {
            answers.parameter_status(name, value);
        }
        if let Ok(message) = backend::backend_key_data(key) {
            answers.raw(&message);
        }
    }
}

fn text(field: Field) -> Option<String> {
    match field {
        Field::Text(text) => Some(text),
        _ => None,
    }
}

/// PostgreSQL 18 does.
fn tells_search_path(version: Option<&String>) -> bool {
    let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| major >= 18)
}

/// Settings that the application asks for as it connects, in its order: those of the packet, then those of
/// `options`.
pub(crate) fn wanted(startup: &StartupMessage) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut wanted = Vec::new();
    for (name, value) in &startup.parameters {
        match &name[..] {
            b"user" | b"database" | b"replication" => {}
            b"options" => wanted.extend(options(&text(value))),
            name if name.starts_with(b"_pq_.") => {}
            name => wanted.push((text(name).to_ascii_lowercase(), text(value))),
        }
    }
    wanted
}

/// `-c name=value` and `--name=value`; a backslash takes the next character as it is.
///
/// Source: `process_postgres_switches` and `pg_split_opts` in PostgreSQL's `src/backend`.
fn options(text: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                if let (Some(word), Some(next)) = (words.last_mut(), characters.next()) {
                    word.push(next);
                }
            }
            blank if blank.is_whitespace() => words.push(String::new()),
            other => {
                if let Some(word) = words.last_mut() {
                    word.push(other);
                }
            }
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let pair = match word.strip_prefix("--") {
            Some(pair) => Some(pair.to_owned()),
            None => match word.strip_prefix("-c") {
                Some("") => words.next(),
                pair => pair.map(str::to_owned),
            },
        };
        if let Some((name, value)) = pair.as_deref().and_then(|pair| pair.split_once('=')) {
            found.push((name.replace('-', "_").to_ascii_lowercase(), value.to_owned()));
        }
    }
    found
}

const ASKED: [&str; 8] = [
    "server_version",
    "server_encoding",
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "integer_datetimes",
    "is_superuser",
    "standard_conforming_strings",
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::api::Outcome;
    use crate::fake::Fake;

    #[test]
    fn options_are_read_as_a_command_line() {
        let pairs = |text: &str| options(text);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            pairs(r"-c search_path=a\ b -cgeqo=off --statement-timeout=5s"),
            [pair("search_path", "a b"), pair("geqo", "off"), pair("statement_timeout", "5s")]
        );
        assert!(pairs("-c").is_empty() && pairs("nonsense").is_empty());
    }

    #[tokio::test]
    async fn the_database_is_told_as_it_is() {
        let texts =
            ["17.4", "UTF8", "ISO, MDY", "postgres", "UTC", "on", "off", "on", "public", "jo"];
        let row = texts.map(|text| Field::Text(text.to_owned())).to_vec();
        let fake = Fake::answering([Ok(Outcome { rows: vec![row], ..Outcome::default() })]);
        let calls = Patient::new(Arc::clone(&fake), Duration::ZERO);
        let facts = Facts::ask(&calls).await.unwrap();
        assert_eq!(facts.parameters["server_version"], "17.4");
        assert_eq!(facts.parameters["session_authorization"], "jo");
        assert!(!facts.parameters.contains_key("search_path"));
    }
}
