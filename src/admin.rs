//! The admin listener: metrics and probes, on loopback unless told otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::pipeline::Pipeline;
use crate::telemetry::metrics::PrometheusReader;

/// Whether requests should be sent here.
pub struct Readiness {
    pipeline: Arc<Pipeline>,
    draining: AtomicBool,
}

impl Readiness {
    /// Ready once `pipeline` has every key set that it needs.
    pub const fn new(pipeline: Arc<Pipeline>) -> Self {
        Self {
            pipeline,
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
        let snapshot = self.pipeline.snapshot();
        let missing: Vec<&str> = snapshot.missing_key_sets().collect();
        (!missing.is_empty()).then(|| {
            format!(
                "waiting for the keys of {} (the log says why)",
                missing.join(", ")
            )
        })
    }
}

/// Serves `/livez`, `/readyz` and `/metrics` until the task is dropped.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    readiness: Arc<Readiness>,
    metrics: Arc<PrometheusReader>,
) -> std::io::Result<()> {
    let ready = move || {
        let readiness = Arc::clone(&readiness);
        async move { ready(&readiness) }
    };
    let metrics = move || {
        let metrics = Arc::clone(&metrics);
        async move { scrape(&metrics) }
    };
    let router = Router::new()
        .route(
            "/",
            get(|| async { "portcullis: /livez /readyz /metrics\n" }),
        )
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
