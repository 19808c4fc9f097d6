//! What is revoked, and what is not.

use std::sync::Arc;

use serde_json::json;

use crate::policy::observe::Unobserved;
use crate::test_support::{
    NOW, Signer, World, claims, compile, jwk_set, key_entry, mistakes, table, with,
};
use crate::verdict::Reason;

use super::{Revocation, Revocations, Revoked};
use crate::authn::Progress;
use crate::authn::principal::Principal;
use crate::test_support::{clock, get, on, runtime};

const ISSUER: &str = "https://login.example.com";

/// The callers of a key and of two tokens, of which the second says neither when it was issued nor its id.
fn callers() -> [Principal; 3] {
    let signer = Signer::ed25519("k");
    let table = table(&format!(
        "authenticators:
  key: {{api_key: {{from: {{header: x-key}}}}}}
  login: {{jwt: {{issuer: {ISSUER}, audiences: [orders-api], jwks: {{inline: {}}}}}}}
consumers: {{acme: {{credentials: {{key: [{}], login: [{{claim: azp, value: acme}}]}}}}}}
policies: {{p: {{hosts: [api.example.com], authenticate: [key, login], routes: [{{path: /}}]}}}}",
        jwk_set(&[&signer]),
        key_entry("k7", "secret"),
    ));
    let token = |claims: &serde_json::Value| format!("Bearer {}", signer.token(claims));
    let full = with(
        &with(&claims(ISSUER), "sid", json!("s-1")),
        "azp",
        json!("acme"),
    );
    let bare = with(
        &with(&claims(ISSUER), "iat", json!(null)),
        "jti",
        json!(null),
    );
    let requests = [
        get("/", &[("x-key", "secret")]),
        get("/", &[("authorization", &token(&full))]),
        get("/", &[("authorization", &token(&bare))]),
    ];
    requests.map(|request| {
        let route = table.routes.choose(&request).unwrap();
        let authn = route.authn.as_ref().unwrap();
        let clock = clock();
        let mut progress = Progress::default();
        let proven = authn.authenticate(
            &request,
            on("live"),
            clock.as_ref(),
            &mut progress,
            Unobserved,
        );
        let (identity, _) = runtime().block_on(proven).unwrap();
        identity.principal().unwrap().clone()
    })
}

fn revocations(text: &str) -> Revocations {
    let mut out = crate::diagnostic::Diagnostics::default();
    let set = crate::test_support::read(&[("r.yaml", text)], &mut out);
    assert!(!out.has_errors(), "{}", out.render());
    Revocations::new(set.revocations)
}

#[test]
fn step_8_each_kind_of_entry_revokes_what_it_names() {
    let callers = callers();
    let (then, later) = ("2027-01-15T07:59:59Z", "2027-01-15T08:00:01Z");
    assert_eq!(NOW, 1_800_000_000, "the two times stand around it");
    for (entry, revoked) in [
        ("{credential: k7}".to_owned(), [true, false, false]),
        ("{credential: k8}".to_owned(), [false, false, false]),
        ("{credential: t-1}".to_owned(), [false, true, false]),
        ("{jti: t-1}".to_owned(), [false, true, false]),
        ("{jti: k7}".to_owned(), [false, false, false]),
        ("{session: s-1}".to_owned(), [false, true, false]),
        ("{consumer: acme}".to_owned(), [true, true, false]),
        ("{subject: \"login:alice\"}".to_owned(), [false, true, true]),
        ("{subject: \"key:acme\"}".to_owned(), [true, false, false]),
        (
            "{subject: \"login:mallory\"}".to_owned(),
            [false, false, false],
        ),
        // What does not say when it was issued counts as issued before.
        (
            format!("{{subject: \"login:alice\", before: {then}}}"),
            [false, false, true],
        ),
        (
            format!("{{subject: \"login:alice\", before: {later}}}"),
            [false, true, true],
        ),
        (
            format!("{{consumer: acme, before: {then}}}"),
            [true, false, false],
        ),
    ] {
        let revocations = revocations(&format!("revocations: [{entry}]"));
        let judged = callers.each_ref().map(|caller| {
            let refused = revocations.judge(caller, None).err();
            refused.map(|refusal| refusal.reason) == Some(Reason::CredentialsRevoked)
        });
        assert_eq!(judged, revoked, "{entry}");
    }
}

#[test]
fn of_two_entries_for_one_thing_the_stricter_holds() {
    let [_, token, _] = callers();
    let old = "{subject: \"login:alice\", before: 2020-01-01}";
    for (other, revoked) in [
        ("{subject: \"login:alice\"}", true),
        ("{subject: \"login:alice\", before: 2030-01-01}", true),
        ("{subject: \"login:alice\", before: 2021-01-01}", false),
    ] {
        for text in [format!("[{old}, {other}]"), format!("[{other}, {old}]")] {
            let revocations = revocations(&format!("revocations: {text}"));
            assert_eq!(revocations.judge(&token, None).is_err(), revoked, "{text}");
            assert_eq!(revocations.len(), 2);
        }
    }
}

#[test]
fn entries_that_cannot_be_read_are_mistakes() {
    let text = "revocations:
  - {credential: a, jti: b}
  - {}
  - {subject: mallory}
  - {subject: \"login:mallory\", before: yesterday}
  - {credential: \"\"}
  - {consumr: acme}
";
    let (_, out) = compile(&[("policy.yaml", text)]);
    assert_eq!(
        mistakes(&out),
        [
            ("bad-revocation", 2),
            ("bad-revocation", 3),
            ("bad-revocation", 4),
            ("bad-time", 5),
            ("empty-value", 6),
            ("bad-revocation", 7),
            ("unknown-key", 7),
        ],
        "{}",
        out.render()
    );
}

#[test]
fn step_8_a_revoked_caller_is_refused_at_once() {
    let policy = |revocations: &str| {
        format!(
            "authenticators: {{key: {{api_key: {{from: {{header: x-key}}}}}}}}
consumers: {{acme: {{credentials: {{key: [{}, {}]}}}}}}
policies: {{p: {{hosts: [api.example.com], authenticate: key, routes: [{{path: /}}]}}}}
revocations: [{revocations}]",
            key_entry("k7", "secret"),
            key_entry("k8", "other"),
        )
    };
    let world = World::new(&policy("{credential: k7}"));
    assert_eq!(
        world.get("/", &[("x-key", "secret")]),
        Reason::CredentialsRevoked
    );
    assert_eq!(world.get("/", &[("x-key", "other")]), Reason::Allowed);
    let entry = Revocation {
        what: Revoked::Consumer("acme".into()),
        before: None,
    };
    world.pipeline.revoke(Arc::new(Revocations::new([entry])));
    assert_eq!(
        world.get("/", &[("x-key", "other")]),
        Reason::CredentialsRevoked
    );
}
