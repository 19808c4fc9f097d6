//! GitHub: `X-Hub-Signature-256: sha256=757107…`, HMAC-SHA256 over the body.
//!
//! Source: GitHub's "Validating webhook deliveries". `X-Hub-Signature`, which is HMAC-SHA1, is never read.

use aws_lc_rs::hmac;

use crate::authn::signature::whole_body;
use crate::authn::webhook::read::{Presented, SignedText, hex, lone_signature, malformed};
use crate::headers::Single;
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

/// The header with the signature.
pub(super) const HEADER: &str = "x-hub-signature-256";
/// The older header, which is ignored.
pub(super) const SHA1_HEADER: &str = "x-hub-signature";

pub(super) fn read<'a>(message: &'a AsSigned<'_>) -> Result<Presented<'a>, Refusal> {
    let headers = message.headers;
    if headers.single(HEADER) == Single::Absent && headers.single(SHA1_HEADER) != Single::Absent {
        return Err(Refusal::new(
            Reason::SignatureAlgorithmRefused,
            format!("only `{SHA1_HEADER}` came, which is SHA-1; `{HEADER}` is what counts"),
        ));
    }
    let value = lone_signature(headers, HEADER)?;
    let Some(digits) = value.strip_prefix(b"sha256=") else {
        return Err(malformed(format!(
            "`{HEADER}` does not begin with `sha256=`"
        )));
    };
    let length = hmac::HMAC_SHA256.digest_algorithm().output_len();
    let tag = hex(digits, length, HEADER)?;
    Ok(Presented::new(
        vec![tag],
        SignedText::of([whole_body(message)?]),
    ))
}
