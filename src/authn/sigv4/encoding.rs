//! Percent-encoding as the standard has it (`UriEncode`): all but RFC 3986's unreserved characters becomes
//! `%XX` in upper case.

use crate::secret::hex_value;

/// A `%` without two hexadecimal digits after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadEscape;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Appends `text` with all but the unreserved characters and `kept` encoded; a `%` too.
pub(super) fn push_encoded(out: &mut Vec<u8>, text: &[u8], kept: &[u8]) {
    for &byte in text {
        push_byte(out, byte, kept);
    }
}

/// Appends `text`, which is encoded once, in the one form that has all but the unreserved characters
/// encoded. Characters of `kept` stay as they are where they stand bare, so that they do not become equal
/// to their encoded form.
pub(super) fn push_normalised(
    out: &mut Vec<u8>,
    text: &[u8],
    kept: &[u8],
) -> Result<(), BadEscape> {
    each_byte(text, |byte, escaped| {
        push_byte(out, byte, if escaped { b"" } else { kept });
    })
}

/// Takes the percent-encoding off.
pub(super) fn decoded(text: &[u8]) -> Result<Vec<u8>, BadEscape> {
    let mut out = Vec::with_capacity(text.len());
    each_byte(text, |byte, _| out.push(byte))?;
    Ok(out)
}

/// Hands out each byte that `text` stands for, and whether it was escaped.
fn each_byte(text: &[u8], mut take: impl FnMut(u8, bool)) -> Result<(), BadEscape> {
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            take(*first, false);
            continue;
        }
        let [high, low, after @ ..] = tail else {
            return Err(BadEscape);
        };
        let (Some(high), Some(low)) = (hex_value(*high), hex_value(*low)) else {
            return Err(BadEscape);
        };
        take(high << 4 | low, true);
        rest = after;
    }
    Ok(())
}

fn push_byte(out: &mut Vec<u8>, byte: u8, kept: &[u8]) {
    if is_unreserved(byte) || kept.contains(&byte) {
        out.push(byte);
        return;
    }
    let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or(b'0');
    out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
}

#[cfg(test)]
mod tests {
    use super::{BadEscape, decoded, push_encoded, push_normalised};

    fn encoded(text: &[u8], kept: &[u8]) -> String {
        let mut out = Vec::new();
        push_encoded(&mut out, text, kept);
        String::from_utf8(out).unwrap()
    }

    fn normalised(text: &[u8], kept: &[u8]) -> Result<String, BadEscape> {
        let mut out = Vec::new();
        push_normalised(&mut out, text, kept)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn encodes_what_was_sent_once_more() {
        for (sent, wanted) in [
            ("/", "/"),
            ("/-._~09AZaz", "/-._~09AZaz"),
            ("/a%20b", "/a%2520b"),
            ("/a%7eb", "/a%257eb"),
            ("/$delete!'()*", "/%24delete%21%27%28%29%2A"),
            ("/\u{1234}", "/%E1%88%B4"),
            ("/a+b:c@d,e=f&g", "/a%2Bb%3Ac%40d%2Ce%3Df%26g"),
        ] {
            assert_eq!(encoded(sent.as_bytes(), b"/"), wanted);
        }
        assert_eq!(encoded(&[0, 0xff, b'\n'], b""), "%00%FF%0A");
    }

    #[test]
    fn brings_text_into_one_form() {
        for (sent, wanted) in [
            ("", Ok("")),
            ("a%20b", Ok("a%20b")),
            ("%7E%7e~", Ok("~~~")),
            ("%e1%88%b4", Ok("%E1%88%B4")),
            ("\u{1234}", Ok("%E1%88%B4")),
            ("a!*'()", Ok("a%21%2A%27%28%29")),
            // Kept as they stand, and told from their encoded form.
            ("a+b", Ok("a+b")),
            ("a%2bb", Ok("a%2Bb")),
            ("a%2", Err(BadEscape)),
            ("a%", Err(BadEscape)),
            ("%zz", Err(BadEscape)),
            ("%%20", Err(BadEscape)),
        ] {
            assert_eq!(
                normalised(sent.as_bytes(), b"+"),
                wanted.map(str::to_owned),
                "{sent}"
            );
        }
    }

    #[test]
    fn decodes_once() {
        assert_eq!(decoded(b"a%2Fb%2520+"), Ok(b"a/b%20+".to_vec()));
        assert_eq!(decoded(b"a%2"), Err(BadEscape));
    }
}
