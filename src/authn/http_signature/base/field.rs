//! The value of a header field in each of its forms (RFC 9421 section 2.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::authn::http_signature::components::Form;
use crate::authn::http_signature::structured;
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

/// A field's lines, trimmed and joined (section 2.1).
pub(super) fn joined(
    name: &str,
    message: &AsSigned<'_>,
    base: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let start = base.len();
    join(&lines(name, message)?, base).map_err(|detail| of_field(name, detail))?;
    check_field(base.get(start..).unwrap_or_default(), name)
}

/// A field in one of the other forms.
pub(super) fn parsed(
    name: &str,
    form: &Form,
    lines: &[&[u8]],
    base: &mut Vec<u8>,
) -> Result<(), Refusal> {
    if *form == Form::Wrapped {
        for (position, line) in lines.iter().enumerate() {
            base.extend_from_slice(if position == 0 { b":" } else { b", :" });
            let line = unfolded(line).map_err(|detail| of_field(name, detail))?;
            base.extend_from_slice(STANDARD.encode(line).as_bytes());
            base.push(b':');
        }
        return Ok(());
    }
    let mut text = Vec::new();
    join(lines, &mut text).map_err(|detail| of_field(name, detail))?;
    let value = match form {
        Form::Member(key) => {
            let dictionary = structured::dictionary(&text).map_err(|error| {
                of_field(name, &format!("is no structured-field dictionary: {error}"))
            })?;
            let entry = dictionary.get(key.as_ref()).ok_or_else(|| {
                of_field(
                    name,
                    "does not have the member that the signature covers (`key`)",
                )
            })?;
            structured::member(entry)
        }
        _ => structured::canonical(&text).ok_or_else(|| {
            of_field(
                name,
                "is covered with `sf` and is no structured field of a known type",
            )
        })?,
    };
    base.extend_from_slice(value.as_bytes());
    Ok(())
}

/// The lines of a field. `host` is the authority that the request was routed by, which HTTP/2 does not
/// send as a header, and which must not be another one than the header says.
pub(super) fn lines<'a>(name: &str, message: &'a AsSigned<'_>) -> Result<Vec<&'a [u8]>, Refusal> {
    let mut lines: Vec<&[u8]> = message.headers.all(name).collect();
    if name == "host" {
        let authority = message.authority.as_bytes();
        if lines
            .iter()
            .any(|line| !line.eq_ignore_ascii_case(authority))
        {
            return Err(of_field(
                name,
                "is covered by the signature and names another host than the request is for",
            ));
        }
        lines = vec![authority];
    }
    if lines.is_empty() {
        return Err(of_field(
            name,
            "is covered by the signature and absent from the request",
        ));
    }
    Ok(lines)
}

/// Appends lines with a comma and a space between.
fn join(lines: &[&[u8]], out: &mut Vec<u8>) -> Result<(), &'static str> {
    for (position, line) in lines.iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(&unfolded(line)?);
    }
    Ok(())
}

/// A line without white space around it, and with one space for each obsolete fold (RFC 9112 section 5.2).
fn unfolded(line: &[u8]) -> Result<Vec<u8>, &'static str> {
    let line = trimmed(line);
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'\r', [b'\n', after @ ..]) => {
                let [b' ' | b'\t', ..] = after else {
                    return Err("holds a line break");
                };
                while matches!(out.last(), Some(b' ' | b'\t')) {
                    out.pop();
                }
                out.push(b' ');
                rest = trimmed(after);
            }
            (b'\r' | b'\n' | 0, _) => return Err("holds a line break or a NUL"),
            _ => out.push(*first),
        }
    }
    Ok(out)
}

/// Optional white space is spaces and tabs (RFC 9110 section 5.6.3).
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The base is ASCII (section 2.5), and a field's content holds no control but a tab.
fn check_field(value: &[u8], name: &str) -> Result<(), Refusal> {
    let good = |&byte: &u8| byte == b'\t' || byte == b' ' || byte.is_ascii_graphic();
    if value.iter().all(good) {
        Ok(())
    } else {
        Err(of_field(
            name,
            "holds bytes that are no printable ASCII: cover it with `bs`",
        ))
    }
}

fn of_field(name: &str, detail: &str) -> Refusal {
    Refusal::new(
        Reason::SignatureComponentRefused,
        format!("the header `{name}` {detail}"),
    )
}
