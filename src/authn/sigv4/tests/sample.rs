//! Requests to play with.

use std::time::Duration;

use bytes::Bytes;

use crate::authn::signature::{Accepted, Freshness};
use crate::authn::sigv4::{Rules, Signing, presign, read, sign};
use crate::clock::Timestamp;
use crate::headers::Headers;
use crate::request::body::Body;
use crate::request::signed::AsSigned;
use crate::secret::Secret;
use crate::verdict::{Reason, Refusal};

/// 2026-12-01T12:00:00Z.
pub(super) const NOW: i64 = 1_796_126_400;

pub(super) const FRESHNESS: Freshness = Freshness {
    max_age: Duration::from_secs(300),
    clock_skew: Duration::from_secs(30),
};

pub(super) fn secret() -> Secret {
    Secret::new(b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec())
}

pub(super) fn rules() -> Rules {
    Rules::new("orders", "eu-central-1", FRESHNESS)
}

/// A request, owned and easily altered.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub method: String,
    pub authority: String,
    pub path: Vec<u8>,
    pub query: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Body,
}

impl Sample {
    pub(super) fn new(method: &str, target: &str, body: &[u8]) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.into())),
            None => (target, None),
        };
        Self {
            method: method.to_owned(),
            authority: "api.example.com".to_owned(),
            path: path.into(),
            query,
            headers: Vec::new(),
            body: Body::Whole(Bytes::copy_from_slice(body)),
        }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    pub(super) fn set(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    pub(super) fn header(&self, name: &str) -> String {
        let (_, value) = self
            .headers
            .iter()
            .find(|(other, _)| other == name)
            .unwrap();
        String::from_utf8(value.clone()).unwrap()
    }

    pub(super) fn edit_header(self, name: &str, from: &str, to: &str) -> Self {
        let value = self.header(name);
        assert!(value.contains(from), "{value}");
        self.set(name, &value.replace(from, to))
    }

    pub(super) fn edit_query(mut self, from: &str, to: &str) -> Self {
        let query = String::from_utf8(self.query.unwrap()).unwrap();
        assert!(query.contains(from), "{query}");
        self.query = Some(query.replace(from, to).into_bytes());
        self
    }

    pub(super) fn ask<T>(&self, ask: impl FnOnce(&AsSigned<'_>) -> T) -> T {
        let headers = Headers::new(self.headers.iter().map(|(name, value)| (name, value)));
        ask(&AsSigned {
            method: &self.method,
            scheme: "https".into(),
            authority: self.authority.as_str().into(),
            path: self.path.as_slice().into(),
            query: self.query.as_deref(),
            headers: &headers,
            body: self.body.clone(),
        })
    }

    pub(super) fn signed(self) -> Self {
        self.signed_as(&signing())
    }

    pub(super) fn signed_as(mut self, signing: &Signing<'_>) -> Self {
        let added = self
            .ask(|message| sign(message, &secret(), signing))
            .unwrap();
        for (name, value) in added {
            self = self.with(&name, &value);
        }
        self
    }

    pub(super) fn presigned(self, expires: u32) -> Self {
        self.presigned_as(&signing(), expires)
    }

    pub(super) fn presigned_as(mut self, signing: &Signing<'_>, expires: u32) -> Self {
        let query = self.ask(|message| presign(message, &secret(), signing, expires));
        self.query = Some(query.unwrap().into_bytes());
        self
    }

    pub(super) fn verify_at(&self, rules: &Rules, now: i64) -> Result<Accepted, Refusal> {
        self.ask(|message| {
            let unverified = read(message)?.expect("a signature");
            unverified.verify(message, &secret(), rules, Timestamp::from_seconds(now))
        })
    }

    pub(super) fn verify(&self, rules: &Rules) -> Result<Accepted, Refusal> {
        self.verify_at(rules, NOW)
    }

    pub(super) fn passes(&self) -> Accepted {
        self.verify(&rules())
            .unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    /// Why it is refused under the ordinary rules, with a word of the operator's text.
    #[track_caller]
    pub(super) fn refused(&self, reason: Reason, word: &str) {
        self.refused_by(&rules(), reason, word);
    }

    #[track_caller]
    pub(super) fn refused_by(&self, rules: &Rules, reason: Reason, word: &str) {
        let refusal = self.verify(rules).expect_err("a refusal");
        assert_eq!(refusal.reason, reason, "{}", refusal.detail);
        assert!(refusal.detail.contains(word), "{}", refusal.detail);
    }
}

pub(super) fn signing() -> Signing<'static> {
    Signing {
        access_key_id: "AKIDACME",
        service: "orders",
        region: "eu-central-1",
        dialect: crate::authn::sigv4::Dialect::General,
        signed_headers: &[],
        unsigned_payload: false,
        created: NOW,
    }
}
