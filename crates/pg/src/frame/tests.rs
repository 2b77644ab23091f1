use proptest::prelude::*;

use super::*;

type Seen = (u8, usize, Vec<u8>);

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend(i32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend(body);
    out
}

fn scan_all(side: Side, chunks: &[&[u8]]) -> (Vec<Seen>, Result<(), FrameError>, bool) {
    let mut framer = Framer::new(side);
    let mut seen = Vec::new();
    for chunk in chunks {
        let result = framer.scan(chunk, |m| seen.push((m.tag, m.body_len, m.prefix.to_vec())));
        if result.is_err() {
            return (seen, result, framer.at_boundary());
        }
    }
    (seen, Ok(()), framer.at_boundary())
}

#[test]
fn rows_are_stepped_over_and_commands_are_seen() {
    let mut stream = message(b'D', &[0; 1000]);
    stream.extend(message(b'C', b"SELECT 1\0"));
    stream.extend(message(b'Z', b"I"));
    let (seen, result, boundary) = scan_all(Side::Backend, &[&stream]);
    assert_eq!(result, Ok(()));
    assert!(boundary);
    assert_eq!(seen, [(b'C', 9, b"SELECT 1\0".to_vec()), (b'Z', 1, b"I".to_vec())]);
}

#[test]
fn a_long_query_is_cut_to_its_first_bytes() {
    let stream = message(b'Q', &[b'x'; 5000]);
    let (seen, ..) = scan_all(Side::Frontend, &[&stream]);
    assert_eq!(seen, [(b'Q', 5000, vec![b'x'; PREFIX_MAX])]);
}

#[test]
fn a_message_is_reported_with_its_last_byte() {
    let stream = message(b'Q', b"select 1\0");
    let (head, last) = stream.split_at(stream.len() - 1);
    let (seen, _, boundary) = scan_all(Side::Frontend, &[head]);
    assert_eq!((seen, boundary), (vec![], false));
    let (seen, _, boundary) = scan_all(Side::Frontend, &[head, last]);
    assert_eq!((seen.len(), boundary), (1, true));
}

#[test]
fn a_length_below_four_is_an_error_that_stays() {
    let mut framer = Framer::new(Side::Backend);
    let error = Err(FrameError::TooShort { tag: b'D', length: 3 });
    assert_eq!(framer.scan(b"D\0\0\0\x03", |_| {}), error);
    assert_eq!(framer.scan(&message(b'Z', b"I"), |_| {}), error);
    assert!(!framer.at_boundary());
}

#[test]
fn a_negative_or_huge_length_is_an_error_also_when_split() {
    for (length, error) in [
        (-1, FrameError::TooShort { tag: b'D', length: -1 }),
        (i32::MIN, FrameError::TooShort { tag: b'D', length: i32::MIN }),
        (0x3fff_ffff, FrameError::TooLong { tag: b'D', length: 0x3fff_ffff }),
    ] {
        let mut header = vec![b'D'];
        header.extend(length.to_be_bytes());
        let bytes: Vec<&[u8]> = header.chunks(1).collect();
        let (_, result, boundary) = scan_all(Side::Backend, &bytes);
        assert_eq!((result, boundary), (Err(error), false));
        assert_eq!(error.sql_state(), SqlState::PROTOCOL_VIOLATION);
    }
}

#[test]
fn unknown_tags_pass_in_silence() {
    let (seen, result, boundary) = scan_all(Side::Frontend, &[&message(0xee, b"whatever")]);
    assert_eq!((seen, result, boundary), (vec![], Ok(()), true));
}

fn tag(side: Side) -> impl Strategy<Value = u8> {
    let known: &'static [u8] = match side {
        Side::Frontend => b"QPBECSDHFcfdX",
        Side::Backend => b"DDDZECTnt123sIGHWcVANSK",
    };
    prop_oneof![4 => proptest::sample::select(known), 1 => any::<u8>()]
}

fn stream(side: Side) -> impl Strategy<Value = Vec<u8>> {
    let body = prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => proptest::collection::vec(any::<u8>(), 200..700),
    ];
    let whole = proptest::collection::vec((tag(side), body), 0..12)
        .prop_map(|list| list.iter().flat_map(|(t, b)| message(*t, b)).collect::<Vec<u8>>());
    // Now and then the end is cut off or garbage follows.
    (whole, proptest::collection::vec(any::<u8>(), 0..12)).prop_map(|(mut bytes, tail)| {
        bytes.extend(tail);
        bytes
    })
}

fn cut<'a>(bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut chunks = Vec::new();
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let (chunk, next) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        chunks.push(chunk);
        rest = next;
    }
    chunks
}

proptest! {
    #[test]
    fn chunking_never_matters_for_the_frontend(
        bytes in stream(Side::Frontend),
        sizes in proptest::collection::vec(1_usize..300, 1..8),
    ) {
        prop_assert_eq!(
            scan_all(Side::Frontend, &cut(&bytes, &sizes)),
            scan_all(Side::Frontend, &[&bytes])
        );
        prop_assert_eq!(
            scan_all(Side::Frontend, &cut(&bytes, &[1])),
            scan_all(Side::Frontend, &[&bytes])
        );
    }

    #[test]
    fn chunking_never_matters_for_the_backend(
        bytes in stream(Side::Backend),
        sizes in proptest::collection::vec(1_usize..300, 1..8),
    ) {
        prop_assert_eq!(
            scan_all(Side::Backend, &cut(&bytes, &sizes)),
            scan_all(Side::Backend, &[&bytes])
        );
    }
}
