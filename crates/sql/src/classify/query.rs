//! Queries, changes, and what holds one.

use crate::{
    class::{Change, Class, Explain, Query, Verb},
    token::{Token, TokenKind},
    words::Words,
};

const VERBS: [(&str, Verb); 4] = [
    ("insert", Verb::Insert),
    ("update", Verb::Update),
    ("delete", Verb::Delete),
    ("merge", Verb::Merge),
];

/// None if it is nothing of these.
pub(super) fn read(words: &Words<'_>) -> Option<Class> {
    let mut words = words.clone();
    if words.take("explain") {
        return Some(explain(words));
    }
    while words.take_symbol('(') {}
    if words.take("with") {
        skip_ctes(&mut words)?;
        while words.take_symbol('(') {}
    }
    if words.is_any(&["select", "values", "table"]) {
        return Some(Class::Query(Query {
            changes: changes_inside(&words),
            into: at_top(&words).any(|pair| is_into(&pair, words.sql())),
            locks: locks(&words),
        }));
    }
    let (_, verb) = VERBS.iter().find(|(word, _)| words.is(word))?;
    Some(Class::Change(Change {
        verb: *verb,
        returning: at_top(&words).any(|[before, token]| {
            token.is("returning", words.sql()) && !is_label(before, words.sql())
        }),
        changes: changes_inside(&words),
    }))
}

/// Takes `a (…) AS [NOT] [MATERIALIZED] (…) [SEARCH …] [CYCLE …], …`.
fn skip_ctes(words: &mut Words<'_>) -> Option<()> {
    words.take("recursive");
    loop {
        words.name()?;
        words.parenthesised();
        words.expect("as")?;
        words.take("not");
        words.take("materialized");
        words.parenthesised()?;
        if words.is_any(&["search", "cycle"]) {
            while !begins_statement(words) && !begins_cte(words) {
                words.next()?;
            }
        }
        if !words.take_symbol(',') {
            return Some(());
        }
    }
}

fn begins_statement(words: &Words<'_>) -> bool {
    words.is_symbol('(')
        || words.is_any(&["select", "values", "table", "with"])
        || VERBS.iter().any(|(verb, _)| words.is(verb))
}

/// Whether a comma and a further CTE come next, and no further column of `SEARCH … BY a, b`.
fn begins_cte(words: &Words<'_>) -> bool {
    let mut ahead = words.clone();
    let begun = ahead.take_symbol(',') && ahead.name().is_some();
    ahead.parenthesised();
    begun && ahead.is("as")
}

/// Each token with the one before it.
fn pairs<'a>(words: &'a Words<'_>) -> impl Iterator<Item = [&'a Token; 2]> {
    words.all().zip(words.all().skip(1)).map(|(before, token)| [before, token])
}

/// As [`pairs`], from the main statement on and outside of the parentheses in it.
fn at_top<'a>(words: &'a Words<'_>) -> impl Iterator<Item = [&'a Token; 2]> {
    let (start, mut depth) = (words.place(), 0_usize);
    pairs(words).filter(move |[_, token]| {
        match token.kind {
            _ if token.span.start <= start => {}
            TokenKind::Symbol('(') => depth += 1,
            TokenKind::Symbol(')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.span.start > start
    })
}

/// Whether what follows `before` is a name whatever word it is.
fn is_label(before: &Token, sql: &str) -> bool {
    before.kind == TokenKind::Symbol('.') || before.is("as", sql)
}

fn is_into([before, token]: &[&Token; 2], sql: &str) -> bool {
    let names = is_label(before, sql) || before.is("insert", sql) || before.is("merge", sql);
    token.is("into", sql) && !names
}

/// Whether a change is in parentheses: only a `WITH` may hold one.
fn changes_inside(words: &Words<'_>) -> bool {
    let sql = words.sql();
    let tokens: Vec<&Token> = words.all().collect();
    tokens.windows(3).any(|window| {
        let [before, verb, after] = window else { return false };
        let begins = matches!(before.kind, TokenKind::Symbol('(' | ')'));
        let goes_on = if verb.is("insert", sql) || verb.is("merge", sql) {
            after.is("into", sql)
        } else if verb.is("delete", sql) {
            after.is("from", sql)
        } else {
            verb.is("update", sql) && !matches!(after.kind, TokenKind::Symbol(_))
        };
        // The main statement itself stands behind the parenthesis of the last CTE.
        begins && goes_on && verb.span.start != words.place()
    })
}

/// `FOR UPDATE`, `FOR NO KEY UPDATE`, `FOR SHARE`, `FOR KEY SHARE`, of whatever part.
fn locks(words: &Words<'_>) -> bool {
    let sql = words.sql();
    pairs(words).any(|[before, token]| {
        before.is("for", sql)
            && ["update", "no", "share", "key"].iter().any(|word| token.is(word, sql))
    })
}

fn explain(mut words: Words<'_>) -> Class {
    let mut analyze = false;
    let options = words.look(1).is_some_and(|token| {
        let query = ["select", "values", "table", "with"];
        token.kind == TokenKind::Word && !query.iter().any(|word| token.is(word, words.sql()))
    });
    if words.is_symbol('(') && options {
        let before = words.clone();
        for option in words.list().unwrap_or_default() {
            analyze = is_on(&before, &option, &["analyze", "analyse"]).unwrap_or(analyze);
        }
    } else {
        analyze = words.take("analyze") || words.take("analyse");
        words.take("verbose");
    }
    match words.rest() {
        Some(body) => Class::Explain(Explain { analyze, body }),
        None => Class::Malformed { at: words.place() },
    }
}

/// Whether the option at `span` is switched on; none if it is not one of `names`.
fn is_on(words: &Words<'_>, span: &std::ops::Range<usize>, names: &[&str]) -> Option<bool> {
    let text = words.sql().get(span.clone())?;
    let mut parts = text.split_ascii_whitespace();
    let name = parts.next()?;
    let value = parts.next().unwrap_or("on").trim_matches('\'').to_ascii_lowercase();
    names
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
        .then(|| !["off", "false", "0"].contains(&value.as_str()))
}
