//! `COPY`, with the options of today and those of before 9.0.

use crate::{
    class::{Class, Copy, CopyEnd, CopyFormat, CopyOption, CopyWhat, Direction},
    words::Words,
};

pub(super) fn read(words: &mut Words<'_>) -> Option<Class> {
    let mut format = CopyFormat::Text;
    if words.take("binary") {
        format = CopyFormat::Binary;
    }
    let what = what(words)?;
    let direction = if words.take("from") {
        Direction::From
    } else {
        words.expect("to")?;
        Direction::To
    };
    let end = end(words)?;
    let mut options = Vec::new();
    words.take("using");
    if words.take("delimiters") {
        options.push(CopyOption { name: "delimiter".to_owned(), values: vec![words.string()?] });
    }
    words.take("with");
    if words.is_symbol('(') {
        generic(words, &mut options)?;
    } else {
        while !words.is_at_end() && !words.is("where") {
            options.push(old(words)?);
        }
    }
    let condition = if words.take("where") { Some(words.rest()?) } else { None };
    if condition.is_none() {
        words.end()?;
    }
    options.retain(|option| match format_of(option) {
        Some(said) => {
            format = said;
            false
        }
        None => true,
    });
    Some(Class::Copy(Copy { direction, what, end, format, options, condition }))
}

fn what(words: &mut Words<'_>) -> Option<CopyWhat> {
    if let Some(query) = words.parenthesised() {
        return Some(CopyWhat::Query(query));
    }
    let start = words.place();
    words.name()?;
    while words.take_symbol('.') {
        words.name()?;
    }
    let name = start..words.done();
    let columns = if words.is_symbol('(') { columns(words)? } else { Vec::new() };
    Some(CopyWhat::Table { name, columns })
}

fn columns(words: &mut Words<'_>) -> Option<Vec<String>> {
    let mut columns = Vec::new();
    if !words.take_symbol('(') {
        return None;
    }
    loop {
        columns.push(words.name()?);
        if words.take_symbol(')') {
            return Some(columns);
        }
        if !words.take_symbol(',') {
            return None;
        }
    }
}

fn end(words: &mut Words<'_>) -> Option<CopyEnd> {
    if words.take("stdin") || words.take("stdout") {
        return Some(CopyEnd::Client);
    }
    let end = if words.take("program") { CopyEnd::Program } else { CopyEnd::File };
    words.string()?;
    Some(end)
}

/// `(name value, …)`.
fn generic(words: &mut Words<'_>, options: &mut Vec<CopyOption>) -> Option<()> {
    words.take_symbol('(');
    loop {
        let name = words.name()?;
        let values = if words.is_symbol('(') {
            columns(words)?
        } else if words.is_symbol(',') || words.is_symbol(')') {
            Vec::new()
        } else {
            vec![value(words)?]
        };
        options.push(CopyOption { name, values });
        if words.take_symbol(')') {
            return Some(());
        }
        if !words.take_symbol(',') {
            return None;
        }
    }
}

fn value(words: &mut Words<'_>) -> Option<String> {
    if words.take_operator("*") {
        return Some("*".to_owned());
    }
    words.string().or_else(|| words.number()).or_else(|| words.name())
}

/// The form without parentheses.
fn old(words: &mut Words<'_>) -> Option<CopyOption> {
    const FORCED: [(&str, &str); 3] = [
        ("force not null", "force_not_null"),
        ("force null", "force_null"),
        ("force quote", "force_quote"),
    ];
    if let Some((_, name)) = FORCED.iter().find(|(text, _)| words.take(text)) {
        let mut values = vec![value(words)?];
        while words.take_symbol(',') {
            values.push(words.name()?);
        }
        return Some(CopyOption { name: (*name).to_owned(), values });
    }
    let name = words.name()?;
    let values = match name.as_str() {
        "binary" | "csv" | "freeze" | "header" => Vec::new(),
        "delimiter" | "null" | "quote" | "escape" => {
            words.take("as");
            vec![words.string()?]
        }
        "encoding" => vec![words.string()?],
        _ => return None,
    };
    Some(CopyOption { name, values })
}

/// The format, if that is what the option says.
fn format_of(option: &CopyOption) -> Option<CopyFormat> {
    let said = match (option.name.as_str(), option.values.first()) {
        ("format", Some(said)) => said.as_str(),
        (old, None) => old,
        _ => return None,
    };
    match said {
        "text" => Some(CopyFormat::Text),
        "csv" => Some(CopyFormat::Csv),
        "binary" => Some(CopyFormat::Binary),
        _ => None,
    }
}
