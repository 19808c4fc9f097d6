//! The admin listener: metrics, probes and what is configured, on loopback unless told otherwise.

mod config;
mod listening;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::RawQuery;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

pub use self::config::Configured;
pub use self::listening::{Listening, Protection, Tls};
use crate::pipeline::Pipeline;
use crate::telemetry::metrics::PrometheusReader;

/// Whether requests should be sent here.
pub struct Readiness {
    pipeline: Arc<Pipeline>,
    was_ready: AtomicBool,
    draining: AtomicBool,
}

impl Readiness {
    /// Ready once `pipeline` has every key set that it needs, and from then on: policies that are loaded
    /// later may need keys that are not there, and take nothing else out of service.
    pub const fn new(pipeline: Arc<Pipeline>) -> Self {
        Self {
            pipeline,
            was_ready: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    /// Says that this process is about to end. There is no way back.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Why no requests should be sent here, if so.
    pub fn unready(&self) -> Option<String> {
        if self.draining.load(Ordering::SeqCst) {
            return Some("draining".to_owned());
        }
        if self.was_ready.load(Ordering::SeqCst) {
            return None;
        }
        let snapshot = self.pipeline.snapshot();
        let missing: Vec<&str> = snapshot.missing_key_sets().collect();
        if missing.is_empty() {
            self.was_ready.store(true, Ordering::SeqCst);
        }
        (!missing.is_empty()).then(|| {
            format!(
                "waiting for the keys of {} (the log says why)",
                missing.join(", ")
            )
        })
    }
}

/// Serves `/livez`, `/readyz`, `/metrics` and `/config` until the task is dropped.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    readiness: Arc<Readiness>,
    metrics: Arc<PrometheusReader>,
    config: Arc<Configured>,
) -> std::io::Result<()> {
    let ready = move || {
        let readiness = Arc::clone(&readiness);
        async move { ready(&readiness) }
    };
    let metrics = move || {
        let metrics = Arc::clone(&metrics);
        async move { scrape(&metrics) }
    };
    let config = move |RawQuery(query): RawQuery| {
        let config = Arc::clone(&config);
        async move { config.answer(query.as_deref()) }
    };
    let router = Router::new()
        .route(
            "/",
            get(|| async { "portcullis: /livez /readyz /metrics /config\n" }),
        )
        .route("/config", get(config))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics));
    axum::serve(listener, router).await
}

fn ready(readiness: &Readiness) -> Response {
    match readiness.unready() {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

fn scrape(metrics: &PrometheusReader) -> Response {
    match metrics.text() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
