//! Black-box and end-to-end tests: one binary, against a real Envoy.

#[cfg(test)]
mod support;
