//! The corpus of `tests/cases`, one test for each file, and what the runner itself must do.

use std::path::Path;

use crate::diagnostic::Diagnostics;
use crate::policy_test::report::{self, Wanted};
use crate::policy_test::{Run, Suite};
use crate::test_support::{key_entry, mistakes, runtime};

fn run_directory(directory: &Path) -> Run {
    let mut out = Diagnostics::default();
    let suite = Suite::read(directory, &[], &mut out).unwrap_or_else(|| panic!("{}", out.render()));
    assert!(out.is_empty(), "{}", out.render());
    runtime().block_on(suite.run(&[], false))
}

/// Every test of a theme passes, and together they come to every route and see every rule at work.
fn passes(theme: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = run_directory(&root.join("tests/cases").join(theme));
    let told = report::text(
        std::slice::from_ref(&run),
        Wanted {
            coverage: true,
            passed: false,
        },
    );
    assert!(run.results.len() > 5, "{told}");
    assert_eq!(run.failed(), 0, "{told}");
    assert_eq!(run.coverage.chosen(), run.coverage.routes.len(), "{told}");
    assert_eq!(run.coverage.covered(), run.coverage.rules.len(), "{told}");
}

macro_rules! corpus {
    ($($name:ident = $theme:literal;)+) => {
        $(#[test]
        fn $name() {
            passes($theme);
        })+

        #[test]
        fn every_file_of_the_corpus_is_run() {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
            let entries = std::fs::read_dir(root).unwrap();
            let mut found: Vec<String> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            found.sort();
            assert_eq!(found, [$($theme),+]);
        }
    };
}

corpus! {
    corpus_addresses = "addresses";
    corpus_api_keys = "api-keys";
    corpus_conditions = "conditions";
    corpus_cors = "cors";
    corpus_headers = "headers";
    corpus_hosts = "hosts";
    corpus_levels = "levels";
    corpus_methods = "methods";
    corpus_paths = "paths";
    corpus_revocations = "revocations";
    corpus_roles = "roles";
    corpus_signatures = "signatures";
    corpus_tenants = "tenants";
    corpus_tokens = "tokens";
    corpus_trees = "trees";
    corpus_webhooks = "webhooks";
    corpus_workloads = "workloads";
}

fn read(policy: &str) -> (Option<Suite>, Diagnostics) {
    let directory = tempfile::TempDir::new().unwrap();
    std::fs::write(directory.path().join("policy.yaml"), policy).unwrap();
    let mut out = Diagnostics::default();
    let suite = Suite::read(directory.path(), &[], &mut out);
    (suite, out)
}

fn run(policy: &str) -> Run {
    let (suite, out) = read(policy);
    let suite = suite.unwrap_or_else(|| panic!("{}", out.render()));
    runtime().block_on(suite.run(&[], false))
}

fn policy(tests: &str) -> String {
    let policy = r#"
authenticators:
  key: {api_key: {from: [{header: x-api-key}, {query: k}]}}
  login: {jwt: {issuer: "https://i.example", audiences: [api], jwks: {url: "https://i.example/keys"}}}
consumers:
  acme: {scopes: [read], credentials: {key: [KEY, {id: k2, hash: "sha256:2222222222222222222222222222222222222222222222222222222222222222"}]}}
  web: {credentials: {login: [{claim: azp, value: web}]}}
  bare: {}
policies:
  p:
    hosts: [a.example]
    authenticate: [key, login]
    scopes: read
    inject: {x-auth-consumer: consumer.name}
    routes:
      - {path: /a, methods: [GET]}
      - {path: /b, methods: [GET, PUT], allow_ips: 192.0.2.0/24}
      - grpc: {service: s.S, methods: [One, Two]}
tests:
"#;
    format!("{}{tests}", policy.replace("KEY", &key_entry("k1", "real")))
}

/// What was not as expected, as `what: expected / got`.
fn mismatches(request: &str, expect: &str) -> Vec<String> {
    let run = run(&policy(&format!(
        "- {{name: it, request: {{{request}}}, expect: {{{expect}}}}}"
    )));
    let [result] = run.results.as_slice() else {
        panic!()
    };
    let told = result.mismatches.iter();
    told.map(|m| format!("{}: {} / {}", m.what, m.expected, m.got))
        .collect()
}

#[test]
fn everything_that_differs_is_told() {
    let passing =
        "url: \"https://a.example/a?x=1&k=real\", headers: {x-in: in, x-auth-consumer: z}";
    let refused = "url: \"https://a.example/a\"";
    for (request, expect, told) in [
        (
            passing,
            "status: 200, reason: allowed, policy: p, route: /a",
            vec![],
        ),
        (passing, "status: 403", vec!["status: 403 / 200"]),
        (
            passing,
            "reason: role_missing",
            vec!["reason: role_missing / allowed"],
        ),
        (
            passing,
            "policy: q, route: /b",
            vec!["policy: q / p", "route: /b / /a"],
        ),
        (
            passing,
            "upstream_headers: {x-in: no-one, x-out: no-one, x-auth-consumer: null}",
            vec![
                "upstream_headers.x-in: `no-one` / `in`",
                "upstream_headers.x-out: `no-one` / absent",
                "upstream_headers.x-auth-consumer: absent / `acme`",
            ],
        ),
        (passing, "upstream_path: \"/a?x=1\"", vec![]),
        (
            passing,
            "upstream_path: /a",
            vec!["upstream_path: /a / /a?x=1"],
        ),
        (
            passing,
            "removed_headers: [x-in, x-never]",
            vec![
                "removed_headers.x-in: sent and removed / the upstream receives it",
                "removed_headers.x-never: sent and removed / the request has no such header",
            ],
        ),
        (
            passing,
            "metadata: {consumer: web, scopes: [read], credential_id: null}",
            vec![
                "metadata.consumer: \"web\" / \"acme\"",
                "metadata.credential_id: null / \"k1\"",
            ],
        ),
        (
            passing,
            "body: {status: 200}, response_headers: {allow: GET}",
            vec![
                "response_headers.allow: `GET` / absent",
                "body: an answer of Portcullis / the request passes; the upstream answers it",
            ],
        ),
        (
            refused,
            "upstream_headers: {x-in: null}, upstream_path: /a, removed_headers: x-api-key",
            vec![
                "upstream_headers: a request that passes / the request does not pass; the upstream receives nothing",
                "upstream_path: a request that passes / the request does not pass; the upstream receives nothing",
                "removed_headers: a request that passes / the request does not pass; the upstream receives nothing",
            ],
        ),
        (
            refused,
            "body: {status: 403, error: null, type: \"urn:portcullis:error:credentials_missing\"}, response_headers: {allow: GET, cache-control: no-store}",
            vec![
                "response_headers.allow: `GET` / absent",
                "body.status: 403 / 401",
            ],
        ),
        (
            refused,
            "metadata: {consumer: null, reason: credentials_missing}",
            vec![],
        ),
    ] {
        assert_eq!(mismatches(request, expect), told, "{expect}");
    }
    let rpc = "method: POST, url: \"https://a.example/s.S/One\", headers: {content-type: application/grpc}";
    assert_eq!(mismatches(rpc, "body: {status: 401}").len(), 1);
}

#[test]
fn a_test_that_cannot_be_run_is_a_mistake_of_the_policies() {
    for (caller, code) in [
        ("{consumer: acne}", "unknown-consumer"),
        ("{authenticator: logon}", "unknown-authenticator"),
        ("{consumer: acme}", "caller-ambiguous"),
        ("{authenticator: key}", "caller-ambiguous"),
        ("{consumer: acme, credential: k3}", "unknown-credential"),
        ("{consumer: web, credential: k1}", "unknown-credential"),
        ("{consumer: bare}", "unknown-credential"),
        ("{credential: k1, scopes: read}", "bad-caller"),
        ("{authenticator: login, credential: k1}", "bad-caller"),
        (
            "[{credential: k1}, {credential: k2}, {credential: k1}]",
            "no-place",
        ),
    ] {
        let text = policy(&format!(
            "- {{name: it, request: {{url: \"https://a.example/a\", as: {caller}}}, expect: {{status: 200}}}}"
        ));
        let (suite, out) = read(&text);
        assert!(suite.is_none(), "{caller}");
        assert_eq!(mistakes(&out)[0].0, code, "{caller}");
        assert!(out.iter().all(|d| d.place.is_some()), "{caller}");
    }
    let (suite, out) = read("policies: {p: {hosts: [a], routes: [{path: /}]}}");
    assert!(suite.is_none());
    assert_eq!(mistakes(&out)[0].0, "no-authentication");
}

#[test]
fn a_request_that_its_caller_could_not_sign_is_a_mistake_of_the_test() {
    let policy = |test: &str| {
        format!(
            r#"
authenticators: {{scheme: {{hmac: {{require: [x-tenant]}}}}}}
consumers: {{acme: {{credentials: {{scheme: [{{key_id: k1, secret: {{insecure_literal: 0123456789abcdef}}}}]}}}}}}
policies: {{p: {{hosts: [a.example], authenticate: scheme, routes: [{{path: /a}}]}}}}
tests: [{{name: it, request: {{{test}, as: {{credential: k1}}}}, expect: {{status: 200}}}}]
"#
        )
    };
    for (request, told) in [
        ("url: \"https://a.example/a\"", "x-tenant"),
        (
            "url: \"https://a.example/a/../b\", headers: {x-tenant: t}",
            "this request cannot be signed for `scheme`",
        ),
        (
            "url: \"https://a.example/a\", headers: {x-tenant: t, upgrade: websocket}",
            "upgrade",
        ),
    ] {
        let (suite, out) = read(&policy(request));
        assert!(suite.is_none(), "{request}");
        assert_eq!(mistakes(&out), [("cannot-sign", 5)], "{request}");
        assert!(out.render().contains(told), "{}", out.render());
    }
}

/// A test that says who calls and one that brings the real key of the same consumer stand side by side.
#[test]
fn tests_that_bring_credentials_see_the_policies_as_written() {
    let run = run(&policy(
        "
- {name: stand-in, request: {url: \"https://a.example/a\", as: {credential: k1}}, expect: {status: 200}}
- {name: real, request: {url: \"https://a.example/a\", headers: {x-api-key: real}}, expect: {status: 200}}
- {name: other, request: {url: \"https://a.example/a\", headers: {x-api-key: guessed}}, expect: {reason: key_unknown}}
- {name: forged, request: {url: \"https://a.example/a\", headers: {authorization: Bearer eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2kuZXhhbXBsZSJ9.AAAA}}, expect: {status: 401}}
",
    ));
    let told = report::text(std::slice::from_ref(&run), Wanted::default());
    assert_eq!(run.failed(), 0, "{told}");
}

#[test]
fn coverage_tells_routes_and_rules_that_no_test_saw_at_work() {
    let run = run(&policy(
        "
- {name: a, request: {url: \"https://a.example/a\", as: {credential: k1}}, expect: {status: 200}}
- {name: b, request: {url: \"https://a.example/b\", client_address: 203.0.113.1, as: {credential: k1}}, expect: {reason: address_refused}}
- {name: c, request: {url: \"https://a.example/c\"}, expect: {reason: route_unknown}}
- {name: d, request: {method: POST, url: \"https://a.example/s.S/One\"}, expect: {status: 401}}
",
    ));
    let coverage = &run.coverage;
    let chosen: Vec<(&str, usize)> = coverage
        .routes
        .iter()
        .map(|route| (route.label.as_str(), route.chosen))
        .collect();
    assert_eq!(
        chosen,
        [
            ("GET /a", 1),
            ("GET|PUT /b", 1),
            ("grpc s.S/One", 1),
            ("grpc s.S/Two", 0)
        ]
    );
    let rules: Vec<(&str, &str)> = coverage
        .rules
        .iter()
        .map(|rule| (rule.label.as_str(), rule.lacks()))
        .collect();
    // The address is judged before scopes, and who never came past authentication was judged by no rule.
    assert_eq!(
        rules,
        [
            ("`scopes` of policy `p`", "never seen to refuse"),
            ("`allow_ips` of `GET|PUT /b` of `p`", "never seen to admit"),
        ]
    );
    assert_eq!((coverage.chosen(), coverage.covered()), (3, 0));
    let wanted = Wanted {
        coverage: true,
        passed: true,
    };
    let told = report::text(std::slice::from_ref(&run), wanted);
    for line in [
        "pass: c",
        "4 passed, 0 failed; 3 of 4 routes and 0 of 2 rules covered",
        "no test comes to `grpc s.S/Two` of `p` (",
        "`scopes` of policy `p`: never seen to refuse (",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
}

#[test]
fn tests_are_chosen_by_their_names() {
    let (suite, _) = read(&policy(
        "
- {name: one thing, request: {url: \"https://a.example/a\"}, expect: {status: 401}}
- {name: another thing, request: {url: \"https://a.example/a\"}, expect: {status: 401}}
",
    ));
    let suite = suite.unwrap();
    for (filters, chosen) in [
        (vec![], 2),
        (vec!["thing"], 2),
        (vec!["another"], 1),
        (vec!["one thing", "another"], 2),
        (vec!["Another"], 0),
    ] {
        let filters: Vec<String> = filters.into_iter().map(str::to_owned).collect();
        let run = runtime().block_on(suite.run(&filters, false));
        assert_eq!(run.results.len(), chosen, "{filters:?}");
    }
}

#[test]
fn without_tls_requests_are_refused_if_that_is_asked_for() {
    let (suite, _) = read(&policy(
        "- {name: it, request: {url: \"http://a.example/a\"}, expect: {reason: tls_required}}",
    ));
    let suite = suite.unwrap();
    for (require_tls, failed) in [(true, 0), (false, 1)] {
        let run = runtime().block_on(suite.run(&[], require_tls));
        assert_eq!(run.failed(), failed);
    }
}

#[test]
fn reports_for_machines_say_what_failed_and_where() {
    let text = policy(
        "
- {name: \"<good> & \\\"quoted\\\" \\e[31m\", request: {url: \"https://a.example/a\"}, expect: {status: 401}}
- {name: bad, request: {url: \"https://a.example/a\"}, expect: {status: 200, body: \"<&>\"}}
",
    );
    let run = run(&text);
    let line = text
        .lines()
        .position(|line| line.contains("name: bad"))
        .unwrap()
        + 1;
    let runs = std::slice::from_ref(&run);
    let json = report::json(runs);
    assert_eq!((&json["tests"], &json["failed"]), (&2.into(), &1.into()));
    let bad = &json["suites"][0]["tests"][1];
    assert_eq!(
        (&bad["passed"], &bad["line"]),
        (&false.into(), &line.into())
    );
    assert_eq!(bad["mismatches"][0]["what"], "status");
    assert_eq!(bad["reason"], "credentials_missing");
    let xml = report::junit(runs);
    for part in [
        "<testsuites name=\"portcullis\" tests=\"2\" failures=\"1\" errors=\"0\">",
        "name=\"&lt;good&gt; &amp; &quot;quoted&quot; \u{fffd}[31m\"",
        "<failure message=\"not as expected: status, body\" type=\"mismatch\">",
        "expected &lt;&amp;&gt;",
    ] {
        assert!(xml.contains(part), "{part}: {xml}");
    }
    let told = report::text(runs, Wanted::default());
    assert!(told.contains("FAIL: bad\n"), "{told}");
    assert!(told.contains(&format!("policy.yaml:{line}:")), "{told}");
    assert!(
        told.contains("judged: 401 credentials_missing at p /a: "),
        "{told}"
    );
}

/// The form that the policy language promises.
#[test]
fn the_tests_of_the_whole_example_run() {
    let run = run(r#"
version: portcullis/v1
authenticators:
  partner-key: {api_key: {from: [{header: x-api-key}, {header: authorization, scheme: ApiKey}]}}
  company-login: {jwt: {issuer: "https://login.example.com", audiences: [orders-api]}}
roles: {clerk: {scopes: ["orders:*"]}}
consumers:
  acme-billing:
    environment: live
    scopes: [invoices:read]
    roles: [clerk]
    expires: 2027-06-30
    credentials:
      partner-key:
        - {id: k7Yt2Q, hash: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", expires: 2027-01-31, scopes: [orders:read]}
      company-login:
        - {claim: azp, value: acme-app}
defaults: {inject: {x-auth-consumer: consumer.name}}
policies:
  orders:
    hosts: [api.example.com, "*.api.example.com"]
    authenticate: [company-login, partner-key]
    routes:
      - {path: /orders, methods: [GET], scopes: [orders:read]}
tests:
  - name: a partner reads its order
    now: 2026-12-01T12:00:00Z
    request: {method: GET, url: "https://api.example.com/orders", as: {consumer: acme-billing, credential: k7Yt2Q}}
    expect: {status: 200, upstream_headers: {x-auth-consumer: acme-billing}}
  - name: nobody reads without a credential
    request: {method: GET, url: "https://api.example.com/orders"}
    expect: {status: 401, reason: credentials_missing}
"#);
    let told = report::text(std::slice::from_ref(&run), Wanted::default());
    assert_eq!((run.results.len(), run.failed()), (2, 0), "{told}");
}

/// What a test reads as metadata is what Envoy is told, member by member.
#[test]
fn metadata_has_the_members_that_envoy_is_told() {
    let (suite, _) = read(&policy(
        "- {name: it, request: {url: \"https://a.example/a\", headers: {x-api-key: real}}, expect: {status: 200}}",
    ));
    let suite = suite.unwrap();
    let run = runtime().block_on(suite.run(&[], false));
    let wire = runtime().block_on(async {
        let heard: std::sync::Arc<dyn crate::audit::Recorder> =
            std::sync::Arc::new(super::Heard::default());
        let ready = &suite.ready[0];
        let clock = std::sync::Arc::new(crate::clock::ManualClock::at(ready.case.now));
        let snapshot = std::sync::Arc::clone(&suite.written);
        let pipeline = crate::pipeline::Pipeline::new(snapshot, clock, heard, false);
        let verdict = pipeline.check(ready.check.clone(), super::BUDGET, None);
        crate::envoy::encode::response(&verdict.await)
    });
    let metadata = &run.results[0].answer.metadata;
    assert_eq!(metadata.len(), 10);
    for name in metadata.keys() {
        let found = wire.windows(name.len()).any(|part| part == name.as_bytes());
        assert!(found, "{name}");
    }
}
