//! A request's headers as Envoy hands them over, and the questions that are safe to ask of them.

pub mod plan;

use std::ops::Range;

use bytes::Bytes;

/// A request's headers in order, names lower-case, pseudo headers (`:path`, …) among them.
///
/// In Envoy's default mode (`headers`) lines of one name arrive joined by a comma and bytes that are
/// no UTF-8 arrive as `!`; with `encode_raw_headers` (`header_map`) they arrive as they were sent.
///
/// Lines are ranges of the one message that they arrived in: a request has dozens, and few are ever
/// looked at.
#[derive(Clone, Default)]
pub struct Headers {
    message: Bytes,
    lines: Vec<Line>,
    is_text: bool,
}

/// Where a header's name and value stand in a message.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// The name.
    pub name: Range<usize>,
    /// The value.
    pub value: Range<usize>,
}

impl std::fmt::Debug for Headers {
    /// Names only: values are where credentials stand.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.iter().map(|(name, _)| String::from_utf8_lossy(name));
        f.debug_list().entries(names).finish()
    }
}

/// What a lookup of a header that must stand alone finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Single<'a> {
    /// The request has no such header.
    Absent,
    /// Exactly one line.
    One(&'a [u8]),
    /// Two lines or more: nobody can say which one the next reader believes.
    Several,
}

impl Headers {
    /// Takes lines that stand in `message`; a range that does not is an empty text. Names are lower-cased
    /// here where Envoy has not done it.
    pub fn within(message: Bytes, lines: Vec<Line>) -> Self {
        let headers = Self {
            message,
            lines,
            is_text: false,
        };
        let upper = |(name, _): (&[u8], &[u8])| name.iter().any(u8::is_ascii_uppercase);
        if headers.iter().any(upper) {
            return Self::new(headers.iter());
        }
        headers
    }

    /// Copies lines from wherever they stand.
    pub fn new<N: AsRef<[u8]>, V: AsRef<[u8]>>(lines: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut message = Vec::new();
        let mut ranges = Vec::new();
        for (name, value) in lines {
            let start = message.len();
            message.extend(name.as_ref().iter().map(u8::to_ascii_lowercase));
            let middle = message.len();
            message.extend_from_slice(value.as_ref());
            ranges.push(Line {
                name: start..middle,
                value: middle..message.len(),
            });
        }
        Self {
            message: message.into(),
            lines: ranges,
            is_text: false,
        }
    }

    /// The same headers as Envoy shows them without `encode_raw_headers`: a `!` in them may have been a byte
    /// that is no UTF-8.
    #[must_use]
    pub fn shown_as_text(mut self) -> Self {
        self.is_text = true;
        self
    }

    /// Whether a `!` in them may have been another byte; see [`Headers::shown_as_text`].
    pub const fn is_text(&self) -> bool {
        self.is_text
    }

    /// How many lines there are.
    pub const fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All lines in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let text = |range: &Range<usize>| self.message.get(range.clone()).unwrap_or_default();
        self.lines
            .iter()
            .map(move |line| (text(&line.name), text(&line.value)))
    }

    /// The values of one header, in order. `name` is lower-case.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(n, _)| *n == name.as_bytes())
            .map(|(_, v)| v)
    }

    /// The one value of a header that must not repeat. `name` is lower-case.
    pub fn single(&self, name: &str) -> Single<'_> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (None, _) => Single::Absent,
            (Some(value), None) => Single::One(value),
            (Some(_), Some(_)) => Single::Several,
        }
    }

    /// A part of a name or of a value, to be kept beyond the request: shared where it stands in the
    /// message, else copied.
    pub fn share(&self, part: &[u8]) -> Bytes {
        let base = self.message.as_ptr().addr();
        let start = part.as_ptr().addr().wrapping_sub(base);
        let range = start..start.wrapping_add(part.len());
        if self.message.get(range.clone()) == Some(part) {
            self.message.slice(range)
        } else {
            Bytes::copy_from_slice(part)
        }
    }
}

/// One character of a header name as CGI, WSGI and their kin see it: they turn names into variables,
/// and `x-user`, `X_User` and `x.user` become the same one (RFC 3875 section 4.1.18).
pub const fn fold(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' => byte,
        b'A'..=b'Z' => byte.to_ascii_lowercase(),
        _ => b'-',
    }
}

/// Whether two names become the same variable in an upstream.
pub fn same_variable(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| fold(a) == fold(b))
}

/// Whether `name` is a header field name (RFC 9110 section 5.1: a token) of at most 128 bytes, in
/// lower case.
pub fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
        })
}

#[cfg(test)]
mod tests {
    use super::{Headers, Line, Single, is_header_name, same_variable};
    use bytes::Bytes;

    fn headers(lines: &[(&'static str, &'static str)]) -> Headers {
        Headers::new(lines.iter().copied())
    }

    #[test]
    fn h10_names_are_found_in_any_case() {
        let headers = headers(&[("Authorization", "a"), ("x-many", "1"), ("X-Many", "2")]);
        assert_eq!(headers.single("authorization"), Single::One(b"a"));
        assert_eq!(headers.single("x-none"), Single::Absent);
    }

    #[test]
    fn h1_a_repeated_header_is_seen_as_repeated() {
        let headers = headers(&[("x-many", "1"), ("x-other", "0"), ("X-Many", "2")]);
        assert_eq!(headers.single("x-many"), Single::Several);
        assert_eq!(headers.all("x-many").count(), 2);
    }

    #[test]
    fn lines_are_parts_of_one_message() {
        let message = Bytes::from_static(b"..x-aone..X-Btwo");
        let line = |name, value| Line { name, value };
        let lines = vec![line(2..5, 5..8), line(10..13, 13..16)];
        for (lines, names) in [
            (lines[..1].to_vec(), vec![("x-a", "one")]),
            (lines, vec![("x-a", "one"), ("x-b", "two")]),
            (
                vec![line(0..1, 90..95), line(14..99, 0..0)],
                vec![(".", ""), ("", "")],
            ),
        ] {
            let headers = Headers::within(message.clone(), lines);
            let read: Vec<_> = headers.iter().collect();
            let names: Vec<_> = names
                .iter()
                .map(|(n, v)| (n.as_bytes(), v.as_bytes()))
                .collect();
            assert_eq!(read, names);
        }
    }

    #[test]
    fn shares_what_stands_in_the_message_and_copies_what_does_not() {
        let headers = headers(&[("x-a", "one")]);
        let Single::One(value) = headers.single("x-a") else {
            panic!("no value");
        };
        for part in [value, &value[1..2], &value[3..], b"else", b""] {
            assert_eq!(headers.share(part), part);
        }
        assert_eq!(headers.share(value).as_ptr(), value.as_ptr());
    }

    #[test]
    fn h5_folds_spellings_to_one_variable() {
        for same in [
            "x-auth-id",
            "x_auth_id",
            "X.Auth.Id",
            "x-auth_id",
            "x~auth~id",
        ] {
            assert!(same_variable(b"x-auth-id", same.as_bytes()), "{same}");
        }
        for other in ["x-auth-ids", "xauth-id", "x-auth-i", "x-auth-1d"] {
            assert!(!same_variable(b"x-auth-id", other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn knows_a_header_name() {
        for (name, good) in [
            ("x-auth", true),
            ("", false),
            ("X-Auth", false),
            ("a b", false),
            ("a:", false),
        ] {
            assert_eq!(is_header_name(name), good, "{name}");
        }
    }
}
