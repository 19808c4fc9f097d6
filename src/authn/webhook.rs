//! Webhooks: requests that a service sends by itself and signs with a secret that both sides know.
//!
//! Each scheme reads the same three things from a request: what was presented, over which text, and from
//! when. What a scheme does not sign, it does not prove: Stripe, Slack, GitHub, Shopify and Standard
//! Webhooks sign the body and never the path, the method or other headers (GitHub's event type stands in
//! an unsigned header). GitHub, Shopify and Twilio sign no time either, so that a message once seen can be
//! sent again at any time.

pub mod custom;
mod github;
mod keys;
mod read;
mod shopify;
pub mod sign;
mod slack;
pub mod standard;
mod stripe;
mod twilio;

use crate::authn::signature::{Accepted, Freshness, Once};
use crate::authn::webhook::custom::Custom;
use crate::authn::webhook::keys::Keys;
use crate::authn::webhook::read::Presented;
use crate::authn::webhook::standard::HeaderNames;
use crate::clock::Timestamp;
use crate::request::body::Body;
use crate::request::signed::AsSigned;
use crate::secret::Secret;
use crate::verdict::{Reason, Refusal};

pub use crate::authn::webhook::keys::{BadSecrets, MAX_SECRETS, WrongSecret};
pub use crate::authn::webhook::read::{MAX_HEADER_BYTES, MAX_SIGNATURES};

/// Whose way of signing it is.
#[derive(Clone, Debug)]
pub enum Scheme {
    /// `Stripe-Signature: t=…,v1=…`: HMAC-SHA256 over `t.body`.
    Stripe,
    /// `X-Slack-Signature: v0=…`: HMAC-SHA256 over `v0:timestamp:body`.
    Slack,
    /// `X-Hub-Signature-256: sha256=…`: HMAC-SHA256 over the body.
    GitHub,
    /// Standard Webhooks 1.0.0: HMAC-SHA256 or Ed25519 over `id.timestamp.body`.
    Standard(HeaderNames),
    /// `X-Shopify-Hmac-Sha256`: HMAC-SHA256 over the body.
    Shopify,
    /// `X-Twilio-Signature`: HMAC-SHA1 or HMAC-SHA256 over the address and the form's parameters.
    Twilio,
    /// As the operator describes it.
    Custom(Box<Custom>),
}

impl Scheme {
    /// The scheme's name in a policy.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Slack => "slack",
            Self::GitHub => "github",
            Self::Standard(_) => "standard",
            Self::Shopify => "shopify",
            Self::Twilio => "twilio",
            Self::Custom(_) => "custom",
        }
    }

    /// Whether a time is signed. Where none is, nothing ends and nothing is remembered: a message that
    /// somebody saw can be sent again for as long as the secret holds.
    pub fn signs_time(&self) -> bool {
        match self {
            Self::Stripe | Self::Slack | Self::Standard(_) => true,
            Self::GitHub | Self::Shopify | Self::Twilio => false,
            Self::Custom(custom) => custom.signs_time(),
        }
    }

    /// Whether the address is signed, or can be.
    pub const fn signs_target(&self) -> bool {
        matches!(self, Self::Twilio | Self::Custom(_))
    }

    /// What an operator should know of the scheme's weak points.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = match self {
            Self::Custom(custom) => custom.notes(),
            Self::Twilio => vec![
                "Twilio signs names and values of a form without marks between: who has seen a signed form can move the border between them, and the signature still holds".to_owned(),
            ],
            Self::Stripe | Self::Slack | Self::GitHub | Self::Standard(_) | Self::Shopify => {
                Vec::new()
            }
        };
        if !self.signs_time() {
            notes.push(format!(
                "`{}` signs no time: a message that somebody saw can be sent again for as long as the secret holds",
                self.as_str()
            ));
        }
        notes
    }

    /// The headers that hold signatures, in lower case. One of them in a request is a credential; all of
    /// them are to be kept from the upstream. Never empty.
    pub fn signature_headers(&self) -> Vec<&str> {
        match self {
            Self::Stripe => vec![stripe::HEADER],
            Self::Slack => vec![slack::HEADER],
            Self::GitHub => vec![github::HEADER, github::SHA1_HEADER],
            Self::Standard(names) => names.sets().iter().map(|set| set.signature).collect(),
            Self::Shopify => shopify::HEADERS.to_vec(),
            Self::Twilio => vec![twilio::HEADER],
            Self::Custom(custom) => vec![custom.header()],
        }
    }

    /// All headers of the scheme's own, in lower case: first those of [`Scheme::signature_headers`], then
    /// those that hold an id, a time or an algorithm, which an upstream may want to read.
    pub fn headers(&self) -> Vec<&str> {
        let mut names = self.signature_headers();
        match self {
            Self::Stripe | Self::GitHub | Self::Shopify => {}
            Self::Slack => names.push(slack::TIMESTAMP_HEADER),
            Self::Standard(of) => {
                names.extend(of.sets().iter().flat_map(|set| [set.id, set.timestamp]));
            }
            Self::Twilio => names.push(twilio::SETTINGS_HEADER),
            Self::Custom(custom) => names.extend(custom.other_headers()),
        }
        names
    }

    fn read<'a>(&'a self, message: &'a AsSigned<'_>) -> Result<Presented<'a>, Refusal> {
        match self {
            Self::Stripe => stripe::read(message),
            Self::Slack => slack::read(message),
            Self::GitHub => github::read(message),
            Self::Standard(names) => standard::read(message, *names),
            Self::Shopify => shopify::read(message),
            Self::Twilio => twilio::read(message),
            Self::Custom(custom) => custom.read(message),
        }
    }

    /// Where an operator looks first when nothing matches.
    const fn on_mismatch(&self) -> &'static str {
        match self {
            Self::Twilio => {
                "no secret gives this signature over the address and the form: Twilio signs the address that it was told to call, so compare that with `external_url`"
            }
            Self::Standard(_) => {
                "no secret or public key gives one of these signatures over id, timestamp and body"
            }
            Self::Custom(_) => {
                "no secret gives one of these signatures over the text that `template` describes"
            }
            Self::Stripe => {
                "no secret gives one of the `v1` signatures over timestamp and body: the secret is that of this very endpoint, with its `whsec_`"
            }
            Self::Slack | Self::GitHub | Self::Shopify => {
                "no secret gives this signature over the body"
            }
        }
    }
}

/// What is accepted from one service.
#[derive(Debug)]
pub struct Rules {
    scheme: Scheme,
    freshness: Freshness,
    keys: Keys,
}

impl Rules {
    /// `secrets` are those that count at the moment: one, or several while one is replaced by the next.
    /// `freshness` means nothing where no time is signed.
    ///
    /// Secrets are the bytes as the service shows them. Those of Standard Webhooks begin with `whsec_`, or
    /// with `whpk_` for a public key, and are base64 behind that.
    ///
    /// # Errors
    /// [`BadSecrets`].
    pub fn new(
        scheme: Scheme,
        secrets: &[Secret],
        freshness: Freshness,
    ) -> Result<Self, BadSecrets> {
        let keys = Keys::new(&scheme, secrets)?;
        Ok(Self {
            scheme,
            freshness,
            keys,
        })
    }

    /// The scheme.
    pub const fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// How long signatures hold, where a time is signed.
    pub fn freshness(&self) -> Option<Freshness> {
        self.scheme.signs_time().then_some(self.freshness)
    }
}

/// Verifies what a request presents. All secrets are tried, whichever matches, and compared in constant
/// time.
///
/// What is to be seen once is the message, never one of its signatures: a message with two valid
/// signatures stays the same message when one is dropped.
///
/// # Errors
/// `credentials_missing` without a signature, `credentials_ambiguous` for more than the scheme has,
/// `signature_malformed`, `signature_incomplete`, `signature_component_refused`,
/// `signature_algorithm_refused`, `body_unavailable`, `body_digest_mismatch`, `signature_mismatch`,
/// `signature_not_yet_valid`, `signature_expired`.
pub fn verify(message: &AsSigned<'_>, rules: &Rules, now: Timestamp) -> Result<Accepted, Refusal> {
    let presented = rules.scheme.read(message)?;
    rules.keys.can_judge(&presented)?;
    if !rules.keys.match_one_of(&presented) {
        return Err(no_match(message, &rules.scheme));
    }
    let Some(created) = presented.created else {
        return Ok(Accepted {
            once: None,
            created: None,
            until: None,
        });
    };
    let until = rules.freshness.judge(created, None, now)?;
    Ok(Accepted {
        once: Some(Once {
            value: presented.message(),
            until,
        }),
        created: Some(Timestamp::from_seconds(created)),
        until: Some(until),
    })
}

/// What should have been signed, for an operator who looks for the difference. It holds the whole body.
/// Of Twilio's two texts it is the one without a port.
///
/// # Errors
/// Those of [`verify`] that come before a secret is needed.
pub fn signed_text(message: &AsSigned<'_>, rules: &Rules) -> Result<Vec<u8>, Refusal> {
    Ok(rules.scheme.read(message)?.text.concat())
}

fn no_match(message: &AsSigned<'_>, scheme: &Scheme) -> Refusal {
    let detail = scheme.on_mismatch();
    match &message.body {
        Body::Whole(body) if body.contains(&b'!') => Refusal::new(
            Reason::SignatureMismatch,
            format!(
                "{detail}; the body holds a `!`, which Envoy puts for each byte that is no UTF-8 unless it has `pack_as_bytes: true`"
            ),
        ),
        _ => Refusal::new(Reason::SignatureMismatch, detail),
    }
}

#[cfg(test)]
mod tests;
