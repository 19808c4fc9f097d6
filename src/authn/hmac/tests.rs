//! Requests that tests sign, alter and verify.

mod clients;
mod draft;
mod foreign;
mod own;
mod properties;

use std::time::Duration;

use bytes::Bytes;

use super::{Dialect, Key, Required, Rules, Signing, Unverified, read, sign};
use crate::authn::signature::{Accepted, Freshness};
use crate::clock::Timestamp;
use crate::headers::Headers;
use crate::request::body::Body;
use crate::request::signed::AsSigned;
use crate::secret::Secret;
use crate::verdict::{Reason, Refusal};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NONCE: &str = "b4b0d4a0c1e94a6f8f0d2f7b6a5c4e3d";
const NOW: i64 = 1_796_126_400;

/// A request on its way.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    scheme: String,
    authority: String,
    path: Vec<u8>,
    query: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
}

impl Sent {
    fn new(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let target = if target.is_empty() { "/" } else { target };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes().to_vec())),
            None => (target, None),
        };
        let headers = headers
            .iter()
            .map(|&(name, value)| (name.to_ascii_lowercase(), value.as_bytes().to_vec()));
        Self {
            method: method.into(),
            scheme: scheme.into(),
            authority: authority.into(),
            path: path.as_bytes().to_vec(),
            query,
            headers: headers.collect(),
            body: Body::Whole(Bytes::copy_from_slice(body.as_bytes())),
        }
    }

    /// The request of `docs/hmac-scheme.md`.
    fn example() -> Self {
        Self::new(
            "POST",
            "https://api.example.com/orders/7%2F8?b=2&a=%20&a=",
            &[("content-type", "application/json"), ("x-tenant", "acme")],
            "{\"item\":\"tea\",\"count\":2}",
        )
    }

    fn with<T>(&self, judge: impl FnOnce(&AsSigned<'_>) -> T) -> T {
        let headers = Headers::new(self.headers.iter().map(|(name, value)| (name, value)));
        judge(&AsSigned {
            method: &self.method,
            scheme: self.scheme.as_str().into(),
            authority: self.authority.as_str().into(),
            path: self.path.as_slice().into(),
            query: self.query.as_deref(),
            headers: &headers,
            body: self.body.clone(),
        })
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let mut all = self.headers.iter().filter(|(other, _)| other == name);
        let value = all.next().map(|(_, value)| value.as_slice());
        assert!(all.next().is_none(), "{name} stands there twice");
        value
    }

    fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.into(), value.into()));
    }

    /// Signs it in one dialect.
    fn sign(mut self, dialect: Dialect, signed_headers: &[&str]) -> Self {
        let signing = Signing {
            key_id: "acme-1",
            signed_headers,
            created: NOW,
            nonce: NONCE,
        };
        let added = self
            .with(|message| sign(dialect, message, &key(), &signing))
            .unwrap();
        for (name, value) in added {
            self.set(&name, &value);
        }
        self
    }

    /// What stands in the header that holds the signature, read.
    fn read(&self, rules: &Rules) -> Result<Unverified, Refusal> {
        for name in ["authorization", "proxy-authorization"] {
            if let Some(value) = self.header(name) {
                let space = value.iter().position(|&byte| byte == b' ').unwrap();
                return read(&value[..space], &value[space + 1..], rules);
            }
        }
        super::read_signature_header(self.header("signature").unwrap(), rules)
    }

    fn verify(&self, rules: &Rules, now: i64) -> Result<Accepted, Refusal> {
        let unverified = self.read(rules)?;
        assert_eq!(unverified.key_id(), "acme-1");
        self.with(|message| unverified.verify(message, &key(), rules, Timestamp::from_seconds(now)))
    }

    fn reason(&self, rules: &Rules) -> Option<Reason> {
        self.verify(rules, NOW).err().map(|refusal| refusal.reason)
    }
}

fn key() -> Key {
    Key::new(&Secret::new(SECRET.into())).unwrap()
}

/// Five minutes, 30 seconds of skew, every dialect.
fn rules() -> Rules {
    Rules {
        freshness: Freshness {
            max_age: Duration::from_secs(300),
            clock_skew: Duration::from_secs(30),
        },
        dialects: Dialect::ALL.into(),
        require: Box::default(),
    }
}

fn requiring(words: &[&str]) -> Rules {
    let words = words.iter().map(|word| Required::parse(word).unwrap());
    Rules {
        require: words.collect(),
        ..rules()
    }
}

#[test]
fn reads_only_the_dialects_that_the_rules_switch_on() {
    let only_own = Rules::own(rules().freshness);
    for dialect in Dialect::ALL.iter().copied() {
        let sent = Sent::example().sign(dialect, &[]);
        assert_eq!(sent.reason(&rules()), None, "{dialect:?}");
        assert_eq!(sent.read(&rules()).unwrap().dialect(), dialect);
        let wanted = (dialect != Dialect::Own).then_some(Reason::CredentialsUnrecognised);
        assert_eq!(sent.reason(&only_own), wanted, "{dialect:?}");
        assert_eq!(Dialect::from_name(dialect.as_str()), Some(dialect));
    }
    assert_eq!(Dialect::from_name("sigv4"), None);
}

#[test]
fn takes_the_scheme_in_any_case() {
    for scheme in ["hmac-sha256", "HMAC-SHA256", "Hmac-Sha256"] {
        assert_eq!(rules().dialect(scheme.as_bytes()), Some(Dialect::Own));
    }
    for scheme in ["", "hmac-sha25", "HMAC-SHA256 ", "hmac-sha1", "Bearer"] {
        assert_eq!(rules().dialect(scheme.as_bytes()), None, "{scheme}");
    }
}

#[test]
fn refuses_credentials_that_are_too_long_or_no_text() {
    let long = format!("KeyId={}", "a".repeat(5000));
    for bad in [
        long.as_bytes(),
        b"KeyId=\xff",
        b"KeyId=\0",
        b"KeyId=\x7f",
        b"",
    ] {
        for scheme in ["hmac-sha256", "signature", "hmac"] {
            let refusal = read(scheme.as_bytes(), bad, &rules()).unwrap_err();
            assert_eq!(refusal.reason, Reason::SignatureMalformed);
            assert!(refusal.detail.len() < 200);
        }
    }
}

/// One changed part after another, in every dialect.
#[test]
fn refuses_every_alteration_of_what_is_signed() {
    type Change = (&'static str, fn(&mut Sent));
    let changes: [Change; 15] = [
        ("method", |sent| sent.method = "PUT".into()),
        ("method's case", |sent| sent.method = "post".into()),
        ("host", |sent| sent.authority = "api.example.org".into()),
        ("port", |sent| {
            sent.authority = "api.example.com:8443".into()
        }),
        ("path", |sent| sent.path = b"/orders/7%2F9".to_vec()),
        ("escape's case", |sent| {
            sent.path = b"/orders/7%2f8".to_vec()
        }),
        ("decoded path", |sent| sent.path = b"/orders/7/8".to_vec()),
        ("trailing slash", |sent| sent.path.push(b'/')),
        ("query's order", |sent| {
            sent.query = Some(b"a=%20&a=&b=2".to_vec())
        }),
        ("query's escapes", |sent| {
            sent.query = Some(b"b=2&a=+&a=".to_vec())
        }),
        ("no query", |sent| sent.query = None),
        ("empty query", |sent| sent.query = Some(Vec::new())),
        ("header", |sent| sent.set("x-tenant", "other")),
        ("header's inner space", |sent| sent.set("x-tenant", "ac me")),
        ("body", |sent| {
            sent.body = Body::Whole(Bytes::from_static(b"{}"))
        }),
    ];
    for dialect in Dialect::ALL.iter().copied() {
        let signed = Sent::example().sign(dialect, &["x-tenant"]);
        assert_eq!(signed.reason(&rules()), None);
        for (what, change) in changes {
            let mut sent = signed.clone();
            change(&mut sent);
            let reason = sent.reason(&rules());
            let wanted = match (what, dialect) {
                ("body", Dialect::Cavage | Dialect::Kong) => Reason::BodyDigestMismatch,
                ("method's case", Dialect::Cavage) => Reason::SignatureComponentRefused,
                _ => Reason::SignatureMismatch,
            };
            assert_eq!(reason, Some(wanted), "{what}, {dialect:?}");
        }
    }
}

#[test]
fn refuses_a_path_that_swallowed_the_query() {
    for dialect in Dialect::ALL.iter().copied() {
        let mut sent = Sent::new("GET", "https://a.example/x?y", &[], "").sign(dialect, &[]);
        sent.path = b"/x?y".to_vec();
        sent.query = None;
        // The two older dialects sign the target in one piece, which this is.
        let wanted = (dialect == Dialect::Own).then_some(Reason::SignatureMismatch);
        assert_eq!(sent.reason(&rules()), wanted, "{dialect:?}");
    }
}

#[test]
fn refuses_another_key() {
    let another = Key::new(&Secret::new(vec![b'k'; 32])).unwrap();
    for dialect in Dialect::ALL.iter().copied() {
        let sent = Sent::example().sign(dialect, &[]);
        let unverified = sent.read(&rules()).unwrap();
        let now = Timestamp::from_seconds(NOW);
        let refusal = sent
            .with(|message| unverified.verify(message, &another, &rules(), now))
            .unwrap_err();
        assert_eq!(refusal.reason, Reason::SignatureMismatch, "{dialect:?}");
    }
}

#[test]
fn holds_for_its_time_and_both_skews() {
    for dialect in Dialect::ALL.iter().copied() {
        let sent = Sent::example().sign(dialect, &[]);
        for (later, wanted) in [
            (-31, Some(Reason::SignatureNotYetValid)),
            (-30, None),
            (0, None),
            (300, None),
            (301, Some(Reason::SignatureExpired)),
        ] {
            let accepted = sent.verify(&rules(), NOW + later);
            assert_eq!(accepted.clone().err().map(|refusal| refusal.reason), wanted);
            if let Ok(accepted) = accepted {
                let end = Timestamp::from_seconds(NOW + 300);
                assert_eq!(accepted.until, Some(end));
                assert_eq!(accepted.once.unwrap().until, end);
                assert_eq!(accepted.created, Some(Timestamp::from_seconds(NOW)));
            }
        }
    }
}

#[test]
fn refuses_bodies_that_envoy_did_not_hand_over() {
    for dialect in Dialect::ALL.iter().copied() {
        for body in [Body::Partial, Body::Withheld, Body::Stream] {
            let mut sent = Sent::example().sign(dialect, &[]);
            sent.body = body;
            assert_eq!(sent.reason(&rules()), Some(Reason::BodyUnavailable));
        }
    }
}

#[test]
fn refuses_a_body_added_to_a_request_that_was_signed_without() {
    for dialect in Dialect::ALL.iter().copied() {
        let mut sent = Sent::new("POST", "https://a.example/x", &[], "").sign(dialect, &[]);
        sent.body = Body::Whole(Bytes::from_static(b"{}"));
        let wanted = match dialect {
            Dialect::Own => Reason::SignatureMismatch,
            _ => Reason::SignatureIncomplete,
        };
        assert_eq!(sent.reason(&rules()), Some(wanted), "{dialect:?}");
    }
}

#[test]
fn refuses_signed_headers_that_are_missing_or_repeated() {
    for dialect in Dialect::ALL.iter().copied() {
        let signed = Sent::example().sign(dialect, &["x-tenant"]);
        let mut missing = signed.clone();
        missing.headers.retain(|(name, _)| name != "x-tenant");
        let mut repeated = signed;
        repeated.headers.push(("x-tenant".into(), b"acme".to_vec()));
        for sent in [missing, repeated] {
            assert_eq!(
                sent.reason(&rules()),
                Some(Reason::SignatureComponentRefused)
            );
        }
    }
}

#[test]
fn takes_a_value_without_the_spaces_around_it_and_joined_lines_as_envoy_shows_them() {
    for dialect in Dialect::ALL.iter().copied() {
        let mut sent = Sent::example();
        sent.set("x-tenant", "a,b");
        let mut sent = sent.sign(dialect, &["x-tenant"]);
        sent.set("x-tenant", " \ta,b\t ");
        assert_eq!(sent.reason(&rules()), None);
        sent.set("x-tenant", "a, b");
        assert_eq!(sent.reason(&rules()), Some(Reason::SignatureMismatch));
    }
}

#[test]
fn refuses_line_breaks_in_what_is_signed() {
    for dialect in Dialect::ALL.iter().copied() {
        for bad in ["a\nb", "a\rb", "a\0b"] {
            let mut sent = Sent::example().sign(dialect, &["x-tenant"]);
            sent.set("x-tenant", bad);
            assert_eq!(
                sent.reason(&rules()),
                Some(Reason::SignatureComponentRefused)
            );
            let mut sent = Sent::example().sign(dialect, &[]);
            sent.path = format!("/{bad}").into_bytes();
            assert_eq!(
                sent.reason(&rules()),
                Some(Reason::SignatureComponentRefused)
            );
        }
    }
}

#[test]
fn requires_the_headers_that_the_policy_names() {
    let words = [
        "@method",
        "@path",
        "@query",
        "@authority",
        "host",
        "content-digest",
    ];
    for dialect in Dialect::ALL.iter().copied() {
        let sent = Sent::example().sign(dialect, &[]);
        assert_eq!(sent.reason(&requiring(&words)), None, "{dialect:?}");
        let rules = requiring(&["x-tenant"]);
        assert_eq!(sent.reason(&rules), Some(Reason::SignatureIncomplete));
        let sent = Sent::example().sign(dialect, &["x-tenant", "content-type"]);
        assert_eq!(sent.reason(&rules), None);
    }
}

#[test]
fn a_signed_content_digest_has_to_be_that_of_the_body() {
    const OF_EXAMPLE: &str = "sha-256=:1OfRt3Cy2dIshvkrn9QgDytpa1P2kjLao38coAx0+ns=:";
    for dialect in Dialect::ALL.iter().copied() {
        for (value, wanted) in [
            (OF_EXAMPLE, None),
            (
                "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
                Some(Reason::BodyDigestMismatch),
            ),
            ("md5=:AAAA:", Some(Reason::SignatureComponentRefused)),
        ] {
            let mut sent = Sent::example();
            sent.set("content-digest", value);
            let sent = sent.sign(dialect, &["content-digest"]);
            assert_eq!(sent.reason(&rules()), wanted, "{dialect:?} {value}");
        }
    }
}

#[test]
fn no_text_of_an_operator_repeats_a_secret_or_much_of_a_request() {
    let noise = "x".repeat(3000);
    for credentials in [
        format!("KeyId={noise}"),
        format!("{noise}=1"),
        format!("headers=\"{noise}\",algorithm=\"{noise}\""),
        format!("algorithm=\"{noise}\""),
        format!("username=\"a\",headers=\"{noise}é\""),
        noise,
    ] {
        for scheme in ["hmac-sha256", "signature", "hmac"] {
            if let Err(refusal) = read(scheme.as_bytes(), credentials.as_bytes(), &rules()) {
                assert!(refusal.detail.len() < 250, "{}", refusal.detail);
            }
        }
    }
}
