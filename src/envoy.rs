//! The edge to Envoy: the only place that knows its protobuf messages.

pub mod codec;
pub mod decode;
pub mod encode;
pub mod service;
