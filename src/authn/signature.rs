//! What all kinds have in common that prove the request itself: how long a signature holds, and what must
//! not be seen twice.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::request::body::Body;
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

/// How long signatures hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Freshness {
    /// How old a signature may be.
    pub max_age: Duration,
    /// How far ahead of our clock its time may lie.
    pub clock_skew: Duration,
}

impl Freshness {
    /// Judges the time that a signature states, and when it says to end, both in seconds since the epoch.
    /// Answers with the last moment at which it is accepted.
    ///
    /// That moment is the one until which the signature has to be remembered. It is not `max_age` from now:
    /// a signature whose time lies ahead by the whole skew is accepted for `max_age` and the skew, and one
    /// forgotten earlier could be sent again.
    ///
    /// # Errors
    /// `signature_not_yet_valid`, `signature_expired`.
    pub fn judge(
        &self,
        created: i64,
        expires: Option<i64>,
        now: Timestamp,
    ) -> Result<Timestamp, Refusal> {
        let created = Timestamp::from_seconds(created);
        if created > now.plus(self.clock_skew) {
            return Err(Refusal::new(
                Reason::SignatureNotYetValid,
                format!(
                    "the signature's time lies more than {} s ahead",
                    self.clock_skew.as_secs()
                ),
            ));
        }
        let oldest = created.plus(self.max_age);
        let until = expires.map_or(oldest, |expires| {
            Timestamp::from_seconds(expires).min(oldest)
        });
        if now > until {
            let detail = match expires {
                Some(expires) if now > Timestamp::from_seconds(expires) => {
                    "the signature's own `expires` has passed".to_owned()
                }
                _ => format!("the signature is older than {} s", self.max_age.as_secs()),
            };
            return Err(Refusal::new(Reason::SignatureExpired, detail));
        }
        Ok(until)
    }
}

/// What may be used once: a nonce, or the signature itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// What to remember, told apart from all else that one credential sends.
    pub value: Vec<u8>,
    /// The last moment at which it would be accepted again.
    pub until: Timestamp,
}

/// A signature that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What has to be seen for the first time; `None` where the kind signs nothing that is used once.
    pub once: Option<Once>,
    /// When it was made, as far as it says.
    pub created: Option<Timestamp>,
    /// The last moment at which it is accepted, if it ends.
    pub until: Option<Timestamp>,
}

/// A signature that does not match.
pub fn mismatch(detail: &'static str) -> Refusal {
    Refusal::new(Reason::SignatureMismatch, detail)
}

/// The whole body, which a signature covers.
///
/// # Errors
/// `body_unavailable`, naming the setting of Envoy that is missing.
pub fn whole_body<'a>(message: &'a AsSigned<'_>) -> Result<&'a [u8], Refusal> {
    let detail = match &message.body {
        Body::Whole(bytes) => return Ok(bytes),
        Body::Substituted => {
            "the signature covers the body, and Envoy handed it over as text with a `!` in it, which it also puts for each byte that is no UTF-8: set `with_request_body.pack_as_bytes: true`"
        }
        Body::Partial => {
            "the signature covers the body, and Envoy handed over a part of it: raise `with_request_body.max_request_bytes`, and set `allow_partial_message: false`"
        }
        Body::Withheld => {
            "the signature covers the body, and Envoy handed over none: set `with_request_body` with `pack_as_bytes: true`; a request without a body says `Content-Length: 0`"
        }
        Body::Stream => {
            "the signature covers the body, and the request is an upgrade or CONNECT, which has none"
        }
    };
    Err(Refusal::new(Reason::BodyUnavailable, detail))
}
