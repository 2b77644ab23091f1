//! The few messages that client and server exchange, as bytes.

/// Asks for bulk output: rows of so many bytes, so many bytes in all.
pub(crate) const OUT: &[u8] = b"out ";
/// Asks for bulk input.
pub(crate) const IN: &[u8] = b"in";

/// `ReadyForQuery`, idle: the end of every answer.
pub(crate) const READY: &[u8] = b"Z\0\0\0\x05I";

/// A message: tag, length, body.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// `Query`.
pub(crate) fn query(text: &str) -> Vec<u8> {
    message(b'Q', &[text.as_bytes(), b"\0"].concat())
}

/// The startup packet of protocol 3.0.
pub(crate) fn startup(user: &str) -> Vec<u8> {
    let body = [&[0, 3, 0, 0][..], b"user\0", user.as_bytes(), b"\0database\0app\0\0"].concat();
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &body].concat()
}

/// `Parse` of the one statement, and `Sync`.
pub(crate) fn prepare() -> Vec<u8> {
    [message(b'P', b"s1\0SELECT $1::int4\0\0\0"), message(b'S', b"")].concat()
}

/// `Bind`, `Execute`, `Sync` of the one statement, with one parameter.
pub(crate) fn execute() -> Vec<u8> {
    let bind = b"\0s1\0\0\0\0\x01\0\0\0\x024\x32\0\0";
    [message(b'B', bind), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")].concat()
}

/// One column of text.
pub(crate) fn row_description() -> Vec<u8> {
    message(b'T', b"\0\x01id\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0")
}

/// A row of one column.
pub(crate) fn row(width: usize) -> Vec<u8> {
    let length = u32::try_from(width).unwrap_or(u32::MAX);
    message(b'D', &[&[0, 1][..], &length.to_be_bytes(), &vec![b'x'; width]].concat())
}

/// `CommandComplete`.
pub(crate) fn complete(tag: &str) -> Vec<u8> {
    message(b'C', &[tag.as_bytes(), b"\0"].concat())
}

/// The answer to a plain query: one narrow row.
pub(crate) fn simple_answer() -> Vec<u8> {
    [row_description(), row(2), complete("SELECT 1"), READY.to_vec()].concat()
}

/// The answer to [`execute`].
pub(crate) fn execute_answer() -> Vec<u8> {
    [message(b'2', b""), row(2), complete("SELECT 1"), READY.to_vec()].concat()
}

/// Everything from the accepted login to the first `ReadyForQuery`.
pub(crate) fn greeting() -> Vec<u8> {
    let parameters = [
        ("server_version", "16.0"),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("TimeZone", "UTC"),
        ("integer_datetimes", "on"),
        ("standard_conforming_strings", "on"),
        ("application_name", ""),
    ];
    let mut greeting = message(b'R', &[0, 0, 0, 0]);
    for (name, value) in parameters {
        greeting.extend(message(b'S', format!("{name}\0{value}\0").as_bytes()));
    }
    greeting.extend(message(b'K', &[0, 0, 0, 1, 0, 0, 0, 2]));
    greeting.extend(READY);
    greeting
}
