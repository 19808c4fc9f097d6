//! The own scheme: `Authorization: HMAC-SHA256 KeyId=…, SignedHeaders=…, Timestamp=…, Nonce=…, Signature=…`.
//!
//! `docs/hmac-scheme.md` specifies it to the byte. Method, host, path, query, time, nonce, key and body are
//! in every text; a client can only add headers.

use aws_lc_rs::digest;

use crate::authn::signature::{Accepted, Once, mismatch, whole_body};
use crate::clock::Timestamp;
use crate::headers::is_header_name;
use crate::request::signed::AsSigned;
use crate::verdict::Refusal;

use super::covered::{header, holds_signature, push, push_query};
use super::digest::{check, is_digest_header};
use super::key::{Hash, Key};
use super::parameters::{needed, once, parameters, seconds};
use super::require::Required;
use super::{MAX_KEY_ID_BYTES, MAX_SIGNED_HEADERS, Rules, all, incomplete, malformed, shown};

/// The authentication scheme.
pub const SCHEME: &str = "HMAC-SHA256";

/// The first line of every signed text: what is signed for this scheme can't be taken for anything else.
pub const VERSION: &str = "portcullis-hmac-sha256-v1";

/// The shortest and the longest nonce, in characters.
pub const NONCE_CHARACTERS: std::ops::RangeInclusive<usize> = 16..=128;

/// Whether a key can have this id here: 1 to [`MAX_KEY_ID_BYTES`] letters, digits and `-._~:@/+=`.
pub fn is_key_id(id: &str) -> bool {
    (1..=MAX_KEY_ID_BYTES).contains(&id.len())
        && all(id, |byte| {
            is_nonce_byte(byte) || matches!(byte, b':' | b'@')
        })
}

/// Whether this is a nonce: 16 to 128 letters, digits and `-._~+/=`. Hexadecimal digits, base64, base64url
/// and UUIDs all fit.
pub fn is_nonce(nonce: &str) -> bool {
    NONCE_CHARACTERS.contains(&nonce.len()) && all(nonce, is_nonce_byte)
}

const fn is_nonce_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// Credentials of this scheme that were read.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    key_id: Box<str>,
    /// Names in lower case, in order, with `;` between; empty where only the fixed parts are signed.
    signed_headers: Box<str>,
    timestamp: i64,
    nonce: Box<str>,
    signature: [u8; 32],
}

impl Parsed {
    /// Reads what follows the scheme.
    ///
    /// # Errors
    /// `signature_malformed`.
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        let (mut key_id, mut signed_headers, mut timestamp) = (None, None, None);
        let (mut nonce, mut signature) = (None, None);
        for parameter in parameters(text) {
            let parameter = parameter?;
            let place = match parameter.name {
                "KeyId" => &mut key_id,
                "SignedHeaders" => &mut signed_headers,
                "Timestamp" => &mut timestamp,
                "Nonce" => &mut nonce,
                "Signature" => &mut signature,
                name => {
                    return Err(malformed(format!(
                        "`{}` is none of KeyId, SignedHeaders, Timestamp, Nonce and Signature",
                        shown(name)
                    )));
                }
            };
            if parameter.quoted {
                return Err(malformed(format!(
                    "the value of `{}` stands in quotes",
                    parameter.name
                )));
            }
            once(place, parameter.name, parameter.value)?;
        }
        let key_id = needed(key_id, "KeyId")?;
        let timestamp = seconds("Timestamp", needed(timestamp, "Timestamp")?)?;
        let nonce = needed(nonce, "Nonce")?;
        let signature = needed(signature, "Signature")?;
        if !is_key_id(key_id) {
            return Err(malformed(
                "`KeyId` is 1 to 128 letters, digits and -._~:@/+=",
            ));
        }
        if !is_nonce(nonce) {
            return Err(malformed(
                "`Nonce` is 16 to 128 letters, digits and -._~+/=",
            ));
        }
        signed_headers.map_or(Ok(()), check_names)?;
        Ok(Self {
            key_id: key_id.into(),
            signed_headers: signed_headers.unwrap_or_default().into(),
            timestamp,
            nonce: nonce.into(),
            signature: signature_of(signature)
                .ok_or_else(|| malformed("`Signature` is 64 hexadecimal digits in lower case"))?,
        })
    }

    pub(super) fn key_id(&self) -> &str {
        &self.key_id
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        // The split of nothing would be one empty name.
        self.signed_headers
            .split(';')
            .filter(|name| !name.is_empty())
    }

    /// The signed text; `docs/hmac-scheme.md` has it line by line.
    pub(super) fn signed_text(&self, message: &AsSigned<'_>) -> Result<Vec<u8>, Refusal> {
        let body = whole_body(message)?;
        // Enough for most requests, so that the text is written without growing.
        let mut text = Vec::with_capacity(512);
        push(&mut text, VERSION.as_bytes())?;
        text.push(b'\n');
        push(&mut text, message.method.as_bytes())?;
        text.push(b'\n');
        push_authority(&mut text, message)?;
        text.push(b'\n');
        push(&mut text, &message.path)?;
        text.push(b'\n');
        push_query(&mut text, message)?;
        text.push(b'\n');
        push_number(&mut text, self.timestamp);
        text.push(b'\n');
        for line in [&self.nonce, &self.key_id, &self.signed_headers] {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        for name in self.names() {
            text.extend_from_slice(name.as_bytes());
            text.push(b':');
            push(&mut text, header(message, name)?)?;
            text.push(b'\n');
        }
        push_hex(&mut text, digest::digest(&digest::SHA256, body).as_ref());
        Ok(text)
    }

    pub(super) fn verify(
        &self,
        message: &AsSigned<'_>,
        key: &Key,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Accepted, Refusal> {
        for required in &rules.require {
            match required {
                Required::Always | Required::Body => {}
                Required::Header(name) if self.names().any(|signed| signed == &**name) => {}
                Required::Header(name) => {
                    return Err(incomplete(format!(
                        "`SignedHeaders` lacks `{name}`, which `require` asks for"
                    )));
                }
            }
        }
        let until = rules.freshness.judge(self.timestamp, None, now)?;
        let text = self.signed_text(message)?;
        if !key.matches(Hash::Sha256, &text, &self.signature) {
            return Err(mismatch(
                "the HMAC-SHA256 of the request's text is another: a wrong secret, or another method, host, path, query, header or body than was signed",
            ));
        }
        for name in self.names().filter(|name| is_digest_header(name)) {
            check(name, header(message, name)?, whole_body(message)?)?;
        }
        Ok(Accepted {
            once: Some(Once {
                value: [b"nonce:", self.nonce.as_bytes()].concat(),
                until,
            }),
            created: Some(Timestamp::from_seconds(self.timestamp)),
            until: Some(until),
        })
    }
}

/// Names of headers in order, with `;` between, each once.
fn check_names(names: &str) -> Result<(), Refusal> {
    let mut before = "";
    for (index, name) in names.split(';').enumerate() {
        if index == MAX_SIGNED_HEADERS {
            return Err(malformed("`SignedHeaders` has more than 32 names"));
        }
        if !is_header_name(name) {
            return Err(malformed(format!(
                "`SignedHeaders` has `{}`, which is no name of a header in lower case",
                shown(name)
            )));
        }
        if name == "host" {
            return Err(malformed(
                "`SignedHeaders` has `host`, which is always signed: leave it out",
            ));
        }
        if holds_signature(name) {
            return Err(malformed(format!(
                "`SignedHeaders` has `{name}`, which holds a signature: leave it out"
            )));
        }
        if name <= before {
            return Err(malformed(format!(
                "`SignedHeaders` is not in order, or has a name twice, at `{}`",
                shown(name)
            )));
        }
        before = name;
    }
    Ok(())
}

/// 64 hexadecimal digits in lower case. Every digit is read even if one is wrong: that is faster.
fn signature_of(text: &str) -> Option<[u8; 32]> {
    const NONE: u8 = 0xff;
    let value = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => NONE,
    };
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let values = digits.map(value);
    let (pairs, _) = values.as_chunks();
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = high << 4 | low;
    }
    let bad = values.iter().fold(0, |bad, value| bad | value) > 15;
    (!bad).then_some(bytes)
}

/// The host in lower case, and its port unless that is the scheme's own (RFC 9421 section 2.2.3 does the
/// same).
fn push_authority(text: &mut Vec<u8>, message: &AsSigned<'_>) -> Result<(), Refusal> {
    let own = match &*message.scheme {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let authority = message.authority.as_ref();
    let start = text.len();
    push(
        text,
        authority.strip_suffix(own).unwrap_or(authority).as_bytes(),
    )?;
    if let Some(written) = text.get_mut(start..) {
        written.make_ascii_lowercase();
    }
    Ok(())
}

fn push_number(text: &mut Vec<u8>, number: i64) {
    use std::io::Write;
    // Writing to a vector does not fail.
    let _ = write!(text, "{number}");
}

/// Two digits in lower case for each byte.
pub(super) fn push_hex(text: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |value: u8| match value {
        0..=9 => b'0' + value,
        _ => b'a' + value - 10,
    };
    text.extend(
        bytes
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]),
    );
}
