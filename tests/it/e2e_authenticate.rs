//! `any`, `all` and `optional`, each seen through a real Envoy.

use serde_json::json;

use crate::support::client::{Request, Response};
use crate::world::{ISSUER, Signer, TestKey, World, class, get};

/// Tokens of a login, keys of a partner in one header and of a device in another.
struct Keys {
    partner: TestKey,
    device: TestKey,
}

fn policies(routes: &str) -> (Keys, String) {
    let (partner, device) = (TestKey::new("live", "p1"), TestKey::new("live", "d1"));
    let jwks = json!({"keys": [Signer::shared().jwk()]});
    let yaml = format!(
        r#"
authenticators:
  login: {{jwt: {{issuer: "{ISSUER}", audiences: [orders-api], jwks: {{inline: {jwks}}}}}}}
  partner: {{api_key: {{}}}}
  device: {{api_key: {{from: {{header: x-device-key}}}}}}
consumers:
  acme: {{scopes: [orders:write], credentials: {{partner: [{{id: p1, hash: "{}"}}]}}}}
  till-7: {{credentials: {{device: [{{id: d1, hash: "{}"}}]}}}}
defaults:
  inject:
    x-auth-principal: principal.id
    x-auth-consumer: consumer.name
    x-auth-scopes: principal.scopes
policies:
  api:
    hosts: [api.example.com]
    routes:
{routes}
"#,
        partner.hash, device.hash
    );
    (Keys { partner, device }, yaml)
}

fn bearer() -> String {
    format!("Bearer {}", Signer::shared().token(&json!({})))
}

fn with(path: &str, lines: &[(&str, &str)]) -> Request {
    let mut request = get(path);
    for (name, value) in lines {
        request = request.header(name, value);
    }
    request
}

fn challenges(response: &Response) -> Vec<&str> {
    response.headers_all("www-authenticate")
}

#[tokio::test]
async fn all_of_asks_for_each_and_passes_none_of_them_on() {
    let (keys, yaml) = policies(
        "      - {path: /all, authenticate: {all: [login, partner]}}
      - {path: /keys, authenticate: {all: [partner, device], principal: device}}",
    );
    let world = World::start(&yaml, |config| config).await;
    let (token, partner, device) = (bearer(), &keys.partner.plain, &keys.device.plain);
    let token = token.as_str();
    let lines = [("authorization", token), ("x-api-key", partner)];
    for response in world.both(|| with("/all", &lines)).await {
        assert_eq!(response.status, 200);
    }
    for seen in world.upstream.take_requests() {
        assert_eq!(seen.header("x-auth-principal"), Some("login:alice"));
        assert_eq!(seen.header("x-auth-consumer"), None, "the key's consumer");
        assert_eq!(seen.header("x-auth-scopes"), Some("orders:read"));
        for name in ["authorization", "x-api-key"] {
            assert_eq!(seen.header(name), None, "{name}");
        }
    }
    let audit = world
        .portcullis
        .wait_for_audit(|line| line["principal"] == "login:alice")
        .await;
    assert_eq!(
        audit["also"],
        json!([{
            "authenticator": "partner", "principal": "partner:acme",
            "consumer": "acme", "credential_id": "p1", "scopes": ["orders:write"],
        }])
    );

    let lines = [("x-api-key", partner.as_str()), ("x-device-key", device)];
    let response = with("/keys", &lines).send_h1(world.envoy.addr()).await;
    assert_eq!(response.status, 200);
    let seen = world.upstream.take_requests();
    assert_eq!(seen[0].header("x-auth-principal"), Some("device:till-7"));

    let key_challenge = "ApiKey realm=\"portcullis\", in=\"header\", name=\"x-api-key\"";
    let token_challenge = "Bearer realm=\"portcullis\"";
    for (lines, expected, asks) in [
        (
            &[("authorization", token)][..],
            "credentials_missing",
            key_challenge,
        ),
        (
            &[("x-api-key", partner.as_str())],
            "credentials_missing",
            token_challenge,
        ),
        (
            &[("authorization", token), ("x-api-key", "wrong")],
            "credentials_invalid",
            key_challenge,
        ),
    ] {
        for response in world.both(|| with("/all", lines)).await {
            assert_eq!(
                (response.status, class(&response).as_str()),
                (401, expected)
            );
            assert_eq!(challenges(&response), [asks]);
        }
    }
    assert_eq!(world.upstream.request_count(), 0);
}

#[tokio::test]
async fn an_alternative_may_be_several_credentials_and_none_may_be_wrong() {
    let (keys, yaml) =
        policies("      - {path: /, authenticate: {any: [{all: [login, device]}, partner]}}");
    let world = World::start(&yaml, |config| config).await;
    let (token, partner) = (bearer(), keys.partner.plain.as_str());
    let device = keys.device.plain.as_str();
    for (lines, status, principal) in [
        (
            &[("authorization", token.as_str()), ("x-device-key", device)][..],
            200,
            Some("login:alice"),
        ),
        (&[("x-api-key", partner)], 200, Some("partner:acme")),
        (
            &[("authorization", token.as_str()), ("x-api-key", partner)],
            200,
            Some("partner:acme"),
        ),
        (&[("authorization", token.as_str())], 401, None),
        (&[("x-device-key", device)], 401, None),
        (
            &[("authorization", token.as_str()), ("x-device-key", "wrong")],
            401,
            None,
        ),
        (
            &[("authorization", "Bearer a.b.c"), ("x-api-key", partner)],
            401,
            None,
        ),
        (
            &[("x-device-key", device), ("x-api-key", partner)],
            400,
            None,
        ),
        (&[], 401, None),
    ] {
        for response in world.both(|| with("/", lines)).await {
            assert_eq!(response.status, status, "{lines:?}");
        }
        let seen = world.upstream.take_requests();
        let principals: Vec<Option<&str>> =
            seen.iter().map(|r| r.header("x-auth-principal")).collect();
        assert!(principals.iter().all(|seen| *seen == principal));
        assert_eq!(principals.len(), if status == 200 { 2 } else { 0 });
    }
}

#[tokio::test]
async fn optional_passes_who_sends_nothing_without_an_identity() {
    let (keys, yaml) = policies(
        "      - {path: /open, authenticate: [login, partner], optional: true}
      - {path: /write, authenticate: [login, partner], optional: true, scopes: orders:write}",
    );
    let world = World::start(&yaml, |config| config).await;
    let forged = [
        ("x-auth-principal", "partner:acme"),
        ("x_auth_principal", "partner:acme"),
        ("x-auth-scopes", "orders:write"),
    ];
    for response in world.both(|| with("/open", &forged)).await {
        assert_eq!(response.status, 200);
    }
    for seen in world.upstream.take_requests() {
        for name in ["x-auth-principal", "x_auth_principal", "x-auth-scopes"] {
            assert_eq!(seen.header(name), None, "{name}");
        }
    }
    let key = [("x-api-key", keys.partner.plain.as_str())];
    for path in ["/open", "/write"] {
        let response = with(path, &key).send_h1(world.envoy.addr()).await;
        assert_eq!(response.status, 200);
        let seen = world.upstream.take_requests();
        assert_eq!(seen[0].header("x-auth-principal"), Some("partner:acme"));
        assert_eq!(seen[0].header("x-api-key"), None);
    }
    for (path, lines, expected) in [
        (
            "/open",
            &[("x-api-key", "wrong")][..],
            "credentials_invalid",
        ),
        (
            "/open",
            &[("authorization", "Basic YTpi")],
            "credentials_invalid",
        ),
        ("/write", &forged, "credentials_missing"),
    ] {
        for response in world.both(|| with(path, lines)).await {
            assert_eq!(
                (response.status, class(&response).as_str()),
                (401, expected)
            );
            assert_eq!(challenges(&response).len(), 2);
        }
    }
    assert_eq!(world.upstream.request_count(), 0);
}
