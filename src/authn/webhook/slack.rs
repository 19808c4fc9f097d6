//! Slack: `X-Slack-Signature: v0=a2114d…` and `X-Slack-Request-Timestamp: 1531420618`, HMAC-SHA256 over
//! `v0:timestamp:body`.
//!
//! Source: Slack's "Verifying requests from Slack".

use aws_lc_rs::hmac;

use crate::authn::signature::whole_body;
use crate::authn::webhook::read::{
    Presented, SignedText, covered, hex, lone_signature, malformed, seconds,
};
use crate::request::signed::AsSigned;
use crate::verdict::Refusal;

/// The header with the signature.
pub(super) const HEADER: &str = "x-slack-signature";
/// The header with the time.
pub(super) const TIMESTAMP_HEADER: &str = "x-slack-request-timestamp";

pub(super) fn read<'a>(message: &'a AsSigned<'_>) -> Result<Presented<'a>, Refusal> {
    let value = lone_signature(message.headers, HEADER)?;
    let Some(digits) = value.strip_prefix(b"v0=") else {
        return Err(malformed(format!("`{HEADER}` does not begin with `v0=`")));
    };
    let length = hmac::HMAC_SHA256.digest_algorithm().output_len();
    let tag = hex(digits, length, HEADER)?;
    let time = covered(message.headers, TIMESTAMP_HEADER)?;
    let created = seconds(time, TIMESTAMP_HEADER)?;
    let text = signed(time, whole_body(message)?);
    Ok(Presented::new(vec![tag], text).at(created))
}

pub(super) fn signed<'a>(time: &'a [u8], body: &'a [u8]) -> SignedText<'a> {
    SignedText::of([b"v0:", time, b":", body])
}
