//! How SQL is read, held against `PostgreSQL`'s own scanner and parser: `libpg_query`, in pglast.
//!
//! `PGFERRY_SQL_CORPUS` names a directory of further `*.sql` files, such as those of `PostgreSQL`'s
//! regression tests.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::{
    fs,
    io::Write,
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use pgferry_sql::{
    Backslashes, Class, Quoting, Statement, TokenKind,
    class::{Cursor, Notification, Prepared, Setting, Transaction},
    statements, tokens,
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

/// What `PostgreSQL` says of one text; empty where it refuses it.
struct Reading {
    tokens: Vec<(Range<usize>, String)>,
    statements: Vec<Range<usize>>,
    kinds: Vec<String>,
}

fn readings(texts: &[String]) -> Vec<Reading> {
    let mut python = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libpg_query.py"))
        .env("PYTHONPATH", pglast())
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut input = python.stdin.take().expect("a pipe");
    let joined = texts.join("\0");
    // What it answers may fill the pipe before it has read everything.
    let writer = std::thread::spawn(move || input.write_all(joined.as_bytes()));
    let output = succeeded(python.wait_with_output().expect("Python ends"));
    writer.join().expect("no panic").expect("Python reads");
    let answer = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<&str> = answer.split('\n').collect();
    assert_eq!(lines.len(), 3 * texts.len() + 1);
    lines.chunks_exact(3).map(|lines| Reading::of(lines[0], lines[1], lines[2])).collect()
}

impl Reading {
    fn of(tokens: &str, statements: &str, kinds: &str) -> Self {
        let token = |text: &str| {
            let (span, name) = text.split_once(':').expect("a token");
            (span_of(span), name.to_owned())
        };
        Self {
            tokens: tokens.split_ascii_whitespace().map(token).collect(),
            statements: statements.split_ascii_whitespace().map(span_of).collect(),
            kinds: kinds.split_ascii_whitespace().map(str::to_owned).collect(),
        }
    }
}

fn span_of(text: &str) -> Range<usize> {
    let (start, end) = text.split_once('-').expect("a span");
    start.parse().expect("a number")..end.parse().expect("a number")
}

/// Where it is; fetched if it is nowhere.
fn pglast() -> PathBuf {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/install-python-library.sh");
    let output =
        succeeded(Command::new("sh").arg(script).arg("pglast").output().expect("sh starts"));
    String::from_utf8(output.stdout).expect("UTF-8").trim_end().into()
}

fn succeeded(output: Output) -> Output {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The statements of every file, and every file.
fn corpus() -> Vec<String> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let further = std::env::var_os("PGFERRY_SQL_CORPUS").map(PathBuf::from);
    let mut texts = Vec::new();
    for folder in [own].into_iter().chain(further) {
        let entries =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let bytes = fs::read(entry.expect("an entry").path()).expect("a file");
            let Ok(text) = String::from_utf8(bytes) else { continue };
            // psql's own commands are none of the server's.
            let lines = text.lines().filter(|line| !line.starts_with('\\'));
            let text = lines.collect::<Vec<_>>().join("\n").replace('\0', "");
            let found = statements(&text, Backslashes::Literal);
            texts.extend(found.iter().map(|statement| statement.text().to_owned()));
            texts.push(text);
        }
    }
    assert!(texts.len() > 200, "{}", texts.len());
    texts
}

/// Pieces in any order: what matters is where one ends and the next begins.
fn made_up() -> Vec<String> {
    let pieces = vec![
        "'", "''", "\\", "\\'", "E'", "e", "B'", "x'0", "N'", "U&'", "U&\"", "\"", "\"\"", "a",
        "é", "_b1", "$", "$$", "$a$", "$é$", "$1", "$12a", "1", "0", "0x", "0xF", "_", "1_0", ".",
        "..", "5.", "e1", "e+", "-", "--", "--c", "+", "*", "/", "/*", "*/", "@", "?", "<", ">",
        "=", "=>", "|", "!", ":", "::", ":=", ";", ",", "(", ")", "[", "]", " ", "\n", "\r", "\t",
        "\u{b}", "\u{a0}", "{", "select", "😀",
    ];
    let piece = proptest::sample::select(pieces);
    let text = proptest::collection::vec(piece, 1..24).prop_map(|pieces| pieces.concat());
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    (0..20_000).map(|_| text.new_tree(&mut runner).expect("a text").current()).collect()
}

/// Spans in characters.
fn characters(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text[..span.start].chars().count();
    start..start + text[span.clone()].chars().count()
}

/// Our tokens in `PostgreSQL`'s terms: `N'…'` is two.
fn ours(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    for token in tokens(text, Backslashes::Literal) {
        let mut span = token.span.clone();
        if token.kind == TokenKind::String(Quoting::National) {
            spans.push(span.start..span.start + 1);
            span.start += 1;
        }
        spans.push(span);
    }
    let (mut byte, mut count) = (0, 0);
    for span in &mut spans {
        let start = count + text[byte..span.start].chars().count();
        count = start + text[span.clone()].chars().count();
        byte = span.end;
        *span = start..count;
    }
    spans
}

#[test]
fn tokens_are_those_of_postgresqls_scanner() {
    let texts = [corpus(), made_up()].concat();
    let mut compared = 0;
    for (text, reading) in texts.iter().zip(readings(&texts)) {
        if reading.tokens.is_empty() {
            continue;
        }
        let theirs: Vec<_> = reading.tokens.iter().map(|(span, _)| span.clone()).collect();
        assert_eq!(ours(text), theirs, "{text:?}\n{:?}", reading.tokens);
        compared += 1;
    }
    assert!(compared > 5000, "only {compared} of {} texts are right ones", texts.len());
}

#[test]
fn statements_are_those_of_postgresqls_parser() {
    let corpus = corpus();
    let right: Vec<&String> = corpus
        .iter()
        .zip(readings(&corpus))
        .filter(|(_, reading)| !reading.statements.is_empty())
        .map(|(text, _)| text)
        .collect();
    let joined: Vec<String> = right
        .chunks(3)
        .map(|texts| {
            texts.iter().map(|text| format!("{text}\n; /* ; */ ;")).collect::<Vec<_>>().concat()
        })
        .collect();
    assert!(joined.len() > 60, "{}", joined.len());
    for (text, reading) in joined.iter().zip(readings(&joined)) {
        let found = statements(text, Backslashes::Literal);
        let spans: Vec<_> = found
            .iter()
            .map(|statement| {
                // The parser knows nothing of the comments around a statement.
                let first = statement.words().next().expect("a token").span.start;
                let last = statement.words().next_back().expect("a token").span.end;
                let start = statement.span().start;
                characters(text, &(start + first..start + last))
            })
            .collect();
        let theirs: Vec<_> = reading
            .statements
            .iter()
            .map(|span| {
                let part: String = text.chars().skip(span.start).take(span.len()).collect();
                // A comment may be before its semicolon.
                let code = tokens(&part, Backslashes::Literal).filter(|token| !token.is_comment());
                let end = code.last().map_or(0, |token| token.span.end);
                span.start..span.start + part[..end].chars().count()
            })
            .collect();
        assert_eq!(spans, theirs, "{text}");
        for statement in &found {
            let characters = text[..statement.span().start].chars().count();
            assert_eq!(statement.characters_before(), characters);
        }
    }
}

#[test]
fn classes_are_those_of_postgresqls_parser() {
    let texts = corpus();
    let (mut compared, mut wrong) = (0, Vec::new());
    for (text, reading) in texts.iter().zip(readings(&texts)) {
        let found = statements(text, Backslashes::Literal);
        if reading.kinds.len() != found.len() {
            continue;
        }
        for (statement, kind) in found.iter().zip(&reading.kinds) {
            let class = statement.classify();
            if !fits(&class, kind, statement) {
                wrong.push(format!("{kind} is {class:?}: {}", statement.text()));
            }
            compared += 1;
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 200, "{compared}");
}

/// Whether a class is that of what the parser makes of the same text.
fn fits(class: &Class, kind: &str, statement: &Statement<'_>) -> bool {
    match kind.strip_prefix("VariableSetStmt.") {
        Some(rest) => setting(class, rest, statement),
        None => node(class).map_or_else(|| !NODES.contains(&kind), |node| node == kind),
    }
}

/// Of what there is a class of its own for.
const NODES: [&str; 12] = [
    "SelectStmt",
    "InsertStmt",
    "UpdateStmt",
    "DeleteStmt",
    "MergeStmt",
    "FetchStmt",
    "CopyStmt",
    "ExplainStmt",
    "CallStmt",
    "DoStmt",
    "LockStmt",
    "CreateTableAsStmt",
];

/// The parser's name of a class; none if it has many.
fn node(class: &Class) -> Option<String> {
    let name = match class {
        Class::Query(query) if query.into => "SelectStmt.into",
        Class::Query(_) => "SelectStmt",
        Class::Change(change) => return Some(format!("{:?}Stmt", change.verb)),
        Class::Transaction(found) => {
            return Some(format!("TransactionStmt.{}", transaction(found)));
        }
        Class::Setting(Setting::Show(name)) => {
            return Some(format!("VariableShowStmt.{}", name.as_deref().unwrap_or("all")));
        }
        Class::Discard(_) => "DiscardStmt",
        Class::Prepared(Prepared::Prepare { .. }) => "PrepareStmt",
        Class::Prepared(Prepared::Execute { .. }) => "ExecuteStmt",
        Class::Prepared(Prepared::Deallocate(_)) => "DeallocateStmt",
        Class::Cursor(Cursor::Declare { .. }) => "DeclareCursorStmt",
        Class::Cursor(Cursor::Fetch(_) | Cursor::Move(_)) => "FetchStmt",
        Class::Cursor(Cursor::Close(_)) => "ClosePortalStmt",
        Class::Copy(_) => "CopyStmt",
        Class::Notification(Notification::Listen(_)) => "ListenStmt",
        Class::Notification(Notification::Notify { .. }) => "NotifyStmt",
        Class::Notification(Notification::Unlisten(_)) => "UnlistenStmt",
        Class::Explain(_) => "ExplainStmt",
        Class::Call => "CallStmt",
        Class::Do => "DoStmt",
        Class::Lock => "LockStmt",
        Class::CreateAs(_) => "CreateTableAsStmt",
        Class::Utility(_) => return None,
        _ => "none",
    };
    Some(name.to_owned())
}

fn transaction(transaction: &Transaction) -> &'static str {
    match transaction {
        Transaction::Begin(_) => "TRANS_STMT_BEGIN",
        Transaction::Start(_) => "TRANS_STMT_START",
        Transaction::Commit { .. } => "TRANS_STMT_COMMIT",
        Transaction::Rollback { .. } => "TRANS_STMT_ROLLBACK",
        Transaction::Savepoint(_) => "TRANS_STMT_SAVEPOINT",
        Transaction::Release(_) => "TRANS_STMT_RELEASE",
        Transaction::RollbackTo(_) => "TRANS_STMT_ROLLBACK_TO",
        Transaction::Prepare(_) => "TRANS_STMT_PREPARE",
        Transaction::CommitPrepared(_) => "TRANS_STMT_COMMIT_PREPARED",
        Transaction::RollbackPrepared(_) => "TRANS_STMT_ROLLBACK_PREPARED",
        _ => "none",
    }
}

/// `rest` is the kind of the statement and the name of the parameter.
fn setting(class: &Class, rest: &str, statement: &Statement<'_>) -> bool {
    let (kind, name) = rest.split_once('.').expect("a name");
    match class {
        Class::Setting(Setting::Set { name: found, values, .. }) => {
            let default = ["VAR_SET_DEFAULT", "VAR_RESET"].contains(&kind);
            found.eq_ignore_ascii_case(name) && values.is_none() == default
        }
        Class::Setting(Setting::Reset(found)) => {
            kind == "VAR_RESET_ALL"
                || found.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(name))
        }
        Class::Transaction(Transaction::Set(_)) => name.starts_with("TRANSACTION"),
        Class::Transaction(Transaction::SetDefaults(_)) => name == "SESSION CHARACTERISTICS",
        // In the grammar for the sake of functions; nothing else may say it.
        Class::Malformed { .. } => statement.text().to_lowercase().contains("from current"),
        _ => false,
    }
}
