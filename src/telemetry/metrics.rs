//! One set of OpenTelemetry instruments, read by the Prometheus reader and by OTLP.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{
    BoundCounter, BoundHistogram, Counter, Histogram, Meter, MeterProvider,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};
use prometheus::{Encoder, Registry, TextEncoder};

use crate::audit::Record;
use crate::verdict::Reason;

/// The upper bounds of the latency histogram, in seconds.
const BOUNDS: [f64; 16] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
    0.05, 0.1, 0.15, 0.25, 1.0,
];

/// The most combinations of policy, authenticator and reason that one worker keeps bound: past it the
/// table starts anew, which costs time and no measurement.
const MAX_BOUND: usize = 10_000;

/// The decisions' instruments.
#[derive(Clone)]
pub struct Metrics {
    decisions: Counter<u64>,
    duration: Histogram<f64>,
    candidates: Counter<u64>,
    shadows: Counter<u64>,
    meter: Meter,
    /// Tells these instruments from others of this process.
    id: usize,
}

static NEXT_ID: AtomicUsize = AtomicUsize::new(0);

/// Whose instruments, then policy, authenticator and reason.
type Labels = (usize, Option<Arc<str>>, Option<Arc<str>>, Reason);
type Bound = (BoundCounter<u64>, BoundHistogram<f64>);

thread_local! {
    /// What each worker has bound: found without a lock.
    static BOUND: RefCell<HashMap<Labels, Bound>> =
        RefCell::new(HashMap::new());
}

/// A value with its labels, each a name and a word.
pub type Labelled = (u64, Vec<(&'static str, &'static str)>);

fn attributes(labels: &[(&'static str, &'static str)]) -> Vec<KeyValue> {
    labels
        .iter()
        .map(|&(name, value)| KeyValue::new(name, value))
        .collect()
}

/// Reads all instruments for Prometheus.
pub struct PrometheusReader {
    registry: Registry,
}

/// Makes the provider, with a Prometheus reader and whatever readers `more` adds.
///
/// # Errors
/// The text of what the exporter says.
pub fn provider(
    more: impl FnOnce(MeterProviderBuilder) -> MeterProviderBuilder,
) -> Result<(SdkMeterProvider, PrometheusReader), String> {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .without_target_info()
        .build()
        .map_err(|error| error.to_string())?;
    let builder = SdkMeterProvider::builder()
        .with_resource(resource())
        .with_reader(exporter);
    Ok((more(builder).build(), PrometheusReader { registry }))
}

/// Who reports: `service.name` is `portcullis` unless `OTEL_SERVICE_NAME` or
/// `OTEL_RESOURCE_ATTRIBUTES` say otherwise.
pub fn resource() -> Resource {
    let own = Resource::builder().build();
    let name = opentelemetry::Key::from_static_str("service.name");
    let unnamed = own
        .get(&name)
        .is_none_or(|value| value.as_str().starts_with("unknown_service"));
    let builder = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if unnamed {
        builder.with_service_name("portcullis").build()
    } else {
        builder.build()
    }
}

impl PrometheusReader {
    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// The text of what the encoder says.
    pub fn text(&self) -> Result<Vec<u8>, String> {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .map_err(|error| error.to_string())?;
        Ok(text)
    }
}

impl Metrics {
    /// The instruments of a provider.
    pub fn new(provider: &SdkMeterProvider) -> Self {
        let meter = provider.meter("portcullis");
        let decisions = meter
            .u64_counter("portcullis.decisions")
            .with_description("Decisions, by reason, policy and authenticator")
            .build();
        let duration = meter
            .f64_histogram("portcullis.decision.duration")
            .with_unit("s")
            .with_description("Time from the arrival of a check to its decision")
            .with_boundaries(BOUNDS.to_vec())
            .build();
        let candidates = meter
            .u64_counter("portcullis.candidate.decisions")
            .with_description(
                "Decisions that the candidate policies would have made, by how they differ",
            )
            .build();
        let shadows = meter
            .u64_counter("portcullis.shadow.decisions")
            .with_description("Decisions that routes in shadow would have made, by how they differ")
            .build();
        Self {
            decisions,
            duration,
            candidates,
            shadows,
            meter,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Counts one decision.
    pub fn record(&self, record: &Record<'_>) {
        let labels: Labels = (
            self.id,
            record.policy().cloned(),
            record.authenticator().cloned(),
            record.reason,
        );
        let seconds = record.duration.as_secs_f64();
        BOUND.with_borrow_mut(|bound| {
            if bound.len() >= MAX_BOUND && !bound.contains_key(&labels) {
                bound.clear();
            }
            let (count, duration) = bound
                .entry(labels)
                .or_insert_with_key(|labels| self.bind(labels));
            count.add(1);
            duration.record(seconds);
        });
        if let Some((beside, difference)) = record.shadow() {
            let route = beside.route.as_ref();
            let policy = route.map_or("", |route| &route.policy);
            self.shadows.add(
                1,
                &[
                    KeyValue::new("differs", difference.as_str()),
                    KeyValue::new("policy", policy.to_owned()),
                    KeyValue::new("reason", beside.reason.as_str()),
                ],
            );
        }
        if let Some((beside, difference)) = record.candidate() {
            // The policy that counts, or else the one that would.
            let policy = record
                .policy()
                .or(beside.route.as_ref().map(|route| &route.policy));
            self.candidates.add(
                1,
                &[
                    KeyValue::new("differs", difference.as_str()),
                    KeyValue::new("policy", policy.map_or("", AsRef::as_ref).to_owned()),
                ],
            );
        }
    }

    fn bind(&self, (_, policy, authenticator, reason): &Labels) -> Bound {
        let text = |label: &Option<Arc<str>>| label.as_deref().unwrap_or_default().to_owned();
        let labels = [
            KeyValue::new("decision", reason.decision()),
            KeyValue::new("reason", reason.as_str()),
            KeyValue::new("policy", text(policy)),
            KeyValue::new("authenticator", text(authenticator)),
        ];
        (self.decisions.bind(&labels), self.duration.bind(&labels))
    }

    /// Adds a gauge that is read when somebody looks.
    pub fn gauge(
        &self,
        name: &'static str,
        description: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.meter
            .u64_observable_gauge(name)
            .with_description(description)
            .with_callback(move |observer| observer.observe(read(), &[]))
            .build();
    }

    /// Adds a counter that is read when somebody looks.
    pub fn counter(
        &self,
        name: &'static str,
        description: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.meter
            .u64_observable_counter(name)
            .with_description(description)
            .with_callback(move |observer| observer.observe(read(), &[]))
            .build();
    }

    /// Adds a gauge with labels that is read when somebody looks: `read` gives each value with its labels.
    pub fn labelled_gauge(
        &self,
        name: &'static str,
        unit: &'static str,
        description: &'static str,
        read: impl Fn() -> Vec<Labelled> + Send + Sync + 'static,
    ) {
        self.meter
            .u64_observable_gauge(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |observer| {
                for (value, labels) in read() {
                    observer.observe(value, &attributes(&labels));
                }
            })
            .build();
    }

    /// The same for a counter.
    pub fn labelled_counter(
        &self,
        name: &'static str,
        description: &'static str,
        read: impl Fn() -> Vec<Labelled> + Send + Sync + 'static,
    ) {
        self.meter
            .u64_observable_counter(name)
            .with_description(description)
            .with_callback(move |observer| {
                for (value, labels) in read() {
                    observer.observe(value, &attributes(&labels));
                }
            })
            .build();
    }

    /// States the program's version, as a gauge that is always 1.
    pub fn build_info(&self) {
        self.meter
            .u64_observable_gauge("portcullis.build.info")
            .with_description("Always 1; the labels say what runs")
            .with_callback(|observer| {
                observer.observe(1, &[KeyValue::new("version", env!("CARGO_PKG_VERSION"))]);
            })
            .build();
    }
}
