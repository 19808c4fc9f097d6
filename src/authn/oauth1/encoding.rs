//! Percent-encoding as OAuth 1.0 wants it (RFC 5849 section 3.6), and the two ways of taking it off.

use crate::secret::hex_value;

/// The characters that are never encoded (RFC 3986 section 2.3).
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Appends `text`, each byte but the unreserved ones as `%` and two upper-case digits.
pub(super) fn encode_onto(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        if is_unreserved(byte) {
            out.push(byte);
        } else {
            out.extend([b'%', upper_digit(byte >> 4), upper_digit(byte & 15)]);
        }
    }
}

/// `text` in its encoded form.
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    encode_onto(&mut out, text);
    out
}

const fn upper_digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        _ => b'A' - 10 + value,
    }
}

/// Decodes a name or a value of the `Authorization` header. `None` if a character stands there that has to
/// be encoded, or if an escape is none. Digits of either case are read: what is signed is encoded anew.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let plain = |byte: u8| is_unreserved(byte).then_some(byte);
    decode_with(text, plain)
}

/// Decodes a name or a value of a query or a form, where `+` is a space (HTML 4.0 section 17.13.4). `None`
/// if an escape is none: whoever reads the request next might read another text out of it.
pub(super) fn form_decode(text: &[u8]) -> Option<Vec<u8>> {
    let plain = |byte: u8| Some(if byte == b'+' { b' ' } else { byte });
    decode_with(text, plain)
}

fn decode_with(text: &[u8], plain: impl Fn(u8) -> Option<u8>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                out.push(hex_value(*high)? << 4 | hex_value(*low)?);
                after
            }
            (b'%', _) => return None,
            (&byte, _) => {
                out.push(plain(byte)?);
                tail
            }
        };
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::{decode, encode, form_decode};

    #[test]
    fn encodes_as_rfc_5849_section_3_6_says() {
        for (plain, encoded) in [
            ("abcXYZ019-._~", "abcXYZ019-._~"),
            ("%", "%25"),
            ("+", "%2B"),
            ("&=*", "%26%3D%2A"),
            ("\n", "%0A"),
            (" ", "%20"),
            ("\u{7f}", "%7F"),
            ("!'()/?:@;,[]", "%21%27%28%29%2F%3F%3A%40%3B%2C%5B%5D"),
            ("Ladies + Gentlemen", "Ladies%20%2B%20Gentlemen"),
            ("☃", "%E2%98%83"),
            ("\u{3001}", "%E3%80%81"),
            ("", ""),
        ] {
            let text = String::from_utf8(encode(plain.as_bytes())).unwrap();
            assert_eq!(text, encoded);
            assert_eq!(decode(encoded.as_bytes()).unwrap(), plain.as_bytes());
            assert_eq!(form_decode(encoded.as_bytes()).unwrap(), plain.as_bytes());
        }
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&every)), Some(every));
    }

    #[test]
    fn reads_digits_of_either_case_and_a_plus_in_forms_alone() {
        assert_eq!(decode(b"%c3%a9"), Some(b"\xc3\xa9".to_vec()));
        assert_eq!(form_decode(b"a+b%2Bc%00"), Some(b"a b+c\0".to_vec()));
        assert_eq!(form_decode(b"\xff/:"), Some(b"\xff/:".to_vec()));
    }

    #[test]
    fn refuses_escapes_that_are_none() {
        for bad in [
            "%", "%4", "a%", "%zz", "%4g", "%%41", "% 41", "%+1", "%u0041",
        ] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
            assert_eq!(form_decode(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn refuses_in_the_header_what_has_to_be_encoded() {
        for bad in ["a b", "a+b", "a/b", "a=", "a\\b", "é", "a\"b", "a,b"] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }
}
