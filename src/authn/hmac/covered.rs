//! The parts of a request that go into a signed text.

use crate::headers::Single;
use crate::request::signed::AsSigned;
use crate::verdict::Refusal;

use super::refused;

/// Whether a header holds a signature, and so cannot be covered by one.
pub(super) fn holds_signature(name: &str) -> bool {
    matches!(name, "authorization" | "proxy-authorization" | "signature")
}

/// The value of a signed header, without spaces around it. Lines that Envoy joined are one value as Envoy
/// shows it. `name` is in lower case.
///
/// # Errors
/// `signature_component_refused` where it is missing or stands there several times.
pub(super) fn header<'a>(message: &'a AsSigned<'_>, name: &str) -> Result<&'a [u8], Refusal> {
    match message.headers.single(name) {
        Single::One(value) => Ok(trim(value)),
        Single::Absent => Err(refused(format!(
            "the request has no header `{name}`, which is signed; did Envoy's `allowed_headers` hold it back?"
        ))),
        Single::Several => Err(refused(format!(
            "the header `{name}` is signed and stands there several times"
        ))),
    }
}

/// Takes spaces and tabs away at both ends (RFC 9110 section 5.5).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Adds a part of the request. A line break in it would make one request's text that of another.
///
/// # Errors
/// `signature_component_refused` for a line break or NUL.
pub(super) fn push(text: &mut Vec<u8>, part: &[u8]) -> Result<(), Refusal> {
    if part.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        return Err(refused(
            "a signed part of the request holds a line break or a NUL",
        ));
    }
    text.extend_from_slice(part);
    Ok(())
}

/// Adds the path, and the query with its `?` where there is one.
///
/// # Errors
/// As [`push`].
pub(super) fn push_target(text: &mut Vec<u8>, message: &AsSigned<'_>) -> Result<(), Refusal> {
    push(text, &message.path)?;
    push_query(text, message)
}

/// Adds the query with its `?`; nothing where the target has no `?`.
///
/// # Errors
/// As [`push`].
pub(super) fn push_query(text: &mut Vec<u8>, message: &AsSigned<'_>) -> Result<(), Refusal> {
    if let Some(query) = message.query {
        text.push(b'?');
        push(text, query)?;
    }
    Ok(())
}
