//! What policies can say, each seen through a real Envoy.

use serde_json::json;

use crate::support::client::Request;
use crate::support::envoy_config::HCM;
use crate::world::{ISSUER, Signer, TestKey, Usual, World, class, get, request};

#[tokio::test]
async fn a_request_without_tls_is_refused_before_its_credential_is_read() {
    let usual = Usual::new();
    // An Envoy at the edge: it says itself what the scheme was, whatever the client claims. One that is
    // not told to trusts `x-forwarded-proto`, as it must behind a load balancer that ends TLS.
    let world = World::launch(&usual.yaml, &["--require-tls"], |config| {
        config.raw_patch(|json| {
            let manager = json.pointer_mut(HCM).expect("the connection manager");
            manager["use_remote_address"] = json!(true);
        })
    })
    .await;
    for response in world
        .both(|| get("/orders").header("x-api-key", "wrong"))
        .await
    {
        assert_eq!(
            (response.status, class(&response).as_str()),
            (403, "forbidden")
        );
    }
    let audit = world
        .portcullis
        .wait_for_audit(|line| line["reason"] == "tls_required")
        .await;
    assert_eq!(audit.get("authenticator"), None);
    let spoofed = get("/healthz")
        .header("x-forwarded-proto", "https")
        .send_h1(world.envoy.addr())
        .await;
    assert_eq!(spoofed.status, 403);
    assert_eq!(world.upstream.request_count(), 0);
}

#[tokio::test]
async fn envoy_can_pin_a_request_to_a_policy() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, |config| {
        config
            .route("/pinned", &[("policy", "orders")])
            .route("/orders", &[("policy", "other")])
            .route("/healthz", &[("policy", "orders")])
            .route("/public", &[("policy", "no-such-policy")])
    })
    .await;
    let status = async |request: Request| {
        let response = request.send_h1(world.envoy.addr()).await;
        (response.status, class(&response))
    };
    assert_eq!(
        get("/healthz").send_h1(world.envoy.addr()).await.status,
        200
    );
    // `other` has hosts of its own, and they still hold.
    assert_eq!(status(get("/orders")).await, (403, "forbidden".into()));
    assert_eq!(status(get("/public/x")).await, (403, "forbidden".into()));
    for (reason, pinned) in [
        ("allowed", "orders"),
        ("policy_unknown", "no-such-policy"),
        ("route_unknown", "other"),
    ] {
        world
            .portcullis
            .wait_for_audit(|line| line["reason"] == reason && line["pinned"] == pinned)
            .await;
    }
}

/// Over loopback Envoy appends the address of its machine, as no proxy did.
#[tokio::test]
async fn what_envoy_appends_to_x_forwarded_for_is_not_the_clients_address() {
    for appends in [false, true] {
        let policies = format!(
            "defaults: {{client_address: {{trusted_hops: 1, envoy_appends: {appends}}}}}
policies:
  p: {{hosts: ['*'], public: true, routes: [{{path: /, allow_ips: 203.0.113.0/24}}]}}
"
        );
        let world = World::start(&policies, |config| {
            config.raw_patch(|json| {
                let manager = json.pointer_mut(HCM).expect("the connection manager");
                manager["use_remote_address"] = json!(appends);
            })
        })
        .await;
        for (forwarded, status) in [
            ("203.0.113.9", 200),
            ("198.51.100.1, 203.0.113.9", 200),
            ("203.0.113.9, 198.51.100.1", 403),
        ] {
            let from = || get("/").header("x-forwarded-for", forwarded);
            for response in world.both(from).await {
                assert_eq!(response.status, status, "{appends} {forwarded}");
            }
        }
        world
            .portcullis
            .wait_for_audit(|line| line["client_address"] == "203.0.113.9")
            .await;
    }
}

#[tokio::test]
async fn several_kinds_of_credentials_share_the_bearer_scheme() {
    let key = TestKey::new("live", "k1");
    let jwks = json!({"keys": [Signer::shared().jwk()]});
    let policies = format!(
        r#"
authenticators:
  keys: {{api_key: {{from: [{{header: authorization, scheme: Bearer}}]}}}}
  tokens: {{jwt: {{issuer: "{ISSUER}", audiences: [orders-api], jwks: {{inline: {jwks}}}, forward: true}}}}
consumers:
  acme: {{credentials: {{keys: [{{id: k1, hash: "{}"}}]}}}}
defaults:
  unknown_route: not_found
  inject: {{x-auth-principal: principal.id, x-auth-route: route.path, x-auth-order: {{value: path.order_id, required: true}}}}
policies:
  p:
    hosts: ["*"]
    authenticate: [tokens, keys]
    routes:
      - path: /orders/{{order_id}}
"#,
        key.hash
    );
    let world = World::start(&policies, |config| config).await;
    let with = |value: String| get("/orders/a%20b").header("authorization", value);
    let token = format!("bearer {}", Signer::shared().token(&json!({})));
    assert_eq!(
        with(token.clone()).send_h1(world.envoy.addr()).await.status,
        200
    );
    assert_eq!(
        with(format!("Bearer {}", key.plain))
            .send_h1(world.envoy.addr())
            .await
            .status,
        200
    );
    let seen = world.upstream.take_requests();
    assert_eq!(seen[0].header("x-auth-principal"), Some("tokens:alice"));
    assert_eq!(
        seen[0].header("authorization"),
        Some(token.as_str()),
        "forwarded by choice"
    );
    assert_eq!(seen[0].header("x-auth-order"), Some("a b"));
    assert_eq!(seen[0].header("x-auth-route"), Some("/orders/{order_id}"));
    assert_eq!(seen[1].header("x-auth-principal"), Some("keys:acme"));
    assert_eq!(seen[1].header("authorization"), None);
    for (value, reason) in [
        ("Bearer opaque".to_owned(), "credentials_unrecognised"),
        (format!("Bearer x{}", key.plain), "credentials_unrecognised"),
        ("Bearer a.b.c".to_owned(), "token_malformed"),
    ] {
        assert_eq!(with(value).send_h1(world.envoy.addr()).await.status, 401);
        world
            .portcullis
            .wait_for_audit(|line| line["reason"] == reason)
            .await;
    }
    let unknown = get("/nowhere").send_h1(world.envoy.addr()).await;
    assert_eq!(
        (unknown.status, class(&unknown).as_str()),
        (404, "forbidden")
    );
    assert_eq!(unknown.json()["title"], "Not Found");
}

#[tokio::test]
async fn the_most_specific_host_and_path_win_and_nothing_falls_back() {
    let key = TestKey::new("live", "k1");
    let policies = format!(
        r#"
authenticators: {{keys: {{api_key: {{}}}}}}
consumers: {{acme: {{scopes: [a], credentials: {{keys: [{{id: k1, hash: "{}"}}]}}}}}}
policies:
  any: {{hosts: ["*"], public: true, routes: [{{path: /**}}]}}
  wild: {{hosts: ["*.example.com"], authenticate: keys, routes: [{{path: /wild}}]}}
  deeper: {{hosts: ["*.b.example.com"], public: true, routes: [{{path: /deeper}}]}}
  exact:
    hosts: [api.example.com]
    authenticate: keys
    routes:
      - {{path: /a/**, public: true}}
      - {{path: "/a/{{x}}", methods: [GET], scopes: [a]}}
      - {{path: /a/fixed, methods: [POST], scopes: [none-has-this]}}
      - {{path: "/a/{{x}}/c/d", public: true}}
      - {{path: /a/b/c, scopes: [none-has-this]}}
"#,
        key.hash
    );
    let world = World::start(&policies, |config| config).await;
    let send = async |host: &str, method: &str, path: &str| {
        let request = request(method, path)
            .authority(host)
            .header("x-api-key", &key.plain);
        request.send_h1(world.envoy.addr()).await.status
    };
    for (host, method, path, status) in [
        ("elsewhere.test", "GET", "/whatever", 200),
        ("x.example.com", "GET", "/wild", 200),
        ("x.example.com", "GET", "/whatever", 403),
        ("x.b.example.com", "GET", "/deeper", 200),
        ("x.b.example.com", "GET", "/wild", 403),
        ("api.example.com", "GET", "/whatever", 403),
        ("api.example.com", "GET", "/a/1", 200),
        ("api.example.com", "POST", "/a/1", 405),
        ("api.example.com", "GET", "/a/fixed", 405),
        ("api.example.com", "POST", "/a/fixed", 403),
        ("api.example.com", "GET", "/a", 200),
        ("api.example.com", "GET", "/a/", 200),
        ("api.example.com", "GET", "/a/b/c", 403),
        ("api.example.com", "GET", "/a/b/c/d", 200),
        ("api.example.com", "GET", "/a/b/c/d/e", 200),
    ] {
        assert_eq!(
            send(host, method, path).await,
            status,
            "{method} {host}{path}"
        );
    }
}

#[tokio::test]
async fn one_expression_under_two_names_is_two_headers() {
    let key = TestKey::new("live", "k1");
    let policies = format!(
        r#"
authenticators: {{keys: {{api_key: {{}}}}}}
consumers: {{acme: {{credentials: {{keys: [{{id: k1, hash: "{}"}}]}}}}}}
policies:
  a: {{hosts: [a.example.com], authenticate: keys, inject: {{x-auth-a: &name consumer.name}}, routes: [{{path: /}}]}}
  b: {{hosts: [b.example.com], authenticate: keys, inject: {{x-auth-b: *name}}, routes: [{{path: /}}]}}
"#,
        key.hash
    );
    let world = World::start(&policies, |config| config).await;
    for (host, set, removed) in [
        ("a.example.com", "x-auth-a", "x-auth-b"),
        ("b.example.com", "x-auth-b", "x-auth-a"),
    ] {
        let request = get("/").authority(host).header("x-api-key", &key.plain);
        let request = request.header(removed, "forged");
        assert_eq!(request.send_h1(world.envoy.addr()).await.status, 200);
        let seen = &world.upstream.take_requests()[0];
        assert_eq!(seen.header(set), Some("acme"), "{host}");
        assert_eq!(seen.header(removed), None, "{host}");
    }
}
