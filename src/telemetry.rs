//! Logs, metrics and traces.

pub mod logs;
pub mod metrics;
pub mod otlp;
pub mod recorder;
