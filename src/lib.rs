//! Portcullis: external authorization for Envoy.
//!
//! The layers, each of which may import those below it: `cli` and `app`; the edges `envoy`, `admin` and `reload`;
//! the assembly `pipeline`, `snapshot` and `standin`; the adapters `config`, `jwks`, `http_client`, `telemetry` and
//! the audit sink; the domain `authn`, `consumer`, `policy`, `limit`, `respond`, `verdict` and `audit`;
//! the request in `request` and `headers`; and the ground `clock`, `secret`, `ids` and `diagnostic`.
//! A test holds the code to this.

pub mod admin;
pub mod app;
pub mod audit;
pub mod authn;
pub mod cli;
pub mod clock;
pub mod config;
pub mod consumer;
pub mod diagnostic;
pub mod envoy;
pub mod headers;
pub mod http_client;
pub mod ids;
pub mod jwks;
pub mod limit;
pub mod pipeline;
pub mod policy;
pub mod reload;
pub mod request;
pub mod respond;
pub mod secret;
pub mod snapshot;
pub mod standin;
pub mod telemetry;
#[cfg(test)]
mod test_support;
pub mod verdict;
