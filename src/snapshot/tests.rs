//! Tenants: policies of several parties in one directory, none of whom can weaken or break another.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::authn::hmac;
use crate::authn::jwt::token_cache;
use crate::diagnostic::Diagnostics;
use crate::request::signed::AsSigned;
use crate::request::{Reading, Request};
use crate::secret::Secret;
use crate::snapshot::Snapshot;
use crate::test_support::{World, key_entry, mistakes, raw};
use crate::verdict::{Reason, Verdict};

const ROOT: &str = "
tenants:
  payments:
    hosts: [api.example.com]
    paths: [/payments/**]
    use: [root-key]
    scopes: [\"payments:*\"]
  web:
    hosts: [\"*.web.example.com\"]
    use: [root-key]
    scopes: [web]
    may: [public, shadow, forward]
authenticators:
  root-key: {api_key: {from: {header: x-root-key}}}
  hidden: {api_key: {from: {header: x-hidden}}}
roles: {boss: {scopes: [\"*\"]}}
consumers:
  operator: {scopes: [\"*\"], credentials: {root-key: [ROOTKEY]}}
defaults:
  inject: {x-auth-consumer: consumer.name}
policies:
  root:
    hosts: [api.example.com]
    authenticate: root-key
    routes:
      - {path: /payments/admin, scopes: [admin]}
      - {path: /other}
      - {path: /**, public: true}
";

const PAYMENTS: &str = "
authenticators: {own-key: {api_key: {from: {header: x-own-key}}}}
consumers: {shop: {scopes: [payments:read], credentials: {own-key: [OWNKEY]}}}
defaults: {inject: {x-pay-consumer: consumer.name, x-pay-principal: principal.id}}
policies:
  pay:
    hosts: [api.example.com]
    authenticate: own-key
    routes:
      - {path: /payments, scopes: [payments:read]}
      - {path: /payments/by-root, authenticate: root-key}
";

const WEB: &str = "
policies:
  site:
    hosts: [www.web.example.com]
    public: true
    routes: [{path: /**}]
";

fn filled(text: &str) -> String {
    text.replace("ROOTKEY", &key_entry("r", "root-secret"))
        .replace("OWNKEY", &key_entry("o", "own-secret"))
}

fn put(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, filled(text)).unwrap();
}

fn build(directory: &Path, previous: Option<&Snapshot>) -> (Option<Arc<Snapshot>>, Diagnostics) {
    let mut out = Diagnostics::default();
    let snapshot = Snapshot::build(directory, &token_cache(1 << 20), previous, &mut out);
    (snapshot, out)
}

fn codes(out: &Diagnostics) -> Vec<&'static str> {
    mistakes(out).into_iter().map(|(code, _)| code).collect()
}

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), "root.yaml", ROOT);
    put(directory.path(), "payments/pay.yaml", PAYMENTS);
    put(directory.path(), "web/site.yaml", WEB);
    directory
}

fn world(directory: &Path) -> World {
    let (snapshot, out) = build(directory, None);
    assert!(!out.has_errors(), "{}", out.render());
    World::serving(snapshot.unwrap())
}

fn ask(world: &World, host: &'static str, target: &str, lines: &[(&str, &str)]) -> Verdict {
    let mut check = raw("GET", target, lines);
    check.host = host.into();
    world.judge(check)
}

const API: &str = "api.example.com";
const OWN: (&str, &str) = ("x-own-key", "own-secret");
const ROOTS: (&str, &str) = ("x-root-key", "root-secret");

#[test]
fn each_party_judges_its_own_routes() {
    let directory = directory();
    let world = world(directory.path());
    for (host, target, lines, reason) in [
        (API, "/payments", vec![OWN], Reason::Allowed),
        (API, "/payments", vec![ROOTS], Reason::CredentialsMissing),
        (API, "/payments/by-root", vec![ROOTS], Reason::Allowed),
        // The root's more specific route is the root's.
        (API, "/payments/admin", vec![ROOTS], Reason::Allowed),
        (
            API,
            "/payments/admin",
            vec![OWN],
            Reason::CredentialsMissing,
        ),
        (API, "/other", vec![OWN], Reason::CredentialsMissing),
        (API, "/free", vec![], Reason::Allowed),
        ("www.web.example.com", "/x", vec![], Reason::Allowed),
        ("other.web.example.com", "/x", vec![], Reason::RouteUnknown),
    ] {
        assert_eq!(
            ask(&world, host, target, &lines).reason(),
            reason,
            "{host}{target} {lines:?}"
        );
    }
}

#[test]
fn a_tenants_names_and_headers_are_its_own() {
    let directory = directory();
    let world = world(directory.path());
    let allow = |target: &str, lines: &[(&str, &str)]| match ask(&world, API, target, lines) {
        Verdict::Allow(allow) => allow,
        other => panic!("{target}: {other:?}"),
    };
    let forged = ("x-pay-consumer", "forged");
    let own = allow("/payments", &[OWN, forged]);
    let set: Vec<(&str, &str)> = own
        .set()
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_str()))
        .collect();
    assert_eq!(
        set,
        [
            ("x-auth-consumer", "payments/shop"),
            ("x-pay-consumer", "payments/shop"),
            ("x-pay-principal", "payments/own-key:payments/shop"),
        ]
    );
    let line: Value = serde_json::from_str(&world.records.last().line).unwrap();
    assert_eq!(line["policy"], "payments/pay");
    assert_eq!(line["consumer"], "payments/shop");
    // Elsewhere the header is no business of anybody's.
    let roots = allow("/other", &[ROOTS, forged]);
    let removed: Vec<&[u8]> = roots.removed().collect();
    assert!(!removed.contains(&b"x-pay-consumer".as_slice()));
    assert!(removed.contains(&b"x_auth_consumer".as_slice()));
}

#[test]
fn what_is_outside_a_tenants_bounds_does_not_load() {
    let policy = |host: &str, level: &str, route: &str| {
        format!(
            "authenticators: {{own-key: {{api_key: {{from: {{header: x-own-key}}}}}}}}\npolicies: {{p: {{hosts: ['{host}'], authenticate: own-key{level}, routes: [{route}]}}}}"
        )
    };
    let good = "{path: /payments/x}";
    for (text, code) in [
        (policy("other.example.com", "", good), "outside-tenant"),
        (policy("*.example.com", "", good), "outside-tenant"),
        (policy("*", "", good), "outside-tenant"),
        (policy(API, "", "{path: /other}"), "outside-tenant"),
        (policy(API, "", "{path: /**}"), "outside-tenant"),
        (policy(API, "", "{path: '/{x}/y'}"), "outside-tenant"),
        (policy(API, "", "{path: /payments/x, public: true}"), "outside-tenant"),
        (policy(API, ", mode: shadow", good), "outside-tenant"),
        (policy(API, ", scopes: [orders]", good), "outside-tenant"),
        (policy(API, "", "{path: /payments/x, authenticate: hidden}"), "unknown-authenticator"),
        (policy(API, "", "{path: /payments/x, roles: boss}"), "unknown-role"),
        (policy(API, "", "{path: /payments/x, callers: [{consumer: operator}]}"), "unknown-consumer"),
        // The root's own route.
        (policy(API, "", "{path: /payments/admin}"), "conflicting-routes"),
        ("tenants: {more: {hosts: [a]}}".to_owned(), "outside-tenant"),
        ("defaults: {scopes: [payments:read]}".to_owned(), "outside-tenant"),
        ("defaults: {reserved_prefix: x-mine-}".to_owned(), "outside-tenant"),
        ("roles: {r: {scopes: ['*']}}".to_owned(), "outside-tenant"),
        ("consumers: {c: {scopes: [orders]}}".to_owned(), "outside-tenant"),
        ("authenticators: {k: {api_key: {forward: true}}}".to_owned(), "outside-tenant"),
        ("authenticators: {root-key: {api_key: {from: {header: x-mine}}}}".to_owned(), "duplicate-name"),
        ("consumers: {c: {credentials: {root-key: [ROOTKEY]}}}".to_owned(), "unknown-authenticator"),
        (
            "authenticators: {k: {jwt: {issuer: i, any_audience: true, jwks: {file: ../web/keys.json}}}}".to_owned(),
            "outside-tenant",
        ),
        (
            "authenticators: {k: {jwt: {issuer: i, any_audience: true, jwks: {file: /etc/keys.json}}}}".to_owned(),
            "outside-tenant",
        ),
    ] {
        let directory = directory();
        put(directory.path(), "payments/pay.yaml", &text);
        let (snapshot, out) = build(directory.path(), None);
        assert!(codes(&out).contains(&code), "{text}\n{}", out.render());
        let unread = codes(&out).contains(&"unreadable-file");
        assert!(!unread, "one mistake is told once: {}", out.render());
        // Nobody else is kept from serving, and nothing of it is served.
        let world = World::serving(snapshot.expect("the others serve"));
        let unavailable = ask(&world, API, "/payments/x", &[OWN, ROOTS]);
        assert_eq!(unavailable.reason(), Reason::PolicyInvalid, "{text}");
        assert_eq!(ask(&world, API, "/other", &[ROOTS]).reason(), Reason::Allowed);
        // Not even where the root covers a path of the tenant's.
        let roots = ask(&world, API, "/payments/admin", &[ROOTS]);
        assert_eq!(roots.reason(), Reason::PolicyInvalid);
        assert_eq!(ask(&world, "www.web.example.com", "/", &[]).reason(), Reason::Allowed);
    }
}

#[test]
fn what_a_tenant_may_is_said_by_name() {
    let directory = directory();
    put(
        directory.path(),
        "web/site.yaml",
        "authenticators: {k: {api_key: {from: {header: x-web-key}, forward: true}}}
policies:
  p: {hosts: [a.web.example.com, '*.b.web.example.com'], authenticate: k, scopes: [web], routes: [{path: /}, {path: /open, public: true}, {path: /next, mode: shadow}]}",
    );
    let (_, out) = build(directory.path(), None);
    assert!(!out.has_errors(), "{}", out.render());
}

#[test]
fn a_broken_tenant_keeps_its_last_good_policies_within_the_bounds_of_now() {
    let directory = directory();
    let (first, _) = build(directory.path(), None);
    let first = first.unwrap();
    put(directory.path(), "payments/pay.yaml", "policies: [");
    put(
        directory.path(),
        "web/site.yaml",
        &WEB.replace("/**", "/only"),
    );
    let (second, out) = build(directory.path(), Some(&first));
    assert!(out.has_errors());
    let second = second.unwrap();
    let world = World::serving(Arc::clone(&second));
    assert_eq!(
        ask(&world, API, "/payments", &[OWN]).reason(),
        Reason::Allowed
    );
    // The others move on.
    let moved = ask(&world, "www.web.example.com", "/else", &[]);
    assert_eq!(moved.reason(), Reason::RouteUnknown);
    // A directory that is gone is no wish to have no rules.
    fs::remove_dir_all(directory.path().join("payments")).unwrap();
    let (third, out) = build(directory.path(), Some(&second));
    assert_eq!(codes(&out), ["tenant-without-files"]);
    let third = third.unwrap();
    let world = World::serving(Arc::clone(&third));
    assert_eq!(
        ask(&world, API, "/payments", &[OWN]).reason(),
        Reason::Allowed
    );
    // What the bounds no longer hold, the last good policies may no longer do.
    put(
        directory.path(),
        "root.yaml",
        &ROOT.replace("[/payments/**]", "[/paid/**]"),
    );
    let (fourth, _) = build(directory.path(), Some(&third));
    let world = World::serving(fourth.unwrap());
    assert_eq!(
        ask(&world, API, "/paid/x", &[OWN]).reason(),
        Reason::PolicyInvalid
    );
    assert_eq!(ask(&world, API, "/payments", &[]).reason(), Reason::Allowed);
}

#[test]
fn a_broken_tenant_keeps_its_secrets_and_what_was_used_with_them() {
    let directory = directory();
    let policies = "
authenticators: {signed: {hmac: {}}}
consumers: {shop: {scopes: [payments:read], credentials: {signed: [{key_id: k1, secret: {file: secret}}]}}}
policies:
  pay: {hosts: [api.example.com], authenticate: signed, routes: [{path: /payments}]}
";
    put(directory.path(), "payments/pay.yaml", policies);
    put(
        directory.path(),
        "payments/secret",
        "0123456789abcdef0123456789abcdef",
    );
    let (first, out) = build(directory.path(), None);
    assert!(!out.has_errors(), "{}", out.render());
    let first = first.unwrap();
    let signed = |nonce: &str| {
        let now = crate::test_support::NOW;
        let key = Secret::new(b"0123456789abcdef0123456789abcdef".to_vec());
        let mut check = raw("GET", "/payments", &[]);
        check.host = API.into();
        let request = Request::read(check, &Reading::default()).unwrap();
        let signing = hmac::Signing {
            key_id: "k1",
            signed_headers: &[],
            created: now,
            nonce,
        };
        let key = hmac::Key::new(&key).unwrap();
        let message = AsSigned::of(&request, None);
        hmac::sign(hmac::Dialect::Own, &message, &key, &signing).unwrap()
    };
    let send = |snapshot: &Arc<Snapshot>, nonce: &str| {
        let world = World::serving(Arc::clone(snapshot));
        let headers = signed(nonce);
        let lines: Vec<(&str, &str)> = headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        ask(&world, API, "/payments", &lines).reason()
    };
    assert_eq!(send(&first, "nonce-number-one-"), Reason::Allowed);
    put(directory.path(), "payments/pay.yaml", "policies: [");
    let (second, out) = build(directory.path(), Some(&first));
    assert!(out.has_errors());
    let second = second.unwrap();
    assert_eq!(
        send(&second, "nonce-number-one-"),
        Reason::SignatureReplayed
    );
    assert_eq!(send(&second, "nonce-number-two-"), Reason::Allowed);
    // And once more, from what was kept of what was kept.
    let (third, _) = build(directory.path(), Some(&second));
    let third = third.unwrap();
    assert_eq!(send(&third, "nonce-number-three"), Reason::Allowed);
    // A secret that is gone for a moment, or empty, is as bad as broken policies.
    put(directory.path(), "payments/pay.yaml", policies);
    fs::remove_file(directory.path().join("payments/secret")).unwrap();
    let (fourth, out) = build(directory.path(), Some(&third));
    assert!(out.has_errors());
    let fourth = fourth.unwrap();
    assert_eq!(send(&fourth, "nonce-number-four-"), Reason::Allowed);
    put(directory.path(), "payments/secret", "\n");
    let (fifth, out) = build(directory.path(), Some(&fourth));
    assert!(out.has_errors());
    let fifth = fifth.unwrap();
    assert_eq!(send(&fifth, "nonce-number-five-"), Reason::Allowed);
    // While the policies are broken, a new secret counts all the same.
    put(
        directory.path(),
        "payments/pay.yaml",
        &policies.replace("authenticate: signed", "authenticate: nobody"),
    );
    put(
        directory.path(),
        "payments/secret",
        "another-secret-of-32-characters-",
    );
    let (sixth, out) = build(directory.path(), Some(&fifth));
    assert!(out.has_errors());
    assert_ne!(send(&sixth.unwrap(), "nonce-number-six-x"), Reason::Allowed);
}

#[test]
fn the_root_binds_every_tenant() {
    let directory = directory();
    let require = "defaults:\n  require: {authenticators: [root-key], scopes: [staff]}\n";
    put(
        directory.path(),
        "root.yaml",
        &ROOT.replace("defaults:\n", require),
    );
    for (demand, good) in [
        ("own-key", false),
        ("[own-key, root-key]", false),
        ("root-key", true),
        ("{all: [own-key, root-key]}", true),
        ("{any: [root-key, {all: [own-key, root-key]}]}", true),
    ] {
        let text = PAYMENTS
            .replace("authenticate: own-key", &format!("authenticate: {demand}"))
            .replace(
                "      - {path: /payments/by-root, authenticate: root-key}\n",
                "",
            );
        put(directory.path(), "payments/pay.yaml", &text);
        let (snapshot, out) = build(directory.path(), None);
        assert_eq!(!out.has_errors(), good, "{demand}: {}", out.render());
        if demand == "root-key" {
            let world = World::serving(snapshot.unwrap());
            assert_eq!(
                ask(&world, API, "/payments", &[ROOTS]).reason(),
                Reason::Allowed
            );
        }
    }
}

#[test]
fn a_tenant_revokes_on_its_own_routes_only() {
    let directory = directory();
    put(
        directory.path(),
        "payments/revoked.yaml",
        "revocations: [{subject: \"own-key:shop\"}, {credential: r}]",
    );
    let world = world(directory.path());
    for (target, key, reason) in [
        ("/payments", OWN, Reason::CredentialsRevoked),
        ("/payments/by-root", ROOTS, Reason::CredentialsRevoked),
        ("/other", ROOTS, Reason::Allowed),
    ] {
        assert_eq!(
            ask(&world, API, target, &[key]).reason(),
            reason,
            "{target}"
        );
    }
}

#[test]
fn what_conflicts_among_the_roots_routes_is_the_roots_mistake_whatever_tenants_there_are() {
    let directory = directory();
    let twice = "      - {path: /other}\n      - {path: /other, public: true}\n";
    put(
        directory.path(),
        "root.yaml",
        &ROOT.replace("      - {path: /other}\n", twice),
    );
    for gone in ["nothing", "payments"] {
        let _ = fs::remove_dir_all(directory.path().join(gone));
        let (snapshot, out) = build(directory.path(), None);
        assert!(snapshot.is_none(), "{gone}");
        assert_eq!(codes(&out), ["conflicting-routes"], "{}", out.render());
    }
}

#[test]
fn a_mistake_in_the_roots_defaults_is_the_roots() {
    for (from, to, code) in [
        (
            "x-auth-consumer: consumer.name",
            "x-auth-consumer: consumer.nme",
            "bad-expression",
        ),
        ("defaults:\n", "defaults:\n  scopes: ['a*']\n", "bad-scope"),
        (
            "defaults:\n",
            "defaults:\n  roles: nobody\n",
            "unknown-role",
        ),
        (
            "defaults:\n",
            "defaults:\n  when: 1 + 1\n",
            "bad-expression",
        ),
    ] {
        let directory = directory();
        let public = ROOT.replace(
            "authenticate: root-key\n    routes:",
            "public: true\n    routes:",
        );
        let public = public.replace("      - {path: /payments/admin, scopes: [admin]}\n", "");
        put(directory.path(), "root.yaml", &public.replace(from, to));
        let (snapshot, out) = build(directory.path(), None);
        assert!(snapshot.is_none(), "{to}");
        assert_eq!(codes(&out), [code], "{}", out.render());
    }
}

#[test]
fn names_in_the_roots_defaults_mean_the_roots() {
    let directory = directory();
    let staff = "defaults:\n  roles: boss\n  callers: [{consumer: operator}]\n";
    let root = ROOT
        .replace("defaults:\n", staff)
        .replace("operator: {", "operator: {roles: [boss], ");
    put(directory.path(), "root.yaml", &root);
    let mimic = PAYMENTS
        .replace(
            "consumers: {shop:",
            "roles: {boss: {scopes: [payments:read]}}\nconsumers: {operator: {}, shop:",
        )
        .replace(
            "shop: {scopes: [payments:read],",
            "shop: {roles: [boss], scopes: [payments:read],",
        );
    put(directory.path(), "payments/pay.yaml", &mimic);
    let world = world(directory.path());
    let own = ask(&world, API, "/payments", &[OWN]).reason();
    assert_eq!(own, Reason::CallerRefused);
    let roots = ask(&world, API, "/payments/by-root", &[ROOTS]).reason();
    assert_eq!(roots, Reason::Allowed);
}

#[test]
fn the_issuer_of_a_tenants_own_speaks_of_its_scopes_only() {
    let signer = crate::test_support::Signer::ed25519("k");
    let directory = directory();
    let jwks = crate::test_support::jwk_set(&[&signer]);
    put(
        directory.path(),
        "payments/pay.yaml",
        &format!(
            "authenticators: {{mine: {{jwt: {{issuer: 'https://me', audiences: [orders-api], jwks: {{inline: {jwks}}}}}}}}}
policies: {{p: {{hosts: [api.example.com], authenticate: mine, inject: {{x-s: principal.scopes}}, routes: [{{path: /payments/a}}]}}}}"
        ),
    );
    let world = world(directory.path());
    let claims = crate::test_support::claims("https://me");
    let claims = crate::test_support::with(&claims, "scope", "admin payments:read employee".into());
    let bearer = format!("Bearer {}", signer.token(&claims));
    let verdict = ask(&world, API, "/payments/a", &[("authorization", &bearer)]);
    let Verdict::Allow(allow) = verdict else {
        panic!("{verdict:?}");
    };
    let scopes = allow.set().iter().find(|(name, _)| name.as_ref() == "x-s");
    assert_eq!(
        scopes.map(|(_, value)| value.as_str()),
        Some("payments:read")
    );
}

#[test]
fn the_root_may_leave_all_routes_to_its_tenants() {
    let directory = tempfile::tempdir().unwrap();
    put(
        directory.path(),
        "root.yaml",
        "tenants: {team: {hosts: [team.example.com]}}",
    );
    let (snapshot, out) = build(directory.path(), None);
    assert!(!out.has_errors(), "{}", out.render());
    let world = World::serving(snapshot.unwrap());
    let verdict = ask(&world, "team.example.com", "/", &[]);
    assert_eq!(verdict.reason(), Reason::PolicyInvalid);
}

#[test]
fn mistakes_in_what_the_root_declares_are_the_roots() {
    for (from, to, code) in [
        (
            "hosts: [\"*.web.example.com\"]",
            "hosts: [\"*.example.com\"]",
            "overlapping-tenants",
        ),
        ("[/payments/**]", "[payments]", "bad-tenant"),
        (
            "use: [root-key]\n    scopes: [web]",
            "use: [nothing]\n    scopes: [web]",
            "unknown-authenticator",
        ),
        ("  web:", "  webs:", "undeclared-directory"),
        (
            "may: [public, shadow, forward]",
            "may: [everything]",
            "bad-value",
        ),
        ("scopes: [web]", "scopes: [\"w*b\"]", "bad-scope"),
    ] {
        let directory = directory();
        assert!(ROOT.contains(from), "{from}");
        put(directory.path(), "root.yaml", &ROOT.replace(from, to));
        let (snapshot, out) = build(directory.path(), None);
        assert!(snapshot.is_none(), "{to}");
        assert!(codes(&out).contains(&code), "{to}: {}", out.render());
    }
}

#[test]
fn a_tenant_may_be_declared_before_its_files_are_there() {
    let directory = directory();
    fs::remove_dir_all(directory.path().join("payments")).unwrap();
    let (snapshot, out) = build(directory.path(), None);
    assert!(!out.has_errors());
    assert_eq!(codes(&out), ["tenant-without-files"]);
    let world = World::serving(snapshot.unwrap());
    // The root's catch-all is not what the tenant's paths are waiting for.
    assert_eq!(
        ask(&world, API, "/payments/x", &[]).reason(),
        Reason::PolicyInvalid
    );
    assert_eq!(ask(&world, API, "/free", &[]).reason(), Reason::Allowed);
}

#[test]
fn last_good_policies_keep_the_keys_of_their_files() {
    let signer = crate::test_support::Signer::ed25519("k");
    let directory = directory();
    put(
        directory.path(),
        "payments/keys.json",
        &crate::test_support::jwk_set(&[&signer]),
    );
    put(
        directory.path(),
        "payments/pay.yaml",
        "authenticators: {mine: {jwt: {issuer: 'https://me', audiences: [orders-api], jwks: {file: keys.json}}}}
policies: {p: {hosts: [api.example.com], authenticate: mine, routes: [{path: /payments/a}]}}",
    );
    let (first, out) = build(directory.path(), None);
    let first = first.unwrap_or_else(|| panic!("{}", out.render()));
    put(directory.path(), "payments/pay.yaml", "policies: [");
    let (second, out) = build(directory.path(), Some(&first));
    assert!(out.has_errors());
    let world = World::serving(second.unwrap());
    let token = signer.token(&crate::test_support::claims("https://me"));
    let bearer = format!("Bearer {token}");
    let verdict = ask(&world, API, "/payments/a", &[("authorization", &bearer)]);
    assert_eq!(verdict.reason(), Reason::Allowed);
}

#[test]
fn a_pin_of_the_roots_policy_is_no_broken_tenants() {
    let directory = directory();
    put(
        directory.path(),
        "root.yaml",
        &ROOT.replace("  root:\n", "  payments:\n"),
    );
    put(directory.path(), "payments/pay.yaml", "policies: [");
    let (snapshot, _) = build(directory.path(), None);
    let world = World::serving(snapshot.unwrap());
    let mut check = raw("GET", "/other", &[ROOTS]);
    check.host = API.into();
    check.context_extensions = vec![("policy".into(), "payments".into())];
    assert_eq!(world.judge(check).reason(), Reason::Allowed);
}
