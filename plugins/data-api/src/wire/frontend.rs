//! What an application says after its login.

use bytes::{Buf as _, Bytes};
use pgferry_pg::message::Raw;

/// A message of the application, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Query(Bytes),
    Parse(Parse),
    Bind(Bind),
    Describe(Subject, Bytes),
    Execute {
        portal: Bytes,
        row_limit: u32,
    },
    Close(Subject, Bytes),
    Flush,
    Sync,
    Terminate,
    /// Left over from a copy that failed.
    Copy,
    FunctionCall,
}

/// Whether a statement or a portal is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Statement,
    Portal,
}

/// `Parse`: a statement to prepare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parse {
    pub(crate) name: Bytes,
    pub(crate) sql: Bytes,
    /// As far as the application says; 0 where it does not.
    pub(crate) types: Vec<u32>,
}

/// `Bind`: values for a statement's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) portal: Bytes,
    pub(crate) statement: Bytes,
    pub(crate) formats: Formats,
    pub(crate) values: Vec<Option<Bytes>>,
    pub(crate) results: Formats,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Binary,
}

/// The formats of several values: none is text for all, one is for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Formats(pub(crate) Vec<Format>);

impl Formats {
    /// The format of the value at `index`.
    pub(crate) fn of(&self, index: usize) -> Format {
        match self.0.as_slice() {
            [] => Format::Text,
            [all] => *all,
            each => each.get(index).copied().unwrap_or(Format::Text),
        }
    }

    /// Whether they are formats for so many values.
    pub(crate) fn fit(&self, values: usize) -> bool {
        self.0.len() <= 1 || self.0.len() == values
    }
}

impl Message {
    /// Understands a message. None: it does not hold what its type promises, or has no known type.
    pub(crate) fn decode(raw: &Raw) -> Option<Self> {
        let mut body = raw.body.clone();
        let message = match raw.tag {
            b'Q' => Self::Query(cstring(&mut body)?),
            b'P' => Self::Parse(parse(&mut body)?),
            b'B' => Self::Bind(bind(&mut body)?),
            b'D' => Self::Describe(subject(&mut body)?, cstring(&mut body)?),
            b'E' => Self::Execute {
                portal: cstring(&mut body)?,
                // Negative is as good as none.
                row_limit: u32::try_from(body.try_get_i32().ok()?).unwrap_or_default(),
            },
            b'C' => Self::Close(subject(&mut body)?, cstring(&mut body)?),
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'X' => return Some(Self::Terminate),
            b'd' | b'c' | b'f' => return Some(Self::Copy),
            b'F' => return Some(Self::FunctionCall),
            _ => return None,
        };
        body.is_empty().then_some(message)
    }
}

fn parse(body: &mut Bytes) -> Option<Parse> {
    let (name, sql) = (cstring(body)?, cstring(body)?);
    let count = count(body)?;
    let types = (0..count).map(|_| body.try_get_u32().ok()).collect::<Option<_>>()?;
    Some(Parse { name, sql, types })
}

fn bind(body: &mut Bytes) -> Option<Bind> {
    let (portal, statement) = (cstring(body)?, cstring(body)?);
    let formats = formats(body)?;
    let count = count(body)?;
    let values = values(body, count)?;
    Some(Bind { portal, statement, formats, values, results: self::formats(body)? })
}

/// So many values, each with its length; that of NULL is -1. None: the message is broken.
fn values(body: &mut Bytes, count: u16) -> Option<Vec<Option<Bytes>>> {
    let mut values = Vec::new();
    for _ in 0..count {
        let length = body.try_get_i32().ok()?;
        if length == -1 {
            values.push(None);
            continue;
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= body.len())?;
        values.push(Some(body.split_to(length)));
    }
    Some(values)
}

fn formats(body: &mut Bytes) -> Option<Formats> {
    let format = |code: i16| match code {
        0 => Some(Format::Text),
        1 => Some(Format::Binary),
        _ => None,
    };
    let count = count(body)?;
    (0..count).map(|_| format(body.try_get_i16().ok()?)).collect::<Option<_>>().map(Formats)
}

/// A number of 16 bits, taken as unsigned since PostgreSQL 14.
fn count(body: &mut Bytes) -> Option<u16> {
    body.try_get_u16().ok()
}

fn subject(body: &mut Bytes) -> Option<Subject> {
    match body.try_get_u8().ok()? {
        b'S' => Some(Subject::Statement),
        b'P' => Some(Subject::Portal),
        _ => None,
    }
}

fn cstring(body: &mut Bytes) -> Option<Bytes> {
    let length = body.iter().position(|byte| *byte == 0)?;
    let text = body.split_to(length);
    body.advance(1);
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(tag: u8, body: &'static [u8]) -> Option<Message> {
        Message::decode(&Raw { tag, body: Bytes::from_static(body) })
    }

    #[test]
    fn a_bind_is_read_with_its_values_and_formats() {
        let body = b"p\0s\0\0\x01\0\x01\0\x02\xff\xff\xff\xff\0\0\0\x02ab\0\x00";
        let Some(Message::Bind(bind)) = decoded(b'B', body) else { panic!("no Bind") };
        assert_eq!(bind.values, [None, Some(Bytes::from_static(b"ab"))]);
        assert_eq!((bind.formats.of(1), bind.results.of(5)), (Format::Binary, Format::Text));
        assert!(bind.formats.fit(2) && bind.results.fit(0));
    }

    #[test]
    fn formats_are_for_none_for_all_or_for_each() {
        let each = Formats(vec![Format::Text, Format::Binary]);
        assert_eq!(each.of(1), Format::Binary);
        assert!(each.fit(2) && !each.fit(3));
    }

    #[test]
    fn a_message_that_ends_early_or_goes_on_is_none() {
        for (tag, body) in [
            (b'Q', &b"select 1"[..]),
            (b'Q', b"select 1\0x"),
            (b'D', b"X\0"),
            (b'E', b"\0\0\0"),
            (b'B', b"\0\0\0\0\0\x01\0\0\0\x09a"),
            (b'B', b"\0\0\0\x01\0\x07\0\0\0\0"),
            (b'?', b""),
        ] {
            assert_eq!(decoded(tag, body), None, "{tag:#x} {body:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(tag: u8, body: Vec<u8>) {
            drop(Message::decode(&Raw { tag, body: Bytes::from(body) }));
        }
    }
}
