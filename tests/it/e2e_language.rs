//! The whole example of the policy language, as far as its parts exist, through a real Envoy.

use serde_json::{Value, json};

use crate::support::client::Request;
use crate::world::{ISSUER, Signer, TestKey, World, class};

fn example(live: &TestKey, revoked: &TestKey) -> String {
    let jwks = json!({"keys": [Signer::shared().jwk()]});
    format!(
        r#"
version: portcullis/v1

authenticators:
  partner-key:
    api_key:
      from:
        - {{header: x-api-key}}
        - {{header: authorization, scheme: ApiKey}}
  company-login:
    jwt:
      issuer: {ISSUER}
      audiences: [orders-api]
      algorithms: [RS256, ES256, EdDSA]
      roles: {{claim: realm_access.roles, map: {{order-clerk: clerk}}}}
      jwks: {{inline: {jwks}}}
  mesh:
    mtls:
      trust_domains: [prod.example.com]
      allow: [{{namespace: billing}}, {{spiffe_id: "spiffe://prod.example.com/ns/web/sa/*"}}]
      except: [{{namespace: istio-system, service_account: ingressgateway}}]
  stripe-hooks:
    webhook: {{scheme: stripe, secrets: [{{insecure_literal: whsec_0123456789abcdef}}], max_age: 5m}}
  partner-signature:
    hmac: {{max_age: 5m, clock_skew: 30s, require: ["@method", "@path", "@query", host, content-digest]}}

roles:
  clerk: {{scopes: ["orders:*"]}}

consumers:
  acme-billing:
    environment: live
    scopes: [invoices:read]
    roles: [clerk]
    allow_ips: [203.0.113.0/24]
    expires: 2099-06-30
    metadata: {{tenant: acme}}
    credentials:
      partner-key:
        - {{id: k7Yt2Q, hash: "{}", expires: 2099-01-31, scopes: [orders:read]}}
        - {{id: gone, hash: "{}"}}
      partner-signature:
        - {{key_id: acme-1, secret: {{insecure_literal: 0123456789abcdef0123456789abcdef}}}}
      mesh:
        - {{spiffe_id: spiffe://prod.example.com/ns/billing/sa/worker}}
      company-login:
        - {{claim: azp, value: acme-app}}

defaults:
  environment: live
  client_address: {{trusted_hops: 1}}
  inject:
    x-auth-principal: principal.id
    x-auth-subject: principal.subject
    x-auth-consumer: consumer.name
    x-auth-scopes: principal.scopes

policies:
  orders:
    hosts: [api.example.com, "*.api.example.com"]
    authenticate: [company-login, partner-key]
    cors: {{origins: [https://app.example.com], headers: [authorization], max_age: 10m}}
    routes:
      - {{path: /healthz, methods: [GET], public: true}}
      - {{path: /orders, methods: [GET], scopes: [orders:read]}}
      - path: /orders/{{order_id}}
        methods: [PUT, DELETE]
        scopes: [orders:write]
        roles: [clerk]
        when: principal.claims.tenant == request.headers["x-tenant"]
      - path: /internal/**
        authenticate: {{all: [company-login, partner-key]}}
        callers: [{{consumer: acme-billing}}]
        scopes: [internal]
      - grpc: {{service: orders.v1.OrderService, methods: [Get, List]}}
        scopes: [orders:read]
  catalogue:
    hosts: [shop.example.com]
    authenticate: [partner-key]
    routes:
      GET /items: orders:read
      GET /items/{{id}}: items:read
      PUT|DELETE /items/{{id}}: {{scopes: [items:write]}}
      GET /health: public

revocations:
  - {{credential: gone}}
  - {{subject: "company-login:mallory", before: 2099-11-01T00:00:00Z}}
"#,
        live.hash, revoked.hash
    )
}

fn request(method: &str, host: &str, path: &str, lines: &[(&str, &str)]) -> Request {
    let mut request = Request::new(method, path).authority(host);
    for (name, value) in lines {
        request = request.header(name, value);
    }
    request
}

const API: &str = "api.example.com";
const SHOP: &str = "shop.example.com";

#[tokio::test]
async fn the_whole_example_runs_as_written() {
    let (key, gone) = (TestKey::new("live", "k7Yt2Q"), TestKey::new("live", "gone"));
    let world = World::start(&example(&key, &gone), |config| config).await;
    let token = |claims: &Value| format!("Bearer {}", Signer::shared().token(claims));
    let reader = token(&json!({}));
    let clerk = token(&json!({
        "scope": "orders:write", "tenant": "acme", "realm_access": {"roles": ["order-clerk"]},
    }));
    let mallory = token(&json!({"sub": "mallory"}));
    let app = token(&json!({"scope": "internal"}));
    let as_scheme = format!("ApiKey {}", key.plain);
    let (key, gone) = (key.plain.as_str(), gone.plain.as_str());
    let from = ("x-forwarded-for", "203.0.113.9");
    let elsewhere = ("x-forwarded-for", "198.51.100.9");
    let bearer = |token: &str| -> Vec<(String, String)> {
        vec![("authorization".to_owned(), token.to_owned())]
    };
    let plain = |lines: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = lines
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect()
    };
    let tenant = |token: &str, tenant: &str| {
        let mut lines = bearer(token);
        lines.push(("x-tenant".to_owned(), tenant.to_owned()));
        lines
    };
    for (method, host, path, lines, status, reason) in [
        ("GET", API, "/healthz", vec![], 200, "allowed"),
        (
            "GET",
            "eu.api.example.com",
            "/healthz",
            vec![],
            200,
            "allowed",
        ),
        ("GET", API, "/orders", vec![], 401, "credentials_missing"),
        ("GET", API, "/orders", bearer(&reader), 200, "allowed"),
        (
            "GET",
            API,
            "/orders",
            plain(&[("x-api-key", key), from]),
            200,
            "allowed",
        ),
        (
            "GET",
            API,
            "/orders",
            plain(&[("authorization", &as_scheme), from]),
            200,
            "allowed",
        ),
        (
            "GET",
            API,
            "/orders",
            plain(&[("x-api-key", key), elsewhere]),
            403,
            "address_refused",
        ),
        (
            "GET",
            API,
            "/orders",
            plain(&[("x-api-key", gone), from]),
            401,
            "credentials_revoked",
        ),
        (
            "GET",
            API,
            "/orders",
            bearer(&mallory),
            401,
            "credentials_revoked",
        ),
        (
            "POST",
            API,
            "/orders",
            bearer(&reader),
            405,
            "method_not_allowed",
        ),
        (
            "PUT",
            API,
            "/orders/7",
            tenant(&clerk, "acme"),
            200,
            "allowed",
        ),
        (
            "PUT",
            API,
            "/orders/7",
            tenant(&clerk, "other"),
            403,
            "condition_false",
        ),
        (
            "PUT",
            API,
            "/orders/7",
            bearer(&clerk),
            403,
            "condition_failed",
        ),
        (
            "PUT",
            API,
            "/orders/7",
            tenant(&reader, "acme"),
            403,
            "scope_insufficient",
        ),
        (
            "GET",
            API,
            "/internal/x",
            bearer(&app),
            401,
            "credentials_missing",
        ),
        (
            "GET",
            API,
            "/internal/x",
            plain(&[("authorization", &app), ("x-api-key", key), from]),
            200,
            "allowed",
        ),
        (
            "GET",
            API,
            "/internal/x",
            plain(&[("authorization", &reader), ("x-api-key", key), from]),
            403,
            "scope_insufficient",
        ),
        (
            "POST",
            API,
            "/orders.v1.OrderService/Get",
            bearer(&reader),
            200,
            "allowed",
        ),
        (
            "POST",
            API,
            "/orders.v1.OrderService/Put",
            bearer(&reader),
            403,
            "route_unknown",
        ),
        (
            "GET",
            SHOP,
            "/items",
            plain(&[("x-api-key", key), from]),
            200,
            "allowed",
        ),
        (
            "GET",
            SHOP,
            "/items/1",
            plain(&[("x-api-key", key), from]),
            403,
            "scope_insufficient",
        ),
        (
            "PATCH",
            SHOP,
            "/items/1",
            plain(&[("x-api-key", key), from]),
            405,
            "method_not_allowed",
        ),
        ("GET", SHOP, "/health", vec![], 200, "allowed"),
    ] {
        let lines: Vec<(&str, &str)> = lines
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let response = request(method, host, path, &lines)
            .send_h1(world.envoy.addr())
            .await;
        assert_eq!(response.status, status, "{method} {host}{path} {reason}");
        let decision = world
            .portcullis
            .wait_for_audit(|line| line["path"] == path && line["reason"] == reason)
            .await;
        assert_eq!(decision["status"], status, "{method} {host}{path}");
        if status == 200 {
            let seen = world.upstream.take_requests().pop().expect("it arrived");
            for name in ["authorization", "x-api-key"] {
                assert_eq!(seen.header(name), None, "{path}: {name}");
            }
        } else {
            assert!(world.upstream.take_requests().is_empty(), "{path}");
            assert_ne!(class(&response), "allowed");
        }
    }
}

#[tokio::test]
async fn a_preflight_of_the_example_is_answered() {
    let (key, gone) = (TestKey::new("live", "k7Yt2Q"), TestKey::new("live", "gone"));
    let world = World::start(&example(&key, &gone), |config| config).await;
    let lines = [
        ("origin", "https://app.example.com"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization"),
    ];
    let response = request("OPTIONS", API, "/orders/7", &lines)
        .send_h1(world.envoy.addr())
        .await;
    assert_eq!(response.status, 204);
    assert_eq!(
        response.headers_all("access-control-allow-origin"),
        ["https://app.example.com"]
    );
    assert_eq!(response.headers_all("access-control-max-age"), ["600"]);
    assert!(world.upstream.take_requests().is_empty());
}
