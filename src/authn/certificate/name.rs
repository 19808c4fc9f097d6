//! Distinguished names: read from DER, written as RFC 4514 has it, and compared.
//!
//! Attribute types are spelt as Envoy spells them, so that what stands in its logs and in
//! `source.principal` can be copied into a policy.

use crate::authn::certificate::der::{Elements, OID, SEQUENCE, SET, oid};

/// The most attributes of one name.
const MAX_ATTRIBUTES: usize = 64;

/// The longest value of an attribute, in bytes.
const MAX_VALUE_BYTES: usize = 1024;

/// Attribute types with a short name (RFC 4514 section 3, RFC 4519, RFC 2985).
const SHORT: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// One attribute of a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// Its type, in numbers.
    pub oid: Box<str>,
    /// Its value: text without control characters.
    pub value: Box<str>,
}

/// A name as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name {
    /// RFC 4514: the last part first.
    pub(crate) text: Box<str>,
    /// All attributes in the certificate's own order.
    pub(crate) attributes: Vec<Attribute>,
}

/// Reads a `Name` (RFC 5280 section 4.1.2.4) of the string types that are in use. TeletexString,
/// BMPString and UniversalString are refused: their bytes mean different text to different readers.
///
/// # Errors
/// What about it is odd.
pub(crate) fn read(der: &[u8]) -> Result<Name, &'static str> {
    const BROKEN: &str = "a subject or issuer is no sequence of attributes";
    let mut parts = Vec::new();
    let mut attributes = Vec::new();
    let mut sequence = Elements(super::der::only(der, SEQUENCE).ok_or(BROKEN)?);
    while !sequence.is_empty() {
        let mut set = Elements(sequence.expect(SET).ok_or(BROKEN)?);
        let mut part = String::new();
        loop {
            let mut pair = Elements(set.expect(SEQUENCE).ok_or(BROKEN)?);
            let kind = pair.expect(OID).and_then(oid).ok_or(BROKEN)?;
            let value = pair.next().ok_or(BROKEN)?;
            if !pair.is_empty() {
                return Err(BROKEN);
            }
            let text = text(value.tag, value.content)?;
            if attributes.len() == MAX_ATTRIBUTES {
                return Err("a subject or issuer has more than 64 attributes");
            }
            write(&mut part, &kind, text, value.whole);
            attributes.push(Attribute {
                oid: kind.into(),
                value: text.into(),
            });
            if set.is_empty() {
                break;
            }
            part.push('+');
        }
        parts.push(part);
    }
    parts.reverse();
    Ok(Name {
        text: parts.join(",").into(),
        attributes,
    })
}

/// The text of a string (X.680 section 41) that holds no control character.
pub(crate) fn text(tag: u8, content: &[u8]) -> Result<&str, &'static str> {
    const CONTROL: &str = "a subject, issuer or value holds a NUL or control character";
    const CHARACTERS: &str = "a string holds bytes that its type does not have";
    let ascii = match tag {
        0x0c => false,
        // PrintableString, NumericString, IA5String. Certificates in use put `*`, `@` and `_` into the first.
        0x13 | 0x12 | 0x16 => true,
        _ => {
            return Err(
                "a subject, issuer or value has a string type other than UTF8String, PrintableString and IA5String",
            );
        }
    };
    if content.is_empty() || content.len() > MAX_VALUE_BYTES {
        return Err("a value of a subject or issuer is empty or longer than 1,024 bytes");
    }
    if ascii && !content.is_ascii() {
        return Err(CHARACTERS);
    }
    let text = std::str::from_utf8(content).map_err(|_| CHARACTERS)?;
    if text.chars().any(is_invisible) {
        return Err(CONTROL);
    }
    Ok(text)
}

/// Control characters, and those that make a text look like another: directions, joiners, a byte order mark.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Adds `TYPE=value`; a type without a short name has its value in hexadecimal (RFC 4514 section 2.4).
fn write(out: &mut String, kind: &str, value: &str, whole: &[u8]) {
    match SHORT.iter().find(|(oid, _)| *oid == kind) {
        Some((_, short)) => {
            out.push_str(short);
            out.push('=');
            escape(out, value);
        }
        None => {
            out.push_str(kind);
            out.push_str("=#");
            for byte in whole {
                out.push_str(&format!("{byte:02X}"));
            }
        }
    }
}

/// Adds a value with what RFC 4514 section 2.4 asks to escape.
fn escape(out: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        let edge = character == ' ' && (at == 0 || at == last);
        let first = character == '#' && at == 0;
        if edge || first || matches!(character, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
}

/// A name as Envoy writes it: characters beyond ASCII as `\C3\A9`.
pub(crate) fn as_envoy_writes(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii() {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("\\{byte:02X}"));
        }
    }
    out
}

/// Brings a name that a person wrote into the form of `read`: short names of any case or in numbers, spaces
/// after commas, and every way of escaping (RFC 4514 section 3).
///
/// # Errors
/// What is no such name.
pub fn canonical(text: &str) -> Result<String, &'static str> {
    const FORM: &str = "a name is written as in `CN=worker,O=Example`";
    if text.trim_matches(' ').is_empty() {
        return Err(FORM);
    }
    let mut out = String::new();
    let mut rest = text;
    loop {
        let (kind, after) = rest.split_once('=').ok_or(FORM)?;
        let kind = kind.trim_matches(' ');
        let short = SHORT
            .iter()
            .find(|(oid, short)| *oid == kind || short.eq_ignore_ascii_case(kind))
            .map(|(_, short)| *short);
        let (value, next) = value(after)?;
        match short {
            Some(short) => {
                if after.trim_start_matches(' ').starts_with('#') {
                    return Err("write the value of a known attribute as text, not as `#…`");
                }
                out.push_str(short);
                out.push('=');
                escape(&mut out, &value);
            }
            None => {
                let numbers = |byte: u8| byte.is_ascii_digit() || byte == b'.';
                let digits = value.strip_prefix('#').ok_or(
                    "an attribute without a short name has its value in hexadecimal: `1.2.3.4=#0C01…`",
                )?;
                if kind.is_empty()
                    || !kind.bytes().all(numbers)
                    || digits.len() % 2 == 1
                    || !digits.bytes().all(|byte| byte.is_ascii_hexdigit())
                {
                    return Err(FORM);
                }
                out.push_str(kind);
                out.push_str("=#");
                out.push_str(&digits.to_ascii_uppercase());
            }
        }
        match next {
            None => return Ok(out),
            Some((separator, next)) => {
                out.push(separator);
                rest = next;
            }
        }
    }
}

/// A value, unescaped, and what follows its separator.
#[expect(clippy::type_complexity, reason = "used once, just above")]
fn value(text: &str) -> Result<(String, Option<(char, &str)>), &'static str> {
    const ESCAPE: &str =
        "a backslash has to stand before a special character or two hexadecimal digits";
    let mut bytes = Vec::new();
    // How many bytes of it are no trailing spaces, escaped ones among them.
    let mut end = 0;
    let mut rest = text.trim_start_matches(' ');
    let next = loop {
        let mut characters = rest.chars();
        match characters.next() {
            None => break None,
            Some(separator @ (',' | '+')) => break Some((separator, characters.as_str())),
            Some('"' | ';' | '<' | '>') => {
                return Err("`\"`, `;`, `<` and `>` need a backslash before them");
            }
            Some('\\') => {
                let escaped = characters.next().ok_or(ESCAPE)?;
                let second = characters.clone().next();
                match (hex(escaped), second.and_then(hex)) {
                    (Some(high), Some(low)) => {
                        characters.next();
                        bytes.push(high << 4 | low);
                    }
                    _ if " \"#+,;<=>\\".contains(escaped) => push(&mut bytes, escaped),
                    _ => return Err(ESCAPE),
                }
                end = bytes.len();
            }
            Some(character) => {
                push(&mut bytes, character);
                if character != ' ' {
                    end = bytes.len();
                }
            }
        }
        rest = characters.as_str();
    };
    bytes.truncate(end);
    let value = String::from_utf8(bytes).map_err(|_| "the escaped bytes are no UTF-8")?;
    if value.is_empty() || value.chars().any(is_invisible) {
        return Err("a value is empty, or holds a control character");
    }
    Ok((value, next))
}

fn push(bytes: &mut Vec<u8>, character: char) {
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

fn hex(character: char) -> Option<u8> {
    u8::try_from(character)
        .ok()
        .and_then(crate::secret::hex_value)
}

#[cfg(test)]
mod tests {
    use super::{as_envoy_writes, canonical, read};

    /// A name of one UTF8String attribute per part, in the certificate's order.
    fn der(parts: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        use crate::authn::certificate::der::wrap;
        let parts = parts.iter().flat_map(|(oid, tag, value)| {
            let pair = [wrap(6, oid).unwrap(), wrap(*tag, value).unwrap()].concat();
            wrap(0x31, &wrap(0x30, &pair).unwrap()).unwrap()
        });
        wrap(0x30, &parts.collect::<Vec<_>>()).unwrap()
    }

    const CN: &[u8] = &[0x55, 4, 3];
    const O: &[u8] = &[0x55, 4, 10];

    #[test]
    fn writes_names_as_rfc_4514_and_envoy_have_it() {
        for (parts, text) in [
            (vec![], ""),
            (vec![(O, 12, &b"A"[..]), (CN, 12, b"b")], "CN=b,O=A"),
            (
                vec![(O, 12, br#"A, "q"; b=c\d"#)],
                r#"O=A\, \"q\"\; b=c\\d"#,
            ),
            (vec![(CN, 12, b"#h<>=+")], r"CN=\#h\<\>=\+"),
            (vec![(CN, 12, b" lead#trail ")], r"CN=\ lead#trail\ "),
            (vec![(CN, 12, b" ")], r"CN=\ "),
            (vec![(CN, 12, b"x\\")], r"CN=x\\"),
            (vec![(&[0x2a, 3, 4][..], 12, b"odd")], "1.2.3.4=#0C036F6464"),
        ] {
            let name = read(&der(&parts)).unwrap();
            assert_eq!(name.text.as_ref(), text);
            assert_eq!(name.attributes.len(), parts.len());
            if !text.is_empty() {
                assert_eq!(canonical(text).as_deref(), Ok(text));
            }
        }
        let name = read(&der(&[(CN, 12, "client é".as_bytes())])).unwrap();
        assert_eq!(as_envoy_writes(&name.text), r"CN=client \C3\A9");
        assert_eq!(canonical(r"CN=client \C3\A9").as_deref(), Ok("CN=client é"));
    }

    #[test]
    fn refuses_odd_strings() {
        for (tag, value) in [
            (12, &b"a\0b"[..]),
            (12, b"a\nb"),
            (12, b"a\x7f"),
            (12, b"\xff"),
            (12, b""),
            (12, "a\u{202e}b".as_bytes()),
            (12, "a\u{200b}".as_bytes()),
            (12, "a\u{85}".as_bytes()),
            (0x13, b"caf\xc3\xa9"),
            (0x16, b"caf\xe9"),
            (0x14, b"teletex"),
            (0x1e, b"\0a\0b"),
            (0x1c, b"\0\0\0a"),
            (0x04, b"octets"),
            (0x30, b"\x0c\x01a"),
            (12, &[b'a'; 1025]),
        ] {
            assert!(read(&der(&[(CN, tag, value)])).is_err(), "{tag} {value:?}");
        }
        for bad in [
            &b""[..],
            &[0x30],
            &[0x31, 0],
            &[0x30, 2, 0x31, 0],
            &[0x30, 0, 0],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        let many = vec![(CN, 12, &b"a"[..]); 65];
        assert!(read(&der(&many)).is_err());
    }

    #[test]
    fn takes_names_as_people_write_them() {
        for (text, form) in [
            ("cn=a, o=b", "CN=a,O=b"),
            ("2.5.4.3=a", "CN=a"),
            (" CN = a b ,O=c", "CN=a b,O=c"),
            ("CN=a+UID=b,O=c", "CN=a+UID=b,O=c"),
            (r"CN=a\2Cb", r"CN=a\,b"),
            (r"CN=a\ ", r"CN=a\ "),
            ("STREET=x", "street=x"),
            ("E=x", ""),
            ("emailaddress=e@x", "emailAddress=e@x"),
            ("1.2.3.4=#0c01ff", "1.2.3.4=#0C01FF"),
        ] {
            assert_eq!(canonical(text).unwrap_or_default(), form, "{text}");
        }
        for bad in [
            "",
            " ",
            "worker",
            "CN=",
            "CN=a,",
            "CN=a;b",
            "=a",
            "CN=\"a\"",
            "CN=a\\",
            "CN=a\\x",
            "1.2.3.4=text",
            "1.2.3.4=#0",
            "CN=#0C0161",
            "CN=a\\00",
            "CN=\\C3",
            "/CN=a/O=b",
        ] {
            assert!(canonical(bad).is_err(), "{bad}");
        }
    }
}
