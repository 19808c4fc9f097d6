//! What all schemes read from headers, each value in one way only.

use std::borrow::Cow;

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::headers::{Headers, Single};
use crate::secret::hex_value;
use crate::verdict::{Reason, Refusal};

/// The longest header that is read, in bytes. Eight Ed25519 signatures need 743.
pub const MAX_HEADER_BYTES: usize = 4_096;

/// The most signatures that one request may present, those of other versions included. Services send two
/// while a secret is replaced.
pub const MAX_SIGNATURES: usize = 8;

/// The digits of a time in seconds: enough until the year 5138.
const MAX_SECONDS_DIGITS: usize = 11;

/// What a request presents.
pub(super) struct Presented<'a> {
    /// The HMACs, each as long as the algorithm's.
    pub tags: Vec<Vec<u8>>,
    /// The Ed25519 signatures, 64 bytes each.
    pub ed25519: Vec<Vec<u8>>,
    /// What the HMACs are made with.
    pub algorithm: hmac::Algorithm,
    /// What they are made over.
    pub text: SignedText<'a>,
    /// What they may be made over instead.
    pub other_text: Option<SignedText<'a>>,
    /// The signed time, in seconds since the epoch.
    pub created: Option<i64>,
    /// What tells this message from all others; without it, its text does.
    pub name: Option<Vec<u8>>,
}

impl<'a> Presented<'a> {
    /// One text under HMAC-SHA256, without a time.
    pub(super) fn new(tags: Vec<Vec<u8>>, text: SignedText<'a>) -> Self {
        Self {
            tags,
            ed25519: Vec::new(),
            algorithm: hmac::HMAC_SHA256,
            text,
            other_text: None,
            created: None,
            name: None,
        }
    }

    /// The same, of this time.
    pub(super) fn at(mut self, created: i64) -> Self {
        self.created = Some(created);
        self
    }

    /// What to remember of the message, whichever of its signatures matched. Every byte of it was signed.
    pub(super) fn message(self) -> Vec<u8> {
        self.name.unwrap_or_else(|| self.text.sha256())
    }
}

/// A signed text in parts, so that a body is never copied to be hashed.
pub(super) struct SignedText<'a>(pub Vec<Cow<'a, [u8]>>);

impl<'a> SignedText<'a> {
    /// The parts in order.
    pub(super) fn of<const N: usize>(parts: [&'a [u8]; N]) -> Self {
        Self(parts.into_iter().map(Cow::Borrowed).collect())
    }

    /// Its HMAC.
    pub(super) fn hmac(&self, key: &hmac::Key) -> hmac::Tag {
        let mut context = hmac::Context::with_key(key);
        for part in &self.0 {
            context.update(part);
        }
        context.sign()
    }

    /// The whole text.
    pub(super) fn concat(&self) -> Vec<u8> {
        self.0.concat()
    }

    fn sha256(&self) -> Vec<u8> {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in &self.0 {
            context.update(part);
        }
        context.finish().as_ref().to_vec()
    }
}

/// A refusal for what cannot be read.
pub(super) fn malformed(detail: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::SignatureMalformed, detail)
}

/// The one value of the header with the signature.
pub(super) fn signature<'a>(headers: &'a Headers, name: &str) -> Result<&'a [u8], Refusal> {
    match headers.single(name) {
        Single::Absent => Err(Refusal::new(
            Reason::CredentialsMissing,
            format!("`{name}` is missing"),
        )),
        Single::Several => Err(Refusal::new(
            Reason::CredentialsAmbiguous,
            format!("`{name}` came more than once"),
        )),
        Single::One(value) => bounded(value, name),
    }
}

/// The same, of a scheme in whose signatures a comma has no place: with one, two lines were joined.
pub(super) fn lone_signature<'a>(headers: &'a Headers, name: &str) -> Result<&'a [u8], Refusal> {
    let value = signature(headers, name)?;
    if value.contains(&b',') {
        return Err(Refusal::new(
            Reason::CredentialsAmbiguous,
            format!("`{name}` holds a comma: it came more than once"),
        ));
    }
    Ok(value)
}

/// The one value of another header that the signature covers.
pub(super) fn covered<'a>(headers: &'a Headers, name: &str) -> Result<&'a [u8], Refusal> {
    match headers.single(name) {
        Single::Absent => Err(Refusal::new(
            Reason::SignatureIncomplete,
            format!("`{name}`, which the signature covers, is missing"),
        )),
        Single::Several => Err(malformed(format!("`{name}` came more than once"))),
        Single::One(value) => bounded(value, name),
    }
}

fn bounded<'a>(value: &'a [u8], name: &str) -> Result<&'a [u8], Refusal> {
    if value.is_empty() {
        return Err(malformed(format!("`{name}` is empty")));
    }
    if value.len() > MAX_HEADER_BYTES {
        return Err(malformed(format!(
            "`{name}` is longer than {MAX_HEADER_BYTES} bytes"
        )));
    }
    Ok(value)
}

/// Cuts at the first `mark`.
pub(super) fn split_once(text: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == mark)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Adds a signature, within [`MAX_SIGNATURES`].
pub(super) fn count(signatures: &mut usize, header: &str) -> Result<(), Refusal> {
    *signatures += 1;
    if *signatures > MAX_SIGNATURES {
        return Err(malformed(format!(
            "`{header}` holds more than {MAX_SIGNATURES} signatures"
        )));
    }
    Ok(())
}

/// Reads `length` bytes in hexadecimal digits of either case.
pub(super) fn hex(text: &[u8], length: usize, header: &str) -> Result<Vec<u8>, Refusal> {
    let wrong = || {
        malformed(format!(
            "the signature in `{header}` is not {} hexadecimal digits",
            2 * length
        ))
    };
    if text.len() != 2 * length {
        return Err(wrong());
    }
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(hex_value(*high)? << 4 | hex_value(*low)?),
        _ => None,
    };
    text.chunks_exact(2)
        .map(byte)
        .collect::<Option<_>>()
        .ok_or_else(wrong)
}

/// Reads `length` bytes in base64 with its padding (RFC 4648 section 4).
pub(super) fn base64(text: &[u8], length: usize, header: &str) -> Result<Vec<u8>, Refusal> {
    let bytes = STANDARD.decode(text).ok();
    bytes.filter(|bytes| bytes.len() == length).ok_or_else(|| {
        malformed(format!(
            "the signature in `{header}` is not {length} bytes in base64"
        ))
    })
}

/// Reads seconds since the epoch, written in the one way that numbers have: digits, no sign, no zero in
/// front. In two ways a signed text could be read apart.
pub(super) fn seconds(text: &[u8], header: &str) -> Result<i64, Refusal> {
    number(text, MAX_SECONDS_DIGITS).ok_or_else(|| {
        malformed(format!(
            "the time in `{header}` is not a number of seconds since 1970"
        ))
    })
}

/// Reads a number of at most `digits` digits.
pub(super) fn number(text: &[u8], digits: usize) -> Option<i64> {
    let good = text.len() <= digits
        && text.iter().all(u8::is_ascii_digit)
        && (text == b"0" || text.first() != Some(&b'0'));
    good.then(|| std::str::from_utf8(text).ok()?.parse().ok())
        .flatten()
}
