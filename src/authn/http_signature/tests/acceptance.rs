//! Which signature is judged, what an accepted one leaves to be remembered, and the challenge.

use super::{NOW, Sent, keys, reason, rules};
use crate::authn::http_signature::challenge::accept_signature;
use crate::authn::http_signature::key::Algorithm;
use crate::authn::http_signature::rules::{Nonce, Required};
use crate::authn::http_signature::{is_present, read};
use crate::headers::Headers;
use crate::request::body::Body;
use crate::verdict::Reason;

#[test]
fn a_request_without_signatures_has_none() {
    let headers = Headers::new([("x-a", "b")]);
    assert!(read(&headers).unwrap().is_none() && !is_present(&headers));
    // An older kind of signature; whoever reads it here finds half of one.
    let headers = Headers::new([("signature", "keyId=\"a\"")]);
    assert!(!is_present(&headers) && read(&headers).is_err());
}

#[test]
fn finds_the_one_signature_that_is_by_a_known_key() {
    let (private, public) = keys(Algorithm::Ed25519);
    let sent = Sent::example()
        .signed(&private, |what| {
            (what.label, what.key_id) = ("proxy", "unknown")
        })
        .signed(&private, |what| {
            (what.label, what.tag) = ("client", Some("app"))
        });
    let chosen = sent.choose(&rules(&[])).unwrap();
    assert_eq!((chosen.label(), chosen.key_id()), ("client", "key-1"));
    assert!(sent.verify(&public, &rules(&["@method"]), NOW).is_ok());
    // The two lines of each header are one dictionary, as Envoy joins them too.
    let mut joined = sent.clone().without("signature").without("signature-input");
    for name in ["signature", "signature-input"] {
        let lines: Vec<&[u8]> = sent
            .headers
            .iter()
            .filter(|(own, _)| own == name)
            .map(|(_, value)| &**value)
            .collect();
        joined.headers.push((name.into(), lines.join(&b',')));
    }
    assert!(joined.verify(&public, &rules(&["@method"]), NOW).is_ok());
}

#[test]
fn refuses_to_guess_which_signature_is_meant() {
    let (private, public) = keys(Algorithm::Ed25519);
    let sent = Sent::example()
        .signed(&private, |what| (what.label, what.tag) = ("a", Some("one")))
        .signed(&private, |what| {
            (what.label, what.tag, what.key_id) = ("b", Some("two"), "key-2")
        })
        .signed(&private, |what| {
            (what.label, what.tag, what.key_id) = ("c", Some("three"), "other")
        });
    let choose = |label: Option<&str>, tag: Option<&str>| {
        let mut rules = rules(&[]);
        rules.label = label.map(Into::into);
        rules.tag = tag.map(Into::into);
        let outcome = sent.verify(&public, &rules, NOW);
        outcome.map_err(|refusal| refusal.reason)
    };
    assert_eq!(choose(None, None), Err(Reason::CredentialsAmbiguous));
    assert_eq!(
        choose(Some("d"), None),
        Err(Reason::CredentialsUnrecognised)
    );
    assert_eq!(
        choose(None, Some("four")),
        Err(Reason::SignatureScopeMismatch)
    );
    assert_eq!(
        choose(Some("a"), Some("two")),
        Err(Reason::SignatureScopeMismatch)
    );
    assert_eq!(choose(Some("c"), None), Err(Reason::SignatureKeyUnknown));
    assert_eq!(
        choose(None, Some("three")),
        Err(Reason::SignatureKeyUnknown)
    );
    for (label, tag) in [
        (Some("a"), None),
        (Some("b"), Some("two")),
        (None, Some("one")),
    ] {
        assert!(choose(label, tag).is_ok());
    }
    let all: Vec<_> = {
        let headers = Headers::new(sent.headers.iter().map(|(n, v)| (n.as_bytes(), v)));
        let read = read(&headers).unwrap().unwrap();
        read.candidates()
            .map(|(label, id)| format!("{label} {}", id.unwrap()))
            .collect()
    };
    assert_eq!(all, ["a key-1", "b key-2", "c other"]);
}

#[test]
fn a_nonce_is_what_is_used_once() {
    let (private, public) = keys(Algorithm::HmacSha256);
    let sent = Sent::example().signed(&private, |what| {
        what.nonce = Some("n-1");
        what.expires = Some(NOW + 40);
    });
    let accepted = sent.verify(&public, &rules(&[]), NOW + 1).unwrap();
    let once = accepted.once.unwrap();
    assert_eq!(once.value, b"nonce:n-1");
    assert_eq!(once.until.seconds(), NOW + 40);
    assert_eq!(accepted.created.unwrap().seconds(), NOW);
    assert_eq!(accepted.until, Some(once.until));
    let mut strict = rules(&[]);
    strict.nonce = Nonce::Required;
    assert!(sent.verify(&public, &strict, NOW).is_ok());
    let without = Sent::example().signed(&private, |_| ());
    assert_eq!(
        reason(without.verify(&public, &strict, NOW)),
        Some(Reason::SignatureIncomplete)
    );
}

#[test]
fn without_a_nonce_the_signed_bytes_are_used_once_unless_the_method_is_safe() {
    let (private, public) = keys(Algorithm::EcdsaP256Sha256);
    let once = |method: &str, components: &[&str]| {
        let mut sent = Sent::example();
        sent.method = method.into();
        let sent = sent.signed(&private, |what| what.components = components);
        let once = sent.verify(&public, &rules(&[]), NOW).unwrap().once;
        if let Some(once) = &once {
            assert_eq!(once.until.seconds(), NOW + 300);
        }
        once.map(|once| once.value)
    };
    let all = &["@method", "@authority", "@path"];
    assert_eq!(once("GET", all), None);
    assert_eq!(once("HEAD", all), None);
    // Two signatures of one request differ, and are one use of it.
    assert_eq!(once("POST", all), once("POST", all));
    assert_ne!(once("POST", all).unwrap(), once("PATCH", all).unwrap());
    // A method that is not signed could be another one the next time.
    assert_eq!(
        once("GET", &["@path"]).unwrap(),
        once("POST", &["@path"]).unwrap()
    );
    assert!(once("get", all).is_some());
}

/// Whoever holds an ECDSA signature (r, s) can make (r, n - s), which is right as well.
#[test]
fn the_other_half_of_an_ecdsa_signature_is_no_second_use() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (private, public) = keys(Algorithm::EcdsaP256Sha256);
    let sent = Sent::example().signed(&private, |_| ());
    let mut signature = sent.choose(&rules(&[])).unwrap().signature;
    let mut borrow = 0;
    for (own, order) in signature[32..].iter_mut().zip(ORDER).rev() {
        let difference = i16::from(order) - i16::from(*own) - borrow;
        borrow = i16::from(difference < 0);
        *own = difference.rem_euclid(256) as u8;
    }
    let twin = sent.clone().without("signature").with(
        "signature",
        &format!("sig1=:{}:", STANDARD.encode(signature)),
    );
    let first = sent.verify(&public, &rules(&[]), NOW).unwrap().once;
    let second = twin.verify(&public, &rules(&[]), NOW).unwrap().once;
    assert!(first.is_some());
    assert_eq!(first, second);
}

#[test]
fn demands_a_digest_of_what_may_have_a_body() {
    let (private, public) = keys(Algorithm::Ed25519);
    let rules = rules(&["@method", "content-digest", "content-type"]);
    let bare = |method: &str, body: Body| {
        let mut sent = Sent::new(method, "https://example.com/", &[], "");
        sent.body = body;
        sent.signed(&private, |what| what.components = &["@method"])
    };
    let none = Body::Whole(bytes::Bytes::new());
    assert!(
        bare("GET", none.clone())
            .verify(&public, &rules, NOW)
            .is_ok()
    );
    assert!(
        bare("POST", none.clone())
            .verify(&public, &rules, NOW)
            .is_ok()
    );
    for body in [
        Body::Whole("x".into()),
        Body::Withheld,
        Body::Partial,
        Body::Stream,
    ] {
        let refusal = bare("POST", body.clone())
            .verify(&public, &rules, NOW)
            .unwrap_err();
        assert_eq!(refusal.reason, Reason::SignatureIncomplete, "{body:?}");
        assert_eq!(
            refusal.detail.contains("Content-Length: 0"),
            body == Body::Withheld
        );
    }
    // A header that is there is to be covered, body or not.
    let refusal = bare("GET", none)
        .with("content-type", "a/b")
        .verify(&public, &rules, NOW)
        .unwrap_err();
    assert!(
        refusal.detail.contains("content-type"),
        "{}",
        refusal.detail
    );
}

#[test]
fn a_covered_digest_is_always_that_of_the_whole_body() {
    let (private, public) = keys(Algorithm::Ed25519);
    for components in [
        &["content-digest"][..],
        &["\"content-digest\";key=\"sha-512\""],
        &["\"content-digest\";bs"],
    ] {
        let sent = Sent::example().signed(&private, |what| what.components = components);
        let with = |body: Body| {
            let mut sent = sent.clone();
            sent.body = body;
            reason(sent.verify(&public, &rules(&[]), NOW))
        };
        assert_eq!(with(sent.body.clone()), None);
        assert_eq!(
            with(Body::Whole("{}".into())),
            Some(Reason::BodyDigestMismatch)
        );
        assert_eq!(
            with(Body::Whole("".into())),
            Some(Reason::BodyDigestMismatch)
        );
        for body in [Body::Partial, Body::Withheld, Body::Stream] {
            assert_eq!(with(body), Some(Reason::BodyUnavailable));
        }
    }
    // One that is not covered proves nothing and disturbs nobody.
    let mut sent = Sent::example().signed(&private, |what| what.components = &["@method"]);
    sent.body = Body::Withheld;
    assert!(sent.verify(&public, &rules(&["@method"]), NOW).is_ok());
}

#[test]
fn the_challenge_says_what_to_sign() {
    let mut rules = rules(&[
        "@method",
        "@target-uri",
        "\"@query-param\";name=\"a%20b\"",
        "content-digest",
        "x-a",
    ]);
    assert_eq!(
        accept_signature(&rules, true),
        "sig1=(\"@method\" \"@target-uri\" \"@query-param\";name=\"a%20b\" \"content-digest\" \"x-a\");created"
    );
    rules.algorithms = vec![Algorithm::Ed25519];
    rules.tag = Some("my \"app\"".into());
    rules.label = Some("me".into());
    rules.require = Required::defaults();
    let value = accept_signature(&rules, false);
    assert_eq!(
        value,
        "me=(\"@method\" \"@authority\" \"@path\" \"@query\");created;alg=\"ed25519\";tag=\"my \\\"app\\\"\""
    );
    assert!(sfv::Parser::new(&value).parse::<sfv::Dictionary>().is_ok());
}
