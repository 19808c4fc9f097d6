//! What Envoy reads is exactly what the verdict says.

use std::collections::HashSet;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::google::protobuf::BoolValue;
use envoy_types::pb::google::protobuf::value::Kind;
use proptest::prelude::{Strategy, any, proptest};
use prost::Message as _;
use serde_json::{Value, json};

use super::response;
use crate::audit::{Recorder, Trail};
use crate::clock::Clock;
use crate::policy::cors::How;
use crate::respond::{Allow, Denial};
use crate::test_support::{Records, Signer, World, claims, clock, raw, raw_bytes, with};
use crate::verdict::{Reason, Refusal, Verdict};

const ISSUER: &str = "https://login.example.com";

/// Decodes what is sent for a verdict and holds it against the verdict, field by field.
fn decoded(verdict: &Verdict) -> CheckResponse {
    let bytes = response(verdict);
    let decoded = CheckResponse::decode(bytes.as_slice()).expect("Envoy can read it");
    assert_eq!(
        decoded.encoded_len(),
        bytes.len(),
        "every field that is written is one that Envoy knows"
    );
    let code = decoded.status.as_ref().expect("a status").code;
    match (verdict, decoded.http_response.as_ref().expect("a response")) {
        (Verdict::Allow(allow), HttpResponse::OkResponse(ok)) => {
            assert_eq!(code, 0);
            let cookie = allow.cookie().filter(|rest| !rest.is_empty());
            let cookie = cookie.map(|rest| {
                (
                    "cookie".to_owned(),
                    String::from_utf8(rest.to_vec()).unwrap(),
                )
            });
            let set = allow.set().iter();
            let set = set.map(|(name, value)| (name.to_string(), value.clone()));
            assert_eq!(
                overwritten(&ok.headers),
                set.chain(cookie).collect::<Vec<_>>()
            );
            let removed: Vec<&[u8]> = allow.removed().collect();
            assert_eq!(as_bytes(&ok.headers_to_remove), removed);
            assert_eq!(
                as_bytes(&ok.query_parameters_to_remove),
                allow
                    .removed_parameters()
                    .iter()
                    .map(AsRef::as_ref)
                    .collect::<Vec<&[u8]>>()
            );
            let said = allow.reply_headers().iter();
            let said = said.map(|header| {
                let value = String::from_utf8(header.value.to_vec()).unwrap();
                (header.name.to_owned(), value, header.how)
            });
            assert_eq!(
                reply_headers(&ok.response_headers_to_add),
                said.collect::<Vec<_>>()
            );
            assert!(ok.query_parameters_to_set.is_empty());
            let set: HashSet<String> = overwritten(&ok.headers)
                .into_iter()
                .map(|(n, _)| n)
                .collect();
            assert_eq!(set.len(), ok.headers.len(), "no name is set twice");
            for name in &ok.headers_to_remove {
                assert!(!set.contains(name), "{name} is both set and removed");
            }
        }
        (Verdict::Deny(denial), HttpResponse::DeniedResponse(denied)) => {
            assert_ne!(code, 0);
            let status = denied.status.as_ref().expect("a status").code;
            assert_eq!(status, i32::from(denial.status()));
            assert!(status >= 400);
            let headers = denial.headers().iter();
            let headers = headers.map(|(name, value)| ((*name).to_owned(), value.clone()));
            assert_eq!(overwritten(&denied.headers), headers.collect::<Vec<_>>());
            assert_eq!(denied.body, denial.body());
        }
        (Verdict::Reply(reply), HttpResponse::DeniedResponse(denied)) => {
            assert_ne!(code, 0, "the request goes no further");
            let status = denied.status.as_ref().expect("a status").code;
            assert_eq!((status, reply.status()), (204, 204));
            let headers = reply.headers().iter();
            let headers = headers.map(|(name, value)| ((*name).to_owned(), value.clone()));
            assert_eq!(overwritten(&denied.headers), headers.collect::<Vec<_>>());
            assert!(denied.body.is_empty());
        }
        (verdict, response) => panic!("{verdict:?} became {response:?}"),
    }
    decoded
}

fn as_bytes(names: &[String]) -> Vec<&[u8]> {
    names.iter().map(String::as_bytes).collect()
}

/// H3: the header options, each of which must overwrite in whichever way Envoy reads it.
#[expect(
    deprecated,
    reason = "some versions of Envoy read `append` and nothing else"
)]
fn overwritten(options: &[HeaderValueOption]) -> Vec<(String, String)> {
    options
        .iter()
        .map(|option| {
            assert_eq!(option.append, Some(BoolValue { value: false }));
            assert_eq!(option.append_action, 2, "OVERWRITE_IF_EXISTS_OR_ADD");
            let header = option.header.clone().expect("a header");
            assert!(header.raw_value.is_empty(), "Envoy does not read it here");
            (header.key, header.value)
        })
        .collect()
}

/// The headers of a reply, each of which must say in Envoy's words what becomes of the upstream's own.
#[expect(
    deprecated,
    reason = "some versions of Envoy read `append` and nothing else"
)]
fn reply_headers(options: &[HeaderValueOption]) -> Vec<(String, String, How)> {
    options
        .iter()
        .map(|option| {
            let how = match (&option.append, option.append_action) {
                (Some(BoolValue { value: false }), 2) => How::Overwrite,
                (Some(BoolValue { value: true }), 0) => How::Append,
                (None, 3) => How::OverwriteIfExists,
                other => panic!("{other:?}"),
            };
            let header = option.header.clone().expect("a header");
            assert!(header.raw_value.is_empty(), "Envoy does not read it here");
            (header.key, header.value, how)
        })
        .collect()
}

fn metadata(response: &CheckResponse) -> Value {
    let text = |kind: &Option<Kind>| match kind {
        Some(Kind::StringValue(text)) => json!(text),
        Some(Kind::ListValue(list)) => list
            .values
            .iter()
            .map(|value| match &value.kind {
                Some(Kind::StringValue(text)) => json!(text),
                other => panic!("{other:?}"),
            })
            .collect(),
        other => panic!("{other:?}"),
    };
    let fields = &response.dynamic_metadata.as_ref().expect("metadata").fields;
    fields
        .iter()
        .map(|(name, value)| (name.clone(), text(&value.kind)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn policy(signer: &Signer, inject: &str) -> String {
    let jwk = signer.jwk();
    format!(
        "
authenticators:
  login:
    jwt:
      issuer: {ISSUER}
      any_audience: true
      jwks: {{inline: {{keys: [{jwk}]}}}}
      from:
        - {{header: authorization, scheme: Bearer}}
        - {{query: token}}
        - {{cookie: token}}
policies:
  api:
    hosts: ['*']
    authenticate: login
    inject: {inject}
    cors: {{origins: ['https://*.example.com'], credentials: true}}
    routes:
      - {{path: /public, public: true}}
      - {{path: /**}}
"
    )
}

fn allowed(verdict: &Verdict) -> &Allow {
    match verdict {
        Verdict::Allow(allow) => allow,
        other => panic!("{other:?}"),
    }
}

#[test]
fn tells_envoy_who_calls_and_what_was_decided() {
    let signer = Signer::ed25519("k");
    let world = World::new(&policy(&signer, "{x-auth-id: principal.id}"));
    let bearer = format!("Bearer {}", signer.token(&claims(ISSUER)));
    let verdict = world.judge(raw("GET", "/a/b", &[("authorization", &bearer)]));
    let id = allowed(&verdict).facts().id.to_string();
    assert_eq!(
        metadata(&decoded(&verdict)),
        json!({
            "decision_id": id, "reason": "allowed", "policy": "api", "route": "/**",
            "principal": "login:alice", "subject": "alice", "authenticator": "login",
            "credential_id": "t-1", "scopes": ["orders:read"],
        })
    );
    let verdict = world.judge(raw("GET", "/public", &[]));
    let told = metadata(&decoded(&verdict));
    assert_eq!(
        (&told["reason"], &told["route"]),
        (&json!("allowed"), &json!("/public"))
    );
    assert_eq!(told["principal"], Value::Null);
}

#[test]
fn a_denial_tells_its_reason_and_nobodys_name() {
    let world = World::new(&policy(&Signer::ed25519("k"), "{x-auth-id: principal.id}"));
    let verdict = world.judge(raw("GET", "/a", &[("authorization", "Bearer x")]));
    let told = metadata(&decoded(&verdict));
    let mut names: Vec<&String> = told.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["decision_id", "policy", "reason", "route"]);
    assert_eq!(told["reason"], "credentials_unrecognised");
}

#[test]
fn h4_h7_an_absent_value_removes_the_callers_own() {
    let signer = Signer::ed25519("k");
    let inject = "{x-auth-org: principal.claims.org, x-auth-id: principal.id}";
    let world = World::new(&policy(&signer, inject));
    for org in [Value::Null, json!("")] {
        let token = signer.token(&with(&claims(ISSUER), "org", org));
        let bearer = format!("Bearer {token}");
        let lines = [
            ("authorization", bearer.as_str()),
            ("x-auth-org", "mallory"),
            ("x_auth_org", "mallory"),
            ("x.auth.id", "mallory"),
            ("x-auth-other", "mallory"),
        ];
        let verdict = world.judge(raw("GET", "/", &lines));
        let removed: Vec<&[u8]> = allowed(&verdict).removed().collect();
        for name in [
            "x-auth-org",
            "x_auth_org",
            "x.auth.id",
            "x-auth-other",
            "authorization",
        ] {
            assert!(removed.contains(&name.as_bytes()), "{name}");
        }
        decoded(&verdict);
    }
}

#[test]
fn a_cookie_that_is_left_is_set_and_one_that_is_not_is_removed() {
    let signer = Signer::ed25519("k");
    let world = World::new(&policy(&signer, "{x-auth-id: principal.id}"));
    let token = signer.token(&claims(ISSUER));
    for (line, left) in [
        (format!("token={token}"), ""),
        (format!("a=1; token={token}"), "a=1"),
    ] {
        let verdict = world.judge(raw("GET", "/", &[("cookie", &line)]));
        assert_eq!(allowed(&verdict).cookie(), Some(left.as_bytes()));
        let removed = allowed(&verdict).removed().any(|name| name == b"cookie");
        assert_eq!(removed, left.is_empty());
        decoded(&verdict);
    }
}

/// A string that is no UTF-8 would make Envoy throw the answer away and ask `failure_mode_allow`.
#[test]
fn h8_what_cannot_be_said_in_an_answer_is_refused() {
    let signer = Signer::ed25519("k");
    let world = World::new(&policy(&signer, "{x-auth-id: principal.id}"));
    let token = signer.token(&claims(ISSUER));
    let cookie = [b"a=\xff; token=", token.as_bytes()].concat();
    let verdict = world.judge(raw_bytes("GET", b"/", &[("cookie", &cookie)]));
    assert_eq!(verdict.reason(), Reason::RequestMalformed);
    decoded(&verdict);
    let bearer = format!("Bearer {token}");
    let mut check = raw("GET", "/", &[("authorization", &bearer)]);
    let mut lines: Vec<_> = check
        .headers
        .iter()
        .map(|(n, v)| (n.to_vec(), v.to_vec()))
        .collect();
    lines.push((b"x-auth-\xff".to_vec(), Vec::new()));
    check.headers = crate::headers::Headers::new(lines);
    let verdict = world.judge(check);
    assert_eq!(verdict.reason(), Reason::RequestMalformed);
    decoded(&verdict);
}

#[test]
fn every_refusal_is_a_denial() {
    let clock: Arc<dyn Clock> = clock();
    let recorder: Arc<dyn Recorder> = Arc::new(Records::default());
    for &reason in Reason::ALL {
        for status in [None, Some(200), Some(0), Some(302), Some(404)] {
            let mut refusal = Refusal::new(reason, "");
            refusal.status = status;
            let trail = Trail::nameless(&clock, &recorder);
            // Even a refusal with the reason of success, which nobody should make.
            let verdict = Verdict::Deny(Denial::new(&refusal, &trail));
            let told = metadata(&decoded(&verdict));
            assert_eq!(told["reason"], reason.as_str());
        }
    }
}

fn header_name() -> impl Strategy<Value = String> {
    "x-[a-z0-9]{1,3}(-[a-z]{1,4}){0,2}".prop_filter("may be injected", |name| {
        crate::headers::plan::may_inject(name)
    })
}

proptest! {
    /// Whatever a token claims and a request carries, what Envoy reads is what was decided.
    #[test]
    fn envoy_reads_what_an_allow_says(
        names in proptest::collection::hash_set(header_name(), 1..5),
        values in proptest::collection::vec("\\PC{0,12}|[ -~]{0,200}|a{300}", 5),
        sent in proptest::collection::vec((header_name(), any::<Vec<u8>>()), 0..5),
        spelt in "[-_.]",
        query in "[ -~&&[^#]]{0,20}",
        cookie in "([ab]=[ -~]{0,5}; ?){0,3}",
    ) {
        let signer = Signer::ed25519("k");
        let inject: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(n, name)| format!("{name}: principal.claims.c{n}"))
            .collect();
        let world = World::new(&policy(&signer, &format!("{{{}}}", inject.join(", "))));
        let mut made = claims(ISSUER);
        for (n, value) in values.iter().enumerate() {
            made[format!("c{n}")] = json!(value);
        }
        let bearer = format!("Bearer {}", signer.token(&made));
        let respelt: Vec<String> = names.iter().map(|name| name.replace('-', &spelt)).collect();
        let mut lines: Vec<(&str, &[u8])> = vec![("authorization", bearer.as_bytes())];
        lines.extend(sent.iter().map(|(name, value)| (name.as_str(), value.as_slice())));
        lines.extend(respelt.iter().map(|name| (name.as_str(), &b"mallory"[..])));
        lines.push(("cookie", cookie.as_bytes()));
        let verdict = world.judge(raw_bytes("GET", format!("/x?{query}").as_bytes(), &lines));
        decoded(&verdict);
        if let Verdict::Allow(allow) = &verdict {
            // Each managed header that was sent is overwritten or removed, in whatever spelling.
            for name in respelt.iter().chain(&names) {
                let set = allow.set().iter().any(|(set, _)| **set == **name);
                let removed = allow.removed().any(|removed| removed == name.as_bytes());
                assert!(set != removed, "{name}: set {set}, removed {removed}");
            }
        }
    }

    #[test]
    fn envoy_reads_what_a_denial_says(
        reason in 0..Reason::ALL.len(),
        status in proptest::option::of(0..600u16),
        methods in proptest::option::of("[A-Z, ]{1,300}"),
        retry_after in any::<Option<u32>>(),
        headers in proptest::collection::vec(("(content-type|authorization|x-a)", "(application/grpc|bearer x|.{0,9})"), 0..4),
    ) {
        let clock: Arc<dyn Clock> = clock();
        let recorder: Arc<dyn Recorder> = Arc::new(Records::default());
        let mut refusal = Refusal::new(Reason::ALL[reason], "");
        refusal.status = status;
        refusal.allowed_methods = methods.map(Into::into);
        refusal.retry_after = retry_after;
        let lines: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let trail = Trail::begin(&raw("GET", "/", &lines), None, &clock, &recorder);
        decoded(&Verdict::Deny(Denial::new(&refusal, &trail)));
    }

    /// Requests of every kind, good and bad, through the whole pipeline.
    #[test]
    fn every_answer_can_be_read(
        method in "GET|POST|OPTIONS|TRACE|get|\\PC{0,5}",
        target in "/(public|a|[ -~]{0,9}|\\PC{0,9})",
        lines in proptest::collection::vec(("authorization|cookie|x-auth-[a-z]|connection|[a-z]{1,4}", any::<Vec<u8>>()), 0..6),
        origin in proptest::option::of("https://[a-z]{0,3}\\.example\\.com|\\PC{0,9}"),
        asked in proptest::option::of("GET|DELETE|\\PC{0,3}"),
    ) {
        let world = World::new(&policy(&Signer::ed25519("k"), "{x-auth-id: principal.id}"));
        let mut lines: Vec<(&str, &[u8])> = lines.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect();
        lines.extend(origin.iter().map(|origin| ("origin", origin.as_bytes())));
        lines.extend(asked.iter().map(|asked| ("access-control-request-method", asked.as_bytes())));
        let verdict = world.judge(raw_bytes(&method, target.as_bytes(), &lines));
        decoded(&verdict);
        if let Verdict::Allow(allow) = &verdict {
            assert_eq!(allow.facts().route.map(|route| route.path.to_string()).as_deref(), Some("/public"));
        }
        assert_eq!(world.records.all().len(), 1);
    }
}
