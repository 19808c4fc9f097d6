//! OAuth 1.0a (RFC 5849): requests signed with a consumer's key and, on behalf of somebody, with a token's
//! secret. Portcullis is the server of the resource; it hands out no credentials.
//!
//! # What a signature covers, and what it does not
//!
//! Method, scheme, host, port, path, all parameters of the query, and all parameters of a form. By the RFC
//! (section 3.4.1.3.1) that is all. A policy's author has to know the rest:
//!
//! - **A body that is no form is not signed**: JSON, XML and multipart bodies can be replaced, and one can be
//!   added to a request that had none. The extension OAuth Request Body Hash closes this: with
//!   [`BodyHash::Required`] no such body passes without `oauth_body_hash`.
//! - Headers are not signed, `Content-Type` among them. With [`BodyHash::Optional`] an upstream that takes a
//!   body without a type for a form reads parameters that nobody signed; one that heeds `charset` in a form's
//!   type may read other text out of the same bytes.
//! - Parameters are decoded and put in order before they are signed. So `a=1&b=2` can become `b=2&a=1`, `a=2&a=1`
//!   become `a=1&a=2`, `a` become `a=`, `%20` become `+`, and a parameter move between query and form. Whether
//!   the timestamp, the nonce and the signature stand in the header, the query or the form is not signed either.
//! - `PLAINTEXT` signs nothing at all: it shows the secrets, to whoever sees the request. It needs TLS, and
//!   its timestamp and nonce protect against nothing.
//!
//! # Where parameters stand
//!
//! In `Authorization: OAuth …`, in the query, or in a form; all in one place. On a route that accepts OAuth 1.0
//! all names that begin with `oauth_` belong to the protocol (section 3.5).

pub mod key;
pub mod sign;

mod authorization;
mod base_string;
mod body_hash;
mod encoding;
mod method;
mod parameters;
mod proof;
mod protocol;

use std::borrow::Cow;
use std::fmt;

pub use authorization::MAX_AUTHORIZATION_BYTES;
pub use body_hash::BodyHash;
pub use method::SignatureMethod;
pub use parameters::{MAX_PARAMETERS, PREFIX, Place};
pub use protocol::{MAX_NONCE_CHARACTERS, MAX_VALUE_BYTES, NAMES};

use crate::authn::oauth1::body_hash::Content;
use crate::authn::oauth1::key::{ConsumerKey, NOBODYS_KEYS};
use crate::authn::oauth1::parameters::Parameters;
use crate::authn::oauth1::protocol::Protocol;
use crate::authn::signature::{Accepted, Freshness, Once};
use crate::clock::Timestamp;
use crate::request::signed::AsSigned;
use crate::secret::Secret;
use crate::verdict::{Reason, Refusal};

/// What an operator asks of signatures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// The methods that are accepted.
    pub methods: Vec<SignatureMethod>,
    /// How long a signature holds.
    pub freshness: Freshness,
    /// The realm that a client may name in the header; another one is refused. Clients may leave it out, and
    /// nobody signs it.
    pub realm: Option<Box<str>>,
    /// Whether bodies that are no forms need `oauth_body_hash`.
    pub body_hash: BodyHash,
    /// Whether `oauth_body_hash` may be SHA-1 where the method is HMAC-SHA256 or RSA-SHA256. Widespread
    /// libraries for Python send that and nothing else. Who can choose what a client signs can make two bodies
    /// with one SHA-1.
    pub sha1_body_hash: bool,
    /// Whether `PLAINTEXT` may leave out timestamp and nonce (RFC 5849 section 3.1). Such a request can be sent
    /// again at any time; so can one with them, by whoever read it, since they are not signed.
    pub plaintext_without_nonce: bool,
}

/// The keys that belong to the names in a request.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// That of [`Unverified::consumer_key`].
    pub consumer: &'a ConsumerKey,
    /// The secret of [`Unverified::token`], which is the consumer's own token; `None` exactly where the request
    /// names none. It is not used with RSA, and has to be there all the same: that the token is known is
    /// what lets the request speak for its subject.
    pub token: Option<&'a Secret>,
}

/// A request with the protocol's parameters, which proves nothing yet.
pub struct Unverified {
    place: Place,
    realm: Option<Vec<u8>>,
    protocol: Protocol,
    base_string: Vec<u8>,
    https: bool,
    content: Content,
}

impl fmt::Debug for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified")
            .field("place", &self.place)
            .field("consumer_key", &self.protocol.consumer_key)
            .field("method", &self.protocol.method)
            .finish_non_exhaustive()
    }
}

impl Unverified {
    /// Reads a request; `None` where it has none of the protocol's parameters. Those in a form that Envoy did
    /// not hand over can't be seen: such a request has no credential.
    ///
    /// # Errors
    /// `credentials_ambiguous`, `signature_malformed`, `signature_algorithm_refused` (unknown),
    /// `signature_incomplete`, `signature_component_refused`, `body_unavailable`.
    pub fn read(message: &AsSigned<'_>) -> Result<Option<Self>, Refusal> {
        let Some(parameters) = Parameters::collect(message)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            place: parameters.place,
            protocol: Protocol::read(&parameters.all)?,
            base_string: base_string::base_string(message, &parameters.all)?,
            realm: parameters.realm,
            https: message.scheme == "https",
            content: Content::of(message, parameters.form),
        }))
    }

    /// Whose key has to be looked up: `oauth_consumer_key`. At most [`MAX_VALUE_BYTES`], not empty.
    pub const fn consumer_key(&self) -> &str {
        &self.protocol.consumer_key
    }

    /// The token that has to be looked up among the consumer's: `oauth_token`. `None` where the consumer acts
    /// for itself ("two-legged").
    pub fn token(&self) -> Option<&str> {
        self.protocol.token.as_deref()
    }

    /// How it says to be signed.
    pub const fn method(&self) -> SignatureMethod {
        self.protocol.method
    }

    /// Where the protocol's parameters stand.
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Judges the request. The keys are those that its names stand for.
    ///
    /// What is used once is timestamp, nonce and token (RFC 5849 section 3.3), to be remembered per consumer.
    ///
    /// # Errors
    /// `signature_algorithm_refused`, `tls_required`, `signature_scope_mismatch`, `signature_incomplete`,
    /// `signature_not_yet_valid`, `signature_expired`, `signature_malformed`, `signature_mismatch`,
    /// `body_unavailable`, `body_digest_mismatch`; `signature_key_unknown` where `keys` hold a secret and the
    /// request names no token, or the reverse.
    pub fn verify(
        &self,
        keys: &Keys<'_>,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Accepted, Refusal> {
        self.judge_method(rules)?;
        self.judge_realm(rules)?;
        let until = self.judge_time(rules, now)?;
        self.judge_presence_of_body_hash(rules)?;
        self.judge_signature(keys)?;
        self.judge_body_hash(rules)?;
        let stamp = self.protocol.stamp.as_ref();
        Ok(Accepted {
            once: until.map(|until| Once {
                value: self.used_once(),
                until,
            }),
            created: stamp.map(|stamp| Timestamp::from_seconds(stamp.timestamp)),
            until,
        })
    }

    /// Judges a request whose consumer or token is unknown: takes the steps that [`Self::verify`] takes, with
    /// keys that belong to nobody, and refuses. So the time does not tell who is known.
    pub fn verify_against_nothing(&self, rules: &Rules, now: Timestamp) -> Refusal {
        let nobody = &*NOBODYS_KEYS;
        let consumer = match self.protocol.method {
            SignatureMethod::RsaSha1 | SignatureMethod::RsaSha256 => nobody.rsa.as_ref(),
            SignatureMethod::HmacSha1
            | SignatureMethod::HmacSha256
            | SignatureMethod::Plaintext => Some(&nobody.shared),
        };
        let keys = Keys {
            consumer: consumer.unwrap_or(&nobody.shared),
            token: self.token().map(|_| &nobody.token),
        };
        match self.verify(&keys, rules, now) {
            Err(refusal) if refusal.reason != Reason::SignatureMismatch => refusal,
            _ => key_unknown(
                "no consumer has this `oauth_consumer_key`, or it has no such `oauth_token`",
            ),
        }
    }

    fn judge_method(&self, rules: &Rules) -> Result<(), Refusal> {
        let method = self.protocol.method;
        if !rules.methods.contains(&method) {
            return Err(Refusal::new(
                Reason::SignatureAlgorithmRefused,
                format!("{} is not among the accepted methods", method.name()),
            ));
        }
        if method == SignatureMethod::Plaintext && !self.https {
            return Err(Refusal::new(
                Reason::TlsRequired,
                "PLAINTEXT shows the secrets, and the request did not come by https",
            ));
        }
        Ok(())
    }

    fn judge_realm(&self, rules: &Rules) -> Result<(), Refusal> {
        match (&rules.realm, &self.realm) {
            (Some(asked), Some(sent)) if asked.as_bytes() != sent => Err(Refusal::new(
                Reason::SignatureScopeMismatch,
                format!("the client names another realm than `{asked}`"),
            )),
            _ => Ok(()),
        }
    }

    /// The last moment at which the signature is accepted; `None` where it ends never.
    fn judge_time(&self, rules: &Rules, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        match &self.protocol.stamp {
            Some(stamp) => rules.freshness.judge(stamp.timestamp, None, now).map(Some),
            None if self.protocol.method == SignatureMethod::Plaintext
                && rules.plaintext_without_nonce =>
            {
                Ok(None)
            }
            None => Err(Refusal::new(
                Reason::SignatureIncomplete,
                "`oauth_timestamp` and `oauth_nonce` are missing",
            )),
        }
    }

    /// No part of it holds a line feed, so that no two of them look alike.
    fn used_once(&self) -> Vec<u8> {
        let stamp = self.protocol.stamp.as_ref();
        let (timestamp, nonce) = stamp.map_or((0, ""), |stamp| (stamp.timestamp, &stamp.nonce));
        let token = self.token().unwrap_or_default();
        format!("{timestamp}\n{nonce}\n{token}").into_bytes()
    }
}

/// The base string of a request (RFC 5849 section 3.4.1): what its client had to sign. For operators; it
/// holds no secret, but all parameters.
///
/// # Errors
/// As [`Unverified::read`]; `signature_malformed` where the request has none of the protocol's parameters;
/// `signature_component_refused` with PLAINTEXT, which signs nothing.
pub fn base_string(message: &AsSigned<'_>) -> Result<Vec<u8>, Refusal> {
    let request = Unverified::read(message)?
        .ok_or_else(|| malformed("the request has no OAuth parameters"))?;
    if request.protocol.method == SignatureMethod::Plaintext {
        return Err(Refusal::new(
            Reason::SignatureComponentRefused,
            "PLAINTEXT has no base string: it signs nothing of the request",
        ));
    }
    Ok(request.base_string)
}

fn malformed(detail: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::SignatureMalformed, detail)
}

fn key_unknown(detail: &'static str) -> Refusal {
    Refusal::new(Reason::SignatureKeyUnknown, detail)
}

#[cfg(test)]
mod tests;
