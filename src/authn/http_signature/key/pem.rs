//! Keys in PEM (RFC 7468), and what the cryptographic library does not read of what stands in them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::authn::http_signature::key::{BadKey, MAX_KEY_TEXT_BYTES};

/// The label and content of a text that is one PEM block (RFC 7468 section 3, "lax" only in the length of
/// lines).
///
/// # Errors
/// [`BadKey`].
pub(in crate::authn::http_signature) fn read_pem(
    text: &str,
) -> Result<(&str, Zeroizing<Vec<u8>>), BadKey> {
    if text.len() > MAX_KEY_TEXT_BYTES {
        return Err(BadKey::TooLong);
    }
    let Some((before, rest)) = text.split_once("-----BEGIN ") else {
        return Err(BadKey::NoPem);
    };
    let (label, rest) = rest.split_once("-----").ok_or(BadKey::NoPem)?;
    let (body, rest) = rest.split_once("-----END ").ok_or(BadKey::NoPem)?;
    let (end, after) = rest.split_once("-----").ok_or(BadKey::NoPem)?;
    if end != label {
        return Err(BadKey::NoPem);
    }
    if !before.trim().is_empty() || !after.trim().is_empty() {
        return Err(BadKey::Several);
    }
    let body: Zeroizing<Vec<u8>> = Zeroizing::new(
        body.bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect(),
    );
    let der = STANDARD
        .decode(body.as_slice())
        .map_err(|_| BadKey::Base64)?;
    Ok((label, Zeroizing::new(der)))
}

/// The object identifier of `id-RSASSA-PSS` (RFC 4055 section 3.1) in DER.
const PSS: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];

/// Whether a key says that it is for PSS alone, and the PKCS #1 key within it.
pub(in crate::authn::http_signature) enum PssKey<'a> {
    /// It does not say so.
    Not,
    /// For PSS with any hash and salt.
    Plain(&'a [u8]),
    /// With parameters, which are about the hash and the salt, or not readable.
    Other,
}

impl<'a> PssKey<'a> {
    /// Of a SubjectPublicKeyInfo.
    pub(in crate::authn::http_signature) fn of_public(der: &'a [u8]) -> Self {
        let info = content(0x30, der);
        Self::of(info, |key| content(0x03, key)?.strip_prefix(&[0]))
    }

    /// Of a private key in PKCS #8.
    pub(in crate::authn::http_signature) fn of_private(der: &'a [u8]) -> Self {
        let info = content(0x30, der).and_then(|info| info.strip_prefix(&[2, 1, 0]));
        Self::of(info, |key| content(0x04, key))
    }

    fn of(info: Option<&'a [u8]>, key: impl FnOnce(&'a [u8]) -> Option<&'a [u8]>) -> Self {
        let Some([0x30, length, rest @ ..]) = info else {
            return Self::Not;
        };
        let Some(rest) = rest.strip_prefix(&PSS) else {
            return Self::Not;
        };
        let plain = usize::from(*length) == PSS.len();
        match key(rest).filter(|_| plain) {
            Some(key) => Self::Plain(key),
            None => Self::Other,
        }
    }
}

/// The content of a DER value that is all there is, with a length of two bytes, as keys of 2,048 bits and
/// more have.
fn content(tag: u8, der: &[u8]) -> Option<&[u8]> {
    match der {
        [own, 0x82, high, low, content @ ..] if *own == tag => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            (content.len() == length).then_some(content)
        }
        _ => None,
    }
}
