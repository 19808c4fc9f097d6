//! What tokens are accepted, and the ways in which forged ones are not.

mod attacks;
mod caching;
mod keys;

use std::sync::Arc;

use futures_util::FutureExt as _;
use jsonwebtoken::Algorithm;
use proptest::prelude::{prop_assert, proptest};
use serde_json::{Value, json};

use crate::authn::jwt::claims::ClaimRules;
use crate::authn::jwt::{
    DEFAULT_ALGORITHMS, JwtVerifier, TokenCache, UnverifiedToken, VerifiedToken, token_cache,
};
use crate::authn::key_set::{KeySet, KeySetCell};
use crate::clock::ManualClock;
use crate::test_support::{NOW, Signer, base64url, claims, clock, jwk_set, with};
use crate::verdict::Reason;

const ISSUER: &str = "https://login.example.com";

fn rules() -> ClaimRules {
    ClaimRules {
        roles: None,
        ceiling: None,
        authenticator: "login".into(),
        issuer: ISSUER.into(),
        audiences: Some(vec!["orders-api".into(), "billing-api".into()]),
        clock_skew: 30,
    }
}

/// A verifier with its clock and keys.
struct Bench {
    verifier: JwtVerifier,
    cell: Arc<KeySetCell>,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn of(signers: &[&Signer]) -> Self {
        let set = KeySet::parse(jwk_set(signers).as_bytes()).unwrap();
        Self::with(KeySetCell::fixed(set), &DEFAULT_ALGORITHMS)
    }

    fn with(cell: Arc<KeySetCell>, algorithms: &[Algorithm]) -> Self {
        Self::caching(cell, algorithms, token_cache(1 << 20))
    }

    fn caching(cell: Arc<KeySetCell>, algorithms: &[Algorithm], cache: TokenCache) -> Self {
        Self {
            verifier: JwtVerifier::new(rules(), algorithms.to_vec(), Arc::clone(&cell), cache, 1),
            cell,
            clock: clock(),
        }
    }

    /// Verifies a token that needs no waiting.
    fn verify(&self, token: &str) -> Result<Arc<VerifiedToken>, Reason> {
        let token = UnverifiedToken::of_shape(token.as_bytes());
        let token = token.ok_or(Reason::CredentialsUnrecognised)?;
        let verified = self.verifier.verify(&token, self.clock.as_ref());
        let verified = verified.now_or_never().expect("nothing to wait for");
        verified.map_err(|refusal| refusal.reason)
    }

    fn reason(&self, token: &str) -> Reason {
        self.verify(token).err().unwrap_or(Reason::Allowed)
    }
}

#[test]
fn accepts_what_an_honest_issuer_signs() {
    for signer in [Signer::ed25519("k"), Signer::p256("k"), Signer::rsa("k")] {
        let bench = Bench::of(&[&signer]);
        let verified = bench.verify(&signer.token(&claims(ISSUER))).unwrap();
        assert_eq!(&*verified.principal_id, "login:alice");
        assert_eq!(&*verified.subject, "alice");
        assert_eq!(verified.scopes.joined(), "orders:read");
        assert_eq!(verified.expires_at, NOW + 3600);
        assert_eq!(verified.token_id.as_deref(), Some("t-1"));
        assert_eq!(verified.claims, claims(ISSUER));
    }
}

#[test]
fn j10_reads_scopes_as_words_or_as_a_list() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    for (name, value, held) in [
        ("scope", json!("a b"), Ok("a b")),
        ("scope", json!("b  a "), Ok("a b")),
        ("scope", json!(["a", "b:c"]), Ok("a b:c")),
        ("scope", json!([]), Ok("")),
        ("scope", json!(""), Ok("")),
        ("scp", json!("a"), Ok("a")),
        ("scp", json!(["a", "b"]), Ok("a b")),
        ("scope", json!(["a b"]), Err(Reason::TokenClaimInvalid)),
        ("scope", json!(["a", 1]), Err(Reason::TokenClaimInvalid)),
        ("scope", json!({"a": true}), Err(Reason::TokenClaimInvalid)),
        ("scope", json!(7), Err(Reason::TokenClaimInvalid)),
        ("scope", json!("a\tb"), Err(Reason::TokenClaimInvalid)),
        ("scope", json!("a \"b\""), Err(Reason::TokenClaimInvalid)),
        ("scp", json!("é"), Err(Reason::TokenClaimInvalid)),
    ] {
        let claims = with(
            &with(&claims(ISSUER), "scope", Value::Null),
            name,
            value.clone(),
        );
        let verified = bench.verify(&signer.token(&claims));
        let held_now = verified.map(|token| token.scopes.joined());
        assert_eq!(held_now, held.map(str::to_owned), "{name}: {value}");
    }
    let both = with(&claims(ISSUER), "scp", json!("other"));
    let verified = bench.verify(&signer.token(&both)).unwrap();
    assert_eq!(verified.scopes.joined(), "orders:read", "`scope` counts");
}

#[test]
fn refuses_claims_that_are_not_what_is_expected() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    let long = "x".repeat(1025);
    for (name, value, reason) in [
        ("iss", Value::Null, Reason::TokenIssuerUnknown),
        (
            "iss",
            json!("https://login.example.com/"),
            Reason::TokenIssuerUnknown,
        ),
        (
            "iss",
            json!("HTTPS://LOGIN.EXAMPLE.COM"),
            Reason::TokenIssuerUnknown,
        ),
        ("iss", json!([ISSUER]), Reason::TokenClaimInvalid),
        ("sub", Value::Null, Reason::TokenClaimInvalid),
        ("sub", json!(""), Reason::TokenClaimInvalid),
        ("sub", json!(7), Reason::TokenClaimInvalid),
        ("sub", json!(long), Reason::TokenClaimInvalid),
        ("jti", json!(7), Reason::TokenClaimInvalid),
        ("jti", Value::Null, Reason::Allowed),
        ("jti", json!(""), Reason::Allowed),
    ] {
        let token = signer.token(&with(&claims(ISSUER), name, value.clone()));
        assert_eq!(bench.reason(&token), reason, "{name}: {value}");
    }
}

#[test]
fn j11_a_token_for_another_audience_is_refused() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    for (audience, reason) in [
        (json!("orders-api"), Reason::Allowed),
        (json!(["other", "billing-api"]), Reason::Allowed),
        (Value::Null, Reason::TokenAudienceMismatch),
        (json!("other"), Reason::TokenAudienceMismatch),
        (json!("ORDERS-API"), Reason::TokenAudienceMismatch),
        (json!("orders-api "), Reason::TokenAudienceMismatch),
        (json!("orders-api,other"), Reason::TokenAudienceMismatch),
        (json!([]), Reason::TokenAudienceMismatch),
        (json!(["orders"]), Reason::TokenAudienceMismatch),
        (json!(["orders-api", 1]), Reason::TokenClaimInvalid),
        (json!([["orders-api"]]), Reason::TokenClaimInvalid),
        (json!({"orders-api": true}), Reason::TokenClaimInvalid),
        (json!(true), Reason::TokenClaimInvalid),
    ] {
        let token = signer.token(&with(&claims(ISSUER), "aud", audience.clone()));
        assert_eq!(bench.reason(&token), reason, "{audience}");
    }
}

#[test]
fn j8_dates_are_whole_seconds_or_nothing() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    let header = json!({"alg": "EdDSA", "kid": "k"}).to_string();
    for (exp, reason) in [
        ("1800003600", Reason::Allowed),
        ("253402300799", Reason::Allowed),
        ("253402300800", Reason::TokenClaimInvalid),
        ("\"1800003600\"", Reason::TokenClaimInvalid),
        ("1800003600.5", Reason::TokenClaimInvalid),
        ("1800003600.0", Reason::TokenClaimInvalid),
        ("1.8e12", Reason::TokenClaimInvalid),
        ("-1", Reason::TokenClaimInvalid),
        ("-0.0", Reason::TokenClaimInvalid),
        ("9223372036854775807", Reason::TokenClaimInvalid),
        ("9223372036854775808", Reason::TokenClaimInvalid),
        ("18446744073709551615", Reason::TokenClaimInvalid),
        ("99999999999999999999999999", Reason::TokenClaimInvalid),
        ("1e400", Reason::TokenMalformed),
        ("NaN", Reason::TokenMalformed),
        ("null", Reason::TokenClaimInvalid),
        ("true", Reason::TokenClaimInvalid),
        ("[1800003600]", Reason::TokenClaimInvalid),
        ("{}", Reason::TokenClaimInvalid),
        ("0", Reason::TokenExpired),
    ] {
        let claims =
            format!("{{\"iss\":\"{ISSUER}\",\"aud\":\"orders-api\",\"sub\":\"a\",\"exp\":{exp}}}");
        assert_eq!(
            bench.reason(&signer.token_of(&header, &claims)),
            reason,
            "exp: {exp}"
        );
    }
    for claim in ["nbf", "iat"] {
        for (value, reason) in [
            (json!(NOW), Reason::Allowed),
            (json!(NOW + 30), Reason::Allowed),
            (json!(NOW + 31), Reason::TokenNotYetValid),
            (json!(0), Reason::Allowed),
            (json!(-1), Reason::TokenClaimInvalid),
            (json!(1.5), Reason::TokenClaimInvalid),
            (json!("0"), Reason::TokenClaimInvalid),
            (json!(i64::MAX), Reason::TokenClaimInvalid),
            (json!(u64::MAX), Reason::TokenClaimInvalid),
        ] {
            let token = signer.token(&with(&claims(ISSUER), claim, value.clone()));
            assert_eq!(bench.reason(&token), reason, "{claim}: {value}");
        }
    }
}

#[test]
fn j8_a_token_without_exp_is_refused() {
    let signer = Signer::ed25519("k");
    let token = signer.token(&with(&claims(ISSUER), "exp", Value::Null));
    assert_eq!(
        Bench::of(&[&signer]).reason(&token),
        Reason::TokenClaimInvalid
    );
}

#[test]
fn j8_a_token_ends_in_the_second_that_exp_names() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    for (exp, reason) in [
        (NOW + 1, Reason::Allowed),
        (NOW, Reason::TokenExpired),
        (NOW - 1, Reason::TokenExpired),
    ] {
        let claims = with(
            &with(&claims(ISSUER), "exp", json!(exp)),
            "iat",
            json!(NOW - 60),
        );
        assert_eq!(bench.reason(&signer.token(&claims)), reason, "{exp}");
    }
}

#[test]
fn the_later_of_nbf_and_iat_counts() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    let claims = with(
        &with(&claims(ISSUER), "nbf", json!(NOW + 60)),
        "iat",
        json!(NOW - 60),
    );
    let token = signer.token(&claims);
    assert_eq!(bench.reason(&token), Reason::TokenNotYetValid);
    bench.clock.advance(std::time::Duration::from_secs(29));
    assert_eq!(bench.reason(&token), Reason::TokenNotYetValid);
    bench.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(bench.reason(&token), Reason::Allowed);
}

#[test]
fn j7_malformed_tokens_are_refused() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    let good = signer.token(&claims(ISSUER));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("a token has three parts");
    };
    let padded = format!("{}=", base64url(claims(ISSUER).to_string()));
    let huge = with(&claims(ISSUER), "pad", json!("x".repeat(17 * 1024)));
    for (token, reason) in [
        (String::new(), Reason::CredentialsUnrecognised),
        ("..".to_owned(), Reason::CredentialsUnrecognised),
        (
            format!("{header}.{payload}"),
            Reason::CredentialsUnrecognised,
        ),
        (format!("{good}."), Reason::CredentialsUnrecognised),
        (
            format!("{good}.{signature}"),
            Reason::CredentialsUnrecognised,
        ),
        (
            format!(".{payload}.{signature}"),
            Reason::CredentialsUnrecognised,
        ),
        (
            format!("{header}..{signature}"),
            Reason::CredentialsUnrecognised,
        ),
        (
            format!("{header}.{padded}.{signature}"),
            Reason::CredentialsUnrecognised,
        ),
        (format!("{good}\n"), Reason::CredentialsUnrecognised),
        (
            format!("{header}.{payload}.{signature}!"),
            Reason::CredentialsUnrecognised,
        ),
        (format!("A.{payload}.{signature}"), Reason::TokenMalformed),
        (format!("{header}.A.{signature}"), Reason::TokenMalformed),
        (
            format!("{header}.{payload}.A"),
            Reason::TokenSignatureInvalid,
        ),
        (signer.token_of("[]", "{}"), Reason::TokenMalformed),
        (signer.token_of("{}", "{}"), Reason::TokenAlgorithmRefused),
        (
            signer.token_of("{\"alg\":\"EdDSA\"}", "[]"),
            Reason::TokenMalformed,
        ),
        (
            signer.token_of("{\"alg\":\"EdDSA\"}", "\"x\""),
            Reason::TokenMalformed,
        ),
        (
            signer.token_of("{\"alg\":\"EdDSA\"}", "{} {}"),
            Reason::TokenMalformed,
        ),
        (signer.token(&huge), Reason::TokenMalformed),
    ] {
        assert_eq!(bench.reason(&token), reason, "{token}");
    }
}

#[test]
fn refuses_json_that_two_readers_would_read_apart() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    let honest = claims(ISSUER).to_string();
    let inside = honest.trim_matches(['{', '}']);
    let alg = "\"alg\":\"EdDSA\",\"kid\":\"k\"";
    assert_eq!(
        bench.reason(&signer.token_of(&format!("{{{alg}}}"), &honest)),
        Reason::Allowed
    );
    for (header, payload) in [
        (format!("{{{alg},\"alg\":\"EdDSA\"}}"), honest.clone()),
        (format!("{{{alg},\"kid\":\"k\"}}"), honest.clone()),
        (format!("{{{alg},\"\\u0061lg\":\"none\"}}"), honest.clone()),
        (
            format!("{{{alg}}}"),
            format!("{{{inside},\"sub\":\"admin\"}}"),
        ),
        (
            format!("{{{alg}}}"),
            format!("{{\"sub\":\"admin\",{inside}}}"),
        ),
        (
            format!("{{{alg}}}"),
            format!("{{{inside},\"\\u0065xp\":9}}"),
        ),
        (
            format!("{{{alg}}}"),
            format!("{{{inside},\"org\":{{\"a\":1,\"a\":2}}}}"),
        ),
    ] {
        let token = signer.token_of(&header, &payload);
        assert_eq!(
            bench.reason(&token),
            Reason::TokenMalformed,
            "{header} {payload}"
        );
    }
}

#[test]
fn any_bit_flipped_anywhere_refuses() {
    for signer in [Signer::ed25519("k"), Signer::p256("k"), Signer::rsa("k")] {
        let bench = Bench::of(&[&signer]);
        let token = signer.token(&claims(ISSUER));
        assert!(bench.verify(&token).is_ok());
        for position in 0..token.len() {
            for bit in 0..8 {
                let mut bytes = token.clone().into_bytes();
                bytes[position] ^= 1 << bit;
                let verified = UnverifiedToken::of_shape(&bytes).map(|token| {
                    let verified = bench.verifier.verify(&token, bench.clock.as_ref());
                    verified.now_or_never().expect("nothing to wait for")
                });
                assert!(
                    !matches!(verified, Some(Ok(_))),
                    "byte {position}, bit {bit} of a token signed with {}",
                    signer.algorithm()
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn random_texts_never_authenticate(
        text in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,60}){0,3}|\\PC{0,60}",
    ) {
        let signer = Signer::ed25519("k");
        prop_assert!(Bench::of(&[&signer]).verify(&text).is_err());
    }

    #[test]
    fn an_honest_text_with_a_random_signature_never_authenticates(
        signature in proptest::collection::vec(proptest::num::u8::ANY, 0..96),
        algorithm in "EdDSA|ES256|RS256|HS256|none",
        named: bool,
    ) {
        let signer = Signer::ed25519("k");
        let header = if named {
            json!({"alg": algorithm, "kid": "k"})
        } else {
            json!({"alg": algorithm})
        };
        let token = format!(
            "{}.{}.{}",
            base64url(header.to_string()),
            base64url(claims(ISSUER).to_string()),
            base64url(signature),
        );
        prop_assert!(Bench::of(&[&signer]).verify(&token).is_err());
    }
}
