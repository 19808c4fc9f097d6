use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::audit::Recorder;
use crate::clock::{Clock, Timestamp};
use crate::pipeline::Pipeline;
use crate::snapshot::Snapshot;
use crate::test_support::{
    NOW, Records, Signer, World, claims, jwk_set, key_entry, raw, runtime, table,
};
use crate::verdict::{Reason, Verdict};

const ISSUER: &str = "https://login.example.com";
const KEY: (&str, &str) = ("x-api-key", "secret");

/// One route to `/a` that a key opens, and one to `/open`.
fn keys(policy: &str, scopes: &str, key: &str) -> String {
    format!(
        "authenticators: {{k: {{api_key: {{}}}}}}\n\
         consumers: {{acme: {{scopes: [{scopes}], credentials: {{k: [{}]}}}}}}\n\
         defaults: {{inject: {{x-auth-who: consumer.name}}}}\n\
         policies: {{{policy}: {{hosts: ['*'], routes: [{{path: /a, authenticate: k, scopes: [read]}}, {{path: /open, public: true}}]}}}}\n",
        key_entry("k1", key)
    )
}

fn candidate(world: &World) -> Option<Value> {
    let line: Value = serde_json::from_str(&world.records.last().line).unwrap();
    line.get("candidate").cloned()
}

#[test]
fn what_would_be_decided_differently_is_recorded_and_changes_nothing() {
    let enforced = keys("now", "read", "secret");
    for (what, policy, target, told) in [
        ("the same", enforced.clone(), "/a", None),
        (
            "the same by another policy",
            keys("next", "read", "secret"),
            "/a",
            None,
        ),
        (
            "fewer scopes",
            keys("next", "write", "secret"),
            "/a",
            Some(
                json!({"decision": "deny", "reason": "scope_insufficient", "policy": "next", "route": "/a"}),
            ),
        ),
        (
            "another key",
            keys("next", "read", "other"),
            "/a",
            Some(
                json!({"decision": "deny", "reason": "key_unknown", "policy": "next", "route": "/a"}),
            ),
        ),
        (
            "a route less",
            keys("next", "read", "secret").replace("/a,", "/b,"),
            "/a",
            Some(json!({"decision": "deny", "reason": "route_unknown"})),
        ),
        (
            "a route more",
            keys("next", "read", "secret").replace("/open", "/new"),
            "/new",
            Some(
                json!({"decision": "allow", "reason": "allowed", "policy": "next", "route": "/new"}),
            ),
        ),
        (
            "another reason",
            keys("next", "write", "secret")
                .replace("/open", "/new")
                .replace("/new, public: true", "/new, authenticate: k, scopes: [x]"),
            "/new",
            Some(
                json!({"decision": "deny", "reason": "scope_insufficient", "policy": "next", "route": "/new"}),
            ),
        ),
    ] {
        let alone = World::new(&enforced);
        let world = World::with_candidate(&enforced, &policy);
        let answers = [&alone, &world].map(|world| match world.judge(raw("GET", target, &[KEY])) {
            Verdict::Allow(allow) => (Reason::Allowed, format!("{:?}", allow.set())),
            other => (other.reason(), String::new()),
        });
        assert_eq!(answers[0], answers[1], "{what}");
        assert_eq!(candidate(&world), told, "{what}");
        assert_eq!(world.records.all().len(), 1, "{what}: one record");
    }
}

#[test]
fn a_preflight_that_would_be_judged_differently_is_recorded() {
    let policy = |origin: &str| {
        format!(
            "policies: {{p: {{hosts: ['*'], public: true, cors: {{origins: ['{origin}']}}, routes: [{{path: /a}}]}}}}"
        )
    };
    let (one, two) = (policy("https://one.example"), policy("https://two.example"));
    let world = World::with_candidate(&one, &two);
    for (origin, reason, told) in [
        (
            "https://one.example",
            Reason::Preflight,
            ("deny", "cors_refused"),
        ),
        (
            "https://two.example",
            Reason::CorsRefused,
            ("reply", "preflight"),
        ),
    ] {
        let lines = [("origin", origin), ("access-control-request-method", "GET")];
        let verdict = world.judge(raw("OPTIONS", "/a", &lines));
        assert_eq!(verdict.reason(), reason);
        let told = json!({"decision": told.0, "reason": told.1, "policy": "p", "route": "/a"});
        assert_eq!(candidate(&world), Some(told), "{origin}");
    }
}

#[test]
fn without_any_that_compiled_nothing_is_recorded() {
    let world = World::new(&keys("now", "read", "secret"));
    let world = World {
        pipeline: world.pipeline.with_candidate(),
        ..world
    };
    assert_eq!(world.get("/a", &[KEY]), Reason::Allowed);
    assert_eq!(candidate(&world), None);
}

/// Keys that are not there would have to be waited for.
#[test]
fn never_waits() {
    let signer = Signer::ed25519("k");
    let policy = |jwks: &str| {
        format!(
            "authenticators: {{login: {{jwt: {{issuer: '{ISSUER}', any_audience: true{jwks}}}}}}}\n\
             policies: {{p: {{hosts: ['*'], authenticate: login, routes: [{{path: /a}}]}}}}\n"
        )
    };
    let enforced = policy(&format!(", jwks: {{inline: {}}}", jwk_set(&[&signer])));
    let world = World::with_candidate(&enforced, &policy(""));
    let bearer = format!("Bearer {}", signer.token(&claims(ISSUER)));
    assert_eq!(
        world.get("/a", &[("authorization", &bearer)]),
        Reason::Allowed
    );
    assert_eq!(
        candidate(&world),
        Some(
            json!({"decision": "deny", "reason": "dependency_unavailable", "policy": "p", "route": "/a"})
        )
    );
}

/// Fails whoever asks for the time as often as given.
struct Faulty(AtomicUsize);

impl Clock for Faulty {
    fn now(&self) -> Timestamp {
        assert_ne!(
            self.0.fetch_sub(1, Ordering::SeqCst),
            0,
            "the clock is broken"
        );
        Timestamp::from_seconds(NOW)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn a_fault_in_it_is_none_of_the_decision() {
    let records = Arc::new(Records::default());
    let recorder: Arc<dyn Recorder> = Arc::<Records>::clone(&records);
    let snapshot = |policy: &str| Arc::new(Snapshot::of_table(table(policy)));
    let public = "policies: {p: {hosts: ['*'], public: true, routes: [{path: /a}]}}";
    // Once for each trail and once for the route's conditions; then the candidate's key asks.
    let clock = Arc::new(Faulty(AtomicUsize::new(3)));
    let pipeline = Pipeline::new(snapshot(public), clock, recorder, false).with_candidate();
    pipeline.replace_candidate(snapshot(&keys("next", "read", "secret")));
    let check = pipeline.check(raw("GET", "/a", &[KEY]), Duration::from_secs(5), None);
    let verdict = runtime().block_on(check);
    assert_eq!(verdict.reason(), Reason::Allowed);
    let line: Value = serde_json::from_str(&records.last().line).unwrap();
    assert_eq!(line["decision"], "allow");
    assert_eq!(line["candidate"]["reason"], "internal_fault");
}
