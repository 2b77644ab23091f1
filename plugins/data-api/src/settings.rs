//! What the application has set: `SET`, `RESET`, `SHOW`, which the service's sessions do not keep. Pure.
//!
//! A setting that changes results goes with every statement from then on (see [`crate::work`]); one that changes
//! nothing over the Data API is only remembered.

use std::collections::BTreeMap;

/// The settings of a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    now: Values,
    /// As they were when the transaction began, if it has changed any.
    before: Option<Values>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Values {
    /// What is remembered here, and nowhere else.
    remembered: BTreeMap<String, String>,
    /// What goes with every statement.
    carried: BTreeMap<String, String>,
}

/// What a `SET` needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing: it changes nothing here.
    Harmless,
    /// The database has to take the value, and it goes with every statement.
    Carried,
    /// It would change how values are written, which this transport relies on.
    Fixed(&'static str),
}

impl Settings {
    /// The value, if the application has set one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let Values { remembered, carried } = &self.now;
        remembered.get(name).or_else(|| carried.get(name)).map(String::as_str)
    }

    /// What goes with every statement.
    pub(crate) fn carried(&self) -> &BTreeMap<String, String> {
        &self.now.carried
    }

    /// Sets a value, which is undone with the transaction if there is one.
    pub(crate) fn set(&mut self, name: &str, value: &str, kind: Kind, in_transaction: bool) {
        self.keep(in_transaction);
        let Values { remembered, carried } = &mut self.now;
        let (values, others) = match kind {
            Kind::Harmless | Kind::Fixed(_) => (remembered, carried),
            Kind::Carried => (carried, remembered),
        };
        others.remove(name);
        values.insert(name.to_owned(), value.to_owned());
    }

    /// Forgets a value; without a name all of them.
    pub(crate) fn reset(&mut self, name: Option<&str>, in_transaction: bool) {
        self.keep(in_transaction);
        let Values { remembered, carried } = &mut self.now;
        match name {
            Some(name) => {
                remembered.remove(name);
                carried.remove(name);
            }
            None => self.now = Values::default(),
        }
    }

    /// The transaction was undone, and what it had set with it.
    pub(crate) fn undo(&mut self) {
        if let Some(before) = self.before.take() {
            self.now = before;
        }
    }

    /// The transaction has ended, and what it had set holds.
    pub(crate) fn end(&mut self) {
        self.before = None;
    }

    fn keep(&mut self, in_transaction: bool) {
        if in_transaction && self.before.is_none() {
            self.before = Some(self.now.clone());
        }
    }
}

impl Kind {
    /// What a value of this setting needs.
    pub(crate) fn of(name: &str, value: &str) -> Self {
        let lower = value.to_ascii_lowercase();
        let is = |wanted: &[&str]| wanted.contains(&lower.as_str());
        let only = |fine: bool, what| if fine { Self::Harmless } else { Self::Fixed(what) };
        match name {
            "application_name" | "extra_float_digits" | "client_min_messages" => Self::Harmless,
            "client_encoding" => only(is(&["utf8", "utf-8", "unicode"]), "UTF8"),
            "datestyle" => only(lower.starts_with("iso"), "ISO"),
            "intervalstyle" => only(lower == "postgres", "postgres"),
            "bytea_output" => only(lower == "hex", "hex"),
            "standard_conforming_strings" => only(is(&["on", "true", "1", "yes"]), "on"),
            "timezone" if is(&["utc", "etc/utc"]) => Self::Harmless,
            "statement_timeout"
            | "lock_timeout"
            | "idle_in_transaction_session_timeout"
            | "idle_session_timeout"
            | "transaction_timeout"
                if is(&["0", "0ms", "0s"]) =>
            {
                Self::Harmless
            }
            _ => Self::Carried,
        }
    }
}

/// The setting's name as `ParameterStatus` has it. None: applications are not told of it.
///
/// Source: <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC>
pub(crate) fn reported(name: &str) -> Option<&'static str> {
    let known = [
        "application_name",
        "client_encoding",
        "DateStyle",
        "default_transaction_read_only",
        "IntervalStyle",
        "search_path",
        "session_authorization",
        "standard_conforming_strings",
        "TimeZone",
    ];
    known.into_iter().find(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_changes_nothing_here_is_only_remembered() {
        assert_eq!(Kind::of("application_name", "psql"), Kind::Harmless);
        assert_eq!(Kind::of("datestyle", "ISO, MDY"), Kind::Harmless);
        assert_eq!(Kind::of("search_path", "shop"), Kind::Carried);
        assert_eq!(Kind::of("statement_timeout", "0"), Kind::Harmless);
        assert_eq!(Kind::of("statement_timeout", "5s"), Kind::Carried);
        assert_eq!(Kind::of("datestyle", "German"), Kind::Fixed("ISO"));
        assert_eq!(Kind::of("timezone", "Europe/Berlin"), Kind::Carried);
    }

    #[test]
    fn a_setting_that_is_back_to_what_it_was_is_carried_no_more() {
        let mut settings = Settings::default();
        settings.set("timezone", "Europe/Berlin", Kind::Carried, false);
        settings.set("timezone", "UTC", Kind::of("timezone", "UTC"), false);
        assert_eq!(settings.get("timezone"), Some("UTC"));
        assert!(settings.carried().is_empty());
    }

    #[test]
    fn what_a_transaction_sets_is_undone_with_it() {
        let mut settings = Settings::default();
        settings.set("search_path", "a", Kind::Carried, false);
        settings.set("search_path", "b", Kind::Carried, true);
        settings.set("app.user", "jo", Kind::Carried, true);
        settings.undo();
        assert_eq!(settings.get("search_path"), Some("a"));
        assert_eq!(settings.get("app.user"), None);
        settings.set("search_path", "c", Kind::Carried, true);
        settings.end();
        settings.undo();
        assert_eq!(settings.carried().get("search_path").map(String::as_str), Some("c"));
        settings.reset(None, false);
        assert!(settings.carried().is_empty());
    }
}
