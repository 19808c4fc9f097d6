//! What a preflight is told, and what replies say.

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::How;
use super::origin::{OriginPattern, Origins};
use crate::request::raw::RawCheck;
use crate::test_support::{World, key_entry, raw, raw_bytes};
use crate::verdict::{Reason, Verdict};

const APP: &str = "https://app.example.com";

fn origins(written: &[&str]) -> Origins {
    Origins::new(
        written
            .iter()
            .map(|text| OriginPattern::parse(text).unwrap()),
    )
}

fn policy(cors: &str) -> String {
    format!(
        "
authenticators: {{key: {{api_key: {{}}}}}}
consumers: {{acme: {{credentials: {{key: [{}]}}}}}}
policies:
  api:
    hosts: [api.example.com]
    authenticate: key
    cors: {cors}
    routes:
      - {{path: /orders, methods: [GET, POST]}}
      - {{path: /orders, methods: [DELETE], cors: {{origins: ['https://admin.example.com']}}}}
      - {{path: /orders, methods: [PATCH]}}
      - {{path: /status, methods: [GET], public: true}}
      - {{path: /any/**}}
  plain:
    hosts: [plain.example.com]
    routes:
      - {{path: /open, public: true}}
      - {{path: /get, methods: [GET], public: true}}
      - {{path: /options, methods: [GET], authenticate: key}}
      - {{path: /options, methods: [OPTIONS], public: true, cors: {{origins: ['{APP}']}}}}
",
        key_entry("k1", "secret")
    )
}

const CORS: &str = "{origins: ['https://app.example.com', 'https://*.shop.example'], headers: [authorization, X-Api-Key], expose: [X-Total], credentials: true, max_age: 10m}";

fn options(target: &str, lines: &[(&str, &str)]) -> RawCheck {
    raw("OPTIONS", target, lines)
}

fn preflight(target: &str, origin: &str, method: &str, headers: &str) -> RawCheck {
    let mut lines = vec![
        ("origin", origin),
        ("access-control-request-method", method),
    ];
    if !headers.is_empty() {
        lines.push(("access-control-request-headers", headers));
    }
    options(target, &lines)
}

fn on_plain_host(mut check: RawCheck) -> RawCheck {
    check.host = bytes::Bytes::from_static(b"plain.example.com");
    check
}

fn replied(verdict: &Verdict) -> Vec<(&str, &str)> {
    match verdict {
        Verdict::Reply(reply) => {
            assert_eq!((reply.status(), reply.reason()), (204, Reason::Preflight));
            let headers = reply.headers().iter();
            headers
                .map(|(name, value)| (*name, value.as_str()))
                .collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn o5_a_preflight_that_is_admitted_is_answered() {
    let world = World::new(&policy(CORS));
    let asked = preflight("/orders", APP, "POST", "authorization,  X-API-Key ,");
    let verdict = world.judge(asked);
    let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    assert_eq!(
        replied(&verdict),
        [
            ("access-control-allow-origin", APP),
            ("access-control-allow-methods", "GET, HEAD, PATCH, POST"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-headers", "authorization, x-api-key"),
            ("access-control-max-age", "600"),
            ("vary", vary),
        ]
    );
    let record = world.records.last();
    assert_eq!((record.reason, record.status), (Reason::Preflight, 204));
    for part in [
        r#""decision":"reply""#,
        r#""policy":"api""#,
        r#""route":"/orders""#,
    ] {
        assert!(record.line.contains(part), "{}", record.line);
    }
    // The least that can be said, on a public route, for a method that only `usual` ones know.
    let world = World::new(&policy("{origins: ['*']}"));
    for (target, method, methods) in [
        ("/status", "GET", "GET, HEAD"),
        ("/status", "HEAD", "GET, HEAD"),
        (
            "/any/x",
            "PROPFIND",
            "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, PROPFIND",
        ),
    ] {
        let verdict = world.judge(preflight(target, "null", method, ""));
        assert_eq!(
            replied(&verdict),
            [
                ("access-control-allow-origin", "*"),
                ("access-control-allow-methods", methods),
                ("vary", vary),
            ],
            "{target}"
        );
    }
}

#[test]
fn o5_a_preflight_that_is_not_admitted_is_refused_without_a_word() {
    let world = World::new(&policy(CORS));
    for (target, origin, method, headers) in [
        ("/orders", "https://evil.example", "GET", ""),
        ("/orders", "null", "GET", ""),
        ("/orders", "", "GET", ""),
        (
            "/orders",
            "https://app.example.com,https://app.example.com",
            "GET",
            "",
        ),
        ("/orders", APP, "GET", "x-other"),
        ("/orders", APP, "GET", "authorization, content-type"),
        ("/orders", APP, "GET", "a b"),
        ("/orders", APP, "GET", "\u{e9}"),
        // Another route of the same path, with another list.
        ("/orders", APP, "DELETE", ""),
        ("/status", "https://evil.example", "GET", ""),
    ] {
        let verdict = world.judge(preflight(target, origin, method, headers));
        assert_eq!(
            verdict.reason(),
            Reason::CorsRefused,
            "{origin} {method} {headers}"
        );
        let Verdict::Deny(denial) = &verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(denial.status(), 403);
        for (name, _) in denial.headers() {
            assert!(
                !name.starts_with("access-control") && *name != "vary",
                "{name}"
            );
        }
        assert_eq!(world.records.last().reason, Reason::CorsRefused);
    }
    let many = vec!["x-api-key"; 129].join(",");
    let verdict = world.judge(preflight("/orders", APP, "GET", &many));
    assert_eq!(verdict.reason(), Reason::CorsRefused);
}

#[test]
fn o5_authorization_must_be_named() {
    for (headers, asked, reason) in [
        ("'*'", "x-anything, content-type", Reason::Preflight),
        ("'*'", "authorization", Reason::CorsRefused),
        ("'*'", "x-a, Authorization", Reason::CorsRefused),
        (
            "['*', Authorization]",
            "x-a, authorization",
            Reason::Preflight,
        ),
        ("authorization", "x-a", Reason::CorsRefused),
    ] {
        let world = World::new(&policy(&format!(
            "{{origins: ['{APP}'], headers: {headers}}}"
        )));
        let verdict = world.judge(preflight("/orders", APP, "GET", asked));
        assert_eq!(verdict.reason(), reason, "{headers} {asked}");
    }
}

#[test]
fn o5_nothing_less_than_a_preflight_is_answered_as_one() {
    let world = World::new(&policy(CORS));
    let method = ("access-control-request-method", "GET");
    for (lines, reason) in [
        (&[][..], Reason::MethodNotAllowed),
        (&[("origin", APP)], Reason::MethodNotAllowed),
        (&[method], Reason::MethodNotAllowed),
        (
            &[("origin", APP), ("origin", APP), method],
            Reason::RequestMalformed,
        ),
        (&[("origin", APP), method, method], Reason::RequestMalformed),
        (
            &[
                ("origin", APP),
                ("access-control-request-method", "GET, POST"),
            ],
            Reason::RequestMalformed,
        ),
        (
            &[("origin", APP), ("access-control-request-method", "")],
            Reason::RequestMalformed,
        ),
    ] {
        assert_eq!(
            world.judge(options("/orders", lines)).reason(),
            reason,
            "{lines:?}"
        );
    }
    // The route takes OPTIONS like any other method, and asks for a credential like for any other.
    let verdict = world.judge(options("/any/x", &[("origin", APP)]));
    assert_eq!(verdict.reason(), Reason::CredentialsMissing);
    // Other methods with a preflight's headers are what they are.
    let check = raw("POST", "/orders", &[("origin", APP), method]);
    assert_eq!(world.judge(check).reason(), Reason::CredentialsMissing);
}

#[test]
fn o5_without_cors_a_preflight_is_a_request_like_any_other() {
    let world = World::new(&policy(CORS));
    for (target, method, reason) in [
        // No route for the method, or none at all.
        ("/orders", "PUT", Reason::MethodNotAllowed),
        ("/orders", "get", Reason::MethodNotAllowed),
        ("/nowhere", "GET", Reason::RouteUnknown),
        ("/a/../b", "GET", Reason::PathAmbiguous),
    ] {
        let verdict = world.judge(preflight(target, APP, method, ""));
        assert_eq!(verdict.reason(), reason, "{target} {method}");
    }
    for (target, reason) in [
        ("/open", Reason::Allowed),
        ("/get", Reason::MethodNotAllowed),
        ("/options", Reason::Allowed),
    ] {
        let verdict = world.judge(on_plain_host(preflight(target, APP, "GET", "")));
        assert_eq!(verdict.reason(), reason, "{target}");
    }
}

/// What the reply to a request with these headers says, its verdict's status first.
fn said(world: &World, target: &str, lines: &[(&str, &str)]) -> (u16, Vec<String>) {
    let verdict = world.judge(raw("POST", target, lines));
    let said = match &verdict {
        Verdict::Allow(allow) => {
            let headers = allow.reply_headers().iter();
            let said = headers.map(|header| {
                let how = match header.how {
                    How::Overwrite => "=",
                    How::OverwriteIfExists => "?=",
                    How::Append => "+=",
                };
                let value = String::from_utf8(header.value.to_vec()).unwrap();
                format!("{} {how} {value}", header.name)
            });
            said.collect()
        }
        Verdict::Deny(denial) => {
            let headers = denial.headers().iter();
            let ours = headers.filter(|(name, _)| name.starts_with("access-") || *name == "vary");
            ours.map(|(name, value)| format!("{name}: {value}"))
                .collect()
        }
        Verdict::Reply(reply) => panic!("{reply:?}"),
    };
    (verdict.status(), said)
}

#[test]
fn o5_replies_and_denials_say_who_may_read_them() {
    let world = World::new(&policy(CORS));
    let key = ("x-api-key", "secret");
    assert_eq!(
        said(&world, "/orders", &[key, ("origin", APP)]),
        (
            200,
            vec![
                format!("access-control-allow-origin = {APP}"),
                "access-control-allow-credentials = true".to_owned(),
                "access-control-expose-headers = x-total".to_owned(),
                "vary += Origin".to_owned(),
            ]
        )
    );
    let denied = said(&world, "/orders", &[("origin", "https://a.shop.example")]);
    assert_eq!(
        denied,
        (
            401,
            vec![
                "access-control-allow-origin: https://a.shop.example".to_owned(),
                "access-control-allow-credentials: true".to_owned(),
                "access-control-expose-headers: x-total".to_owned(),
                "vary: Origin".to_owned(),
            ]
        )
    );
    // Pages that are not admitted: judged as usual, and what the upstream says of them is taken back.
    for lines in [
        &[key][..],
        &[key, ("origin", "https://evil.example")],
        &[key, ("origin", "null")],
        &[key, ("origin", APP), ("origin", APP)],
    ] {
        assert_eq!(
            said(&world, "/orders", lines),
            (
                200,
                vec![
                    "access-control-allow-origin ?= none".to_owned(),
                    "access-control-allow-credentials ?= false".to_owned(),
                    "access-control-expose-headers ?= content-type".to_owned(),
                    "vary += Origin".to_owned(),
                ]
            ),
            "{lines:?}"
        );
    }
    let vary = vec!["vary: Origin".to_owned()];
    assert_eq!(said(&world, "/orders", &[]), (401, vary.clone()));
    let evil = [("origin", "https://evil.example")];
    assert_eq!(said(&world, "/orders", &evil), (401, vary));
    // No route, no word.
    assert_eq!(said(&world, "/nowhere", &[("origin", APP)]), (403, vec![]));
    assert_eq!(said(&world, "/a//b", &[("origin", APP)]), (400, vec![]));
    assert_eq!(said(&world, "/status", &[("origin", APP)]), (405, vec![]));
}

#[test]
fn o5_a_star_is_said_to_everyone_alike() {
    let world = World::new(&policy("{origins: ['*'], expose: ['*']}"));
    let key = ("x-api-key", "secret");
    for lines in [
        &[key][..],
        &[key, ("origin", APP)],
        &[key, ("origin", "null")],
    ] {
        assert_eq!(
            said(&world, "/orders", lines),
            (
                200,
                vec![
                    "access-control-allow-origin = *".to_owned(),
                    "access-control-allow-credentials ?= false".to_owned(),
                    "access-control-expose-headers = *".to_owned(),
                ]
            )
        );
    }
}

#[test]
fn o7_pages_read_the_status_of_a_grpc_web_call() {
    let world = World::new(&policy(&format!("{{origins: ['{APP}'], expose: x-total}}")));
    let web = ("content-type", "application/grpc-web+proto");
    for lines in [
        &[("origin", APP), web][..],
        &[("origin", APP), web, ("x-api-key", "secret")],
    ] {
        let (_, said) = said(&world, "/orders", lines);
        let exposed = said.iter().find(|header| header.contains("expose"));
        let exposed = exposed.map(String::as_str).unwrap_or_default();
        assert!(
            exposed.ends_with(" x-total, grpc-status, grpc-message"),
            "{exposed}"
        );
    }
}

#[test]
fn the_nearest_cors_counts_whole() {
    let world = World::new(
        "
defaults: {cors: {origins: ['https://default.example'], headers: [x-a], credentials: true}}
policies:
  one:
    hosts: [api.example.com]
    public: true
    routes:
      - {path: /inherited}
      - {path: /own, cors: {origins: ['https://own.example']}}
",
    );
    for (target, origin, headers, reason) in [
        (
            "/inherited",
            "https://default.example",
            "x-a",
            Reason::Preflight,
        ),
        ("/inherited", "https://own.example", "", Reason::CorsRefused),
        ("/own", "https://own.example", "", Reason::Preflight),
        ("/own", "https://own.example", "x-a", Reason::CorsRefused),
        ("/own", "https://default.example", "", Reason::CorsRefused),
    ] {
        let verdict = world.judge(preflight(target, origin, "GET", headers));
        assert_eq!(verdict.reason(), reason, "{target} {origin} {headers}");
        if target == "/own" && reason == Reason::Preflight {
            let credentials = |(name, _): &(&str, &str)| name.ends_with("credentials");
            assert!(!replied(&verdict).iter().any(credentials));
        }
    }
}

#[test]
fn o5_shadow_answers_nothing_and_says_nothing() {
    let world = World::new(&format!(
        "
defaults: {{unenforced: allow}}
policies:
  next:
    hosts: [api.example.com]
    mode: shadow
    public: true
    cors: {{origins: ['{APP}']}}
    routes: [{{path: /orders}}]
  now:
    hosts: [api.example.com]
    public: true
    routes: [{{path: /status, methods: [GET]}}]
"
    ));
    for check in [
        raw("GET", "/orders", &[("origin", APP)]),
        preflight("/orders", APP, "GET", ""),
        preflight("/orders", "https://evil.example", "GET", ""),
    ] {
        match world.judge(check) {
            Verdict::Allow(allow) => assert_eq!(allow.reply_headers(), []),
            other => panic!("{other:?}"),
        }
    }
}

fn some_origin() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "(https?|HTTPS)://[a-z.*]{0,9}(app|shop)\\.example(\\.com)?(:[0-9]{1,4})?[/.,]?"
            .prop_map(String::into_bytes),
        Just(APP.as_bytes().to_vec()),
        "[ -~]{0,40}".prop_map(String::into_bytes),
        any::<Vec<u8>>(),
    ]
}

proptest! {
    /// Whatever a request sends as its origin comes back byte for byte if the list admits it, or not at all.
    #[test]
    fn o5_only_an_origin_that_is_admitted_is_ever_echoed(origin in some_origin(), asks in any::<bool>()) {
        let world = World::new(&policy(CORS));
        let list = origins(&[APP, "https://*.shop.example"]);
        let admitted = list.admit(&origin);
        let mut lines: Vec<(&str, &[u8])> = vec![("origin", &origin), ("x-api-key", b"secret")];
        let method = if asks {
            lines.push(("access-control-request-method", b"GET"));
            "OPTIONS"
        } else {
            "GET"
        };
        let (echoed, opens) = match world.judge(raw_bytes(method, b"/orders", &lines)) {
            Verdict::Allow(allow) => {
                let header = allow.reply_headers()[0].clone();
                prop_assert_eq!(header.name, "access-control-allow-origin");
                (header.value.to_vec(), header.how == How::Overwrite)
            }
            Verdict::Reply(reply) => (reply.headers()[0].1.clone().into_bytes(), true),
            Verdict::Deny(denial) => {
                prop_assert!(!denial.headers().iter().any(|(name, _)| name.starts_with("access-")));
                (b"none".to_vec(), false)
            }
        };
        prop_assert_eq!(opens, admitted);
        prop_assert_eq!(echoed, if admitted { origin } else { b"none".to_vec() });
    }
}
