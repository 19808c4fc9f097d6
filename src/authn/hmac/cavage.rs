//! draft-cavage-http-signatures-12, which came before RFC 9421:
//! `Signature keyId="…",algorithm="…",created=…,expires=…,headers="…",signature="…"`.
//!
//! HMAC only. `hs2019` and no algorithm at all mean the key's own, and for HMAC the signature's length tells
//! SHA-256, SHA-384 and SHA-512 apart. Where the draft forbids `(created)` beside the older names of
//! algorithms, it is read all the same: it only adds to what is signed.

use crate::headers::is_header_name;
use crate::verdict::Refusal;

use super::draft::{Algorithm, Component, Moment, Parsed, components, signature_of};
use super::parameters::{needed, once, parameters, seconds};
use super::{Dialect, malformed, shown};

/// The authentication scheme (section 3 of the draft).
pub const SCHEME: &str = "Signature";

/// Reads what follows the scheme, or the whole header `Signature`.
pub(super) fn read(text: &str) -> Result<Parsed, Refusal> {
    let (mut key_id, mut algorithm, mut headers, mut signature) = (None, None, None, None);
    let (mut created, mut expires) = (None, None);
    for parameter in parameters(text) {
        let parameter = parameter?;
        let (name, value) = (parameter.name, parameter.value);
        match name {
            // Some write the numbers in quotes too.
            "created" => once(&mut created, name, moment(name, value)?)?,
            "expires" => once(&mut expires, name, expiry(value)?)?,
            "keyId" | "algorithm" | "headers" | "signature" if !parameter.quoted => {
                return Err(malformed(format!("the value of `{name}` lacks its quotes")));
            }
            "keyId" => once(&mut key_id, name, value)?,
            "algorithm" => once(&mut algorithm, name, Algorithm::read(value)?)?,
            "headers" => once(&mut headers, name, value)?,
            "signature" => once(&mut signature, name, value)?,
            _ => {
                return Err(malformed(format!(
                    "`{}` is none of keyId, algorithm, created, expires, headers and signature",
                    shown(name)
                )));
            }
        }
    }
    let covered = match headers {
        Some(headers) => components(headers, component)?,
        // Section 2.1.6 of the draft; drafts before the eleventh said `date`. Neither is enough.
        None => [Component::Created].into(),
    };
    if created.is_none() && headers.is_some() && covered.contains(&Component::Created) {
        return Err(malformed("`(created)` is signed, and `created` is missing"));
    }
    if expires.is_none() && covered.contains(&Component::Expires) {
        return Err(malformed("`(expires)` is signed, and `expires` is missing"));
    }
    let (hash, signature) = signature_of(
        algorithm.unwrap_or(Algorithm::OfTheKey),
        needed(signature, "signature")?,
    )?;
    Parsed::new(Parsed {
        dialect: Dialect::Cavage,
        key_id: needed(key_id, "keyId")?.into(),
        hash,
        covered,
        created,
        expires,
        signature,
    })
}

/// One entry of `headers`. The signed text has names in lower case however they are listed.
fn component(listed: &str) -> Option<Component> {
    let name = listed.to_ascii_lowercase();
    match name.as_str() {
        "(request-target)" => Some(Component::RequestTarget("(request-target)")),
        "(created)" => Some(Component::Created),
        "(expires)" => Some(Component::Expires),
        _ if is_header_name(&name) => Some(Component::Header {
            written: name.as_str().into(),
            name: name.as_str().into(),
        }),
        _ => None,
    }
}

fn moment(name: &str, text: &str) -> Result<Moment, Refusal> {
    Ok(Moment {
        seconds: seconds(name, text)?,
        text: text.into(),
    })
}

/// `expires` may have a fraction (section 2.1.5 of the draft). It is signed as it is written, and ends the
/// signature at the full second before.
fn expiry(text: &str) -> Result<Moment, Refusal> {
    const MOST_DIGITS: usize = 9;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = (1..=MOST_DIGITS).contains(&fraction.len())
        && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return Err(malformed("`expires` is not a number of seconds since 1970"));
    }
    Ok(Moment {
        seconds: seconds("expires", whole)?,
        text: text.into(),
    })
}
