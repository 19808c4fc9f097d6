//! The running process: what is started, in which order, and how it ends.

pub mod acceptor;
pub mod drain;
pub mod io;
pub mod settings;
pub mod workers;

use std::sync::Arc;

use crate::admin::{self, Readiness};
use crate::app::acceptor::Listeners;
use crate::app::settings::Settings;
use crate::app::workers::Workers;
use crate::audit::Recorder;
use crate::audit::sink::{self, AuditSink, AuditWriter};
use crate::authn::jwt::token_cache;
use crate::clock::{Clock, SystemClock};
use crate::diagnostic::Diagnostics;
use crate::envoy::service::{Authorization, Bounds, InFlight};
use crate::http_client::HttpClient;
use crate::jwks;
use crate::pipeline::Pipeline;
use crate::snapshot::Snapshot;
use crate::telemetry::metrics::{self, Metrics};
use crate::telemetry::otlp::{self, Traces};
use crate::telemetry::recorder::Telemetry;

/// Why the process cannot serve, or stopped serving.
#[derive(Debug)]
pub enum Failure {
    /// The policies have mistakes; nothing was served.
    Policies(Diagnostics),
    /// Something else, with what to do about it.
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Serves until the process is told to stop, then drains.
///
/// # Errors
/// [`Failure`].
pub fn serve(settings: &Settings) -> Result<(), Failure> {
    let mut diagnostics = Diagnostics::default();
    let cache = token_cache(settings.token_cache_bytes);
    let snapshot = Snapshot::build(&settings.policies, cache, &mut diagnostics);
    let Some(snapshot) = snapshot else {
        return Err(Failure::Policies(diagnostics));
    };
    if !diagnostics.is_empty() {
        for warning in &diagnostics {
            tracing::warn!("{}", warning.render());
        }
    }
    // Listeners, timers and everything that talks to others: never the requests themselves.
    let background = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("background")
        .enable_all()
        .build()?;
    let outcome = background.block_on(run(settings, snapshot));
    // What still waits for a slow peer is let go: everything worth keeping was flushed.
    background.shutdown_background();
    outcome
}

/// Everything that must be flushed at the end.
struct Flushes {
    audit: Option<AuditWriter>,
    traces: Option<Arc<Traces>>,
    provider: opentelemetry_sdk::metrics::SdkMeterProvider,
}

async fn run(settings: &Settings, snapshot: Arc<Snapshot>) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let in_flight = Arc::new(InFlight::new(settings.max_in_flight));
    let (telemetry, flushes, prometheus) = telemetry(settings, &in_flight)?;
    let metrics = telemetry.metrics.clone();
    let recorder: Arc<dyn Recorder> = Arc::new(telemetry);
    let pipeline = Arc::new(Pipeline::new(
        Arc::clone(&snapshot),
        Arc::clone(&clock),
        recorder,
        settings.require_tls,
    ));
    let readiness = Arc::new(Readiness::new(Arc::clone(&pipeline)));
    watch_readiness(&metrics, &readiness);
    let tasks = fetch_keys(&snapshot, &clock)?;

    let bounds = Bounds {
        check_timeout: settings.check_timeout,
        max_check_bytes: settings.max_check_bytes,
    };
    let service = Authorization::new(pipeline, in_flight, bounds);
    let workers = Workers::start(settings.workers, &service)?;
    let connections = workers.counter();
    metrics.gauge(
        "portcullis.connections",
        "Connections from Envoy that are open",
        move || connections.open() as u64,
    );
    let listeners = Listeners::bind(settings).await?;
    let accepting = listeners.accept_into(workers.handle());
    if let Some(address) = settings.admin_listen {
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .map_err(|error| {
                anyhow::anyhow!(
                    "cannot listen on {address} for the admin listener (--admin-listen): {error}"
                )
            })?;
        tracing::info!(address = %listener.local_addr()?, "admin listening");
        let serving = admin::serve(listener, Arc::clone(&readiness), Arc::new(prometheus));
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the admin listener ended");
            }
        });
    }
    tracing::info!(
        policies = snapshot.table.policies.len(),
        routes = snapshot.table.route_count,
        consumers = snapshot.table.consumer_count,
        authenticators = snapshot.table.authenticators.len(),
        version = env!("CARGO_PKG_VERSION"),
        "policies loaded"
    );
    let outcome = drain::until_told(settings, &readiness, workers, accepting).await;
    drop(tasks);
    flush(flushes).await;
    outcome
}

/// Metrics, traces and the audit log, as far as the settings ask for them.
fn telemetry(
    settings: &Settings,
    in_flight: &Arc<InFlight>,
) -> anyhow::Result<(Telemetry, Flushes, metrics::PrometheusReader)> {
    let endpoint = settings.otlp_endpoint.as_deref();
    let refused = |error: String| anyhow::anyhow!("cannot set up telemetry: {error}");
    let mut failed = None;
    let (provider, prometheus) = metrics::provider(|builder| match endpoint {
        None => builder,
        Some(endpoint) => match otlp::metrics_reader(endpoint, builder) {
            Ok(builder) => builder,
            Err(error) => {
                failed = Some(error);
                opentelemetry_sdk::metrics::SdkMeterProvider::builder()
            }
        },
    })
    .map_err(refused)?;
    if let Some(error) = failed {
        return Err(refused(error));
    }
    let traces = endpoint
        .map(|endpoint| Traces::new(endpoint, settings.trace_ratio))
        .transpose();
    let traces = traces.map_err(refused)?.map(Arc::new);
    let metrics = Metrics::new(&provider);
    metrics.build_info();
    let counted = Arc::clone(in_flight);
    metrics.gauge(
        "portcullis.checks.in_flight",
        "Checks being judged",
        move || counted.now() as u64,
    );
    let (audit, writer) = if settings.audit {
        let (sink, writer) = sink::start(std::io::stdout())?;
        (Some(sink), Some(writer))
    } else {
        (None, None)
    };
    let lost = audit.clone();
    metrics.counter(
        "portcullis.audit.dropped",
        "Audit lines that were lost",
        move || lost.as_ref().map_or(0, AuditSink::dropped),
    );
    let flushes = Flushes {
        audit: writer,
        traces: traces.clone(),
        provider,
    };
    Ok((
        Telemetry {
            audit,
            metrics,
            traces,
        },
        flushes,
        prometheus,
    ))
}

fn watch_readiness(metrics: &Metrics, readiness: &Arc<Readiness>) {
    let readiness = Arc::clone(readiness);
    metrics.gauge(
        "portcullis.ready",
        "1 while requests should be sent here",
        move || u64::from(readiness.unready().is_none()),
    );
}

/// Starts one task per issuer; dropping the answer ends them.
fn fetch_keys(
    snapshot: &Arc<Snapshot>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<tokio::task::JoinSet<()>> {
    let remote = snapshot
        .fetches
        .iter()
        .any(|fetch| fetch.source.is_remote());
    let http = if remote {
        Some(HttpClient::new()?)
    } else {
        None
    };
    let mut tasks = tokio::task::JoinSet::new();
    for fetch in &snapshot.fetches {
        tasks.spawn(supervise(fetch.clone(), http.clone(), Arc::clone(clock)));
    }
    Ok(tasks)
}

/// Keeps a key set fresh for as long as the process lives: if the task panics, it is started again.
async fn supervise(fetch: jwks::Fetch, http: Option<HttpClient>, clock: Arc<dyn Clock>) {
    loop {
        let task = tokio::spawn(jwks::keep_fresh(
            fetch.clone(),
            http.clone(),
            Arc::clone(&clock),
        ));
        let guard = AbortOnDrop(task.abort_handle());
        let ended = task.await;
        drop(guard);
        fetch.cell.failed();
        tracing::error!(
            authenticator = fetch.authenticator,
            ?ended,
            "the task that fetches keys ended; starting it again"
        );
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn flush(flushes: Flushes) {
    let flushed = tokio::task::spawn_blocking(move || {
        if let Some(traces) = flushes.traces {
            traces.shutdown();
        }
        if let Err(error) = flushes.provider.shutdown() {
            tracing::warn!(%error, "the last metrics could not be sent");
        }
        if let Some(audit) = flushes.audit {
            audit.finish();
        }
    });
    if flushed.await.is_err() {
        tracing::error!("flushing telemetry and audit panicked");
    }
    tracing::info!("stopped");
}
