//! Where keys come from while a token waits, and the published examples.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::json;

use super::{Bench, ISSUER};
use crate::authn::jwt::{DEFAULT_ALGORITHMS, Parts, UnverifiedToken};
use crate::authn::key_set::{FORCED_FETCH_INTERVAL, KeySet, KeySetCell};
use crate::secret::Digest;
use crate::test_support::{Signer, base64url, claims, jwk_set};
use crate::verdict::Reason;

fn set(signers: &[&Signer]) -> KeySet {
    KeySet::parse(jwk_set(signers).as_bytes()).unwrap()
}

/// A bench over a cell that somebody else fills, and whose forced fetches are due.
fn fetched(signers: &[&Signer]) -> Bench {
    let bench = Bench::with(KeySetCell::empty(), &DEFAULT_ALGORITHMS);
    if !signers.is_empty() {
        bench.cell.fetching(bench.clock.as_ref());
        bench.cell.publish(set(signers));
        bench.clock.advance(FORCED_FETCH_INTERVAL);
    }
    bench
}

/// Whether a fetch is asked for now; takes the wish away.
fn wanted(cell: &Arc<KeySetCell>) -> bool {
    cell.wanted().now_or_never().is_some()
}

macro_rules! verifying {
    ($bench:expr, $token:expr, $future:ident) => {
        let token = UnverifiedToken::of_shape($token.as_bytes()).unwrap();
        let mut $future = pin!(async {
            let verified = $bench.verifier.verify(&token, $bench.clock.as_ref()).await;
            verified
                .err()
                .map_or(Reason::Allowed, |refusal| refusal.reason)
        });
    };
}

#[test]
fn j6_a_token_waits_for_the_first_keys() {
    let signer = Signer::ed25519("k");
    let bench = fetched(&[]);
    let token = signer.token(&claims(ISSUER));
    verifying!(bench, token, verifying);
    assert_eq!(verifying.as_mut().now_or_never(), None);
    bench.cell.publish(set(&[&signer]));
    assert_eq!(verifying.as_mut().now_or_never(), Some(Reason::Allowed));
}

#[test]
fn j6_an_issuer_that_was_never_reached_is_unavailable() {
    let signer = Signer::ed25519("k");
    let bench = fetched(&[]);
    let token = signer.token(&claims(ISSUER));
    verifying!(bench, token, verifying);
    assert_eq!(verifying.as_mut().now_or_never(), None);
    bench.cell.failed();
    assert_eq!(
        verifying.as_mut().now_or_never(),
        Some(Reason::DependencyUnavailable)
    );
    // Later ones need not wait for the same answer.
    assert_eq!(bench.reason(&token), Reason::DependencyUnavailable);
}

#[test]
fn j6_an_unknown_key_id_asks_for_newer_keys_and_finds_them() {
    let (old, new) = (Signer::ed25519("old"), Signer::ed25519("new"));
    let bench = fetched(&[&old]);
    let token = new.token(&claims(ISSUER));
    verifying!(bench, token, verifying);
    assert_eq!(verifying.as_mut().now_or_never(), None);
    assert!(wanted(&bench.cell));
    bench.cell.publish(set(&[&old, &new]));
    assert_eq!(verifying.as_mut().now_or_never(), Some(Reason::Allowed));
}

#[test]
fn j6_a_flood_of_unknown_key_ids_causes_one_fetch_an_interval() {
    let (signer, mallory) = (Signer::ed25519("k"), Signer::ed25519("unknown"));
    let bench = fetched(&[&signer]);
    let token = mallory.token(&claims(ISSUER));
    for _ in 0..3 {
        verifying!(bench, token, verifying);
        assert_eq!(verifying.as_mut().now_or_never(), None);
        assert!(wanted(&bench.cell), "the first one asks");
        bench.cell.publish(set(&[&signer]));
        assert_eq!(
            verifying.as_mut().now_or_never(),
            Some(Reason::TokenKeyUnknown)
        );
        for _ in 0..100 {
            assert_eq!(bench.reason(&token), Reason::TokenKeyUnknown);
        }
        bench
            .clock
            .advance(FORCED_FETCH_INTERVAL - Duration::from_micros(1));
        assert_eq!(bench.reason(&token), Reason::TokenKeyUnknown);
        assert!(!wanted(&bench.cell), "nobody else does");
        bench.clock.advance(Duration::from_micros(1));
    }
}

#[test]
fn j6_a_flood_while_a_fetch_runs_waits_for_that_one() {
    let (signer, mallory) = (Signer::ed25519("k"), Signer::ed25519("unknown"));
    let bench = fetched(&[&signer]);
    bench.cell.fetching(bench.clock.as_ref());
    let token = mallory.token(&claims(ISSUER));
    verifying!(bench, token, first);
    verifying!(bench, token, second);
    assert_eq!(first.as_mut().now_or_never(), None);
    assert_eq!(second.as_mut().now_or_never(), None);
    assert!(!wanted(&bench.cell));
    bench.cell.publish(set(&[&signer]));
    assert_eq!(first.now_or_never(), Some(Reason::TokenKeyUnknown));
    assert_eq!(second.now_or_never(), Some(Reason::TokenKeyUnknown));
}

#[test]
fn j6_an_unknown_key_id_while_the_issuer_is_away_is_not_the_callers_fault() {
    let (signer, other) = (Signer::ed25519("k"), Signer::ed25519("rotated"));
    let bench = fetched(&[&signer]);
    let token = other.token(&claims(ISSUER));
    verifying!(bench, token, verifying);
    assert_eq!(verifying.as_mut().now_or_never(), None);
    bench.cell.failed();
    assert_eq!(
        verifying.as_mut().now_or_never(),
        Some(Reason::DependencyUnavailable)
    );
    assert_eq!(bench.reason(&token), Reason::DependencyUnavailable);
    // Keys that are known serve on.
    assert_eq!(
        bench.reason(&signer.token(&claims(ISSUER))),
        Reason::Allowed
    );
    // A wrong signature with a known key is the caller's fault, issuer or not.
    let mallory = Signer::ed25519("k");
    assert_eq!(
        bench.reason(&mallory.token(&claims(ISSUER))),
        Reason::TokenSignatureInvalid
    );
}

#[test]
fn j6_a_caller_that_gives_up_cancels_nobodys_fetch() {
    let (old, new) = (Signer::ed25519("old"), Signer::ed25519("new"));
    let bench = fetched(&[&old]);
    let token = new.token(&claims(ISSUER));
    {
        verifying!(bench, token, given_up);
        assert_eq!(given_up.as_mut().now_or_never(), None);
    }
    assert!(wanted(&bench.cell), "the fetch is still asked for");
    bench.cell.fetching(bench.clock.as_ref());
    verifying!(bench, token, patient);
    assert_eq!(patient.as_mut().now_or_never(), None);
    bench.cell.publish(set(&[&old, &new]));
    assert_eq!(patient.as_mut().now_or_never(), Some(Reason::Allowed));
}

#[test]
fn a_token_for_another_audience_costs_no_fetch() {
    let (signer, other) = (Signer::ed25519("k"), Signer::ed25519("unknown"));
    let bench = fetched(&[&signer]);
    let mut wrong = claims(ISSUER);
    wrong["aud"] = json!("other");
    assert_eq!(
        bench.reason(&other.token(&wrong)),
        Reason::TokenAudienceMismatch
    );
    assert!(!wanted(&bench.cell));
}

#[test]
fn published_examples_verify() {
    const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let ed25519 =
        Digest::from_hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    for (source, jwk, header, payload, signature) in [
        (
            "RFC 7515 appendix A.2",
            json!({"kty": "RSA", "e": "AQAB", "n": concat!(
                "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEz",
                "P1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf6",
                "3kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Zw",
                "Kh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRW",
                "yuXpoQ",
            )}),
            "eyJhbGciOiJSUzI1NiJ9",
            JOE,
            concat!(
                "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt",
                "_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArL",
                "IARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7no",
                "OPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQ",
                "Ge77Rw",
            ),
        ),
        (
            "RFC 7515 appendix A.3",
            json!({
                "kty": "EC", "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            }),
            "eyJhbGciOiJFUzI1NiJ9",
            JOE,
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            "RFC 8037 appendix A.4",
            json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(ed25519.unwrap().bytes())}),
            "eyJhbGciOiJFZERTQSJ9",
            "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ] {
        let set = KeySet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
        let verify = |text: &str| {
            let parts = Parts::read(text, &DEFAULT_ALGORITHMS).map_err(|refusal| refusal.reason)?;
            parts.check(&set).map_err(|_| Reason::TokenSignatureInvalid)
        };
        let token = format!("{header}.{payload}.{signature}");
        assert_eq!(verify(&token), Ok(()), "{source}");
        let other = format!("{header}.{payload}A.{signature}");
        assert_eq!(
            verify(&other),
            Err(Reason::TokenSignatureInvalid),
            "{source}"
        );
    }
}
