use std::io::Cursor;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::report::Report;
use super::world::World as Replay;
use super::{FailOn, ReplayArgs, replay_lines, run};
use crate::cli::Format;
use crate::diagnostic::Diagnostics;
use crate::test_support::{Signer, World, claims, jwk_set, key_entry, raw, with};

const ISSUER: &str = "https://i.example";

/// Policies with a key, tokens that belong to a consumer or to nobody, and routes of every kind.
fn policy(signer: &Signer) -> String {
    format!(
        "authenticators:
  login: {{jwt: {{issuer: {ISSUER}, audiences: [orders-api], roles: {{claim: groups, map: {{staff: clerk}}}}, jwks: {{inline: {}}}}}}}
  key: {{api_key: {{}}}}
roles: {{clerk: {{scopes: [x]}}}}
consumers:
  acme: {{scopes: [orders:read], credentials: {{key: [{}], login: [{{claim: azp, value: app}}]}}}}
policies:
  shop:
    hosts: [api.example.com]
    authenticate: [login, key]
    routes:
      - {{path: /orders, scopes: [orders:read]}}
      - {{path: /staff, roles: [clerk]}}
      - {{path: /both, authenticate: {{all: [login, key]}}}}
      - {{path: /health, public: true}}
      - {{path: /perhaps, optional: true}}
",
        jwk_set(&[signer]),
        key_entry("k1", "secret")
    )
}

/// What the policies record of one request of each kind.
fn log(signer: &Signer) -> String {
    let world = World::new(&policy(signer));
    let base = claims(ISSUER);
    let token = |claims: &Value| format!("Bearer {}", signer.token(claims));
    let alice = token(&with(&base, "groups", json!(["staff"])));
    let app = token(&with(&base, "azp", json!("app")));
    let app = app.as_str();
    for (path, headers) in [
        ("/orders", &[("x-api-key", "secret")][..]),
        ("/orders", &[("authorization", &alice)]),
        ("/orders", &[("authorization", app)]),
        ("/staff", &[("authorization", &alice)]),
        ("/staff", &[("authorization", app)]),
        ("/both", &[("authorization", app), ("x-api-key", "secret")]),
        ("/both", &[("authorization", app)]),
        ("/orders", &[]),
        ("/orders", &[("x-api-key", "wrong")]),
        ("/health", &[]),
        ("/perhaps", &[]),
        ("/nowhere", &[]),
        ("/a//b", &[]),
    ] {
        world.get(path, headers);
    }
    world
        .records
        .all()
        .into_iter()
        .map(|record| record.line)
        .collect()
}

fn directory(text: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("p.yaml"), text).unwrap();
    directory
}

fn replayed(log: &str, policies: &str) -> Report {
    let directory = directory(policies);
    let mut out = Diagnostics::default();
    let world = Replay::read(directory.path(), &mut out);
    let world = world.unwrap_or_else(|why| panic!("{why}: {}", out.render()));
    replay_lines(Cursor::new(log.as_bytes()), world).unwrap()
}

/// Opened, closed, undecidable, skipped.
fn sums(report: &Report) -> [u64; 4] {
    let json = report.to_json();
    ["opened", "closed", "undecidable", "skipped"]
        .map(|name| json["summary"][name].as_u64().unwrap())
}

#[test]
fn what_nobody_changed_ends_as_it_did() {
    let signer = Signer::ed25519("k");
    let log = log(&signer);
    let report = replayed(&log, &policy(&signer));
    // The wrong key is not recorded, and the ambiguous path is none to judge again.
    assert_eq!(sums(&report), [0, 0, 1, 1], "{}", report.render());
    let json = report.to_json();
    assert_eq!(json["summary"]["judged"], 11);
    assert_eq!(json["reasons"], json!([]), "{}", report.render());
}

#[test]
fn decisions_flip_as_the_policies_do() {
    let signer = Signer::ed25519("k");
    let log = log(&signer);
    let old = policy(&signer);
    for (name, from, to, expected) in [
        (
            "another scope is asked for",
            "scopes: [orders:read]}",
            "scopes: [orders:write]}",
            [0, 3, 1, 1],
        ),
        (
            "the route is public",
            "/orders, scopes: [orders:read]",
            "/orders, public: true",
            [2, 0, 0, 1],
        ),
        (
            "the route is gone",
            "- {path: /orders, scopes: [orders:read]}",
            "- {path: /o, public: true}",
            [0, 3, 0, 1],
        ),
        (
            "a new route covers what none did",
            "- {path: /health,",
            "- {path: /nowhere, public: true}\n      - {path: /health,",
            [1, 0, 1, 1],
        ),
        (
            "claimed roles count no longer",
            "roles: {claim: groups, map: {staff: clerk}}, ",
            "",
            [0, 1, 1, 1],
        ),
        (
            "the consumer has the role",
            "acme: {scopes: [orders:read],",
            "acme: {roles: [clerk], scopes: [orders:read],",
            [1, 0, 1, 1],
        ),
        ("the key is another", "k1, hash", "k2, hash", [0, 2, 1, 1]),
        (
            "one of two is enough",
            "{all: [login, key]}",
            "login",
            [1, 0, 1, 1],
        ),
        (
            "the consumer's tokens are cut",
            "acme: {scopes: [orders:read],",
            "acme: {scopes: [other],",
            [0, 2, 1, 1],
        ),
        (
            "the consumer is over",
            "acme: {scopes",
            "acme: {expires: 2027-01-01, scopes",
            [0, 3, 1, 1],
        ),
        (
            "the consumer lives on at that time",
            "acme: {scopes",
            "acme: {expires: 2027-02-01, scopes",
            [0, 0, 1, 1],
        ),
        (
            "the caller's address is looked at",
            "/orders, scopes",
            "/orders, allow_ips: [10.0.0.0/8], scopes",
            [0, 3, 1, 1],
        ),
        (
            "a condition that is told",
            "/orders, scopes",
            "/orders, when: principal.subject == 'nobody', scopes",
            [0, 3, 1, 1],
        ),
        (
            "a condition that is not",
            "/orders, scopes",
            "/orders, when: \"request.headers['x-t'] == 'a'\", scopes",
            [0, 0, 4, 1],
        ),
        (
            "a condition on what tokens claim",
            "/orders, scopes",
            "/orders, when: principal.claims.tenant == 'a', scopes",
            [0, 0, 4, 1],
        ),
        (
            "the public route asks now",
            "/health, public: true",
            "/health",
            [0, 0, 2, 1],
        ),
        (
            "the optional route asks now",
            "/perhaps, optional: true",
            "/perhaps",
            [0, 0, 2, 1],
        ),
    ] {
        assert!(old.contains(from), "{name}");
        let report = replayed(&log, &old.replace(from, to));
        assert_eq!(sums(&report), expected, "{name}: {}", report.render());
    }
}

#[test]
fn flips_are_grouped_and_named() {
    let signer = Signer::ed25519("k");
    let log = log(&signer).repeat(3);
    let new = policy(&signer).replace("scopes: [orders:read]}", "scopes: [orders:write]}");
    let report = replayed(&log, &new);
    let json = report.to_json();
    let flips = json["flips"].as_array().unwrap();
    assert_eq!(flips.len(), 2, "{json:#}");
    let of_key = flips
        .iter()
        .find(|flip| flip["principal"] == "key:acme")
        .unwrap();
    assert_eq!(of_key["count"], 3);
    assert_eq!(of_key["old"], "allowed");
    assert_eq!(of_key["new"], "scope_insufficient");
    assert_eq!(of_key["route"], "/orders");
    let id = of_key["example"].as_str().unwrap();
    assert!(log.contains(id));
    let text = report.render();
    for part in [
        "would be denied:",
        "3 x shop /orders, key:acme: allowed -> scope_insufficient",
        id,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn pinned_requests_are_judged_by_their_policy() {
    let two = |shop: &str| {
        format!(
            "policies:
  shop: {{hosts: [api.example.com], public: true, routes: [{{path: {shop}}}]}}
  back: {{hosts: [api.example.com], public: true, routes: [{{path: /back}}]}}
"
        )
    };
    let world = World::new(&two("/orders"));
    for (path, pin) in [
        ("/orders", None),
        ("/orders", Some("shop")),
        ("/orders", Some("back")),
        ("/orders", Some("gone")),
    ] {
        let mut check = raw("GET", path, &[]);
        let pin = pin.map(|pin| ("policy".into(), pin.into()));
        check.context_extensions = pin.into_iter().collect();
        world.judge(check);
    }
    let lines = world.records.all().into_iter().map(|record| record.line);
    let log: String = lines.collect();
    let report = replayed(&log, &two("/orders"));
    assert_eq!(sums(&report), [0, 0, 0, 0], "{}", report.render());
    assert_eq!(report.to_json()["reasons"], json!([]));
    // Another policy's route changes nothing for who is pinned, and a policy that is new may be the one.
    let back = two("/orders").replace("path: /back", "path: /**");
    assert_eq!(sums(&replayed(&log, &back)), [1, 0, 0, 0]);
    let gone = two("/orders")
        .replace("back:", "gone:")
        .replace("path: /back", "path: /other");
    let report = replayed(&log, &gone);
    assert_eq!(sums(&report), [0, 0, 0, 0]);
    let reasons = report.to_json()["reasons"].to_string();
    for new in ["policy_unknown", "route_unknown"] {
        assert!(reasons.contains(&format!("\"new\":\"{new}\"")), "{reasons}");
    }
    // As older versions recorded them: as if nothing had been pinned.
    let old = log.lines().map(|line| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        record.as_object_mut().unwrap().remove("pinned");
        format!("{record}\n")
    });
    let report = replayed(&old.collect::<String>(), &two("/orders"));
    assert_eq!(sums(&report), [1, 0, 0, 1], "{}", report.render());
}

#[test]
fn lines_that_are_no_records_are_counted_and_shown() {
    let signer = Signer::ed25519("k");
    let good = log(&signer);
    let long = format!("\"{}\"\n", "x".repeat(1 << 20));
    let log = format!("no json\n{{}}\n\n{long}{good}{{\"time\"");
    let report = replayed(&log, &policy(&signer));
    let json = report.to_json();
    assert_eq!(json["summary"]["broken"], 4, "{json:#}");
    assert_eq!(json["summary"]["judged"], 11, "{json:#}");
    let lines: Vec<u64> = json["broken"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [1, 2, 4, 18]);
}

#[test]
fn records_without_scopes_decide_nothing_about_tokens() {
    let signer = Signer::ed25519("k");
    let old: String = log(&signer)
        .lines()
        .map(|line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            record.as_object_mut().unwrap().remove("scopes");
            record.as_object_mut().unwrap().remove("claimed_scopes");
            format!("{record}\n")
        })
        .collect();
    let report = replayed(&old, &policy(&signer));
    let why = &report.to_json()["undecidable"];
    let text = "its record does not say which scopes the caller had";
    assert!(
        why.as_array().unwrap().iter().any(|one| one["why"] == text),
        "{why:#}"
    );
    assert_eq!(sums(&report)[..2], [0, 0]);
}

#[test]
fn the_exit_status_says_what_was_asked_for() {
    let signer = Signer::ed25519("k");
    let (old, log) = (policy(&signer), log(&signer));
    let closed = old.replace("scopes: [orders:read]}", "scopes: [orders:write]}");
    let opened = old.replace("/orders, scopes: [orders:read]", "/orders, public: true");
    let file = TempDir::new().unwrap();
    let audit = file.path().join("audit.jsonl");
    std::fs::write(&audit, log).unwrap();
    for (policies, fail_on, status) in [
        (old.as_str(), &[FailOn::Any][..], 0),
        (&closed, &[], 0),
        (&closed, &[FailOn::Opened], 0),
        (&closed, &[FailOn::Closed], 1),
        (&opened, &[FailOn::Closed], 0),
        (&opened, &[FailOn::Opened], 1),
        (&opened, &[FailOn::Any], 1),
        ("policies: 1\n", &[], 78),
    ] {
        let directory = directory(policies);
        let arguments = ReplayArgs {
            audit: audit.clone(),
            policies: directory.path().to_owned(),
            fail_on: fail_on.to_vec(),
            output: Format::Json,
        };
        assert_eq!(run(&arguments), status, "{fail_on:?}\n{policies}");
    }
}
