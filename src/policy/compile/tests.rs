//! What compiles, what it means, and what is refused.

mod cors;
mod demands;
mod levels;
mod rules;

use crate::diagnostic::Diagnostics;
use crate::test_support::{Signer, compile, key_entry, mistakes};

/// Authenticators that the texts of a table refer to.
const AUTHENTICATORS: &str = "
  key: {api_key: {}}
  login: {jwt: {issuer: 'https://login.example.com', audiences: [api]}}
";

fn codes(files: &[(&str, &str)]) -> Vec<&'static str> {
    let (table, out) = compile(files);
    assert_eq!(table.is_none(), out.has_errors());
    mistakes(&out).into_iter().map(|(code, _)| code).collect()
}

/// A policy `p` of `host` with one route.
fn one_route(route: &str) -> String {
    format!(
        "authenticators: {AUTHENTICATORS}
policies: {{p: {{hosts: [host], authenticate: key, routes: [{route}]}}}}"
    )
}

#[test]
fn each_mistake_of_a_route_has_its_word() {
    for (route, code) in [
        ("{path: orders}", "bad-path"),
        ("{path: /a//b}", "bad-path"),
        ("{path: '/a/{b'}", "bad-path"),
        ("{path: '/{a}/{a}'}", "bad-path"),
        ("{path: '/a?b'}", "bad-path"),
        ("{path: /a/../b}", "bad-path"),
        ("{path: /a*}", "bad-path"),
        ("{path: /%61}", "bad-path"),
        ("{path: /a, methods: [get]}", "bad-method"),
        ("{path: /a, methods: ['G T']}", "bad-method"),
        ("{path: /a, methods: ['']}", "bad-method"),
        ("{path: /a, methods: [GET, GET]}", "duplicate-method"),
        ("{grpc: {service: a/b}}", "bad-grpc-name"),
        (
            "{grpc: {service: orders.v1.Order, methods: [a.b]}}",
            "bad-grpc-name",
        ),
        ("{grpc: {service: .a}}", "bad-grpc-name"),
        ("{path: /a, scopes: ['orders:*']}", "bad-scope"),
        ("{path: /a, scopes: ['a b']}", "bad-scope"),
        ("{path: /a, scopes: ['']}", "bad-scope"),
        ("{path: /a, authenticate: kye}", "unknown-authenticator"),
        ("{path: /a, authenticate: [key, key]}", "duplicate-name"),
        (
            "{path: /a, public: true, authenticate: key}",
            "public-contradiction",
        ),
        (
            "{path: /a, public: true, scopes: a}",
            "public-contradiction",
        ),
        ("{path: /a, inject: {X-A: principal.id}}", "bad-header"),
        ("{path: /a, inject: {host: principal.id}}", "bad-header"),
        ("{path: /a, inject: {':path': principal.id}}", "bad-header"),
        (
            "{path: /a, inject: {x-forwarded-for: principal.id}}",
            "bad-header",
        ),
        (
            "{path: /a, inject: {x_envoy_retry: principal.id}}",
            "bad-header",
        ),
        ("{path: /a, inject: {cookie: principal.id}}", "bad-header"),
        (
            "{path: /a, inject: {content-length: principal.id}}",
            "bad-header",
        ),
        (
            "{path: /a, inject: {x-a: principal.nmae}}",
            "bad-expression",
        ),
        ("{path: /a, inject: {x-a: principal}}", "bad-expression"),
        ("{path: /a, inject: {x-a: 'a + b'}}", "bad-expression"),
        ("{path: '/{b}', inject: {x-a: path.c}}", "bad-expression"),
        (
            "{path: /a, methods: [GET]}, {path: /a, methods: [GET]}",
            "conflicting-routes",
        ),
        (
            "{path: '/{a}'}, {path: '/{b}', methods: [PUT]}",
            "conflicting-routes",
        ),
        (
            "{grpc: {service: a.B, methods: [C]}}, {path: /a.B/C}",
            "conflicting-routes",
        ),
    ] {
        let text = one_route(route);
        assert_eq!(codes(&[("policy.yaml", &text)]), [code], "{route}");
    }
}

#[test]
fn each_mistake_of_an_authenticator_has_its_word() {
    for (authenticator, code) in [
        ("api_key: {prefix: ''}", "bad-prefix"),
        ("api_key: {prefix: 'a b'}", "bad-prefix"),
        ("api_key: {prefix: 'a,b'}", "bad-prefix"),
        ("api_key: {from: {header: authorization}}", "scheme-missing"),
        ("api_key: {from: {header: 'x y'}}", "bad-header"),
        ("api_key: {from: {header: cookie}}", "bad-header"),
        ("api_key: {from: {header: Host}}", "bad-header"),
        (
            "api_key: {from: {header: authorization, scheme: 'a b'}}",
            "bad-scheme",
        ),
        (
            "api_key: {from: {header: authorization, scheme: ''}}",
            "bad-scheme",
        ),
        ("api_key: {from: {cookie: 'a;b'}}", "bad-cookie"),
        ("api_key: {from: {query: 'a&b'}}", "bad-query"),
        (
            "api_key: {from: [{header: x-a}, {header: X-A}]}",
            "duplicate-place",
        ),
        ("jwt: {issuer: 'https://i'}", "audience-missing"),
        (
            "jwt: {issuer: 'https://i', audiences: [a], any_audience: true}",
            "contradiction",
        ),
        (
            "jwt: {issuer: 'https://i', audiences: [a], algorithms: [none]}",
            "bad-algorithm",
        ),
        (
            "jwt: {issuer: 'https://i', audiences: [a], algorithms: [es256]}",
            "bad-algorithm",
        ),
        (
            "jwt: {issuer: 'https://i', audiences: [a], algorithms: [HS256]}",
            "symmetric-algorithm",
        ),
        (
            "jwt: {issuer: 'https://i', audiences: [a], algorithms: [RS256, HS512], jwks: {url: 'https://a'}}",
            "symmetric-algorithm",
        ),
        ("jwt: {issuer: 'http://i', audiences: [a]}", "insecure-url"),
        ("jwt: {issuer: accounts, audiences: [a]}", "bad-url"),
        (
            "jwt: {issuer: i, audiences: [a], jwks: {url: 'http://a/keys'}}",
            "insecure-url",
        ),
        (
            "jwt: {issuer: i, audiences: [a], jwks: {url: 'file:///keys'}}",
            "insecure-url",
        ),
        (
            "jwt: {issuer: i, audiences: [a], jwks: {inline: {}}}",
            "bad-key-set",
        ),
        (
            "jwt: {issuer: i, audiences: [a], jwks: {inline: {keys: []}}}",
            "bad-key-set",
        ),
        (
            "jwt: {issuer: i, audiences: [a], jwks: {file: /nowhere/keys.json}}",
            "unreadable-file",
        ),
    ] {
        let text = format!(
            "authenticators: {{a: {{{authenticator}}}}}
policies: {{p: {{hosts: [host], authenticate: a, routes: [{{path: /}}]}}}}"
        );
        assert_eq!(codes(&[("policy.yaml", &text)]), [code], "{authenticator}");
    }
}

#[test]
fn each_mistake_of_a_consumer_has_its_word() {
    let (key, other) = (key_entry("k1", "one"), key_entry("k2", "two"));
    let empty = key_entry("k1", "");
    for (consumers, code) in [
        (format!("a: {{credentials: {{key: [{key}, {other}]}}}}"), None),
        ("a: {scopes: ['or*']}".to_owned(), Some("bad-scope")),
        (format!("a: {{credentials: {{kee: [{key}]}}}}"), Some("unknown-authenticator")),
        (format!("a: {{credentials: {{login: [{key}]}}}}"), Some("wrong-credential")),
        ("a: {credentials: {key: [{claim: a, value: b}]}}".to_owned(), Some("wrong-credential")),
        (format!("a: {{credentials: {{key: [{empty}]}}}}"), Some("empty-key")),
        (
            format!("a: {{credentials: {{key: [{key}]}}}}, b: {{credentials: {{key: [{}]}}}}", key_entry("k2", "one")),
            Some("duplicate-key"),
        ),
        (
            format!("a: {{credentials: {{key: [{key}]}}}}, b: {{credentials: {{key: [{}]}}}}", key_entry("k1", "two")),
            Some("duplicate-id"),
        ),
        (
            "a: {credentials: {login: [{claim: c, value: v}]}}, b: {credentials: {login: [{claim: c, value: v}]}}".to_owned(),
            Some("duplicate-credential"),
        ),
        ("a: {credentials: {login: [{claim: c, value: ''}]}}".to_owned(), Some("bad-claim")),
        ("'a b': {}".to_owned(), Some("bad-name")),
        ("'a:b': {}".to_owned(), Some("bad-name")),
        ("'': {}".to_owned(), Some("bad-name")),
    ] {
        let text = format!("{}\nconsumers: {{{consumers}}}", one_route("{path: /}"));
        let expected: Vec<&str> = code.into_iter().collect();
        assert_eq!(codes(&[("policy.yaml", &text)]), expected, "{consumers}");
    }
}

#[test]
fn each_mistake_of_hosts_and_levels_has_its_word() {
    for (policy, code) in [
        (
            "hosts: [host], authenticate: key, routes: [{path: /}]",
            None,
        ),
        (
            "hosts: ['*', '*.example.com'], public: true, routes: [{path: /}]",
            None,
        ),
        (
            "hosts: ['https://a'], authenticate: key, routes: [{path: /}]",
            Some("bad-host"),
        ),
        (
            "hosts: ['a:443'], authenticate: key, routes: [{path: /}]",
            Some("bad-host"),
        ),
        (
            "hosts: ['a.*'], authenticate: key, routes: [{path: /}]",
            Some("bad-host"),
        ),
        (
            "hosts: [a, A], authenticate: key, routes: [{path: /}]",
            Some("duplicate-host"),
        ),
        ("hosts: [a], routes: [{path: /}]", Some("no-authentication")),
        (
            "hosts: [a], public: false, routes: [{path: /}]",
            Some("no-authentication"),
        ),
        (
            "hosts: [a], public: true, routes: [{path: /, public: false}]",
            Some("no-authentication"),
        ),
        (
            "hosts: [a], public: true, scopes: s, routes: [{path: /}]",
            Some("public-contradiction"),
        ),
        (
            "hosts: [a], public: true, authenticate: key, routes: [{path: /}]",
            Some("public-contradiction"),
        ),
        (
            "hosts: [a], authenticate: key, routes: [{path: /, public: true, optional: true}]",
            Some("public-contradiction"),
        ),
        (
            "hosts: [a], public: true, optional: false, routes: [{path: /}]",
            Some("public-contradiction"),
        ),
        (
            "hosts: [a], public: true, routes: [{path: /, optional: true}]",
            Some("public-contradiction"),
        ),
        (
            "hosts: [a], optional: true, routes: [{path: /}]",
            Some("no-authentication"),
        ),
        (
            "hosts: [a], optional: true, authenticate: key, routes: [{path: /, public: true}, {path: /a}]",
            None,
        ),
        (
            "hosts: [a], public: true, routes: [{path: /, scopes: s}]",
            Some("public-contradiction"),
        ),
        (
            "hosts: [a], authenticate: nobody, routes: [{path: /}]",
            Some("unknown-authenticator"),
        ),
    ] {
        let text = format!("authenticators: {AUTHENTICATORS}\npolicies: {{p: {{{policy}}}}}");
        let expected: Vec<&str> = code.into_iter().collect();
        assert_eq!(codes(&[("policy.yaml", &text)]), expected, "{policy}");
    }
}

#[test]
fn a_reserved_prefix_covers_nothing_that_others_need() {
    for (prefix, good) in [
        ("x-auth-", true),
        ("x-acme-identity-", true),
        ("", false),
        ("x-", false),
        ("X-Auth-", false),
        ("co", false),
        ("x auth", false),
    ] {
        let text = format!(
            "{}\ndefaults: {{reserved_prefix: '{prefix}'}}",
            one_route("{path: /}")
        );
        let expected: &[&str] = if good { &[] } else { &["bad-header"] };
        assert_eq!(codes(&[("policy.yaml", &text)]), expected, "{prefix}");
    }
}

/// Authenticators that could both own one credential cannot stand on one route.
#[test]
fn two_owners_of_one_credential_are_a_mistake() {
    let bearer = "from: {header: authorization, scheme: Bearer}";
    let jwt = |issuer: &str, extra: &str| {
        format!("jwt: {{issuer: 'https://{issuer}', audiences: [a]{extra}}}")
    };
    let key = |settings: &str| format!("api_key: {{{settings}}}");
    for (first, second, owners) in [
        (key(""), key(""), 2),
        (key(""), key("prefix: a_"), 2),
        (key("prefix: a_"), key("prefix: b_"), 1),
        (key("prefix: a_"), key("prefix: a_b_"), 2),
        (key("from: {header: x-a}"), key("from: {header: x-b}"), 1),
        (
            key("from: [{header: x-a}, {query: k}]"),
            key("from: [{header: x-b}, {query: k}]"),
            2,
        ),
        (key("from: {query: k}"), key("from: {cookie: k}"), 1),
        (key(bearer), jwt("i", ""), 1),
        (key(bearer), key(&format!("{bearer}, prefix: sk_")), 1),
        (key(bearer), key(&format!("{bearer}, prefix: pk_")), 2),
        (jwt("i", ""), jwt("j", ""), 1),
        (jwt("i", ""), jwt("i", ""), 2),
        (
            jwt("i", ", from: {header: x-token}"),
            key("from: {header: x-token}"),
            2,
        ),
        (
            jwt("i", ", from: {header: x-token}"),
            key("from: {header: x-token}, prefix: k_"),
            1,
        ),
        (
            jwt("i", ", from: {header: x-token}"),
            key("from: {header: x-token, scheme: Key}"),
            2,
        ),
        (
            key("from: {header: authorization, scheme: A}"),
            key("from: {header: authorization, scheme: B}"),
            1,
        ),
        (
            key("from: {header: authorization, scheme: A}"),
            key("from: {header: authorization, scheme: a}"),
            2,
        ),
    ] {
        let text = format!(
            "authenticators: {{a: {{{first}}}, b: {{{second}}}}}
policies:
  p: {{hosts: [host], authenticate: [a, b], routes: [{{path: /}}, {{path: /again}}]}}"
        );
        let expected: &[&str] = if owners == 2 { &["two-owners"] } else { &[] };
        assert_eq!(
            codes(&[("policy.yaml", &text)]),
            expected,
            "{first} {second}"
        );
        // Apart they may.
        let apart = text
            .replace("[a, b]", "a")
            .replace("{path: /again}", "{path: /again, authenticate: b}");
        assert!(
            codes(&[("policy.yaml", &apart)]).is_empty(),
            "{first} {second}"
        );
    }
}

fn cited(out: &Diagnostics) -> Vec<(&'static str, String, Vec<String>)> {
    out.iter()
        .map(|d| {
            let at = |place: &crate::diagnostic::Place| {
                format!(
                    "{}:{}",
                    place.file.name(),
                    place.file.line_column(place.start).0
                )
            };
            let related = d.related.iter().map(|(place, _)| at(place)).collect();
            (
                d.code,
                d.place.as_ref().map(at).unwrap_or_default(),
                related,
            )
        })
        .collect()
}

#[test]
fn a_name_defined_in_two_files_is_a_mistake_that_cites_both() {
    let first = one_route("{path: /a}") + "\nconsumers: {acme: {}}";
    for (second, line) in [
        (
            "authenticators:\n  key: {api_key: {from: {header: x-b}}}",
            2,
        ),
        ("consumers: {acme: {}}", 1),
        (
            "\npolicies: {p: {hosts: [other], public: true, routes: [{path: /}]}}",
            2,
        ),
    ] {
        let (table, out) = compile(&[("a.yaml", &first), ("b.yaml", second)]);
        assert!(table.is_none());
        let cited = cited(&out);
        let [(code, place, related)] = cited.as_slice() else {
            panic!("{}", out.render());
        };
        assert_eq!(
            (*code, place.as_str()),
            ("duplicate-name", format!("b.yaml:{line}").as_str())
        );
        assert!(related[0].starts_with("a.yaml:"), "{related:?}");
    }
}

#[test]
fn routes_of_two_policies_for_one_host_conflict_and_cite_both() {
    let policy = |name: &str, host: &str, route: &str| {
        format!(
            "policies:\n  {name}:\n    hosts: ['{host}']\n    public: true\n    routes:\n      - {route}"
        )
    };
    for (hosts, routes, conflict) in [
        (["a", "a"], ["{path: /x}", "{path: /x}"], true),
        (["a", "A"], ["{path: /x}", "{path: /x}"], true),
        (["*.a", "*.a"], ["{path: '/{x}'}", "{path: '/{y}'}"], true),
        (
            ["a", "a"],
            ["{path: /x, methods: [GET]}", "{path: /x, methods: [PUT]}"],
            false,
        ),
        (["a", "b"], ["{path: /x}", "{path: /x}"], false),
        // Another host pattern is another table: the more specific one is chosen, and that one alone.
        (["a", "*"], ["{path: /x}", "{path: /x}"], false),
        (["*.a", "*.b.a"], ["{path: /x}", "{path: /x}"], false),
    ] {
        let (one, two) = (
            policy("one", hosts[0], routes[0]),
            policy("two", hosts[1], routes[1]),
        );
        let (_, out) = compile(&[("a.yaml", &one), ("b.yaml", &two)]);
        let expected = if conflict {
            vec![(
                "conflicting-routes",
                "b.yaml:6".to_owned(),
                vec!["a.yaml:6".to_owned()],
            )]
        } else {
            Vec::new()
        };
        assert_eq!(cited(&out), expected, "{hosts:?} {routes:?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_their_lines() {
    let text = "\
authenticators:
  key: {api_key: {prefix: ''}}
  login: {jwt: {issuer: 'https://i'}}
consumers:
  acme:
    scopes: ['a*']
    credentials:
      nobody: []
policies:
  p:
    hosts: ['a:1']
    authenticate: kee
    routes:
      - {path: a}
      - {path: /b, methods: [get]}
      - {path: /c, public: true, scopes: x}
  q:
    hosts: [q]
    routes:
      - {path: /d}
      - {path: /e, authenticate: key, scopes: ['x:*'], inject: {x-a: nope}}
";
    let (_, out) = compile(&[("policy.yaml", text)]);
    assert_eq!(
        mistakes(&out),
        [
            ("bad-prefix", 2),
            ("audience-missing", 3),
            ("bad-scope", 6),
            ("unknown-authenticator", 8),
            ("bad-host", 11),
            ("unknown-authenticator", 12),
            ("bad-path", 14),
            ("bad-method", 15),
            ("public-contradiction", 16),
            ("no-authentication", 20),
            ("bad-scope", 21),
            ("bad-expression", 21),
        ]
    );
}

#[test]
fn a_mistyped_name_is_told_the_nearest_one() {
    let (_, out) = compile(&[("policy.yaml", &one_route("{path: /a, authenticate: logn}"))]);
    let help = out.iter().next().unwrap().help.as_deref();
    assert_eq!(help, Some("did you mean `login`?"));
}

#[test]
fn a_shared_secret_stands_in_a_file_and_neither_in_the_policy_nor_behind_a_url() {
    let oct = "{kty: oct, k: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA}";
    let text = format!(
        "authenticators: {{a: {{jwt: {{issuer: i, audiences: [a], algorithms: [HS256], jwks: {{inline: {{keys: [{oct}]}}}}}}}}}}
policies: {{p: {{hosts: [host], authenticate: a, routes: [{{path: /}}]}}}}"
    );
    assert_eq!(codes(&[("policy.yaml", &text)]), ["literal-secret"]);
}

#[test]
fn waits_only_for_the_keys_that_a_route_needs() {
    let text = format!(
        "authenticators:
  used: {{jwt: {{issuer: 'https://used', audiences: [a]}}}}
  inline: {{jwt: {{issuer: i, audiences: [a], jwks: {{inline: {{keys: [{}]}}}}}}}}
  unused: {{jwt: {{issuer: 'https://unused', audiences: [a]}}}}
  overridden: {{jwt: {{issuer: 'https://overridden', audiences: [a]}}}}
defaults: {{authenticate: overridden}}
policies: {{p: {{hosts: [host], authenticate: used, routes: [{{path: /}}, {{path: /i, authenticate: inline}}]}}}}",
        Signer::p256("k").jwk()
    );
    let (table, out) = compile(&[("policy.yaml", &text)]);
    let table = table.unwrap_or_else(|| panic!("{}", out.render()));
    let mut needed: Vec<(&str, bool)> = table
        .needed_key_sets
        .iter()
        .map(|(name, cell)| (name.as_ref(), cell.current().is_some()))
        .collect();
    needed.sort_unstable();
    assert_eq!(needed, [("inline", true), ("used", false)]);
}
