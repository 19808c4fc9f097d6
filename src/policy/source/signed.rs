//! What users wrote of signed requests: authenticators, their consumers' keys, and secrets.

use std::path::{Path, PathBuf};

use crate::clock::Timestamp;
use crate::diagnostic::Place;
use crate::policy::source::{JwksSource, Located};
use crate::secret::Secret;

/// Where a secret is. Secrets are referred to, not written.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// `{file: PATH}`, resolved against the policy file's directory.
    File(PathBuf),
    /// `{env: NAME}`.
    Environment(String),
    /// `{insecure_literal: "…"}`.
    Literal(Secret),
}

impl SecretSource {
    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Environment(_) | Self::Literal(_) => None,
        }
    }
}

/// An authenticator that proves the request itself.
#[derive(Debug)]
pub struct SignedSource {
    /// Its kind, with what only that takes.
    pub kind: SignedKindSource,
    /// `require`: what signatures have to cover.
    pub require: Option<Vec<Located<String>>>,
    /// `max_age`, in seconds.
    pub max_age: Option<Located<u64>>,
    /// `clock_skew`, in seconds.
    pub clock_skew: Option<Located<u64>>,
    /// Where the definition stands.
    pub place: Place,
}

impl SignedSource {
    /// Where public keys come from that no consumer lists.
    pub const fn jwks(&self) -> Option<&Located<JwksSource>> {
        match &self.kind {
            SignedKindSource::HttpSignature(http) => http.jwks.as_ref(),
            _ => None,
        }
    }
}

/// The kinds of signed requests.
#[derive(Debug)]
pub enum SignedKindSource {
    /// `http_signature` (RFC 9421).
    HttpSignature(HttpSignatureSource),
    /// `hmac`.
    Hmac {
        /// `dialects`; empty: the own scheme alone.
        dialects: Vec<Located<String>>,
    },
    /// `webhook`.
    Webhook(Box<WebhookSource>),
    /// `sigv4`.
    Sigv4(Sigv4Source),
    /// `oauth1`.
    Oauth1(Oauth1Source),
}

/// What only `http_signature` takes.
#[derive(Debug, Default)]
pub struct HttpSignatureSource {
    /// `algorithms`; empty: all.
    pub algorithms: Vec<Located<String>>,
    /// `tag`.
    pub tag: Option<Located<String>>,
    /// `label`.
    pub label: Option<Located<String>>,
    /// `nonce: required`.
    pub nonce_required: bool,
    /// `jwks`: public keys of signers who are no consumers.
    pub jwks: Option<Located<JwksSource>>,
}

/// What only `webhook` takes.
#[derive(Debug)]
pub struct WebhookSource {
    /// `scheme`.
    pub scheme: Option<Located<String>>,
    /// `headers`: the names of Standard Webhooks' headers.
    pub headers: Option<Located<String>>,
    /// `custom`.
    pub custom: Option<CustomSource>,
    /// `secrets`: any of them.
    pub secrets: Vec<Located<SecretSource>>,
}

/// `custom` of a `webhook`.
#[derive(Debug)]
pub struct CustomSource {
    /// Where it stands.
    pub place: Place,
    /// `header`: where the signature is.
    pub header: Located<String>,
    /// `prefix`: what stands before it.
    pub prefix: Option<Located<String>>,
    /// `element`.
    pub element: Option<Located<String>>,
    /// `separator`.
    pub separator: Option<Located<String>>,
    /// `encoding`.
    pub encoding: Option<Located<String>>,
    /// `algorithm`.
    pub algorithm: Option<Located<String>>,
    /// `template` of the signed text.
    pub template: Option<Located<String>>,
    /// `timestamp.header`.
    pub timestamp: Option<Located<String>>,
    /// `timestamp.element`.
    pub timestamp_element: Option<Located<String>>,
    /// `timestamp.format`.
    pub timestamp_format: Option<Located<String>>,
    /// `id`: the header with the message's name.
    pub id: Option<Located<String>>,
}

/// What only `sigv4` takes.
#[derive(Debug, Default)]
pub struct Sigv4Source {
    /// `service`.
    pub service: Option<Located<String>>,
    /// `region`.
    pub region: Option<Located<String>>,
    /// `unsigned_payload: true`.
    pub unsigned_payload: bool,
    /// `max_expires`, in seconds: the longest life of a presigned URL.
    pub max_expires: Option<Located<u64>>,
}

/// What only `oauth1` takes.
#[derive(Debug, Default)]
pub struct Oauth1Source {
    /// `methods`; empty: HMAC-SHA256, RSA-SHA256 and HMAC-SHA1.
    pub methods: Vec<Located<String>>,
    /// `realm`.
    pub realm: Option<Located<String>>,
    /// `body_hash: optional`.
    pub body_hash_optional: bool,
    /// `sha1_body_hash`.
    pub sha1_body_hash: bool,
    /// `plaintext_without_nonce`.
    pub plaintext_without_nonce: bool,
}

/// Public or shared keys of a signer.
#[derive(Debug)]
pub struct SignerSource {
    /// What names the key: `key_id`, `access_key_id` or `consumer_key`.
    pub named_by: &'static str,
    /// The name that signatures state.
    pub id: Located<String>,
    /// `secret`.
    pub secret: Option<Located<SecretSource>>,
    /// `public_key`: a PEM text or a file.
    pub public_key: Option<Located<SecretSource>>,
    /// `algorithm`.
    pub algorithm: Option<Located<String>>,
    /// `tokens` of OAuth 1.0a.
    pub tokens: Vec<TokenSource>,
    /// When the key ends.
    pub expires: Option<Timestamp>,
    /// The key's own scopes, cut to the consumer's ceiling.
    pub scopes: Option<Vec<Located<String>>>,
}

impl SignerSource {
    /// Everything that it refers to.
    pub fn secrets(&self) -> impl Iterator<Item = &Located<SecretSource>> {
        let own = self.secret.iter().chain(&self.public_key);
        own.chain(self.tokens.iter().map(|token| &token.secret))
    }
}

/// A token of OAuth 1.0a: somebody for whom the consumer acts.
#[derive(Debug)]
pub struct TokenSource {
    /// `token`.
    pub token: Located<String>,
    /// `secret`.
    pub secret: Located<SecretSource>,
    /// `subject`: whom it stands for.
    pub subject: Located<String>,
}
