use jsonwebtoken::Algorithm;
use proptest::prelude::{prop_assert, proptest};
use serde_json::{Value, json};

use super::{BadKeySet, KeySet, KeySetCell, Refreshed};
use crate::authn::jwt::KNOWN_ALGORITHMS;
use crate::test_support::{Signer, base64url, clock, jwk_set};

fn parse(keys: &Value) -> Result<KeySet, BadKeySet> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
}

fn rsa(bits: usize) -> Value {
    json!({"kty": "RSA", "kid": "r", "n": base64url(vec![0xff; bits / 8]), "e": "AQAB"})
}

fn changed(jwk: &Value, member: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    jwk[member] = value;
    jwk
}

#[test]
fn refuses_what_is_no_key_set() {
    let many: Vec<Value> = (0..257).map(|_| rsa(2048)).collect();
    for (document, error) in [
        (json!({}), BadKeySet::Shape),
        (json!([]), BadKeySet::Shape),
        (json!({"keys": {}}), BadKeySet::Shape),
        (json!({"keys": []}), BadKeySet::Useless(Vec::new())),
        (json!({ "keys": many }), BadKeySet::TooMany),
    ] {
        let parsed = KeySet::parse(document.to_string().as_bytes());
        assert_eq!(parsed.err(), Some(error));
    }
    let jwk = Signer::ed25519("k").jwk();
    for text in [
        String::new(),
        "<html>".to_owned(),
        format!("{{\"keys\":[{jwk}]}} x"),
        format!("{{\"keys\":[],\"keys\":[{jwk}]}}"),
        format!(
            "{{\"keys\":[{{\"kty\":\"RSA\",{}]}}",
            jwk.to_string().trim_start_matches('{')
        ),
    ] {
        let parsed = KeySet::parse(text.as_bytes());
        assert!(matches!(parsed.err(), Some(BadKeySet::Json(_))), "{text}");
    }
}

#[test]
fn leaves_out_keys_that_cannot_be_trusted_with_a_signature() {
    let good = Signer::p256("good").jwk();
    let ed = Signer::ed25519("bad").jwk();
    let ec = Signer::p256("bad").jwk();
    let oct = json!({"kty": "oct", "kid": "bad", "k": base64url([1; 32])});
    for (bad, why) in [
        (rsa(1024), "shorter than 2048"),
        (rsa(2040), "shorter than 2048"),
        (rsa(8200), "longer than 8192"),
        (
            changed(
                &rsa(2048),
                "n",
                json!(base64url([&[0; 8][..], &[0xff; 255]].concat())),
            ),
            "shorter",
        ),
        (changed(&rsa(2048), "e", json!(base64url([1]))), "exponent"),
        (changed(&rsa(2048), "e", json!(base64url([2]))), "exponent"),
        (changed(&rsa(2048), "e", json!("")), "exponent"),
        (
            changed(&rsa(2048), "e", json!(base64url([1, 0, 0, 0, 1]))),
            "exponent",
        ),
        (changed(&rsa(2048), "n", json!("a+b=")), "base64url"),
        (changed(&rsa(2048), "n", Value::Null), "must be a string"),
        (changed(&rsa(2048), "use", json!("enc")), "use"),
        (changed(&rsa(2048), "use", json!("")), "use"),
        (changed(&rsa(2048), "key_ops", json!(["sign"])), "key_ops"),
        (changed(&rsa(2048), "key_ops", json!("verify")), "key_ops"),
        (changed(&ed, "crv", json!("X25519")), "not supported"),
        (changed(&ed, "crv", json!("Ed448")), "not supported"),
        (changed(&ed, "kty", json!("EC")), "not supported"),
        (changed(&ed, "x", json!(base64url([1; 31]))), "32 bytes"),
        (changed(&ec, "crv", json!("P-521")), "not supported"),
        (changed(&ec, "crv", json!("secp256k1")), "not supported"),
        (changed(&ec, "crv", json!("P-384")), "length of the curve"),
        (
            changed(&ec, "y", json!(base64url([1; 33]))),
            "length of the curve",
        ),
        (
            changed(&oct, "k", json!(base64url([1; 31]))),
            "shorter than 32",
        ),
        (changed(&oct, "k", json!("")), "shorter than 32"),
        (json!({"kid": "bad"}), "not supported"),
        (json!("text"), "not supported"),
    ] {
        let set = parse(&json!([bad, good])).unwrap();
        assert_eq!(set.len(), 1, "{bad}");
        assert!(set.ignored()[0].contains(why), "{:?}", set.ignored());
        assert_eq!(set.named("good").count(), 1);
        assert_eq!(set.named("bad").count() + set.named("r").count(), 0);
        assert!(
            matches!(parse(&json!([bad])), Err(BadKeySet::Useless(_))),
            "{bad}"
        );
    }
}

#[test]
fn keeps_keys_that_say_what_they_are_for() {
    let ed = Signer::ed25519("k").jwk();
    for good in [
        rsa(2048),
        rsa(4096),
        rsa(8192),
        changed(&rsa(2048), "use", json!("sig")),
        changed(&rsa(2048), "key_ops", json!(["verify", "sign"])),
        changed(&rsa(2048), "e", json!(base64url([3]))),
        changed(&ed, "alg", json!("EdDSA")),
        changed(&ed, "x5t#S256", json!("x")),
        changed(&ed, "d", json!("a private part is not read")),
    ] {
        let set = parse(&json!([good])).unwrap();
        assert_eq!((set.len(), set.ignored().len()), (1, 0), "{good}");
    }
}

#[test]
fn j1_each_type_of_key_fits_its_own_algorithms_only() {
    use Algorithm::{
        ES256, ES384, EdDSA, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512,
    };
    let p384 = json!({"kty": "EC", "crv": "P-384",
        "x": base64url([1; 48]), "y": base64url([1; 48])});
    for (jwk, fitting) in [
        (rsa(2048), &[RS256, RS384, RS512, PS256, PS384, PS512][..]),
        (Signer::p256("k").jwk(), &[ES256]),
        (p384, &[ES384]),
        (Signer::ed25519("k").jwk(), &[EdDSA]),
        (
            json!({"kty": "oct", "k": base64url([1; 32])}),
            &[HS256, HS384, HS512],
        ),
        (changed(&rsa(2048), "alg", json!("PS256")), &[PS256]),
        (changed(&rsa(2048), "alg", json!("HS256")), &[]),
        (changed(&rsa(2048), "alg", json!("RSA-OAEP")), &[]),
        (
            changed(&Signer::ed25519("k").jwk(), "alg", json!("Ed25519")),
            &[EdDSA],
        ),
    ] {
        let set = parse(&json!([jwk])).unwrap();
        let key = set.all().next().unwrap();
        for algorithm in KNOWN_ALGORITHMS {
            let fits = fitting.contains(&algorithm);
            assert_eq!(key.fits(algorithm), fits, "{jwk} {algorithm:?}");
        }
    }
}

#[test]
fn several_keys_of_one_name_are_all_found() {
    let (first, second) = (Signer::ed25519("k"), Signer::p256("k"));
    let unnamed = json!({"kty": "oct", "k": base64url([1; 32])});
    let set = parse(&json!([first.jwk(), second.jwk(), unnamed])).unwrap();
    assert_eq!(set.named("k").count(), 2);
    assert_eq!(set.named("K").count(), 0);
    assert_eq!(set.named("").count(), 0);
    assert_eq!(set.all().count(), 3);
}

#[test]
fn a_generation_is_never_given_twice() {
    let (first, second) = (Signer::ed25519("1"), Signer::ed25519("2"));
    let set = |signer| KeySet::parse(jwk_set(&[signer]).as_bytes()).unwrap();
    let cell = KeySetCell::fixed(set(&first));
    let other = KeySetCell::fixed(set(&second));
    let mut seen = vec![
        cell.current().unwrap().generation(),
        other.current().unwrap().generation(),
    ];
    assert!(!cell.publish(set(&first)), "nothing changed");
    assert!(seen.contains(&cell.current().unwrap().generation()));
    for signer in [&second, &first] {
        assert!(cell.publish(set(signer)));
        seen.push(cell.current().unwrap().generation());
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

#[test]
fn keeps_the_last_good_set_while_fetches_fail() {
    let signer = Signer::ed25519("k");
    let cell = KeySetCell::empty();
    assert!(cell.current().is_none());
    cell.publish(KeySet::parse(jwk_set(&[&signer]).as_bytes()).unwrap());
    let generation = cell.current().unwrap().generation();
    cell.failed();
    assert_eq!(cell.current().unwrap().generation(), generation);
}

#[test]
fn a_set_written_into_the_policy_is_never_fetched() {
    use futures_util::FutureExt as _;
    let signer = Signer::ed25519("k");
    let set = KeySet::parse(jwk_set(&[&signer]).as_bytes()).unwrap();
    let cell = KeySetCell::fixed(set);
    let refreshed = cell.refresh(clock().as_ref()).now_or_never();
    assert_eq!(refreshed, Some(Refreshed::Newest));
    assert!(cell.wanted().now_or_never().is_none());
}

proptest! {
    #[test]
    fn f6_never_panics_on_whatever_a_server_answers(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        kty in "RSA|EC|OKP|oct|",
        crv in "P-256|P-384|Ed25519|",
        member in "[A-Za-z0-9_=-]{0,90}",
    ) {
        prop_assert!(KeySet::parse(&bytes).is_err());
        let jwk = json!({"kty": kty, "crv": crv, "n": member, "e": member, "x": member,
            "y": member, "k": member});
        if let Ok(set) = parse(&json!([jwk])) {
            prop_assert!(set.len() == 1);
        }
    }
}
