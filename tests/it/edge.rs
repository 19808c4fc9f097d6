//! The gRPC edge itself, without Envoy: hostile messages, health, reflection.

use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use prost::Message;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::issuer::{Issuer, Mood};
use crate::support::client::{Request, Response};
use crate::support::portcullis::Portcullis;
use crate::world::{Usual, policy_directory, serve};

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("fits").to_be_bytes();
    [&[0][..], &length, message].concat()
}

fn call(path: &str, body: Vec<u8>) -> Request {
    Request::new("POST", path)
        .authority("portcullis")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
}

/// The denial in a gRPC answer that is a success in all else.
fn denial(response: &Response) -> (i32, i32) {
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("grpc-status"),
        None,
        "an error where a decision belongs"
    );
    assert_eq!(response.trailer("grpc-status"), Some("0"));
    let message = CheckResponse::decode(&response.body[5..]).expect("a CheckResponse");
    let code = message.status.expect("a status").code;
    let Some(HttpResponse::DeniedResponse(denied)) = message.http_response else {
        panic!("not a denial: {:?}", message.http_response)
    };
    (code, denied.status.expect("a status").code)
}

/// Protobuf by hand: a field of bytes.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7f).expect("fits") | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).expect("fits"));
    out.extend_from_slice(content);
    out
}

fn check_of(http: &[u8]) -> Vec<u8> {
    field(1, &field(4, &field(2, http)))
}

#[tokio::test]
async fn hostile_checks_are_denied_and_the_process_lives_on() {
    let directory = policy_directory(&Usual::new().yaml);
    let portcullis = Portcullis::start(serve(directory.path())).await;
    let address = portcullis.check_addr().await;
    let http = |path: &[u8]| {
        [
            field(2, b"GET"),
            field(4, path),
            field(5, b"api.example.com"),
        ]
        .concat()
    };
    let header = |n: usize| {
        field(
            3,
            &[field(1, format!("x-{n}").as_bytes()), field(2, b"v")].concat(),
        )
    };
    let thousands: Vec<u8> = (0..20_000).flat_map(header).collect();
    let cases: Vec<(&str, Vec<u8>, i32)> = vec![
        ("an empty message", frame(b""), 400),
        ("no request", frame(&field(1, b"")), 400),
        ("no path", frame(&check_of(&field(2, b"GET"))), 400),
        ("garbage", frame(&[0xff; 64]), 400),
        ("truncated protobuf", frame(&[0x0a, 0x7f, 0x00]), 400),
        ("endless nesting", frame(&[0x0a; 3000]), 400),
        (
            "invalid UTF-8 in the path",
            frame(&check_of(&http(b"/\xff\xfe"))),
            400,
        ),
        (
            "invalid UTF-8 in the method",
            frame(&check_of(
                &[field(2, b"\xff"), field(4, b"/"), field(5, b"a")].concat(),
            )),
            400,
        ),
        (
            "invalid UTF-8 in the host",
            frame(&check_of(
                &[field(2, b"GET"), field(4, b"/"), field(5, b"\xff")].concat(),
            )),
            400,
        ),
        (
            "a separate query",
            frame(&check_of(&[http(b"/healthz"), field(7, b"a=b")].concat())),
            400,
        ),
        (
            "a separate fragment",
            frame(&check_of(&[http(b"/healthz"), field(8, b"x")].concat())),
            400,
        ),
        (
            "both kinds of headers",
            frame(&check_of(
                &[
                    http(b"/healthz"),
                    header(1),
                    field(13, &field(1, &field(1, b"x"))),
                ]
                .concat(),
            )),
            400,
        ),
        (
            "thousands of headers",
            frame(&check_of(&[http(b"/healthz"), thousands].concat())),
            400,
        ),
        (
            "an enormous path",
            frame(&check_of(&http(&vec![b'/'; 1 << 19]))),
            400,
        ),
        (
            "an enormous header",
            frame(&check_of(
                &[
                    http(b"/orders"),
                    field(
                        3,
                        &[field(1, b"x-api-key"), field(2, &vec![b'k'; 1 << 19])].concat(),
                    ),
                ]
                .concat(),
            )),
            401,
        ),
        ("over the limit", frame(&vec![0; 5 << 20]), 400),
        ("no frame", Vec::new(), 400),
        ("half a frame", vec![0, 0, 0], 400),
        ("a frame that is cut off", vec![0, 0, 0, 1, 0, 1, 2, 3], 400),
        (
            "a compressed frame",
            [&[1, 0, 0, 0, 3][..], b"abc"].concat(),
            400,
        ),
    ];
    for (name, body, status) in cases {
        let response = call(CHECK, body).send_h2(address).await;
        let (code, http_status) = denial(&response);
        assert_ne!(code, 0, "{name}");
        assert_eq!(http_status, status, "{name}");
    }
    let unknown_encoding = call(CHECK, frame(b""))
        .header("grpc-encoding", "zstd")
        .send_h2(address)
        .await;
    assert_ne!(denial(&unknown_encoding).0, 0);
    let allowed = call(CHECK, frame(&check_of(&http(b"/healthz"))))
        .send_h2(address)
        .await;
    let message = CheckResponse::decode(&allowed.body[5..]).expect("a CheckResponse");
    assert_eq!(
        message.status.expect("a status").code,
        0,
        "it still lets through what may pass"
    );
    let other = call("/envoy.service.auth.v3.Authorization/Other", frame(b""))
        .send_h2(address)
        .await;
    assert_eq!(
        other.header("grpc-status"),
        Some("12"),
        "only Check is a decision"
    );
}

#[tokio::test]
async fn envoys_own_deadline_bounds_a_check() {
    let issuer = Issuer::start(Mood::Silent).await;
    let directory = policy_directory(&format!(
        "authenticators: {{login: {{jwt: {{issuer: \"{}\", audiences: [orders-api], jwks: {{url: \"{}/jwks\"}}}}}}}}\n\
         policies: {{p: {{hosts: [api.example.com], authenticate: login, routes: [{{path: /orders}}]}}}}\n",
        crate::world::ISSUER,
        issuer.url()
    ));
    let portcullis = Portcullis::spawn(serve(directory.path()));
    let address = portcullis.check_addr().await;
    let token = crate::world::Signer::shared().token(&serde_json::json!({}));
    let header = field(
        3,
        &[
            field(1, b"authorization"),
            field(2, format!("Bearer {token}").as_bytes()),
        ]
        .concat(),
    );
    let http = [
        field(2, b"GET"),
        field(4, b"/orders"),
        field(5, b"api.example.com"),
        header,
    ]
    .concat();
    let response = call(CHECK, frame(&check_of(&http)))
        .header("grpc-timeout", "120m")
        .send_h2(address)
        .await;
    assert_eq!(denial(&response).1, 503);
    let audit = portcullis
        .wait_for_audit(|line| line["reason"] == "deadline_exceeded")
        .await;
    assert!(crate::world::outlived(&audit) <= 100, "{audit}");
}

#[tokio::test]
async fn health_tells_the_truth() {
    let issuer = Issuer::start(Mood::Broken(503, "")).await;
    let directory = policy_directory(&format!(
        "authenticators: {{login: {{jwt: {{issuer: \"{}\", audiences: [orders-api], jwks: {{url: \"{}/jwks\"}}}}}}}}\n\
         policies: {{p: {{hosts: [api.example.com], authenticate: login, routes: [{{path: /orders}}]}}}}\n",
        crate::world::ISSUER,
        issuer.url()
    ));
    let portcullis = Portcullis::spawn(serve(directory.path()).arg("--drain-delay").arg("5s"));
    let address = portcullis.check_addr().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .expect("an address")
        .connect()
        .await
        .expect("connects");
    let mut client = HealthClient::new(channel);
    let mut status = async |service: &str| {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        client
            .check(request)
            .await
            .map(|answer| answer.into_inner().status)
    };
    portcullis
        .wait_for_log(|line| line["message"] == "not ready yet")
        .await;
    for service in ["", "envoy.service.auth.v3.Authorization"] {
        assert_eq!(
            status(service).await.expect("known"),
            2,
            "not serving without keys: {service:?}"
        );
    }
    assert!(status("unheard.of").await.is_err());
    issuer.set(Mood::Keys(
        serde_json::json!({"keys": [crate::world::Signer::shared().jwk()]}),
    ));
    portcullis
        .wait_for_log(|line| line["message"] == "ready")
        .await;
    assert_eq!(status("").await.expect("known"), 1);
    portcullis.signal("TERM");
    portcullis
        .wait_for_log(|line| line["message"] == "told to stop: unready, still answering")
        .await;
    assert_eq!(
        status("envoy.service.auth.v3.Authorization")
            .await
            .expect("known"),
        2
    );
}

#[tokio::test]
async fn reflection_tells_of_the_services() {
    let directory = policy_directory(&Usual::new().yaml);
    let portcullis = Portcullis::start(serve(directory.path())).await;
    let address = portcullis.check_addr().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .expect("an address")
        .connect()
        .await
        .expect("connects");
    let mut client = ServerReflectionClient::new(channel);
    let mut ask = async |message: MessageRequest| {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(message),
        };
        let mut answers = client
            .server_reflection_info(tokio_stream::once(request))
            .await
            .expect("an answer")
            .into_inner();
        answers
            .message()
            .await
            .expect("a message")
            .expect("one")
            .message_response
            .expect("a response")
    };
    let MessageResponse::ListServicesResponse(list) =
        ask(MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list")
    };
    let names: Vec<&str> = list
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    assert!(
        names.contains(&"envoy.service.auth.v3.Authorization"),
        "{names:?}"
    );
    assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");
    let symbol =
        MessageRequest::FileContainingSymbol("envoy.service.auth.v3.Authorization.Check".into());
    assert!(matches!(
        ask(symbol).await,
        MessageResponse::FileDescriptorResponse(_)
    ));
}

/// One HTTP/2 frame (RFC 9113 section 4.1).
fn http2_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("fits").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block without compression (RFC 7541 section 6.2.2).
fn header_block(lines: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).expect("short");
        assert!(length < 127, "a longer text needs a longer length");
        [&[length], text.as_bytes()].concat()
    };
    lines
        .iter()
        .flat_map(|(name, value)| [vec![0], text(name), text(value)].concat())
        .collect()
}

#[tokio::test]
async fn a_burst_of_cancelled_checks_ends_nobody_elses() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let directory = policy_directory(&Usual::new().yaml);
    let portcullis = Portcullis::start(serve(directory.path())).await;
    let mut stream = tokio::net::TcpStream::connect(portcullis.check_addr().await)
        .await
        .expect("connects");
    let head = header_block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", CHECK),
        (":authority", "portcullis"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]);
    let http = [
        field(2, b"GET"),
        field(4, b"/healthz"),
        field(5, b"api.example.com"),
    ]
    .concat();
    let message = frame(&check_of(&http));
    let mut burst = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    burst.extend(http2_frame(4, 0, 0, &[]));
    // One check that is waited for, then many that a client gives up at once.
    burst.extend(http2_frame(1, 4, 1, &head));
    burst.extend(http2_frame(0, 1, 1, &message));
    for stream in (3..601).step_by(2) {
        burst.extend(http2_frame(1, 4, stream, &head));
        burst.extend(http2_frame(0, 1, stream, &message));
        burst.extend(http2_frame(3, 0, stream, &8u32.to_be_bytes()));
    }
    stream.write_all(&burst).await.expect("sent");
    let mut received = Vec::new();
    let answered = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let count = stream.read(&mut buffer).await.expect("reads");
            assert_ne!(count, 0, "the connection was closed");
            received.extend_from_slice(&buffer[..count]);
            let mut rest = received.as_slice();
            while let [a, b, c, kind, flags, s0, s1, s2, s3, after @ ..] = rest {
                let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                let id = u32::from_be_bytes([*s0, *s1, *s2, *s3]);
                assert_ne!(*kind, 7, "GOAWAY");
                if id == 1 && *kind == 1 && flags & 1 == 1 {
                    return;
                }
                let Some(next) = after.get(length..) else {
                    break;
                };
                rest = next;
            }
        }
    };
    tokio::time::timeout(crate::support::wait::DEADLINE, answered)
        .await
        .expect("the check that was not cancelled is answered");
}

#[tokio::test]
async fn metadata_that_a_client_had_envoy_pass_on_is_no_reason_for_an_error() {
    let directory = policy_directory(&Usual::new().yaml);
    let portcullis = Portcullis::start(serve(directory.path())).await;
    let http = [
        field(2, b"GET"),
        field(4, b"/orders"),
        field(5, b"api.example.com"),
    ]
    .concat();
    let long = "k=v,".repeat(15_000);
    let response = call(CHECK, frame(&check_of(&http)))
        .header("tracestate", &long)
        .send_h2(portcullis.check_addr().await)
        .await;
    assert_eq!(denial(&response).1, 401);
}
