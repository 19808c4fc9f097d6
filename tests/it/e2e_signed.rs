//! Requests that are proven themselves, signed by SDKs and programs that are not ours, each through a real Envoy.

mod bodies;
mod clients;
mod hmac;
mod http_signature;
mod oauth1;
mod reload;
mod sigv4;
mod together;
mod webhook;

use std::fmt::Debug;
use std::net::SocketAddr;

use serde_json::Value;

use crate::support::client::Response;
use crate::support::envoy_config::{EnvoyConfig, RequestBody};
use crate::support::signers::Signed;
use crate::support::upstream::Recorded;
use crate::world::World;

/// What most secrets of these tests are.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What clients speak with Envoy.
#[derive(Clone, Copy, Debug)]
enum Over {
    H1,
    H2,
}

impl Over {
    const BOTH: [Self; 2] = [Self::H1, Self::H2];

    /// Now this, now that.
    const fn by_turns(turn: usize) -> Self {
        Self::BOTH[turn % 2]
    }
}

async fn send(envoy: SocketAddr, signed: &Signed, over: Over) -> Response {
    let request = signed.request();
    match over {
        Over::H1 => request.send_h1(envoy).await,
        Over::H2 => request.send_h2(envoy).await,
    }
}

/// Policies with one authenticator, `signed`, and what its consumers have with it.
fn policies(authenticator: &str, consumers: &str) -> String {
    format!(
        r#"
authenticators:
  signed: {authenticator}
consumers: {consumers}
defaults:
  inject:
    x-auth-principal: principal.id
    x-auth-consumer: consumer.name
    x-auth-scopes: principal.scopes
policies:
  api:
    hosts: [api.example.com, other.example.com, 127.0.0.1]
    authenticate: signed
    routes:
      - {{path: /orders/**}}
"#
    )
}

/// `acme` with these credentials, and one scope.
fn acme(credentials: &str) -> String {
    format!("{{acme: {{scopes: [orders:write], credentials: {{signed: {credentials}}}}}}}")
}

/// An Envoy that forwards bodies as its reference page asks for it.
fn with_bodies(config: EnvoyConfig) -> EnvoyConfig {
    config.with_request_body(RequestBody {
        max_request_bytes: 65_536,
        allow_partial_message: false,
        pack_as_bytes: true,
    })
}

/// A deployment that takes signed requests.
struct Scene(World);

impl Scene {
    async fn start(policies: &str) -> Self {
        Self(World::start(policies, with_bodies).await)
    }

    /// With `encode_raw_headers`.
    async fn start_raw(policies: &str) -> Self {
        let raw = |config| with_bodies(config).encode_raw_headers(true);
        Self(World::start(policies, raw).await)
    }

    async fn send(&self, signed: &Signed, over: Over) -> Response {
        send(self.0.envoy.addr(), signed, over).await
    }

    /// Sends a request that has to pass, and gives what reached the upstream.
    async fn passes(&self, signed: &Signed, over: Over) -> Recorded {
        self.passes_for(signed, over, &"").await
    }

    /// The same, with what a failure should tell.
    async fn passes_for(&self, signed: &Signed, over: Over, who: &impl Debug) -> Recorded {
        let response = self.send(signed, over).await;
        let text = response.text();
        assert_eq!(
            response.status, 200,
            "{who:?} over {over:?}: {signed:?}\n{text}"
        );
        let mut seen = self.0.upstream.take_requests();
        assert_eq!(seen.len(), 1, "{who:?}");
        seen.remove(0)
    }

    /// Sends a request that has to be refused for `reason`, and gives the audit record.
    async fn refused(&self, signed: &Signed, over: Over, reason: &str) -> Value {
        self.refused_for(signed, over, reason, &"").await
    }

    /// The same, with what a failure should tell.
    async fn refused_for(
        &self,
        signed: &Signed,
        over: Over,
        reason: &str,
        who: &impl Debug,
    ) -> Value {
        let response = self.send(signed, over).await;
        let case = format!("{who:?} over {over:?}, {reason}: {signed:?}");
        assert_ne!(response.status, 200, "it passed: {case}");
        let audit = self.audit(&response).await;
        assert_eq!(audit["reason"], reason, "{case}\n{audit}");
        assert_eq!(self.0.upstream.request_count(), 0, "{case}");
        audit
    }

    /// The audit record of an answer.
    async fn audit(&self, response: &Response) -> Value {
        let id = response.json()["decision_id"].clone();
        self.0
            .portcullis
            .wait_for_audit(|line| line["decision_id"] == id)
            .await
    }

    /// Sends two equal requests at once, and asserts that exactly one of them passes.
    async fn one_of_two_passes(&self, signed: &Signed, over: Over) {
        let (one, other) = tokio::join!(self.send(signed, over), self.send(signed, over));
        let (passed, refused) = match one.status {
            200 => (one, other),
            _ => (other, one),
        };
        assert_eq!(
            (passed.status, refused.status),
            (200, 401),
            "{over:?}: {signed:?}\n{}\n{}",
            passed.text(),
            refused.text()
        );
        assert_eq!(self.audit(&refused).await["reason"], "signature_replayed");
        assert_eq!(self.0.upstream.take_requests().len(), 1);
    }
}

/// Asserts that an upstream was told who calls, and that these headers did not reach it.
fn assert_identity(seen: &Recorded, principal: &str, consumer: Option<&str>, gone: &[&str]) {
    assert_eq!(seen.header("x-auth-principal"), Some(principal), "{seen:?}");
    assert_eq!(seen.header("x-auth-consumer"), consumer, "{seen:?}");
    for name in gone {
        assert!(seen.headers_all(name).is_empty(), "{name} in {seen:?}");
    }
}

/// Asserts that an operator is told of something.
fn assert_told(audit: &Value, what: &str) {
    let detail = audit["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(what), "{what} is not in {audit}");
}
