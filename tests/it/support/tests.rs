//! The harness itself: options reach Envoy, and both ends see and send what they claim to.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Request, h1_raw, try_h1_raw};
use super::envoy::Envoy;
use super::envoy_config::{
    EXT_AUTHZ, Endpoint, EnvoyConfig, HCM, RequestBody, Underscores, VIRTUAL_HOST,
};
use super::ports::DeadAddress;
use super::upstream::Upstream;

#[tokio::test]
async fn dead_authz_lets_through_where_failure_is_allowed() {
    let (authz, upstream) = (DeadAddress::reserve(), Upstream::start().await);
    upstream.set_response_headers(&[("x-up", "1"), ("x-up", "2")]);
    let envoy =
        Envoy::start(EnvoyConfig::new(authz.addr(), upstream.addr()).failure_mode_allow(true))
            .await;
    let request = Request::new("POST", "/a//%2e%2E/b?q=1&q=%20")
        .authority("Api.Example.test:8080")
        .header("x-two", "one")
        .header("x-raw", b"caf\xe9")
        .header("x-two", "two")
        .body("hello");

    for protocol in ["h1", "h2"] {
        let response = match protocol {
            "h1" => request.send_h1(envoy.addr()).await,
            _ => request.send_h2(envoy.addr()).await,
        };
        assert_eq!(response.status, 200);
        assert_eq!(response.headers_all("X-Up"), ["1", "2"]);
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.json()["target"], "/a//%2e%2E/b?q=1&q=%20");
        assert_eq!(upstream.request_count(), 1);
        let seen = upstream.take_requests().remove(0);
        assert_eq!(
            (seen.method.as_str(), seen.target.as_str()),
            ("POST", "/a//%2e%2E/b?q=1&q=%20")
        );
        assert_eq!(seen.header("host"), Some("Api.Example.test:8080"));
        assert_eq!(seen.headers_all("x-two"), ["one", "two"]);
        assert!(
            seen.headers
                .contains(&("x-raw".to_owned(), b"caf\xe9".to_vec())),
            "{seen:?}"
        );
        assert_eq!(seen.body, b"hello");
    }
    assert_eq!(
        envoy
            .stat("http.ingress.ext_authz.failure_mode_allowed")
            .await,
        2
    );
}

#[tokio::test]
async fn dead_authz_refuses_where_failure_is_not_allowed() {
    let (authz, upstream) = (DeadAddress::reserve(), Upstream::start().await);
    let config = EnvoyConfig::new(authz.addr(), upstream.addr());
    let envoy = Envoy::start(config.failure_mode_allow(false)).await;

    assert_eq!(Request::get("/").send_h1(envoy.addr()).await.status, 403);
    assert_eq!(Request::get("/").send_h2(envoy.addr()).await.status, 403);
    assert_eq!(envoy.stat("http.ingress.ext_authz.error").await, 2);
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn grpc_callers_get_a_grpc_status() {
    let (authz, upstream) = (DeadAddress::reserve(), Upstream::start().await);
    let envoy = Envoy::start(EnvoyConfig::new(authz.addr(), upstream.addr())).await;
    let call = Request::new("POST", "/pkg.Service/Call").header("content-type", "application/grpc");

    let response = call.send_h2(envoy.addr()).await;

    assert_eq!(response.status, 200);
    assert_eq!(response.header("grpc-status"), Some("7"));
    assert_eq!(response.trailer("grpc-status"), None);
}

#[tokio::test]
async fn upstream_speaks_http2_and_authz_may_be_a_unix_socket() {
    let (upstream, directory) = (
        Upstream::start().await,
        tempfile::tempdir().expect("a directory"),
    );
    let config = EnvoyConfig::new(
        directory.path().join("nobody.sock").as_path(),
        upstream.addr(),
    )
    .failure_mode_allow(true)
    .raw_patch(|json| {
        let clusters = &mut json["static_resources"]["clusters"];
        clusters[1]["typed_extension_protocol_options"] =
            clusters[0]["typed_extension_protocol_options"].clone();
    });
    let envoy = Envoy::start(config).await;

    let response = Request::new("PUT", "/h2?x")
        .body("up")
        .send_h1(envoy.addr())
        .await;

    assert_eq!(response.status, 200);
    let seen = upstream.take_requests().remove(0);
    assert_eq!(
        (
            seen.method.as_str(),
            seen.target.as_str(),
            seen.body.as_slice()
        ),
        ("PUT", "/h2?x", &b"up"[..])
    );
    assert_eq!(seen.header("host"), Some("example.test"));
}

#[tokio::test]
async fn raw_bytes_arrive_as_written() {
    let (authz, upstream) = (DeadAddress::reserve(), Upstream::start().await);
    let envoy =
        Envoy::start(EnvoyConfig::new(authz.addr(), upstream.addr()).failure_mode_allow(true))
            .await;

    let chunked = "POST /x;y=\"z\"\\..^` HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-b: 2\r\nx-a: 3\r\n\
                   Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;ext\r\nde\r\n0\r\n\r\n";
    assert_eq!(h1_raw(envoy.addr(), chunked).await.status, 200);
    let seen = upstream.take_requests().remove(0);
    assert_eq!(seen.target, "/x;y=\"z\"\\..^`");
    assert_eq!(seen.headers_all("x-a"), ["1", "3"]);
    assert_eq!(seen.body, b"abcde");

    let head = Request::new("HEAD", "/").send_h1(envoy.addr()).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(h1_raw(envoy.addr(), "nonsense\r\n\r\n").await.status, 400);
    assert_eq!(upstream.take_requests().len(), 1);
}

#[tokio::test]
async fn says_why_there_is_no_response() {
    let dead = DeadAddress::reserve();

    try_h1_raw(dead.addr(), b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect_err("nobody listens");
    Request::get("/")
        .try_send_h1(dead.addr())
        .await
        .expect_err("nobody listens");
    Request::get("/")
        .try_send_h2(dead.addr())
        .await
        .expect_err("nobody listens");
    let fragment = Request::get("/a#b").try_send_h2(dead.addr()).await;
    assert!(
        fragment
            .expect_err("no fragments")
            .to_string()
            .contains("\"/a\"")
    );
}

#[tokio::test]
async fn large_bodies_get_their_early_answer() {
    let (authz, upstream) = (DeadAddress::reserve(), Upstream::start().await);
    let small = RequestBody {
        max_request_bytes: 1024,
        allow_partial_message: false,
        pack_as_bytes: true,
    };
    let config = EnvoyConfig::new(authz.addr(), upstream.addr()).with_request_body(small);
    let envoy = Envoy::start(config).await;
    let request = Request::new("POST", "/").body(vec![b'x'; 1 << 20]);

    assert_eq!(request.send_h1(envoy.addr()).await.status, 413);
    assert_eq!(request.send_h2(envoy.addr()).await.status, 413);
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn takes_every_option() {
    let socket = Path::new("/nonexistent/authz.sock");
    let upstream = Upstream::start().await;
    let config = EnvoyConfig::new(Endpoint::from(socket), upstream.addr())
        .failure_mode_allow(false)
        .encode_raw_headers(true)
        .include_peer_certificate(true)
        .validate_mutations(true)
        .with_request_body(RequestBody {
            max_request_bytes: 9,
            allow_partial_message: true,
            pack_as_bytes: true,
        })
        .status_on_error(503)
        .stat_prefix("edge")
        .grpc_timeout(Duration::from_millis(1500))
        .normalize_path(true)
        .merge_slashes(true)
        .max_request_headers_kb(8)
        .max_headers_count(20)
        .headers_with_underscores_action(Underscores::RejectRequest)
        .http_protocol_options(
            json!({ "accept_http_10": true, "default_host_for_http_10": "old.test" }),
        )
        .context_extensions(&[("tier", "base")])
        .route("/gold", &[("tier", "gold")])
        .raw_patch(|json| json["node"] = json!({ "id": "patched", "cluster": "tests" }));

    let envoy = Envoy::start(config).await;

    assert_eq!(Request::get("/").send_h1(envoy.addr()).await.status, 503);
    assert_eq!(
        h1_raw(envoy.addr(), "GET / HTTP/1.0\r\n\r\n").await.status,
        503
    );
    assert_eq!(
        Request::get("/")
            .header("a_b", "c")
            .send_h1(envoy.addr())
            .await
            .status,
        400
    );
    assert_eq!(
        Request::get("/")
            .header("a", "b".repeat(9000))
            .send_h1(envoy.addr())
            .await
            .status,
        431
    );
    assert_eq!(envoy.stat("http.ingress.ext_authz.edge.error").await, 2);

    let dump = envoy.admin_get("/config_dump").await.json();
    let bootstrap = &dump["configs"][0]["bootstrap"];
    assert_eq!(bootstrap["node"]["id"], "patched");
    let at = |pointer: &str| bootstrap.pointer(pointer).cloned().unwrap_or(Value::Null);
    assert_eq!(at(EXT_AUTHZ)["grpc_service"]["timeout"], "1.500s");
    assert_eq!(at(EXT_AUTHZ)["encode_raw_headers"], true);
    assert_eq!(at(EXT_AUTHZ)["include_peer_certificate"], true);
    assert_eq!(at(EXT_AUTHZ)["validate_mutations"], true);
    assert_eq!(at(EXT_AUTHZ)["with_request_body"]["max_request_bytes"], 9);
    assert_eq!(at(HCM)["normalize_path"], true);
    assert_eq!(at(HCM)["merge_slashes"], true);
    assert_eq!(
        at(HCM)["common_http_protocol_options"]["max_headers_count"],
        20
    );
    // Their values are not shown: Envoy takes context extensions for secrets.
    let extensions =
        "/typed_per_filter_config/envoy.filters.http.ext_authz/check_settings/context_extensions";
    assert!(at(&format!("{VIRTUAL_HOST}{extensions}"))["tier"].is_string());
    assert!(at(&format!("{VIRTUAL_HOST}/routes/0{extensions}"))["tier"].is_string());
    assert_eq!(
        at(&format!("{VIRTUAL_HOST}/routes/0/match/prefix")),
        "/gold"
    );
    assert_eq!(at(&format!("{VIRTUAL_HOST}/routes/1/match/prefix")), "/");
}

#[tokio::test]
async fn checks_carry_the_extensions_of_their_route() {
    // Not a gRPC service, but it shows what it was asked.
    let (authz, upstream) = (Upstream::start().await, Upstream::start().await);
    let config = EnvoyConfig::new(authz.addr(), upstream.addr())
        .context_extensions(&[("tier", "tier-base")])
        .route("/gold", &[("tier", "tier-gold")]);
    let envoy = Envoy::start(config).await;

    for (path, tier) in [("/", "tier-base"), ("/gold/x", "tier-gold")] {
        Request::get(path).send_h1(envoy.addr()).await;
        let check = authz.take_requests().remove(0);
        assert_eq!(check.target, "/envoy.service.auth.v3.Authorization/Check");
        assert!(
            check.body.escape_ascii().to_string().contains(tier),
            "{path}: {check:?}"
        );
    }
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn underscores_can_be_dropped_or_kept() {
    let (authz, upstream) = (DeadAddress::reserve(), Upstream::start().await);
    for (action, kept) in [
        (Underscores::Allow, Some("1")),
        (Underscores::DropHeader, None),
    ] {
        let config = EnvoyConfig::new(authz.addr(), upstream.addr())
            .failure_mode_allow(true)
            .headers_with_underscores_action(action);
        let envoy = Envoy::start(config).await;
        assert_eq!(
            Request::get("/")
                .header("x_user", "1")
                .send_h2(envoy.addr())
                .await
                .status,
            200
        );
        assert_eq!(
            upstream.take_requests().remove(0).header("x_user"),
            kept,
            "{action:?}"
        );
    }
}

#[tokio::test]
#[should_panic(expected = "Envoy ended with")]
async fn bad_configuration_fails_at_once_with_the_log() {
    let (authz, upstream) = (DeadAddress::reserve(), Upstream::start().await);
    let config = EnvoyConfig::new(authz.addr(), upstream.addr());
    Envoy::start(config.raw_patch(|json| json["no_such_key"] = json!(1))).await;
}

#[tokio::test]
#[should_panic(expected = "has no number http.ingress.ext_authz.typo")]
async fn unknown_stat_is_not_zero() {
    let (authz, upstream) = (DeadAddress::reserve(), Upstream::start().await);
    let envoy = Envoy::start(EnvoyConfig::new(authz.addr(), upstream.addr())).await;
    envoy.stat("http.ingress.ext_authz.typo").await;
}
