//! The text that is signed (RFC 5849 section 3.4.1).

use crate::authn::oauth1::encoding::{encode, encode_onto};
use crate::authn::oauth1::parameters::Pair;
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

/// The parameter that is not signed by itself.
pub(super) const SIGNATURE: &[u8] = b"oauth_signature";

/// Method, address and parameters, encoded, with `&` between (section 3.4.1.1).
///
/// # Errors
/// `signature_component_refused` for a method with lower-case letters: the base string would be that of
/// another method, and a signature of the one would pass for the other.
pub(super) fn base_string(message: &AsSigned<'_>, parameters: &[Pair]) -> Result<Vec<u8>, Refusal> {
    if message.method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(Refusal::new(
            Reason::SignatureComponentRefused,
            "the method holds lower-case letters, which an OAuth 1.0 signature cannot tell from upper-case ones",
        ));
    }
    let mut out = encode(message.method.as_bytes());
    out.push(b'&');
    encode_onto(&mut out, &uri(message));
    out.push(b'&');
    encode_onto(&mut out, &normalized(parameters));
    Ok(out)
}

/// The base string URI (section 3.4.1.2): scheme and host in lower case, the port unless it is the scheme's
/// own, the path as it was sent.
///
/// The path is neither decoded nor brought into any order: what the client put into its request line is what
/// it signed. A byte there that had to be escaped and was not is encoded once, like all of the URI.
fn uri(message: &AsSigned<'_>) -> Vec<u8> {
    let scheme = message.scheme.to_ascii_lowercase();
    let authority = message.authority.to_ascii_lowercase();
    let host = without_own_port(&scheme, &authority);
    let path: &[u8] = match message.path.as_ref() {
        [] => b"/",
        path => path,
    };
    [scheme.as_bytes(), b"://", host.as_bytes(), path].concat()
}

/// The authority without a port that is empty or the scheme's own. Inside the brackets of an IPv6 literal
/// nothing looks like a port: the last of its colons is followed by `]`.
fn without_own_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    match (scheme, authority.rsplit_once(':')) {
        (_, Some((host, ""))) | ("http", Some((host, "80"))) | ("https", Some((host, "443"))) => {
            host
        }
        _ => authority,
    }
}

/// All parameters but the signature, encoded, ordered by name and then by value, joined (section 3.4.1.3.2).
fn normalized(parameters: &[Pair]) -> Vec<u8> {
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = parameters
        .iter()
        .filter(|(name, _)| name != SIGNATURE)
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort_unstable();
    let mut out = Vec::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push(b'&');
        }
        out.extend(name);
        out.push(b'=');
        out.extend(value);
    }
    out
}

#[cfg(test)]
mod tests;
