//! Choosing a route among few and among many, and compiling many.
//!
//! The same number of routes is asked for in each case, one of each kind, from services that lie evenly among
//! all: so what grows is the policy set alone, and not what the processor has to keep at hand. What that costs
//! where every route is asked for in turn is measured by itself.
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to measure"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion};
use portcullis::authn::jwt::token_cache;
use portcullis::diagnostic::Diagnostics;
use portcullis::request::Request;
use portcullis::request::raw::RawCheck;
use portcullis::secret::Digest;
use portcullis::snapshot::Snapshot;

/// The same allocator as the program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The routes of one service, and requests that each of them and no other covers.
const ROUTES: [(&str, &str, &str); 10] = [
    ("/healthz", "GET", "/healthz"),
    ("/v1/orders", "GET, POST", "/v1/orders?page=2"),
    ("/v1/orders/{order}", "GET", "/v1/orders/8137"),
    ("/v1/orders/{order}", "PUT, DELETE", "/v1/orders/8137"),
    (
        "/v1/orders/{order}/lines",
        "GET, POST",
        "/v1/orders/8137/lines",
    ),
    (
        "/v1/orders/{order}/lines/{line}",
        "GET, PATCH",
        "/v1/orders/8137/lines/3",
    ),
    (
        "/v1/customers/{customer}/addresses/{address}",
        "GET",
        "/v1/customers/c-9/addresses/home",
    ),
    ("/v1/customers/search", "POST", "/v1/customers/search"),
    (
        "/v2/reports/daily/{day}",
        "GET",
        "/v2/reports/daily/2026-11-23",
    ),
    ("/internal/**", "GET", "/internal/debug/pools/3"),
];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    choosing(&mut criterion);
    compiling(&mut criterion);
    criterion.final_summary();
}

fn choosing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    for routes in [10, 1_000, 10_000] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        write_policies(directory.path(), routes, 1).expect("can be written");
        let snapshot = build(directory.path());
        assert_eq!(snapshot.table.route_count, routes);
        let requests = requests(ROUTES.len(), routes / ROUTES.len());
        for (request, path) in &requests {
            let chosen = snapshot.table.routes.choose(request);
            let chosen = chosen.expect("every request has a route");
            assert_eq!(chosen.path.as_ref(), *path);
        }
        let mut next = requests.iter().map(|(request, _)| request).cycle();
        group.bench_function(format!("among_{routes}"), |bencher| {
            bencher.iter(|| {
                let request = next.next().expect("it never ends");
                snapshot
                    .table
                    .routes
                    .choose(black_box(request))
                    .map(Arc::as_ptr)
                    .ok()
            });
        });
        if routes == 10_000 {
            let requests = self::requests(routes, routes / ROUTES.len());
            let mut next = requests.iter().map(|(request, _)| request).cycle();
            group.bench_function("among_10000_each_in_turn", |bencher| {
                bencher.iter(|| {
                    let request = next.next().expect("it never ends");
                    snapshot
                        .table
                        .routes
                        .choose(black_box(request))
                        .map(Arc::as_ptr)
                        .ok()
                });
            });
        }
    }
    group.finish();
}

/// From files to a table: what a start or a reload waits for.
fn compiling(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_policies(directory.path(), 10_000, 10_000).expect("can be written");
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    group.bench_function("10000_routes_10000_consumers", |bencher| {
        bencher.iter_batched(
            || (),
            |()| build(black_box(directory.path())),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn build(directory: &Path) -> Arc<Snapshot> {
    let mut diagnostics = Diagnostics::default();
    Snapshot::build(directory, &token_cache(0), None, &mut diagnostics)
        .ok_or_else(|| diagnostics.render())
        .expect("the policies have no mistakes")
}

/// One policy of ten routes per service, and consumers with a key each, in files as people split them.
fn write_policies(directory: &Path, routes: usize, consumers: usize) -> std::io::Result<()> {
    let services = routes / ROUTES.len();
    for (file, first) in (0..services).step_by(100).enumerate() {
        let mut text = "version: portcullis/v1\npolicies:\n".to_owned();
        for service in first..services.min(first + 100) {
            let _ = write!(
                text,
                "  service-{service}:\n    hosts: [svc-{service}.example.com, \"*.svc-{service}.shops.example.com\"]\n    authenticate: keys\n    routes:\n"
            );
            for (path, methods, _) in ROUTES {
                let _ = writeln!(
                    text,
                    "      - {{path: \"{path}\", methods: [{methods}], scopes: [orders:read]}}"
                );
            }
        }
        std::fs::write(directory.join(format!("services-{file}.yaml")), text)?;
    }
    for (file, first) in (0..consumers).step_by(1_000).enumerate() {
        let mut text = "version: portcullis/v1\nconsumers:\n".to_owned();
        for consumer in first..consumers.min(first + 1_000) {
            let digest = Digest::of(format!("key of consumer {consumer}").as_bytes());
            let _ = write!(
                text,
                "  partner-{consumer}:\n    scopes: [orders:read, invoices:read]\n    credentials:\n      keys: [{{id: key-{consumer}, hash: \"sha256:{}\"}}]\n",
                digest.to_hex()
            );
        }
        std::fs::write(directory.join(format!("consumers-{file}.yaml")), text)?;
    }
    std::fs::write(
        directory.join("shared.yaml"),
        "version: portcullis/v1\n\
         authenticators: {keys: {api_key: {from: [{header: x-api-key}]}}}\n\
         defaults: {inject: {x-auth-principal: principal.id, x-auth-scopes: principal.scopes}}\n",
    )
}

/// So many requests, to every kind of route in turn, of services that lie evenly among all, each with its
/// route's path.
fn requests(count: usize, services: usize) -> Vec<(Request, &'static str)> {
    let request = |index: usize| {
        let service = index * services / count;
        let (route, methods, path) = ROUTES.get(index % ROUTES.len()).expect("in range");
        let method = methods.split(", ").next().unwrap_or_default();
        let host = if index.is_multiple_of(2) {
            format!("svc-{service}.example.com")
        } else {
            format!("acme.svc-{service}.shops.example.com")
        };
        let raw = RawCheck {
            method: Bytes::from_static(method.as_bytes()),
            host: Bytes::from(host),
            path: Bytes::from_static(path.as_bytes()),
            ..RawCheck::default()
        };
        (
            Request::read(raw, &portcullis::request::Reading::default()).expect("it can be read"),
            *route,
        )
    };
    (0..count).map(request).collect()
}
