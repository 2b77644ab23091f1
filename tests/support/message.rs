//! What an application sends, as bytes.
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-message-formats.html>

/// Protocol 3.0.
pub(crate) const V3_0: u32 = 0x0003_0000;
/// Protocol 3.2, of PostgreSQL 18.
pub(crate) const V3_2: u32 = 0x0003_0002;

/// A startup packet.
pub(crate) fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(cstring(name));
        body.extend(cstring(value));
    }
    body.push(0);
    packet(&body)
}

/// A request for TLS.
pub(crate) fn ssl_request() -> Vec<u8> {
    packet(&80_877_103_u32.to_be_bytes())
}

/// A request for GSS encryption.
pub(crate) fn gssenc_request() -> Vec<u8> {
    packet(&80_877_104_u32.to_be_bytes())
}

/// A cancel request; `key` is the body of a `BackendKeyData`.
pub(crate) fn cancel_request(key: &[u8]) -> Vec<u8> {
    packet(&[&80_877_102_u32.to_be_bytes(), key].concat())
}

/// A message of any type.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &packet(body)].concat()
}

pub(crate) fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &cstring(sql))
}

pub(crate) fn parse(statement: &str, sql: &str) -> Vec<u8> {
    message(b'P', &[cstring(statement), cstring(sql), count(0).to_vec()].concat())
}

/// All parameters and results as text.
pub(crate) fn bind(portal: &str, statement: &str, values: &[Option<&str>]) -> Vec<u8> {
    bind_with(portal, statement, values, 0)
}

/// As [`bind`], with the format of all results: 0 is text, 1 is binary.
pub(crate) fn bind_with(
    portal: &str,
    statement: &str,
    values: &[Option<&str>],
    format: u16,
) -> Vec<u8> {
    let mut body = [cstring(portal), cstring(statement)].concat();
    body.extend(count(0));
    body.extend(count(values.len()));
    for value in values {
        match value {
            Some(value) => {
                body.extend(u32::try_from(value.len()).expect("shorter").to_be_bytes());
                body.extend(value.as_bytes());
            }
            None => body.extend((-1_i32).to_be_bytes()),
        }
    }
    body.extend(count(1));
    body.extend(format.to_be_bytes());
    message(b'B', &body)
}

/// `S` describes a statement, `P` a portal.
pub(crate) fn describe(kind: u8, name: &str) -> Vec<u8> {
    message(b'D', &[vec![kind], cstring(name)].concat())
}

/// `S` closes a statement, `P` a portal.
pub(crate) fn close(kind: u8, name: &str) -> Vec<u8> {
    message(b'C', &[vec![kind], cstring(name)].concat())
}

/// No more than `rows` at once; 0 is all.
pub(crate) fn execute(portal: &str, rows: u32) -> Vec<u8> {
    message(b'E', &[cstring(portal), rows.to_be_bytes().to_vec()].concat())
}

pub(crate) fn sync() -> Vec<u8> {
    message(b'S', &[])
}

pub(crate) fn flush() -> Vec<u8> {
    message(b'H', &[])
}

pub(crate) fn copy_data(data: &str) -> Vec<u8> {
    message(b'd', data.as_bytes())
}

pub(crate) fn copy_done() -> Vec<u8> {
    message(b'c', &[])
}

pub(crate) fn copy_fail(why: &str) -> Vec<u8> {
    message(b'f', &cstring(why))
}

pub(crate) fn terminate() -> Vec<u8> {
    message(b'X', &[])
}

/// The length, which counts itself, then `body`.
fn packet(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("messages are shorter than that");
    [&length.to_be_bytes(), body].concat()
}

fn cstring(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

fn count(things: usize) -> [u8; 2] {
    u16::try_from(things).expect("few of them").to_be_bytes()
}
