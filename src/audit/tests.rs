use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use serde_json::{Value, json};

use super::{Recorder, Trail};
use crate::audit::trace_context::TraceContext;
use crate::clock::{Clock, ManualClock};
use crate::request::raw::RawCheck;
use crate::request::rpc::Rpc;
use crate::test_support::{Records, Signer, World, claims, clock, key_entry, raw, raw_bytes, with};
use crate::verdict::Reason;

const ISSUER: &str = "https://login.example.com";

/// A clock and a recorder as a test holds them, and as a trail takes them.
type Parts = (
    Arc<ManualClock>,
    Arc<dyn Clock>,
    Arc<Records>,
    Arc<dyn Recorder>,
);

fn parts() -> Parts {
    let (clock, records) = (clock(), Arc::new(Records::default()));
    let ticking: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let recorder: Arc<dyn Recorder> = Arc::<Records>::clone(&records);
    (clock, ticking, records, recorder)
}

/// A check with everything that a record can hold.
fn full(bearer: &str) -> RawCheck {
    let mut check = raw(
        "GET",
        "/orders/1?token=query-secret#fragment",
        &[
            ("authorization", bearer),
            ("user-agent", "curl/8"),
            ("cookie", "session=cookie-secret"),
            (
                "traceparent",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ),
        ],
    );
    check.path = Bytes::from_static(b"/orders/1?token=query-secret");
    check.source.address = Bytes::from_static(b"192.0.2.7");
    let pin = ["policy", "api"].map(|text| Bytes::from_static(text.as_bytes()));
    check.context_extensions = vec![pin.into()];
    check
}

fn world(signer: &Signer) -> World {
    World::new(&policy(signer))
}

fn policy(signer: &Signer) -> String {
    format!(
        "
authenticators:
  login: {{jwt: {{issuer: {ISSUER}, any_audience: true, jwks: {{inline: {{keys: [{}]}}}}}}}}
  key: {{api_key: {{}}}}
roles: {{clerk: {{scopes: ['items:*', internal]}}}}
consumers:
  acme: {{roles: [clerk], credentials: {{login: [{{claim: azp, value: app}}], key: [{}]}}}}
policies:
  api:
    hosts: ['*']
    authenticate: [login, key]
    routes: [{{path: '/orders/{{id}}'}}, {{path: /both, authenticate: {{all: [login, key], principal: key}}}}]
",
        signer.jwk(),
        key_entry("k1", "secret")
    )
}

fn line(world: &World) -> Value {
    let line = world.records.last().line;
    assert_eq!(line.find('\n'), Some(line.len() - 1), "one line");
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_record_says_who_did_what_and_how_it_ended() {
    let signer = Signer::ed25519("k");
    let world = world(&signer);
    let token = signer.token(&with(&claims(ISSUER), "azp", json!("app")));
    let verdict = world.judge(full(&format!("Bearer {token}")));
    assert_eq!(verdict.reason(), Reason::Allowed);
    let mut line = line(&world);
    assert_eq!(line["decision_id"].as_str().unwrap().len(), 26);
    line.as_object_mut().unwrap().remove("decision_id");
    assert_eq!(
        line,
        json!({
            "time": "2027-01-15T08:00:00.000Z", "decision": "allow", "reason": "allowed",
            "status": 200, "method": "GET", "host": "api.example.com", "path": "/orders/1",
            "protocol": "HTTP/2", "policy": "api", "route": "/orders/{id}",
            "authenticator": "login", "principal": "login:alice", "consumer": "acme",
            "credential_id": "t-1", "scopes": [],
            "claimed_scopes": ["orders:read"], "roles": ["clerk"], "client_address": "192.0.2.7", "pinned": "api", "user_agent": "curl/8",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "duration_us": 0,
        })
    );
}

#[test]
fn a_record_says_what_its_caller_may_do() {
    let signer = Signer::ed25519("k");
    let world = world(&signer);
    world.get("/orders/1", &[("x-api-key", "secret")]);
    let of_key = line(&world);
    assert_eq!(of_key["scopes"], json!(["internal", "items:*"]));
    assert_eq!(of_key["roles"], json!(["clerk"]));
    assert_eq!(of_key.get("claimed_scopes"), None, "a key claims nothing");
    let token = signer.token(&claims(ISSUER));
    world.judge(full(&format!("Bearer {token}")));
    let of_token = line(&world);
    assert_eq!(of_token["scopes"], json!(["orders:read"]));
    assert_eq!(of_token.get("claimed_scopes"), None, "nothing cuts it");
    assert_eq!(of_token.get("roles"), None);
}

/// Through every way that a decision can end, with a canary in each credential.
#[test]
fn k3_a_record_never_holds_a_credential_or_a_query() {
    let signer = Signer::ed25519("k");
    let world = world(&signer);
    let token = signer.token(&claims(ISSUER));
    let expired = signer.token(&with(&claims(ISSUER), "exp", json!(1)));
    let forged = Signer::ed25519("k").token(&claims(ISSUER));
    for bearer in [
        &token,
        &expired,
        &forged,
        "token-secret",
        "pk_live_id_token-secret",
    ] {
        world.judge(full(&format!("Bearer {bearer}")));
        let line = world.records.last().line;
        for part in bearer.split(['.', '_']).filter(|part| part.len() > 5) {
            assert!(!line.contains(part), "{line}");
        }
        for secret in ["query-secret", "cookie-secret", "token-secret", "fragment"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
    for key in ["secret-of-a-key", "pk_live_id_secret-of-a-key"] {
        world.get("/orders/1?a=secret-of-a-key", &[("x-api-key", key)]);
        let line = world.records.last().line;
        assert!(!line.contains("secret-of-a-key"), "{line}");
    }
}

/// The one that is judged by, whether or not there is such a policy; never what else Envoy says there.
#[test]
fn a_record_says_which_policy_the_request_is_pinned_to() {
    let world = world(&Signer::ed25519("k"));
    for (extensions, pinned) in [
        (&[][..], Value::Null),
        (&[("tier", "base")], Value::Null),
        (&[("policy", "api")], json!("api")),
        (&[("policy", "api"), ("policy", "gone")], json!("gone")),
        (&[("policy", "")], json!("")),
    ] {
        let mut check = raw("GET", "/orders/1", &[]);
        let copy = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let extensions = extensions.iter();
        check.context_extensions = extensions
            .map(|(key, value)| (copy(key), copy(value)))
            .collect();
        let unknown = world.judge(check).reason() == Reason::PolicyUnknown;
        let line = line(&world);
        assert_eq!(line.get("pinned").cloned().unwrap_or_default(), pinned);
        assert_eq!(unknown, !(pinned.is_null() || pinned == "api"), "{pinned}");
        assert!(!line.to_string().contains("base"), "{line}");
    }
}

#[test]
fn a_refusal_is_recorded_with_its_exact_reason() {
    let signer = Signer::ed25519("k");
    let world = world(&signer);
    let expired = signer.token(&with(&claims(ISSUER), "exp", json!(1)));
    world.judge(full(&format!("Bearer {expired}")));
    let line = line(&world);
    assert_eq!(line["decision"], "deny");
    assert_eq!(line["reason"], "token_expired");
    assert_eq!(line["status"], 401);
    assert_eq!(line["authenticator"], "login", "the one that decided");
    assert_eq!(line.get("principal"), None, "nobody was proven");
    assert!(line["detail"].as_str().unwrap().contains("`exp` passed"));
}

#[test]
fn a_check_that_is_given_up_leaves_its_record() {
    let (clock, ticking, records, recorder) = parts();
    let trail = Trail::begin(&raw("GET", "/a", &[]), None, &ticking, &recorder);
    clock.advance(Duration::from_micros(1_500));
    drop(trail);
    let record = records.last();
    assert_eq!((record.reason, record.status), (Reason::Cancelled, 503));
    let line: Value = serde_json::from_str(&record.line).unwrap();
    assert_eq!(line["reason"], "cancelled");
    assert_eq!(line["decision"], "deny");
    assert_eq!(line["path"], "/a");
    assert_eq!(line["duration_us"], 1_500);
}

/// The future of a check is dropped while it waits for an issuer's first keys.
#[test]
fn a_cancelled_check_leaves_one_record() {
    use futures_util::FutureExt as _;
    let world = World::new(&format!(
        "
authenticators: {{login: {{jwt: {{issuer: '{ISSUER}', any_audience: true}}}}}}
policies: {{api: {{hosts: ['*'], authenticate: login, routes: [{{path: '/orders/{{id}}'}}]}}}}
"
    ));
    let runtime = crate::test_support::runtime();
    let _inside = runtime.enter();
    let bearer = format!("Bearer {}", Signer::ed25519("k").token(&claims(ISSUER)));
    let check = world
        .pipeline
        .check(full(&bearer), Duration::from_secs(5), None);
    assert!(check.now_or_never().is_none());
    let records = world.records.all();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].reason, Reason::Cancelled);
    assert_eq!(records[0].authenticator.as_deref(), Some("login"));
}

#[test]
fn a_panicking_check_leaves_its_record() {
    let (_, ticking, records, recorder) = parts();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _trail = Trail::begin(&raw("GET", "/a", &[]), None, &ticking, &recorder);
        panic!("a fault");
    }));
    assert!(panicked.is_err());
    assert_eq!(records.last().reason, Reason::InternalFault);
}

#[test]
fn a_record_is_written_once() {
    let (_, ticking, records, recorder) = parts();
    let mut trail = Trail::begin(&raw("GET", "/a", &[]), None, &ticking, &recorder);
    trail.end(Reason::Allowed, 200, "");
    drop(trail);
    assert_eq!(records.all().len(), 1);
}

#[test]
fn the_checks_own_trace_goes_before_the_clients() {
    let client = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let own = TraceContext::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    for (given, header, traced) in [
        (None, "", Value::Null),
        (None, "nonsense", Value::Null),
        (None, client, json!("4bf92f3577b34da6a3ce929d0e0e4736")),
        (own, client, json!("0af7651916cd43dd8448eb211c80319c")),
    ] {
        let (_, ticking, records, recorder) = parts();
        let check = raw("GET", "/a", &[("traceparent", header)]);
        drop(Trail::begin(&check, given, &ticking, &recorder));
        let line: Value = serde_json::from_str(&records.last().line).unwrap();
        assert_eq!(line["trace_id"], traced);
    }
}

#[test]
fn knows_a_bearer_and_a_grpc_caller() {
    let (_, ticking, _, recorder) = parts();
    for (name, value, bearer, grpc) in [
        ("authorization", "Bearer x", true, false),
        ("Authorization", "bearer x", true, false),
        ("authorization", "Bearer", false, false),
        ("authorization", "Basic x", false, false),
        ("x-other", "Bearer x", false, false),
        ("content-type", "application/grpc", false, true),
    ] {
        let check = raw("POST", "/a", &[(name, value)]);
        let trail = Trail::begin(&check, None, &ticking, &recorder);
        assert_eq!(
            (trail.is_bearer(), *trail.rpc() == Rpc::Grpc),
            (bearer, grpc),
            "{name}: {value}"
        );
    }
}

#[test]
fn what_is_said_twice_is_not_believed() {
    let (_, ticking, _, recorder) = parts();
    let (web, page) = (
        ("content-type", "application/grpc"),
        ("origin", "https://a.example"),
    );
    for (lines, rpc, origin) in [
        (&[web, page][..], Rpc::Grpc, Some(page.1.as_bytes())),
        (&[web, web, page, page], Rpc::None, None),
        (&[web, web, web, page, page, page], Rpc::None, None),
    ] {
        let trail = Trail::begin(&raw("POST", "/a", lines), None, &ticking, &recorder);
        assert_eq!(*trail.rpc(), rpc);
        assert_eq!(trail.origin().map(AsRef::as_ref), origin);
    }
}

/// The descriptor that gRPC reflection serves is the contract for whoever reads the log.
#[test]
fn the_lines_members_are_the_fields_of_the_contract() {
    let bytes = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
    let set = prost_types::FileDescriptorSet::decode(bytes.as_slice()).unwrap();
    let file = set
        .file
        .iter()
        .find(|f| f.package() == "portcullis.audit.v1")
        .unwrap();
    let message = |name: &str| {
        let found = file.message_type.iter().find(|m| m.name() == name);
        found.unwrap().field.as_slice()
    };
    let signer = Signer::ed25519("k");
    let other = "policies: {other: {hosts: ['*'], routes: [{path: /**, public: true}]}}";
    let next = "  next: {hosts: ['*'], mode: shadow, public: true, routes: [{path: /**}]}";
    let world = World::with_candidate(&format!("{}{next}\n", policy(&signer)), other);
    let allowed = signer.token(&with(&claims(ISSUER), "azp", json!("app")));
    let mut members: Vec<String> = Vec::new();
    let mut proofs: Vec<String> = Vec::new();
    let mut candidates: Vec<String> = Vec::new();
    let [allowed, refused] = [allowed.as_str(), "refused"].map(|token| format!("Bearer {token}"));
    let lines = [("authorization", allowed.as_str()), ("x-api-key", "secret")];
    for check in [full(&allowed), full(&refused), raw("GET", "/both", &lines)] {
        world.judge(check);
        // As text, to keep the order.
        let line = world.records.last().line;
        let object: serde_json::Map<String, Value> = serde_json::from_str(&line).unwrap();
        let also = object.get("also").and_then(Value::as_array);
        let also = also.into_iter().flatten().filter_map(Value::as_object);
        for proof in also {
            are_fields(message("Proof"), proof);
            proofs.extend(proof.keys().cloned());
        }
        let beside = ["candidate", "shadow"].map(|name| object.get(name));
        for candidate in beside.into_iter().flatten().filter_map(Value::as_object) {
            are_fields(message("Candidate"), candidate);
            candidates.extend(candidate.keys().cloned());
        }
        are_fields(message("Decision"), &object);
        members.extend(object.keys().cloned());
    }
    for (name, members) in [
        ("Decision", members),
        ("Proof", proofs),
        ("Candidate", candidates),
    ] {
        for field in message(name) {
            assert!(
                members.iter().any(|member| member == field.name()),
                "no line has `{}`",
                field.name()
            );
        }
    }
}

fn are_fields(
    fields: &[prost_types::FieldDescriptorProto],
    object: &serde_json::Map<String, Value>,
) {
    for (name, value) in object {
        let field = fields.iter().find(|field| field.name() == name);
        let field = field.unwrap_or_else(|| panic!("`{name}` is not in the contract"));
        let repeated = field.label() == Label::Repeated;
        let text = field.r#type() == Type::String && !repeated;
        assert_eq!(value.is_string(), text, "{name}");
        assert_eq!(value.is_array(), repeated, "{name}");
        let nested = value.is_array() || value.is_object();
        assert_eq!(
            nested,
            field.r#type() == Type::Message || repeated,
            "{name}"
        );
    }
}

proptest! {
    /// Whatever a client sends, a record is one line of JSON, and says what was sent as far as it is
    /// text.
    #[test]
    fn a_record_is_one_line_of_json(
        method in any::<Vec<u8>>(),
        host in any::<Vec<u8>>(),
        path in any::<Vec<u8>>(),
        agent in any::<Vec<u8>>(),
        address in any::<Vec<u8>>(),
        detail in "\\PC{0,20}[\r\n\"\\\\\u{2028}]{0,4}",
    ) {
        let (_, ticking, records, recorder) = parts();
        let mut check = raw_bytes("", &path, &[("user-agent", &agent)]);
        check.method = method.into();
        check.host = host.into();
        check.source.address = address.into();
        let mut trail = Trail::begin(&check, None, &ticking, &recorder);
        trail.end(Reason::RouteUnknown, 403, &detail);
        let line = records.last().line;
        prop_assert_eq!(line.matches(['\n', '\r']).count(), 1);
        prop_assert!(!line.trim_end().bytes().any(|byte| byte < b' '));
        let value: Value = serde_json::from_str(&line).unwrap();
        let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap();
        prop_assert_eq!(value["path"].as_str().unwrap(), String::from_utf8_lossy(path));
        if !detail.is_empty() {
            prop_assert_eq!(value["detail"].as_str().unwrap(), detail);
        }
    }

    #[test]
    fn a_record_is_bounded(bytes in proptest::collection::vec(any::<u8>(), 1025..9000)) {
        let (_, ticking, records, recorder) = parts();
        let check = raw_bytes("GET", &bytes, &[("user-agent", &bytes)]);
        drop(Trail::begin(&check, None, &ticking, &recorder));
        let line: Value = serde_json::from_str(&records.last().line).unwrap();
        prop_assert!(line["user_agent"].as_str().unwrap().chars().count() <= 1024);
        prop_assert!(line["path"].as_str().unwrap().chars().count() <= 1024);
    }
}
