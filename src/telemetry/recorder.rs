//! Where every finished decision goes: the audit log, the metrics, the traces.

use std::sync::Arc;

use crate::audit::sink::AuditSink;
use crate::audit::{Record, Recorder};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::otlp::Traces;

/// Sends records wherever the settings ask for them.
pub struct Telemetry {
    /// The audit log, unless it is switched off.
    pub audit: Option<AuditSink>,
    /// The metrics.
    pub metrics: Metrics,
    /// The traces, where an endpoint is configured.
    pub traces: Option<Arc<Traces>>,
}

impl Recorder for Telemetry {
    fn record(&self, record: &Record<'_>) {
        if let Some(audit) = &self.audit {
            let mut line = Vec::with_capacity(768);
            record.write_line(&mut line);
            audit.send(&line);
        }
        self.metrics.record(record);
        if let Some(traces) = &self.traces {
            traces.record(record);
        }
    }
}
