//! The request target, split where its query begins and read no further than that.

use std::borrow::Cow;

use bytes::Bytes;

use crate::secret::hex_value;

/// `path?query` as it was sent.
#[derive(Clone)]
pub struct Target {
    path: Bytes,
    query: Option<Bytes>,
}

impl std::fmt::Debug for Target {
    /// The path only: a query may hold credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({})", String::from_utf8_lossy(&self.path))
    }
}

impl Target {
    /// Cuts at the first `?` (RFC 3986 section 3.4): everything before it is the path.
    pub fn split(raw: &Bytes) -> Self {
        match raw.iter().position(|&byte| byte == b'?') {
            Some(mark) => Self {
                path: raw.slice(..mark),
                query: Some(raw.slice(mark + 1..)),
            },
            None => Self {
                path: raw.clone(),
                query: None,
            },
        }
    }

    /// The undecoded path.
    pub const fn path(&self) -> &Bytes {
        &self.path
    }

    /// The undecoded query, without its `?`.
    pub const fn query(&self) -> Option<&Bytes> {
        self.query.as_ref()
    }

    /// The query's parameters, form-decoded (`+` is a space), in order, repeats kept.
    pub fn parameters(&self) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
        form_parameters(self.query.as_deref().unwrap_or_default())
    }
}

/// The pairs of `application/x-www-form-urlencoded` text, decoded, in order, repeats kept.
pub fn form_parameters(text: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    text.split(|&byte| byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.iter().position(|&byte| byte == b'=') {
            Some(equals) => (
                form_decode(pair.get(..equals).unwrap_or_default()),
                form_decode(pair.get(equals + 1..).unwrap_or_default()),
            ),
            None => (form_decode(pair), Cow::Borrowed(&[][..])),
        })
}

/// Decodes `application/x-www-form-urlencoded` text; an invalid escape stands for itself, as in the
/// URL standard.
pub fn form_decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex_value(*high), hex_value(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            _ => out.push(*first),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::Target;
    use bytes::Bytes;

    fn parameters(raw: &'static str) -> Vec<(String, String)> {
        Target::split(&Bytes::from_static(raw.as_bytes()))
            .parameters()
            .map(|(name, value)| {
                (
                    String::from_utf8_lossy(&name).into(),
                    String::from_utf8_lossy(&value).into(),
                )
            })
            .collect()
    }

    #[test]
    fn p2_p10_cuts_at_the_first_question_mark() {
        for (raw, path, query) in [
            ("/a", "/a", None),
            ("/a?", "/a", Some("")),
            ("/a?b?c", "/a", Some("b?c")),
            ("/a?/../b", "/a", Some("/../b")),
        ] {
            let target = Target::split(&Bytes::from_static(raw.as_bytes()));
            assert_eq!(target.path().as_ref(), path.as_bytes());
            assert_eq!(target.query().map(|q| q.as_ref()), query.map(str::as_bytes));
        }
    }

    #[test]
    fn p16_reads_the_query_as_a_form_and_keeps_repeats() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            parameters("/x?a=1&a=2&&b+c=d%20e%2B&f&=g&h=%zz&i=%4"),
            [
                pair("a", "1"),
                pair("a", "2"),
                pair("b c", "d e+"),
                pair("f", ""),
                pair("", "g"),
                pair("h", "%zz"),
                pair("i", "%4"),
            ]
        );
        assert!(parameters("/x").is_empty());
    }
}
