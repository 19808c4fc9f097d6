//! The protocol's own parameters (RFC 5849 section 3.1).

use crate::authn::oauth1::malformed;
use crate::authn::oauth1::method::SignatureMethod;
use crate::authn::oauth1::parameters::{Pair, is_own};
use crate::verdict::{Reason, Refusal};

/// The longest value of any of them, in bytes after decoding. A signature with the longest RSA key takes 1,368.
pub const MAX_VALUE_BYTES: usize = 4_096;

/// The longest nonce, in characters.
pub const MAX_NONCE_CHARACTERS: usize = 255;

/// The most digits of a timestamp: enough for thirty thousand years.
const MAX_TIMESTAMP_DIGITS: usize = 12;

/// The names of the parameters that are known. `oauth_callback` and `oauth_verifier` belong to requests for
/// credentials (sections 2.1 and 2.3); some clients send the first with every request. They are signed like
/// the others and mean nothing here.
pub const NAMES: [&str; 10] = [
    "oauth_consumer_key",
    "oauth_token",
    "oauth_signature_method",
    "oauth_signature",
    "oauth_timestamp",
    "oauth_nonce",
    "oauth_version",
    "oauth_body_hash",
    "oauth_callback",
    "oauth_verifier",
];

/// What they say.
pub(super) struct Protocol {
    /// `oauth_consumer_key`: the client's identifier. Not empty.
    pub(super) consumer_key: Box<str>,
    /// `oauth_token`; `None` where it is left out or empty.
    pub(super) token: Option<Box<str>>,
    /// `oauth_signature_method`.
    pub(super) method: SignatureMethod,
    /// `oauth_signature`, decoded once.
    pub(super) signature: Vec<u8>,
    /// `oauth_timestamp`, in seconds since the epoch, and `oauth_nonce`: both or none.
    pub(super) stamp: Option<Stamp>,
    /// `oauth_body_hash`, in base64.
    pub(super) body_hash: Option<Vec<u8>>,
}

/// When a request was made, and what tells it from others of that second.
pub(super) struct Stamp {
    pub(super) timestamp: i64,
    pub(super) nonce: Box<str>,
}

impl Protocol {
    /// Reads those among `pairs` that are the protocol's own.
    ///
    /// # Errors
    /// `signature_malformed` for one that stands twice, is unknown, too long or has no value of its type;
    /// `signature_algorithm_refused` for an unknown method; `signature_incomplete` for a timestamp without a
    /// nonce or the reverse.
    pub(super) fn read(pairs: &[Pair]) -> Result<Self, Refusal> {
        let mut values = [const { None }; NAMES.len()];
        for (name, value) in pairs.iter().filter(|(name, _)| is_own(name)) {
            let known = NAMES.iter().zip(&mut values);
            let mut same = known.filter(|(known, _)| known.as_bytes() == name);
            let Some((name, slot)) = same.next() else {
                return Err(malformed(format!(
                    "a parameter begins with `oauth_` and is none of {}",
                    NAMES.join(", ")
                )));
            };
            if value.len() > MAX_VALUE_BYTES {
                return Err(malformed(format!("`{name}` is longer than 4,096 bytes")));
            }
            if slot.replace(value.as_slice()).is_some() {
                return Err(malformed(format!("`{name}` stands twice")));
            }
        }
        let [
            consumer_key,
            token,
            method,
            signature,
            timestamp,
            nonce,
            version,
            body_hash,
            _callback,
            _verifier,
        ] = values;
        if version.is_some_and(|version| version != b"1.0") {
            return Err(malformed("`oauth_version` is not `1.0`"));
        }
        Ok(Self {
            consumer_key: text(
                "oauth_consumer_key",
                required("oauth_consumer_key", consumer_key)?,
            )?,
            token: token
                .filter(|token| !token.is_empty())
                .map(|token| text("oauth_token", token))
                .transpose()?,
            method: read_method(required("oauth_signature_method", method)?)?,
            signature: required("oauth_signature", signature)?.to_vec(),
            stamp: read_stamp(timestamp, nonce)?,
            body_hash: body_hash
                .map(|hash| required("oauth_body_hash", Some(hash)).map(<[u8]>::to_vec))
                .transpose()?,
        })
    }
}

/// The value of a parameter that has to be there and to have one.
fn required<'a>(name: &str, value: Option<&'a [u8]>) -> Result<&'a [u8], Refusal> {
    match value {
        Some([]) => Err(malformed(format!("`{name}` is empty"))),
        Some(value) => Ok(value),
        None => Err(malformed(format!("`{name}` is missing"))),
    }
}

/// A name that an operator wrote down somewhere: UTF-8 (section 3.6) that can be printed.
fn text(name: &str, value: &[u8]) -> Result<Box<str>, Refusal> {
    match std::str::from_utf8(value) {
        Ok(text) if !text.contains(char::is_control) => Ok(text.into()),
        Ok(_) => Err(malformed(format!("`{name}` holds a control character"))),
        Err(_) => Err(malformed(format!("`{name}` is not UTF-8"))),
    }
}

fn read_method(name: &[u8]) -> Result<SignatureMethod, Refusal> {
    SignatureMethod::from_name(name).ok_or_else(|| {
        let known = SignatureMethod::ALL.map(SignatureMethod::name).join(", ");
        Refusal::new(
            Reason::SignatureAlgorithmRefused,
            format!("`oauth_signature_method` is none of {known}"),
        )
    })
}

fn read_stamp(timestamp: Option<&[u8]>, nonce: Option<&[u8]>) -> Result<Option<Stamp>, Refusal> {
    let incomplete = |detail| Err(Refusal::new(Reason::SignatureIncomplete, detail));
    match (timestamp, nonce) {
        (None, None) => Ok(None),
        (Some(_), None) => incomplete("`oauth_timestamp` stands without `oauth_nonce`"),
        (None, Some(_)) => incomplete("`oauth_nonce` stands without `oauth_timestamp`"),
        (Some(timestamp), Some(nonce)) => Ok(Some(Stamp {
            timestamp: read_timestamp(timestamp)?,
            nonce: read_nonce(nonce)?,
        })),
    }
}

/// A positive integer (section 3.3) in the one way of writing it.
fn read_timestamp(written: &[u8]) -> Result<i64, Refusal> {
    let digits = !matches!(written, [] | [b'0', ..])
        && written.len() <= MAX_TIMESTAMP_DIGITS
        && written.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(written)
        .ok()
        .filter(|_| digits)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| {
            malformed("`oauth_timestamp` is not a positive number of seconds of at most 12 digits")
        })
}

fn read_nonce(written: &[u8]) -> Result<Box<str>, Refusal> {
    let good = (1..=MAX_NONCE_CHARACTERS).contains(&written.len())
        && written.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(written)
        .ok()
        .filter(|_| good)
        .map(Into::into)
        .ok_or_else(|| {
            malformed("`oauth_nonce` is not 1 to 255 visible ASCII characters without a space")
        })
}

#[cfg(test)]
mod tests;
