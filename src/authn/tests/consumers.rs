//! Whose a proven credential is, and what of it the upstream gets to see.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ISSUER, KEY, gate};
use crate::respond::Allow;
use crate::test_support::{claims, with};
use crate::verdict::Reason;

fn removed(allow: &Allow) -> Vec<String> {
    let names = allow
        .removed()
        .map(|name| String::from_utf8_lossy(name).into_owned());
    names.collect()
}

#[test]
fn a_token_that_fits_two_consumers_is_refused() {
    let gate = gate();
    let of = |changes: &[(&str, Value)]| {
        let mut made = claims(ISSUER);
        for (name, value) in changes {
            made = with(&made, name, value.clone());
        }
        gate.authorized("/login", &gate.bearer(&made))
    };
    let azp = ("azp", json!("acme-app"));
    assert_eq!(of(&[]), Reason::Allowed, "nobody's token is no consumer's");
    assert_eq!(of(std::slice::from_ref(&azp)), Reason::Allowed);
    assert_eq!(
        of(&[azp.clone(), ("org", json!({"id": "acme"}))]),
        Reason::Allowed
    );
    assert_eq!(
        of(&[azp, ("team", json!("other"))]),
        Reason::ConsumerAmbiguous
    );
    let nested = ("org", json!({"id": "acme"}));
    assert_eq!(
        of(&[nested, ("team", json!("other"))]),
        Reason::ConsumerAmbiguous
    );
}

#[test]
fn a_consumers_ceiling_cuts_what_its_token_claims() {
    let gate = gate();
    for (scope, azp, reason) in [
        ("orders:read", json!("acme-app"), Reason::Allowed),
        ("orders:read admin", json!("acme-app"), Reason::Allowed),
        ("orders:*", json!("acme-app"), Reason::ScopeInsufficient),
        ("*", json!("acme-app"), Reason::ScopeInsufficient),
        ("orders:rea", Value::Null, Reason::ScopeInsufficient),
        ("orders:read", Value::Null, Reason::Allowed),
        ("xorders:read", Value::Null, Reason::ScopeInsufficient),
    ] {
        let made = with(&with(&claims(ISSUER), "azp", azp), "scope", json!(scope));
        let reason_now = gate.authorized("/scoped", &gate.bearer(&made));
        assert_eq!(reason_now, reason, "{scope}");
    }
    let made = with(
        &with(&claims(ISSUER), "azp", json!("acme-app")),
        "scope",
        json!("orders:read admin"),
    );
    let allow = gate.allow("/login", &[("authorization", &gate.bearer(&made))]);
    let principal = allow.facts().principal.unwrap();
    assert_eq!(principal.scopes().joined(), "orders:read");
    assert_eq!(principal.id(), "login:alice");
}

#[test]
fn a_consumer_ends_in_the_second_that_it_names() {
    let gate = gate();
    let bearer = gate.bearer(&with(&claims(ISSUER), "azp", json!("brief-app")));
    // 2027-01-15T08:10:00Z is ten minutes after the test begins.
    assert_eq!(gate.authorized("/login", &bearer), Reason::Allowed);
    gate.world.clock.advance(Duration::from_secs(599));
    assert_eq!(gate.authorized("/login", &bearer), Reason::Allowed);
    gate.world.clock.advance(Duration::from_secs(1));
    assert_eq!(gate.authorized("/login", &bearer), Reason::ConsumerExpired);
}

#[test]
fn a_credential_counts_in_its_consumers_environment_only() {
    let gate = gate();
    let token = |app: &str| gate.bearer(&with(&claims(ISSUER), "azp", json!(app)));
    for (target, name, value, reason) in [
        ("/key", "x-api-key", KEY.to_owned(), Reason::Allowed),
        (
            "/test",
            "x-api-key",
            KEY.to_owned(),
            Reason::EnvironmentMismatch,
        ),
        ("/test", "x-api-key", "test-key".to_owned(), Reason::Allowed),
        (
            "/key",
            "x-api-key",
            "test-key".to_owned(),
            Reason::EnvironmentMismatch,
        ),
        ("/test", "authorization", token("test-app"), Reason::Allowed),
        (
            "/login",
            "authorization",
            token("test-app"),
            Reason::EnvironmentMismatch,
        ),
        (
            "/test",
            "authorization",
            token("acme-app"),
            Reason::EnvironmentMismatch,
        ),
    ] {
        assert_eq!(
            gate.world.get(target, &[(name, &value)]),
            reason,
            "{target} {value}"
        );
    }
}

#[test]
fn takes_credentials_out_of_what_the_upstream_sees() {
    let gate = gate();
    let allow = gate.allow(
        "/query?a=1&api%5Fkey=pk_live_k1_secret",
        &[("cookie", "b=2")],
    );
    assert_eq!(allow.removed_parameters(), ["api%5Fkey"]);
    assert_eq!(allow.cookie(), None);

    let line = format!("b=2; session={KEY}; c");
    let allow = gate.allow("/query?a=1", &[("cookie", &line)]);
    assert_eq!(allow.cookie(), Some(&b"b=2; c"[..]));
    assert!(!removed(&allow).contains(&"cookie".to_owned()));

    let allow = gate.allow("/query", &[("cookie", &format!("session={KEY}"))]);
    assert!(removed(&allow).contains(&"cookie".to_owned()));

    // Both places of a route, used or not, and whether Envoy showed them or not.
    let allow = gate.allow("/both", &[("x-api-key", KEY)]);
    for name in ["x-api-key", "authorization"] {
        assert!(removed(&allow).contains(&name.to_owned()), "{name}");
    }
    let good = gate.bearer(&claims(ISSUER));
    let allow = gate.allow("/both", &[("authorization", &good), ("x-api-key", "wrong")]);
    assert!(removed(&allow).contains(&"x-api-key".to_owned()));
}

#[test]
fn leaves_a_credential_that_is_to_be_forwarded() {
    let gate = gate();
    let allow = gate.allow("/kept", &[("x-kept", KEY)]);
    assert!(!removed(&allow).contains(&"x-kept".to_owned()));
    let allow = gate.allow(&format!("/kept?kept={KEY}"), &[]);
    assert!(allow.removed_parameters().is_empty());
    let allow = gate.allow("/kept", &[("cookie", &format!("kept={KEY}"))]);
    assert_eq!(allow.cookie(), None);
    assert!(!removed(&allow).contains(&"cookie".to_owned()));
}
