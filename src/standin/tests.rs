//! Stand-ins are judged by the code that judges everybody.

use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::diagnostic::Diagnostics;
use crate::policy::source::PolicySet;
use crate::standin::{Draft, StandIns, offline};
use crate::test_support::{NOW, World, compile_with, key_entry, key_sets, raw_bytes, read};
use crate::verdict::Reason;

const POLICY: &str = r#"
authenticators:
  key: {api_key: {prefix: acme-, from: [{header: x-key}, {query: key}, {cookie: k}]}}
  token: {jwt: {issuer: "https://i.example.com", audiences: [api, other], algorithms: [ALGORITHM]}}
consumers:
  acme:
    scopes: [read]
    credentials:
      key: [KEY, {id: old, hash: "sha256:0000000000000000000000000000000000000000000000000000000000000000", expires: 2020-01-01}]
policies:
  p:
    hosts: [api.example.com]
    authenticate: [key, token]
    routes: [{path: /, scopes: [read]}]
"#;

fn policy(algorithm: &str) -> String {
    POLICY
        .replace("ALGORITHM", algorithm)
        .replace("KEY", &key_entry("k1", "acme-real"))
}

fn world(algorithm: &str) -> (World, StandIns) {
    let mut out = Diagnostics::default();
    let mut set = read(&[("p.yaml", &policy(algorithm))], &mut out);
    let standins = StandIns::install(&mut set).unwrap();
    (compiled(&set, &mut out), standins)
}

fn compiled(set: &PolicySet, out: &mut Diagnostics) -> World {
    let key_sets = key_sets(set, out);
    let table = compile_with(set, key_sets, out);
    World::of(table.unwrap_or_else(|| panic!("{}", out.render())))
}

fn send(world: &World, draft: &Draft) -> Reason {
    let lines: Vec<(&str, &[u8])> = draft
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    world
        .judge(raw_bytes("GET", draft.target.as_bytes(), &lines))
        .reason()
}

fn draft() -> Draft {
    Draft {
        target: "/".to_owned(),
        headers: Vec::new(),
        rest: crate::request::raw::RawCheck::default(),
    }
}

fn claims(claims: &Value) -> Map<String, Value> {
    claims.as_object().unwrap().clone()
}

#[test]
fn a_key_made_just_now_opens_what_the_registered_one_did() {
    let (world, standins) = world("ES256");
    let mut request = draft();
    assert!(standins.present("key", standins.key("key", "k1").unwrap(), &mut request));
    assert_eq!(send(&world, &request), Reason::Allowed);
    // What the policies say of it still holds, and the real key opens nothing here.
    let mut expired = draft();
    assert!(standins.present("key", standins.key("key", "old").unwrap(), &mut expired));
    assert_eq!(send(&world, &expired), Reason::KeyExpired);
    let mut real = draft();
    assert!(standins.present("key", "acme-real", &mut real));
    assert_eq!(send(&world, &real), Reason::KeyUnknown);
    assert!(standins.key("key", "k2").is_none());
    assert!(standins.key("token", "k1").is_none());
}

#[test]
fn credentials_go_where_the_authenticator_reads_and_nothing_stands() {
    let (world, standins) = world("ES256");
    let key = standins.key("key", "k1").unwrap();
    for (headers, target) in [
        (vec![], "/"),
        (vec![("x-key", "")], "/"),
        (vec![("x-key", "")], "/?key"),
        (vec![("x-key", ""), ("cookie", "a=b")], "/?key="),
    ] {
        let mut request = Draft {
            target: target.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect(),
            rest: crate::request::raw::RawCheck::default(),
        };
        assert!(standins.present("key", key, &mut request), "{target}");
        assert_eq!(send(&world, &request), Reason::Allowed, "{request:?}");
    }
    let mut full = draft();
    for _ in 0..3 {
        assert!(standins.present("key", key, &mut full));
    }
    assert!(!standins.present("key", key, &mut full));
    assert!(!standins.present("nobody", key, &mut draft()));
}

#[test]
fn tokens_are_signed_with_whatever_the_authenticator_accepts() {
    for algorithm in [
        "EdDSA", "ES256", "ES384", "RS256", "PS384", "RS512", "HS256",
    ] {
        let (world, standins) = if algorithm == "HS256" {
            let mut out = Diagnostics::default();
            let policy = policy("HS256").replace("[HS256]", "[HS256], jwks: {file: secret.json}");
            let mut set = read(&[("p.yaml", &policy)], &mut out);
            let standins = StandIns::install(&mut set).unwrap();
            (compiled(&set, &mut out), standins)
        } else {
            world(algorithm)
        };
        let now = Timestamp::from_seconds(NOW);
        for (said, reason) in [
            (json!({"scope": "read"}), Reason::Allowed),
            (json!({}), Reason::ScopeInsufficient),
            (json!({"exp": NOW}), Reason::TokenExpired),
            (json!({"exp": NOW + 1, "scope": "read"}), Reason::Allowed),
            (json!({"exp": null}), Reason::TokenClaimInvalid),
            (json!({"aud": "else"}), Reason::TokenAudienceMismatch),
            (json!({"iss": "https://else"}), Reason::TokenIssuerUnknown),
        ] {
            let token = standins.token("token", &claims(&said), now).unwrap();
            let mut request = draft();
            assert!(standins.present("token", &token, &mut request));
            assert_eq!(send(&world, &request), reason, "{algorithm} {said}");
        }
    }
}

#[test]
fn keys_that_would_be_fetched_are_not_waited_for() {
    let mut out = Diagnostics::default();
    let mut set = read(&[("p.yaml", &policy("ES256"))], &mut out);
    assert!(offline(&mut set).unwrap());
    let world = compiled(&set, &mut out);
    let (_, others) = self::world("ES256");
    let now = Timestamp::from_seconds(NOW);
    let token = others.token("token", &Map::new(), now).unwrap();
    let mut request = draft();
    assert!(others.present("token", &token, &mut request));
    assert_eq!(send(&world, &request), Reason::TokenSignatureInvalid);
    // A key that is registered opens as ever.
    let mut real = draft();
    assert!(others.present("key", "acme-real", &mut real));
    assert_eq!(send(&world, &real), Reason::Allowed);
}
