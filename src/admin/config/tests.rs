use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Configured;
use crate::clock::Timestamp;
use crate::secret::Digest;
use crate::snapshot::status::{Loaded, SetStatus};
use crate::test_support::{World, compile, table};

const GOOD: &str = "policies: {p: {hosts: ['*'], public: true, routes: [{path: /}]}}";

fn loaded(policy: &str) -> Loaded {
    Loaded::of(
        &table(policy),
        Digest::of(b"abc"),
        Timestamp::from_seconds(1_800_000_000),
    )
}

fn configured() -> Configured {
    let enforced = Arc::new(SetStatus::new("enforced", Path::new("/etc/policies")));
    enforced.loaded(loaded(GOOD), compile(&[]).1);
    Configured {
        pipeline: Arc::new(World::new(GOOD).pipeline),
        enforced,
        candidate: None,
        listeners: Box::new(Vec::new),
    }
}

async fn get(configured: &Configured, query: Option<&str>) -> (u16, String) {
    let answer = configured.answer(query);
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await;
    (status, String::from_utf8(body.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn says_what_serves() {
    let configured = configured();
    let (status, body) = get(&configured, None).await;
    assert_eq!(status, 200);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        body,
        json!({
            "directory": "/etc/policies", "generation": 1, "loaded_at": "2027-01-15T08:00:00.000Z",
            "fingerprint": "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "policies": 1, "routes": 1, "consumers": 0, "authenticators": 0, "stale": false,
            "error_count": 0, "errors": [], "warnings": [], "waiting_for_keys": [],
            "listeners": [],
        })
    );
    let (status, text) = get(&configured, Some("format=text")).await;
    assert_eq!(status, 200);
    assert!(
        text.contains("generation 1, loaded at 2027-01-15T08:00:00.000Z"),
        "{text}"
    );
    assert_eq!(get(&configured, Some("format=xml")).await.0, 400);
}

#[tokio::test]
async fn says_what_is_wrong_and_where() {
    let configured = Configured {
        candidate: Some(Arc::new(SetStatus::new(
            "candidate",
            Path::new("/etc/next"),
        ))),
        ..configured()
    };
    let (_, problems) = compile(&[("a.yaml", "polices: {}\n")]);
    configured.enforced.failed(problems.clone());
    configured.candidate.as_ref().unwrap().failed(problems);
    let (_, body) = get(&configured, Some("format=json")).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["stale"], &body["generation"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(
        (&body["routes"], &body["error_count"]),
        (&json!(1), &json!(1))
    );
    let error = &body["errors"][0];
    for (member, value) in [
        ("file", json!("a.yaml")),
        ("line", json!(1)),
        ("column", json!(1)),
        ("code", json!("unknown-key")),
    ] {
        assert_eq!(error[member], value, "{error}");
    }
    assert!(
        error["message"].as_str().unwrap().contains("polices"),
        "{error}"
    );
    assert!(
        error["help"].as_str().unwrap().contains("policies"),
        "{error}"
    );
    assert_eq!(body["candidate"]["generation"], 0);
    assert_eq!(body["candidate"]["loaded_at"], Value::Null);
    assert_eq!(body["candidate"]["stale"], true);
    let (_, text) = get(&configured, Some("format=text")).await;
    for part in [
        "enforced: /etc/policies",
        "^^^^^^^",
        "candidate: /etc/next",
        "nothing was loaded yet",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
