mod forms;
mod packages;
mod properties;
mod schemes;
mod secrets;
mod standard;
mod vectors;

use std::time::Duration;

use bytes::Bytes;

use crate::authn::signature::{Accepted, Freshness};
use crate::authn::webhook::custom::{Custom, Written};
use crate::authn::webhook::sign::{Signed, sign};
use crate::authn::webhook::standard::HeaderNames;
use crate::authn::webhook::{Rules, Scheme, signed_text, verify};
use crate::clock::Timestamp;
use crate::headers::Headers;
use crate::request::body::Body;
use crate::request::signed::AsSigned;
use crate::secret::Secret;
use crate::verdict::{Reason, Refusal};

const NOW: i64 = 1_796_126_400;
const FRESHNESS: Freshness = Freshness {
    max_age: Duration::from_secs(300),
    clock_skew: Duration::from_secs(30),
};
/// Fits every scheme but Standard Webhooks.
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210";
const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_STANDARD_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A request in the making.
#[derive(Clone)]
struct Call {
    method: String,
    scheme: String,
    authority: String,
    path: Vec<u8>,
    query: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
}

impl Call {
    fn new(method: &str, url: &str, body: impl Into<Vec<u8>>) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, target) = rest.split_once('/').unwrap_or((rest, ""));
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes().to_vec())),
            None => (target, None),
        };
        Self {
            method: method.into(),
            scheme: scheme.into(),
            authority: authority.into(),
            path: format!("/{path}").into_bytes(),
            query,
            headers: Vec::new(),
            body: Body::Whole(Bytes::from(body.into())),
        }
    }

    fn post(body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", "https://api.example.com/hooks?a=b", body)
    }

    /// Adds a header line.
    fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Replaces a header.
    fn set(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.with(name, value)
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Whole(Bytes::from(body.into()));
        self
    }

    fn value(&self, name: &str) -> String {
        let (_, value) = self
            .headers
            .iter()
            .find(|(other, _)| other == name)
            .unwrap();
        String::from_utf8(value.clone()).unwrap()
    }

    fn judge<T>(&self, then: impl FnOnce(&AsSigned<'_>) -> T) -> T {
        let headers = Headers::new(self.headers.iter().map(|(name, value)| (name, value)));
        then(&AsSigned {
            method: &self.method,
            scheme: self.scheme.as_str().into(),
            authority: self.authority.as_str().into(),
            path: self.path.as_slice().into(),
            query: self.query.as_deref(),
            headers: &headers,
            body: self.body.clone(),
        })
    }

    fn verify_at(&self, rules: &Rules, now: i64) -> Result<Accepted, Refusal> {
        self.judge(|message| verify(message, rules, Timestamp::from_seconds(now)))
    }

    fn verify(&self, rules: &Rules) -> Result<Accepted, Refusal> {
        self.verify_at(rules, NOW)
    }

    fn reason(&self, rules: &Rules) -> Option<Reason> {
        self.verify(rules).err().map(|refusal| refusal.reason)
    }

    fn signed_text(&self, rules: &Rules) -> Vec<u8> {
        self.judge(|message| signed_text(message, rules)).unwrap()
    }

    /// Signs with our own signer.
    fn signed(self, scheme: &Scheme, secret: &str) -> Self {
        self.signed_at(scheme, secret, NOW)
    }

    fn signed_at(mut self, scheme: &Scheme, secret: &str, now: i64) -> Self {
        let secret = Secret::new(secret.into());
        let now = Timestamp::from_seconds(now);
        let Signed { headers, query } = self
            .judge(|message| sign(message, scheme, &secret, now, "msg_1"))
            .unwrap();
        if query.is_some() {
            self.query = query;
        }
        for (name, value) in headers {
            self = self.set(&name, value);
        }
        self
    }
}

fn rules(scheme: Scheme, secrets: &[&str]) -> Rules {
    let secrets: Vec<_> = secrets
        .iter()
        .map(|secret| Secret::new(secret.as_bytes().to_vec()))
        .collect();
    Rules::new(scheme, &secrets, FRESHNESS).unwrap()
}

fn custom(change: impl FnOnce(&mut Written)) -> Scheme {
    let mut written = Written::over_body("x-signature");
    change(&mut written);
    Scheme::Custom(Box::new(Custom::new(written).unwrap()))
}

/// One of each kind, with two secrets that fit it.
fn every_scheme() -> Vec<(Scheme, &'static str, &'static str)> {
    use crate::authn::webhook::custom::{TimeFormat, TimePlace};
    let timed = custom(|written| {
        written.template = "{id}.{timestamp}.{method}.{path}.{body}".into();
        written.id = Some("x-id".into());
        written.timestamp = Some((TimePlace::Header("x-time".into()), TimeFormat::Seconds));
    });
    let mut all = vec![(
        Scheme::Standard(HeaderNames::Either),
        STANDARD_SECRET,
        OTHER_STANDARD_SECRET,
    )];
    for scheme in [
        Scheme::Stripe,
        Scheme::Slack,
        Scheme::GitHub,
        Scheme::Shopify,
        Scheme::Twilio,
        custom(|_| {}),
        timed,
    ] {
        all.push((scheme, SECRET, OTHER_SECRET));
    }
    all
}

#[test]
fn says_what_is_weak() {
    for (scheme, _, _) in every_scheme() {
        let notes = scheme.notes().concat();
        assert_eq!(
            notes.contains("signs no time"),
            !scheme.signs_time(),
            "{notes}"
        );
    }
}

#[test]
fn our_signer_is_understood_under_the_right_secret_only() {
    for (scheme, secret, other) in every_scheme() {
        let name = scheme.as_str();
        let call = Call::post("{\"a\": 1}").signed(&scheme, secret);
        let again = rules(scheme.clone(), &[other]);
        assert_eq!(
            call.reason(&again),
            Some(Reason::SignatureMismatch),
            "{name}"
        );
        let right = rules(scheme.clone(), &[secret]);
        assert!(call.verify(&right).is_ok(), "{name}");
        assert!(
            scheme.headers().starts_with(&scheme.signature_headers()),
            "{name}"
        );
        let own = |header: &str| call.headers.iter().any(|(name, _)| name == header);
        assert!(scheme.signature_headers().into_iter().any(own), "{name}");
        let known = |(header, _): &(String, _)| scheme.headers().contains(&header.as_str());
        assert!(call.headers.iter().all(known), "{name}");
    }
}

#[test]
fn while_a_secret_is_replaced_both_count() {
    for (scheme, secret, other) in every_scheme() {
        for order in [[secret, other], [other, secret]] {
            let rules = rules(scheme.clone(), &order);
            for by in [secret, other] {
                let call = Call::post("{}").signed(&scheme, by);
                assert!(call.verify(&rules).is_ok(), "{}", scheme.as_str());
            }
        }
    }
}

#[test]
fn without_a_signature_there_is_no_credential() {
    for (scheme, secret, _) in every_scheme() {
        let rules = rules(scheme, &[secret]);
        let reason = Call::post("{}").reason(&rules);
        assert_eq!(reason, Some(Reason::CredentialsMissing));
    }
}

#[test]
fn refuses_a_signature_header_that_repeats_or_is_empty_or_endless() {
    for (scheme, secret, _) in every_scheme() {
        let rules = rules(scheme.clone(), &[secret]);
        let call = Call::post("{}").signed(&scheme, secret);
        let [header, ..] = scheme.signature_headers()[..] else {
            panic!("no header");
        };
        let value = call.value(header);
        let twice = call.clone().with(header, value.clone());
        assert_eq!(twice.reason(&rules), Some(Reason::CredentialsAmbiguous));
        for bad in [
            String::new(),
            "x".repeat(5_000),
            format!("{value} "),
            format!(" {value}"),
            format!("{value}x"),
            format!("!{value}"),
            format!("{}!", value.get(..value.len() - 1).unwrap()),
            value.get(..value.len() - 2).unwrap().to_owned(),
            format!("\"{value}\""),
        ] {
            let reason = call.clone().set(header, bad.clone()).reason(&rules);
            assert_eq!(
                reason,
                Some(Reason::SignatureMalformed),
                "{}: {bad}",
                scheme.as_str()
            );
        }
        // As Envoy joins two lines.
        let joined = call.clone().set(header, format!("{value},{value}"));
        let reason = joined.reason(&rules).unwrap();
        assert!(
            matches!(
                reason,
                Reason::CredentialsAmbiguous | Reason::SignatureMalformed
            ),
            "{}",
            scheme.as_str()
        );
        let not_utf8 = call.set(header, [value.as_bytes(), b"\xff"].concat());
        assert_eq!(not_utf8.reason(&rules), Some(Reason::SignatureMalformed));
    }
}

#[test]
fn refuses_a_body_that_is_not_all_there() {
    for (scheme, secret, _) in every_scheme() {
        let rules = rules(scheme.clone(), &[secret]);
        for body in [Body::Partial, Body::Withheld, Body::Stream] {
            let mut call = Call::post("").signed(&scheme, secret);
            call.body = body;
            assert_eq!(call.reason(&rules), Some(Reason::BodyUnavailable));
        }
    }
}

#[test]
fn a_time_holds_from_the_skew_ahead_until_the_age() {
    for (scheme, secret, _) in every_scheme() {
        let rules = rules(scheme.clone(), &[secret]);
        let call = Call::post("{}").signed(&scheme, secret);
        let reason = |now| {
            call.verify_at(&rules, now)
                .err()
                .map(|refusal| refusal.reason)
        };
        if !scheme.signs_time() {
            assert!(rules.freshness().is_none());
            assert_eq!(reason(NOW + 1_000_000_000), None);
            continue;
        }
        assert_eq!(reason(NOW - 31), Some(Reason::SignatureNotYetValid));
        assert_eq!(reason(NOW - 30), None);
        assert_eq!(reason(NOW + 300), None);
        assert_eq!(reason(NOW + 301), Some(Reason::SignatureExpired));
        let accepted = call.verify_at(&rules, NOW - 30).unwrap();
        let end = Some(Timestamp::from_seconds(NOW + 300));
        assert_eq!(accepted.until, end);
        assert_eq!(accepted.once.map(|once| once.until), end);
    }
}

#[test]
fn a_stale_forgery_is_a_forgery() {
    for (scheme, secret, other) in every_scheme() {
        let rules = rules(scheme.clone(), &[secret]);
        let call = Call::post("{}").signed_at(&scheme, other, NOW - 9_999);
        assert_eq!(call.reason(&rules), Some(Reason::SignatureMismatch));
    }
}

#[test]
fn a_message_is_remembered_by_what_was_signed() {
    for (scheme, secret, other) in every_scheme() {
        if !scheme.signs_time() {
            continue;
        }
        let once = |call: &Call, secrets: &[&str]| {
            let accepted = call.verify(&rules(scheme.clone(), secrets)).unwrap();
            accepted.once.unwrap().value
        };
        let call = Call::post("{}").signed(&scheme, secret);
        let seen = once(&call, &[secret]);
        assert!(seen.len() <= 300);
        // The same message under the next secret, and under rules in another order.
        let again = Call::post("{}").signed(&scheme, other);
        assert_eq!(once(&again, &[other]), seen);
        assert_eq!(once(&again, &[secret, other]), seen);
        assert_eq!(once(&call, &[other, secret]), seen);
        let later = Call::post("{}").signed_at(&scheme, secret, NOW + 1);
        assert_ne!(once(&later, &[secret]), seen, "{}", scheme.as_str());
    }
}

#[test]
fn shows_the_operator_what_should_have_been_signed() {
    for (scheme, secret, text) in [
        (Scheme::Stripe, SECRET, "1796126400.a=b"),
        (Scheme::Slack, SECRET, "v0:1796126400:a=b"),
        (Scheme::GitHub, SECRET, "a=b"),
        (Scheme::Shopify, SECRET, "a=b"),
        (
            Scheme::Standard(HeaderNames::Svix),
            STANDARD_SECRET,
            "msg_1.1796126400.a=b",
        ),
        (
            Scheme::Twilio,
            SECRET,
            "https://api.example.com/hooks?a=bab",
        ),
        (
            custom(|written| written.template = "{method} {url}\n{{{query}}}\n{body}".into()),
            SECRET,
            "POST https://api.example.com/hooks?a=b\n{a=b}\na=b",
        ),
    ] {
        let call = Call::post("a=b")
            .with("content-type", "application/x-www-form-urlencoded")
            .signed(&scheme, secret);
        let text_of = call.signed_text(&rules(scheme, &[secret]));
        assert_eq!(String::from_utf8(text_of).unwrap(), text);
    }
}

#[test]
fn names_the_setting_of_envoy_where_bytes_may_have_been_replaced() {
    let rules = rules(Scheme::GitHub, &[SECRET]);
    let call = Call::post("caf\u{e9}").signed(&Scheme::GitHub, SECRET);
    let replaced = call.clone().body("caf!!").verify(&rules).unwrap_err();
    assert!(replaced.detail.contains("pack_as_bytes"));
    let other = call.body("cafe").verify(&rules).unwrap_err();
    assert!(!other.detail.contains("pack_as_bytes"));
}

#[test]
fn no_refusal_and_no_debug_shows_a_secret() {
    for (scheme, secret, other) in every_scheme() {
        let rules = rules(scheme.clone(), &[secret]);
        let refusal = Call::post("{}")
            .signed(&scheme, other)
            .verify(&rules)
            .unwrap_err();
        let shown = format!("{refusal:?} {rules:?}");
        assert!(!shown.contains(secret) && !shown.contains(other));
    }
}
