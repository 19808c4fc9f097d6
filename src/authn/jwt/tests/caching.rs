//! Caches can't change a verdict.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof, proptest};
use serde_json::json;

use super::{Bench, ISSUER, rules};
use crate::authn::jwt::claims::ClaimRules;
use crate::authn::jwt::{DEFAULT_ALGORITHMS, JwtVerifier, UnverifiedToken, token_cache};
use crate::authn::key_set::{KeySet, KeySetCell};
use crate::test_support::{NOW, Signer, claims, jwk_set, with};
use crate::verdict::Reason;

fn set(signers: &[&Signer]) -> KeySet {
    KeySet::parse(jwk_set(signers).as_bytes()).unwrap()
}

fn is_cached(bench: &Bench, token: &str) -> bool {
    let token = UnverifiedToken::of_shape(token.as_bytes()).unwrap();
    bench.verifier.cached(&token).is_some()
}

#[test]
fn a_cached_token_still_expires() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    let token = signer.token(&claims(ISSUER));
    assert_eq!(bench.reason(&token), Reason::Allowed);
    assert!(is_cached(&bench, &token));
    bench.clock.advance(Duration::from_secs(3599));
    assert_eq!(bench.reason(&token), Reason::Allowed);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.reason(&token), Reason::TokenExpired);
    assert!(
        is_cached(&bench, &token),
        "judged by the clock, not by the cache"
    );
}

#[test]
fn f7_a_removed_key_refuses_a_cached_token() {
    let (old, new) = (Signer::ed25519("old"), Signer::ed25519("new"));
    let bench = Bench::with(KeySetCell::fixed(set(&[&old])), &DEFAULT_ALGORITHMS);
    let token = old.token(&claims(ISSUER));
    assert_eq!(bench.reason(&token), Reason::Allowed);
    assert!(bench.cell.publish(set(&[&new])));
    assert_eq!(bench.reason(&token), Reason::TokenKeyUnknown);
    assert!(bench.cell.publish(set(&[&old, &new])));
    assert_eq!(bench.reason(&token), Reason::Allowed);
}

#[test]
fn f7_a_key_replaced_under_its_name_refuses_a_cached_token() {
    let (old, new) = (Signer::ed25519("k"), Signer::ed25519("k"));
    let bench = Bench::with(KeySetCell::fixed(set(&[&old])), &DEFAULT_ALGORITHMS);
    let token = old.token(&claims(ISSUER));
    assert_eq!(bench.reason(&token), Reason::Allowed);
    bench.cell.publish(set(&[&new]));
    assert_eq!(bench.reason(&token), Reason::TokenSignatureInvalid);
}

#[test]
fn an_unchanged_set_keeps_what_is_cached() {
    let signer = Signer::ed25519("k");
    let bench = Bench::of(&[&signer]);
    let token = signer.token(&claims(ISSUER));
    assert_eq!(bench.reason(&token), Reason::Allowed);
    assert!(!bench.cell.publish(set(&[&signer])));
    assert!(is_cached(&bench, &token));
}

#[test]
fn what_was_refused_is_not_cached() {
    let (signer, mallory) = (Signer::ed25519("k"), Signer::ed25519("k"));
    let bench = Bench::of(&[&signer]);
    for token in [
        mallory.token(&claims(ISSUER)),
        signer.token(&with(&claims(ISSUER), "aud", json!("other"))),
        signer.token(&with(&claims(ISSUER), "exp", json!(NOW))),
    ] {
        assert_ne!(bench.reason(&token), Reason::Allowed);
        assert!(!is_cached(&bench, &token));
    }
}

/// Two configurations share one cache, as all verifiers of a process do.
#[test]
fn f5_one_configurations_token_is_not_anothers() {
    let signer = Signer::ed25519("k");
    let cache = token_cache(1 << 20);
    let cell = KeySetCell::fixed(set(&[&signer]));
    let first = Bench::caching(Arc::clone(&cell), &DEFAULT_ALGORITHMS, cache.clone());
    let mut second = Bench::caching(Arc::clone(&cell), &DEFAULT_ALGORITHMS, cache.clone());
    let strict = ClaimRules {
        audiences: Some(vec!["another-api".into()]),
        ..rules()
    };
    second.verifier = JwtVerifier::new(strict, DEFAULT_ALGORITHMS.to_vec(), cell, cache, 2);
    let token = signer.token(&claims(ISSUER));
    assert_eq!(first.reason(&token), Reason::Allowed);
    assert!(!is_cached(&second, &token));
    assert_eq!(second.reason(&token), Reason::TokenAudienceMismatch);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Verify(usize),
    Wait(u64),
    Publish(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6usize).prop_map(Step::Verify),
        1 => prop_oneof![Just(1u64), 0..400u64].prop_map(Step::Wait),
        1 => (1..8usize).prop_map(Step::Publish),
    ]
}

proptest! {
    /// Whatever happened before, a verifier answers as one that has never seen a token.
    #[test]
    fn a_verifier_answers_as_one_without_memory(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        // The last two have the same name.
        let signers = [Signer::ed25519("a"), Signer::ed25519("b"), Signer::ed25519("b")];
        let tokens: Vec<String> = (0..6)
            .map(|n| {
                let exp = NOW + [300, 900][n % 2];
                signers[n / 2].token(&with(&claims(ISSUER), "exp", json!(exp)))
            })
            .collect();
        let chosen = |mask: usize| -> Vec<&Signer> {
            let held = signers.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
            held.map(|(_, signer)| signer).collect()
        };
        let mut bench = Bench::with(KeySetCell::fixed(set(&chosen(7))), &DEFAULT_ALGORITHMS);
        let mut held = 7;
        for step in steps {
            match step {
                Step::Wait(seconds) => bench.clock.advance(Duration::from_secs(seconds)),
                Step::Publish(mask) => {
                    held = mask;
                    bench.cell.publish(set(&chosen(mask)));
                }
                Step::Verify(n) => {
                    let mut fresh =
                        Bench::with(KeySetCell::fixed(set(&chosen(held))), &DEFAULT_ALGORITHMS);
                    std::mem::swap(&mut fresh.clock, &mut bench.clock);
                    let expected = fresh.reason(&tokens[n]);
                    std::mem::swap(&mut fresh.clock, &mut bench.clock);
                    prop_assert_eq!(bench.reason(&tokens[n]), expected);
                }
            }
        }
    }
}
