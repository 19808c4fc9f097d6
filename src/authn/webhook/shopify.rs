//! Shopify: `X-Shopify-Hmac-Sha256`, HMAC-SHA256 over the body in base64.
//!
//! Source: Shopify's "Deliver webhooks through HTTPS" and its library, which reads the name without `X-`
//! for what Shopify calls events.

use aws_lc_rs::hmac;

use crate::authn::signature::whole_body;
use crate::authn::webhook::read::{Presented, SignedText, base64, lone_signature};
use crate::headers::Single;
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

/// The header with the signature, by its two names.
pub(super) const HEADERS: [&str; 2] = ["x-shopify-hmac-sha256", "shopify-hmac-sha256"];

pub(super) fn read<'a>(message: &'a AsSigned<'_>) -> Result<Presented<'a>, Refusal> {
    let [webhooks, events] = HEADERS;
    let there = |name| message.headers.single(name) != Single::Absent;
    let header = match (there(webhooks), there(events)) {
        (true, true) => {
            return Err(Refusal::new(
                Reason::CredentialsAmbiguous,
                format!("both `{webhooks}` and `{events}` came"),
            ));
        }
        (false, true) => events,
        (_, false) => webhooks,
    };
    let value = lone_signature(message.headers, header)?;
    let length = hmac::HMAC_SHA256.digest_algorithm().output_len();
    let tag = base64(value, length, header)?;
    Ok(Presented::new(
        vec![tag],
        SignedText::of([whole_body(message)?]),
    ))
}
