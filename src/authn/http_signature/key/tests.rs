use serde_json::{Value, json};

use crate::authn::http_signature::key::{Algorithm, BadKey, VerifyKey};
use crate::authn::http_signature::tests::{
    ED25519, ED25519_PUBLIC, P256, P256_PUBLIC, P384_PUBLIC, RSA, RSA_PSS_PUBLIC, RSA_PUBLIC,
    RSA_SHORT_PUBLIC, shared_secret,
};

/// The key `test-key-rsa-pss`, marked as one for PSS alone, as `openssl` writes it.
const RSA_PSS_ONLY: &str = include_str!("../tests/keys/rsa-pss-only.pub.pem");

fn pem(algorithm: Algorithm, text: &str) -> Option<BadKey> {
    VerifyKey::from_pem(algorithm, text).err()
}

fn p256() -> Value {
    // Example key of RFC 9421 appendix B.1.3.
    json!({
        "kty": "EC", "crv": "P-256", "kid": "test-key-ecc-p256",
        "x": "qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA",
        "y": "Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0",
    })
}

fn ed25519() -> Value {
    // Appendix B.1.4.
    json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "test-key-ed25519",
        "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs",
    })
}

fn rsa() -> Value {
    // Appendix B.1.1.
    json!({
        "kty": "RSA", "kid": "test-key-rsa", "e": "AQAB",
        "n": "hAKYdtoeoy8zcAcR874L8cnZxKzAGwd7v36APp7Pv6Q2jdsPBRrwWEBnez6d0UDKDwGbc6nxfEXAy5mbhgajzrw3MOEt8uA5txSKobBpKDeBLOsdJKFqMGmXCQvEG7YemcxDTRPxAleIAgYYRjTSd_QBwVW9OwNFhekro3RtlinV0a75jfZgkne_YiktSvLG34lw2zqXBDTC5NHROUqGTlML4PlNZS5Ri2U4aCNx2rUPRcKIlE0PuKxI4T-HIaFpv8-rdV6eUgOrB2xeI1dSFFn_nnv5OoZJEIB-VmuKn3DCUcCZSFlQPSXSfBDiUGhwOw76WuSSsf1D4b_vLoJ10w",
    })
}

fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

#[test]
fn reads_public_keys_of_the_right_kind() {
    for (algorithm, text) in [
        (Algorithm::EcdsaP256Sha256, P256_PUBLIC),
        (Algorithm::EcdsaP384Sha384, P384_PUBLIC),
        (Algorithm::Ed25519, ED25519_PUBLIC),
        (Algorithm::RsaPssSha512, RSA_PSS_PUBLIC),
        (Algorithm::RsaPssSha512, RSA_PUBLIC),
        (Algorithm::RsaV15Sha256, RSA_PUBLIC),
        (Algorithm::RsaPssSha512, RSA_PSS_ONLY),
        (
            Algorithm::Ed25519,
            &format!("\r\n  {}\n\n", ED25519_PUBLIC.replace('\n', "\r\n")),
        ),
    ] {
        assert_eq!(pem(algorithm, text), None, "{algorithm:?}");
    }
}

#[test]
fn refuses_public_keys_of_another_kind() {
    let all = [P256_PUBLIC, P384_PUBLIC, ED25519_PUBLIC, RSA_PUBLIC];
    for (algorithm, own) in [
        (Algorithm::EcdsaP256Sha256, 0),
        (Algorithm::EcdsaP384Sha384, 1),
        (Algorithm::Ed25519, 2),
        (Algorithm::RsaPssSha512, 3),
        (Algorithm::RsaV15Sha256, 3),
    ] {
        for (position, text) in all.iter().enumerate() {
            let expected = (position != own).then_some(BadKey::Unfit(algorithm));
            assert_eq!(pem(algorithm, text), expected, "{algorithm:?} {position}");
        }
    }
    assert_eq!(
        pem(Algorithm::HmacSha256, P256_PUBLIC),
        Some(BadKey::SecretWanted)
    );
    // A key that says which hash PSS has to use.
    let other_hash = include_str!("../tests/keys/rsa-pss-sha256-only.pub.pem");
    for algorithm in [Algorithm::RsaPssSha512, Algorithm::RsaV15Sha256] {
        assert_eq!(pem(algorithm, other_hash), Some(BadKey::Unfit(algorithm)));
    }
    // A key that says it is for PSS is for nothing else.
    assert_eq!(
        pem(Algorithm::RsaV15Sha256, RSA_PSS_ONLY),
        Some(BadKey::Unfit(Algorithm::RsaV15Sha256))
    );
}

/// With an exponent of 1 a signature is the padded hash itself, which anybody can write down.
#[test]
fn refuses_rsa_keys_that_everybody_can_sign_for() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let modulus = URL_SAFE_NO_PAD
        .decode(rsa()["n"].as_str().unwrap())
        .unwrap();
    for algorithm in [Algorithm::RsaPssSha512, Algorithm::RsaV15Sha256] {
        for (exponent, jwk, good) in [
            (&[1][..], "AQ", false),
            (&[0][..], "AA", false),
            (&[2][..], "Ag", false),
            (&[1, 0, 0][..], "AQAA", false),
            (&[3][..], "Aw", true),
            (&[1, 0, 1][..], "AAEAAQ", true),
        ] {
            let integer = [&[2, exponent.len() as u8][..], exponent].concat();
            let length = (modulus.len() as u16 + 1).to_be_bytes();
            let content = [&[2, 0x82, length[0], length[1], 0][..], &modulus, &integer].concat();
            let length = (content.len() as u16).to_be_bytes();
            let der = [&[0x30, 0x82, length[0], length[1]][..], &content].concat();
            let text = format!(
                "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
                STANDARD.encode(der)
            );
            assert_eq!(pem(algorithm, &text).is_none(), good, "{exponent:?}");
            let jwk = with(rsa(), "e", json!(jwk));
            assert_eq!(
                VerifyKey::from_jwk(&jwk, Some(algorithm)).is_ok(),
                good,
                "{exponent:?}"
            );
        }
    }
}

#[test]
fn refuses_short_rsa_keys() {
    for algorithm in [Algorithm::RsaPssSha512, Algorithm::RsaV15Sha256] {
        assert_eq!(pem(algorithm, RSA_SHORT_PUBLIC), Some(BadKey::RsaSize));
    }
    let short = with(
        with(rsa(), "n", json!("AP__".repeat(80))),
        "alg",
        json!("PS512"),
    );
    assert_eq!(
        VerifyKey::from_jwk(&short, None).err(),
        Some(BadKey::RsaSize)
    );
    let zero = with(with(rsa(), "n", json!("AAAA")), "alg", json!("PS512"));
    assert_eq!(
        VerifyKey::from_jwk(&zero, None).err(),
        Some(BadKey::RsaSize)
    );
}

#[test]
fn refuses_what_is_no_single_public_key() {
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let ed = Algorithm::Ed25519;
    for (text, expected) in [
        ("", BadKey::NoPem),
        ("AAAA", BadKey::NoPem),
        ("-----BEGIN PUBLIC KEY-----", BadKey::NoPem),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END EC KEY-----",
            BadKey::NoPem,
        ),
        (
            "-----BEGIN PUBLIC KEY-----\nAA!A\n-----END PUBLIC KEY-----",
            BadKey::Base64,
        ),
        (
            "-----BEGIN PUBLIC KEY-----\n\n-----END PUBLIC KEY-----",
            BadKey::Unfit(ed),
        ),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
            BadKey::Unfit(ed),
        ),
        (
            "-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----",
            BadKey::OtherPem,
        ),
        (certificate, BadKey::Certificate),
        (ED25519, BadKey::Private),
        (P256, BadKey::Private),
        (RSA, BadKey::Private),
        (&ED25519_PUBLIC.repeat(2), BadKey::Several),
        (&format!("my key\n{ED25519_PUBLIC}"), BadKey::Several),
        (&" ".repeat(20_000), BadKey::TooLong),
    ] {
        assert_eq!(pem(ed, text), Some(expected), "{text}");
    }
}

#[test]
fn k3_refuses_empty_secrets() {
    assert!(VerifyKey::from_secret(&shared_secret()).is_ok());
    assert!(VerifyKey::from_secret(b"x").is_ok());
    assert_eq!(VerifyKey::from_secret(b"").err(), Some(BadKey::EmptySecret));
}

#[test]
fn refuses_bare_keys_in_a_pem_block() {
    for length in [31, 32, 33, 44] {
        let text = pem_of(&vec![0; length]);
        assert!(
            VerifyKey::from_pem(Algorithm::Ed25519, &text).is_err(),
            "{length}"
        );
    }
}

fn pem_of(der: &[u8]) -> String {
    let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----")
}

#[test]
fn reads_the_jwks_of_rfc_9421() {
    let rsa = rsa();
    for (jwk, said, algorithm) in [
        (p256(), None, Algorithm::EcdsaP256Sha256),
        (
            p256(),
            Some(Algorithm::EcdsaP256Sha256),
            Algorithm::EcdsaP256Sha256,
        ),
        (
            with(p256(), "alg", json!("ES256")),
            None,
            Algorithm::EcdsaP256Sha256,
        ),
        (ed25519(), None, Algorithm::Ed25519),
        (
            with(ed25519(), "alg", json!("EdDSA")),
            None,
            Algorithm::Ed25519,
        ),
        (
            with(ed25519(), "alg", json!("Ed25519")),
            None,
            Algorithm::Ed25519,
        ),
        (
            with(ed25519(), "use", json!("sig")),
            None,
            Algorithm::Ed25519,
        ),
        (
            with(ed25519(), "key_ops", json!(["sign", "verify"])),
            None,
            Algorithm::Ed25519,
        ),
        (
            rsa.clone(),
            Some(Algorithm::RsaPssSha512),
            Algorithm::RsaPssSha512,
        ),
        (
            rsa.clone(),
            Some(Algorithm::RsaV15Sha256),
            Algorithm::RsaV15Sha256,
        ),
        (
            with(rsa.clone(), "alg", json!("PS512")),
            None,
            Algorithm::RsaPssSha512,
        ),
        (
            with(rsa, "alg", json!("RS256")),
            None,
            Algorithm::RsaV15Sha256,
        ),
    ] {
        let key = VerifyKey::from_jwk(&jwk, said).unwrap();
        assert_eq!(key.algorithm(), algorithm, "{jwk}");
    }
}

#[test]
fn refuses_jwks_that_do_not_belong_into_a_public_set() {
    let pss = Some(Algorithm::RsaPssSha512);
    let short = "AAAA";
    for (jwk, said, expected) in [
        (
            json!({"kty": "oct", "k": "AAAA"}),
            None,
            BadKey::SymmetricJwk,
        ),
        (with(p256(), "k", json!("AAAA")), None, BadKey::SymmetricJwk),
        (with(p256(), "d", json!("AAAA")), None, BadKey::PrivateJwk),
        (
            with(ed25519(), "d", json!("AAAA")),
            None,
            BadKey::PrivateJwk,
        ),
        (with(rsa(), "p", json!("AAAA")), pss, BadKey::PrivateJwk),
        (with(rsa(), "oth", json!([])), pss, BadKey::PrivateJwk),
        (with(p256(), "use", json!("enc")), None, BadKey::JwkUse),
        (with(p256(), "use", json!(1)), None, BadKey::JwkUse),
        (
            with(p256(), "key_ops", json!(["sign"])),
            None,
            BadKey::JwkUse,
        ),
        (
            with(p256(), "key_ops", json!("verify")),
            None,
            BadKey::JwkUse,
        ),
        (json!({}), None, BadKey::Jwk("kty")),
        (json!([]), None, BadKey::Jwk("kty")),
        (json!({"kty": 1}), None, BadKey::Jwk("kty")),
        (json!({"kty": "AKP"}), None, BadKey::JwkType),
        (
            with(p256(), "crv", json!("secp256k1")),
            None,
            BadKey::JwkType,
        ),
        (with(p256(), "alg", json!("ES384")), None, BadKey::JwkType),
        (with(p256(), "alg", json!("HS256")), None, BadKey::JwkType),
        (
            with(ed25519(), "crv", json!("X25519")),
            None,
            BadKey::JwkType,
        ),
        (with(rsa(), "alg", json!("PS256")), pss, BadKey::JwkType),
        (with(rsa(), "alg", json!("RSA-OAEP")), pss, BadKey::JwkType),
        (with(rsa(), "crv", json!("P-256")), pss, BadKey::JwkType),
        (rsa(), None, BadKey::JwkAmbiguous),
        (
            rsa(),
            Some(Algorithm::Ed25519),
            BadKey::JwkAlgorithm(Algorithm::Ed25519),
        ),
        (
            rsa(),
            Some(Algorithm::HmacSha256),
            BadKey::JwkAlgorithm(Algorithm::HmacSha256),
        ),
        (p256(), pss, BadKey::JwkAlgorithm(Algorithm::RsaPssSha512)),
        (
            with(rsa(), "alg", json!("RS256")),
            pss,
            BadKey::JwkAlgorithm(Algorithm::RsaPssSha512),
        ),
        (with(p256(), "x", json!(short)), None, BadKey::Jwk("x")),
        (with(p256(), "y", json!("=")), None, BadKey::Jwk("y")),
        (with(p256(), "y", json!(1)), None, BadKey::Jwk("y")),
        (with(ed25519(), "x", Value::Null), None, BadKey::Jwk("x")),
        (
            with(rsa(), "e", json!("AA")),
            pss,
            BadKey::Unfit(Algorithm::RsaPssSha512),
        ),
        (
            with(rsa(), "e", json!("AQ")),
            pss,
            BadKey::Unfit(Algorithm::RsaPssSha512),
        ),
        // A point that is not on the curve.
        (
            with(p256(), "y", p256()["x"].clone()),
            None,
            BadKey::Unfit(Algorithm::EcdsaP256Sha256),
        ),
        // The coordinates of one curve under the name of another.
        (with(p256(), "crv", json!("P-384")), None, BadKey::Jwk("x")),
    ] {
        assert_eq!(
            VerifyKey::from_jwk(&jwk, said).err(),
            Some(expected),
            "{jwk}"
        );
    }
}

#[test]
fn errors_hold_nothing_of_the_key() {
    let text = pem(Algorithm::Ed25519, ED25519).unwrap().to_string();
    assert!(
        !text.contains("MC4CAQAw") && text.contains("-pubout"),
        "{text}"
    );
}
