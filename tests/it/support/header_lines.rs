//! Header lines as they came over the wire: in order, doubled ones apart, values as bytes.

/// Name and raw value, one per line. Over HTTP/1.1 exactly the lines sent; over HTTP/2 lines of one name stand
/// together.
pub type HeaderLines = Vec<(String, Vec<u8>)>;

/// All values of a header, in order.
pub fn all<'a>(lines: &'a HeaderLines, name: &str) -> Vec<&'a str> {
    lines
        .iter()
        .filter(|(line, _)| line.eq_ignore_ascii_case(name))
        .map(|(_, value)| {
            std::str::from_utf8(value).unwrap_or_else(|_| {
                panic!(
                    "{name} is not UTF-8, look at the raw lines: {}",
                    value.escape_ascii()
                )
            })
        })
        .collect()
}

/// The value of a header that is there once or not at all: a second line would hide from a test that reads the first.
pub fn single<'a>(lines: &'a HeaderLines, name: &str) -> Option<&'a str> {
    match all(lines, name).as_slice() {
        [] => None,
        [value] => Some(value),
        values => panic!(
            "{name} is there {} times, use headers_all: {values:?}",
            values.len()
        ),
    }
}

/// From the form hyper hands out.
pub fn from_map(headers: &http::HeaderMap) -> HeaderLines {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect()
}
