//! The end-to-end harness: a real Envoy between a client that can send anything and an upstream that forgets nothing.
//!
//! Nothing here picks a port beforehand: every listener binds port 0 or a Unix socket in its own directory, so tests
//! run side by side, in threads or in processes. Whatever is waited for has the one [`wait::DEADLINE`], and a failure
//! tells all that is known by then.

pub mod client;
pub mod envoy;
pub mod envoy_config;
pub mod portcullis;
pub mod ports;
pub mod signers;
pub mod tls;
pub mod upstream;

mod header_lines;
mod http1;
mod line_log;
pub mod wait;

mod tests;
