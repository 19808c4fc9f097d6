mod agreement;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::diagnostic::Diagnostics;
use crate::policy::compile::PolicyTable;
use crate::policy::diff::{Diff, Effect, Side, diff};
use crate::policy::source::PolicySet;
use crate::secret::Digest;
use crate::test_support::{compile_with, key_entry, key_sets, read};

/// A set that may have mistakes.
fn compiled(text: &str) -> Result<(PolicySet, PolicyTable), String> {
    let mut out = Diagnostics::default();
    let set = read(&[("policy.yaml", text)], &mut out);
    let sets = key_sets(&set, &mut out);
    let table = compile_with(&set, sets, &mut out);
    table.map(|table| (set, table)).ok_or_else(|| out.render())
}

fn compared(old: &str, new: &str) -> Diff {
    let [old, new] = [old, new].map(|text| compiled(text).unwrap_or_else(|why| panic!("{why}")));
    diff(&side(&old.0, &old.1), &side(&new.0, &new.1))
}

fn side<'a>(set: &'a PolicySet, table: &'a PolicyTable) -> Side<'a> {
    static NONE: BTreeMap<PathBuf, Digest> = BTreeMap::new();
    Side {
        root: set,
        tenants: Vec::new(),
        table,
        files: &NONE,
    }
}

/// What changing an authenticator that a route asks for does, the openings first.
pub(in crate::policy::diff) fn effects_of(was: &str, is: &str) -> Vec<&'static str> {
    let policy = |kind: &str| {
        format!(
            "authenticators: {{a: {{{kind}}}}}
policies: {{p: {{hosts: [h], authenticate: a, routes: [{{path: /}}]}}}}"
        )
    };
    let found = effects(&compared(&policy(was), &policy(is)));
    found.into_iter().map(Effect::as_str).collect()
}

fn effects(diff: &Diff) -> Vec<Effect> {
    let mut effects: Vec<Effect> = diff.differences().map(|(one, _)| one.effect).collect();
    effects.sort();
    effects
}

/// Authenticators and consumers, and one policy with these keys and routes.
fn policy(keys: &str, routes: &str) -> String {
    let (one, two) = (key_entry("one", "key-one"), key_entry("two", "key-two"));
    format!(
        "authenticators:
  a: {{api_key: {{from: [{{header: x-a}}]}}}}
  b: {{api_key: {{from: [{{header: x-b}}]}}}}
roles: {{clerk: {{scopes: [r]}}, boss: {{scopes: [r]}}}}
consumers:
  acme: {{scopes: [r, w], credentials: {{a: [{one}]}}}}
  bolt: {{scopes: [r, w], credentials: {{a: [{two}]}}}}
policies:
  p:
    hosts: [a.example]
    {keys}
    routes: [{routes}]
"
    )
}

#[test]
fn each_rule_of_a_route_opens_or_closes() {
    use Effect::{Changed, Closed, Headers, Opened};
    let plain = "authenticate: a";
    for (old, new, expected) in [
        ("authenticate: a", "authenticate: a", &[][..]),
        ("authenticate: a", "public: true", &[Opened]),
        ("public: true", "authenticate: a", &[Closed]),
        ("authenticate: a", "authenticate: [a, b]", &[Opened]),
        ("authenticate: [a, b]", "authenticate: [b, a]", &[]),
        ("authenticate: [a, b]", "authenticate: b", &[Closed]),
        ("authenticate: a", "authenticate: {all: [a, b]}", &[Closed]),
        ("authenticate: {all: [a, b]}", "authenticate: a", &[Opened]),
        // The other member's principal counts, whose scopes are others.
        (
            "authenticate: {all: [a, b]}",
            "authenticate: {all: [b, a]}",
            &[Opened, Closed],
        ),
        // Whoever sends both counts by `a` alone, so the second way was never gone.
        (
            "authenticate: [a, {all: [a, b], principal: b}]",
            "authenticate: a",
            &[],
        ),
        (
            "authenticate: [a, {all: [a, b], principal: b}]",
            "authenticate: {all: [a, b], principal: b}",
            &[Opened, Closed],
        ),
        (
            "authenticate: a, callers: [{consumer: acme}]",
            "authenticate: {all: [a, b]}, callers: [{consumer: acme}]",
            &[Changed, Closed],
        ),
        (plain, "authenticate: a, optional: true", &[Opened]),
        ("authenticate: a, optional: true", plain, &[Closed]),
        // Who is anonymous has no scope.
        (
            "authenticate: a, scopes: [r]",
            "authenticate: a, scopes: [r], optional: true",
            &[],
        ),
        (plain, "authenticate: a, scopes: [r]", &[Closed]),
        ("authenticate: a, scopes: [r]", plain, &[Opened]),
        (
            "authenticate: a, scopes: [r]",
            "authenticate: a, scopes: {any: [r, w]}",
            &[Opened],
        ),
        (
            "authenticate: a, scopes: {any: [r, w]}",
            "authenticate: a, scopes: [w]",
            &[Closed],
        ),
        (
            "authenticate: a, scopes: [r]",
            "authenticate: a, scopes: [w]",
            &[Opened, Closed],
        ),
        (
            "authenticate: a, roles: {any: [clerk, boss]}",
            "authenticate: a, roles: {all: [clerk, boss]}",
            &[Closed, Closed],
        ),
        (
            "authenticate: a, callers: [{consumer: acme}]",
            "authenticate: a, callers: [{consumer: acme}, {consumer: bolt}]",
            &[Opened],
        ),
        (
            "authenticate: a, callers: [{consumer: acme}]",
            plain,
            &[Opened],
        ),
        (plain, "authenticate: a, allow_ips: [10.0.0.0/8]", &[Closed]),
        (
            "authenticate: a, allow_ips: [10.0.0.0/8]",
            "authenticate: a, allow_ips: [10.0.0.0/7]",
            &[Opened],
        ),
        (plain, "authenticate: a, environment: test", &[Changed]),
        ("public: true", "public: true, environment: test", &[]),
        (
            plain,
            "authenticate: a, when: request.method == 'GET'",
            &[Closed],
        ),
        (
            "authenticate: a, when: request.method == 'GET'",
            plain,
            &[Opened],
        ),
        (
            "authenticate: a, when: request.method == 'GET'",
            "authenticate: a, when: request.method == 'PUT'",
            &[Changed],
        ),
        (
            plain,
            "authenticate: a, inject: {x-auth-id: principal.id}",
            &[Headers],
        ),
        (
            "authenticate: a, inject: {x-auth-id: principal.id}",
            "authenticate: a, inject: {x-auth-id: principal.subject}",
            &[Headers],
        ),
        (
            "authenticate: a, inject: {x-auth-id: {value: consumer.metadata.id, required: true}}",
            "authenticate: a, inject: {x-auth-id: principal.subject}",
            &[Changed],
        ),
        (
            "authenticate: a, inject: {x-auth-id: {value: consumer.metadata.id, required: true}}",
            plain,
            &[Opened],
        ),
    ] {
        let [before, after] = [old, new].map(|route| policy("", &format!("{{path: /x, {route}}}")));
        let diff = compared(&before, &after);
        assert_eq!(effects(&diff), expected, "{old} -> {new}: {diff:#?}");
    }
}

#[test]
fn levels_are_merged_before_they_are_compared() {
    let routes = "{path: /x}, {path: /y, authenticate: b}";
    let old = policy("authenticate: a\n    scopes: [r]", routes);
    let moved = policy(
        "authenticate: a",
        "{path: /x, scopes: [r]}, {path: /y, authenticate: b, scopes: [r]}",
    );
    assert_eq!(effects(&compared(&old, &moved)), []);
    let dropped = policy(
        "authenticate: a",
        "{path: /x, scopes: [r]}, {path: /y, authenticate: b}",
    );
    let diff = compared(&old, &dropped);
    assert_eq!(effects(&diff), [Effect::Opened]);
    assert_eq!(diff.routes[0].paths, ["/y"]);
}

#[test]
fn requests_are_followed_to_the_route_that_judges_them() {
    use Effect::{Closed, Opened};
    let guarded = "authenticate: a";
    for (name, old, new, expected) in [
        (
            "a guarded literal under a public wildcard is taken out",
            vec![
                ("[a.example]", "/x/secret", guarded),
                ("[a.example]", "/x/**", "public: true"),
            ],
            vec![("[a.example]", "/x/**", "public: true")],
            &[(Opened, "/x/secret")][..],
        ),
        (
            "nothing is left to cover them",
            vec![("[a.example]", "/x", "public: true")],
            vec![("[a.example]", "/y", "public: true")],
            &[(Closed, "/x"), (Opened, "/y")],
        ),
        (
            "only the paths that both patterns cover fall to another route",
            vec![
                ("[a.example]", "/a/{y}", guarded),
                ("[a.example]", "/{x}/b", "public: true"),
            ],
            vec![("[a.example]", "/{x}/b", "public: true")],
            &[(Opened, "/a/b"), (Closed, "/a/{y}")],
        ),
        (
            "a host of its own takes requests from the wildcard",
            vec![("['*.example']", "/x", guarded)],
            vec![
                ("['*.example']", "/x", guarded),
                ("[a.example]", "/x", "public: true"),
            ],
            &[(Opened, "/x")],
        ),
        (
            "a method of its own",
            vec![("[a.example]", "/x", guarded)],
            vec![
                (
                    "[a.example]",
                    "/x', methods: [PUT], environment: 'live",
                    guarded,
                ),
                (
                    "[a.example]",
                    "/x', methods: [GET], environment: 'live",
                    "public: true",
                ),
            ],
            &[(Opened, "/x"), (Closed, "/x")],
        ),
        (
            "an empty last segment is no parameter",
            vec![
                ("[a.example]", "/x/{id}", guarded),
                ("[a.example]", "/x/**", guarded),
            ],
            vec![
                ("[a.example]", "/x/{id}", guarded),
                ("[a.example]", "/x/**", "public: true"),
            ],
            &[(Opened, "/x/**")],
        ),
        (
            "the policy's name is no difference",
            vec![("[a.example]", "/x", guarded)],
            vec![("[a.example]", "/x", guarded)],
            &[],
        ),
    ] {
        let text = |routes: &[(&str, &str, &str)], base: &str| {
            let policies: String = routes
                .iter()
                .enumerate()
                .map(|(at, (hosts, path, rule))| {
                    format!("  {base}{at}:\n    hosts: {hosts}\n    routes: [{{path: '{path}', {rule}}}]\n")
                })
                .collect();
            format!(
                "authenticators:\n  a: {{api_key: {{from: [{{header: x-a}}]}}}}\npolicies:\n{policies}"
            )
        };
        let diff = compared(&text(&old, "old"), &text(&new, "new"));
        let mut found: Vec<(Effect, &str)> = diff
            .routes
            .iter()
            .filter(|change| change.pinned.is_none())
            .flat_map(|change| {
                let path = change.paths[0].as_str();
                change.differences.iter().map(move |one| (one.effect, path))
            })
            .collect();
        found.sort_by_key(|(effect, path)| (path.to_string(), *effect));
        found.dedup();
        assert_eq!(found, expected, "{name}: {diff:#?}");
    }
}

#[test]
fn a_pinned_request_is_followed_within_its_policy() {
    let open = "p:\n    hosts: [a.example]\n    routes: [{path: /x/**, public: true}";
    let guarded = "{path: /x/secret, authenticate: a}";
    let text = |p: &str, q: &str| {
        format!(
            "authenticators:\n  a: {{api_key: {{from: [{{header: x-a}}]}}}}\npolicies:\n  {open}{p}]\n  q:\n    hosts: [a.example]\n    routes: [{{path: /q, public: true}}{q}]\n"
        )
    };
    let (within, moved) = (format!(", {guarded}"), format!(", {guarded}"));
    // Unpinned requests meet the same rule in another policy; those pinned to `p` do not.
    let diff = compared(&text(&within, ""), &text("", &moved));
    let pinned: Vec<_> = diff
        .routes
        .iter()
        .map(|change| (change.pinned.as_deref(), change.differences[0].effect))
        .collect();
    assert!(pinned.contains(&(Some("p"), Effect::Opened)), "{diff:#?}");
    assert!(!pinned.iter().any(|(pin, _)| pin.is_none()), "{diff:#?}");
}

#[test]
fn consumers_keys_and_ceilings_open_and_close() {
    use Effect::{Changed, Closed, Opened};
    let key =
        |id: &str, key: &str, more: &str| key_entry(id, key).replace('}', &format!("{more}}}"));
    let text = |consumers: &str, when: &str| {
        format!(
            "authenticators: {{a: {{api_key: {{from: [{{header: x-a}}]}}}}}}
roles: {{clerk: {{scopes: [w]}}}}
consumers:
{consumers}
policies: {{p: {{hosts: [a.example], routes: [{{path: /x, authenticate: a{when}}}]}}}}
"
        )
    };
    let acme = |keys: &str, credential: &str| {
        format!("  acme: {{{keys}, credentials: {{a: [{credential}]}}}}")
    };
    let one = key("one", "key-one", "");
    let plain = acme("scopes: [r]", &one);
    let both = format!(
        "{plain}\n  bolt: {{scopes: [r], credentials: {{a: [{}]}}}}",
        key("two", "key-two", "")
    );
    for (name, old, new, expected) in [
        ("nothing", plain.clone(), plain.clone(), &[][..]),
        ("a new consumer", plain.clone(), both.clone(), &[Opened]),
        ("one less", both, plain.clone(), &[Closed]),
        (
            "a wider ceiling",
            plain.clone(),
            acme("scopes: ['*']", &one),
            &[Opened],
        ),
        (
            "a pattern that covers another",
            acme("scopes: ['r:*']", &one),
            acme("scopes: ['r:x:*']", &one),
            &[Closed],
        ),
        (
            "a role",
            plain.clone(),
            acme("scopes: [r], roles: [clerk]", &one),
            &[Opened, Opened],
        ),
        (
            "a later end",
            acme("scopes: [r], expires: 2027-01-01", &one),
            plain.clone(),
            &[Opened],
        ),
        (
            "an earlier end",
            plain.clone(),
            acme(
                "scopes: [r]",
                &key("one", "key-one", ", expires: 2027-01-01"),
            ),
            &[Closed],
        ),
        (
            "fewer addresses",
            plain.clone(),
            acme("scopes: [r], allow_ips: [10.0.0.0/8]", &one),
            &[Closed],
        ),
        (
            "another environment",
            plain.clone(),
            acme("scopes: [r], environment: test", &one),
            &[Changed],
        ),
        (
            "another key",
            plain.clone(),
            acme("scopes: [r]", &key("one", "key-new", "")),
            &[Opened, Closed],
        ),
        (
            "the key's own scopes",
            plain.clone(),
            acme("scopes: [r]", &key("one", "key-one", ", scopes: [x]")),
            &[Closed],
        ),
        (
            "metadata that nobody reads",
            plain.clone(),
            acme("scopes: [r], metadata: {t: x}", &one),
            &[],
        ),
    ] {
        let diff = compared(&text(&old, ""), &text(&new, ""));
        assert_eq!(effects(&diff), expected, "{name}: {diff:#?}");
    }
    // A condition may ask that something is not held, or what the metadata says.
    let when = ", when: \"!principal.scopes.exists(s, s == 'r')\"";
    let (wide, narrow) = (acme("scopes: [r, w]", &one), acme("scopes: [w]", &one));
    let diff = compared(&text(&wide, when), &text(&narrow, when));
    assert_eq!(effects(&diff), [Changed], "{diff:#?}");
    let when = ", when: consumer.metadata.t == 'x'";
    let diff = compared(
        &text(&plain, when),
        &text(&acme("scopes: [r], metadata: {t: x}", &one), when),
    );
    assert_eq!(effects(&diff), [Changed], "{diff:#?}");
}

#[test]
fn an_authenticator_that_changed_concerns_every_route_that_asks_for_it() {
    use Effect::{Changed, Closed, Headers, Opened};
    let text = |jwt: &str, forward: bool| {
        format!(
            "authenticators: {{login: {{jwt: {{forward: {forward}, {jwt}}}}}}}
policies: {{p: {{hosts: [a.example], authenticate: login, routes: [{{path: /x}}, {{path: /y}}]}}}}
"
        )
    };
    let plain = "issuer: https://i.example, audiences: [api], jwks: {url: https://i.example/keys}";
    for (with, forward, expected) in [
        (plain.to_owned(), false, &[][..]),
        (plain.replace("[api]", "[api, web]"), false, &[Opened]),
        (plain.replace("[api]", "[web]"), false, &[Opened, Closed]),
        (
            plain.replace("audiences: [api]", "any_audience: true"),
            false,
            &[Opened],
        ),
        (
            plain.replace("https://i.example,", "https://j.example,"),
            false,
            &[Changed],
        ),
        (plain.replace("/keys", "/other"), false, &[Changed]),
        (format!("{plain}, algorithms: [ES256]"), false, &[Closed; 8]),
        (format!("{plain}, clock_skew: 5m"), false, &[Opened]),
        (plain.to_owned(), true, &[Headers]),
    ] {
        let diff = compared(&text(plain, false), &text(&with, forward));
        assert_eq!(effects(&diff), expected, "{with}: {diff:#?}");
        for change in &diff.named {
            assert_eq!(change.routes, ["p /x", "p /y"], "{diff:#?}");
        }
    }
}

#[test]
fn what_holds_for_all_routes_is_compared() {
    use Effect::{Answers, Changed, Closed, Headers, Opened};
    let text = |top: &str| {
        format!(
            "{top}policies: {{p: {{hosts: [a.example], routes: [{{path: /x, public: true}}]}}}}\n"
        )
    };
    for (old, new, expected) in [
        (
            "",
            "defaults: {paths: {empty_segments: allow}}\n",
            &[Opened][..],
        ),
        (
            "defaults: {paths: {encoded_slashes: allow}}\n",
            "",
            &[Closed],
        ),
        (
            "",
            "defaults: {paths: {trailing_slash: ignore}}\n",
            &[Changed],
        ),
        (
            "",
            "defaults: {client_address: {trusted_hops: 1}}\n",
            &[Changed],
        ),
        (
            "defaults: {client_address: {trusted_hops: 1}}\n",
            "defaults: {client_address: {trusted_hops: 1, envoy_appends: true}}\n",
            &[Changed],
        ),
        ("", "defaults: {unknown_route: not_found}\n", &[Answers]),
        ("", "defaults: {reserved_prefix: x-id-}\n", &[Headers]),
        ("", "revocations: [{credential: k1}]\n", &[Closed]),
        ("revocations: [{credential: k1}]\n", "", &[Opened]),
        (
            "revocations: [{subject: 'a:b', before: 2026-02-01}]\n",
            "revocations: [{subject: 'a:b', before: 2026-01-01}]\n",
            &[Opened],
        ),
    ] {
        let diff = compared(&text(old), &text(new));
        assert_eq!(effects(&diff), expected, "{old} -> {new}: {diff:#?}");
    }
}
