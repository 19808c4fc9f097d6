//! Stories about who owns a credential and what follows, told through a whole policy.

mod consumers;
mod trees;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::{any, prop_assert, proptest};
use serde_json::{Value, json};

use crate::authn::key_set::{KeySet, KeySetCell};
use crate::diagnostic::Diagnostics;
use crate::respond::Allow;
use crate::test_support::{
    NOW, Signer, World, claims, compile_with, jwk_set, key_entry, raw, raw_bytes, read, with,
};
use crate::verdict::{Reason, Verdict};

const ISSUER: &str = "https://login.example.com";
const PARTNER: &str = "https://partner.example.com";
const KEY: &str = "pk_live_k1_secret";

/// A world in which one route for each list of authenticators exists.
struct Gate {
    world: World,
    login: Signer,
    partner: Signer,
}

fn gate() -> Gate {
    let (login, partner) = (Signer::ed25519("k"), Signer::p256("k"));
    let policy = format!(
        "
authenticators:
  key: {{api_key: {{}}}}
  other-key: {{api_key: {{from: {{header: x-other-key}}}}}}
  bearer-key: {{api_key: {{from: {{header: authorization, scheme: Bearer}}}}}}
  named-key: {{api_key: {{from: {{header: authorization, scheme: ApiKey}}}}}}
  query-key: {{api_key: {{from: [{{query: api_key}}, {{cookie: session}}]}}}}
  kept-key: {{api_key: {{from: [{{header: x-kept}}, {{query: kept}}, {{cookie: kept}}], forward: true}}}}
  login:
    jwt:
      issuer: {ISSUER}
      audiences: [orders-api]
      jwks: {{inline: {{keys: [{login}]}}}}
  partner:
    jwt:
      issuer: {PARTNER}
      audiences: [orders-api]
      jwks: {{inline: {{keys: [{partner}]}}}}
consumers:
  acme:
    scopes: ['orders:*']
    credentials:
      key: [{entry}]
      other-key: [{entry}]
      bearer-key: [{entry}]
      named-key: [{entry}]
      query-key: [{entry}]
      kept-key: [{entry}]
      login: [{{claim: azp, value: acme-app}}, {{claim: org.id, value: acme}}]
  brief: {{expires: 2027-01-15T08:10:00Z, credentials: {{login: [{{claim: azp, value: brief-app}}]}}}}
  other: {{credentials: {{login: [{{claim: team, value: other}}]}}}}
  tester:
    environment: test
    credentials:
      key: [{test_entry}]
      login: [{{claim: azp, value: test-app}}]
policies:
  api:
    hosts: ['*']
    authenticate: key
    routes:
      - {{path: /key}}
      - {{path: /login, authenticate: login}}
      - {{path: /both, authenticate: [login, key]}}
      - {{path: /key-first, authenticate: [key, login]}}
      - {{path: /keys, authenticate: [key, other-key]}}
      - {{path: /issuers, authenticate: [login, partner]}}
      - {{path: /bearer, authenticate: [login, bearer-key]}}
      - {{path: /named, authenticate: [login, named-key]}}
      - {{path: /query, authenticate: query-key}}
      - {{path: /kept, authenticate: kept-key}}
      - {{path: /scoped, authenticate: login, scopes: 'orders:read'}}
      - {{path: /test, environment: test, authenticate: [login, key]}}
",
        login = login.jwk(),
        partner = partner.jwk(),
        entry = key_entry("k1", KEY),
        test_entry = key_entry("t1", "test-key"),
    );
    Gate {
        world: World::new(&policy),
        login,
        partner,
    }
}

impl Gate {
    fn bearer(&self, claims: &Value) -> String {
        format!("Bearer {}", self.login.token(claims))
    }

    fn authorized(&self, target: &str, value: &str) -> Reason {
        self.world.get(target, &[("authorization", value)])
    }

    fn allow(&self, target: &str, lines: &[(&str, &str)]) -> Allow {
        match self.world.judge(raw("GET", target, lines)) {
            Verdict::Allow(allow) => allow,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn h13_reads_authorization_as_one_scheme_and_one_credential() {
    let gate = gate();
    let token = gate.login.token(&claims(ISSUER));
    for (value, reason) in [
        (String::new(), Reason::CredentialsMissing),
        ("  ".to_owned(), Reason::CredentialsMissing),
        ("Bearer".to_owned(), Reason::CredentialsUnrecognised),
        ("Bearer ".to_owned(), Reason::CredentialsUnrecognised),
        (format!("Bearer\t{token}"), Reason::CredentialsUnrecognised),
        (format!("Bearer {token}"), Reason::Allowed),
        (format!("bEaReR {token}"), Reason::Allowed),
        (format!("Bearer    {token}  "), Reason::Allowed),
        (
            format!("Bearer {token} {token}"),
            Reason::CredentialsUnrecognised,
        ),
        (
            format!("Bearer {token},Bearer {token}"),
            Reason::CredentialsAmbiguous,
        ),
        (format!("Bearer {token},"), Reason::CredentialsAmbiguous),
        (token.clone(), Reason::CredentialsUnrecognised),
        (format!("Token {token}"), Reason::CredentialsUnrecognised),
        (format!("Bearer={token}"), Reason::CredentialsUnrecognised),
        (
            "Basic dXNlcjpwYXNz".to_owned(),
            Reason::CredentialsUnrecognised,
        ),
        ("Basic !!".to_owned(), Reason::CredentialsUnrecognised),
        ("Bearer a.b.c".to_owned(), Reason::TokenMalformed),
        (
            "Bearer undefined".to_owned(),
            Reason::CredentialsUnrecognised,
        ),
        ("Bearer null".to_owned(), Reason::CredentialsUnrecognised),
    ] {
        assert_eq!(gate.authorized("/login", &value), reason, "{value:?}");
    }
}

#[test]
fn j4_an_unknown_issuer_is_present_and_wrong() {
    let gate = gate();
    let stranger = gate.bearer(&claims("https://mallory.example"));
    let nobody = gate.bearer(&with(&claims(ISSUER), "iss", Value::Null));
    for target in ["/login", "/issuers", "/both", "/bearer", "/named"] {
        assert_eq!(
            gate.authorized(target, &stranger),
            Reason::TokenIssuerUnknown
        );
        assert_eq!(gate.authorized(target, &nobody), Reason::TokenMalformed);
    }
    // Not even with a good key beside it.
    let lines = [("authorization", stranger.as_str()), ("x-api-key", KEY)];
    for target in ["/both", "/key-first"] {
        assert_eq!(gate.world.get(target, &lines), Reason::TokenIssuerUnknown);
    }
}

#[test]
fn j5_a_token_belongs_to_the_issuer_that_it_names() {
    let gate = gate();
    let by = |signer: &Signer, issuer| format!("Bearer {}", signer.token(&claims(issuer)));
    for (signer, issuer, reason) in [
        (&gate.login, ISSUER, Reason::Allowed),
        (&gate.partner, PARTNER, Reason::Allowed),
        (&gate.partner, ISSUER, Reason::TokenAlgorithmRefused),
        (&gate.login, PARTNER, Reason::TokenAlgorithmRefused),
    ] {
        assert_eq!(gate.authorized("/issuers", &by(signer, issuer)), reason);
    }
    let record = gate.world.records.last();
    assert_eq!(record.authenticator.as_deref(), Some("partner"));
}

#[test]
fn one_bearer_place_is_shared_by_keys_and_tokens() {
    let gate = gate();
    let minted = crate::authn::api_key::mint("pk_", "live", None).unwrap();
    let minted = String::from_utf8(minted.plain.expose().to_vec()).unwrap();
    for (credential, reason, owner) in [
        (KEY.to_owned(), Reason::Allowed, Some("bearer-key")),
        (
            gate.login.token(&claims(ISSUER)),
            Reason::Allowed,
            Some("login"),
        ),
        (minted, Reason::KeyUnknown, Some("bearer-key")),
        (
            "pk_live_k1_wrong".to_owned(),
            Reason::KeyMalformed,
            Some("bearer-key"),
        ),
        ("pk_".to_owned(), Reason::KeyUnknown, Some("bearer-key")),
        (
            "sk_live_k1_secret".to_owned(),
            Reason::CredentialsUnrecognised,
            None,
        ),
    ] {
        let reason_now = gate.authorized("/bearer", &format!("Bearer {credential}"));
        assert_eq!(reason_now, reason, "{credential}");
        assert_eq!(
            gate.world.records.last().authenticator.as_deref(),
            owner,
            "{credential}"
        );
    }
}

#[test]
fn schemes_of_one_header_have_owners_of_their_own() {
    let gate = gate();
    let token = gate.login.token(&claims(ISSUER));
    for (value, reason) in [
        (format!("ApiKey {KEY}"), Reason::Allowed),
        (format!("apikey {KEY}"), Reason::Allowed),
        (format!("Bearer {token}"), Reason::Allowed),
        (format!("Bearer {KEY}"), Reason::CredentialsUnrecognised),
        (format!("ApiKey {token}"), Reason::KeyUnknown),
        ("ApiKey".to_owned(), Reason::CredentialsUnrecognised),
    ] {
        assert_eq!(gate.authorized("/named", &value), reason, "{value}");
    }
}

#[test]
fn a_credential_that_is_present_and_wrong_is_never_passed_over() {
    let gate = gate();
    let good = gate.bearer(&claims(ISSUER));
    let expired = gate.bearer(&with(&claims(ISSUER), "exp", json!(NOW)));
    for (target, bearer, key, reason) in [
        ("/both", "", KEY, Reason::Allowed),
        ("/both", &good, "", Reason::Allowed),
        ("/both", &good, KEY, Reason::Allowed),
        ("/both", &expired, KEY, Reason::TokenExpired),
        ("/both", "", "wrong", Reason::KeyUnknown),
        ("/both", "Basic YTpi", KEY, Reason::CredentialsUnrecognised),
        ("/both", "Bearer", KEY, Reason::CredentialsUnrecognised),
        ("/both", "", "", Reason::CredentialsMissing),
        // The first of the route's list that is present decides, and the others are not looked at.
        ("/key-first", &good, "wrong", Reason::KeyUnknown),
        ("/key-first", &expired, KEY, Reason::Allowed),
        ("/both", &good, "wrong", Reason::Allowed),
        // A place that the route does not read is nothing to it.
        ("/login", "", KEY, Reason::CredentialsMissing),
        ("/key", &expired, KEY, Reason::Allowed),
    ] {
        let lines = [("authorization", bearer), ("x-api-key", key)];
        assert_eq!(
            gate.world.get(target, &lines),
            reason,
            "{target} {bearer} {key}"
        );
    }
}

#[test]
fn h1_two_credentials_of_one_kind_are_refused() {
    let gate = gate();
    for (target, lines) in [
        ("/key", &[("x-api-key", KEY), ("x-api-key", KEY)][..]),
        ("/key", &[("x-api-key", KEY), ("X-Api-Key", "other")]),
        ("/keys", &[("x-api-key", KEY), ("x-other-key", KEY)]),
        ("/keys", &[("x-api-key", KEY), ("x-other-key", "wrong")]),
        ("/query?api_key=a&api_key=b", &[]),
        ("/query?api_key=a", &[("cookie", "session=a")]),
        ("/query", &[("cookie", "session=a; session=a")]),
    ] {
        let reason = gate.world.get(target, lines);
        assert_eq!(reason, Reason::CredentialsAmbiguous, "{target} {lines:?}");
    }
    let key = format!("{KEY},{KEY}");
    let reason = gate.world.get("/key", &[("x-api-key", &key)]);
    assert_eq!(reason, Reason::CredentialsAmbiguous);
}

#[test]
fn k3_an_empty_credential_is_a_missing_one() {
    let gate = gate();
    for (target, lines) in [
        ("/key", &[("x-api-key", "")][..]),
        ("/key", &[("x-api-key", " \t ")]),
        ("/query?api_key=", &[]),
        ("/query?api_key", &[]),
        ("/query", &[("cookie", "session=")]),
        ("/query", &[("cookie", "session")]),
        ("/query", &[]),
    ] {
        let reason = gate.world.get(target, lines);
        assert_eq!(reason, Reason::CredentialsMissing, "{target} {lines:?}");
    }
}

#[test]
fn h8_a_key_that_is_no_text_matches_nothing() {
    let gate = gate();
    for bytes in [
        &b"\xff"[..],
        b"!",
        b"pk_live_k1_secret\0",
        b"pk_live_k1_secre\xf4",
        b"a b",
    ] {
        let verdict = gate
            .world
            .judge(raw_bytes("GET", b"/key", &[("x-api-key", bytes)]));
        assert!(
            matches!(verdict.reason(), Reason::KeyUnknown | Reason::KeyMalformed),
            "{bytes:?}: {:?}",
            verdict.reason()
        );
    }
}

#[test]
fn each_place_has_its_challenge_once() {
    let gate = gate();
    let table = &gate.world.pipeline.snapshot().table;
    let challenges = |target: &str| {
        let request = crate::test_support::get(target, &[]);
        let route = table.routes.choose(&request).unwrap();
        let challenges = route.authn.as_ref().unwrap().challenges(&[]);
        challenges
            .iter()
            .map(|c| c.text.to_string())
            .collect::<Vec<_>>()
    };
    let bearer = "Bearer realm=\"portcullis\"";
    let header = "ApiKey realm=\"portcullis\", in=\"header\", name=\"x-api-key\"";
    assert_eq!(challenges("/both"), [bearer, header]);
    assert_eq!(challenges("/issuers"), [bearer]);
    assert_eq!(
        challenges("/named"),
        [bearer, "ApiKey realm=\"portcullis\""]
    );
    let query = "ApiKey realm=\"portcullis\", in=\"query\", name=\"api_key\"";
    let cookie = "ApiKey realm=\"portcullis\", in=\"cookie\", name=\"session\"";
    assert_eq!(challenges("/query"), [query, cookie]);
}

/// The cached verdict of the step that finds the owner is judged like any other.
#[test]
fn f7_a_removed_key_or_a_passed_time_refuses_what_was_allowed_before() {
    let (old, new) = (Signer::ed25519("old"), Signer::ed25519("new"));
    let policy = format!(
        "
authenticators: {{login: {{jwt: {{issuer: {ISSUER}, audiences: [orders-api]}}}}}}
policies: {{api: {{hosts: ['*'], authenticate: login, routes: [{{path: /**}}]}}}}
"
    );
    let keys = |signers: &[&Signer]| KeySet::parse(jwk_set(signers).as_bytes()).unwrap();
    let cell = KeySetCell::fixed(keys(&[&old, &new]));
    let mut out = Diagnostics::default();
    let set = read(&[("policy.yaml", &policy)], &mut out);
    let cells = [("login".to_owned(), Arc::clone(&cell))].into();
    let table = compile_with(&set, cells, &mut out);
    let world = World::of(table.unwrap_or_else(|| panic!("{}", out.render())));
    let bearer = |signer: &Signer| format!("Bearer {}", signer.token(&claims(ISSUER)));
    let (by_old, by_new) = (bearer(&old), bearer(&new));
    let judge = |value: &str| world.get("/", &[("authorization", value)]);
    for value in [&by_old, &by_new, &by_old, &by_new] {
        assert_eq!(judge(value), Reason::Allowed);
    }
    cell.publish(keys(&[&new]));
    assert_eq!(judge(&by_old), Reason::TokenKeyUnknown);
    assert_eq!(judge(&by_new), Reason::Allowed);
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(judge(&by_new), Reason::TokenExpired);
}

#[test]
fn any_bit_flipped_in_a_credential_refuses() {
    let gate = gate();
    let bearer = gate.bearer(&claims(ISSUER));
    for (target, name, value, from) in [
        ("/key", "x-api-key", KEY, 0),
        ("/login", "authorization", bearer.as_str(), "Bearer ".len()),
    ] {
        assert_eq!(gate.world.get(target, &[(name, value)]), Reason::Allowed);
        for position in from..value.len() {
            for bit in 0..8 {
                let mut bytes = value.as_bytes().to_vec();
                bytes[position] ^= 1 << bit;
                let check = raw_bytes("GET", target.as_bytes(), &[(name, &bytes)]);
                let reason = gate.world.judge(check).reason();
                assert_ne!(
                    reason,
                    Reason::Allowed,
                    "{name}: byte {position}, bit {bit}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn random_credentials_never_authenticate(
        authorization in "(Bearer|ApiKey|Basic|bearer)? {0,2}(pk_)?[A-Za-z0-9_.-]{0,40}",
        key in any::<Vec<u8>>(),
        query in "(api_key|session|kept)=[a-zA-Z0-9%+]{0,20}(&api_key=x)?",
        cookie in "(session|kept|a)=[ -~]{0,20}(; session=[a-z]{0,3})?",
        path in "key|login|both|key-first|keys|issuers|bearer|named|query|kept|test",
    ) {
        let gate = gate();
        let check = raw_bytes(
            "GET",
            format!("/{path}?{query}").as_bytes(),
            &[
                ("authorization", authorization.as_bytes()),
                ("x-api-key", &key),
                ("x-other-key", &key),
                ("x-kept", &key),
                ("cookie", cookie.as_bytes()),
            ],
        );
        prop_assert!(gate.world.judge(check).reason() != Reason::Allowed);
    }
}
