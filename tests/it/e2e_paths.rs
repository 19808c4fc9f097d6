//! The pitfalls of paths, hosts and methods, each sent byte for byte through a real Envoy.

use crate::support::client::{h1_raw, try_h1_raw};
use crate::support::envoy_config::EnvoyConfig;
use crate::world::{Usual, World, class, get, request};

/// Sends a request line as it is, with a key that opens `/orders`, and answers with the status. `None`:
/// Envoy closed the connection.
async fn status_of(world: &World, key: &str, line: &str) -> Option<u16> {
    let bytes = format!(
        "{line} HTTP/1.1\r\nhost: api.example.com\r\nx-api-key: {key}\r\nconnection: close\r\n\r\n"
    );
    try_h1_raw(world.envoy.addr(), bytes.as_bytes())
        .await
        .ok()
        .map(|response| response.status)
}

#[tokio::test]
async fn p1_to_p16_a_path_with_two_readings_reaches_nobody() {
    let usual = Usual::new();
    for raw in [false, true] {
        let world = World::start(&usual.yaml, |config| config.encode_raw_headers(raw)).await;
        for (pitfall, target) in [
            ("P1", "//public/x"),
            ("P1", "//orders"),
            ("P2", "/internal/x%3F/../public/y"),
            ("P3", "/public/../internal/x"),
            ("P3", "/public/./x"),
            ("P3", "/public/.."),
            ("P4", "/public/%2e%2e/internal/x"),
            ("P4", "/public/.%2e/internal/x"),
            ("P4", "/public/%2E%2E/internal/x"),
            ("P5", "/public/a%2fb"),
            ("P5", "/public/a%2Fb"),
            ("P6", "/public/a\\b"),
            ("P6", "/public/a%5cb"),
            ("P6", "/public\\..\\internal/x"),
            ("P7", "/public//x"),
            ("P8", "/public/x;a=b"),
            ("P8", "/public/..;/internal/x"),
            ("P8", "/orders;x"),
            ("P9", "/public/x#/internal"),
            ("P9", "/internal/x#/public/y"),
            ("P11", "/public/%252e%252e/internal/x"),
            ("P11", "/public/%zz"),
            ("P11", "/public/%00"),
            ("P11", "/public/%c0%ae%c0%ae/internal"),
            ("P11", "/public/%ff"),
            ("P11", "/public/%0d%0a"),
            ("P13", "orders"),
            ("P15", "*"),
        ] {
            let status = status_of(&world, &usual.live.plain, &format!("GET {target}")).await;
            assert!(
                status.is_none_or(|status| matches!(status, 400 | 404)),
                "{pitfall} {target}: {status:?}"
            );
        }
        assert_eq!(world.upstream.request_count(), 0, "raw: {raw}");
    }
}

#[tokio::test]
async fn p7_p16_one_rule_for_slashes_and_case() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, |config| config).await;
    for (target, status) in [
        ("/orders", 200),
        ("/orders/", 403),
        ("/Orders", 403),
        ("/ORDERS", 403),
        ("/orders?x=1&x=2&y=a+b%20c", 200),
        ("/%6frders", 200),
        ("/ord%65rs?", 200),
        ("/orders%20", 403),
        ("/orders%3Fx", 403),
        ("/public", 200),
        ("/public/", 200),
        ("/public/caf%C3%A9", 200),
        ("/publicx", 403),
    ] {
        let seen = status_of(&world, &usual.live.plain, &format!("GET {target}")).await;
        assert_eq!(seen, Some(status), "{target}");
    }
    let targets: Vec<String> = world
        .upstream
        .take_requests()
        .into_iter()
        .map(|seen| seen.target)
        .collect();
    assert!(
        targets.contains(&"/%6frders".to_owned()),
        "the path is passed on as it was sent: {targets:?}"
    );
}

#[tokio::test]
async fn p10_a_query_does_not_hide_a_path() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, |config| config).await;
    for target in [
        "/internal/x?/public/y",
        "/internal/x?",
        "/internal?a=/healthz",
        "/internal/x?%23",
    ] {
        let response = get(target).send_h1(world.envoy.addr()).await;
        assert_eq!(
            (response.status, class(&response).as_str()),
            (401, "credentials_missing"),
            "{target}"
        );
    }
    assert_eq!(world.upstream.request_count(), 0);
}

#[tokio::test]
async fn p12_a_rewritten_path_is_judged_as_it_arrives_and_the_original_is_ignored() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, |config| {
        config.normalize_path(true).merge_slashes(true)
    })
    .await;
    // Envoy normalises before it asks: what is judged is what the upstream gets.
    let response = get("/public/../orders").send_h1(world.envoy.addr()).await;
    assert_eq!(
        (response.status, class(&response).as_str()),
        (401, "credentials_missing")
    );
    let response = get("/public//x")
        .header("x-envoy-original-path", "/internal")
        .send_h1(world.envoy.addr())
        .await;
    assert_eq!(response.status, 200);
    assert_eq!(world.upstream.take_requests()[0].target, "/public/x");
}

#[tokio::test]
async fn p14_o6_connect_and_upgrades_are_refused_or_judged_like_any_request() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, |config| config).await;
    let connect = "CONNECT api.example.com:443 HTTP/1.1\r\nhost: api.example.com:443\r\n\r\n";
    let connect = try_h1_raw(world.envoy.addr(), connect.as_bytes()).await;
    assert!(connect.is_err() || connect.is_ok_and(|response| response.status >= 400));
    let upgrade = "GET /orders HTTP/1.1\r\nhost: api.example.com\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let upgrade = h1_raw(world.envoy.addr(), upgrade).await;
    assert!(upgrade.status >= 400, "{}", upgrade.status);
    for method in ["TRACE", "CONNECT"] {
        let response = request(method, "/public/x")
            .try_send_h1(world.envoy.addr())
            .await;
        assert!(
            response.is_err() || response.is_ok_and(|response| response.status >= 400),
            "{method}"
        );
    }
    assert_eq!(world.upstream.request_count(), 0);
}

#[tokio::test]
async fn p15_o3_an_absolute_target_decides_the_host() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, |config| config).await;
    let send = async |target: &str, host: &str| {
        let bytes = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        h1_raw(world.envoy.addr(), bytes).await
    };
    // `other` has no public route: were the Host line believed, this would open.
    let response = send("http://other.example.com/healthz", "api.example.com").await;
    assert_eq!(response.status, 403, "{}", response.text());
    let response = send("http://api.example.com/healthz", "other.example.com").await;
    assert_eq!(response.status, 200, "{}", response.text());
}

#[tokio::test]
async fn p17_a_dot_in_a_pattern_is_a_dot() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, |config| config).await;
    for (target, status) in [
        ("/v1.0/x", 200),
        ("/v1x0/x", 403),
        ("/v1.0/xy", 403),
        ("/a/v1.0/x", 403),
    ] {
        assert_eq!(
            get(target).send_h1(world.envoy.addr()).await.status,
            status,
            "{target}"
        );
    }
    for (host, status) in [
        ("api.example.com", 200),
        ("apixexample.com", 403),
        ("xapi.example.com", 403),
    ] {
        assert_eq!(
            get("/healthz")
                .authority(host)
                .send_h1(world.envoy.addr())
                .await
                .status,
            status,
            "{host}"
        );
    }
}

#[tokio::test]
async fn p18_h8_bytes_that_are_not_utf_8_are_refused_in_the_path_and_harmless_elsewhere() {
    let usual = Usual::new();
    for configure in [
        |config: EnvoyConfig| config,
        |config: EnvoyConfig| config.encode_raw_headers(true),
    ] {
        let world = World::start(&usual.yaml, |config| {
            configure(config).failure_mode_allow(true)
        })
        .await;
        let path =
            b"GET /public/\xff\xfe HTTP/1.1\r\nhost: api.example.com\r\nconnection: close\r\n\r\n"
                .to_vec();
        let refused = try_h1_raw(world.envoy.addr(), &path).await;
        assert!(refused.is_err() || refused.is_ok_and(|response| response.status == 400));
        let host =
            b"GET /public/x HTTP/1.1\r\nhost: api\xff.example.com\r\nconnection: close\r\n\r\n"
                .to_vec();
        let refused = try_h1_raw(world.envoy.addr(), &host).await;
        assert!(
            refused.is_err() || refused.is_ok_and(|response| matches!(response.status, 400 | 403))
        );
        assert_eq!(world.upstream.request_count(), 0);
        let header = b"GET /public/x HTTP/1.1\r\nhost: api.example.com\r\nx-note: \xff\xfe\r\nuser-agent: \xff\r\nconnection: close\r\n\r\n".to_vec();
        assert_eq!(h1_raw(world.envoy.addr(), &header).await.status, 200);
        assert_eq!(
            world.upstream.take_requests()[0]
                .headers
                .iter()
                .find(|(name, _)| name == "x-note")
                .map(|(_, value)| value.as_slice()),
            Some(&b"\xff\xfe"[..])
        );
    }
}

#[tokio::test]
async fn o1_o2_hosts_are_one_in_every_spelling_and_ambiguous_ones_are_refused() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, |config| config).await;
    for (host, status) in [
        ("API.Example.Com", 200),
        ("api.example.com:8080", 200),
        ("api.example.com.", 200),
        ("a.shops.example.com", 200),
        ("a.b.shops.example.com", 200),
        ("shops.example.com", 403),
        ("evilshops.example.com", 403),
        ("other.example.com", 403),
        ("user@api.example.com", 400),
        ("api.example.com..", 400),
        ("api.example.com:99999", 400),
        ("api.example.com,other.example.com", 400),
        ("[::1]", 403),
    ] {
        let bytes = format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let response = h1_raw(world.envoy.addr(), bytes).await;
        assert_eq!(response.status, status, "{host}: {}", response.text());
    }
    let two = "GET /healthz HTTP/1.1\r\nhost: api.example.com\r\nhost: other.example.com\r\nconnection: close\r\n\r\n";
    assert_eq!(h1_raw(world.envoy.addr(), two).await.status, 400);
}

#[tokio::test]
async fn o4_methods_are_case_sensitive_and_only_listed_ones_count() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, |config| config).await;
    let key = &usual.live.plain;
    for (method, target, status) in [
        ("GET", "/orders", 200),
        ("HEAD", "/orders", 200),
        ("POST", "/orders", 200),
        ("QUERY", "/orders", 405),
        ("PUT", "/orders", 405),
        ("OPTIONS", "/orders", 405),
        ("PUT", "/orders/1", 200),
        ("GET", "/orders/1", 405),
        ("QUERY", "/public/x", 200),
    ] {
        let response = request(method, target)
            .header("x-api-key", key)
            .try_send_h1(world.envoy.addr())
            .await;
        let seen = response.map(|response| response.status).unwrap_or(400);
        assert!(
            seen == status || (method == "QUERY" && seen == 400),
            "{method} {target}: {seen}"
        );
    }
    let response = request("GET", "/orders/1")
        .header("x-http-method-override", "PUT")
        .header("x-api-key", key);
    assert_eq!(response.send_h1(world.envoy.addr()).await.status, 405);
}

#[tokio::test]
async fn o5_a_preflight_is_not_let_through_for_being_one() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, |config| config).await;
    let preflight = request("OPTIONS", "/orders")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "GET");
    let response = preflight.send_h1(world.envoy.addr()).await;
    assert_eq!(response.status, 405);
    assert_eq!(world.upstream.request_count(), 0);
}
