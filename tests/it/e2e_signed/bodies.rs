//! Signed bodies that Envoy hands over whole, in part, as text, or not at all.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::clients::{self, Client};
use super::{Over, SECRET, Scene, acme, assert_told, policies, with_bodies};
use crate::support::client::{Request, h1_raw};
use crate::support::envoy_config::{EnvoyConfig, HCM, RequestBody};
use crate::support::signers::{Signed, job, order, sign};
use crate::world::World;

/// A kind, and a program that signs a body by it.
struct Kind {
    authenticator: &'static str,
    credentials: Value,
    program: &'static str,
    keys: Value,
}

fn kinds() -> Vec<Kind> {
    let secret = json!({"insecure_literal": SECRET});
    let with = |name: &str| json!([{name: "acme-1", "secret": secret}]);
    let kind = |authenticator, credentials, program, keys| Kind {
        authenticator,
        credentials,
        program,
        keys,
    };
    vec![
        kind(
            "{http_signature: {}}",
            with("key_id"),
            "http_signature.py",
            json!({"key_id": "acme-1", "secret": SECRET, "algorithm": "hmac-sha256",
                "components": ["@method", "@authority", "@path", "@query"]}),
        ),
        kind(
            "{hmac: {dialects: cavage}}",
            with("key_id"),
            "cavage.mjs",
            json!({"key_id": "acme-1", "secret": SECRET}),
        ),
        kind(
            "{hmac: {dialects: kong}}",
            with("key_id"),
            "kong.py",
            json!({"key_id": "acme-1", "secret": SECRET}),
        ),
        kind(
            "{webhook: {scheme: stripe, secrets: {insecure_literal: whsec_0123456789abcdef}}}",
            Value::Null,
            "webhook.py",
            json!({"scheme": "stripe", "secret": "whsec_0123456789abcdef"}),
        ),
        kind(
            "{webhook: {scheme: github, secrets: {insecure_literal: 0123456789abcdef0123456789abcdef}}}",
            Value::Null,
            "webhook.mjs",
            json!({"scheme": "github", "secret": SECRET}),
        ),
        kind(
            "{sigv4: {service: orders, region: eu-central-1}}",
            with("access_key_id"),
            "sigv4.py",
            json!({"access_key_id": "acme-1", "secret": SECRET,
                "service": "orders", "region": "eu-central-1"}),
        ),
        kind(
            "{sigv4: {service: orders, region: eu-central-1}}",
            with("access_key_id"),
            "sigv4.mjs",
            json!({"access_key_id": "acme-1", "secret": SECRET,
                "service": "orders", "region": "eu-central-1"}),
        ),
        kind(
            "{oauth1: {}}",
            with("consumer_key"),
            "oauth1.py",
            json!({"consumer_key": "acme-1", "secret": SECRET}),
        ),
    ]
}

impl Kind {
    fn policies(&self) -> String {
        match &self.credentials {
            Value::Null => policies(self.authenticator, "{}"),
            credentials => policies(self.authenticator, &acme(&credentials.to_string())),
        }
    }

    async fn signed(&self) -> Signed {
        sign(self.program, &job(&order(), &self.keys)).await
    }
}

fn cut(config: EnvoyConfig) -> EnvoyConfig {
    config.with_request_body(RequestBody {
        max_request_bytes: 8,
        allow_partial_message: true,
        pack_as_bytes: true,
    })
}

fn as_text(config: EnvoyConfig) -> EnvoyConfig {
    config.with_request_body(RequestBody {
        max_request_bytes: 65_536,
        allow_partial_message: false,
        pack_as_bytes: false,
    })
}

#[tokio::test]
async fn a_signed_body_that_envoy_keeps_is_refused_with_the_setting_that_is_missing() {
    for kind in kinds() {
        let scene = Scene(World::start(&kind.policies(), |config| config).await);
        let signed = kind.signed().await;
        for over in Over::BOTH {
            let audit = scene
                .refused_for(&signed, over, "body_unavailable", &kind.program)
                .await;
            assert_told(&audit, "with_request_body");
            assert_told(&audit, "pack_as_bytes: true");
        }
    }
}

#[tokio::test]
async fn a_signed_body_of_the_own_scheme_is_needed_whole() {
    for (setting, told) in [
        (
            (|config| config) as fn(EnvoyConfig) -> EnvoyConfig,
            "with_request_body",
        ),
        (cut, "max_request_bytes"),
    ] {
        let scene = Scene(World::start(&own(), setting).await);
        for over in Over::BOTH {
            let body = Some("{\"item\":\"tea\"}");
            let signed = clients::recorded(Client::Bash, "own", "POST", "/orders/7", body).await;
            let audit = scene.refused(&signed, over, "body_unavailable").await;
            assert_told(&audit, told);
        }
    }
}

#[tokio::test]
async fn a_signed_body_that_envoy_cuts_is_refused_with_the_setting_that_is_wrong() {
    for kind in kinds() {
        let scene = Scene(World::start(&kind.policies(), cut).await);
        let signed = kind.signed().await;
        for over in Over::BOTH {
            let audit = scene
                .refused_for(&signed, over, "body_unavailable", &kind.program)
                .await;
            assert_told(&audit, "max_request_bytes");
            assert_told(&audit, "allow_partial_message: false");
        }
    }
}

#[tokio::test]
async fn a_body_of_text_passes_also_as_text() {
    for kind in kinds() {
        let scene = Scene(World::start(&kind.policies(), as_text).await);
        let signed = kind.signed().await;
        scene.passes_for(&signed, Over::H2, &kind.program).await;
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_need_to_be_packed_as_bytes() {
    let body = b"{\"name\":\"caf\xe9\"}";
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature: String = hmac::sign(&key, body)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let request = || {
        Request::new("POST", "/orders/hook")
            .authority("api.example.com")
            .header("x-hub-signature-256", format!("sha256={signature}"))
            .body(body)
    };
    let secrets = format!("secrets: {{insecure_literal: {SECRET}}}");
    let yaml = policies(&format!("{{webhook: {{scheme: github, {secrets}}}}}"), "{}");

    let scene = Scene::start(&yaml).await;
    for response in scene.0.both(request).await {
        assert_eq!(response.status, 200);
    }
    for seen in scene.0.upstream.take_requests() {
        assert_eq!(seen.body, body);
    }

    let scene = Scene(World::start(&yaml, as_text).await);
    for response in scene.0.both(request).await {
        assert_eq!(response.status, 401);
        let audit = scene.audit(&response).await;
        assert_eq!(audit["reason"], "body_unavailable", "{audit}");
        assert_told(&audit, "pack_as_bytes: true");
    }
}

fn own() -> String {
    let credentials = json!([{"key_id": "acme-1", "secret": {"insecure_literal": SECRET}}]);
    policies("{hmac: {}}", &acme(&credentials.to_string()))
}

#[tokio::test]
async fn chunks_of_a_body_do_not_matter() {
    let scene = Scene::start(&own()).await;
    let body = "{\"item\":\"tea\"}";
    let signed =
        clients::recorded(Client::JavaScript, "own", "POST", "/orders/7", Some(body)).await;
    let host = signed.of("host");
    let head = format!(
        "POST /orders/7 HTTP/1.1\r\nhost: {host}\r\nauthorization: {}\r\ncontent-type: {}\r\n\
         transfer-encoding: chunked\r\n\r\n",
        signed.of("authorization"),
        signed.of("content-type"),
    );
    let (one, other) = body.split_at(5);
    let chunks = format!(
        "{head}5\r\n{one}\r\n{:x}\r\n{other}\r\n0\r\n\r\n",
        other.len()
    );
    let response = h1_raw(scene.0.envoy.addr(), chunks).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(scene.0.upstream.take_requests()[0].body, body.as_bytes());
}

#[tokio::test]
async fn no_body_needs_no_setting() {
    let scene = Scene(World::start(&own(), |config| config).await);
    for client in Client::ALL {
        for method in ["GET", "POST", "DELETE"] {
            let signed = clients::recorded(client, "own", method, "/orders/7", None).await;
            scene.passes_for(&signed, Over::H1, &(client, method)).await;
        }
        let signed = clients::recorded(client, "own", "POST", "/orders/7", None).await;
        scene.passes_for(&signed, Over::H2, &client).await;
        let audit = scene
            .refused_for(&signed.body("{}"), Over::H2, "body_unavailable", &client)
            .await;
        assert_told(&audit, "with_request_body");
    }
}

#[tokio::test]
async fn an_upgrade_has_no_body_that_could_be_proven() {
    let upgrades = |config: EnvoyConfig| {
        with_bodies(config).raw_patch(|json| {
            let hcm = json
                .pointer_mut(HCM)
                .expect("there is a connection manager");
            hcm["upgrade_configs"] = json!([{"upgrade_type": "websocket"}]);
        })
    };
    let scene = Scene(World::start(&own(), upgrades).await);
    let signed = clients::recorded(Client::Python, "own", "GET", "/orders/7", None).await;
    let host = signed.of("host");
    let upgrade = format!(
        "GET /orders/7 HTTP/1.1\r\nhost: {host}\r\nauthorization: {}\r\nconnection: Upgrade\r\n\
         upgrade: websocket\r\n\r\n",
        signed.of("authorization"),
    );
    let response = h1_raw(scene.0.envoy.addr(), upgrade).await;
    assert_eq!(response.status, 401, "{}", response.text());
    let audit = scene.audit(&response).await;
    assert_eq!(audit["reason"], "body_unavailable", "{audit}");
    assert_told(&audit, "upgrade");
}
