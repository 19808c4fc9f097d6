//! Every mistake in a test has its word and its line.

use crate::clock::Timestamp;
use crate::diagnostic::Diagnostics;
use crate::policy::case::{Case, DEFAULT_CLIENT_ADDRESS, DEFAULT_NOW, ExpectedBody};
use crate::test_support::{mistakes, read};
use crate::verdict::Reason;

fn cases(text: &str) -> (Vec<Case>, Diagnostics) {
    let mut out = Diagnostics::default();
    let set = read(&[("policy.yaml", text)], &mut out);
    (set.tests, out)
}

fn codes(text: &str) -> Vec<&'static str> {
    let (_, out) = cases(text);
    mistakes(&out).into_iter().map(|(code, _)| code).collect()
}

#[test]
fn what_is_not_said_has_a_usual_value() {
    let (cases, out) = cases(
        "tests: [{name: it, request: {url: \"http://a.example:80\"}, expect: {status: 200}}]",
    );
    assert!(out.is_empty(), "{}", out.render());
    let [case] = cases.as_slice() else { panic!() };
    let request = &case.request;
    assert_eq!(case.now, DEFAULT_NOW);
    assert_eq!(DEFAULT_NOW.to_rfc3339(), "2026-01-01T00:00:00.000Z");
    assert_eq!(request.method, "GET");
    assert_eq!(request.scheme, "http");
    assert_eq!(request.host, "a.example:80");
    assert_eq!(request.target, "/");
    assert_eq!(request.protocol, "HTTP/2");
    assert_eq!(request.client_address, DEFAULT_CLIENT_ADDRESS);
    assert!(request.headers.is_empty() && request.callers.is_empty());
    assert!(case.expect.reason.is_none() && case.expect.body.is_none());
}

#[test]
fn everything_that_is_said_is_read() {
    let (cases, out) = cases(
        r#"
tests:
  - name: all of it
    now: 2026-12-01T12:00:00Z
    request:
      method: PUT
      url: "https://u@a.example/x/../y?q=1#f"
      headers: [{X-One: a}, {x-two: [b, c]}, {x-one: d}]
      client_address: 203.0.113.9
      protocol: HTTP/1.1
      body: "text"
      context: {policy: p}
      as:
        - {consumer: acme, credential: k1}
        - {authenticator: login, subject: alice, scopes: [a, b], expires: 2026-12-01, claims: {n: 1}}
    expect:
      status: 403
      reason: role_missing
      policy: p
      route: "/{id}"
      upstream_headers: {X-A: a, x-b: null, x-c: [one, two]}
      upstream_path: /x
      removed_headers: X-Gone
      response_headers: {allow: GET}
      body: {error: invalid_token, scope: null}
      metadata: {scopes: [a], consumer: null}
"#,
    );
    assert!(out.is_empty(), "{}", out.render());
    let [case] = cases.as_slice() else { panic!() };
    assert_eq!(case.now, Timestamp::from_seconds(1_796_126_400));
    let request = &case.request;
    assert_eq!(request.host, "u@a.example");
    assert_eq!(request.target, "/x/../y?q=1#f");
    let lines: Vec<(&str, &str)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            ("x-one", "a"),
            ("x-two", "b"),
            ("x-two", "c"),
            ("x-one", "d")
        ]
    );
    assert_eq!(request.context, [("policy".to_owned(), "p".to_owned())]);
    let [key, token] = request.callers.as_slice() else {
        panic!()
    };
    assert!(key.value.token.is_none() && key.value.claims.is_empty());
    assert!(token.value.token.is_some());
    assert_eq!(
        serde_json::to_string(&token.value.claims).unwrap(),
        r#"{"exp":1796083200,"n":1,"scope":"a b","sub":"alice"}"#
    );
    let expect = &case.expect;
    assert_eq!(expect.status.as_ref().unwrap().value, 403);
    assert_eq!(expect.reason.as_ref().unwrap().value, Reason::RoleMissing);
    assert_eq!(expect.removed_headers[0].value, "x-gone");
    let values: Vec<usize> = expect
        .upstream_headers
        .iter()
        .map(|header| header.values.len())
        .collect();
    assert_eq!(values, [1, 0, 2]);
    let body = expect.body.as_ref().unwrap();
    assert!(matches!(&body.value, ExpectedBody::Members(members) if members.len() == 2));
    assert_eq!(expect.metadata.len(), 2);
}

#[test]
fn each_mistake_has_its_word() {
    let request = "request: {url: \"https://a.example/\"}";
    for (rest, code) in [
        (
            format!("{request}, expect: {{status: 200}}, when: x"),
            "unknown-key",
        ),
        (format!("{request}, expect: {{}}"), "empty-value"),
        (request.to_owned(), "missing-key"),
        ("expect: {status: 200}".to_owned(), "missing-key"),
        (
            "request: {method: GET}, expect: {status: 200}".to_owned(),
            "missing-key",
        ),
        (
            format!("now: noon, {request}, expect: {{status: 200}}"),
            "bad-time",
        ),
        (
            format!("{request}, expect: {{status: \"200\"}}"),
            "wrong-type",
        ),
        (
            format!("{request}, expect: {{status: 600}}"),
            "out-of-range",
        ),
        (
            format!("{request}, expect: {{reason: role_mising}}"),
            "unknown-reason",
        ),
        (format!("{request}, expect: {{reasons: x}}"), "unknown-key"),
        (
            format!("{request}, expect: {{upstream_headers: [a]}}"),
            "wrong-type",
        ),
        (
            format!("{request}, expect: {{upstream_headers: {{\"a b\": x}}}}"),
            "bad-header",
        ),
        (
            format!("{request}, expect: {{upstream_headers: {{a: 1}}}}"),
            "quote-it",
        ),
        (
            format!("{request}, expect: {{metadata: {{consummer: a}}}}"),
            "unknown-key",
        ),
        (format!("{request}, expect: {{body: [a]}}"), "wrong-type"),
        (
            "request: {url: /orders}, expect: {status: 200}".to_owned(),
            "bad-url",
        ),
        (
            "request: {url: \"ftp://a/\"}, expect: {status: 200}".to_owned(),
            "bad-url",
        ),
        (
            "request: {url: \"https://\"}, expect: {status: 200}".to_owned(),
            "bad-url",
        ),
        (
            "request: {url: \"https://a?b\"}, expect: {status: 200}".to_owned(),
            "bad-url",
        ),
    ] {
        let text = format!("tests: [{{name: it, {rest}}}]");
        assert_eq!(codes(&text), [code], "{text}");
    }
    for (caller, code) in [
        ("{}", "bad-caller"),
        ("{subject: alice}", "bad-caller"),
        ("acme", "wrong-type"),
        ("[]", "empty-list"),
        ("{consumer: a, key: b}", "unknown-key"),
        ("{authenticator: a, claims: x}", "wrong-type"),
        ("{authenticator: a, expires: soon}", "bad-time"),
        (
            "{authenticator: a, subject: b, claims: {sub: c}}",
            "contradiction",
        ),
    ] {
        let text = format!(
            "tests: [{{name: it, request: {{url: \"https://a/\", as: {caller}}}, expect: {{status: 200}}}}]"
        );
        assert_eq!(codes(&text), [code], "{text}");
    }
    for (text, code) in [
        ("tests: {}", "wrong-type"),
        ("tests: [x]", "wrong-type"),
        (
            "tests: [{name: \" \", request: {url: \"https://a/\"}, expect: {status: 1}}]",
            "empty-value",
        ),
    ] {
        assert_eq!(codes(text)[0], code, "{text}");
    }
}

#[test]
fn two_tests_have_two_names() {
    let one = "{name: same, request: {url: \"https://a/\"}, expect: {status: 200}}";
    assert_eq!(
        codes(&format!("tests:\n- {one}\n- {one}")),
        ["duplicate-name"]
    );
}
