//! What a route in shadow says, and that it changes nothing.

use serde_json::{Value, json};

use crate::test_support::{Signer, World, claims, jwk_set, key_entry, mistakes, raw, with};
use crate::verdict::{Reason, Verdict};

fn world(rest: &str) -> World {
    World::new(&format!(
        "authenticators:
  key: {{api_key: {{from: {{header: x-key}}}}}}
  away: {{jwt: {{issuer: 'https://nobody.invalid', audiences: [a]}}}}
consumers:
  reader: {{scopes: [read], credentials: {{key: [{}, {}]}}}}
revocations: [{{credential: gone}}]
{rest}",
        key_entry("r", "reader-key"),
        key_entry("gone", "gone-key"),
    ))
}

const BOTH: &str = "policies:
  now:
    hosts: [api.example.com]
    authenticate: key
    inject: {x-auth-consumer: consumer.name}
    routes:
      - {path: /orders, scopes: [read]}
      - {path: /open, public: true}
      - {path: /closed, scopes: [write]}
  next:
    hosts: ['*.example.com']
    mode: shadow
    authenticate: key
    inject: {x-auth-next: consumer.name}
    routes:
      - {path: /orders, scopes: [write]}
      - {path: /open}
      - {path: /closed, public: true}
      - {path: /orders/new}
      - {path: /away, authenticate: away}
      - {path: /enforced, mode: enforce, public: true}
";

fn shadow(world: &World) -> Option<(String, String)> {
    let line: Value = serde_json::from_str(&world.records.last().line).unwrap();
    let shadow = line.get("shadow")?;
    let text = |name: &str| shadow[name].as_str().unwrap().to_owned();
    assert_eq!(text("policy"), "next");
    Some((text("reason"), text("decision")))
}

#[test]
fn a_route_in_shadow_is_recorded_and_changes_nothing() {
    let world = world(BOTH);
    for (target, key, reason, beside) in [
        (
            "/orders",
            "reader-key",
            Reason::Allowed,
            Some(("scope_insufficient", "deny")),
        ),
        (
            "/orders",
            "",
            Reason::CredentialsMissing,
            Some(("credentials_missing", "deny")),
        ),
        (
            "/orders",
            "gone-key",
            Reason::CredentialsRevoked,
            Some(("credentials_revoked", "deny")),
        ),
        (
            "/open",
            "",
            Reason::Allowed,
            Some(("credentials_missing", "deny")),
        ),
        (
            "/closed",
            "reader-key",
            Reason::ScopeInsufficient,
            Some(("allowed", "allow")),
        ),
        // Where nothing but a route in shadow covers the request, there is no route.
        (
            "/orders/new",
            "reader-key",
            Reason::RouteUnknown,
            Some(("allowed", "allow")),
        ),
        ("/nothing", "reader-key", Reason::RouteUnknown, None),
        // What is said nearer wins; but the most specific host is chosen among enforced routes.
        ("/enforced", "", Reason::RouteUnknown, None),
    ] {
        assert_eq!(
            world.get(target, &[("x-key", key)]),
            reason,
            "{target} {key}"
        );
        let expected = beside.map(|(reason, decision)| (reason.to_owned(), decision.to_owned()));
        assert_eq!(shadow(&world), expected, "{target} {key}");
    }
}

#[test]
fn a_route_in_shadow_never_waits() {
    let world = world(BOTH);
    let bearer = "Bearer eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL25vYm9keS5pbnZhbGlkIn0.x";
    let reason = world.get("/away", &[("authorization", bearer)]);
    assert_eq!(reason, Reason::RouteUnknown);
    assert_eq!(shadow(&world).unwrap().0, "dependency_unavailable");
}

#[test]
fn shadow_injects_nothing_and_keeps_forgeries_out() {
    let world = world(&format!("defaults: {{unenforced: allow}}\n{BOTH}"));
    let lines = [
        ("x-key", "reader-key"),
        ("x-auth-next", "forged"),
        ("x-auth-consumer", "forged"),
        ("x_auth_other", "forged"),
    ];
    for (target, set, taken_out) in [
        ("/orders", vec!["x-auth-consumer"], true),
        ("/orders/new", vec![], false),
    ] {
        let Verdict::Allow(allow) = world.judge(raw("GET", target, &lines)) else {
            panic!("{target} is refused");
        };
        let names: Vec<&str> = allow.set().iter().map(|(name, _)| name.as_ref()).collect();
        assert_eq!(names, set, "{target}");
        let removed: Vec<&[u8]> = allow.removed().collect();
        for name in ["x-auth-next", "x-auth-consumer", "x_auth_other"] {
            let gone = removed.contains(&name.as_bytes());
            assert_eq!(gone, !set.contains(&name), "{target} {name}");
        }
        // Where nothing is enforced, the credential is the upstream's business.
        assert_eq!(
            removed.contains(&b"x-key".as_slice()),
            taken_out,
            "{target}"
        );
    }
}

#[test]
fn what_is_not_enforced_passes_only_where_that_is_said() {
    for (defaults, passes) in [
        ("", false),
        ("defaults: {unenforced: deny}", false),
        ("defaults: {unenforced: allow}", true),
    ] {
        let world = world(&format!("{defaults}\n{BOTH}"));
        let covered = if passes {
            Reason::Allowed
        } else {
            Reason::RouteUnknown
        };
        assert_eq!(world.get("/orders/new", &[]), covered);
        let beside = shadow(&world).unwrap();
        assert_eq!(
            beside,
            ("credentials_missing".to_owned(), "deny".to_owned())
        );
        assert_eq!(world.get("/nothing", &[]), Reason::RouteUnknown);
        // Steps 1 to 3 and 8 are never in shadow.
        assert_eq!(world.get("//orders/new", &[]), Reason::PathAmbiguous);
        let revoked = if passes {
            Reason::CredentialsRevoked
        } else {
            Reason::RouteUnknown
        };
        assert_eq!(world.get("/orders/new", &[("x-key", "gone-key")]), revoked);
        let put = world.judge(raw("CONNECT", "/orders/new", &[]));
        assert_eq!(put.reason(), Reason::RouteUnknown);
    }
}

/// Whatever the route in shadow would refuse before it asks for revocations.
#[test]
fn revocations_bind_whom_a_route_in_shadow_would_refuse_earlier() {
    let signer = Signer::ed25519("k");
    let issuer = "https://i.example";
    let world = World::new(&format!(
        "authenticators:
  key: {{api_key: {{from: {{header: x-key}}}}}}
  login: {{jwt: {{issuer: '{issuer}', any_audience: true, jwks: {{inline: {}}}}}}}
  away: {{jwt: {{issuer: 'https://nobody.invalid', any_audience: true}}}}
consumers:
  there: {{allow_ips: [203.0.113.0/24], credentials: {{key: [{}, {}]}}}}
  over: {{expires: 2020-01-01, credentials: {{key: [{}, {}]}}}}
  tested: {{environment: test, credentials: {{key: [{}, {}]}}}}
  here: {{credentials: {{key: [{}, {}, {{expires: 2020-01-01, {}]}}}}
revocations: [{{credential: gone1}}, {{credential: gone2}}, {{credential: gone3}}, {{credential: gone4}}, {{credential: gone5}}]
defaults: {{unenforced: allow, mode: shadow, authenticate: key}}
policies:
  next:
    hosts: [api.example.com]
    routes:
      - {{path: /}}
      - {{path: /both, authenticate: {{all: [key, login]}}}}
      - {{path: /away, authenticate: {{all: [key, away]}}}}
      - {{path: /inside, allow_ips: 10.0.0.0/8}}
",
        jwk_set(&[&signer]),
        key_entry("k1", "elsewhere"),
        key_entry("gone1", "gone-elsewhere"),
        key_entry("k2", "over"),
        key_entry("gone2", "gone-over"),
        key_entry("k3", "tested"),
        key_entry("gone3", "gone-tested"),
        key_entry("k4", "here"),
        key_entry("gone4", "gone-here"),
        key_entry("gone5", "gone-ended").trim_start_matches('{'),
    ));
    let good = signer.token(&claims(issuer));
    let ended = signer.token(&with(&claims(issuer), "exp", json!(1)));
    let away = signer.token(&claims("https://nobody.invalid"));
    for (target, key, token, beside) in [
        ("/", "elsewhere", "", Reason::AddressRefused),
        ("/", "over", "", Reason::ConsumerExpired),
        ("/", "tested", "", Reason::EnvironmentMismatch),
        ("/both", "here", "", Reason::CredentialsMissing),
        ("/both", "here", &ended, Reason::TokenExpired),
        ("/both", "over", &good, Reason::ConsumerExpired),
        ("/away", "here", &away, Reason::DependencyUnavailable),
        ("/inside", "here", "", Reason::AddressRefused),
    ] {
        let shadow = || {
            let line: Value = serde_json::from_str(&world.records.last().line).unwrap();
            line["shadow"]["reason"].as_str().unwrap().to_owned()
        };
        let bearer = format!("Bearer {token}");
        let send = |key: &str| {
            let lines = [("x-key", key), ("authorization", &bearer)];
            let count = if token.is_empty() { 1 } else { 2 };
            world.get(target, &lines[..count])
        };
        assert_eq!(send(key), Reason::Allowed, "{target} {key}");
        assert_eq!(shadow(), beside.as_str(), "{target} {key}");
        let gone = format!("gone-{key}");
        assert_eq!(send(&gone), Reason::CredentialsRevoked, "{target} {gone}");
        // What would refuse it there comes before, but for rules that come after.
        let after = target == "/inside";
        let beside = if after {
            Reason::CredentialsRevoked
        } else {
            beside
        };
        assert_eq!(shadow(), beside.as_str(), "{target} {gone}");
    }
    // What proves nobody is as good as nothing, and passes as nothing does.
    for key in ["gone-ended", "gone-nobody"] {
        assert_eq!(world.get("/", &[("x-key", key)]), Reason::Allowed, "{key}");
    }
}

#[test]
fn routes_in_shadow_conflict_among_themselves_only() {
    let text = "policies:
  p:
    hosts: [api.example.com]
    public: true
    routes:
      - {path: /a}
      - {path: /a, mode: shadow}
      - {path: /b, mode: shadow}
      - {path: /b, mode: shadow}
";
    let (_, out) = crate::test_support::compile(&[("policy.yaml", text)]);
    assert_eq!(
        mistakes(&out),
        [("conflicting-routes", 9)],
        "{}",
        out.render()
    );
}
