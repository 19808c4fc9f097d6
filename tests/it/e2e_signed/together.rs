//! Signatures beside other credentials, and what is left of them for the upstream.

use serde_json::{Value, json};

use super::{Over, SECRET, Scene};
use crate::support::signers::{Signed, job, order, sign};

/// Three ways to sign for one consumer.
fn policies(more: &str) -> String {
    let secret = format!("secret: {{insecure_literal: {SECRET}}}");
    format!(
        r#"
authenticators:
  message: {{http_signature: {{{more}}}}}
  aws: {{sigv4: {{service: orders, region: eu-central-1{}{more}}}}}
  oauth: {{oauth1: {{{more}}}}}
consumers:
  acme:
    scopes: [orders:write]
    credentials:
      message: [{{key_id: acme-1, {secret}}}]
      aws: [{{access_key_id: acme-1, {secret}}}]
      oauth: [{{consumer_key: acme-1, {secret}}}]
defaults:
  inject: {{x-auth-principal: principal.id}}
policies:
  api:
    hosts: [api.example.com]
    routes:
      - {{path: /orders/**, authenticate: [message, aws, oauth]}}
      - {{path: /open/**, authenticate: [message, aws, oauth], optional: true, methods: [GET, POST]}}
      - {{path: /both/**, authenticate: {{all: [message, aws]}}}}
"#,
        if more.is_empty() { "" } else { ", " }
    )
}

async fn message(more: &Value) -> Signed {
    let key = json!({"key_id": "acme-1", "algorithm": "hmac-sha256", "secret": SECRET});
    sign("http_signature.mjs", &job(&job(&order(), &key), more)).await
}

async fn aws(more: &Value) -> Signed {
    let key = json!({
        "access_key_id": "acme-1", "secret": SECRET,
        "service": "orders", "region": "eu-central-1",
    });
    sign("sigv4.py", &job(&job(&order(), &key), more)).await
}

async fn oauth(more: &Value) -> Signed {
    let key = json!({"consumer_key": "acme-1", "secret": SECRET});
    sign("oauth1.py", &job(&job(&order(), &key), more)).await
}

fn a_get(more: &Value) -> Value {
    job(&json!({"method": "GET", "body": null, "headers": {}}), more)
}

/// With the headers of `other` that hold its signature.
fn beside(signed: &Signed, other: &Signed) -> Signed {
    let mut both = signed.clone();
    let held = |name: &str| {
        let name = name.to_ascii_lowercase();
        [
            "authorization",
            "x-amz-date",
            "signature",
            "signature-input",
        ]
        .contains(&name.as_str())
    };
    let headers = other.headers.iter().filter(|(name, _)| held(name));
    both.headers.extend(headers.cloned());
    both
}

#[tokio::test]
async fn of_several_the_first_of_the_route_decides_and_none_reaches_the_upstream() {
    let scene = Scene::start(&policies("")).await;
    let (one, two, three) = (
        message(&json!({})).await,
        aws(&json!({})).await,
        oauth(&json!({})).await,
    );
    for (signed, name) in [(&one, "message"), (&two, "aws"), (&three, "oauth")] {
        let seen = scene.passes_for(signed, Over::H2, &name).await;
        let principal = format!("{name}:acme");
        assert_eq!(seen.header("x-auth-principal"), Some(principal.as_str()));
    }
    let path = json!({"url": "http://api.example.com/orders/8?b=2"});
    let (one, two) = (message(&path).await, aws(&path).await);
    let in_url = aws(&a_get(&json!({"presign": 60}))).await;
    let one_get = message(&a_get(&json!({"url": in_url.url}))).await;
    for (both, over) in [
        (beside(&one, &two), Over::H1),
        (beside(&in_url, &one_get), Over::H2),
    ] {
        let broken = both.flipped("signature", 8);
        scene.refused(&broken, over, "signature_mismatch").await;
        let seen = scene.passes(&both, over).await;
        assert_eq!(seen.header("x-auth-principal"), Some("message:acme"));
        for name in ["authorization", "signature", "signature-input"] {
            assert_eq!(seen.header(name), None);
        }
        assert!(!seen.target.contains("X-Amz-"), "{}", seen.target);
    }
    // Two in one place.
    let twice = beside(&two, &three);
    let response = scene.send(&twice, Over::H1).await;
    assert!(matches!(response.status, 400 | 401), "{}", response.text());
}

#[tokio::test]
async fn where_two_are_asked_for_both_have_to_hold() {
    let scene = Scene::start(&policies("")).await;
    for (turn, over) in Over::BOTH.into_iter().enumerate() {
        let path = |number: usize| json!({"url": format!("http://api.example.com/both/{}?b=2", turn * 10 + number)});
        for alone in [message(&path(1)).await, aws(&path(2)).await] {
            scene.refused(&alone, over, "credentials_missing").await;
        }
        for (number, header) in [(3, "signature"), (4, "authorization")] {
            let both = beside(&message(&path(number)).await, &aws(&path(number)).await);
            let broken = both.flipped(header, 8);
            let reason = "signature_mismatch";
            scene.refused_for(&broken, over, reason, &header).await;
        }
        let both = beside(&message(&path(5)).await, &aws(&path(5)).await);
        let seen = scene.passes(&both, over).await;
        for name in ["authorization", "signature", "signature-input"] {
            assert_eq!(seen.header(name), None);
        }
        scene.refused(&both, over, "signature_replayed").await;
    }
}

#[tokio::test]
async fn optional_lets_nobody_pass_with_a_signature_that_does_not_hold() {
    let scene = Scene::start(&policies("")).await;
    let open =
        |path: &str| a_get(&json!({"url": format!("http://api.example.com/open/{path}?b=2")}));
    let one = message(&open("message")).await;
    let two = aws(&open("aws")).await;
    let in_url = aws(&job(&open("url"), &json!({"presign": 60}))).await;
    let three = oauth(&open("oauth")).await;
    let in_query = oauth(&job(&open("query"), &json!({"place": "query"}))).await;
    for (broken, reason) in [
        (one.flipped("signature", 8), "signature_mismatch"),
        (one.without("signature"), "signature_malformed"),
        (one.without("signature-input"), "signature_malformed"),
        (two.flipped("authorization", 1), "signature_mismatch"),
        (two.without("x-amz-date"), "signature_malformed"),
        (in_url.url("b=2", "b=3"), "signature_mismatch"),
        (
            in_url.url("X-Amz-Signature=", "X-Amz-Nothing="),
            "signature_malformed",
        ),
        (three.url("b=2", "b=3"), "signature_mismatch"),
        (in_query.url("b=2", "b=3"), "signature_mismatch"),
        (
            in_query.url("oauth_signature=", "oauth_sealed="),
            "signature_malformed",
        ),
    ] {
        for over in Over::BOTH {
            scene.refused(&broken, over, reason).await;
        }
    }
    for signed in [&one, &two, &in_url, &three, &in_query] {
        let seen = scene.passes(signed, Over::H1).await;
        assert!(seen.header("x-auth-principal").is_some());
    }
    let nothing = one.without("signature").without("signature-input");
    let seen = scene.passes(&nothing, Over::H2).await;
    assert_eq!(seen.header("x-auth-principal"), None);
}

#[tokio::test]
async fn forward_leaves_a_signature_where_it_is() {
    let scene = Scene::start(&policies("forward: true")).await;
    let one = message(&json!({})).await;
    let seen = scene.passes(&one, Over::H1).await;
    for name in ["signature", "signature-input"] {
        assert_eq!(seen.header(name), Some(one.of(name)));
    }
    let two = aws(&json!({})).await;
    let seen = scene.passes(&two, Over::H2).await;
    assert_eq!(seen.header("authorization"), Some(two.of("authorization")));
    let in_url = aws(&a_get(&json!({"presign": 60}))).await;
    let seen = scene.passes(&in_url, Over::H1).await;
    assert!(in_url.url.ends_with(&seen.target), "{}", seen.target);
    let in_query = oauth(&a_get(&json!({"place": "query"}))).await;
    let seen = scene.passes(&in_query, Over::H2).await;
    assert!(in_query.url.ends_with(&seen.target), "{}", seen.target);
}

#[tokio::test]
async fn how_a_host_is_written_does_not_matter_where_the_scheme_says_so() {
    let scene = Scene::start(&policies("")).await;
    for (host, over) in [
        ("API.Example.com", Over::H1),
        ("API.Example.com", Over::H2),
        ("api.example.com:80", Over::H1),
        ("api.example.com:80", Over::H2),
    ] {
        let path = format!("http://api.example.com/orders/{over:?}?host={host}");
        let path = json!({"url": path});
        for signed in [message(&path).await, oauth(&path).await] {
            let written = signed.url("api.example.com", host);
            scene.passes_for(&written, over, &host).await;
        }
        // SigV4 signs the header as it was sent.
        let signed = aws(&path).await.url("api.example.com", host);
        let reason = "signature_mismatch";
        scene.refused_for(&signed, over, reason, &host).await;
    }
}
