//! The one text form of a request that both sides sign.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{Request, sha256_hex};

/// The parts of a canonical request.
pub(super) struct Canonical {
    pub(super) method: String,
    pub(super) path: String,
    /// Sorted and encoded.
    pub(super) query: String,
    /// Sorted by name; each ends its own line.
    pub(super) headers: String,
    /// Names, sorted, joined by `;`.
    pub(super) signed_headers: String,
    pub(super) payload_hash: String,
}

impl Canonical {
    /// `None` when a signed header is not in the request.
    pub(super) fn new(request: &Request, signed_headers: &[String]) -> Option<Self> {
        let mut names = signed_headers.to_vec();
        names.sort();
        let lines: Option<Vec<_>> = names.iter().map(|name| header_line(request, name)).collect();
        Some(Self {
            method: request.method.clone(),
            path: path(&request.path),
            query: query(&request.query),
            headers: lines?.concat(),
            signed_headers: names.join(";"),
            payload_hash: sha256_hex(&request.body),
        })
    }

    pub(super) fn text(&self) -> String {
        [
            &*self.method,
            &self.path,
            &self.query,
            &self.headers,
            &self.signed_headers,
            &self.payload_hash,
        ]
        .join("\n")
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub(super) fn encode(text: &[u8]) -> String {
    percent_encoding::percent_encode(text, RESERVED).to_string()
}

/// The pairs of a query string, decoded. A `+` is a plus: only HTML forms make it a space.
pub(crate) fn pairs(query: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// Resolves dots and empty segments, then encodes what is left: what was encoded on the wire
/// already is encoded twice, as every service but S3 wants it.
fn path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let encoded: Vec<_> =
        segments.iter().map(|segment| utf8_percent_encode(segment, RESERVED).to_string()).collect();
    let end = if path.ends_with('/') && !encoded.is_empty() { "/" } else { "" };
    format!("/{}{end}", encoded.join("/"))
}

/// Everything but the signature itself.
fn query(query: &str) -> String {
    let mut encoded: Vec<_> = pairs(query)
        .into_iter()
        .filter(|(name, _)| name != b"X-Amz-Signature")
        .map(|(name, value)| (encode(&name), encode(&value)))
        .collect();
    encoded.sort();
    let joined: Vec<_> =
        encoded.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    joined.join("&")
}

fn header_line(request: &Request, name: &str) -> Option<String> {
    let values: Vec<_> = request
        .headers
        .iter()
        .filter(|(other, _)| other == name)
        .map(|(_, value)| value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    (!values.is_empty()).then(|| format!("{name}:{}\n", values.join(",")))
}

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_their_dots_and_keep_their_end() {
        for (given, canonical) in [
            ("/", "/"),
            ("", "/"),
            ("//", "/"),
            ("/./", "/"),
            ("/example/..", "/"),
            ("/./example", "/example"),
            ("//example//", "/example/"),
            ("/example1/example2/../..", "/"),
            ("/example space/", "/example%20space/"),
            ("/example%20space/", "/example%2520space/"),
            ("/\u{1234}", "/%E1%88%B4"),
        ] {
            assert_eq!(path(given), canonical, "{given}");
        }
    }

    #[test]
    fn queries_are_sorted_by_their_encoded_form_without_the_signature() {
        assert_eq!(query("b=2&a=2&a=1"), "a=1&a=2&b=2");
        assert_eq!(query("X-Amz-Signature=00&a"), "a=");
        assert_eq!(query("k=a%2Fb+c~"), "k=a%2Fb%2Bc~");
    }
}
