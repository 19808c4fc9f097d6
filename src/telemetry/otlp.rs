//! Metrics and traces to a collector over OTLP. Nothing of this exists unless an endpoint is configured.

use std::time::{Duration, UNIX_EPOCH};

use opentelemetry::trace::{
    Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

use crate::audit::Record;
use crate::telemetry::metrics::resource;
use crate::verdict::{PublicClass, Reason};

/// How long one export may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Adds a reader that sends metrics to `endpoint` periodically (`OTEL_METRIC_EXPORT_INTERVAL`, default
/// one minute). Must be called within the background runtime.
///
/// # Errors
/// The text of what the exporter says of the endpoint.
pub fn metrics_reader(
    endpoint: &str,
    builder: MeterProviderBuilder,
) -> Result<MeterProviderBuilder, String> {
    let exporter = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_reader(PeriodicReader::builder(exporter).build()))
}

/// Sends one span per decision.
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Sends spans to `endpoint`. A caller's decision on sampling is followed; `ratio` of the traces
    /// that begin here are sampled. Must be called within the background runtime.
    ///
    /// # Errors
    /// The text of what the exporter says of the endpoint.
    pub fn new(endpoint: &str, ratio: f64) -> Result<Self, String> {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(TIMEOUT)
            .build()
            .map_err(|error| error.to_string())?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                ratio,
            ))))
            .with_batch_exporter(exporter)
            .build();
        let tracer = provider.tracer("portcullis");
        Ok(Self { provider, tracer })
    }

    /// Writes the span of a decision, as a child of the caller's.
    pub fn record(&self, record: &Record<'_>) {
        let start =
            UNIX_EPOCH + Duration::from_micros(u64::try_from(record.time().micros()).unwrap_or(0));
        let parent = record.trace().map_or_else(Context::new, |trace| {
            Context::new().with_remote_span_context(SpanContext::new(
                TraceId::from(trace.trace_id),
                SpanId::from(trace.parent_id),
                TraceFlags::new(trace.flags),
                true,
                TraceState::default(),
            ))
        });
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let attributes = [
            KeyValue::new("portcullis.decision_id", record.id().to_string()),
            KeyValue::new("portcullis.reason", record.reason.as_str()),
            KeyValue::new(
                "portcullis.policy",
                text(record.policy().map(AsRef::as_ref)),
            ),
            KeyValue::new("portcullis.route", text(record.route())),
            KeyValue::new(
                "portcullis.authenticator",
                text(record.authenticator().map(AsRef::as_ref)),
            ),
            KeyValue::new("http.response.status_code", i64::from(record.status)),
        ];
        let mut span = self
            .tracer
            .span_builder("envoy.service.auth.v3.Authorization/Check")
            .with_kind(SpanKind::Server)
            .with_start_time(start)
            .with_attributes(attributes)
            .start_with_context(&self.tracer, &parent);
        // A refusal is a job well done; only what failed on our side is an error of the span.
        let failed = matches!(
            record.reason.class(),
            PublicClass::Internal | PublicClass::Unavailable
        );
        if failed && record.reason != Reason::Cancelled {
            span.set_status(Status::error(record.reason.as_str()));
        }
        span.end_with_timestamp(start + record.duration);
    }

    /// Sends what is waiting and ends.
    pub fn shutdown(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}
