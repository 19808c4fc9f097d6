//! Metrics, traces and the audit record, as an operator finds them.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::world::{Usual, World, get};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[tokio::test]
async fn decisions_are_counted_by_reason_policy_and_authenticator() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, |config| config).await;
    for _ in 0..3 {
        get("/orders")
            .header("x-api-key", &usual.live.plain)
            .send_h1(world.envoy.addr())
            .await;
    }
    get("/orders")
        .header("x-api-key", "wrong")
        .send_h1(world.envoy.addr())
        .await;
    get("/nowhere").send_h1(world.envoy.addr()).await;
    let metrics = world.portcullis.admin_get("/metrics").await;
    assert!(
        metrics
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/plain"))
    );
    let metrics = metrics.text();
    let value = |labels: &[&str], name: &str| {
        metrics
            .lines()
            .find(|line| {
                line.starts_with(&format!("{name}{{"))
                    && labels.iter().all(|label| line.contains(label))
            })
            .and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    let allowed = [
        "decision=\"allow\"",
        "reason=\"allowed\"",
        "policy=\"orders\"",
        "authenticator=\"partner-key\"",
    ];
    assert_eq!(
        value(&allowed, "portcullis_decisions_total"),
        Some(3.0),
        "{metrics}"
    );
    assert_eq!(
        value(&allowed, "portcullis_decision_duration_seconds_count"),
        Some(3.0),
        "{metrics}"
    );
    let refused = [
        "decision=\"deny\"",
        "reason=\"key_unknown\"",
        "policy=\"orders\"",
        "authenticator=\"partner-key\"",
    ];
    assert_eq!(
        value(&refused, "portcullis_decisions_total"),
        Some(1.0),
        "{metrics}"
    );
    let unknown = [
        "reason=\"route_unknown\"",
        "policy=\"\"",
        "authenticator=\"\"",
    ];
    assert_eq!(
        value(&unknown, "portcullis_decisions_total"),
        Some(1.0),
        "{metrics}"
    );
    for line in [
        "portcullis_ready 1",
        "portcullis_checks_in_flight 0",
        "portcullis_connections 1",
    ] {
        assert!(
            metrics.lines().any(|other| other == line),
            "{line} is missing:\n{metrics}"
        );
    }
}

#[tokio::test]
async fn an_audit_record_says_who_what_why_and_of_which_trace() {
    let usual = Usual::new();
    let world = World::start(&usual.yaml, |config| config).await;
    let response = get("/orders?secret=s3cr3t")
        .header("x-api-key", &usual.live.plain)
        .header("user-agent", "agent \"quoted\"\u{1f}")
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .try_send_h1(world.envoy.addr())
        .await;
    // Envoy refuses a control character in a header; then without it.
    if !response.is_ok_and(|response| response.status == 200) {
        get("/orders?secret=s3cr3t")
            .header("x-api-key", &usual.live.plain)
            .header("user-agent", "agent \"quoted\"")
            .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
            .send_h1(world.envoy.addr())
            .await;
    }
    let line = world
        .portcullis
        .wait_for_audit(|line| line["reason"] == "allowed")
        .await;
    for (member, value) in [
        ("decision", "allow"),
        ("method", "GET"),
        ("host", "api.example.com"),
        ("path", "/orders"),
        ("policy", "orders"),
        ("route", "/orders"),
        ("authenticator", "partner-key"),
        ("principal", "partner-key:acme"),
        ("consumer", "acme"),
        ("credential_id", "k-live"),
        ("client_address", "127.0.0.1"),
        ("trace_id", TRACE),
        ("protocol", "HTTP/1.1"),
    ] {
        assert_eq!(line[member], value, "{member}: {line}");
    }
    assert!(
        line["user_agent"]
            .as_str()
            .is_some_and(|agent| agent.starts_with("agent \"quoted\""))
    );
    assert!(line["duration_us"].as_u64().is_some());
    assert!(!line.to_string().contains("s3cr3t") && !line.to_string().contains(&usual.live.plain));
}

#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    metrics: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans.into_iter();
        let spans = spans
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans);
        self.spans.lock().expect("not poisoned").extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let names = request
            .into_inner()
            .resource_metrics
            .into_iter()
            .flat_map(|resource| resource.scope_metrics)
            .flat_map(|scope| scope.metrics)
            .map(|metric| metric.name);
        self.metrics.lock().expect("not poisoned").extend(names);
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_and_metrics_reach_a_collector_and_continue_the_callers_trace() {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    let usual = Usual::new();
    let arguments = ["--otlp-endpoint", &endpoint];
    let mut world = World::launch(&usual.yaml, &arguments, |config| config).await;
    let send = async |flags: &str| {
        let request = get("/orders")
            .header("x-api-key", &usual.live.plain)
            .header("traceparent", format!("00-{TRACE}-{PARENT}-{flags}"));
        request.send_h1(world.envoy.addr()).await
    };
    assert_eq!(send("01").await.status, 200);
    assert_eq!(send("00").await.status, 200);
    // What is waiting is sent before the process ends.
    world.portcullis.signal("TERM");
    assert_eq!(
        world
            .portcullis
            .wait_exit(std::time::Duration::from_secs(20))
            .await
            .code(),
        Some(0)
    );
    let spans = collector.spans.lock().expect("not poisoned");
    assert_eq!(
        spans.len(),
        1,
        "the caller's decision on sampling is followed: {spans:?}"
    );
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(hex(&spans[0].trace_id), TRACE);
    assert_eq!(hex(&spans[0].parent_span_id), PARENT);
    assert!(spans[0].end_time_unix_nano >= spans[0].start_time_unix_nano);
    let keys: Vec<&str> = spans[0]
        .attributes
        .iter()
        .map(|attribute| attribute.key.as_str())
        .collect();
    assert!(
        keys.contains(&"portcullis.decision_id") && keys.contains(&"portcullis.policy"),
        "{keys:?}"
    );
    let metrics = collector.metrics.lock().expect("not poisoned");
    assert!(
        metrics.iter().any(|name| name == "portcullis.decisions"),
        "{metrics:?}"
    );
}

#[tokio::test]
async fn a_collector_that_is_away_changes_no_decision() {
    let usual = Usual::new();
    let dead = crate::support::ports::DeadAddress::reserve();
    let endpoint = format!("http://{}", dead.addr());
    let world = World::launch(&usual.yaml, &["--otlp-endpoint", &endpoint], |config| {
        config
    })
    .await;
    assert_eq!(
        get("/orders")
            .header("x-api-key", &usual.live.plain)
            .send_h1(world.envoy.addr())
            .await
            .status,
        200
    );
    assert_eq!(get("/orders").send_h1(world.envoy.addr()).await.status, 401);
}
