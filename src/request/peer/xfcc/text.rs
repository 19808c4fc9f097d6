//! The text form: elements with commas between them, pairs with semicolons, and quotes around a value that
//! holds either.

use crate::request::peer::xfcc::{Element, MAX_ELEMENTS, MAX_NAMES, hash};
use crate::request::peer::{BadPeer, pem, percent_decode};

/// Reads a header that is not empty and holds no control character.
pub(super) fn parse(raw: &str) -> Result<Vec<Element>, BadPeer> {
    let mut elements = Vec::new();
    let mut rest = raw;
    loop {
        if elements.len() == MAX_ELEMENTS {
            return Err(BadPeer::Xfcc("there are more than 16 elements"));
        }
        let (element, after) = element(rest)?;
        elements.push(element);
        match after {
            Some(after) => rest = after.trim_start_matches(' '),
            None => return Ok(elements),
        }
    }
}

/// One element, and what follows the comma after it.
fn element(mut rest: &str) -> Result<(Element, Option<&str>), BadPeer> {
    let mut element = Element::default();
    let mut seen = 0;
    loop {
        let (key, after_key) = rest
            .split_once('=')
            .ok_or(BadPeer::Xfcc("an element or a pair has no `=`"))?;
        let (value, after) = match after_key.strip_prefix('"') {
            Some(inside) => quoted(inside)?,
            None => bare(after_key)?,
        };
        set(&mut element, &mut seen, key, value)?;
        // Spaces may stand around the comma of a list (RFC 9110 section 5.6.1), nowhere else.
        match after.strip_prefix(';') {
            Some(next) => rest = next,
            None => match after.trim_start_matches(' ') {
                "" => return Ok((element, None)),
                after => {
                    let next = after.strip_prefix(',').ok_or(BadPeer::Xfcc(
                        "something other than `;` or `,` follows a quoted value",
                    ))?;
                    return Ok((element, Some(next)));
                }
            },
        }
    }
}

/// A value as it stands.
#[derive(Clone, Copy)]
enum Value<'a> {
    Bare(&'a str),
    Quoted(&'a str),
}

impl<'a> Value<'a> {
    /// A name, which has no use for quotes and backslashes, whatever is around it.
    fn name(self) -> Result<&'a str, BadPeer> {
        let (Self::Bare(text) | Self::Quoted(text)) = self;
        if text.contains(['"', '\\']) {
            return Err(BadPeer::Xfcc("a name holds a quote or a backslash"));
        }
        Ok(text)
    }
}

/// The value before the next comma or semicolon, with that one left.
fn bare(rest: &str) -> Result<(Value<'_>, &str), BadPeer> {
    let end = rest.find([',', ';']).unwrap_or(rest.len());
    let (value, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
    // A space before the comma belongs to the list, not to the value.
    let (value, after) = if after.starts_with(';') {
        (value, after)
    } else {
        (value.trim_end_matches(' '), after)
    };
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) || value.contains(['"', '\\']) {
        return Err(BadPeer::Xfcc(
            "a value without quotes holds a space, a quote, a backslash, or is no ASCII",
        ));
    }
    Ok((Value::Bare(value), after))
}

/// The value before the closing quote. A backslash takes the character after it along: `\"` is no end, and
/// in `\\"` the quote is one, as in the subjects that Envoy writes (RFC 2253 section 2.4).
fn quoted(inside: &str) -> Result<(Value<'_>, &str), BadPeer> {
    let mut escaped = false;
    for (at, character) in inside.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                let (value, after) = inside.split_at_checked(at).unwrap_or_default();
                return Ok((
                    Value::Quoted(value),
                    after.strip_prefix('"').unwrap_or(after),
                ));
            }
            _ => {}
        }
    }
    Err(BadPeer::Xfcc("a quoted value has no closing quote"))
}

/// Takes one pair in. `seen` has a bit for each key that may stand once.
fn set(element: &mut Element, seen: &mut u8, key: &str, value: Value<'_>) -> Result<(), BadPeer> {
    let mut once = |bit: u8| {
        let repeated = *seen & bit != 0;
        *seen |= bit;
        if repeated {
            Err(BadPeer::Xfcc("a key stands twice that may stand once"))
        } else {
            Ok(())
        }
    };
    match key.to_ascii_lowercase().as_str() {
        "by" => push(&mut element.by, value)?,
        "uri" => push(&mut element.uris, value)?,
        "dns" => push(&mut element.dns_names, value)?,
        "hash" => {
            once(1)?;
            element.hash = Some(hash(value.name()?)?);
        }
        "cert" => {
            once(2)?;
            let text = decode(value, "x-forwarded-client-cert Cert")?;
            element.cert = Some(super::super::one_certificate(
                &text,
                "x-forwarded-client-cert Cert",
            )?);
        }
        "chain" => {
            once(4)?;
            let text = decode(value, "x-forwarded-client-cert Chain")?;
            element.chain = pem::certificates(&text)
                .map_err(|bad| BadPeer::Pem("x-forwarded-client-cert Chain", bad))?;
        }
        "subject" => {
            once(8)?;
            element.subject = distinguished_name(value)?;
        }
        "issuer" => {
            once(16)?;
            element.issuer = distinguished_name(value)?;
        }
        _ => {
            return Err(BadPeer::Xfcc(
                "a key is none of By, Hash, Cert, Chain, Subject, Issuer, URI and DNS",
            ));
        }
    }
    Ok(())
}

/// Adds a name. An empty one stands for none: Envoy writes `URI=` for a certificate without one.
fn push(names: &mut Vec<String>, value: Value<'_>) -> Result<(), BadPeer> {
    let name = value.name()?;
    if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadPeer::Xfcc("a name holds a space, or is no ASCII"));
    }
    if names.len() == MAX_NAMES {
        return Err(BadPeer::Xfcc(
            "an element holds more than 128 names of one kind",
        ));
    }
    if !name.is_empty() {
        names.push(name.to_owned());
    }
    Ok(())
}

/// A subject or an issuer; `""` is that of a certificate without one.
fn distinguished_name(value: Value<'_>) -> Result<Option<String>, BadPeer> {
    match value {
        Value::Quoted("") => Ok(None),
        Value::Quoted(text) => Ok(Some(text.to_owned())),
        Value::Bare(_) => Err(BadPeer::Xfcc("a `Subject` or `Issuer` is not quoted")),
    }
}

fn decode(value: Value<'_>, name: &'static str) -> Result<Vec<u8>, BadPeer> {
    percent_decode(value.name()?.as_bytes()).ok_or(BadPeer::Percent(name))
}
