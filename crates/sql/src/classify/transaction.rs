//! Transactions.

use crate::{
    class::{Class, Isolation, Mode, Transaction},
    words::Words,
};

pub(super) fn begin(words: &mut Words<'_>) -> Option<Class> {
    skip_noise(words);
    done(Transaction::Begin(modes(words)?), words)
}

pub(super) fn start(words: &mut Words<'_>) -> Option<Class> {
    done(Transaction::Start(modes(words)?), words)
}

pub(super) fn commit(words: &mut Words<'_>) -> Option<Class> {
    if words.take("prepared") {
        return done(Transaction::CommitPrepared(words.string()?), words);
    }
    skip_noise(words);
    done(Transaction::Commit { chain: chain(words)? }, words)
}

pub(super) fn rollback(words: &mut Words<'_>) -> Option<Class> {
    if words.take("prepared") {
        return done(Transaction::RollbackPrepared(words.string()?), words);
    }
    skip_noise(words);
    if words.take("to") {
        return done(Transaction::RollbackTo(savepoint_name(words)?), words);
    }
    done(Transaction::Rollback { chain: chain(words)? }, words)
}

pub(super) fn savepoint(words: &mut Words<'_>) -> Option<Class> {
    done(Transaction::Savepoint(words.name()?), words)
}

pub(super) fn release(words: &mut Words<'_>) -> Option<Class> {
    done(Transaction::Release(savepoint_name(words)?), words)
}

pub(super) fn prepare(words: &mut Words<'_>) -> Option<Class> {
    done(Transaction::Prepare(words.string()?), words)
}

/// Behind `SET [SESSION | LOCAL] TRANSACTION`.
pub(super) fn set(words: &mut Words<'_>) -> Option<Class> {
    let modes = if words.take("snapshot") {
        vec![Mode::Snapshot(words.string()?)]
    } else {
        some_modes(words)?
    };
    done(Transaction::Set(modes), words)
}

/// Behind `SET SESSION CHARACTERISTICS AS TRANSACTION`.
pub(super) fn set_defaults(words: &mut Words<'_>) -> Option<Class> {
    done(Transaction::SetDefaults(some_modes(words)?), words)
}

fn done(transaction: Transaction, words: &Words<'_>) -> Option<Class> {
    words.end()?;
    Some(Class::Transaction(transaction))
}

fn skip_noise(words: &mut Words<'_>) {
    if !words.take("work") {
        words.take("transaction");
    }
}

fn chain(words: &mut Words<'_>) -> Option<bool> {
    if !words.take("and") {
        return Some(false);
    }
    let chain = !words.take("no");
    words.expect("chain")?;
    Some(chain)
}

/// `SAVEPOINT` is left out at will, and may be a savepoint's name.
fn savepoint_name(words: &mut Words<'_>) -> Option<String> {
    if words.look(1).is_some() {
        words.take("savepoint");
    }
    words.name()
}

fn some_modes(words: &mut Words<'_>) -> Option<Vec<Mode>> {
    modes(words).filter(|modes| !modes.is_empty())
}

/// Commas between them are left out at will.
fn modes(words: &mut Words<'_>) -> Option<Vec<Mode>> {
    let mut modes = Vec::new();
    while !words.is_at_end() {
        if !modes.is_empty() {
            words.take_symbol(',');
        }
        modes.push(mode(words)?);
    }
    Some(modes)
}

fn mode(words: &mut Words<'_>) -> Option<Mode> {
    const PLAIN: [(&str, Mode); 4] = [
        ("read only", Mode::ReadOnly),
        ("read write", Mode::ReadWrite),
        ("deferrable", Mode::Deferrable),
        ("not deferrable", Mode::NotDeferrable),
    ];
    if words.take("isolation level") {
        return isolation(words).map(Mode::Isolation);
    }
    let (_, mode) = PLAIN.iter().find(|(text, _)| words.take(text))?;
    Some(mode.clone())
}

fn isolation(words: &mut Words<'_>) -> Option<Isolation> {
    const LEVELS: [(&str, Isolation); 4] = [
        ("read uncommitted", Isolation::ReadUncommitted),
        ("read committed", Isolation::ReadCommitted),
        ("repeatable read", Isolation::RepeatableRead),
        ("serializable", Isolation::Serializable),
    ];
    LEVELS.iter().find(|(text, _)| words.take(text)).map(|(_, level)| *level)
}
