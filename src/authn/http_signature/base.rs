//! The signature base (RFC 9421 section 2.5): the exact bytes that a signer signs.

mod field;

use crate::authn::http_signature::components::{Component, Derived, Form, Kind};
use crate::request::signed::AsSigned;
use crate::request::target::form_decode;
use crate::verdict::{Reason, Refusal};

/// The longest signature base, in bytes. Envoy's own bound on all headers together is 60 KiB by default.
pub const MAX_BASE_BYTES: usize = 256 * 1024;

/// How much of fields and of the query is taken apart for one signature (`sf`, `key`, `bs`, `@query-param`), in
/// bytes. What several components need counts once for each: whoever knows the name of a key can ask for it.
pub const MAX_PARSED_BYTES: usize = 64 * 1024;

/// The base of a signature over `components`, with `parameters` as the value of `@signature-params`.
///
/// # Errors
/// `signature_component_refused` for what the request does not have, or has in a form that cannot be signed.
pub fn base(
    components: &[Component],
    parameters: &str,
    message: &AsSigned<'_>,
) -> Result<Vec<u8>, Refusal> {
    let mut base = Vec::with_capacity(1024);
    let mut budget = MAX_PARSED_BYTES;
    for component in components {
        base.extend_from_slice(component.identifier.as_bytes());
        base.extend_from_slice(b": ");
        value(&component.kind, message, &mut base, &mut budget)?;
        base.push(b'\n');
        if base.len() > MAX_BASE_BYTES {
            return Err(refused("what the signature covers is longer than 256 KiB"));
        }
    }
    base.extend_from_slice(b"\"@signature-params\": ");
    base.extend_from_slice(parameters.as_bytes());
    Ok(base)
}

/// Appends the value of one component.
fn value(
    kind: &Kind,
    message: &AsSigned<'_>,
    base: &mut Vec<u8>,
    budget: &mut usize,
) -> Result<(), Refusal> {
    match kind {
        Kind::Derived(part) => {
            let start = base.len();
            derived(*part, message, base);
            check_derived(base.get(start..).unwrap_or_default(), *part)
        }
        Kind::QueryParameter(name) => {
            let query = message.query.unwrap_or_default();
            spend(budget, query.len())?;
            query_parameter(name, query, base)
        }
        Kind::Field(name, Form::Joined) => field::joined(name, message, base),
        Kind::Field(name, form) => {
            let lines = field::lines(name, message)?;
            spend(budget, lines.iter().map(|line| line.len()).sum())?;
            field::parsed(name, form, &lines, base)
        }
    }
}

/// Takes from what may be taken apart.
fn spend(budget: &mut usize, bytes: usize) -> Result<(), Refusal> {
    *budget = budget.checked_sub(bytes).ok_or_else(|| {
        refused("the fields and queries that the signature takes apart are longer than 64 KiB")
    })?;
    Ok(())
}

fn derived(part: Derived, message: &AsSigned<'_>, base: &mut Vec<u8>) {
    match part {
        Derived::Method => base.extend_from_slice(message.method.as_bytes()),
        Derived::Scheme => base.extend_from_slice(message.scheme.as_bytes()),
        Derived::Authority => base.extend_from_slice(authority(message).as_bytes()),
        Derived::Path => path(message, base),
        Derived::Query => {
            base.push(b'?');
            base.extend_from_slice(message.query.unwrap_or_default());
        }
        Derived::RequestTarget => path_and_query(message, base),
        Derived::TargetUri => {
            base.extend_from_slice(message.scheme.as_bytes());
            base.extend_from_slice(b"://");
            base.extend_from_slice(authority(message).as_bytes());
            path_and_query(message, base);
        }
    }
}

/// An empty path is a slash (section 2.2.6).
fn path(message: &AsSigned<'_>, base: &mut Vec<u8>) {
    match message.path.as_ref() {
        [] => base.push(b'/'),
        path => base.extend_from_slice(path),
    }
}

fn path_and_query(message: &AsSigned<'_>, base: &mut Vec<u8>) {
    path(message, base);
    if let Some(query) = message.query {
        base.push(b'?');
        base.extend_from_slice(query);
    }
}

/// Host and port in the normal form of their scheme (section 2.2.3, RFC 9110 section 4.2.3): lower case,
/// without the default port, and without an empty one.
fn authority(message: &AsSigned<'_>) -> String {
    let authority = message.authority.to_ascii_lowercase();
    let default = match message.scheme.as_ref() {
        "https" => ":443",
        "http" => ":80",
        _ => ":",
    };
    // An IPv6 literal ends in a bracket, so what ends in a colon and digits ends in a port.
    let shorter = authority
        .strip_suffix(default)
        .or_else(|| authority.strip_suffix(':'));
    shorter.map(str::to_owned).unwrap_or(authority)
}

/// Derived values are printable ASCII and spaces, none of them at an end (section 2.2).
fn check_derived(value: &[u8], part: Derived) -> Result<(), Refusal> {
    let printable = value
        .iter()
        .all(|&byte| byte == b' ' || byte.is_ascii_graphic());
    let spaced = value.first() == Some(&b' ') || value.last() == Some(&b' ');
    if printable && !spaced {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::SignatureComponentRefused,
        format!("`{}` holds bytes that are no printable ASCII", part.name()),
    ))
}

/// The value of one parameter, read as a form and encoded anew (section 2.2.8).
///
/// A name that occurs twice is refused, as is text that is no UTF-8: a reader may put other characters in
/// its place, and two different requests would look alike.
fn query_parameter(name: &str, query: &[u8], base: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut found = None;
    for pair in query
        .split(|&byte| byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        let mut parts = pair.splitn(2, |&byte| byte == b'=');
        let (own, value) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let own = form_decode(own);
        if std::str::from_utf8(&own).is_err() {
            return Err(refused(
                "the signature covers single parameters of a query in which a name is no UTF-8",
            ));
        }
        if !encodes_to(&own, name) {
            continue;
        }
        if found.replace(value).is_some() {
            return Err(refused(
                "the signature covers a query parameter that occurs more than once; cover `@query` instead",
            ));
        }
    }
    let Some(value) = found else {
        return Err(refused(
            "the signature covers a query parameter that the request does not have (its name is percent-encoded, a space as %20)",
        ));
    };
    let value = form_decode(value);
    if std::str::from_utf8(&value).is_err() {
        return Err(refused(
            "the signature covers a query parameter whose value is no UTF-8",
        ));
    }
    value.iter().for_each(|&byte| encode(byte, base));
    Ok(())
}

fn encodes_to(decoded: &[u8], encoded: &str) -> bool {
    let mut own = Vec::with_capacity(encoded.len());
    for &byte in decoded {
        encode(byte, &mut own);
        if own.len() > encoded.len() {
            return false;
        }
    }
    own == encoded.as_bytes()
}

/// Percent-encodes a byte but letters, digits and `*-._`: the URL standard's
/// "application/x-www-form-urlencoded percent-encode set", and `%20` for a space.
fn encode(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
        out.push(byte);
        return;
    }
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
}

fn refused(detail: &'static str) -> Refusal {
    Refusal::new(Reason::SignatureComponentRefused, detail)
}
