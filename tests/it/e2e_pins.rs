//! What the real Envoy does with answers that could be read in two ways. Portcullis relies on these;
//! when an Envoy changes its mind, a test here says so.

#![expect(
    deprecated,
    reason = "the deprecated field `append` is one of the things that are pinned here"
)]

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::BoolValue;
use envoy_types::pb::google::rpc::Status as RpcStatus;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request as GrpcRequest, Response as GrpcResponse, Status};

use crate::support::envoy::Envoy;
use crate::support::envoy_config::EnvoyConfig;
use crate::support::upstream::Upstream;
use crate::world::get;

/// Always gives the same answer.
struct Fixed(Arc<CheckResponse>);

#[tonic::async_trait]
impl Authorization for Fixed {
    async fn check(
        &self,
        _: GrpcRequest<CheckRequest>,
    ) -> Result<GrpcResponse<CheckResponse>, Status> {
        Ok(GrpcResponse::new(CheckResponse::clone(&self.0)))
    }
}

/// Envoy in front of an authorization service that always answers the same.
async fn answering(response: CheckResponse) -> (Envoy, Upstream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let service = AuthorizationServer::new(Fixed(Arc::new(response)));
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    let upstream = Upstream::start().await;
    let envoy = Envoy::start(EnvoyConfig::new(address, upstream.addr())).await;
    (envoy, upstream)
}

fn header(value: &str, append: Option<bool>, action: HeaderAppendAction) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: "x-id".into(),
            value: value.into(),
            ..HeaderValue::default()
        }),
        append: append.map(|value| BoolValue { value }),
        append_action: action.into(),
        ..HeaderValueOption::default()
    }
}

fn allowed(ok: OkHttpResponse) -> CheckResponse {
    CheckResponse {
        status: Some(RpcStatus {
            code: 0,
            ..RpcStatus::default()
        }),
        http_response: Some(HttpResponse::OkResponse(ok)),
        ..CheckResponse::default()
    }
}

/// What the upstream sees of `x-id` when the client sent `x-id: theirs`.
async fn seen_of(response: CheckResponse) -> Vec<String> {
    let (envoy, upstream) = answering(response).await;
    let answer = get("/")
        .header("x-id", "theirs")
        .send_h1(envoy.addr())
        .await;
    assert_eq!(answer.status, 200);
    let seen = upstream.take_requests();
    seen[0]
        .headers_all("x-id")
        .into_iter()
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn h3_append_false_with_overwrite_replaces_whatever_the_client_sent() {
    let overwrite = header(
        "ours",
        Some(false),
        HeaderAppendAction::OverwriteIfExistsOrAdd,
    );
    assert_eq!(
        seen_of(allowed(OkHttpResponse {
            headers: vec![overwrite],
            ..Default::default()
        }))
        .await,
        ["ours"]
    );
}

#[tokio::test]
async fn h3_what_neither_field_says_is_not_to_be_relied_on() {
    let unsaid = header("ours", None, HeaderAppendAction::AppendIfExistsOrAdd);
    let seen = seen_of(allowed(OkHttpResponse {
        headers: vec![unsaid],
        ..Default::default()
    }))
    .await;
    // Overwritten in some versions, appended in others: in neither case is ours lost.
    assert!(
        seen == ["ours"] || seen.join(",").contains("ours"),
        "{seen:?}"
    );
    let appended = header("ours", Some(true), HeaderAppendAction::AppendIfExistsOrAdd);
    let seen = seen_of(allowed(OkHttpResponse {
        headers: vec![appended],
        ..Default::default()
    }))
    .await;
    assert!(
        seen.join(",").contains("theirs"),
        "append lets the client's value live: {seen:?}"
    );
}

#[tokio::test]
async fn h3_append_action_alone_overwrites() {
    let action = header("ours", None, HeaderAppendAction::OverwriteIfExistsOrAdd);
    let seen = seen_of(allowed(OkHttpResponse {
        headers: vec![action],
        ..Default::default()
    }))
    .await;
    assert_eq!(seen, ["ours"]);
}

#[tokio::test]
async fn a_header_that_is_set_and_removed_is_removed() {
    let overwrite = header(
        "ours",
        Some(false),
        HeaderAppendAction::OverwriteIfExistsOrAdd,
    );
    let both = OkHttpResponse {
        headers: vec![overwrite],
        headers_to_remove: vec!["x-id".into()],
        ..Default::default()
    };
    assert!(
        seen_of(allowed(both)).await.is_empty(),
        "removal comes last: never name a header in both"
    );
}

#[tokio::test]
async fn h7_an_empty_value_is_no_way_to_blank_a_header() {
    let empty = header("", Some(false), HeaderAppendAction::OverwriteIfExistsOrAdd);
    let seen = seen_of(allowed(OkHttpResponse {
        headers: vec![empty],
        ..Default::default()
    }))
    .await;
    assert!(
        seen == ["theirs"] || seen == [""] || seen.is_empty(),
        "{seen:?}"
    );
    let removed = OkHttpResponse {
        headers_to_remove: vec!["x-id".into()],
        ..Default::default()
    };
    assert!(
        seen_of(allowed(removed)).await.is_empty(),
        "removing does it"
    );
}

#[tokio::test]
async fn status_ok_beside_a_denied_response_lets_the_request_pass() {
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: 403 }),
        body: "denied".into(),
        ..Default::default()
    };
    let both = CheckResponse {
        status: Some(RpcStatus {
            code: 0,
            ..RpcStatus::default()
        }),
        http_response: Some(HttpResponse::DeniedResponse(denied.clone())),
        ..CheckResponse::default()
    };
    let (envoy, upstream) = answering(both).await;
    assert_eq!(
        get("/").send_h1(envoy.addr()).await.status,
        200,
        "the code alone decides"
    );
    assert_eq!(upstream.take_requests().len(), 1);
    let refused = CheckResponse {
        status: Some(RpcStatus {
            code: 7,
            ..RpcStatus::default()
        }),
        http_response: Some(HttpResponse::DeniedResponse(denied)),
        ..CheckResponse::default()
    };
    let (envoy, upstream) = answering(refused).await;
    let response = get("/").send_h1(envoy.addr()).await;
    assert_eq!((response.status, response.text().as_str()), (403, "denied"));
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn several_challenges_survive_as_lines_of_their_own() {
    let challenge = |value: &str| HeaderValueOption {
        header: Some(HeaderValue {
            key: "www-authenticate".into(),
            value: value.into(),
            ..HeaderValue::default()
        }),
        append: Some(BoolValue { value: false }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    };
    let refused = CheckResponse {
        status: Some(RpcStatus {
            code: 7,
            ..RpcStatus::default()
        }),
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            status: Some(HttpStatus { code: 401 }),
            headers: vec![challenge("Bearer"), challenge("ApiKey")],
            ..Default::default()
        })),
        ..CheckResponse::default()
    };
    let (envoy, _upstream) = answering(refused).await;
    let response = get("/").send_h1(envoy.addr()).await;
    assert_eq!(
        response.headers_all("www-authenticate"),
        ["Bearer", "ApiKey"]
    );
}
