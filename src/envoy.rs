//! The edge to Envoy: the only place that knows its protobuf messages.

pub mod decode;
pub mod encode;
pub mod frame;
pub mod service;
