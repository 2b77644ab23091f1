//! Prepared statements and notifications.

use super::transaction;
use crate::{
    class::{Class, Notification, Prepared},
    token::TokenKind,
    words::Words,
};

/// A statement, or a transaction: a statement may have the name `transaction`.
pub(super) fn prepare(words: &mut Words<'_>) -> Option<Class> {
    let behind = words.look(1).map(|token| token.kind);
    if matches!(behind, Some(TokenKind::String(_))) && words.take("transaction") {
        return transaction::prepare(words);
    }
    let name = words.name()?;
    let types = if words.is_symbol('(') { words.list()? } else { Vec::new() };
    words.expect("as")?;
    let body = words.rest()?;
    Some(Class::Prepared(Prepared::Prepare { name, types, body }))
}

pub(super) fn execute(words: &mut Words<'_>) -> Option<Class> {
    let name = words.name()?;
    let arguments = if words.is_symbol('(') { words.list()? } else { Vec::new() };
    words.end()?;
    Some(Class::Prepared(Prepared::Execute { name, arguments }))
}

pub(super) fn deallocate(words: &mut Words<'_>) -> Option<Class> {
    if words.look(1).is_some() {
        words.take("prepare");
    }
    let name = if words.take("all") { None } else { Some(words.name()?) };
    words.end()?;
    Some(Class::Prepared(Prepared::Deallocate(name)))
}

pub(super) fn listen(words: &mut Words<'_>) -> Option<Class> {
    let channel = words.name()?;
    words.end()?;
    Some(Class::Notification(Notification::Listen(channel)))
}

pub(super) fn notify(words: &mut Words<'_>) -> Option<Class> {
    let channel = words.name()?;
    let payload = if words.take_symbol(',') { words.string()? } else { String::new() };
    words.end()?;
    Some(Class::Notification(Notification::Notify { channel, payload }))
}

pub(super) fn unlisten(words: &mut Words<'_>) -> Option<Class> {
    let channel = if words.take_operator("*") { None } else { Some(words.name()?) };
    words.end()?;
    Some(Class::Notification(Notification::Unlisten(channel)))
}
