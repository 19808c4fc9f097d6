//! Nothing that is covered can be changed, and nothing that is sent makes the reader fall over.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::{NOW, Sent, keys, rules};
use crate::authn::http_signature::key::{Algorithm, VerifyKey};
use crate::authn::http_signature::read;
use crate::authn::http_signature::sign::SigningKey;
use crate::headers::Headers;
use crate::request::body::Body;
use crate::verdict::Reason;

/// Everything that a request has is covered.
fn whole() -> (Sent, VerifyKey) {
    let (private, public) = keys(Algorithm::HmacSha256);
    let sent = Sent::example()
        .without("host")
        .without("host")
        .with("x-list", "a, b;c=1")
        .signed(&private, |what| {
            what.components = &[
                "@method",
                "@scheme",
                "@authority",
                "@path",
                "@query",
                "date",
                "content-type",
                "content-digest",
                "content-length",
                "\"x-list\";bs",
            ];
            what.nonce = Some("n-1");
            what.tag = Some("app");
            what.expires = Some(NOW + 100);
        });
    (sent, public)
}

/// The places of a request whose bytes count, each as one text.
fn places(sent: &Sent) -> usize {
    5 + sent.headers.len()
}

fn place(sent: &mut Sent, number: usize) -> Vec<u8> {
    match number {
        0 => sent.method.clone().into_bytes(),
        1 => sent.authority.clone().into_bytes(),
        2 => sent.path.clone(),
        3 => sent.query.clone().unwrap_or_default(),
        4 => match &sent.body {
            Body::Whole(bytes) => bytes.to_vec(),
            _ => vec![],
        },
        header => sent.headers[header - 5].1.clone(),
    }
}

fn put(sent: &mut Sent, number: usize, bytes: Vec<u8>) {
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match number {
        0 => sent.method = text,
        1 => sent.authority = text,
        2 => sent.path = bytes,
        3 => sent.query = Some(bytes),
        4 => sent.body = Body::Whole(bytes.into()),
        header => sent.headers[header - 5].1 = bytes,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_changed_byte_never_verifies(number in 0usize..12, at: prop::sample::Index, byte: u8, insert: bool) {
        let (sent, public) = whole();
        prop_assert_eq!(places(&sent), 12);
        let mut changed = sent.clone();
        let mut bytes = place(&mut changed, number);
        let before = bytes.clone();
        let at = at.index(bytes.len());
        if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
        put(&mut changed, number, bytes.clone());
        let Ok(chosen) = changed.choose(&rules(&[])) else { return Ok(()) };
        let outcome = changed.ask(|message| chosen.verify(message, &public, &rules(&[]), crate::clock::Timestamp::from_seconds(NOW)));
        if outcome.is_ok() {
            // What the standard itself holds for the same: the letter case of a host, its default port, and
            // white space around values and in the signature's own two headers.
            let same = match number {
                1 => bytes.eq_ignore_ascii_case(&before),
                0 | 2..=4 => bytes == before,
                // `signature-input` and `signature` are read as structured fields.
                10 | 11 => sent.base().unwrap() == changed.base().unwrap(),
                _ => bytes.trim_ascii() == before.trim_ascii(),
            };
            prop_assert!(same, "{} changed to {}", String::from_utf8_lossy(&before), String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn a_changed_signature_never_verifies(at in 0usize..32, bit in 0u8..8) {
        let (sent, public) = whole();
        let mut chosen = sent.choose(&rules(&[])).unwrap();
        chosen.signature[at] ^= 1 << bit;
        let outcome = sent.ask(|message| chosen.verify(message, &public, &rules(&[]), crate::clock::Timestamp::from_seconds(NOW)));
        prop_assert_eq!(outcome.unwrap_err().reason, Reason::SignatureMismatch);
    }

    #[test]
    fn whatever_is_sent_is_answered(input: Vec<u8>, signature: Vec<u8>, value: Vec<u8>, query: Vec<u8>) {
        let headers = Headers::new([("signature-input", &input), ("signature", &signature)]);
        let _ = read(&headers).map(|read| read.map(|read| read.choose(&rules(&[]), |_| true).is_ok()));
        let mut sent = Sent::example();
        sent.headers = vec![("x".into(), value)];
        sent.path = query.clone();
        sent.query = Some(query);
        let sent = sent
            .with("signature-input", "s=(\"x\" \"x\";sf \"x\";bs \"x\";key=\"a\" \"@query-param\";name=\"a\" \"@target-uri\");keyid=\"key\"")
            .with("signature", "s=:AAAA:");
        let _ = sent.base();
    }

    #[test]
    fn whatever_looks_like_a_signature_is_answered(input in "[a-c]=\\((\"[@a-z-]{0,8}\"(;(sf|bs|key|name|tr)(=\"?[a-z]\"?)?)?[ ,]?){0,4}\\)(;[a-z]{1,6}=[\"0-9a-z?:]{0,6}){0,4}") {
        let sent = Sent::example().with("signature-input", &input).with("signature", "a=:AAAA:, b=:AAAA:, c=:AAAA:");
        let _ = sent.choose(&rules(&[]));
        let label = input.get(..1).unwrap();
        let headers = Headers::new([("signature-input", input.as_str()), ("signature", &format!("{label}=:AAAA:"))]);
        if let Ok(Some(read)) = read(&headers) && let Ok(chosen) = read.choose(&rules(&[]), |_| true) {
            let _ = Sent::example().ask(|message| chosen.base(message).is_ok());
        }
    }

    #[test]
    fn whatever_is_given_as_a_key_is_answered(der: Vec<u8>, label in "(RSA )?(PUBLIC|PRIVATE) KEY", number in 0usize..6) {
        let text = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----", STANDARD.encode(&der));
        prop_assert!(VerifyKey::from_pem(Algorithm::ALL[number], &text).is_err());
        prop_assert!(SigningKey::from_pem(Algorithm::ALL[number], &text).is_err());
        let text = String::from_utf8_lossy(&der);
        prop_assert!(VerifyKey::from_pem(Algorithm::ALL[number], &text).is_err());
        let jwk = serde_json::json!({"kty": "RSA", "alg": "PS512", "n": URL_SAFE_NO_PAD.encode(&der), "e": "AQAB"});
        prop_assert!(VerifyKey::from_jwk(&jwk, None).is_err());
    }
}
