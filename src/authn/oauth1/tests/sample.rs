//! Requests for tests.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use crate::authn::oauth1::key::ConsumerKey;
use crate::authn::oauth1::sign::{Signer, SigningKey, sign};
use crate::authn::oauth1::{BodyHash, Keys, Rules, SignatureMethod, Unverified};
use crate::authn::signature::{Accepted, Freshness};
use crate::clock::Timestamp;
use crate::headers::Headers;
use crate::request::body::Body;
use crate::request::signed::AsSigned;
use crate::secret::Secret;
use crate::verdict::Refusal;

pub(in crate::authn::oauth1) const NOW: i64 = 1_191_242_096;
pub(in crate::authn::oauth1) const FORM: &str = "application/x-www-form-urlencoded";
pub(in crate::authn::oauth1) const CONSUMER: &str = "dpf43f3p2l4k3l03";
pub(in crate::authn::oauth1) const SECRET: &str = "kd94hf93k423kf44";
pub(in crate::authn::oauth1) const TOKEN: &str = "nnch734d00sl2jdk";
pub(in crate::authn::oauth1) const TOKEN_SECRET: &str = "pfkkdhi9sl3r4s00";
pub(in crate::authn::oauth1) const NONCE: &str = "kllo9940pd9333jh";

/// A request that owns its parts.
#[derive(Clone)]
pub(in crate::authn::oauth1) struct Sample {
    pub(in crate::authn::oauth1) method: String,
    pub(in crate::authn::oauth1) scheme: String,
    pub(in crate::authn::oauth1) authority: String,
    pub(in crate::authn::oauth1) path: Vec<u8>,
    pub(in crate::authn::oauth1) query: Option<Vec<u8>>,
    pub(in crate::authn::oauth1) headers: Vec<(String, Vec<u8>)>,
    pub(in crate::authn::oauth1) body: Body,
}

impl Sample {
    pub(in crate::authn::oauth1) fn new(method: &str, url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query.as_bytes().to_vec())),
            None => (rest, None),
        };
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(slash);
        let path = if path.is_empty() { "/" } else { path };
        Self {
            method: method.to_owned(),
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            path: path.as_bytes().to_vec(),
            query,
            headers: Vec::new(),
            body: Body::Whole(Bytes::new()),
        }
    }

    pub(in crate::authn::oauth1) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    pub(in crate::authn::oauth1) fn body(mut self, kind: &str, body: &str) -> Self {
        self.body = Body::Whole(Bytes::copy_from_slice(body.as_bytes()));
        self.header("content-type", kind)
    }

    pub(in crate::authn::oauth1) fn with<T>(&self, look: impl FnOnce(&AsSigned<'_>) -> T) -> T {
        let headers = Headers::new(self.headers.iter().map(|(name, value)| (name, value)));
        look(&AsSigned {
            method: &self.method,
            scheme: Cow::Borrowed(&self.scheme),
            authority: Cow::Borrowed(&self.authority),
            path: Cow::Borrowed(&self.path),
            query: self.query.as_deref(),
            headers: &headers,
            body: self.body.clone(),
        })
    }

    /// Signed by our own signer at [`NOW`], with or without the token.
    pub(in crate::authn::oauth1) fn signed(self, method: SignatureMethod, token: bool) -> Self {
        let (key, secret) = (SigningKey::Shared(secret(SECRET)), secret(TOKEN_SECRET));
        let signer = Signer {
            consumer_key: CONSUMER,
            key: &key,
            token: token.then_some((TOKEN, &secret)),
            method,
            realm: None,
            body_hash: true,
        };
        let headers = self
            .with(|message| sign(message, &signer, NOW, NONCE))
            .unwrap();
        headers
            .iter()
            .fold(self, |sample, (name, value)| sample.header(name, value))
    }

    pub(in crate::authn::oauth1) fn read(&self) -> Result<Option<Unverified>, Refusal> {
        self.with(Unverified::read)
    }

    /// Judged at [`NOW`] with the secrets above, the token's where the request names one.
    pub(in crate::authn::oauth1) fn verify(&self, rules: &Rules) -> Result<Accepted, Refusal> {
        let request = self.read()?.expect("no OAuth parameters");
        let consumer = ConsumerKey::shared(secret(SECRET)).unwrap();
        let token = request.token().map(|_| secret(TOKEN_SECRET));
        let keys = Keys {
            consumer: &consumer,
            token: token.as_ref(),
        };
        request.verify(&keys, rules, Timestamp::from_seconds(NOW))
    }
}

pub(in crate::authn::oauth1) fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

/// Every method, and the stricter choice of all else.
pub(in crate::authn::oauth1) fn rules() -> Rules {
    Rules {
        methods: SignatureMethod::ALL.to_vec(),
        freshness: Freshness {
            max_age: Duration::from_secs(300),
            clock_skew: Duration::from_secs(30),
        },
        realm: None,
        body_hash: BodyHash::Required,
        sha1_body_hash: false,
        plaintext_without_nonce: false,
    }
}
