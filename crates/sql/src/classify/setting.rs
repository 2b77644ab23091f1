//! Run-time parameters.

use super::transaction;
use crate::{
    class::{Class, Scope, Setting, Utility},
    token::TokenKind,
    words::Words,
};

/// Parameters that have words of their own instead of `name = value`.
const NAMED: [(&str, &str); 4] = [
    ("time zone", "timezone"),
    ("transaction isolation level", "transaction_isolation"),
    ("session authorization", "session_authorization"),
    ("xml option", "xmloption"),
];

pub(super) fn set(words: &mut Words<'_>) -> Option<Class> {
    if words.is("constraints") {
        let tag = "SET CONSTRAINTS".to_owned();
        return Some(Class::Utility(Utility { tag, alone: false, temporary: false }));
    }
    if words.take("session characteristics as transaction") {
        return transaction::set_defaults(words);
    }
    let mut scope = Scope::Session;
    if words.take("local") {
        scope = Scope::Local;
    } else if words.is("session") && !words.is_ahead(1, "authorization") && !is_assigned(words, 1) {
        words.next();
    }
    if words.is("transaction") && !is_assigned(words, 1) {
        words.next();
        return transaction::set(words);
    }
    let (name, values) = assignment(words)?;
    words.end()?;
    Some(Class::Setting(Setting::Set { scope, name, values }))
}

fn assignment(words: &mut Words<'_>) -> Option<(String, Option<Vec<String>>)> {
    if words.take("time zone") {
        let default = words.take("default") || words.take("local");
        let values = if default { None } else { Some(vec![time_zone(words)?]) };
        return Some(("timezone".to_owned(), values));
    }
    let peculiar = [
        ("names", "client_encoding"),
        ("schema", "search_path"),
        ("role", "role"),
        ("session authorization", "session_authorization"),
        ("xml option", "xmloption"),
    ];
    let assigned = is_assigned(words, 1);
    if let Some((_, name)) = peculiar.iter().find(|(text, _)| !assigned && words.take(text)) {
        let default = words.take("default") || *name == "client_encoding" && words.is_at_end();
        let value = if default { None } else { Some(vec![value(words)?]) };
        return Some(((*name).to_owned(), value));
    }
    let name = dotted(words)?;
    if !words.take("to") && !words.take_operator("=") {
        return None;
    }
    if words.take("default") {
        return Some((name, None));
    }
    let mut values = vec![value(words)?];
    while words.take_symbol(',') {
        values.push(value(words)?);
    }
    Some((name, Some(values)))
}

fn is_assigned(words: &Words<'_>, ahead: usize) -> bool {
    let token = words.look(ahead);
    words.is_ahead(ahead, "to") || token.is_some_and(|token| token.text(words.sql()) == "=")
}

/// An interval as it is written, or a value.
fn time_zone(words: &mut Words<'_>) -> Option<String> {
    if !words.is("interval") {
        return value(words);
    }
    let span = words.rest()?;
    while words.next().is_some() {}
    words.sql().get(span).map(str::to_owned)
}

fn value(words: &mut Words<'_>) -> Option<String> {
    words.string().or_else(|| words.number()).or_else(|| words.name())
}

/// A parameter's name, which has no quotes but where it is in parts.
fn dotted(words: &mut Words<'_>) -> Option<String> {
    let mut name = words.name()?;
    while words.peek().is_some_and(|token| token.kind == TokenKind::Symbol('.')) {
        words.next();
        name = format!("{name}.{}", words.name()?);
    }
    Some(name.to_ascii_lowercase())
}

pub(super) fn reset(words: &mut Words<'_>) -> Option<Class> {
    let name = if words.take("all") { None } else { Some(parameter(words)?) };
    words.end()?;
    Some(Class::Setting(Setting::Reset(name)))
}

pub(super) fn show(words: &mut Words<'_>) -> Option<Class> {
    let name = if words.take("all") { None } else { Some(parameter(words)?) };
    words.end()?;
    Some(Class::Setting(Setting::Show(name)))
}

fn parameter(words: &mut Words<'_>) -> Option<String> {
    match NAMED.iter().find(|(text, _)| words.take(text)) {
        Some((_, name)) => Some((*name).to_owned()),
        None => dotted(words),
    }
}
