//! RFC 9421, as three packages sign by it.

mod rules;

use serde_json::{Value, json};

use super::{Over, SECRET, Scene, acme, assert_identity, assert_told, policies};
use crate::support::signers::{Pair, Signed, job, order, sign};
use crate::world::now;

const ALGORITHMS: [&str; 5] = [
    "ed25519",
    "ecdsa-p256-sha256",
    "ecdsa-p384-sha384",
    "rsa-pss-sha512",
    "rsa-v1_5-sha256",
];

/// What the packages can sign with.
const SDKS: [(&str, Option<&str>, &[&str]); 3] = [
    (
        "http_signature.py",
        None,
        &[
            "hmac-sha256",
            "ed25519",
            "ecdsa-p256-sha256",
            "ecdsa-p384-sha384",
            "rsa-pss-sha512",
            "rsa-v1_5-sha256",
        ],
    ),
    (
        "http_signature.mjs",
        None,
        &[
            "hmac-sha256",
            "ed25519",
            "ecdsa-p256-sha256",
            "ecdsa-p384-sha384",
            "rsa-v1_5-sha256",
        ],
    ),
    (
        "http_signature.mjs",
        Some("http-message-sig"),
        &["ed25519", "rsa-pss-sha512"],
    ),
];

/// A consumer with a key of each algorithm, called like it.
struct Keys {
    pairs: Vec<(&'static str, Pair)>,
}

impl Keys {
    fn new() -> Self {
        let pairs = ALGORITHMS.map(|algorithm| (algorithm, Pair::generate(algorithm)));
        Self {
            pairs: pairs.into(),
        }
    }

    fn credentials(&self) -> String {
        let mut all = vec![shared("hmac-sha256", SECRET)];
        for (algorithm, pair) in &self.pairs {
            all.push(json!({
                "key_id": algorithm, "algorithm": algorithm, "public_key": pair.public,
            }));
        }
        json!(all).to_string()
    }

    fn of(&self, algorithm: &str) -> Value {
        let mut pairs = self.pairs.iter();
        match pairs.find(|(name, _)| *name == algorithm) {
            Some((_, pair)) => {
                json!({"key_id": algorithm, "algorithm": algorithm, "private_key": pair.private})
            }
            None => json!({"key_id": algorithm, "algorithm": algorithm, "secret": SECRET}),
        }
    }
}

fn shared(id: &str, secret: &str) -> Value {
    json!({"key_id": id, "secret": {"insecure_literal": secret}})
}

fn with_shared(id: &str, secret: &str) -> Value {
    json!({"key_id": id, "algorithm": "hmac-sha256", "secret": secret})
}

/// A job that covers `Content-Type` beside what policies ask for. One package adds the digest by itself.
fn covering(sdk: (&str, Option<&str>), base: &Value, key: &Value) -> Value {
    let mut components = vec!["@method", "@authority", "@path", "@query", "content-type"];
    if sdk.0 == "http_signature.mjs" {
        components.push("content-digest");
    }
    let named = json!({"components": components, "sdk": sdk.1});
    job(&job(base, key), &named)
}

async fn signed(more: &Value) -> Signed {
    let base = job(&order(), &with_shared("acme-1", SECRET));
    let base = job(&base, &json!({"headers": {}}));
    sign("http_signature.mjs", &job(&base, more)).await
}

/// Whatever is covered, changed, with the reason that it is refused for.
fn alterations(signed: &Signed) -> Vec<(Signed, &'static str)> {
    let mismatch = "signature_mismatch";
    let malformed = "signature_malformed";
    vec![
        (signed.method("PUT"), mismatch),
        (signed.url("/orders/7", "/orders/8"), mismatch),
        (signed.url("b=2", "b=3"), mismatch),
        (signed.url("?b=2&a=x%20y&c=", ""), mismatch),
        (signed.url("c=", "c=&d"), mismatch),
        (signed.url("x%20y", "x+y"), mismatch),
        (signed.url("api.example.com", "other.example.com"), mismatch),
        (signed.header("content-type", "json", "jose"), mismatch),
        (signed.body("{\"item\":\"gold\"}"), "body_digest_mismatch"),
        (signed.flipped("content-digest", 8), mismatch),
        (signed.flipped("signature", 8), mismatch),
        (
            signed.header("signature-input", "\"@path\" ", ""),
            "signature_incomplete",
        ),
        (
            signed.header("signature-input", "created=1", "created=2"),
            "signature_not_yet_valid",
        ),
        (
            signed.header("signature-input", "keyid=\"", "keyid=\"nobodys-"),
            "signature_key_unknown",
        ),
        (signed.without("signature"), malformed),
        (signed.without("signature-input"), malformed),
        (
            signed.without("signature").without("signature-input"),
            "credentials_missing",
        ),
        (
            signed.without("content-type"),
            "signature_component_refused",
        ),
    ]
}

#[tokio::test]
async fn every_package_and_algorithm_passes_and_no_altered_request_does() {
    let keys = Keys::new();
    let scene = Scene::start(&policies(
        "{http_signature: {}}",
        &acme(&keys.credentials()),
    ))
    .await;
    let mut turn = 0;
    for (program, sdk, algorithms) in SDKS {
        for algorithm in algorithms {
            let who = (program, sdk, algorithm);
            // Two packages may well make one signature of one request.
            let url = format!("http://api.example.com/orders/7/{turn}?b=2&a=x%20y&c=");
            let order = job(&order(), &json!({"url": url}));
            let job = covering((program, sdk), &order, &keys.of(algorithm));
            let signed = sign(program, &job).await;
            for (altered, reason) in alterations(&signed) {
                turn += 1;
                let over = Over::by_turns(turn);
                scene.refused_for(&altered, over, reason, &who).await;
            }
            // None of these has used it up.
            let over = Over::by_turns(turn);
            let seen = scene.passes_for(&signed, over, &who).await;
            let gone = ["signature", "signature-input"];
            assert_identity(&seen, "signed:acme", Some("acme"), &gone);
            assert_eq!(seen.header("x-auth-scopes"), Some("orders:write"));
            assert_eq!(
                seen.header("content-digest"),
                Some(signed.of("content-digest"))
            );
            assert_eq!(seen.body, signed.body.as_bytes());
            for over in Over::BOTH {
                let reason = "signature_replayed";
                scene.refused_for(&signed, over, reason, &who).await;
            }
        }
    }
}

#[tokio::test]
async fn whoever_signs_the_target_as_one_needs_none_of_its_parts() {
    let credentials = json!([shared("acme-1", SECRET)]).to_string();
    let scene = Scene::start_raw(&policies("{http_signature: {}}", &acme(&credentials))).await;
    let keyed = job(&order(), &with_shared("acme-1", SECRET));
    // What the package covers if it is left to itself: method, authority, target URI, date and digest.
    let usual = sign("http_signature.py", &keyed).await;
    assert!(usual.of("signature-input").contains("\"@target-uri\""));
    scene
        .refused(&usual.url("b=2", "b=3"), Over::H1, "signature_mismatch")
        .await;
    scene
        .refused(&usual.method("PUT"), Over::H2, "signature_mismatch")
        .await;
    scene.passes(&usual, Over::H2).await;

    let parts = json!({
        "components": ["@method", "@scheme", "@authority", "@request-target", "content-digest"],
    });
    let by_parts = signed(&parts).await;
    scene
        .refused(&by_parts.url("c=", "c"), Over::H1, "signature_mismatch")
        .await;
    scene.passes(&by_parts, Over::H1).await;
}

#[tokio::test]
async fn only_what_is_fresh_passes() {
    let credentials = json!([shared("acme-1", SECRET)]).to_string();
    let policies = policies(
        "{http_signature: {max_age: 60s, clock_skew: 20s}}",
        &acme(&credentials),
    );
    let scene = Scene::start(&policies).await;
    for (program, ago, expires_in, outcome) in [
        ("http_signature.py", 300, None, Some("signature_expired")),
        ("http_signature.mjs", 300, None, Some("signature_expired")),
        (
            "http_signature.mjs",
            30,
            Some(10),
            Some("signature_expired"),
        ),
        (
            "http_signature.mjs",
            300,
            Some(900),
            Some("signature_expired"),
        ),
        (
            "http_signature.py",
            -120,
            None,
            Some("signature_not_yet_valid"),
        ),
        (
            "http_signature.mjs",
            -120,
            None,
            Some("signature_not_yet_valid"),
        ),
        ("http_signature.py", 30, None, None),
        ("http_signature.mjs", -10, None, None),
        ("http_signature.mjs", 30, Some(55), None),
    ] {
        let timed = json!({"now": now() - ago, "expires_in": expires_in});
        let base = covering((program, None), &order(), &with_shared("acme-1", SECRET));
        let signed = sign(program, &job(&base, &timed)).await;
        for over in Over::BOTH {
            match outcome {
                Some(reason) => drop(scene.refused(&signed, over, reason).await),
                None => drop(scene.passes(&signed, over).await),
            }
            if outcome.is_none() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_nonce_is_used_once_whatever_it_came_with() {
    let credentials = json!([
        shared("acme-1", SECRET),
        shared("acme-2", &SECRET.to_uppercase())
    ])
    .to_string();
    let policies = policies("{http_signature: {nonce: required}}", &acme(&credentials));
    let scene = Scene::start(&policies).await;
    let without = signed(&json!({})).await;
    let audit = scene
        .refused(&without, Over::H1, "signature_incomplete")
        .await;
    assert_told(&audit, "nonce");

    for (turn, over) in Over::BOTH.into_iter().enumerate() {
        let nonce = format!("nonce-of-turn-{turn}");
        let first = signed(&json!({"nonce": nonce})).await;
        scene.passes(&first, over).await;
        scene.refused(&first, over, "signature_replayed").await;
        let another = json!({"nonce": nonce, "url": "http://api.example.com/orders/9"});
        let another = signed(&another).await;
        scene.refused(&another, over, "signature_replayed").await;
        // Another key has nonces of its own.
        let others = with_shared("acme-2", &SECRET.to_uppercase());
        let others = signed(&job(&others, &json!({"nonce": nonce}))).await;
        scene.passes(&others, over).await;
    }
    // On safe methods too, as there is a nonce.
    let safe = json!({"method": "GET", "body": null, "nonce": "nonce-of-a-get"});
    let safe = signed(&safe).await;
    scene.passes(&safe, Over::H2).await;
    scene.refused(&safe, Over::H1, "signature_replayed").await;
}

#[tokio::test]
async fn of_two_at_once_exactly_one_passes() {
    let credentials = json!([shared("acme-1", SECRET)]).to_string();
    let scene = Scene::start(&policies("{http_signature: {}}", &acme(&credentials))).await;
    for turn in 0..6 {
        let nonce = (turn % 3 > 0).then(|| format!("nonce-of-race-{turn}"));
        let url = format!("http://api.example.com/orders/{turn}");
        let signed = signed(&json!({"nonce": nonce, "url": url})).await;
        scene.one_of_two_passes(&signed, Over::by_turns(turn)).await;
    }
}

#[tokio::test]
async fn a_safe_request_without_a_nonce_may_be_repeated() {
    let credentials = json!([shared("acme-1", SECRET)]).to_string();
    let scene = Scene::start(&policies("{http_signature: {}}", &acme(&credentials))).await;
    for method in ["GET", "OPTIONS"] {
        let signed = signed(&json!({"method": method, "body": null})).await;
        for over in [Over::H1, Over::H2, Over::H1] {
            scene.passes(&signed, over).await;
        }
        scene
            .refused(&signed.method("DELETE"), Over::H1, "signature_mismatch")
            .await;
    }
}

#[tokio::test]
async fn old_and_new_secret_count_until_the_old_one_is_gone() {
    let new = SECRET.to_uppercase();
    let both = json!([shared("acme-1", SECRET), shared("acme-2", &new)]).to_string();
    let scene = Scene::start(&policies("{http_signature: {}}", &acme(&both))).await;
    for (id, secret) in [("acme-1", SECRET), ("acme-2", &new)] {
        let signed = signed(&with_shared(id, secret)).await;
        scene.passes(&signed, Over::H2).await;
    }
    for (id, secret) in [("acme-1", new.as_str()), ("acme-2", SECRET)] {
        let signed = signed(&with_shared(id, secret)).await;
        scene.refused(&signed, Over::H1, "signature_mismatch").await;
    }
}
