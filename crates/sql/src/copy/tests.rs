use super::*;
use crate::{Backslashes, Class, statements};

fn layout(options: &str) -> Layout {
    Layout::of(&copy(options)).unwrap()
}

fn copy(options: &str) -> Copy {
    let sql = format!("copy t from stdin {options}");
    match statements(&sql, Backslashes::Literal)[0].classify() {
        Class::Copy(copy) => copy,
        other => panic!("{other:?}"),
    }
}

fn columns() -> Vec<String> {
    ["a", "b", "c"].map(str::to_owned).to_vec()
}

/// In chunks of every size.
fn read(options: &str, data: &str) -> Result<Vec<Vec<Option<String>>>, CopyError> {
    let mut readings = (1..=data.len().max(1)).map(|size| {
        let mut reader = layout(options).reader(&columns());
        let mut rows = Vec::new();
        for chunk in data.as_bytes().chunks(size) {
            rows.extend(reader.push(chunk)?);
        }
        rows.extend(reader.finish()?);
        Ok(rows)
    });
    let first = readings.next().unwrap();
    assert!(readings.all(|reading| reading == first), "{data}");
    first
}

fn rows(rows: &[&[Option<&str>]]) -> Vec<Row> {
    rows.iter().map(|row| row.iter().map(|field| field.map(str::to_owned)).collect()).collect()
}

#[test]
fn the_text_format_is_read() {
    assert_eq!(
        read("", "1\té\\tb\\\\\t\\N\n\\x41\\101\\q\\\n\t\t\r\n\n\\N").unwrap(),
        rows(&[
            &[Some("1"), Some("é\tb\\"), None],
            &[Some("AAq\n"), Some(""), Some("")],
            &[Some("")],
            &[None],
        ])
    );
    assert_eq!(read("", "1\n\\.\nrest").unwrap(), rows(&[&[Some("1")]]));
    assert_eq!(
        read("(delimiter '|', null '')", "a||b\\|c\n").unwrap(),
        rows(&[&[Some("a"), None, Some("b|c")]])
    );
    assert_eq!(read("", "").unwrap(), rows(&[]));
}

#[test]
fn the_csv_format_is_read() {
    assert_eq!(
        read("csv", "1,\"a,\"\"b\n\"\"\",\n\"\",é\"x\"y, \r\n").unwrap(),
        rows(&[&[Some("1"), Some("a,\"b\n\""), None], &[Some(""), Some("éxy"), Some(" ")],])
    );
    let options = "(format csv, header, delimiter ';', quote '''', escape '\\', null 'N', \
                   force_null (a), force_not_null (b))";
    assert_eq!(
        read(options, "x;y;z\n'N';N;N\n'it\\'s';'a\\\\b';'\\n'\n\\.\n;").unwrap(),
        rows(&[&[None, Some("N"), None], &[Some("it's"), Some("a\\b"), Some("\\n")],])
    );
}

#[test]
fn wrong_data_is_named_by_its_line() {
    for (options, data, error) in [
        ("csv", "1\n\"a\nb", CopyError::UnterminatedQuote { line: 2 }),
        ("csv", "1\n2\ra\n", CopyError::LineEnd { line: 2 }),
        ("", "1\n\\\n\na\rb\n", CopyError::LineEnd { line: 4 }),
        ("", "1\na\\.\n", CopyError::EndMarker { line: 2 }),
        ("", "1\n\\xff\n", CopyError::Encoding { line: 2 }),
    ] {
        assert_eq!(read(options, data), Err(error), "{data:?}");
    }
    let mut reader = layout("").reader(&columns());
    assert_eq!(reader.push(b"\xff\n"), Err(CopyError::Encoding { line: 1 }));
}

#[test]
fn options_that_are_not_done_here_are_refused() {
    for (options, name) in [
        ("(quote '|')", "quote"),
        ("(format csv, delimiter ',,')", "delimiter"),
        ("(format csv, quote ',')", "delimiter"),
        ("(encoding 'latin1')", "encoding"),
        ("(header match)", "header"),
        ("(on_error ignore)", "on_error"),
    ] {
        assert_eq!(
            Layout::of(&copy(options)),
            Err(CopyError::Option { name: name.to_owned() }),
            "{options}"
        );
    }
    assert_eq!(Layout::of(&copy("binary")), Err(CopyError::Binary));
    assert!(Layout::of(&copy("(encoding 'UTF8', freeze)")).is_ok());
}

#[test]
fn what_is_written_reads_as_it_was() {
    let row: Row = [Some("a\tb\\c|,\"'\n\r\u{8}\u{b}é"), None, Some("")]
        .map(|field| field.map(str::to_owned))
        .to_vec();
    for options in [
        "",
        "(delimiter '|', null 'x')",
        "csv",
        "(format csv, quote '''', escape '\\', null 'N', force_quote *)",
        "(format csv, delimiter '|', force_quote (a), header)",
    ] {
        let layout = layout(options);
        let mut written = Vec::new();
        layout.write_header(&columns(), &mut written);
        layout.write_row(&row, &columns(), &mut written);
        let text = String::from_utf8(written).unwrap();
        assert_eq!(read(options, &text).unwrap(), std::slice::from_ref(&row), "{text}");
    }
}
