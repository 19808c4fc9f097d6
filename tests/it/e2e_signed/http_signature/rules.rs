//! What the policy asks of signatures by RFC 9421, and what it says of keys and addresses.

use serde_json::{Value, json};

use super::super::{Over, SECRET, Scene, acme, assert_identity, assert_told, policies};
use super::{covering, shared, signed};
use crate::support::client::Request;
use crate::support::signers::{Pair, job, order, sign};
use crate::world::{ed25519_jwk, get};

#[tokio::test]
async fn the_policy_says_what_is_covered_and_by_whom() {
    let pair = Pair::generate("ed25519");
    let ed25519 = json!({
        "key_id": "ed", "algorithm": "ed25519", "public_key": pair.public,
    });
    let credentials = json!([shared("acme-1", SECRET), ed25519]).to_string();
    let policies = policies(
        "{http_signature: {require: ['@method', '@authority', '@request-target', content-digest, x-tenant], \
          algorithms: [hmac-sha256], tag: orders, label: ours}}",
        &acme(&credentials),
    );
    let scene = Scene::start(&policies).await;
    let components = [
        "@method",
        "@authority",
        "@request-target",
        "content-digest",
        "x-tenant",
    ];
    let good = json!({
        "components": components, "label": "ours", "tag": "orders", "headers": {"X-Tenant": "blue"},
    });
    for left_out in [0, 2, 3, 4] {
        let mut fewer = components.to_vec();
        let what = fewer.remove(left_out);
        let few = signed(&job(&good, &json!({"components": fewer}))).await;
        let audit = scene.refused(&few, Over::H1, "signature_incomplete").await;
        assert_told(&audit, what);
    }
    let other_key = json!({
        "key_id": "ed", "algorithm": "ed25519", "private_key": pair.private, "secret": null,
    });
    for (more, reason) in [
        (json!({"tag": "invoices"}), "signature_scope_mismatch"),
        (json!({"tag": null}), "signature_scope_mismatch"),
        (json!({"label": "theirs"}), "credentials_unrecognised"),
        (other_key, "signature_algorithm_refused"),
    ] {
        let mut bad = good.clone();
        for (name, value) in more.as_object().expect("an object") {
            bad[name] = value.clone();
        }
        scene
            .refused_for(&signed(&bad).await, Over::H2, reason, &more)
            .await;
    }
    let good = signed(&good).await;
    scene
        .refused(
            &good.header("x-tenant", "blue", "red"),
            Over::H1,
            "signature_mismatch",
        )
        .await;
    scene.passes(&good, Over::H2).await;
}

#[tokio::test]
async fn a_repeated_header_is_proven_only_where_envoy_hands_over_its_lines() {
    let credentials = json!([shared("acme-1", SECRET)]).to_string();
    let yaml = policies("{http_signature: {}}", &acme(&credentials));
    let components = [
        "@method",
        "@authority",
        "@path",
        "@query",
        "content-digest",
        "x-list",
    ];
    let jobs = json!({"components": components, "headers": {"X-List": "a, b"}});
    for raw in [false, true] {
        let scene = match raw {
            true => Scene::start_raw(&yaml).await,
            false => Scene::start(&yaml).await,
        };
        for over in Over::BOTH {
            let url = format!("http://api.example.com/orders/{over:?}");
            let one_line = signed(&job(&jobs, &json!({"url": url}))).await;
            let lines = one_line
                .without("x-list")
                .and_header("x-list", "a")
                .and_header("x-list", "b");
            if raw {
                let swapped = one_line
                    .without("x-list")
                    .and_header("x-list", "b")
                    .and_header("x-list", "a");
                scene.refused(&swapped, over, "signature_mismatch").await;
                let seen = scene.passes(&lines, over).await;
                assert_eq!(seen.headers_all("x-list"), ["a", "b"]);
            } else {
                let audit = scene.refused(&lines, over, "signature_mismatch").await;
                assert_told(&audit, "encode_raw_headers: true");
                scene.passes(&one_line, over).await;
            }
        }
    }
}

#[tokio::test]
async fn published_keys_stand_for_their_signers() {
    let pair = Pair::generate("ed25519");
    let public = pem_to_jwk(&pair.public, "partner-7");
    let jwks = json!({"keys": [public, ed25519_jwk("another")]});
    let authenticator = format!("{{http_signature: {{jwks: {{inline: {jwks}}}}}}}");
    let scene = Scene::start(&policies(&authenticator, "{}")).await;
    let key = json!({"key_id": "partner-7", "algorithm": "ed25519", "private_key": pair.private});
    for (program, over) in [
        ("http_signature.py", Over::H1),
        ("http_signature.mjs", Over::H2),
    ] {
        let signed = sign(program, &covering((program, None), &order(), &key)).await;
        scene
            .refused(
                &signed.header("signature-input", "partner-7", "another"),
                over,
                "signature_mismatch",
            )
            .await;
        scene
            .refused(
                &signed.header("signature-input", "partner-7", "partner-8"),
                over,
                "signature_key_unknown",
            )
            .await;
        let seen = scene.passes(&signed, over).await;
        assert_identity(&seen, "signed:partner-7", None, &["signature"]);
        scene.refused(&signed, over, "signature_replayed").await;
    }
}

#[tokio::test]
async fn a_published_key_passes_for_no_consumer() {
    let pair = Pair::generate("ed25519");
    let jwks =
        json!({"keys": [pem_to_jwk(&pair.public, "acme"), pem_to_jwk(&pair.public, "acme-2")]});
    let authenticator = format!("{{http_signature: {{jwks: {{inline: {jwks}}}}}}}");
    let credentials = json!([shared("acme-1", SECRET)]).to_string();
    let scene = Scene::start(&policies(&authenticator, &acme(&credentials))).await;
    // One passes, once: signed in the same second, it would be the same signature.
    for (over, kid) in [(Over::H1, "acme"), (Over::H2, "acme"), (Over::H2, "acme-2")] {
        let key = json!({"key_id": kid, "algorithm": "ed25519", "private_key": pair.private});
        let program = "http_signature.py";
        let signed = sign(program, &covering((program, None), &order(), &key)).await;
        if kid == "acme" {
            let audit = scene.refused(&signed, over, "signature_key_unknown").await;
            assert_told(&audit, "the name of a consumer");
        } else {
            let seen = scene.passes(&signed, over).await;
            assert_identity(&seen, "signed:acme-2", None, &["signature"]);
        }
    }
}

/// The JWK of an Ed25519 key: its last 32 bytes of DER are the key itself (RFC 8410 section 4).
fn pem_to_jwk(pem: &str, kid: &str) -> Value {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(text).expect("base64");
    let x = URL_SAFE_NO_PAD.encode(&der[der.len() - 32..]);
    json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x})
}

#[tokio::test]
async fn clients_may_call_another_address_than_envoy_sees() {
    let credentials = json!([shared("acme-1", SECRET)]).to_string();
    let yaml = policies("{http_signature: {}}", &acme(&credentials)).replace(
        "  api:\n",
        "  api:\n    external_url: https://public.example.net/v1\n",
    );
    let scene = Scene::start(&yaml).await;
    let components = ["@method", "@target-uri", "content-digest"];
    let outside = json!({
        "components": components, "url": "https://public.example.net/v1/orders/7?b=2",
    });
    let outside = signed(&outside).await;
    let inside = "http://api.example.com/orders/7?b=2";
    for over in Over::BOTH {
        let wrong = signed(&json!({"components": components, "url": inside})).await;
        scene.refused(&wrong, over, "signature_mismatch").await;
    }
    let sent = outside.url("https://public.example.net/v1", "http://api.example.com");
    scene
        .refused(
            &sent.url("/orders/7", "/orders/8"),
            Over::H2,
            "signature_mismatch",
        )
        .await;
    let seen = scene.passes(&sent, Over::H2).await;
    assert_eq!(seen.target, "/orders/7?b=2");
}

#[tokio::test]
async fn who_signs_nothing_is_told_how_to() {
    let credentials = json!([shared("acme-1", SECRET)]).to_string();
    let scene = Scene::start(&policies("{http_signature: {}}", &acme(&credentials))).await;
    for response in scene.0.both(|| get("/orders/7")).await {
        assert_eq!(response.status, 401);
        let asked = response.header("accept-signature").unwrap_or_default();
        for component in ["\"@method\"", "\"@authority\"", "\"@path\"", "\"@query\""] {
            assert!(asked.contains(component), "{component} is not in {asked}");
        }
        assert!(response.header("www-authenticate").is_some());
    }
    for broken in ["sig1=()", "sig1", "sig1=(\"@method\";created=1", "\u{1}"] {
        let request = || -> Request {
            get("/orders/7")
                .header("signature-input", broken)
                .header("signature", "sig1=:AAAA:")
        };
        let response = request().send_h1(scene.0.envoy.addr()).await;
        assert!(
            matches!(response.status, 400 | 401),
            "{broken}: {}",
            response.status
        );
    }
}
