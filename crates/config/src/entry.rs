//! The leaves of a TOML file with the lines they stand on.

use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What stands for a value that must not be shown.
pub(crate) const HIDDEN: &str = "[secret]";

/// A step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Into a table.
    Key(String),
    /// Into a list, counted from 0.
    Item(usize),
}

/// One value of the file, below all tables and lists, or a table without any.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The way to it.
    pub(crate) path: Vec<Step>,
    /// The value; [`HIDDEN`] for one that is a secret itself.
    pub(crate) value: Value,
    /// Its line, counted from 1.
    pub(crate) line: usize,
}

impl Entry {
    /// Whether it is a table with nothing in it: it sets nothing, but it may ask for something by
    /// being there.
    pub(crate) fn is_empty_table(&self) -> bool {
        self.value.as_object().is_some_and(serde_json::Map::is_empty)
    }

    /// The keys without the numbers of list items.
    pub(crate) fn keys(&self) -> Vec<&str> {
        keys(&self.path).collect()
    }
}

/// Every value of a parsed file, in the order of the keys.
pub(crate) fn entries(text: &str, table: &DeTable<'_>) -> Vec<Entry> {
    let mut walk = Walk { text, path: Vec::new(), entries: Vec::new() };
    walk.table(table);
    walk.entries
}

/// A path as it would be written in the file: `targets.dev.listen[0]`, `targets."a b".listen`.
pub(crate) fn dotted(path: &[Step]) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let written = |step: &Step| match step {
        Step::Item(index) => format!("[{index}]"),
        Step::Key(key) if key.chars().all(bare) && !key.is_empty() => format!(".{key}"),
        Step::Key(key) => format!(".{key:?}"),
    };
    let text: String = path.iter().map(written).collect();
    text.strip_prefix('.').unwrap_or(&text).to_owned()
}

fn keys(path: &[Step]) -> impl Iterator<Item = &str> {
    path.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Item(_) => None,
    })
}

/// Whether a key's value is a secret itself, and not the name of one.
fn holds_secret(path: &[Step]) -> bool {
    let Some(key) = keys(path).last() else { return false };
    // Of Secrets Manager: the ARN or name of a secret, and what its JSON calls the password.
    let of_aws = matches!(
        keys(path).collect::<Vec<_>>().as_slice(),
        ["targets", _, "credential", "secret" | "password_key"]
    );
    let names = ["password", "passphrase", "secret", "token"];
    let names_one = ["_file", "_env", "_command", "_arn"].iter().any(|end| key.ends_with(end));
    names.iter().any(|name| key.contains(name)) && !names_one && !of_aws
}

struct Walk<'a> {
    text: &'a str,
    path: Vec<Step>,
    entries: Vec<Entry>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            self.path.push(Step::Key(key.get_ref().to_string()));
            self.value(value);
            self.path.pop();
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>) {
        let span = value.span();
        match value.get_ref() {
            DeValue::Table(table) if table.is_empty() => {
                let line = self.line(span);
                let value = Value::Object(serde_json::Map::new());
                self.entries.push(Entry { path: self.path.clone(), value, line });
            }
            DeValue::Table(table) => self.table(table),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.push(Step::Item(index));
                    self.value(item);
                    self.path.pop();
                }
            }
            leaf => {
                let hidden = holds_secret(&self.path);
                let value = if hidden { HIDDEN.into() } else { scalar(leaf) };
                // The line of the value, because a key may be spread over a table's head.
                let line = self.line(span);
                self.entries.push(Entry { path: self.path.clone(), value, line });
            }
        }
    }

    fn line(&self, span: Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or_default();
        before.matches('\n').count() + 1
    }
}

fn scalar(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(yes) => (*yes).into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| number.as_str().into(), Value::from),
        DeValue::Float(number) => {
            number.as_str().parse::<f64>().map_or_else(|_| number.as_str().into(), Value::from)
        }
        other => other.as_str().map_or(Value::Null, Value::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, Value, usize)> {
        let table = DeTable::parse(text).unwrap();
        let entries = entries(text, table.get_ref());
        entries.into_iter().map(|e| (dotted(&e.path), e.value, e.line)).collect()
    }

    #[test]
    fn every_leaf_has_its_key_and_its_line_however_it_is_written() {
        let text = "[a.\"b c\"]\nd = [1, { e = \"x\" }]\n\n'f' = true\na.b = 0x10\n";
        let wanted = [
            ("a.\"b c\".a.b", 16.into(), 5),
            ("a.\"b c\".d[0]", 1.into(), 2),
            ("a.\"b c\".d[1].e", "x".into(), 2),
            ("a.\"b c\".f", true.into(), 4),
        ];
        assert_eq!(read(text), wanted.map(|(key, value, line)| (key.to_owned(), value, line)));
    }

    #[test]
    fn a_secret_is_hidden_and_the_name_of_one_is_not() {
        let text = "password = \"hunter2\"\npassword_env = \"PW\"\nsecrets.x.env = \"Y\"\n\
                    api_token = \"hunter2\"\n[x]\nkey_passphrase = \"hunter2\"\n\
                    [targets.a.credential]\nsecret = \"prod/db\"\npassword_key = \"pw\"\n\
                    password_command = [\"pass\", \"db\"]\n[transports.a]\nsecret = \"hunter2\"\n";
        let shown = format!("{:?}", read(text));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("prod/db") && shown.contains("\"pw\""), "{shown}");
        assert!(shown.contains("\"pass\""), "{shown}");
        assert!(shown.contains("PW") && shown.contains("\"Y\""), "{shown}");
    }
}
