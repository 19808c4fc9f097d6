use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};

use super::Denial;
use crate::audit::{Recorder, Trail};
use crate::clock::Clock;
use crate::test_support::{Records, World, clock, key_entry, raw};
use crate::verdict::{PublicClass, Reason, Refusal, Verdict};

const POLICY: &str = "
authenticators:
  login: {jwt: {issuer: 'https://login.example.com', any_audience: true}}
  key: {api_key: {}}
policies:
  api:
    hosts: ['*']
    authenticate: [login, key]
    routes:
      - {path: /a, methods: [GET, PUT]}
      - {path: /public, public: true}
";

/// What is told of a refusal to a caller with these headers, on a route if `routed`.
fn denied(refusal: &Refusal, lines: &[(&str, &str)], routed: bool) -> Denial {
    let clock: Arc<dyn Clock> = clock();
    let recorder: Arc<dyn Recorder> = Arc::new(Records::default());
    let check = raw("POST", "/a", lines);
    let mut trail = Trail::begin(&check, None, &clock, &recorder);
    if routed {
        let table = crate::test_support::table(POLICY);
        let request = crate::test_support::get("/a", lines);
        trail.route = Some(Arc::clone(table.routes.choose(&request).unwrap()));
    }
    Denial::new(refusal, &trail)
}

fn refusal(reason: Reason) -> Refusal {
    Refusal::new(reason, "what only the operator reads: orders:write, k7Yt2Q")
}

fn all<'a>(denial: &'a Denial, name: &str) -> Vec<&'a str> {
    let headers = denial.headers().iter().filter(|(n, _)| *n == name);
    headers.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn each_class_has_its_problem_document() {
    let title = |status| match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        405 => "Method Not Allowed",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    let mut classes = BTreeMap::new();
    for &reason in Reason::ALL
        .iter()
        .filter(|reason| reason.class().status() >= 400)
    {
        let denial = denied(&refusal(reason), &[], true);
        let body: Value = serde_json::from_str(denial.body()).unwrap();
        let (class, status) = (reason.class().as_str(), denial.status());
        let mut expected = json!({
            "type": format!("urn:portcullis:error:{class}"), "title": title(status),
            "status": status, "message": reason.message(),
            "decision_id": denial.facts().id.to_string(),
        });
        if let Some(error) = reason.class().oauth_error() {
            expected["error"] = json!(error);
        }
        assert_eq!(body, expected);
        assert_eq!(all(&denial, "content-type"), ["application/problem+json"]);
        assert_eq!(all(&denial, "cache-control"), ["no-store"]);
        classes.insert(class, (status, body.get("error").cloned()));
    }
    let error = |word: &str| Some(json!(word));
    assert_eq!(
        classes,
        BTreeMap::from([
            ("request_malformed", (400, error("invalid_request"))),
            ("credentials_missing", (401, None)),
            ("credentials_invalid", (401, error("invalid_token"))),
            ("credentials_expired", (401, error("invalid_token"))),
            ("forbidden", (403, None)),
            ("insufficient_scope", (403, error("insufficient_scope"))),
            ("method_not_allowed", (405, None)),
            ("unavailable", (503, None)),
            ("internal", (500, None)),
        ])
    );
}

#[test]
fn the_caller_never_reads_the_reason_or_the_operators_text() {
    for &reason in Reason::ALL {
        for lines in [
            &[][..],
            &[("authorization", "Bearer x")],
            &[("content-type", "application/grpc")],
            &[("content-type", "application/grpc-web")],
            &[("content-type", "application/proto")],
        ] {
            let denial = denied(&refusal(reason), lines, true);
            let mut told = denial.body().to_owned();
            for (_, value) in denial.headers() {
                told.push_str(value);
            }
            for secret in ["orders:write", "k7Yt2Q", "what only"] {
                assert!(!told.contains(secret), "{told}");
            }
            // Where the class has another name than the reason, the reason is not told. Some reasons
            // are words that a message may use.
            if reason.as_str() != reason.class().as_str() && reason.as_str().contains('_') {
                assert!(!told.contains(reason.as_str()), "{told}");
            }
        }
    }
}

#[test]
fn a_refusal_is_never_a_success() {
    for status in [0, 100, 200, 204, 302, 399] {
        let mut refusal = refusal(Reason::RouteUnknown);
        refusal.status = Some(status);
        assert_eq!(denied(&refusal, &[], false).status(), 403, "{status}");
    }
    for reason in [Reason::Allowed, Reason::Preflight] {
        assert_eq!(denied(&refusal(reason), &[], false).status(), 500);
    }
    let mut not_found = refusal(Reason::RouteUnknown);
    not_found.status = Some(404);
    let denial = denied(&not_found, &[], false);
    assert_eq!(denial.status(), 404);
    assert!(denial.body().contains("\"status\":404"));
}

#[test]
fn a_401_asks_for_what_the_route_takes() {
    let bearer = "Bearer realm=\"portcullis\"";
    let key = "ApiKey realm=\"portcullis\", in=\"header\", name=\"x-api-key\"";
    for (reason, lines, challenge) in [
        (Reason::CredentialsMissing, &[][..], bearer.to_owned()),
        // RFC 6750 section 3.1: no error without a bearer token.
        (Reason::KeyUnknown, &[("x-api-key", "x")], bearer.to_owned()),
        (
            Reason::CredentialsUnrecognised,
            &[("authorization", "Basic x")],
            bearer.to_owned(),
        ),
        (
            Reason::TokenExpired,
            &[("authorization", "Bearer x")],
            format!(
                "{bearer}, error=\"invalid_token\", error_description=\"{}\"",
                Reason::TokenExpired.message()
            ),
        ),
        (
            Reason::TokenSignatureInvalid,
            &[("authorization", "bearer x")],
            format!(
                "{bearer}, error=\"invalid_token\", error_description=\"{}\"",
                Reason::TokenSignatureInvalid.message()
            ),
        ),
    ] {
        let denial = denied(&refusal(reason), lines, true);
        assert_eq!(all(&denial, "www-authenticate"), [challenge.as_str(), key]);
    }
}

#[test]
fn challenges_go_with_401_and_with_a_bearers_want_of_scope_only() {
    let scope = "Bearer realm=\"portcullis\", error=\"insufficient_scope\"";
    let bearer = [("authorization", "Bearer x")];
    let denial = denied(&refusal(Reason::ScopeInsufficient), &bearer, true);
    assert_eq!(all(&denial, "www-authenticate"), [scope]);
    for &reason in Reason::ALL
        .iter()
        .filter(|reason| reason.class().status() != 401)
    {
        let denial = denied(&refusal(reason), &[("x-api-key", "x")], true);
        assert!(
            all(&denial, "www-authenticate").is_empty(),
            "{}",
            reason.as_str()
        );
    }
    // No route, no challenge.
    let denial = denied(&refusal(Reason::CredentialsMissing), &[], false);
    assert!(all(&denial, "www-authenticate").is_empty());
}

#[test]
fn says_when_to_retry_and_what_is_allowed() {
    for &reason in Reason::ALL {
        let unavailable = reason.class() == PublicClass::Unavailable;
        let expected: &[&str] = if unavailable { &["1"] } else { &[] };
        let denial = denied(&refusal(reason), &[], true);
        assert_eq!(all(&denial, "retry-after"), expected, "{}", reason.as_str());
        assert!(all(&denial, "allow").is_empty());
    }
    let world = World::new(POLICY);
    let Verdict::Deny(denial) = world.judge(raw("DELETE", "/a", &[])) else {
        panic!("allowed");
    };
    assert_eq!(denial.status(), 405);
    assert_eq!(all(&denial, "allow"), ["GET, HEAD, PUT"]);
}

#[test]
fn a_grpc_caller_reads_a_message() {
    let lines = [("content-type", "application/grpc+proto")];
    let denial = denied(&refusal(Reason::TokenExpired), &lines, true);
    assert_eq!(denial.body(), Reason::TokenExpired.message());
    assert_eq!(denial.status(), 401);
    assert!(all(&denial, "content-type").is_empty(), "it is not JSON");
    assert_eq!(all(&denial, "grpc-status"), ["16"]);
}

#[test]
fn o7_a_grpc_web_caller_reads_headers() {
    for content_type in ["application/grpc-web", "application/grpc-web-text+proto"] {
        let lines = [("content-type", content_type)];
        let denial = denied(&refusal(Reason::RoleMissing), &lines, true);
        assert_eq!((denial.status(), denial.body()), (403, ""));
        for (name, value) in [
            ("content-type", content_type),
            ("grpc-status", "7"),
            ("grpc-message", Reason::RoleMissing.message()),
        ] {
            assert_eq!(all(&denial, name), [value], "{name}");
        }
    }
}

#[test]
fn o7_a_connect_caller_reads_a_connect_error() {
    let json = ("content-type", "application/json");
    let lines = [json, ("connect-protocol-version", "1")];
    for (reason, status, code) in [
        (Reason::RequestMalformed, 400, "invalid_argument"),
        (Reason::CredentialsMissing, 401, "unauthenticated"),
        (Reason::RoleMissing, 403, "permission_denied"),
        (Reason::MethodNotAllowed, 405, "unimplemented"),
        (Reason::Overloaded, 503, "unavailable"),
        (Reason::InternalFault, 500, "internal"),
    ] {
        let denial = denied(&refusal(reason), &lines, true);
        assert_eq!(denial.status(), status);
        assert_eq!(all(&denial, "content-type"), ["application/json"]);
        let error: Value = serde_json::from_str(denial.body()).unwrap();
        let id = denial.facts().id.to_string();
        let detail = STANDARD_NO_PAD.decode(error["details"][0]["value"].as_str().unwrap());
        let detail = detail.unwrap();
        assert_eq!(detail, [b"\x0a\x1a", id.as_bytes()].concat());
        assert_eq!(
            error,
            json!({
                "code": code, "message": reason.message(),
                "details": [{
                    "type": "google.rpc.RequestInfo",
                    "value": STANDARD_NO_PAD.encode(&detail),
                    "debug": {"requestId": id},
                }],
            })
        );
    }
    // A stream's client reads the status; JSON alone is no sign of Connect.
    for content_type in ["application/connect+json", "application/json"] {
        let denial = denied(
            &refusal(Reason::RoleMissing),
            &[("content-type", content_type)],
            true,
        );
        assert_eq!(all(&denial, "content-type"), ["application/problem+json"]);
        assert!(all(&denial, "grpc-status").is_empty());
    }
}

#[test]
fn p_denials_of_unreadable_requests_have_their_reason() {
    let world = World::new(POLICY);
    for (target, reason) in [
        ("/a/../public", Reason::PathAmbiguous),
        ("//a", Reason::PathAmbiguous),
        ("", Reason::RequestMalformed),
        ("/a", Reason::CredentialsMissing),
        ("/public", Reason::Allowed),
    ] {
        assert_eq!(
            world.get(target, &[("x-auth-user", "mallory")]),
            reason,
            "{target}"
        );
    }
}

#[test]
fn h6_a_connection_header_that_names_a_managed_header_is_refused() {
    let world = World::new(POLICY);
    for (value, reason) in [
        ("keep-alive", Reason::Allowed),
        ("x-auth-user", Reason::RequestMalformed),
        ("close, X_Auth_User", Reason::RequestMalformed),
    ] {
        assert_eq!(
            world.get("/public", &[("connection", value)]),
            reason,
            "{value}"
        );
    }
}

#[test]
fn h9_a_value_with_control_characters_is_never_sent() {
    let key = key_entry("k1", "secret");
    let policy = |tenant: &str| {
        format!(
            "
authenticators: {{key: {{api_key: {{}}}}}}
consumers: {{acme: {{metadata: {{tenant: {tenant}}}, credentials: {{key: [{key}]}}}}}}
policies:
  api:
    hosts: ['*']
    authenticate: key
    inject: {{x-tenant: consumer.metadata.tenant, x-must: {{value: consumer.metadata.tenant, required: true}}}}
    routes: [{{path: /**}}]
"
        )
    };
    for (tenant, reason) in [
        ("acme", Reason::Allowed),
        ("'a b'", Reason::Allowed),
        (r#""a\nb""#, Reason::InjectRefused),
        (r#""a\rx-auth-admin: 1""#, Reason::InjectRefused),
        (r#""a\u0000""#, Reason::InjectRefused),
        (r#""a\tb""#, Reason::InjectRefused),
        (r#""\u007f""#, Reason::InjectRefused),
        (r#""\u2028""#, Reason::Allowed),
        ("''", Reason::InjectRefused),
        ("{a: b}", Reason::InjectRefused),
    ] {
        let world = World::new(&policy(tenant));
        assert_eq!(
            world.get("/", &[("x-api-key", "secret")]),
            reason,
            "{tenant}"
        );
    }
}

#[test]
fn callers_learn_which_scopes_they_lack_only_where_that_is_disclosed() {
    let policy = |defaults: &str| {
        format!(
            "authenticators:
  key: {{api_key: {{from: {{header: authorization, scheme: Bearer}}}}}}
consumers: {{acme: {{credentials: {{key: [{}]}}}}}}
defaults: {{{defaults}}}
policies:
  p:
    hosts: [api.example.com]
    authenticate: key
    scopes: [b, a]
    routes: [{{path: /, scopes: {{any: [c, a]}}}}]",
            key_entry("k", "pk_x")
        )
    };
    for (defaults, scopes) in [
        ("", None),
        ("errors: {disclose: []}", None),
        ("errors: {disclose: [scopes]}", Some("a b c")),
    ] {
        let world = World::new(&policy(defaults));
        let check = raw("GET", "/", &[("authorization", "Bearer pk_x")]);
        let Verdict::Deny(denial) = world.judge(check) else {
            panic!("allowed");
        };
        let body: Value = serde_json::from_str(denial.body()).unwrap();
        assert_eq!(body["error"], "insufficient_scope");
        assert_eq!(body.get("scope").and_then(Value::as_str), scopes);
        let challenge = all(&denial, "www-authenticate").concat();
        let told = scopes.map_or(String::new(), |scopes| format!(", scope=\"{scopes}\""));
        let expected = format!("Bearer realm=\"portcullis\", error=\"insufficient_scope\"{told}");
        assert_eq!(challenge, expected);
    }
}

#[test]
fn expressions_tell_the_upstream_of_every_member() {
    let (first, second) = (key_entry("k1", "one"), key_entry("k2", "two"));
    let world = World::new(&format!(
        "
authenticators:
  app: {{api_key: {{from: [{{header: x-app}}]}}}}
  desk: {{api_key: {{from: [{{header: x-desk}}]}}}}
consumers:
  shop: {{credentials: {{app: [{first}]}}}}
  till: {{credentials: {{desk: [{second}]}}}}
policies:
  api:
    hosts: ['*']
    authenticate: {{all: [app, desk]}}
    inject:
      x-pair: 'principal.subject + \"/\" + auth[\"desk\"].subject'
      x-none: '\"mesh\" in auth ? \"yes\" : \"no\"'
      x-way: request.headers[\"x-way\"] + route.path
    routes: [{{path: /**}}]
"
    ));
    let keys = [("x-app", "one"), ("x-desk", "two"), ("x-way", "in:")];
    let Verdict::Allow(allow) = world.judge(raw("GET", "/a", &keys)) else {
        panic!("{:?}", world.records.last());
    };
    let set: BTreeMap<&str, &str> = allow
        .set()
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_str()))
        .collect();
    let expected = [
        ("x-none", "no"),
        ("x-pair", "shop/till"),
        ("x-way", "in:/**"),
    ];
    assert_eq!(set, BTreeMap::from(expected));
    // What can't be computed is not left out.
    assert_eq!(world.get("/a", &keys[..2]), Reason::InjectRefused);
    let line = world.records.last().line;
    assert!(line.contains("is absent"), "{line}");
}
