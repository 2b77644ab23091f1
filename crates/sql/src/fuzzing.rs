//! What must hold of SQL whatever comes in, as a function of arbitrary bytes.
//!
//! A fuzzer calls it with what it makes up (`fuzz/` at the top of the repository), and the tests of
//! this crate with a corpus and mutations of it.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a broken promise ends the run, and nobody but fuzzers and tests gets here"
)]

use std::collections::BTreeSet;

use crate::{
    Backslashes, Bound, Plan, Rewritten, Statement, Token, TokenKind, literal, statements, tokens,
};

mod scanner;

/// The input is a query string; a first line `escapes` says that its backslashes are. It panics when a
/// promise is broken.
pub fn sql(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (sql, backslashes) = match text.strip_prefix("escapes\n") {
        Some(sql) => (sql, Backslashes::Escape),
        None => (text.as_ref(), Backslashes::Literal),
    };
    check_tokens(sql, backslashes);
    let found = statements(sql, backslashes);
    check_statements(sql, &found);
    for statement in &found {
        check_meaning(statement);
        let plan = Plan { types: &["int4".to_owned()], columns: &[], limit: usize::MAX };
        let rewritten = statement.rewrite(&plan).expect("no limit");
        check_positions(statement, &rewritten);
        check_placeholders(statement, &rewritten);
        check_lifting(statement);
    }
}

/// They follow each other, with whitespace between, and each is one by itself.
fn check_tokens(sql: &str, backslashes: Backslashes) {
    let mut end = 0;
    for token in tokens(sql, backslashes) {
        let gap = sql.get(end..token.span.start).expect("in order, and between characters");
        assert!(gap.bytes().all(|byte| byte.is_ascii_whitespace() || byte == 0x0b), "{gap:?}");
        let text = token.text(sql);
        assert!(!text.is_empty());
        let alone: Vec<Token> = tokens(text, backslashes).collect();
        assert_eq!(alone, [Token { kind: token.kind, span: 0..text.len() }], "{text:?}");
        if let TokenKind::String(quoting) = token.kind
            && let Some(value) = literal::string(quoting, text, backslashes)
        {
            let quoted = literal::quoted(&value);
            let again = tokens(&quoted, backslashes).next().expect("a token");
            let TokenKind::String(quoting) = again.kind else { panic!("{quoted} is {again:?}") };
            assert_eq!(literal::string(quoting, &quoted, backslashes), Some(value), "{quoted}");
        }
        literal::name(token.kind, text);
        end = token.span.end;
    }
    let rest = sql.get(end..).expect("between characters");
    assert!(rest.bytes().all(|byte| byte.is_ascii_whitespace() || byte == 0x0b), "{rest:?}");
}

/// They are in order, and put together again they are the same.
fn check_statements(sql: &str, found: &[Statement<'_>]) {
    let mut end = 0;
    for statement in found {
        assert!(end <= statement.span().start);
        assert_eq!(sql.get(statement.span()), Some(statement.text()));
        let before = &sql[..statement.span().start];
        assert_eq!(statement.characters_before(), before.chars().count());
        end = statement.span().end;
    }
    let Some(first) = found.first() else { return };
    let texts: Vec<&str> = found.iter().map(Statement::text).collect();
    let joined = texts.join("\n;");
    let again = statements(&joined, first.backslashes());
    assert_eq!(again.iter().map(Statement::text).collect::<Vec<_>>(), texts);
}

/// It has a class, an effect, and parts that are in it.
fn check_meaning(statement: &Statement<'_>) {
    let class = statement.classify();
    let effect = statement.effect();
    class.command_tag(1);
    if let crate::Class::Malformed { at } = class {
        assert!(statement.text().is_char_boundary(at));
    }
    let all = statement.part(0..statement.text().len()).expect("itself");
    assert_eq!((all.text(), all.effect()), (statement.text(), effect));
}

/// A way to and fro ends where it began, or where what was replaced begins.
fn check_positions(statement: &Statement<'_>, rewritten: &Rewritten) {
    let first = statement.characters_before() + 1;
    for position in first..=first + statement.text().chars().count() {
        let there = rewritten.map.to_rewritten(position);
        assert!(there <= rewritten.sql.chars().count() + 1);
        let back = rewritten.map.to_source(there);
        assert!(back <= position, "{position} came back as {back}");
        assert_eq!(rewritten.map.to_rewritten(back), there);
    }
}

/// Whoever looks for placeholders finds those that are bound, each as often as its parameter is used.
fn check_placeholders(statement: &Statement<'_>, rewritten: &Rewritten) {
    if !statement_is_clean(statement) {
        return;
    }
    let parameters = statement.parameters();
    let mut expected: Vec<String> =
        parameters.iter().map(|used| format!("p{}", used.number)).collect();
    expected.sort();
    for scanner in scanner::SCANNERS {
        let (bound, mut names) = scanner.bind(&rewritten.sql);
        names.sort();
        assert_eq!(names, expected, "{scanner:?} {bound}");
    }
    let bound: BTreeSet<String> =
        rewritten.bindings.iter().map(|binding| binding.name.clone()).collect();
    assert_eq!(bound, expected.into_iter().collect());
}

/// Whether nothing in it is a syntax error that the rewriting leaves to PostgreSQL to find.
fn statement_is_clean(statement: &Statement<'_>) -> bool {
    let words: Vec<&Token> = statement.words().collect();
    let string = |token: &Token| matches!(token.kind, TokenKind::String(_) | TokenKind::Bits);
    let beside = words.windows(2).any(|pair| string(pair[0]) && string(pair[1]));
    let strange = words.iter().any(|token| match token.kind {
        TokenKind::Unterminated => true,
        TokenKind::Bits | TokenKind::String(crate::Quoting::Unicode | crate::Quoting::National) => {
            token.text(statement.text()).contains('\\')
        }
        TokenKind::String(quoting) => {
            let text = token.text(statement.text());
            literal::string(quoting, text, statement.backslashes()).is_none()
        }
        _ => false,
    });
    !beside && !strange
}

/// What is lifted is what was there, and the text is as short as was asked.
fn check_lifting(statement: &Statement<'_>) {
    let columns = ["text".to_owned(), "jsonb".to_owned()];
    let length = statement.text().chars().count();
    for limit in [length / 2, length] {
        let plan = Plan { types: &[], columns: &columns, limit };
        let Ok(rewritten) = statement.rewrite(&plan) else { continue };
        assert!(rewritten.sql.chars().count() <= limit);
        for binding in &rewritten.bindings {
            if let Bound::Text(text) = &binding.value {
                assert!(rewritten.sql.contains(&format!("CAST(:{} AS ", binding.name)), "{text}");
            }
        }
    }
}

#[cfg(test)]
mod tests;
