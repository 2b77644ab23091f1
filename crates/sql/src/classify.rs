//! Finds out what a statement does.

use crate::{
    class::{Class, Discard},
    statement::Statement,
    words::Words,
};

mod copy;
mod cursor;
mod prepared;
mod query;
mod setting;
mod transaction;
mod utility;

/// The class of a statement, by its first words.
pub(crate) fn classify(statement: &Statement<'_>) -> Class {
    let mut words = Words::of(statement);
    if let Some(class) = query::read(&words).or_else(|| utility::read(&words)) {
        return class;
    }
    let Some(read) = reader(&mut words) else { return Class::Unknown };
    read(&mut words).unwrap_or_else(|| Class::Malformed { at: words.place() })
}

type Reader = fn(&mut Words<'_>) -> Option<Class>;

/// What reads on behind the verb that it takes. Some verbs have several, by the word behind.
fn reader(words: &mut Words<'_>) -> Option<Reader> {
    const READERS: &[(&str, Reader)] = &[
        ("begin", transaction::begin),
        ("start transaction", transaction::start),
        ("commit", transaction::commit),
        ("end", transaction::commit),
        ("rollback", transaction::rollback),
        ("abort", transaction::rollback),
        ("savepoint", transaction::savepoint),
        ("release", transaction::release),
        ("set", setting::set),
        ("reset", setting::reset),
        ("show", setting::show),
        ("discard", discard),
        ("prepare", prepared::prepare),
        ("execute", prepared::execute),
        ("deallocate", prepared::deallocate),
        ("declare", cursor::declare),
        ("fetch", cursor::fetch),
        ("move", cursor::move_),
        ("close", cursor::close),
        ("copy", copy::read),
        ("listen", prepared::listen),
        ("notify", prepared::notify),
        ("unlisten", prepared::unlisten),
    ];
    READERS.iter().find(|(verb, _)| words.take(verb)).map(|(_, read)| *read)
}

fn discard(words: &mut Words<'_>) -> Option<Class> {
    const WHAT: &[(&str, Discard)] = &[
        ("all", Discard::All),
        ("plans", Discard::Plans),
        ("sequences", Discard::Sequences),
        ("temp", Discard::Temporary),
        ("temporary", Discard::Temporary),
    ];
    let (_, what) = WHAT.iter().find(|(word, _)| words.take(word))?;
    words.end()?;
    Some(Class::Discard(*what))
}

#[cfg(test)]
mod tests;
