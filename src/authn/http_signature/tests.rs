//! Tests of whole signatures. The keys under `tests/keys` are those of RFC 9421 appendix B.1, with a P-384
//! key and a short RSA key beside them; none of them is used for anything else.

mod acceptance;
mod components;
mod properties;
mod refusals;
mod rfc;
mod sdk;

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::authn::http_signature::chosen::Chosen;
use crate::authn::http_signature::key::{Algorithm, VerifyKey};
use crate::authn::http_signature::read;
use crate::authn::http_signature::rules::{Nonce, Required, Rules};
use crate::authn::http_signature::sign::{SigningKey, ToSign, sign};
use crate::authn::signature::{Accepted, Freshness};
use crate::clock::Timestamp;
use crate::headers::Headers;
use crate::request::body::Body;
use crate::request::signed::AsSigned;
use crate::verdict::{Reason, Refusal};

pub(super) const NOW: i64 = 1_800_000_000;

/// The shared secret of RFC 9421 appendix B.1.5.
pub(super) fn shared_secret() -> Vec<u8> {
    STANDARD
        .decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
        .unwrap()
}

pub(super) const RSA: &str = include_str!("tests/keys/rsa.pem");
pub(super) const RSA_PUBLIC: &str = include_str!("tests/keys/rsa.pub.pem");
pub(super) const RSA_PSS: &str = include_str!("tests/keys/rsa-pss.pem");
pub(super) const RSA_PSS_PUBLIC: &str = include_str!("tests/keys/rsa-pss.pub.pem");
pub(super) const RSA_SHORT_PUBLIC: &str = include_str!("tests/keys/rsa-1024.pub.pem");
pub(super) const P256: &str = include_str!("tests/keys/ecc-p256.pem");
pub(super) const P256_PUBLIC: &str = include_str!("tests/keys/ecc-p256.pub.pem");
pub(super) const P384: &str = include_str!("tests/keys/ecc-p384.pem");
pub(super) const P384_PUBLIC: &str = include_str!("tests/keys/ecc-p384.pub.pem");
pub(super) const ED25519: &str = include_str!("tests/keys/ed25519.pem");
pub(super) const ED25519_PUBLIC: &str = include_str!("tests/keys/ed25519.pub.pem");

/// The key that signs, and the one that verifies.
pub(super) fn keys(algorithm: Algorithm) -> (SigningKey, VerifyKey) {
    let (private, public) = match algorithm {
        Algorithm::HmacSha256 => {
            let secret = shared_secret();
            return (
                SigningKey::from_secret(&secret).unwrap(),
                VerifyKey::from_secret(&secret).unwrap(),
            );
        }
        Algorithm::EcdsaP256Sha256 => (P256, P256_PUBLIC),
        Algorithm::EcdsaP384Sha384 => (P384, P384_PUBLIC),
        Algorithm::Ed25519 => (ED25519, ED25519_PUBLIC),
        Algorithm::RsaPssSha512 | Algorithm::RsaV15Sha256 => (RSA, RSA_PUBLIC),
    };
    (
        SigningKey::from_pem(algorithm, private).unwrap(),
        VerifyKey::from_pem(algorithm, public).unwrap(),
    )
}

/// A request, owned.
#[derive(Clone)]
pub(super) struct Sent {
    pub method: String,
    pub scheme: String,
    pub authority: String,
    pub path: Vec<u8>,
    pub query: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Body,
}

impl Sent {
    pub(super) fn new(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes().to_vec())),
            None => (target, None),
        };
        Self {
            method: method.into(),
            scheme: scheme.into(),
            authority: authority.into(),
            path: path.into(),
            query,
            headers: headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes().to_vec()))
                .collect(),
            body: Body::Whole(Bytes::copy_from_slice(body.as_bytes())),
        }
    }

    /// The example of RFC 9421 appendix B.2, which most tests begin with.
    pub(super) fn example() -> Self {
        Self::new(
            "POST",
            "https://example.com/foo?param=Value&Pet=dog",
            &[
                ("Host", "example.com"),
                ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
                ("Content-Type", "application/json"),
                (
                    "Content-Digest",
                    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
                ),
                ("Content-Length", "18"),
            ],
            "{\"hello\": \"world\"}",
        )
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(own, _)| own != name);
        self
    }

    pub(super) fn ask<T>(&self, question: impl FnOnce(&AsSigned<'_>) -> T) -> T {
        let headers = Headers::new(self.headers.iter().map(|(n, v)| (n.as_bytes(), v)));
        question(&AsSigned {
            method: &self.method,
            scheme: Cow::Borrowed(&self.scheme),
            authority: Cow::Borrowed(&self.authority),
            path: Cow::Borrowed(&self.path),
            query: self.query.as_deref(),
            headers: &headers,
            body: self.body.clone(),
        })
    }

    pub(super) fn choose(&self, rules: &Rules) -> Result<Chosen, Refusal> {
        let headers = Headers::new(self.headers.iter().map(|(n, v)| (n.as_bytes(), v)));
        read(&headers)?
            .expect("signature headers")
            .choose(rules, |key_id| {
                key_id.starts_with("key") || key_id.starts_with("test-")
            })
    }

    pub(super) fn base(&self) -> Result<String, Refusal> {
        let chosen = self.choose(&rules(&[]))?;
        self.ask(|message| chosen.base(message))
            .map(|base| String::from_utf8(base).unwrap())
    }

    pub(super) fn verify(
        &self,
        key: &VerifyKey,
        rules: &Rules,
        now: i64,
    ) -> Result<Accepted, Refusal> {
        let chosen = self.choose(rules)?;
        self.ask(|message| chosen.verify(message, key, rules, Timestamp::from_seconds(now)))
    }

    /// Adds a signature of our own.
    pub(super) fn signed<'c>(
        mut self,
        key: &SigningKey,
        change: impl FnOnce(&mut ToSign<'c>),
    ) -> Self {
        let mut what = ToSign {
            label: "sig1",
            components: &["@method", "@authority", "@path", "@query", "content-digest"],
            created: NOW,
            expires: None,
            key_id: "key-1",
            alg: false,
            nonce: None,
            tag: None,
        };
        change(&mut what);
        let lines = self.ask(|message| sign(message, &what, key)).unwrap();
        for (name, value) in lines {
            self.headers.push((name.into(), value.into_bytes()));
        }
        self
    }
}

/// Rules that require this, accept all algorithms and hold for five minutes.
pub(super) fn rules(require: &[&str]) -> Rules {
    Rules {
        require: require
            .iter()
            .map(|text| Required::parse(text).unwrap())
            .collect(),
        algorithms: Algorithm::ALL.to_vec(),
        freshness: Freshness {
            max_age: Duration::from_secs(300),
            clock_skew: Duration::from_secs(30),
        },
        nonce: Nonce::Optional,
        tag: None,
        label: None,
    }
}

pub(super) fn reason<T>(outcome: Result<T, Refusal>) -> Option<Reason> {
    outcome.err().map(|refusal| refusal.reason)
}
