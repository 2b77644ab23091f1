//! Statements that are told by their first words, and their command tags.
//!
//! Source: `src/include/tcop/cmdtaglist.h`, and `CreateCommandTag` in `src/backend/tcop/utility.c`.

use crate::{
    class::{Class, CreateAs, Utility},
    token::{Token, TokenKind},
    words::Words,
};

/// What `CREATE`, `ALTER` and `DROP` are about. The second is its name in the tag, if that is another.
const OBJECTS: &[(&str, &str)] = &[
    ("access method", ""),
    ("aggregate", ""),
    ("cast", ""),
    ("collation", ""),
    ("default conversion", "conversion"),
    ("default privileges", ""),
    ("conversion", ""),
    ("database", ""),
    ("domain", ""),
    ("event trigger", ""),
    ("extension", ""),
    ("foreign data wrapper", ""),
    ("foreign table", ""),
    ("function", ""),
    ("group", "role"),
    ("unique index", "index"),
    ("index", ""),
    ("trusted procedural language", "language"),
    ("procedural language", "language"),
    ("trusted language", "language"),
    ("language", ""),
    ("large object", ""),
    ("materialized view", ""),
    ("operator class", ""),
    ("operator family", ""),
    ("operator", ""),
    ("owned", ""),
    ("policy", ""),
    ("procedure", ""),
    ("publication", ""),
    ("role", ""),
    ("routine", ""),
    ("rule", ""),
    ("schema", ""),
    ("sequence", ""),
    ("server", ""),
    ("statistics", ""),
    ("subscription", ""),
    ("system", ""),
    ("tablespace", ""),
    ("table", ""),
    ("text search configuration", ""),
    ("text search dictionary", ""),
    ("text search parser", ""),
    ("text search template", ""),
    ("transform", ""),
    ("constraint trigger", "trigger"),
    ("trigger", ""),
    ("type", ""),
    ("user mapping", ""),
    ("user", "role"),
    ("recursive view", "view"),
    ("view", ""),
];

/// The other verbs and their tags.
const VERBS: &[(&str, &str)] = &[
    ("analyse", "ANALYZE"),
    ("analyze", "ANALYZE"),
    ("checkpoint", "CHECKPOINT"),
    ("cluster", "CLUSTER"),
    ("comment", "COMMENT"),
    ("import foreign schema", "IMPORT FOREIGN SCHEMA"),
    ("load", "LOAD"),
    ("reassign owned", "REASSIGN OWNED"),
    ("refresh materialized view", "REFRESH MATERIALIZED VIEW"),
    ("reindex", "REINDEX"),
    ("security label", "SECURITY LABEL"),
    ("truncate", "TRUNCATE TABLE"),
    ("vacuum", "VACUUM"),
];

/// None if it is nothing of these.
pub(super) fn read(words: &Words<'_>) -> Option<Class> {
    for (verb, class) in [("call", Class::Call), ("do", Class::Do), ("lock", Class::Lock)] {
        if words.is(verb) {
            return Some(class);
        }
    }
    let mut words = words.clone();
    if words.take("create") {
        return create(words);
    }
    let tag = if let Some(verb) = ["alter", "drop"].iter().find(|verb| words.take(verb)) {
        format!("{} {}", verb.to_ascii_uppercase(), object(&mut words)?)
    } else if let Some(verb) = ["grant", "revoke"].iter().find(|verb| words.take(verb)) {
        // Without `ON`, roles are given and not privileges.
        let role = if has(&words, "on") { "" } else { " ROLE" };
        format!("{}{role}", verb.to_ascii_uppercase())
    } else {
        let (_, tag) = VERBS.iter().find(|(verb, _)| words.take(verb))?;
        (*tag).to_owned()
    };
    let alone = is_alone(&tag, &words);
    Some(Class::Utility(Utility { tag, alone, temporary: false }))
}

fn object(words: &mut Words<'_>) -> Option<String> {
    let (words, tag) = OBJECTS.iter().find(|(object, _)| words.take(object))?;
    Some(if tag.is_empty() { words } else { tag }.to_ascii_uppercase())
}

fn create(mut words: Words<'_>) -> Option<Class> {
    words.take("or replace");
    if !words.take("global") {
        words.take("local");
    }
    let mut temporary = words.take("temporary") || words.take("temp");
    words.take("unlogged");
    let object = object(&mut words)?;
    words.take("if not exists");
    temporary |= words.is("pg_temp") && words.look(1).is_some_and(is_dot);
    let materialized = object == "MATERIALIZED VIEW";
    if materialized || object == "TABLE" && has(&words, "as") {
        let with_data = !ends_with_no_data(&words);
        return Some(Class::CreateAs(CreateAs { materialized, temporary, with_data }));
    }
    let tag = format!("CREATE {object}");
    let alone = is_alone(&tag, &words);
    Some(Class::Utility(Utility { tag, alone, temporary }))
}

fn is_dot(token: &Token) -> bool {
    token.kind == TokenKind::Symbol('.')
}

fn ends_with_no_data(words: &Words<'_>) -> bool {
    let last: Vec<&Token> = words.all().collect();
    let last = last.iter().rev().zip(["data", "no", "with"]);
    last.filter(|(token, word)| token.is(word, words.sql())).count() == 3
}

/// Whether the word is there, outside of parentheses.
fn has(words: &Words<'_>, word: &str) -> bool {
    let mut depth = 0_usize;
    words.all().any(|token| {
        match token.kind {
            TokenKind::Symbol('(') => depth += 1,
            TokenKind::Symbol(')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.is(word, words.sql())
    })
}

/// Whether PostgreSQL refuses it in a transaction block. `words` are behind those of the tag.
fn is_alone(tag: &str, words: &Words<'_>) -> bool {
    let mut words = words.clone();
    match tag {
        "VACUUM"
        | "CREATE DATABASE"
        | "DROP DATABASE"
        | "CREATE TABLESPACE"
        | "DROP TABLESPACE"
        | "ALTER SYSTEM"
        | "CREATE SUBSCRIPTION"
        | "DROP SUBSCRIPTION" => true,
        "CREATE INDEX" | "DROP INDEX" => words.is("concurrently"),
        "ALTER TABLE" => has(&words, "detach") && has(&words, "concurrently"),
        "ALTER DATABASE" => {
            words.next();
            words.take("set tablespace")
        }
        "CLUSTER" => {
            words.parenthesised();
            words.take("verbose");
            words.is_at_end()
        }
        "REINDEX" => {
            let options = words.clone().parenthesised().unwrap_or_default();
            let options = words.sql().get(options).unwrap_or_default().to_ascii_lowercase();
            words.parenthesised();
            words.is_any(&["schema", "database", "system"])
                || words.is_ahead(1, "concurrently")
                || options.contains("concurrently")
        }
        _ => false,
    }
}
