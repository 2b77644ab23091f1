//! The data of `COPY`, row by row, in the text and the CSV format.
//!
//! Data comes in chunks that end anywhere. What is read is what PostgreSQL's input functions get: the text
//! of each field, or NULL.
//!
//! Source: "File Formats" in the reference page of `COPY`, and `src/backend/commands/copyfromparse.c`.

use std::{error::Error, fmt};

use crate::class::{Copy, CopyFormat};

mod csv;
mod text;
mod write;

/// How rows are written: the options of a `COPY` that say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// `csv`, and not `text`.
    csv: bool,
    delimiter: u8,
    null: String,
    quote: u8,
    escape: u8,
    /// The first line has the names of columns.
    header: bool,
    force_quote: Columns,
    force_not_null: Columns,
    force_null: Columns,
}

/// Some of the columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Columns {
    #[default]
    None,
    All,
    Named(Vec<String>),
}

/// The fields of a row; none is NULL.
pub type Row = Vec<Option<String>>;

/// Why a `COPY` cannot be done here. What is wrong with data is the application's fault.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyError {
    /// An option that is unknown, or whose value is no good. 0A000 or 22023.
    Option {
        /// Its name.
        name: String,
    },
    /// `binary`. 0A000.
    Binary,
    /// A field in quotes that never ends. 22P04.
    UnterminatedQuote {
        /// The line of the data, from 1.
        line: u64,
    },
    /// A carriage return outside of quotes that no line feed follows. 22P04.
    LineEnd {
        /// As above.
        line: u64,
    },
    /// `\.` with something on its line. 22P04.
    EndMarker {
        /// As above.
        line: u64,
    },
    /// Bytes that are not UTF-8. 22021.
    Encoding {
        /// As above.
        line: u64,
    },
}

impl fmt::Display for CopyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, line) = match self {
            Self::Option { name } => return write!(formatter, "COPY option \"{name}\""),
            Self::Binary => return formatter.write_str("COPY format binary"),
            Self::UnterminatedQuote { line } => ("unterminated CSV quoted field", line),
            Self::LineEnd { line } => ("bare carriage return found in data", line),
            Self::EndMarker { line } => ("end-of-copy marker corrupt", line),
            Self::Encoding { line } => ("invalid byte sequence for encoding \"UTF8\"", line),
        };
        write!(formatter, "{what}, line {line} of the data")
    }
}

impl Error for CopyError {}

impl Layout {
    /// What the options of `copy` say.
    ///
    /// # Errors
    ///
    /// [`CopyError::Binary`] and [`CopyError::Option`]: the statement asks for what is not done here.
    pub fn of(copy: &Copy) -> Result<Self, CopyError> {
        let mut layout = match copy.format {
            CopyFormat::Text => Self::new(b'\t', "\\N", false),
            CopyFormat::Csv => Self::new(b',', "", true),
            CopyFormat::Binary => return Err(CopyError::Binary),
        };
        let mut escape = None;
        for option in &copy.options {
            let wrong = || CopyError::Option { name: option.name.clone() };
            let value = option.values.first().map(String::as_str);
            let csv = layout.csv;
            match option.name.as_str() {
                "delimiter" => layout.delimiter = one_byte(value).ok_or_else(wrong)?,
                "null" => layout.null = value.map(str::to_owned).ok_or_else(wrong)?,
                "header" => layout.header = is_on(value).ok_or_else(wrong)?,
                "quote" if csv => layout.quote = one_byte(value).ok_or_else(wrong)?,
                "escape" if csv => escape = Some(one_byte(value).ok_or_else(wrong)?),
                "force_quote" if csv => layout.force_quote = Columns::of(&option.values),
                "force_not_null" if csv => layout.force_not_null = Columns::of(&option.values),
                "force_null" if csv => layout.force_null = Columns::of(&option.values),
                "encoding" if value.is_some_and(is_utf8) => {}
                // It makes loading faster, and nothing else.
                "freeze" => {}
                _ => return Err(wrong()),
            }
        }
        layout.escape = escape.unwrap_or(layout.quote);
        if layout.delimiter == layout.quote && layout.csv {
            return Err(CopyError::Option { name: "delimiter".to_owned() });
        }
        Ok(layout)
    }

    fn new(delimiter: u8, null: &str, csv: bool) -> Self {
        Self {
            csv,
            delimiter,
            null: null.to_owned(),
            quote: b'"',
            escape: b'"',
            header: false,
            force_quote: Columns::None,
            force_not_null: Columns::None,
            force_null: Columns::None,
        }
    }

    /// Reads rows of the columns of that name.
    pub fn reader(&self, columns: &[String]) -> Reader {
        Reader {
            layout: self.clone(),
            columns: columns.to_vec(),
            buffer: Vec::new(),
            line: 1,
            header: self.header,
            ended: false,
        }
    }

    /// Writes the line before the rows, if there is one.
    pub fn write_header(&self, columns: &[String], out: &mut Vec<u8>) {
        if self.header {
            let names: Row = columns.iter().cloned().map(Some).collect();
            let plain =
                Self { null: String::from("\0"), force_quote: Columns::None, ..self.clone() };
            plain.write_row(&names, columns, out);
        }
    }

    /// Writes a row, with its line end. `columns` are the names of its fields.
    pub fn write_row(&self, row: &[Option<String>], columns: &[String], out: &mut Vec<u8>) {
        for (at, field) in row.iter().enumerate() {
            if at > 0 {
                out.push(self.delimiter);
            }
            match field {
                None => out.extend_from_slice(self.null.as_bytes()),
                Some(value) if self.csv => {
                    let forced = columns.get(at).is_some_and(|name| self.force_quote.have(name));
                    write::csv(self, value, forced, row.len() == 1, out);
                }
                Some(value) => write::text(self, value, out),
            }
        }
        out.push(b'\n');
    }
}

impl Columns {
    fn of(names: &[String]) -> Self {
        if names == ["*"] { Self::All } else { Self::Named(names.to_vec()) }
    }

    fn have(&self, name: &String) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Named(names) => names.contains(name),
        }
    }
}

fn one_byte(value: Option<&str>) -> Option<u8> {
    match value?.as_bytes() {
        [byte] if !matches!(byte, b'\r' | b'\n') => Some(*byte),
        _ => None,
    }
}

/// As a boolean option says it. `HEADER MATCH` is none.
fn is_on(value: Option<&str>) -> Option<bool> {
    match value.unwrap_or("on").to_ascii_lowercase().as_str() {
        "on" | "true" | "1" => Some(true),
        "off" | "false" | "0" => Some(false),
        _ => None,
    }
}

fn is_utf8(encoding: &str) -> bool {
    ["utf8", "utf-8", "unicode"].iter().any(|name| encoding.eq_ignore_ascii_case(name))
}

/// Makes rows of chunks of data.
#[derive(Debug, Clone)]
pub struct Reader {
    layout: Layout,
    columns: Vec<String>,
    /// What has come and is no whole row yet.
    buffer: Vec<u8>,
    /// Of the first byte in the buffer.
    line: u64,
    /// The first line is still to come, and to be passed over.
    header: bool,
    /// `\.` has come: what follows is nothing.
    ended: bool,
}

impl Reader {
    /// Takes a chunk, and gives the rows that are whole now.
    ///
    /// The number of fields is not looked at: PostgreSQL has an opinion on it. It wants all line ends
    /// alike, and they may differ here.
    ///
    /// # Errors
    ///
    /// What is wrong with the data; the reader is of no use afterwards.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Vec<Row>, CopyError> {
        if !self.ended {
            self.buffer.extend_from_slice(chunk);
        }
        self.rows(End::MayFollow)
    }

    /// Says that nothing follows, and gives the row that no line end closes.
    ///
    /// # Errors
    ///
    /// As [`Self::push`].
    pub fn finish(mut self) -> Result<Vec<Row>, CopyError> {
        self.rows(End::IsHere)
    }

    fn rows(&mut self, end: End) -> Result<Vec<Row>, CopyError> {
        let mut rows = Vec::new();
        let mut done = 0;
        while let Some(rest) = self.buffer.get(done..).filter(|rest| !rest.is_empty()) {
            if self.ended {
                break;
            }
            let Some(line) = self.line(rest, end)? else { break };
            let bytes = rest.get(..line.length).unwrap_or_default();
            if bytes == b"\\." {
                self.ended = true;
            } else if self.header {
                self.header = false;
            } else {
                let text =
                    str::from_utf8(bytes).map_err(|_| CopyError::Encoding { line: self.line })?;
                rows.push(self.row(text)?);
            }
            done += line.whole;
            self.line += line.lines;
        }
        self.buffer.drain(..done);
        if self.ended {
            self.buffer.clear();
        }
        Ok(rows)
    }

    /// The first line of `rest`, if it has come as a whole.
    fn line(&self, rest: &[u8], end: End) -> Result<Option<Line>, CopyError> {
        if self.layout.csv { csv::line(self, rest, end) } else { text::line(self.line, rest, end) }
    }

    fn row(&self, line: &str) -> Result<Row, CopyError> {
        if self.layout.csv {
            Ok(csv::row(self, line))
        } else if line.as_bytes().windows(2).any(|pair| pair == b"\\.") && text::is_corrupt(line) {
            Err(CopyError::EndMarker { line: self.line })
        } else {
            text::row(&self.layout, line).ok_or(CopyError::Encoding { line: self.line })
        }
    }
}

/// Whether more data may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    MayFollow,
    IsHere,
}

/// Where a row's line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    /// Without its end.
    length: usize,
    /// With it.
    whole: usize,
    /// How many line ends are in it: those in quotes are of the row.
    lines: u64,
}

#[cfg(test)]
mod tests;
