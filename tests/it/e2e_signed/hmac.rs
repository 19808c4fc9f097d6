//! The own scheme, as the clients of `docs/clients` sign by it, and the two older forms, as packages do.

use serde_json::{Value, json};

use super::clients::{self, Client};
use super::{Over, SECRET, Scene, acme, assert_identity, assert_told, policies};
use crate::support::signers::{Signed, job, order, sign};
use crate::world::{get, now};

fn credentials() -> String {
    json!([{"key_id": "acme-1", "secret": {"insecure_literal": SECRET}}]).to_string()
}

fn keyed(more: &Value) -> Value {
    job(
        &job(&order(), &json!({"key_id": "acme-1", "secret": SECRET})),
        more,
    )
}

fn all_dialects() -> String {
    policies(
        "{hmac: {dialects: [own, cavage, kong]}}",
        &acme(&credentials()),
    )
}

/// Signed by the own scheme, as a client of ours in some language sent it.
async fn own(client: Client, method: &str, target: &str, body: Option<&str>) -> Signed {
    clients::recorded(client, "own", method, target, body).await
}

/// Whatever the own scheme covers, changed, with the reason that it is refused for.
fn alterations_of_own(signed: &Signed) -> Vec<(Signed, &'static str)> {
    let mismatch = "signature_mismatch";
    let malformed = "signature_malformed";
    let authorization = "authorization";
    vec![
        (signed.method("PUT"), mismatch),
        (signed.url("/orders/7", "/orders/8"), mismatch),
        (signed.url("b=2", "b=3"), mismatch),
        (signed.url("?b=2&a=x%20y&c=", ""), mismatch),
        (signed.url("x%20y", "x+y"), mismatch),
        (signed.url("b=2&a=x%20y", "a=x%20y&b=2"), mismatch),
        (signed.url("127.0.0.1", "api.example.com"), mismatch),
        (signed.header("content-type", "json", "jose"), mismatch),
        (signed.body("{\"item\":\"gold\"}"), mismatch),
        (signed.body(""), mismatch),
        (signed.flipped(authorization, 1), mismatch),
        (signed.header(authorization, "Nonce=", "Nonce=0"), mismatch),
        (
            signed.header(authorization, "KeyId=acme-1", "KeyId=acme-9"),
            "signature_key_unknown",
        ),
        (
            signed.header(authorization, "Timestamp=1", "Timestamp=2"),
            "signature_not_yet_valid",
        ),
        (
            signed.header(authorization, "Timestamp=1", "Timestamp="),
            "signature_expired",
        ),
        (signed.header(authorization, "Nonce=", "Once="), malformed),
        (
            signed.header(authorization, "Nonce=", "Nonce=0123456789abcdef0, Nonce="),
            malformed,
        ),
        (signed.header(authorization, "KeyId", "keyid"), malformed),
        (
            signed.header(authorization, "SignedHeaders=content-type, ", ""),
            mismatch,
        ),
        (
            signed.header(authorization, "content-type", "content-type;x-more"),
            "signature_component_refused",
        ),
        // Envoy joins two of these even where it hands over lines.
        (
            signed.and_header("content-type", "application/json"),
            mismatch,
        ),
        (signed.without(authorization), "credentials_missing"),
    ]
}

#[tokio::test]
async fn the_own_scheme_covers_all_of_a_request() {
    // Also where it is written to say that lines of one name may be told apart.
    let scene = Scene::start_raw(&policies("{hmac: {}}", &acme(&credentials()))).await;
    for (turn, client) in Client::ALL.into_iter().enumerate() {
        let over = Over::by_turns(turn);
        let target = "/orders/7?b=2&a=x%20y&c=";
        let signed = own(client, "POST", target, Some("{\"item\":\"t\u{e9}a\"}")).await;
        for (altered, reason) in alterations_of_own(&signed) {
            scene.refused_for(&altered, over, reason, &client).await;
        }
        let seen = scene.passes_for(&signed, over, &client).await;
        assert_identity(&seen, "signed:acme", Some("acme"), &["authorization"]);
        assert_eq!(seen.header("x-auth-scopes"), Some("orders:write"));
        assert_eq!(seen.body, signed.body.as_bytes());
        for over in Over::BOTH {
            let reason = "signature_replayed";
            scene.refused_for(&signed, over, reason, &client).await;
        }
        // It has a nonce, so that it is used once on any method.
        let safe = own(client, "GET", "/orders/7", None).await;
        scene.passes_for(&safe, over, &client).await;
        let reason = "signature_replayed";
        scene.refused_for(&safe, over, reason, &client).await;
    }
}

#[tokio::test]
async fn of_two_at_once_exactly_one_passes() {
    let scene = Scene::start(&all_dialects()).await;
    for turn in 0..4 {
        let target = format!("/orders/{turn}");
        let signed = own(Client::Python, "PUT", &target, Some("{}")).await;
        scene.one_of_two_passes(&signed, Over::by_turns(turn)).await;
        let url = format!("http://api.example.com/orders/{turn}");
        let older = sign("cavage.mjs", &keyed(&json!({"url": url}))).await;
        scene.one_of_two_passes(&older, Over::by_turns(turn)).await;
    }
}

/// Whatever the older forms cover, changed.
fn alterations_of_older(signed: &Signed) -> Vec<(Signed, &'static str)> {
    let mismatch = "signature_mismatch";
    let digest = if signed.has("digest") {
        "digest"
    } else {
        "content-digest"
    };
    vec![
        (signed.method("PUT"), mismatch),
        (signed.url("/orders/7", "/orders/8"), mismatch),
        (signed.url("b=2", "b=3"), mismatch),
        (signed.url("api.example.com", "other.example.com"), mismatch),
        (signed.body("{\"item\":\"gold\"}"), "body_digest_mismatch"),
        (signed.flipped(digest, 8), mismatch),
        (signed.without(digest), "signature_component_refused"),
        (signed.without("date"), "signature_component_refused"),
        (
            signed.and_header("date", signed.of("date")),
            "signature_component_refused",
        ),
        (
            signed.header("authorization", "acme-1", "acme-9"),
            "signature_key_unknown",
        ),
        (
            signed.header("authorization", "hmac-sha256", "hmac-sha512"),
            "signature_malformed",
        ),
        (
            signed.header("authorization", "hmac-sha256", "hmac-sha1"),
            "signature_algorithm_refused",
        ),
        (
            signed.header("authorization", " host", ""),
            "signature_incomplete",
        ),
        (
            signed.header("authorization", "host date", "host"),
            "signature_incomplete",
        ),
        (
            signed.header("authorization", "date digest", "date"),
            "signature_incomplete",
        ),
    ]
}

#[tokio::test]
async fn older_forms_pass_and_no_altered_request_does() {
    let scene = Scene::start_raw(&all_dialects()).await;
    for program in ["cavage.py", "cavage.mjs", "kong.py"] {
        for over in Over::BOTH {
            // Two packages make one signature of one request.
            let url = format!("http://api.example.com/orders/7?b=2&d={program}-{over:?}");
            let signed = sign(program, &keyed(&json!({"url": url}))).await;
            for (altered, reason) in alterations_of_older(&signed) {
                scene.refused_for(&altered, over, reason, &program).await;
            }
            let seen = scene.passes_for(&signed, over, &program).await;
            assert_identity(&seen, "signed:acme", Some("acme"), &["authorization"]);
            let reason = "signature_replayed";
            scene.refused_for(&signed, over, reason, &program).await;
            // There is no nonce; a safe request may be repeated.
            let safe = json!({"url": url, "method": "GET", "body": null});
            let safe = sign(program, &keyed(&safe)).await;
            scene.passes_for(&safe, over, &program).await;
            scene.passes_for(&safe, over, &program).await;
        }
        let url = format!("http://api.example.com/orders/{program}");
        let long = json!({"url": url, "algorithm": "hmac-sha512"});
        if program != "kong.py" {
            let signed = sign(program, &keyed(&long)).await;
            scene.passes_for(&signed, Over::H2, &program).await;
        }
    }
    let proxy = json!({"header": "Proxy-Authorization", "url": "http://api.example.com/orders/p"});
    let proxy = sign("kong.py", &keyed(&proxy)).await;
    let seen = scene.passes(&proxy, Over::H1).await;
    assert_identity(&seen, "signed:acme", Some("acme"), &["proxy-authorization"]);
}

#[tokio::test]
async fn a_cavage_signature_may_stand_in_a_header_of_its_own() {
    let scene = Scene::start(&all_dialects()).await;
    for over in Over::BOTH {
        let url = format!("http://api.example.com/orders/{over:?}");
        let signed = sign("cavage.mjs", &keyed(&json!({"url": url}))).await;
        let authorization = signed.of("authorization");
        let value = authorization
            .strip_prefix("Signature ")
            .expect("its scheme");
        let moved = signed
            .without("authorization")
            .and_header("signature", value);
        scene
            .refused(&moved.method("PUT"), over, "signature_mismatch")
            .await;
        let seen = scene.passes(&moved, over).await;
        assert_identity(&seen, "signed:acme", Some("acme"), &["signature"]);
        scene.refused(&moved, over, "signature_replayed").await;
    }
}

#[tokio::test]
async fn older_forms_are_not_taken_unless_they_are_asked_for() {
    let scene = Scene::start(&policies("{hmac: {}}", &acme(&credentials()))).await;
    for program in ["cavage.py", "cavage.mjs", "kong.py"] {
        let signed = sign(program, &keyed(&json!({}))).await;
        for over in Over::BOTH {
            let reason = "credentials_unrecognised";
            scene.refused_for(&signed, over, reason, &program).await;
        }
    }
}

#[tokio::test]
async fn older_forms_have_to_cover_what_matters() {
    let scene = Scene::start(&all_dialects()).await;
    for (program, covered) in [
        ("cavage.py", &["date"][..]),
        ("cavage.py", &["(request-target)", "host", "date"]),
        ("cavage.mjs", &["(request-target)", "date", "digest"]),
        ("cavage.mjs", &["(request-target)", "host", "digest"]),
        ("cavage.mjs", &["host", "date", "digest"]),
        ("kong.py", &["date"]),
        ("kong.py", &["request-line", "date"]),
    ] {
        let signed = sign(program, &keyed(&json!({"covered": covered}))).await;
        let reason = "signature_incomplete";
        scene
            .refused_for(&signed, Over::H1, reason, &(program, covered))
            .await;
    }
}

#[tokio::test]
async fn only_what_is_fresh_passes() {
    let yaml = policies(
        "{hmac: {dialects: [cavage, kong], max_age: 60s, clock_skew: 20s}}",
        &acme(&credentials()),
    );
    let scene = Scene::start(&yaml).await;
    for program in ["cavage.py", "cavage.mjs", "kong.py"] {
        for (ago, outcome) in [
            (300, Some("signature_expired")),
            (-120, Some("signature_not_yet_valid")),
            (40, None),
            (-10, None),
        ] {
            let url = format!("http://api.example.com/orders/{program}");
            let signed = json!({"now": now() - ago, "url": url});
            let signed = sign(program, &keyed(&signed)).await;
            let over = Over::by_turns(usize::from(ago > 0));
            match outcome {
                Some(reason) => {
                    let who = (program, ago);
                    drop(scene.refused_for(&signed, over, reason, &who).await);
                }
                None => drop(scene.passes_for(&signed, over, &(program, ago)).await),
            }
        }
    }
}

#[tokio::test]
async fn the_policy_may_ask_for_headers() {
    let yaml = policies(
        "{hmac: {require: [content-type], dialects: [own, cavage]}}",
        &acme(&credentials()),
    );
    let scene = Scene::start(&yaml).await;
    let with = own(Client::Python, "POST", "/orders/7", Some("{}")).await;
    scene.passes(&with, Over::H1).await;
    // Without a body the clients sign no Content-Type.
    let without = own(Client::Python, "POST", "/orders/7", None).await;
    let audit = scene
        .refused(&without, Over::H1, "signature_incomplete")
        .await;
    assert_told(&audit, "content-type");
    let older = sign("cavage.mjs", &keyed(&json!({}))).await;
    let audit = scene
        .refused(&older, Over::H2, "signature_incomplete")
        .await;
    assert_told(&audit, "content-type");
    let covered = ["(request-target)", "host", "date", "digest", "content-type"];
    let older = sign("cavage.mjs", &keyed(&json!({"covered": covered}))).await;
    scene.passes(&older, Over::H2).await;
}

#[tokio::test]
async fn old_and_new_secret_count_until_the_old_one_is_gone() {
    let new = SECRET.to_uppercase();
    let both = json!([
        {"key_id": "acme-1", "secret": {"insecure_literal": SECRET}},
        {"key_id": "acme-2", "secret": {"insecure_literal": new}},
    ]);
    let yaml = policies("{hmac: {dialects: cavage}}", &acme(&both.to_string()));
    let scene = Scene::start(&yaml).await;
    for (id, secret, passes) in [
        ("acme-1", SECRET, true),
        ("acme-2", &new, true),
        ("acme-1", &new, false),
        ("acme-2", SECRET, false),
    ] {
        let signed = sign(
            "cavage.py",
            &keyed(&json!({"key_id": id, "secret": secret})),
        )
        .await;
        match passes {
            true => drop(scene.passes(&signed, Over::H2).await),
            false => drop(scene.refused(&signed, Over::H2, "signature_mismatch").await),
        }
    }
}

#[tokio::test]
async fn several_credentials_are_refused() {
    let scene = Scene::start(&all_dialects()).await;
    let signed = sign("cavage.py", &keyed(&json!({}))).await;
    for over in Over::BOTH {
        let twice = signed.and_header("authorization", signed.of("authorization"));
        let response = scene.send(&twice, over).await;
        assert!(matches!(response.status, 400 | 401), "{response:?}");
    }
    let kong = sign("kong.py", &keyed(&json!({}))).await;
    let both = signed.and_header("proxy-authorization", kong.of("authorization"));
    scene
        .refused(&both, Over::H1, "credentials_ambiguous")
        .await;
    assert_eq!(scene.0.upstream.request_count(), 0);
    for response in scene.0.both(|| get("/orders/7")).await {
        let asked = response.headers_all("www-authenticate").join("\n");
        for scheme in ["HMAC-SHA256", "Signature", "hmac"] {
            assert!(asked.contains(&format!("{scheme} realm=")), "{asked}");
        }
    }
}
