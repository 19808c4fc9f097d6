//! What one decision costs without the network: decode, decide, encode, in one thread, with metrics and
//! an audit log as in production (the log's text goes nowhere).
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to measure"
)]

mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use portcullis::audit::Recorder;
use portcullis::audit::sink;
use portcullis::authn::jwt::token_cache;
use portcullis::clock::{Clock, SystemClock};
use portcullis::diagnostic::Diagnostics;
use portcullis::envoy::{decode, encode};
use portcullis::pipeline::Pipeline;
use portcullis::snapshot::Snapshot;
use portcullis::telemetry::metrics::{self, Metrics};
use portcullis::telemetry::recorder::Telemetry;
use portcullis::verdict::{Reason, Verdict};
use prost::Message as _;

use support::Fixture;

/// The same allocator as the program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BUDGET: Duration = Duration::from_millis(130);

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let fixture = Fixture::new();
    decoding(&mut criterion, &fixture);
    deciding(&mut criterion, &fixture);
    criterion.final_summary();
}

/// Reading the message, ours against the generated types that own all of it.
fn decoding(criterion: &mut Criterion, fixture: &Fixture) {
    let message = &fixture.api_key;
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Bytes(message.len() as u64));
    group.bench_function("portcullis", |bencher| {
        bencher.iter(|| decode::check(black_box(message.clone())));
    });
    group.bench_function("envoy_types", |bencher| {
        bencher.iter(|| CheckRequest::decode(black_box(message.clone())));
    });
    group.finish();
}

/// From the message to the answer.
fn deciding(criterion: &mut Criterion, fixture: &Fixture) {
    let caching = Engine::new(fixture, 16 * 1024 * 1024);
    let forgetful = Engine::new(fixture, 0);
    let mut group = criterion.benchmark_group("check");
    for (name, engine, message, expected) in [
        ("api_key", &caching, &fixture.api_key, Reason::Allowed),
        ("jwt_cached", &caching, &fixture.es256, Reason::Allowed),
        ("jwt_es256", &forgetful, &fixture.es256, Reason::Allowed),
        ("jwt_rs256", &forgetful, &fixture.rs256, Reason::Allowed),
        (
            "no_credential",
            &caching,
            &fixture.nothing,
            Reason::CredentialsMissing,
        ),
    ] {
        let verdict = engine.runtime.block_on(engine.decide(message));
        assert_eq!(verdict.reason(), expected, "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| engine.time(message, rounds));
        });
    }
    group.finish();
}

/// A pipeline as `portcullis serve` assembles it.
struct Engine {
    runtime: tokio::runtime::Runtime,
    pipeline: Pipeline,
    /// Dropping it would switch the instruments off.
    _provider: SdkMeterProvider,
}

impl Engine {
    fn new(fixture: &Fixture, cache_bytes: u64) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fixture
            .write_policies(directory.path())
            .expect("can be written");
        let mut diagnostics = Diagnostics::default();
        let snapshot = Snapshot::build(
            directory.path(),
            &token_cache(cache_bytes),
            None,
            &mut diagnostics,
        );
        let snapshot = snapshot.ok_or_else(|| diagnostics.render());
        let (provider, _) = metrics::provider(|builder| builder).expect("metrics can be set up");
        // Its writer ends with the process.
        let (audit, _) = sink::start(std::io::sink()).expect("a thread can be started");
        let recorder: Arc<dyn Recorder> = Arc::new(Telemetry {
            audit: Some(audit),
            metrics: Metrics::new(&provider),
            traces: None,
        });
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made"),
            pipeline: Pipeline::new(
                snapshot.expect("the policies have no mistakes"),
                clock,
                recorder,
                false,
            ),
            _provider: provider,
        }
    }

    async fn decide(&self, message: &Bytes) -> Verdict {
        let raw = decode::check(message.clone()).expect("it is a check");
        self.pipeline.check(raw, BUDGET, None).await
    }

    /// Many decisions in one go: entering the runtime is paid by none of them, as on a worker.
    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark's time is the real one"
    )]
    fn time(&self, message: &Bytes, rounds: u64) -> Duration {
        self.runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..rounds {
                let verdict = self.decide(black_box(message)).await;
                black_box(encode::response(&verdict));
            }
            start.elapsed()
        })
    }
}
