//! The canonical request and the string to sign.

use aws_lc_rs::digest;

use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

use super::encoding::{push_encoded, push_normalised};
use super::query::{MAX_PARAMETERS, SIGNATURE, parameters};
use super::rules::Dialect;
use super::scope::Scope;
use super::{ALGORITHM, malformed};

/// Bare characters that readers of a query do not agree on: a space or a plus, a separator or none. No
/// signer's encoding yields them, so what they are kept as is what was sent.
const KEPT_IN_QUERY: &[u8] = b"+;";

/// The same for a path that is signed as it is sent, where a bare `;` begins what some servers cut off.
const KEPT_IN_PATH: &[u8] = b"/+;";

/// The canonical request: method, path, query, headers, their names, and what stands for the body.
///
/// Its size is at most three times that of the request.
pub(super) fn request(
    message: &AsSigned<'_>,
    signed_headers: &[Box<str>],
    payload: &str,
    dialect: Dialect,
) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(message.method.as_bytes());
    out.push(b'\n');
    push_path(&mut out, &message.path, dialect)?;
    out.push(b'\n');
    push_query(&mut out, message.query.unwrap_or_default())?;
    out.push(b'\n');
    for name in signed_headers {
        push_header(&mut out, message, name)?;
    }
    out.push(b'\n');
    for (position, name) in signed_headers.iter().enumerate() {
        if position > 0 {
            out.push(b';');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b'\n');
    out.extend_from_slice(payload.as_bytes());
    Ok(out)
}

/// Algorithm, time, scope and the digest of the canonical request.
pub(super) fn string_to_sign(time: &str, scope: &Scope, canonical_request: &[u8]) -> Vec<u8> {
    let digest = digest::digest(&digest::SHA256, canonical_request);
    let digest = hex(digest.as_ref());
    format!("{ALGORITHM}\n{time}\n{}\n{digest}", scope.text()).into_bytes()
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

fn push_path(out: &mut Vec<u8>, path: &[u8], dialect: Dialect) -> Result<(), Refusal> {
    match dialect {
        Dialect::General => push_encoded(out, path, b"/"),
        Dialect::S3 => push_normalised(out, path, KEPT_IN_PATH).map_err(|_| {
            malformed("the path holds a percent sign without two hexadecimal digits")
        })?,
    }
    Ok(())
}

/// Parameters by name, those of one name by value; the signature itself left out. A query that has one in a
/// header's place never comes here.
fn push_query(out: &mut Vec<u8>, query: &[u8]) -> Result<(), Refusal> {
    if query.is_empty() {
        return Ok(());
    }
    let normalised = |text: &[u8]| {
        let mut out = Vec::with_capacity(text.len());
        push_normalised(&mut out, text, KEPT_IN_QUERY).map_err(|_| {
            malformed("the query holds a percent sign without two hexadecimal digits")
        })?;
        Ok::<_, Refusal>(out)
    };
    let mut pairs = Vec::new();
    for (name, value) in parameters(query) {
        if pairs.len() == MAX_PARAMETERS {
            return Err(malformed("the query has more than 1,000 parameters"));
        }
        let name = normalised(name)?;
        if name != SIGNATURE.as_bytes() {
            pairs.push((name, normalised(value)?));
        }
    }
    pairs.sort_unstable();
    for (position, (name, value)) in pairs.iter().enumerate() {
        if position > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value);
    }
    Ok(())
}

/// `name:value`, the value trimmed and its inner runs of spaces made one, lines of one name joined by a
/// comma.
fn push_header(out: &mut Vec<u8>, message: &AsSigned<'_>, name: &str) -> Result<(), Refusal> {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    if name == "host" {
        push_value(out, message.authority.as_bytes(), name)?;
        out.push(b'\n');
        return Ok(());
    }
    let mut values = message.headers.all(name).peekable();
    if values.peek().is_none() {
        return Err(Refusal::new(
            Reason::SignatureComponentRefused,
            format!("the signature covers the header `{name}`, which the request does not have"),
        ));
    }
    for (position, value) in values.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        push_value(out, value, name)?;
    }
    out.push(b'\n');
    Ok(())
}

fn push_value(out: &mut Vec<u8>, value: &[u8], name: &str) -> Result<(), Refusal> {
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t');
    let words = value
        .split(|&byte| is_space(byte))
        .filter(|word| !word.is_empty());
    for (position, word) in words.enumerate() {
        // A line end in a value could pass for the end of its line in the canonical request.
        if word.iter().any(u8::is_ascii_control) {
            return Err(Refusal::new(
                Reason::SignatureComponentRefused,
                format!("the signed header `{name}` holds a control character"),
            ));
        }
        if position > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Dialect, push_path, push_query, push_value};

    fn path(path: &str, dialect: Dialect) -> String {
        let mut out = Vec::new();
        match push_path(&mut out, path.as_bytes(), dialect) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(_) => "refused".to_owned(),
        }
    }

    fn query(query: &str) -> String {
        let mut out = Vec::new();
        match push_query(&mut out, query.as_bytes()) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(_) => "refused".to_owned(),
        }
    }

    #[test]
    fn encodes_paths_twice_or_once() {
        for (sent, general, s3) in [
            ("/", "/", "/"),
            ("/a%20b", "/a%2520b", "/a%20b"),
            ("/a%2fb", "/a%252fb", "/a%2Fb"),
            ("/%7eme/~me", "/%257eme/~me", "/~me/~me"),
            ("/caf%C3%A9", "/caf%25C3%25A9", "/caf%C3%A9"),
            ("/a!(b)", "/a%21%28b%29", "/a%21%28b%29"),
            ("/a+b;c", "/a%2Bb%3Bc", "/a+b;c"),
            ("/a%2Bb%3Bc", "/a%252Bb%253Bc", "/a%2Bb%3Bc"),
            ("/a//b/", "/a//b/", "/a//b/"),
            ("/a/../b", "/a/../b", "/a/../b"),
            ("/a%zz", "/a%25zz", "refused"),
        ] {
            assert_eq!(path(sent, Dialect::General), general, "{sent}");
            assert_eq!(path(sent, Dialect::S3), s3, "{sent}");
        }
    }

    #[test]
    fn orders_queries_by_name_and_then_by_value() {
        for (sent, wanted) in [
            ("", ""),
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=1&A=3", "A=3&a=1&a=2"),
            // By name, not by the joined text: `-` comes before `=`.
            ("Param-3=x&Param=y", "Param=y&Param-3=x"),
            ("a=1&a1=0&a-=2", "a=1&a-=2&a1=0"),
            ("a", "a="),
            ("a&a=", "a=&a="),
            ("a=b=c", "a=b%3Dc"),
            ("=v", "=v"),
            ("a=1&&b", "=&a=1&b="),
            ("a=%20b~%7E", "a=%20b~~"),
            ("a=x+y", "a=x+y"),
            ("a=x%2By", "a=x%2By"),
            ("a=1;b=2", "a=1;b%3D2"),
            ("a=1%3Bb=2", "a=1%3Bb%3D2"),
            ("a=x,y:z/?", "a=x%2Cy%3Az%2F%3F"),
            ("%e1%88%b4=1&\u{1234}=0", "%E1%88%B4=0&%E1%88%B4=1"),
            ("X-Amz-Signature=1&a=1", "a=1"),
            ("X-Amz-Signature", ""),
            ("a=%", "refused"),
            ("a=%4", "refused"),
            ("%zz=1", "refused"),
        ] {
            assert_eq!(query(sent), wanted, "{sent}");
        }
        let most = vec!["a"; 1_000].join("&");
        assert_ne!(query(&most), "refused");
        assert_eq!(query(&format!("{most}&a")), "refused");
    }

    #[test]
    fn trims_values_and_folds_runs_of_spaces() {
        let value = |sent: &[u8]| {
            let mut out = Vec::new();
            push_value(&mut out, sent, "x").ok().map(|()| out)
        };
        for (sent, wanted) in [
            (&b""[..], Some(&b""[..])),
            (b"  ", Some(b"")),
            (b" a ", Some(b"a")),
            (b"a   b\t\tc", Some(b"a b c")),
            (b"\"a   b\"", Some(b"\"a b\"")),
            (b"a, b,c", Some(b"a, b,c")),
            (b"\xff\xfe", Some(b"\xff\xfe")),
            (b"a\nb", None),
            (b"a\r", None),
            (b"\0", None),
            (b"a\x7f", None),
        ] {
            assert_eq!(value(sent).as_deref(), wanted, "{sent:?}");
        }
    }
}
