//! Stripe: `Stripe-Signature: t=1492774577,v1=5257a8…,v0=6ffbb5…`, HMAC-SHA256 over `t.body`.
//!
//! Source: Stripe's "Resolve webhook signature verification errors" and its libraries. `v1` stands there
//! once for each secret that counts at the moment; all other versions are ignored, as Stripe asks.

use aws_lc_rs::hmac;

use crate::authn::signature::whole_body;
use crate::authn::webhook::read::{
    Presented, SignedText, count, hex, malformed, seconds, signature, split_once,
};
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

/// The header with time and signatures.
pub(super) const HEADER: &str = "stripe-signature";

pub(super) fn read<'a>(message: &'a AsSigned<'_>) -> Result<Presented<'a>, Refusal> {
    let value = signature(message.headers, HEADER)?;
    let length = hmac::HMAC_SHA256.digest_algorithm().output_len();
    let mut time = None;
    let mut tags = Vec::new();
    let mut signatures = 0;
    for element in value.split(|&byte| byte == b',') {
        match split_once(element, b'=') {
            Some((b"t", text)) => {
                if time.replace((text, seconds(text, HEADER)?)).is_some() {
                    return Err(malformed(format!("`{HEADER}` holds several `t`")));
                }
            }
            Some((b"v1", text)) => {
                count(&mut signatures, HEADER)?;
                tags.push(hex(text, length, HEADER)?);
            }
            Some((version, _)) if is_version(version) => count(&mut signatures, HEADER)?,
            _ => {
                return Err(malformed(format!(
                    "`{HEADER}` holds an element that is neither `t=…` nor `v1=…`"
                )));
            }
        }
    }
    let Some((text, created)) = time else {
        return Err(malformed(format!("`{HEADER}` holds no `t`")));
    };
    if tags.is_empty() {
        return Err(Refusal::new(
            Reason::SignatureAlgorithmRefused,
            format!("`{HEADER}` holds no `v1`; no other version counts"),
        ));
    }
    let text = signed(text, whole_body(message)?);
    Ok(Presented::new(tags, text).at(created))
}

pub(super) fn signed<'a>(time: &'a [u8], body: &'a [u8]) -> SignedText<'a> {
    SignedText::of([time, b".", body])
}

/// `v` and digits.
fn is_version(key: &[u8]) -> bool {
    matches!(key, [b'v', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}
