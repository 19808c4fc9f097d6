//! Always an answer: whatever happens on the way ends as an encoded denial with gRPC status 0.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::service::auth::v3 as auth;
use envoy_types::pb::google::protobuf::value::Kind;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use proptest::prelude::{any, proptest};
use prost::Message as _;
use tonic::body::Body;

use super::{Authorization, Bounds, CHECK, Engine, InFlight, budget, grpc_timeout};
use crate::audit::trace_context::TraceContext;
use crate::audit::{Recorder, Trail};
use crate::clock::Clock;
use crate::envoy::frame::OneMessage;
use crate::request::raw::RawCheck;
use crate::respond::Denial;
use crate::test_support::{Records, clock};
use crate::verdict::{Reason, Refusal, Verdict};

/// What the engine does with a check.
#[derive(Clone, Copy)]
enum Does {
    Refuse,
    Panic,
    PanicLater,
    Wait,
}

struct Fake {
    does: Does,
    records: Arc<Records>,
    seen: Mutex<Vec<(RawCheck, Duration, Option<TraceContext>)>>,
}

impl Engine for Fake {
    async fn check(&self, raw: RawCheck, budget: Duration, trace: Option<TraceContext>) -> Verdict {
        self.seen.lock().unwrap().push((raw, budget, trace));
        match self.does {
            Does::Refuse => self.refuse(&Refusal::new(Reason::RouteUnknown, "")),
            Does::Panic => panic!("a fault"),
            Does::PanicLater => {
                tokio::task::yield_now().await;
                panic!("{} fault", "another")
            }
            Does::Wait => std::future::pending().await,
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Verdict {
        let clock: Arc<dyn Clock> = clock();
        let recorder: Arc<dyn Recorder> = Arc::<Records>::clone(&self.records);
        let mut trail = Trail::nameless(&clock, &recorder);
        let denial = Denial::new(refusal, &trail);
        trail.end(refusal.reason, denial.status(), &refusal.detail);
        Verdict::Deny(denial)
    }
}

struct Bench {
    service: Authorization<Fake>,
    engine: Arc<Fake>,
    in_flight: Arc<InFlight>,
}

const LIMIT: usize = 4096;

fn bench(does: Does, most: usize) -> Bench {
    let engine = Arc::new(Fake {
        does,
        records: Arc::new(Records::default()),
        seen: Mutex::default(),
    });
    let in_flight = Arc::new(InFlight::new(most));
    let bounds = Bounds {
        check_timeout: Duration::from_millis(150),
        max_check_bytes: LIMIT,
    };
    Bench {
        service: Authorization::new(Arc::clone(&engine), Arc::clone(&in_flight), bounds),
        engine,
        in_flight,
    }
}

impl Bench {
    fn call(&self, request: Request<Body>) -> impl Future<Output = Response<OneMessage>> + use<> {
        self.service.clone().check(request)
    }

    /// Calls and reads the reason of the denial that must come back.
    async fn reason(&self, body: Body) -> String {
        let response = self.call(request(body)).await;
        let reason = denial(response).await;
        assert_eq!(self.in_flight.now(), 0, "a check that ended makes room");
        reason
    }
}

fn request(body: Body) -> Request<Body> {
    Request::post(CHECK)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap()
}

fn body(bytes: impl Into<Bytes>) -> Body {
    Body::new(Full::new(bytes.into()))
}

fn frame(flag: u8, length: usize, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend(u32::try_from(length).unwrap().to_be_bytes());
    frame.extend(message);
    frame
}

fn framed(message: &[u8]) -> Body {
    body(frame(0, message.len(), message))
}

/// A check for `/path`.
fn good() -> Vec<u8> {
    let http = auth::attribute_context::HttpRequest {
        method: "GET".to_owned(),
        host: "a".to_owned(),
        path: "/path".to_owned(),
        ..Default::default()
    };
    let request = auth::attribute_context::Request {
        http: Some(http),
        ..Default::default()
    };
    let attributes = auth::AttributeContext {
        request: Some(request),
        ..Default::default()
    };
    auth::CheckRequest {
        attributes: Some(attributes),
    }
    .encode_to_vec()
}

/// Holds a response to the shape of success in gRPC and of a denial in the message; answers with its
/// reason.
async fn denial(response: Response<OneMessage>) -> String {
    assert_eq!(response.status(), 200);
    let headers = response.headers();
    assert_eq!(headers.get("content-type").unwrap(), "application/grpc");
    assert!(headers.get("grpc-status").is_none(), "{headers:?}");
    let collected = response.into_body().collect().await.unwrap();
    let trailers = collected.trailers().expect("trailers");
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
    let bytes = collected.to_bytes();
    let (prefix, message) = bytes.split_at(5);
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    assert_eq!(prefix, [&[0][..], &length].concat());
    let decoded = auth::CheckResponse::decode(message).unwrap();
    assert_ne!(decoded.status.unwrap().code, 0);
    let Some(auth::check_response::HttpResponse::DeniedResponse(denied)) = decoded.http_response
    else {
        panic!("no denial");
    };
    assert!(denied.status.unwrap().code >= 400);
    let metadata = decoded.dynamic_metadata.unwrap();
    match &metadata.fields["reason"].kind {
        Some(Kind::StringValue(reason)) => reason.clone(),
        other => panic!("{other:?}"),
    }
}

/// A body that sends some bytes and then nothing, or an error.
struct Trickle {
    first: Option<Bytes>,
    breaks: bool,
}

impl http_body::Body for Trickle {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None if self.breaks => Poll::Ready(Some(Err(std::io::Error::other("reset")))),
            None => Poll::Pending,
        }
    }
}

fn trickle(first: impl Into<Bytes>, breaks: bool) -> Body {
    let first = Some(first.into());
    Body::new(Trickle { first, breaks })
}

#[tokio::test(start_paused = true)]
async fn hands_a_check_to_the_engine_and_its_verdict_to_envoy() {
    let bench = bench(Does::Refuse, 8);
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut request = request(framed(&good()));
    request
        .headers_mut()
        .insert("traceparent", traceparent.parse().unwrap());
    request
        .headers_mut()
        .insert("grpc-timeout", "100m".parse().unwrap());
    let response = bench.call(request).await;
    assert_eq!(denial(response).await, "route_unknown");
    let seen = bench.engine.seen.lock().unwrap();
    let [(raw, budget, trace)] = seen.as_slice() else {
        panic!("one check");
    };
    assert_eq!(raw.path, "/path");
    assert_eq!(*budget, Duration::from_millis(80));
    assert_eq!(*trace, TraceContext::parse(traceparent.as_bytes()));
}

#[tokio::test]
async fn h8_whatever_cannot_be_read_is_denied() {
    let good = good();
    let long = vec![0; LIMIT + 1];
    let cases: Vec<(&str, Body)> = vec![
        ("an undecodable message", framed(b"\xff\xff\xff")),
        ("another protocol", framed(b"GET / HTTP/1.1")),
        ("a message without a request", framed(b"")),
        ("no message at all", body("")),
        ("no body", Body::empty()),
        ("half a frame's head", body(&b"\0\0"[..])),
        ("half a message", body(frame(0, good.len() + 9, &good))),
        ("a message over the limit", framed(&long)),
        (
            "a message that says it is over the limit",
            body(frame(0, 0xffff_ffff, b"")),
        ),
        ("a compressed message", body(frame(1, good.len(), &good))),
        (
            "a flag that does not exist",
            body(frame(7, good.len(), &good)),
        ),
        ("a broken stream", trickle("", true)),
        (
            "a stream that breaks within a message",
            trickle(frame(0, good.len(), &good[..3]), true),
        ),
    ];
    for (name, body) in cases {
        let bench = bench(Does::Refuse, 8);
        assert_eq!(bench.reason(body).await, "request_malformed", "{name}");
        assert!(bench.engine.seen.lock().unwrap().is_empty(), "{name}");
        let records = bench.engine.records.all();
        assert_eq!(records.len(), 1, "{name}: one record");
        assert_eq!(records[0].reason, Reason::RequestMalformed, "{name}");
    }
}

#[tokio::test]
async fn a_message_of_the_longest_length_is_judged() {
    let mut message = good();
    // An unknown field fills it up: its key, a length of two bytes, and zeros.
    let rest = LIMIT - message.len() - 3;
    message.push(0x7a);
    prost::encoding::encode_varint(rest as u64, &mut message);
    message.extend(vec![0; rest]);
    assert_eq!(message.len(), LIMIT);
    let bench = bench(Does::Refuse, 8);
    assert_eq!(bench.reason(framed(&message)).await, "route_unknown");
}

#[tokio::test]
async fn a_panic_is_denied() {
    for does in [Does::Panic, Does::PanicLater] {
        let bench = bench(does, 8);
        assert_eq!(bench.reason(framed(&good())).await, "internal_fault");
        // And the next check is judged.
        assert_eq!(bench.reason(framed(b"")).await, "request_malformed");
    }
}

#[tokio::test]
async fn one_check_too_many_is_denied_at_once() {
    let bench = bench(Does::Wait, 1);
    let mut first = Box::pin(bench.call(request(framed(&good()))));
    assert!(first.as_mut().now_or_never().is_none());
    assert_eq!(bench.in_flight.now(), 1);
    for _ in 0..3 {
        let response = bench.call(request(framed(&good()))).now_or_never();
        assert_eq!(denial(response.unwrap()).await, "overloaded");
    }
    assert_eq!(bench.in_flight.now(), 1, "those that were refused are gone");
    assert_eq!(bench.engine.seen.lock().unwrap().len(), 1);
    // Envoy gives up on the first one, and that makes room.
    drop(first);
    assert_eq!(bench.in_flight.now(), 0);
    let mut next = Box::pin(bench.call(request(framed(&good()))));
    assert!(next.as_mut().now_or_never().is_none());
    assert_eq!(bench.engine.seen.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn f1_a_message_that_trickles_in_is_denied_in_time() {
    let bench = bench(Does::Refuse, 8);
    let before = tokio::time::Instant::now();
    assert_eq!(
        bench.reason(trickle(frame(0, 9, b"x"), false)).await,
        "deadline_exceeded"
    );
    let took = before.elapsed();
    assert!(took < Duration::from_millis(150), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn f1_an_engine_that_never_ends_is_denied_in_time() {
    let bench = bench(Does::Wait, 8);
    let before = tokio::time::Instant::now();
    let mut request = request(framed(&good()));
    request
        .headers_mut()
        .insert("grpc-timeout", "60m".parse().unwrap());
    let response = pin!(bench.call(request)).await;
    assert_eq!(denial(response).await, "deadline_exceeded");
    let took = before.elapsed();
    assert!(took < Duration::from_millis(60), "{took:?}");
}

#[test]
fn reads_grpc_timeouts() {
    let seconds = Duration::from_secs;
    for (text, timeout) in [
        ("1H", Some(seconds(3600))),
        ("2M", Some(seconds(120))),
        ("3S", Some(seconds(3))),
        ("200m", Some(Duration::from_millis(200))),
        ("5u", Some(Duration::from_micros(5))),
        ("7n", Some(Duration::from_nanos(7))),
        ("0S", Some(Duration::ZERO)),
        ("007m", Some(Duration::from_millis(7))),
        ("99999999H", Some(seconds(99_999_999 * 3600))),
        ("100000000H", None),
        ("", None),
        ("m", None),
        ("5", None),
        ("5s", None),
        ("5h", None),
        ("-5m", None),
        ("+5m", None),
        (" 5m", None),
        ("5 m", None),
        ("5m ", None),
        ("1.5S", None),
        ("\u{665}m", None),
    ] {
        assert_eq!(grpc_timeout(text.as_bytes()), timeout, "{text:?}");
    }
}

#[test]
fn the_nearer_deadline_counts_and_leaves_time_for_the_way_back() {
    let millis = Duration::from_millis;
    for (timeout, setting, whole) in [
        (None, 150, 130),
        (Some("200m"), 150, 130),
        (Some("100m"), 150, 80),
        (Some("5S"), 10_000, 4980),
        (Some("30m"), 150, 15),
        (Some("1m"), 150, 0),
        (Some("0m"), 150, 0),
        (Some("nonsense"), 150, 130),
        (None, 10, 5),
    ] {
        let mut headers = http::HeaderMap::new();
        if let Some(timeout) = timeout {
            headers.insert("grpc-timeout", timeout.parse().unwrap());
        }
        let budget = budget(&headers, millis(setting));
        assert_eq!(budget.as_millis(), whole, "{timeout:?} {setting}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_answered(bytes in any::<Vec<u8>>(), message in any::<Vec<u8>>()) {
        let runtime = crate::test_support::runtime();
        runtime.block_on(async {
            let bench = bench(Does::Refuse, 8);
            bench.reason(body(bytes)).await;
            bench.reason(framed(&message)).await;
        });
    }
}
