//! Kong's `hmac-auth`: `hmac username="…", algorithm="…", headers="…", signature="…"`.
//!
//! It is an early state of the [`cavage`](super::cavage) draft with other names. The first line of the
//! request goes by `request-line`, and newer versions also know `@request-target`; names of headers stand in
//! the signed text as they are listed. What Kong signs for a header that the request lacks (its bare name)
//! is refused here.

use crate::headers::is_header_name;
use crate::verdict::Refusal;

use super::draft::{Algorithm, Component, Parsed, components, signature_of};
use super::parameters::{needed, once, parameters};
use super::{Dialect, malformed, shown};

/// The authentication scheme.
pub const SCHEME: &str = "hmac";

/// Reads what follows the scheme.
pub(super) fn read(text: &str) -> Result<Parsed, Refusal> {
    let (mut username, mut algorithm, mut headers, mut signature) = (None, None, None, None);
    for parameter in parameters(text) {
        let parameter = parameter?;
        let (name, value) = (parameter.name, parameter.value);
        let place = match name {
            "username" => &mut username,
            "algorithm" => &mut algorithm,
            "headers" => &mut headers,
            "signature" => &mut signature,
            _ => {
                return Err(malformed(format!(
                    "`{}` is none of username, algorithm, headers and signature",
                    shown(name)
                )));
            }
        };
        if !parameter.quoted {
            return Err(malformed(format!("the value of `{name}` lacks its quotes")));
        }
        once(place, name, value)?;
    }
    let algorithm = match Algorithm::read(needed(algorithm, "algorithm")?)? {
        Algorithm::OfTheKey => return Err(malformed("Kong's form has no algorithm `hs2019`")),
        named => named,
    };
    let (hash, signature) = signature_of(algorithm, needed(signature, "signature")?)?;
    Parsed::new(Parsed {
        dialect: Dialect::Kong,
        key_id: needed(username, "username")?.into(),
        hash,
        covered: components(needed(headers, "headers")?, component)?,
        created: None,
        expires: None,
        signature,
    })
}

/// One entry of `headers`.
fn component(listed: &str) -> Option<Component> {
    match listed {
        "request-line" => Some(Component::RequestLine),
        "@request-target" => Some(Component::RequestTarget("@request-target")),
        _ => {
            let name = listed.to_ascii_lowercase();
            is_header_name(&name).then(|| Component::Header {
                written: listed.into(),
                name: name.into(),
            })
        }
    }
}
