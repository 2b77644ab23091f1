//! Cursors.

use crate::{
    class::{Class, Count, Cursor, Movement},
    words::Words,
};

pub(super) fn declare(words: &mut Words<'_>) -> Option<Class> {
    let name = words.name()?;
    let (mut binary, mut scroll) = (false, None);
    while !words.take("cursor") {
        if words.take("binary") {
            binary = true;
        } else if words.take("no scroll") {
            scroll = Some(false);
        } else if words.take("scroll") {
            scroll = Some(true);
        } else if !words.take("insensitive") && !words.take("asensitive") {
            return None;
        }
    }
    let hold = words.take("with hold");
    if !hold {
        words.take("without hold");
    }
    words.expect("for")?;
    let query = words.rest()?;
    Some(Class::Cursor(Cursor::Declare { name, binary, scroll, hold, query }))
}

pub(super) fn fetch(words: &mut Words<'_>) -> Option<Class> {
    movement(words).map(|movement| Class::Cursor(Cursor::Fetch(movement)))
}

pub(super) fn move_(words: &mut Words<'_>) -> Option<Class> {
    movement(words).map(|movement| Class::Cursor(Cursor::Move(movement)))
}

pub(super) fn close(words: &mut Words<'_>) -> Option<Class> {
    let name = if words.take("all") { None } else { Some(words.name()?) };
    words.end()?;
    Some(Class::Cursor(Cursor::Close(name)))
}

fn movement(words: &mut Words<'_>) -> Option<Movement> {
    // The words for directions are names too, where nothing follows.
    let count = if words.look(1).is_none() { Count::Forward(1) } else { count(words)? };
    if !words.take("from") {
        words.take("in");
    }
    let name = words.name()?;
    words.end()?;
    Some(Movement { name, count })
}

/// One row on, if nothing is said.
fn count(words: &mut Words<'_>) -> Option<Count> {
    const PLAIN: [(&str, Count); 7] = [
        ("next", Count::Forward(1)),
        ("prior", Count::Forward(-1)),
        ("first", Count::Absolute(1)),
        ("last", Count::Absolute(-1)),
        ("all", Count::ForwardAll),
        ("forward all", Count::ForwardAll),
        ("backward all", Count::BackwardAll),
    ];
    if let Some((_, count)) = PLAIN.iter().find(|(text, _)| words.take(text)) {
        return Some(*count);
    }
    Some(if words.take("absolute") {
        Count::Absolute(integer(words)?)
    } else if words.take("relative") {
        Count::Relative(integer(words)?)
    } else if words.take("backward") {
        Count::Forward(if is_number(words) { -integer(words)? } else { -1 })
    } else {
        words.take("forward");
        Count::Forward(if is_number(words) { integer(words)? } else { 1 })
    })
}

fn is_number(words: &Words<'_>) -> bool {
    words.clone().number().is_some()
}

/// A signed integer of 32 bits.
fn integer(words: &mut Words<'_>) -> Option<i64> {
    let number = words.number()?.replace('_', "");
    number.parse::<i32>().ok().map(i64::from)
}
