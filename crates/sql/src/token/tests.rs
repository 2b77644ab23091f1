use super::*;

fn read(sql: &str) -> Vec<(TokenKind, &str)> {
    read_with(sql, Backslashes::Literal)
}

fn read_with(sql: &str, backslashes: Backslashes) -> Vec<(TokenKind, &str)> {
    tokens(sql, backslashes).map(|token| (token.kind, token.text(sql))).collect()
}

fn texts(sql: &str) -> Vec<&str> {
    read(sql).into_iter().map(|(_, text)| text).collect()
}

fn one(sql: &str) -> TokenKind {
    match read(sql).as_slice() {
        [(kind, text)] if *text == sql => *kind,
        other => panic!("{sql} is {other:?}"),
    }
}

#[test]
fn a_query_is_cut_into_its_tokens() {
    assert_eq!(
        texts("select a.\"B c\", $1::int4[1:2] from t--x\nwhere é<>-1.5e3;"),
        [
            "select", "a", ".", "\"B c\"", ",", "$1", "::", "int4", "[", "1", ":", "2", "]",
            "from", "t", "--x", "where", "é", "<>", "-", "1.5e3", ";"
        ]
    );
}

#[test]
fn every_way_to_write_a_string_is_one_token() {
    for (sql, quoting) in [
        ("'it''s'", Quoting::Plain),
        ("'back\\'", Quoting::Plain),
        ("'a'\n  'b'", Quoting::Plain),
        ("'a' -- why\n 'b'", Quoting::Plain),
        ("e'it\\'s'", Quoting::Escape),
        ("E'a\\\\'\r'b'", Quoting::Escape),
        ("U&'d\\0061t'", Quoting::Unicode),
        ("n'x'", Quoting::National),
        ("$$it's$$", Quoting::Dollar),
        ("$a$ $b$ $$ $a $a$", Quoting::Dollar),
        ("$a$$b$a$", Quoting::Dollar),
        ("$é_1$;$é_1$", Quoting::Dollar),
    ] {
        assert_eq!(one(sql), TokenKind::String(quoting), "{sql}");
    }
    for sql in ["B'01'", "x'fF'", "b'0'\n'1'"] {
        assert_eq!(one(sql), TokenKind::Bits, "{sql}");
    }
    assert_eq!(one("\"a\"\"b\""), TokenKind::QuotedIdentifier);
    assert_eq!(one("u&\"a\""), TokenKind::UnicodeIdentifier);
}

#[test]
fn strings_on_one_line_are_two_tokens() {
    assert_eq!(texts("'a' 'b'"), ["'a'", "'b'"]);
    assert_eq!(texts("'a' /* no */\n'b'"), ["'a'", "/* no */", "'b'"]);
    assert_eq!(texts("B'1''0'"), ["B'1'", "'0'"]);
}

#[test]
fn a_backslash_is_an_escape_only_where_the_setting_says_so() {
    assert_eq!(texts("'a\\';'"), ["'a\\'", ";", "'"]);
    let off = read_with("'a\\';'", Backslashes::Escape);
    assert_eq!(off, [(TokenKind::String(Quoting::Plain), "'a\\';'")]);
}

#[test]
fn what_has_no_end_is_all_the_rest() {
    for sql in ["'a;", "E'a\\'", "\"a", "$$;", "$a$ $A$", "/* /* */", "U&'", "B'1", "'\\"] {
        assert_eq!(one(sql), TokenKind::Unterminated, "{sql}");
    }
}

#[test]
fn an_operator_ends_where_postgresql_ends_it() {
    for (sql, expected) in [
        ("1=-1", &["1", "=", "-", "1"][..]),
        ("a@-1", &["a", "@-", "1"]),
        ("a+--b\n1", &["a", "+", "--b", "1"]),
        ("a*/*x*/1", &["a", "*", "/*x*/", "1"]),
        ("a<=>b", &["a", "<=>", "b"]),
        ("a=>+-1", &["a", "=>", "+", "-", "1"]),
        ("- - --", &["-", "-", "--"]),
        ("a->>'b'", &["a", "->>", "'b'"]),
        ("|/25", &["|/", "25"]),
        ("a::b:=c:::d", &["a", "::", "b", ":=", "c", "::", ":", "d"]),
    ] {
        assert_eq!(texts(sql), expected, "{sql}");
    }
}

#[test]
fn numbers_are_those_of_postgresql_16_and_of_those_before_it() {
    for sql in ["1", "1.", ".5", "1.5e-3", "1e5", "0x1F", "0X_ff", "0o17", "0b01", "1_000.5_0"] {
        assert_eq!(one(sql), TokenKind::Number, "{sql}");
    }
    for (sql, expected) in [
        ("1..2", &["1", "..", "2"][..]),
        ("1e", &["1", "e"]),
        ("1e+", &["1", "e", "+"]),
        ("1__0", &["1", "__0"]),
        ("1_000a", &["1", "_000a"]),
        ("0xg", &["0", "xg"]),
        ("0b1E'\\'", &["0", "b1E", "'\\'"]),
        ("1.e", &["1.", "e"]),
        ("1e'\\''", &["1", "e'\\''"]),
    ] {
        assert_eq!(texts(sql), expected, "{sql}");
    }
}

#[test]
fn dollars_are_parameters_strings_parts_of_words_or_junk() {
    assert_eq!(one("$12"), TokenKind::Parameter);
    assert_eq!(one("a$1"), TokenKind::Word);
    assert_eq!(one("a$$b$$"), TokenKind::Word);
    assert_eq!(read("$a "), [(TokenKind::Junk, "$"), (TokenKind::Word, "a")]);
    assert_eq!(texts("$1a$$b$$"), ["$1", "a$$b$$"]);
}

#[test]
fn a_long_row_of_signs_takes_time_in_proportion() {
    let sql = "+".repeat(1 << 16);
    assert_eq!(tokens(&sql, Backslashes::Literal).count(), 1 << 16);
}
