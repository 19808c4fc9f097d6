//! Headers that try to choose how they are judged.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Bench, ISSUER};
use crate::authn::jwt::{DEFAULT_ALGORITHMS, KNOWN_ALGORITHMS};
use crate::authn::key_set::{KeySet, KeySetCell};
use crate::test_support::{NOW, Signer, base64url, claims, jwk_set, with};
use crate::verdict::Reason;

fn signed_with_secret(header: &Value, secret: &[u8]) -> String {
    let signed = format!(
        "{}.{}",
        base64url(header.to_string()),
        base64url(claims(ISSUER).to_string())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", base64url(tag))
}

#[test]
fn j1_a_public_key_is_no_secret() {
    for signer in [Signer::rsa("k"), Signer::p256("k"), Signer::ed25519("k")] {
        let der = signer.public_der();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(&der)
        );
        let jwk = signer.jwk();
        let modulus = jwk["n"].as_str().unwrap_or_default();
        for algorithms in [&DEFAULT_ALGORITHMS[..], &KNOWN_ALGORITHMS[..]] {
            let set = KeySet::parse(jwk_set(&[&signer]).as_bytes()).unwrap();
            let bench = Bench::with(KeySetCell::fixed(set), algorithms);
            for secret in [
                der.as_slice(),
                pem.as_bytes(),
                pem.trim_end().as_bytes(),
                jwk.to_string().as_bytes(),
                jwk["x"].as_str().unwrap_or_default().as_bytes(),
                modulus.as_bytes(),
                b"",
            ] {
                let named = json!({"alg": "HS256", "kid": "k"});
                let token = signed_with_secret(&named, secret);
                assert_eq!(bench.reason(&token), Reason::TokenAlgorithmRefused);
                let token = signed_with_secret(&json!({"alg": "HS256"}), secret);
                assert_eq!(bench.reason(&token), Reason::TokenAlgorithmRefused);
            }
        }
    }
}

#[test]
fn j1_a_shared_secret_in_the_set_does_not_lend_itself_to_other_keys() {
    let signer = Signer::rsa("public");
    let secret = [7u8; 32];
    let oct = json!({"kty": "oct", "kid": "shared", "k": base64url(secret)});
    let set = json!({"keys": [signer.jwk(), oct]}).to_string();
    let set = || KeySetCell::fixed(KeySet::parse(set.as_bytes()).unwrap());
    let der = signer.public_der();
    let header = |kid: &str| json!({"alg": "HS256", "kid": kid});

    let bench = Bench::with(set(), &KNOWN_ALGORITHMS);
    let forged = signed_with_secret(&header("public"), &der);
    assert_eq!(bench.reason(&forged), Reason::TokenAlgorithmRefused);
    let forged = signed_with_secret(&header("shared"), &der);
    assert_eq!(bench.reason(&forged), Reason::TokenSignatureInvalid);
    let honest = signed_with_secret(&header("shared"), &secret);
    assert_eq!(bench.reason(&honest), Reason::Allowed);

    let asymmetric_only = Bench::with(set(), &DEFAULT_ALGORITHMS);
    assert_eq!(
        asymmetric_only.reason(&honest),
        Reason::TokenAlgorithmRefused
    );
}

#[test]
fn j2_no_algorithm_is_no_signature() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    for algorithm in [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!("none "),
        json!(""),
        json!("eddsa"),
        json!("EdDSA\u{0}"),
        json!("HS256"),
        json!("RS1"),
        json!("ES256K"),
        json!(["EdDSA"]),
        json!({"EdDSA": 1}),
        json!(null),
        json!(1),
    ] {
        let header = json!({"alg": algorithm, "kid": "k"});
        let signed = signer.token_with(&header, &claims(ISSUER));
        let unsigned = signed.trim_end_matches(|c| c != '.');
        for token in [signed.as_str(), unsigned] {
            assert_eq!(
                bench.reason(token),
                Reason::TokenAlgorithmRefused,
                "{algorithm}"
            );
        }
    }
    let no_algorithm = signer.token_with(&json!({"kid": "k"}), &claims(ISSUER));
    assert_eq!(bench.reason(&no_algorithm), Reason::TokenAlgorithmRefused);
}

#[test]
fn j2_an_empty_signature_is_refused() {
    for signer in [Signer::ed25519("k"), Signer::rsa("k")] {
        let bench = Bench::of(&[&signer]);
        let token = signer.token(&claims(ISSUER));
        let unsigned = token.trim_end_matches(|c| c != '.');
        assert_eq!(bench.reason(unsigned), Reason::TokenSignatureInvalid);
    }
}

/// The issuer itself signed these, so that nothing but the member can be why they are refused.
#[test]
fn j2_j3_refuses_headers_that_ask_for_more_or_bring_keys() {
    let signer = Signer::ed25519("k");
    let mallory = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    for (member, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(null)),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("jwk", mallory.jwk()),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut header = json!({"alg": "EdDSA", "kid": "k"});
        header[member] = value.clone();
        for by in [&signer, &mallory] {
            let token = by.token_with(&header, &claims(ISSUER));
            assert_eq!(
                bench.reason(&token),
                Reason::TokenHeaderRefused,
                "{member}: {value}"
            );
        }
    }
}

/// Some issuers name the address of their keys in every token. It is never looked at.
#[test]
fn j3_an_address_of_keys_is_ignored_and_proves_nothing() {
    let signer = Signer::ed25519("k");
    let mallory = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    for (member, value) in [
        ("jku", "https://mallory.example/keys"),
        ("x5u", "https://mallory.example/cert.pem"),
        ("x5t", "dGh1bWJwcmludA"),
    ] {
        let mut header = json!({"alg": "EdDSA", "kid": "k"});
        header[member] = json!(value);
        let honest = signer.token_with(&header, &claims(ISSUER));
        assert_eq!(bench.reason(&honest), Reason::Allowed, "{member}");
        let forged = mallory.token_with(&header, &claims(ISSUER));
        assert_eq!(
            bench.reason(&forged),
            Reason::TokenSignatureInvalid,
            "{member}"
        );
    }
}

#[test]
fn j3_a_key_id_only_indexes_the_set() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    let long = "k".repeat(4096);
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "k' OR '1'='1",
        "https://mallory.example/keys#k",
        "K",
        "k ",
        "k\u{0}",
        "",
        long.as_str(),
    ] {
        let token = signer.token_with(&json!({"alg": "EdDSA", "kid": kid}), &claims(ISSUER));
        assert_eq!(bench.reason(&token), Reason::TokenKeyUnknown, "{kid}");
    }
    for kid in [json!(1), json!(null), json!(["k"]), json!({"k": 1})] {
        let token = signer.token_with(&json!({"alg": "EdDSA", "kid": kid}), &claims(ISSUER));
        assert_eq!(bench.reason(&token), Reason::TokenMalformed, "{kid}");
    }
}

#[test]
fn j4_another_issuers_token_is_refused_whoever_signed_it() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    let token = signer.token(&claims("https://other.example.com"));
    assert_eq!(bench.reason(&token), Reason::TokenIssuerUnknown);
}

#[test]
fn j11_a_token_that_was_made_for_something_else_is_refused() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    for (media, reason) in [
        (json!("JWT"), Reason::Allowed),
        (json!("jwt"), Reason::Allowed),
        (json!("at+jwt"), Reason::Allowed),
        (json!("AT+JWT"), Reason::Allowed),
        (json!("application/at+jwt"), Reason::Allowed),
        (json!("application/jwt"), Reason::Allowed),
        (json!("logout+jwt"), Reason::TokenTypeRefused),
        (json!("dpop+jwt"), Reason::TokenTypeRefused),
        (json!("secevent+jwt"), Reason::TokenTypeRefused),
        (json!("oauth-authz-req+jwt"), Reason::TokenTypeRefused),
        (
            json!("application/application/jwt"),
            Reason::TokenTypeRefused,
        ),
        (json!("jwt "), Reason::TokenTypeRefused),
        (json!("JOSE"), Reason::TokenTypeRefused),
        (json!(""), Reason::TokenTypeRefused),
        (json!(null), Reason::TokenTypeRefused),
        (json!(["JWT"]), Reason::TokenTypeRefused),
    ] {
        let header = json!({"alg": "EdDSA", "kid": "k", "typ": media});
        let token = signer.token_with(&header, &claims(ISSUER));
        assert_eq!(bench.reason(&token), reason, "{media}");
    }
    let silent = signer.token_with(&json!({"alg": "EdDSA", "kid": "k"}), &claims(ISSUER));
    assert_eq!(bench.reason(&silent), Reason::Allowed);
}

#[test]
fn refuses_an_algorithm_that_does_not_fit_the_key() {
    let (rsa, ec) = (Signer::rsa("rsa"), Signer::p256("ec"));
    let bench = Bench::of(&[&rsa, &ec]);
    for (alg, kid) in [
        ("ES256", "rsa"),
        ("EdDSA", "rsa"),
        ("RS256", "ec"),
        ("ES384", "ec"),
        ("EdDSA", "ec"),
    ] {
        for by in [&rsa, &ec] {
            let token = by.token_with(&json!({"alg": alg, "kid": kid}), &claims(ISSUER));
            assert_eq!(
                bench.reason(&token),
                Reason::TokenAlgorithmRefused,
                "{alg} {kid}"
            );
        }
    }
    // The right type of algorithm with another hash or padding.
    for alg in ["RS384", "RS512", "PS256"] {
        let token = rsa.token_with(&json!({"alg": alg, "kid": "rsa"}), &claims(ISSUER));
        assert_eq!(bench.reason(&token), Reason::TokenSignatureInvalid, "{alg}");
    }
}

#[test]
fn a_key_that_names_its_algorithm_is_used_with_no_other() {
    let rsa = Signer::rsa("k");
    for (alg, reason) in [
        ("RS256", Reason::Allowed),
        ("RS512", Reason::TokenAlgorithmRefused),
        ("RSA-OAEP", Reason::TokenAlgorithmRefused),
    ] {
        let mut jwk = rsa.jwk();
        jwk["alg"] = json!(alg);
        let set = KeySet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
        let bench = Bench::with(KeySetCell::fixed(set), &DEFAULT_ALGORITHMS);
        assert_eq!(bench.reason(&rsa.token(&claims(ISSUER))), reason, "{alg}");
    }
}

#[test]
fn an_algorithm_that_is_not_configured_is_refused_though_the_key_fits() {
    let (ec, ed) = (Signer::p256("ec"), Signer::ed25519("ed"));
    let set = KeySet::parse(jwk_set(&[&ec, &ed]).as_bytes()).unwrap();
    let bench = Bench::with(KeySetCell::fixed(set), &[jsonwebtoken::Algorithm::ES256]);
    assert_eq!(bench.reason(&ec.token(&claims(ISSUER))), Reason::Allowed);
    assert_eq!(
        bench.reason(&ed.token(&claims(ISSUER))),
        Reason::TokenAlgorithmRefused
    );
}

#[test]
fn a_token_that_names_no_key_is_tried_with_each_that_fits() {
    let (first, second) = (Signer::ed25519("1"), Signer::ed25519("2"));
    let stranger = Signer::ed25519("1");
    let bench = Bench::of(&[&first, &second]);
    let header = json!({"alg": "EdDSA"});
    assert_eq!(
        bench.reason(&second.token_with(&header, &claims(ISSUER))),
        Reason::Allowed
    );
    assert_eq!(
        bench.reason(&stranger.token_with(&header, &claims(ISSUER))),
        Reason::TokenSignatureInvalid
    );
}

#[test]
fn a_right_signature_over_other_claims_is_refused() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    let honest = signer.token(&claims(ISSUER));
    let other = signer.token(&with(&claims(ISSUER), "exp", json!(NOW + 7200)));
    let (signed, _) = other.rsplit_once('.').unwrap();
    let (_, signature) = honest.rsplit_once('.').unwrap();
    assert_eq!(
        bench.reason(&format!("{signed}.{signature}")),
        Reason::TokenSignatureInvalid
    );
}
