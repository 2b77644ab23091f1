//! Elements of the query protocol's replies.

/// `<name>content</name>`; the content is markup already.
pub(crate) fn element(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}

/// `<name>text</name>`.
pub(crate) fn text(name: &str, text: &str) -> String {
    element(name, &escaped(text))
}

/// As [`text`], and nothing for none.
pub(crate) fn optional(name: &str, value: Option<&str>) -> String {
    value.map_or_else(String::new, |value| text(name, value))
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
