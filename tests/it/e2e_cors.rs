//! Cross-origin requests through the real Envoy: what a browser would be told.

use serde_json::Value;

use crate::support::client::{Request, Response};
use crate::support::envoy_config::EnvoyConfig;
use crate::world::{TestKey, World, class, get, request};

const APP: &str = "https://app.example.com";
const EVIL: &str = "https://evil.example";

/// The upstream would open everything.
const GENEROUS: [(&str, &str); 4] = [
    ("access-control-allow-origin", "*"),
    ("access-control-allow-credentials", "true"),
    ("access-control-expose-headers", "x-secret"),
    ("vary", "Accept-Encoding"),
];

fn policies(key: &TestKey) -> String {
    format!(
        r#"
authenticators: {{key: {{api_key: {{}}}}}}
consumers: {{acme: {{credentials: {{key: [{{id: k1, hash: "{}"}}]}}}}}}
policies:
  api:
    hosts: [api.example.com]
    authenticate: key
    cors:
      origins: ["{APP}", "https://*.shop.example"]
      headers: [x-api-key, content-type]
      expose: [x-total]
      credentials: true
      max_age: 10m
    routes:
      - {{path: /orders, methods: [GET, POST]}}
      - {{path: /status, methods: [GET], public: true}}
      - {{path: /closed, methods: [GET], cors: {{origins: ["{APP}"]}}}}
      - {{path: /star, methods: [GET], public: true, cors: {{origins: ["*"]}}}}
  plain:
    hosts: [plain.example.com]
    public: true
    routes:
      - {{path: /get, methods: [GET]}}
      - {{path: /options, methods: [OPTIONS]}}
"#,
        key.hash
    )
}

/// In both ways that Envoy has of showing headers.
async fn worlds(key: &TestKey) -> [World; 2] {
    let raw = |config: EnvoyConfig| config.encode_raw_headers(true);
    [
        World::start(&policies(key), |config| config).await,
        World::start(&policies(key), raw).await,
    ]
}

fn preflight(path: &str, origin: &str, method: &str) -> Request {
    request("OPTIONS", path)
        .header("origin", origin)
        .header("access-control-request-method", method)
}

/// The CORS headers of a response, in order of their names.
fn cors(response: &Response) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = response
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_lowercase(),
                String::from_utf8_lossy(value).into_owned(),
            )
        })
        .filter(|(name, _)| name.starts_with("access-control-") || name == "vary")
        .collect();
    found.sort();
    found
}

fn pairs(found: &[(String, String)]) -> Vec<(&str, &str)> {
    found
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect()
}

#[tokio::test]
async fn o5_a_preflight_is_answered_and_never_reaches_the_upstream() {
    let key = TestKey::new("live", "k1");
    for world in worlds(&key).await {
        for path in ["/orders", "/status"] {
            let asked = || {
                preflight(path, APP, "GET")
                    .header("access-control-request-headers", "content-type,x-api-key")
            };
            for response in world.both(asked).await {
                assert_eq!((response.status, response.body.len()), (204, 0));
                let methods = if path == "/orders" {
                    "GET, HEAD, POST"
                } else {
                    "GET, HEAD"
                };
                assert_eq!(
                    pairs(&cors(&response)),
                    [
                        ("access-control-allow-credentials", "true"),
                        ("access-control-allow-headers", "content-type, x-api-key"),
                        ("access-control-allow-methods", methods),
                        ("access-control-allow-origin", APP),
                        ("access-control-max-age", "600"),
                        (
                            "vary",
                            "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
                        ),
                    ]
                );
                assert_eq!(response.header("content-length"), None);
            }
        }
        let audit = world
            .portcullis
            .wait_for_audit(|line| line["reason"] == "preflight")
            .await;
        assert_eq!(
            (&audit["decision"], &audit["status"], &audit["policy"]),
            (
                &Value::from("reply"),
                &Value::from(204),
                &Value::from("api")
            )
        );
        let metrics = world.portcullis.admin_get("/metrics").await.text();
        let counted = r#"decision="reply",policy="api",reason="preflight"} 4"#;
        assert!(metrics.contains(counted), "{metrics}");
        assert_eq!(world.upstream.request_count(), 0);
    }
}

#[tokio::test]
async fn o5_a_preflight_that_is_not_admitted_learns_nothing() {
    let key = TestKey::new("live", "k1");
    for world in worlds(&key).await {
        for (asked, status, class_of) in [
            (preflight("/orders", EVIL, "GET"), 403, "forbidden"),
            (preflight("/orders", "null", "GET"), 403, "forbidden"),
            (
                preflight("/orders", APP, "GET")
                    .header("access-control-request-headers", "authorization"),
                403,
                "forbidden",
            ),
            (
                preflight("/orders", APP, "DELETE"),
                405,
                "method_not_allowed",
            ),
            (
                preflight("/orders", APP, "GET").authority("plain.example.com"),
                403,
                "forbidden",
            ),
            (
                preflight("/get", APP, "GET").authority("plain.example.com"),
                405,
                "method_not_allowed",
            ),
            (
                request("OPTIONS", "/orders").header("origin", APP),
                405,
                "method_not_allowed",
            ),
        ] {
            let response = asked.send_h1(world.envoy.addr()).await;
            assert_eq!(
                (response.status, class(&response).as_str()),
                (status, class_of),
                "{asked:?}"
            );
            assert_eq!(cors(&response), [], "{asked:?}");
        }
        // Two origins are refused, whether Envoy shows two lines or one with a comma.
        let twice = preflight("/orders", APP, "GET").header("origin", APP);
        let response = twice.send_h1(world.envoy.addr()).await;
        assert!(matches!(response.status, 400 | 403), "{}", response.status);
        assert_eq!(cors(&response), []);
        assert_eq!(world.upstream.request_count(), 0);
        // Where a route says so, and no `cors`, the upstream answers itself.
        world.upstream.set_response_headers(&GENEROUS);
        let asked = preflight("/options", EVIL, "GET").authority("plain.example.com");
        let response = asked.send_h1(world.envoy.addr()).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        assert_eq!(world.upstream.take_requests().len(), 1);
    }
}

#[tokio::test]
async fn o5_replies_are_opened_to_admitted_origins_and_to_no_others() {
    let key = TestKey::new("live", "k1");
    let world = World::start(&policies(&key), |config| config).await;
    let with_key = |path: &str| get(path).header("x-api-key", &key.plain);
    for upstream in [&[][..], &GENEROUS] {
        world.upstream.set_response_headers(upstream);
        // Appended: what the upstream varies by still holds.
        let vary = match upstream {
            [] => ("vary", "Origin"),
            _ => ("vary", "Accept-Encoding,Origin"),
        };
        for origin in [APP, "https://a.shop.example"] {
            let asked = || with_key("/orders").header("origin", origin);
            for response in world.both(asked).await {
                assert_eq!(response.status, 200);
                let mut expected = vec![
                    ("access-control-allow-credentials", "true"),
                    ("access-control-allow-origin", origin),
                    ("access-control-expose-headers", "x-total"),
                ];
                expected.push(vary);
                assert_eq!(pairs(&cors(&response)), expected);
            }
        }
        // What the upstream says for itself opens nothing.
        let asked = with_key("/orders").header("origin", EVIL);
        for response in [asked, with_key("/orders")] {
            let response = response.send_h1(world.envoy.addr()).await;
            assert_eq!(response.status, 200);
            let mut expected = Vec::new();
            if !upstream.is_empty() {
                expected = vec![
                    ("access-control-allow-credentials", "false"),
                    ("access-control-allow-origin", "none"),
                    ("access-control-expose-headers", "content-type"),
                ];
            }
            expected.push(vary);
            assert_eq!(pairs(&cors(&response)), expected);
        }
        // Nor does it add credentials, or headers to read, where the policy has none.
        let asked = with_key("/closed").header("origin", APP);
        let found = cors(&asked.send_h1(world.envoy.addr()).await);
        let mut expected = vec![("access-control-allow-origin", APP)];
        if !upstream.is_empty() {
            expected.insert(0, ("access-control-allow-credentials", "false"));
            expected.push(("access-control-expose-headers", "content-type"));
        }
        expected.push(vary);
        assert_eq!(pairs(&found), expected);
        let found = cors(&get("/star").send_h1(world.envoy.addr()).await);
        assert!(pairs(&found).contains(&("access-control-allow-origin", "*")));
        assert!(!pairs(&found).contains(&vary), "{found:?}");
    }
}

#[tokio::test]
async fn o5_a_page_can_read_why_it_was_denied() {
    let key = TestKey::new("live", "k1");
    let world = World::start(&policies(&key), |config| config).await;
    for response in world.both(|| get("/orders").header("origin", APP)).await {
        assert_eq!(
            (response.status, class(&response).as_str()),
            (401, "credentials_missing")
        );
        assert_eq!(
            pairs(&cors(&response)),
            [
                ("access-control-allow-credentials", "true"),
                ("access-control-allow-origin", APP),
                ("access-control-expose-headers", "x-total"),
                ("vary", "Origin"),
            ]
        );
    }
    for (request, status, expected) in [
        (
            get("/orders").header("origin", EVIL),
            401,
            &[("vary", "Origin")][..],
        ),
        (get("/orders"), 401, &[("vary", "Origin")]),
        (get("/nowhere").header("origin", APP), 403, &[]),
        (get("/a/../b").header("origin", APP), 400, &[]),
    ] {
        let response = request.send_h1(world.envoy.addr()).await;
        assert_eq!(response.status, status);
        assert_eq!(pairs(&cors(&response)), expected, "{request:?}");
    }
    assert_eq!(world.upstream.request_count(), 0);
}
