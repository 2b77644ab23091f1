//! Arrays of up to six dimensions, with any lower bounds.

use std::{borrow::Cow, fmt::Write as _};

use bytes::{BufMut as _, BytesMut};

use crate::{
    error::{Fault, ValueError},
    kind::{Type, may_be},
    reader::Reader,
    scan::Scan,
};

/// The text of an array of one dimension that counts from one. `delimiter` is as in
/// [`crate::Kind::Array`].
pub fn literal<'a>(items: impl IntoIterator<Item = Option<&'a str>>, delimiter: u8) -> String {
    let mut out = String::from("{");
    for item in items {
        if out.len() > 1 {
            out.push(char::from(delimiter));
        }
        push_item(item, delimiter, &mut out);
    }
    out.push('}');
    out
}

/// The number of dimensions, whether there are NULLs, what it holds, how much of it, and each with
/// its length. Source: `array_send` in `arrayfuncs.c`.
pub(crate) fn encode(
    array: &Type,
    element: &Type,
    delimiter: u8,
    text: &str,
    out: &mut BytesMut,
) -> Result<(), ValueError> {
    let parsed = Parsed::read(text, delimiter).map_err(|fault| fault.of(&array.name))?;
    out.put_i32(i32::try_from(parsed.dimensions.len()).unwrap_or_default());
    out.put_i32(i32::from(parsed.items.iter().any(Option::is_none)));
    out.put_u32(element.oid);
    for dimension in &parsed.dimensions {
        out.put_i32(dimension.length);
        out.put_i32(dimension.lower);
    }
    parsed.items.iter().try_for_each(|item| element.encode_value(item.as_deref(), out))
}

pub(crate) fn decode(
    array: &Type,
    element: &Type,
    delimiter: u8,
    reader: &mut Reader<'_>,
    out: &mut String,
) -> Result<(), ValueError> {
    let named = |fault: Fault| fault.of(&array.name);
    let dimensions = read_header(element, reader).map_err(named)?;
    if dimensions.iter().map(|dimension| dimension.length).min().is_none_or(|least| least == 0) {
        out.push_str("{}");
        return Ok(());
    }
    if dimensions.iter().any(|dimension| dimension.lower != 1) {
        for Dimension { lower, length } in &dimensions {
            _ = write!(out, "[{lower}:{}]", i64::from(*lower) + i64::from(*length) - 1);
        }
        out.push('=');
    }
    let total: i64 = dimensions.iter().map(|dimension| i64::from(dimension.length)).product();
    for index in 0..total {
        open(index, &dimensions, delimiter, out);
        let item = reader.value().map_err(named)?;
        let item = item.map(|item| element.part_text(item)).transpose()?;
        push_item(item.as_deref(), delimiter, out);
        array.check_length(out)?;
        close(index, &dimensions, out);
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dimension {
    lower: i32,
    length: i32,
}

fn read_header(element: &Type, reader: &mut Reader<'_>) -> Result<Vec<Dimension>, Fault> {
    let count = reader.count()?;
    if count > MAX_DIMENSIONS {
        return Err(Fault::Binary("it has more than six dimensions"));
    }
    if !matches!(reader.i32()?, 0 | 1) {
        return Err(Fault::Binary("its flags are unknown"));
    }
    if !may_be(reader.u32()?, element.oid) {
        return Err(Fault::Binary("it holds another type"));
    }
    let mut total = 1_i32;
    let mut dimensions = Vec::new();
    for _ in 0..count {
        let (length, lower) = (reader.i32()?, reader.i32()?);
        let bounded = length >= 0 && lower.checked_add(length).is_some();
        total = total.checked_mul(length).filter(|_| bounded).ok_or(TOO_LARGE)?;
        dimensions.push(Dimension { lower, length });
    }
    Ok(dimensions)
}

/// Whatever stands before the item of that index: a delimiter, or the braces of all dimensions that
/// begin with it.
fn open(index: i64, dimensions: &[Dimension], delimiter: u8, out: &mut String) {
    if index > 0 {
        out.push(char::from(delimiter));
    }
    let mut span = 1;
    for dimension in dimensions.iter().rev() {
        span *= i64::from(dimension.length);
        if index % span == 0 {
            out.push('{');
        }
    }
}

fn close(index: i64, dimensions: &[Dimension], out: &mut String) {
    let mut span = 1;
    for dimension in dimensions.iter().rev() {
        span *= i64::from(dimension.length);
        if (index + 1) % span == 0 {
            out.push('}');
        }
    }
}

/// Source: `array_out` in `arrayfuncs.c`.
fn push_item(item: Option<&str>, delimiter: u8, out: &mut String) {
    let Some(item) = item else {
        out.push_str("NULL");
        return;
    };
    let special = |byte: u8| {
        matches!(byte, b'"' | b'\\' | b'{' | b'}') || byte == delimiter || is_space(byte)
    };
    let quoted = item.is_empty() || item.eq_ignore_ascii_case("NULL") || item.bytes().any(special);
    if !quoted {
        out.push_str(item);
        return;
    }
    out.push('"');
    for character in item.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}

struct Parsed<'a> {
    dimensions: Vec<Dimension>,
    items: Vec<Option<Cow<'a, str>>>,
}

impl<'a> Parsed<'a> {
    fn read(text: &'a str, delimiter: u8) -> Result<Self, Fault> {
        let mut scan = Scan::new(text);
        let said = said_dimensions(&mut scan)?;
        if scan.rest() == "{}" && said.is_empty() {
            return Ok(Self { dimensions: Vec::new(), items: Vec::new() });
        }
        let mut body = Body { delimiter, depth: 0, lengths: Vec::new(), items: Vec::new() };
        body.read(&mut scan)?;
        scan.finish()?;
        let found = body.lengths.iter().map(|length| Dimension { lower: 1, length: *length });
        let found: Vec<Dimension> = found.collect();
        if said.is_empty() {
            return Ok(Self { dimensions: found, items: body.items });
        }
        let agree = said.len() == found.len()
            && said.iter().zip(&found).all(|(said, found)| said.length == found.length);
        if agree { Ok(Self { dimensions: said, items: body.items }) } else { Err(Fault::Text) }
    }
}

/// `[2:3][0:4]=`, or nothing if all count from one.
fn said_dimensions(scan: &mut Scan<'_>) -> Result<Vec<Dimension>, Fault> {
    let mut dimensions = Vec::new();
    while scan.eats("[") {
        let lower: i32 = scan.signed()?;
        scan.expect(":")?;
        let upper: i32 = scan.signed()?;
        scan.expect("]")?;
        // The index behind the last has to be a number, too.
        let end = upper.checked_add(1).ok_or(Fault::OutOfRange)?;
        let length = end.checked_sub(lower).ok_or(Fault::OutOfRange)?;
        dimensions.push(Dimension { lower, length });
    }
    if !dimensions.is_empty() {
        scan.expect("=")?;
    }
    if dimensions.len() > MAX_DIMENSIONS { Err(Fault::Text) } else { Ok(dimensions) }
}

/// What is between the outermost braces, read so far.
struct Body<'a> {
    delimiter: u8,
    depth: usize,
    /// How much each dimension holds: known once its first brace has closed, and zero before.
    lengths: Vec<i32>,
    items: Vec<Option<Cow<'a, str>>>,
}

impl<'a> Body<'a> {
    /// Reads one pair of braces with all that is in it. It recurses six times at most.
    fn read(&mut self, scan: &mut Scan<'a>) -> Result<(), Fault> {
        scan.expect("{")?;
        let level = self.depth;
        if level == MAX_DIMENSIONS {
            return Err(Fault::Text);
        }
        if self.lengths.len() == level {
            self.lengths.push(0);
        }
        let innermost = scan.peek() != Some(b'{');
        let mut length = 0_i32;
        loop {
            if innermost {
                self.innermost_at(level)?;
                let item = read_item(scan, self.delimiter)?;
                self.items.push(item);
            } else {
                self.depth = level + 1;
                self.read(scan)?;
                self.depth = level;
            }
            length = length.checked_add(1).ok_or(Fault::OutOfRange)?;
            if !scan.eats_byte(self.delimiter) {
                break;
            }
        }
        scan.expect("}")?;
        self.closes(level, length)
    }

    /// Items stand in the innermost dimension alone.
    fn innermost_at(&self, level: usize) -> Result<(), Fault> {
        if self.lengths.len() == level + 1 { Ok(()) } else { Err(Fault::Text) }
    }

    /// All braces of one dimension hold the same number.
    fn closes(&mut self, level: usize, length: i32) -> Result<(), Fault> {
        let known = self.lengths.get_mut(level).ok_or(Fault::Text)?;
        if *known == 0 {
            *known = length;
        }
        if *known == length { Ok(()) } else { Err(Fault::Text) }
    }
}

fn read_item<'a>(scan: &mut Scan<'a>, delimiter: u8) -> Result<Option<Cow<'a, str>>, Fault> {
    if scan.eats("\"") {
        return read_quoted(scan).map(Some);
    }
    let item = scan.until(&[delimiter, b'{', b'}', b'"', b'\\']);
    match item {
        "" => Err(Fault::Text),
        "NULL" => Ok(None),
        _ => Ok(Some(Cow::Borrowed(item))),
    }
}

/// What is between quotes, the first of which is read.
fn read_quoted<'a>(scan: &mut Scan<'a>) -> Result<Cow<'a, str>, Fault> {
    let mut item = Cow::Borrowed(scan.until(b"\"\\"));
    while scan.eats("\\") {
        let mut rest = scan.rest().chars();
        item.to_mut().push(rest.next().ok_or(Fault::Text)?);
        *scan = Scan::new(rest.as_str());
        item.to_mut().push_str(scan.until(b"\"\\"));
    }
    scan.expect("\"")?;
    Ok(item)
}

/// `array_isspace`, which knows no others.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// `MAXDIM`.
const MAX_DIMENSIONS: usize = 6;
const TOO_LARGE: Fault = Fault::Binary("its dimensions are too large");
