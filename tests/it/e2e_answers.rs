//! Always an answer: whatever happens to a check, Envoy gets a denial that it can't mistake for a
//! failure of the service, so that even `failure_mode_allow: true` lets nothing through.

use std::sync::Arc;
use std::time::Duration;

use portcullis::app::io::Accepted;
use portcullis::app::workers::Workers;
use portcullis::audit::trace_context::TraceContext;
use portcullis::audit::{Record, Recorder};
use portcullis::authn::jwt::token_cache;
use portcullis::clock::SystemClock;
use portcullis::diagnostic::Diagnostics;
use portcullis::envoy::service::{Authorization, Bounds, Engine, InFlight};
use portcullis::pipeline::Pipeline;
use portcullis::request::raw::RawCheck;
use portcullis::snapshot::Snapshot;
use portcullis::verdict::{Refusal, Verdict};
use serde_json::json;

use crate::issuer::{Issuer, Mood};
use crate::support::envoy::Envoy;
use crate::support::envoy_config::{EnvoyConfig, RequestBody};
use crate::support::upstream::Upstream;
use crate::world::{Signer, Usual, World, class, get, policies_of, policy_directory, request};

/// Envoy would let everything through that the service does not answer.
fn permissive(config: EnvoyConfig) -> EnvoyConfig {
    config.failure_mode_allow(true)
}

async fn nothing_slipped_through(envoy: &Envoy, upstream: &Upstream) {
    assert_eq!(upstream.request_count(), 0);
    assert_eq!(
        envoy
            .stat("http.ingress.ext_authz.failure_mode_allowed")
            .await,
        0
    );
    assert_eq!(envoy.stat("http.ingress.ext_authz.error").await, 0);
}

#[tokio::test]
async fn a_message_over_the_limit_is_denied() {
    let usual = Usual::new();
    let body = |config: EnvoyConfig| {
        permissive(config).with_request_body(RequestBody {
            max_request_bytes: 16 * 1024 * 1024,
            allow_partial_message: false,
            pack_as_bytes: true,
        })
    };
    // The default limit of 1 MiB, and one that a few headers reach.
    for (arguments, size) in [
        (&[][..], 6 * 1024 * 1024),
        (&["--max-check-bytes", "2000"][..], 3000),
    ] {
        let world = World::launch(&usual.yaml, arguments, body).await;
        for _ in 0..3 {
            let response = request("POST", "/public/x")
                .body(vec![b'x'; size])
                .send_h1(world.envoy.addr())
                .await;
            assert_eq!(
                (response.status, class(&response).as_str()),
                (400, "request_malformed"),
                "{size}"
            );
        }
        nothing_slipped_through(&world.envoy, &world.upstream).await;
        let audit = world
            .portcullis
            .wait_for_audit(|line| line["reason"] == "request_malformed")
            .await;
        assert!(
            audit["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains("longer than `max_check_bytes`")),
            "{audit}"
        );
        // The connection, or the next one, serves on.
        assert_eq!(
            get("/public/x").send_h1(world.envoy.addr()).await.status,
            200
        );
    }
}

#[tokio::test]
async fn a_body_within_the_limit_is_no_reason_to_deny() {
    let usual = Usual::new();
    for pack_as_bytes in [false, true] {
        let world = World::start(&usual.yaml, |config| {
            permissive(config).with_request_body(RequestBody {
                max_request_bytes: 1024,
                allow_partial_message: true,
                pack_as_bytes,
            })
        })
        .await;
        let body = vec![0xff; 5000];
        let response = request("POST", "/public/x")
            .body(&body)
            .send_h1(world.envoy.addr())
            .await;
        assert_eq!(response.status, 200);
        assert_eq!(world.upstream.take_requests()[0].body, body);
    }
}

struct NoRecords;

impl Recorder for NoRecords {
    fn record(&self, _: &Record<'_>) {}
}

/// Panics in the middle of every check.
struct Panicking(Pipeline);

impl Engine for Panicking {
    async fn check(&self, raw: RawCheck, _: Duration, _: Option<TraceContext>) -> Verdict {
        tokio::task::yield_now().await;
        assert!(raw.path.is_empty(), "a fault of ours");
        self.0.refuse(&Refusal::new(
            portcullis::verdict::Reason::InternalFault,
            "unreachable",
        ))
    }

    fn refuse(&self, refusal: &Refusal) -> Verdict {
        self.0.refuse(refusal)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_denied_and_the_worker_lives_on() {
    let directory = policy_directory(&Usual::new().yaml);
    let mut out = Diagnostics::default();
    let snapshot = Snapshot::build(
        &policies_of(directory.path()),
        &token_cache(0),
        None,
        &mut out,
    )
    .expect("compiles");
    let pipeline = Pipeline::new(
        snapshot,
        Arc::new(SystemClock::new()),
        Arc::new(NoRecords),
        false,
    );
    let bounds = Bounds {
        check_timeout: Duration::from_secs(2),
        max_check_bytes: 1 << 20,
    };
    let service = Authorization::new(
        Arc::new(Panicking(pipeline)),
        Arc::new(InFlight::new(8)),
        bounds,
    );
    let workers = Workers::start(1, &service).expect("a worker");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let handle = workers.handle();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            handle.give(Accepted::Tcp(stream.into_std().expect("a stream")));
        }
    });
    let upstream = Upstream::start().await;
    let envoy = Envoy::start(permissive(EnvoyConfig::new(address, upstream.addr()))).await;
    for _ in 0..3 {
        let response = get("/orders").send_h1(envoy.addr()).await;
        assert_eq!(
            (response.status, class(&response).as_str()),
            (500, "internal")
        );
    }
    nothing_slipped_through(&envoy, &upstream).await;
    assert_eq!(workers.counter().open(), 1, "no connection was lost");
}

/// Policies whose keys come from an issuer.
fn from_issuer(url: &str) -> String {
    format!(
        r#"
authenticators:
  login: {{jwt: {{issuer: "{issuer}", audiences: [orders-api], jwks: {{url: "{url}/jwks"}}}}}}
policies:
  orders:
    hosts: [api.example.com]
    authenticate: login
    routes:
      - {{path: /orders}}
      - {{path: /public, public: true}}
"#,
        issuer = crate::world::ISSUER
    )
}

#[tokio::test]
async fn a_check_that_outlives_its_budget_is_denied() {
    let issuer = Issuer::start(Mood::Silent).await;
    let arguments = ["--check-timeout", "200ms"];
    let world = World::unready(&from_issuer(&issuer.url()), &arguments, permissive).await;
    let token = format!("Bearer {}", Signer::shared().token(&json!({})));
    for response in world
        .both(|| get("/orders").header("authorization", &token))
        .await
    {
        assert_eq!(
            (response.status, class(&response).as_str()),
            (503, "unavailable")
        );
        assert_eq!(response.header("retry-after"), Some("1"));
    }
    let audit = world
        .portcullis
        .wait_for_audit(|line| line["reason"] == "deadline_exceeded")
        .await;
    assert_eq!(
        audit["authenticator"], "login",
        "it says what was waited for: {audit}"
    );
    assert!(crate::world::outlived(&audit) <= 180, "{audit}");
    // What needs no keys is answered all along.
    assert_eq!(get("/public").send_h1(world.envoy.addr()).await.status, 200);
    world.upstream.take_requests();
    nothing_slipped_through(&world.envoy, &world.upstream).await;
}

#[tokio::test]
async fn too_many_checks_in_flight_are_denied_at_once() {
    let issuer = Issuer::start(Mood::Silent).await;
    let world = World::unready(
        &from_issuer(&issuer.url()),
        &["--max-in-flight", "2"],
        permissive,
    )
    .await;
    let token = format!("Bearer {}", Signer::shared().token(&json!({})));
    let address = world.envoy.addr();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let token = token.clone();
            tokio::spawn(async move {
                get("/orders")
                    .header("authorization", token)
                    .send_h1(address)
                    .await
            })
        })
        .collect();
    crate::support::wait::poll(
        "two checks in flight",
        || world.portcullis.stderr_text(),
        async || {
            let metrics = world.portcullis.admin_get("/metrics").await.text();
            metrics
                .lines()
                .any(|line| line == "portcullis_checks_in_flight 2")
                .then_some(())
        },
    )
    .await;
    let response = get("/public").send_h1(address).await;
    assert_eq!(
        (response.status, class(&response).as_str()),
        (503, "unavailable")
    );
    world
        .portcullis
        .wait_for_audit(|line| line["reason"] == "overloaded")
        .await;
    issuer.set(Mood::Keys(json!({"keys": [Signer::shared().jwk()]})));
    for response in waiting {
        let response = response.await.expect("an answer");
        assert_eq!(response.status, 200, "{}", response.text());
    }
    assert_eq!(world.upstream.take_requests().len(), 2);
    assert_eq!(
        get("/public").send_h1(address).await.status,
        200,
        "there is room again"
    );
    world.upstream.take_requests();
    nothing_slipped_through(&world.envoy, &world.upstream).await;
}

#[tokio::test]
async fn f1_a_dead_portcullis_is_closed_unless_envoy_is_told_to_open() {
    let usual = Usual::new();
    for (allow, status) in [(false, 403), (true, 200)] {
        let mut world = World::start(&usual.yaml, |config| config.failure_mode_allow(allow)).await;
        world.portcullis.signal("KILL");
        world.portcullis.wait_exit(Duration::from_secs(10)).await;
        let response = get("/orders").send_h1(world.envoy.addr()).await;
        assert_eq!(response.status, status, "failure_mode_allow: {allow}");
    }
}
