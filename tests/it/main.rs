//! Black-box and end-to-end tests: one binary, against a real Envoy.
#![expect(
    unreachable_pub,
    reason = "helpers say what they offer to the tests; nothing leaves this binary"
)]

#[cfg(test)]
mod architecture;
#[cfg(test)]
#[path = "../../src/app/tls/test_certificates.rs"]
mod certificates;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod e2e_answers;
#[cfg(test)]
mod e2e_authenticate;
#[cfg(test)]
mod e2e_cors;
#[cfg(test)]
mod e2e_identity;
#[cfg(test)]
mod e2e_issuers;
mod e2e_language;
#[cfg(test)]
mod e2e_listeners;
mod e2e_mtls;
#[cfg(test)]
mod e2e_paths;
#[cfg(test)]
mod e2e_pins;
#[cfg(test)]
mod e2e_policies;
#[cfg(test)]
mod e2e_reload;
#[cfg(test)]
mod e2e_rpc;
#[cfg(test)]
mod e2e_signed;
#[cfg(test)]
mod e2e_tenants;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod issuer;
#[cfg(test)]
mod newcomer;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod process;
#[cfg(test)]
mod support;
#[cfg(test)]
mod telemetry;
#[cfg(test)]
mod world;
