//! Every mistake has its word and its line, and all of them are told at once.

use crate::diagnostic::Diagnostics;
use crate::policy::source::PolicySet;
use crate::test_support::{mistakes, read};

fn decode(text: &str) -> (PolicySet, Diagnostics) {
    let mut out = Diagnostics::default();
    let set = read(&[("policy.yaml", text)], &mut out);
    (set, out)
}

fn codes(text: &str) -> Vec<&'static str> {
    let (_, out) = decode(text);
    mistakes(&out).into_iter().map(|(code, _)| code).collect()
}

/// One mistake each, written in one line.
#[test]
fn each_mistake_has_its_word() {
    for (text, code) in [
        ("polices: {}", "unknown-key"),
        ("version: portcullis/v2", "unknown-version"),
        ("version: 1", "quote-it"),
        ("[]", "wrong-type"),
        ("authenticators: []", "wrong-type"),
        ("authenticators: {a: api_key}", "wrong-type"),
        ("authenticators: {a: {}}", "missing-kind"),
        ("authenticators: {a: {jtw: {issuer: i}}}", "unknown-kind"),
        (
            "authenticators: {a: {api_key: {}, jwt: {issuer: i}}}",
            "several-kinds",
        ),
        ("authenticators: {a: {api_key: {prefx: x}}}", "unknown-key"),
        ("authenticators: {a: {api_key: []}}", "wrong-type"),
        ("authenticators: {a: {api_key: {prefix: 1}}}", "quote-it"),
        (
            "authenticators: {a: {api_key: {forward: yes}}}",
            "wrong-type",
        ),
        ("authenticators: {a: {api_key: {from: []}}}", "empty-list"),
        (
            "authenticators: {a: {api_key: {from: x-key}}}",
            "wrong-type",
        ),
        ("authenticators: {a: {api_key: {from: {}}}}", "bad-place"),
        (
            "authenticators: {a: {api_key: {from: {header: a, query: b}}}}",
            "bad-place",
        ),
        (
            "authenticators: {a: {api_key: {from: {scheme: b}}}}",
            "bad-place",
        ),
        (
            "authenticators: {a: {api_key: {from: {query: a, scheme: b}}}}",
            "bad-place",
        ),
        (
            "authenticators: {a: {api_key: {from: {cookie: a, scheme: b}}}}",
            "bad-place",
        ),
        (
            "authenticators: {a: {api_key: {from: {query: ''}}}}",
            "bad-place",
        ),
        (
            "authenticators: {a: {api_key: {from: {heeder: a, header: b}}}}",
            "unknown-key",
        ),
        ("authenticators: {a: {jwt: {}}}", "missing-key"),
        ("authenticators: {a: {jwt: {issuer: ''}}}", "empty-value"),
        ("authenticators: {a: {jwt: {issuer: 7}}}", "quote-it"),
        (
            "authenticators: {a: {jwt: {issuer: i, audiences: []}}}",
            "empty-list",
        ),
        (
            "authenticators: {a: {jwt: {issuer: i, audiences: ['']}}}",
            "empty-value",
        ),
        (
            "authenticators: {a: {jwt: {issuer: i, audiences: [1]}}}",
            "quote-it",
        ),
        (
            "authenticators: {a: {jwt: {issuer: i, any_audience: 'true'}}}",
            "wrong-type",
        ),
        (
            "authenticators: {a: {jwt: {issuer: i, algorithms: []}}}",
            "empty-list",
        ),
        (
            "authenticators: {a: {jwt: {issuer: i, clock_skew: 6m}}}",
            "out-of-range",
        ),
        (
            "authenticators: {a: {jwt: {issuer: i, clock_skew: 1500ms}}}",
            "out-of-range",
        ),
        (
            "authenticators: {a: {jwt: {issuer: i, jwks: {}}}}",
            "bad-jwks",
        ),
        (
            "authenticators: {a: {jwt: {issuer: i, jwks: {url: a, file: b}}}}",
            "bad-jwks",
        ),
        (
            "authenticators: {a: {jwt: {issuer: i, jwks: {file: a, allow_http: true}}}}",
            "bad-jwks",
        ),
        (
            "authenticators: {a: {jwt: {issuer: i, jwks: 'https://a'}}}",
            "wrong-type",
        ),
        ("consumers: {c: {scope: [a]}}", "unknown-key"),
        ("consumers: {c: {scopes: [1]}}", "quote-it"),
        ("consumers: {c: {environment: a_b}}", "bad-environment"),
        ("consumers: {c: {environment: ''}}", "bad-environment"),
        ("consumers: {c: {metadata: []}}", "wrong-type"),
        ("consumers: {c: {credentials: []}}", "wrong-type"),
        ("consumers: {c: {credentials: {k: {id: a}}}}", "wrong-type"),
        (
            "consumers: {c: {credentials: {k: [{id: a}]}}}",
            "missing-key",
        ),
        (
            "consumers: {c: {credentials: {k: [{id: a, hash: 'sha256:00'}]}}}",
            "bad-hash",
        ),
        (
            "consumers: {c: {credentials: {k: [{id: a, hash: 'hunter2'}]}}}",
            "bad-hash",
        ),
        (
            "consumers: {c: {credentials: {k: [{claim: a}]}}}",
            "missing-key",
        ),
        (
            "consumers: {c: {credentials: {k: [{claim: a, value: b, id: c}]}}}",
            "bad-credential",
        ),
        (
            "consumers: {c: {credentials: {k: [{claim: a, value: 1}]}}}",
            "quote-it",
        ),
        ("defaults: {unknown_route: 404}", "quote-it"),
        ("defaults: {unknown_route: maybe}", "bad-value"),
        ("defaults: {reserved_prefix: 1}", "quote-it"),
        ("defaults: {authenticate: []}", "empty-list"),
        ("defaults: {authenticate: {any: []}}", "empty-list"),
        ("defaults: {authenticate: {all: []}}", "empty-list"),
        ("defaults: {authenticate: [a, {all: []}]}", "empty-list"),
        ("defaults: {authenticate: {all: [a]}}", "bad-authenticate"),
        ("defaults: {authenticate: {all: a}}", "wrong-type"),
        ("defaults: {authenticate: {any: a}}", "wrong-type"),
        ("defaults: {authenticate: {}}", "bad-authenticate"),
        (
            "defaults: {authenticate: {principal: a}}",
            "bad-authenticate",
        ),
        (
            "defaults: {authenticate: {any: [a], all: [a, b]}}",
            "bad-authenticate",
        ),
        (
            "defaults: {authenticate: {any: [a, b], principal: a}}",
            "bad-authenticate",
        ),
        (
            "defaults: {authenticate: {all: [a, b], principal: [a]}}",
            "wrong-type",
        ),
        ("defaults: {authenticate: {every: [a, b]}}", "unknown-key"),
        ("defaults: {authenticate: [a, [b, c]]}", "bad-authenticate"),
        (
            "defaults: {authenticate: {any: [a, [b]]}}",
            "bad-authenticate",
        ),
        (
            "defaults: {authenticate: [{any: [{all: [a, {any: [b, {all: [c, d]}]}]}]}]}",
            "bad-authenticate",
        ),
        ("defaults: {authenticate: [a, 1]}", "quote-it"),
        ("defaults: {optional: 'true'}", "wrong-type"),
        ("defaults: {public: 'true'}", "wrong-type"),
        ("defaults: {scopes: []}", "empty-list"),
        ("defaults: {scopes: {any: []}}", "empty-list"),
        ("defaults: {scopes: {any: [a], all: [b]}}", "bad-scopes"),
        ("defaults: {scopes: {}}", "bad-scopes"),
        ("defaults: {environment: 'a b'}", "bad-environment"),
        ("defaults: {inject: [a]}", "wrong-type"),
        ("defaults: {inject: {x-a: {required: true}}}", "missing-key"),
        (
            "defaults: {inject: {x-a: {value: a, require: true}}}",
            "unknown-key",
        ),
        ("policies: {p: {hosts: [a]}}", "missing-key"),
        ("policies: {p: {routes: [{path: /}]}}", "missing-key"),
        (
            "policies: {p: {hosts: [], routes: [{path: /}]}}",
            "empty-list",
        ),
        ("policies: {p: {hosts: [a], routes: []}}", "empty-list"),
        ("policies: {p: {hosts: [a], routes: [{}]}}", "bad-route"),
        (
            "policies: {p: {hosts: [a], routes: [{path: /, grpc: {service: a}}]}}",
            "bad-route",
        ),
        (
            "policies: {p: {hosts: [a], routes: [{grpc: {service: a}, methods: [GET]}]}}",
            "bad-route",
        ),
        (
            "policies: {p: {hosts: [a], routes: [{grpc: {methods: [Get]}}]}}",
            "missing-key",
        ),
        (
            "policies: {p: {hosts: [a], routes: [{path: /, methods: []}]}}",
            "empty-list",
        ),
        (
            "policies: {p: {hosts: [a], routes: [{pth: /, path: /}]}}",
            "unknown-key",
        ),
        ("policies: {p: {hosts: [a], routes: [/]}}", "wrong-type"),
    ] {
        assert_eq!(codes(text), [code], "{text}");
    }
}

#[test]
fn times_and_durations_that_cannot_be_read_are_mistakes() {
    for text in [
        "consumers: {c: {expires: soon}}",
        "consumers: {c: {expires: 2027-02-30}}",
        "consumers: {c: {credentials: {k: [{id: a, hash: 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08', expires: never}]}}}",
        "authenticators: {a: {jwt: {issuer: i, clock_skew: 5}}}",
        "authenticators: {a: {jwt: {issuer: i, clock_skew: -5s}}}",
    ] {
        assert_eq!(codes(text).len(), 1, "{text}");
    }
}

/// Passing over one silently could open what it was meant to close.
#[test]
fn what_the_language_has_and_this_version_has_not_is_a_mistake() {
    let level = ["limit: {rate: 1/second}"];
    let mut texts: Vec<String> = Vec::new();
    for key in level {
        texts.push(format!("defaults: {{{key}}}"));
        texts.push(format!(
            "policies: {{p: {{hosts: [a], routes: [{{path: /}}], {key}}}}}"
        ));
        texts.push(format!(
            "policies: {{p: {{hosts: [a], routes: [{{path: /, {key}}}]}}}}"
        ));
    }
    texts.push("plans: {}".to_owned());
    texts.push("defaults: {require: {limits: []}}".to_owned());
    texts.push("consumers: {c: {plan: p}}".to_owned());
    for kind in [
        "basic",
        "introspection",
        "session",
        "spiffe",
        "jwt_svid",
        "anonymous",
    ] {
        texts.push(format!("authenticators: {{a: {{{kind}: {{}}}}}}"));
    }
    for text in texts {
        assert_eq!(codes(&text), ["not-available"], "{text}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_with_their_lines() {
    let text = "\
version: portcullis/v9
authenticators:
  key:
    api_key:
      prefx: pk_
      from: [{header: x-a, query: b}]
  login:
    jwt:
      audiences: []
      any_audience: maybe
  mesh:
    spiffe: {}
consumers:
  acme:
    scopes: [1]
    credentials:
      key:
        - {id: a, hash: nope}
        - {hash: nope}
policies:
  api:
    hosts: []
    routes:
      - {path: /, methods: [], limit: {}}
      - {methods: [GET]}
unknown: 1
";
    let (_, out) = decode(text);
    assert_eq!(
        mistakes(&out),
        [
            ("unknown-version", 1),
            ("unknown-key", 5),
            ("bad-place", 6),
            ("missing-key", 9),
            ("empty-list", 9),
            ("wrong-type", 10),
            ("not-available", 12),
            ("quote-it", 15),
            ("bad-hash", 18),
            ("missing-key", 19),
            ("bad-hash", 19),
            ("empty-list", 22),
            ("empty-list", 24),
            ("not-available", 24),
            ("bad-route", 25),
            ("unknown-key", 26),
        ]
    );
}

#[test]
fn a_mistyped_key_is_told_the_nearest_one() {
    for (text, near) in [
        ("polices: {}", "policies"),
        ("authenticators: {a: {api_kye: {}}}", "api_key"),
        (
            "policies: {p: {host: [a], hosts: [a], routes: [{path: /}]}}",
            "hosts",
        ),
        (
            "policies: {p: {hosts: [a], routes: [{path: /, metods: [GET]}]}}",
            "methods",
        ),
        (
            "authenticators: {a: {jwt: {issuer: i, audience: [a]}}}",
            "audiences",
        ),
    ] {
        let (_, out) = decode(text);
        let help = out.iter().next().and_then(|d| d.help.clone());
        assert_eq!(help, Some(format!("did you mean `{near}`?")), "{text}");
    }
}

#[test]
fn k3_a_key_pasted_where_its_hash_belongs_is_not_shown() {
    let (_, out) = decode("consumers: {c: {credentials: {k: [{id: a, hash: hunter2-the-key}]}}}");
    assert_eq!(mistakes(&out), [("bad-hash", 1)]);
    for shown in [out.render(), out.to_json().to_string()] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn files_are_merged_whatever_their_order() {
    let files = [
        (
            "a.yaml",
            "authenticators: {key: {api_key: }}\ndefaults: {environment: live, inject: {x-a: request.path}}",
        ),
        (
            "b.yaml",
            "consumers: {acme: , other: {}}\ndefaults: {unknown_route: not_found, inject: {x-b: request.path}}",
        ),
        (
            "c.yaml",
            "policies: {api: {hosts: [a], routes: [{path: /}]}}\ndefaults: {authenticate: key}",
        ),
        ("empty.yaml", ""),
        ("comment.yaml", "# nothing\n---\n"),
    ];
    for turn in 0..files.len() {
        let mut files = files;
        files.rotate_left(turn);
        let mut out = Diagnostics::default();
        let set = read(&files, &mut out);
        assert!(out.is_empty(), "{}", out.render());
        assert_eq!(
            (
                set.authenticators.len(),
                set.consumers.len(),
                set.policies.len()
            ),
            (1, 2, 1)
        );
        assert!(
            set.authenticators[0].value.kind.is_some(),
            "the kind's usual ways"
        );
        let mut injected: Vec<&str> = set
            .defaults
            .level
            .inject
            .iter()
            .map(|inject| inject.name.value.as_str())
            .collect();
        injected.sort_unstable();
        assert_eq!(injected, ["x-a", "x-b"]);
        assert!(set.defaults.level.authenticate.is_some());
        assert!(set.defaults.level.environment.is_some());
        assert!(set.defaults.unknown_route_not_found.unwrap().value);
    }
}

#[test]
fn a_default_that_two_files_say_is_a_mistake_that_cites_both() {
    for (first, second) in [
        ("authenticate: a", "authenticate: a"),
        ("public: true", "public: false"),
        ("scopes: a", "scopes: b"),
        ("environment: live", "environment: live"),
        ("inject: {x-a: request.path}", "inject: {x-a: request.host}"),
        ("reserved_prefix: x-a-", "reserved_prefix: x-b-"),
        ("unknown_route: not_found", "unknown_route: forbidden"),
    ] {
        let (first, second) = (
            format!("defaults: {{{first}}}"),
            format!("defaults: {{{second}}}"),
        );
        let mut out = Diagnostics::default();
        read(&[("a.yaml", &first), ("b.yaml", &second)], &mut out);
        assert_eq!(mistakes(&out), [("duplicate-default", 1)], "{first}");
        let diagnostic = out.iter().next().unwrap();
        assert_eq!(diagnostic.place.as_ref().unwrap().file.name(), "b.yaml");
        assert_eq!(diagnostic.related[0].0.file.name(), "a.yaml");
    }
}

#[test]
fn one_word_stands_for_a_list_of_one() {
    let (set, out) = decode(
        "authenticators: {l: {jwt: {issuer: i, audiences: a, algorithms: ES256}}}
policies: {p: {hosts: h, authenticate: l, scopes: s, routes: [{path: /, methods: GET}]}}",
    );
    assert!(out.is_empty(), "{}", out.render());
    assert_eq!(set.policies[0].value.hosts.len(), 1);
}
