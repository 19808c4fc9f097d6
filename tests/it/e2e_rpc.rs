//! Callers that speak gRPC, gRPC-Web or Connect read a denial in their own protocol's terms.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::support::client::Request;
use crate::support::envoy_config::EnvoyConfig;
use crate::world::{Usual, World, class, get, request};

const GET: &str = "/orders.v1.OrderService/Get";
const MISSING: &str = "This request needs a credential and has none. Send one and retry.";

fn plain(config: EnvoyConfig) -> EnvoyConfig {
    config
}

fn call(content_type: &str, path: &str) -> Request {
    request("POST", path).header("content-type", content_type)
}

#[tokio::test]
async fn a_grpc_caller_gets_a_grpc_status() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, plain).await;
    let call = |path: &str| call("application/grpc", path).header("te", "trailers");
    for (path, status) in [
        (GET, "16"),
        ("/orders.v1.OrderService/Delete", "7"),
        // Envoy alone would say 2 (unknown) and 13 (internal).
        ("/healthz", "12"),
        ("/orders.v1.OrderService//Get", "3"),
    ] {
        let denied = call(path).send_h2(world.envoy.addr()).await;
        assert_eq!(
            (denied.status, denied.header("grpc-status")),
            (200, Some(status)),
            "{path}"
        );
        assert_eq!(denied.header("content-type"), Some("application/grpc"));
        if path == GET {
            assert_eq!(denied.header("grpc-message"), Some(MISSING));
        }
    }
    let allowed = call(GET)
        .header("x-api-key", &usual.live.plain)
        .send_h2(world.envoy.addr())
        .await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("grpc-status"), None);
    assert_eq!(world.upstream.take_requests().len(), 1);
}

#[tokio::test]
async fn o7_a_grpc_web_caller_gets_a_grpc_status_beside_the_http_status() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, plain).await;
    for content_type in [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
    ] {
        for denied in world.both(|| call(content_type, GET)).await {
            assert_eq!(
                (denied.status, denied.header("grpc-status")),
                (401, Some("16")),
                "{content_type}"
            );
            assert_eq!(denied.header("grpc-message"), Some(MISSING));
            assert_eq!(denied.text(), "");
            // Envoy takes the content type off what it answers without a body; clients of such an
            // answer read its headers alone.
            assert_eq!(denied.header("content-type"), None);
        }
    }
    assert_eq!(world.upstream.request_count(), 0);
}

#[tokio::test]
async fn o7_a_connect_caller_gets_a_connect_error() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, plain).await;
    let version = ("connect-protocol-version", "1");
    for (request, status, code) in [
        (call("application/proto", GET), 401, "unauthenticated"),
        (
            call("application/json", GET).header(version.0, version.1),
            401,
            "unauthenticated",
        ),
        (
            call("application/proto", "/orders.v1.OrderService/Delete"),
            403,
            "permission_denied",
        ),
        (
            get(format!("{GET}?connect=v1&encoding=json&message=%7B%7D")),
            405,
            "unimplemented",
        ),
    ] {
        let denied = request.send_h1(world.envoy.addr()).await;
        assert_eq!(denied.status, status, "{request:?}");
        assert_eq!(denied.header("content-type"), Some("application/json"));
        let error = denied.json();
        assert_eq!(error["code"], code, "{error}");
        let detail = &error["details"][0];
        assert_eq!(detail["type"], "google.rpc.RequestInfo");
        let id = detail["debug"]["requestId"].as_str().expect("an id");
        let value = detail["value"].as_str().expect("a value");
        let value = STANDARD_NO_PAD.decode(value).expect("base64");
        assert!(value.ends_with(id.as_bytes()));
        world
            .portcullis
            .wait_for_audit(|line| line["decision_id"] == *id)
            .await;
    }
    assert_eq!(world.upstream.request_count(), 0);
}

#[tokio::test]
async fn o7_content_types_change_how_a_denial_reads_and_nothing_else() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, plain).await;
    for content_type in [
        "application/grpc-web+proto",
        "application/proto",
        "application/connect+json",
        "application/connect+proto",
        "application/json",
        "text/plain",
    ] {
        let denied = call(content_type, GET).send_h1(world.envoy.addr()).await;
        assert_eq!(denied.status, 401, "{content_type}");
        let challenges = denied.headers_all("www-authenticate");
        assert!(!challenges.is_empty(), "{content_type}");
        let allowed = call(content_type, GET).header("x-api-key", &usual.live.plain);
        assert_eq!(allowed.send_h1(world.envoy.addr()).await.status, 200);
    }
    assert_eq!(world.upstream.take_requests().len(), 6);
    // The client of a Connect stream reads the HTTP status alone.
    let stream = call("application/connect+json", GET);
    let denied = stream.send_h1(world.envoy.addr()).await;
    assert_eq!(class(&denied), "credentials_missing");
    let unmarked = get(format!("{GET}?encoding=json&message=%7B%7D"));
    let denied = unmarked.send_h1(world.envoy.addr()).await;
    assert_eq!(
        (denied.status, class(&denied).as_str()),
        (405, "method_not_allowed")
    );
    assert_eq!(world.upstream.request_count(), 0);
}
