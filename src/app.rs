//! The running process: what is started, in which order, and how it ends.

pub mod acceptor;
pub mod account;
pub mod drain;
pub mod io;
mod policies;
mod seldom;
pub mod settings;
pub mod tls;
pub mod unix;
pub mod workers;

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use crate::admin::{self, Configured, Readiness};
use crate::app::acceptor::Listeners;
use crate::app::settings::Settings;
use crate::app::tls::Terminator;
use crate::app::unix::UnixTerms;
use crate::app::workers::Workers;
use crate::audit::Recorder;
use crate::audit::sink::{self, AuditSink, AuditWriter};
use crate::authn::jwt::token_cache;
use crate::clock::{Clock, SystemClock};
use crate::diagnostic::Diagnostics;
use crate::envoy::service::{Authorization, Bounds, InFlight};
use crate::pipeline::Pipeline;
use crate::reload::{Ask, Found, Good, Loader, Role};
use crate::telemetry::metrics::{self, Metrics};
use crate::telemetry::otlp::{self, Traces};
use crate::telemetry::recorder::Telemetry;

/// Why the process cannot serve, or stopped serving.
#[derive(Debug)]
pub enum Failure {
    /// The policies have mistakes; nothing was served.
    Policies(Diagnostics),
    /// Something that the settings name is not there or cannot be used: certificates, users. Nothing was
    /// served.
    Configuration(String),
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
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let loader = |directory| Loader::new(directory, token_cache(settings.token_cache_bytes));
    let mut enforced = loader(&settings.policies);
    let enforced = match enforced.load(Ask::Always, clock.now()) {
        Found::Good(good) => (enforced, good),
        Found::Broken(problems) => return Err(Failure::Policies(problems)),
        Found::Nothing | Found::Unchanged => {
            return Err(anyhow::anyhow!("the policies were not read").into());
        }
    };
    let candidate = settings.candidate_policies.as_deref().map(|directory| {
        let mut candidate = loader(directory);
        let found = candidate.load(Ask::Always, clock.now());
        (candidate, found)
    });
    let guards = Guards::of(settings, &clock).map_err(Failure::Configuration)?;
    // Listeners, timers and everything that talks to others: never the requests themselves.
    let background = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("background")
        .enable_all()
        .build()?;
    let outcome = background.block_on(run(settings, &clock, guards, enforced, candidate));
    // What still waits for a slow peer is let go: everything worth keeping was flushed.
    background.shutdown_background();
    outcome
}

/// What decides who may ask for checks, as far as the settings ask for it.
struct Guards {
    tls: Option<tls::Loaded>,
    unix: Option<UnixTerms>,
}

impl Guards {
    fn of(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Self, String> {
        let tls = settings.tls.as_ref();
        let tls = tls.map(|tls| Terminator::load(tls, clock)).transpose();
        let unix = settings.listen_unix.as_ref();
        Ok(Self {
            tls: tls.map_err(|error| format!("{error}; nothing is served"))?,
            unix: unix.map(UnixTerms::of).transpose()?,
        })
    }
}

/// Everything that must be flushed at the end.
struct Flushes {
    audit: Option<AuditWriter>,
    traces: Option<Arc<Traces>>,
    provider: opentelemetry_sdk::metrics::SdkMeterProvider,
}

async fn run(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    guards: Guards,
    (enforced, good): (Loader, Good),
    candidate: Option<(Loader, Found)>,
) -> Result<(), Failure> {
    let in_flight = Arc::new(InFlight::new(settings.max_in_flight));
    let (telemetry, flushes, prometheus) = telemetry(settings, &in_flight)?;
    let metrics = telemetry.metrics.clone();
    let recorder: Arc<dyn Recorder> = Arc::new(telemetry);
    let mut pipeline = Pipeline::new(
        Arc::clone(&good.snapshot),
        Arc::clone(clock),
        recorder,
        settings.require_tls,
    )
    .believing(settings.peer);
    if candidate.is_some() {
        pipeline = pipeline.with_candidate();
    }
    let pipeline = Arc::new(pipeline);
    let readiness = Arc::new(Readiness::new(Arc::clone(&pipeline)));
    watch_readiness(&metrics, &readiness);
    let mut reloading = policies::Reloading::new(&pipeline, clock);
    let policies = &settings.policies;
    let enforced = reloading.begin(Role::Enforced, policies, enforced, Found::Good(good))?;
    let mut configured = Configured {
        pipeline: Arc::clone(&pipeline),
        enforced,
        candidate: None,
        listeners: Box::new(Vec::new),
    };
    if let Some(((loader, found), directory)) = candidate.zip(settings.candidate_policies.as_ref())
    {
        let status = reloading.begin(Role::Candidate, directory, loader, found)?;
        configured.candidate = Some(status);
    }
    policies::watch(&metrics, &configured);
    let loaded = configured.enforced.state().loaded;

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
    let tls = guards.tls.as_ref();
    let tls = tls.map(|loaded| Arc::clone(&loaded.terminator));
    if let Some(tls) = &tls {
        tls.watch(&metrics);
    }
    let listeners = Listeners::bind(settings, tls, guards.unix).await?;
    listeners.watch(&metrics);
    configured.listeners = Box::new(listeners.told());
    // Ends with this function.
    let mut following = tokio::task::JoinSet::new();
    if let Some(loaded) = guards.tls {
        following.spawn(tls::follow(loaded, signal(SignalKind::hangup())?));
    }
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
        let serving = admin::serve(
            listener,
            Arc::clone(&readiness),
            Arc::new(prometheus),
            Arc::new(configured),
        );
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the admin listener ended");
            }
        });
    }
    if let Some(loaded) = loaded {
        tracing::info!(
            policies = loaded.policies,
            routes = loaded.routes,
            consumers = loaded.consumers,
            authenticators = loaded.authenticators,
            version = env!("CARGO_PKG_VERSION"),
            "policies loaded"
        );
    }
    let outcome = drain::until_told(settings, &readiness, workers, accepting).await;
    drop((reloading, following));
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
