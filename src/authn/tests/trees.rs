//! `any` and `all` within one another, and `optional`.

mod model;

use serde_json::{Value, json};

use super::{ISSUER, KEY, PARTNER};
use crate::diagnostic::Diagnostics;
use crate::respond::Allow;
use crate::test_support::{
    NOW, Signer, World, claims, compile_with, key_entry, key_sets, raw, read, with,
};
use crate::verdict::{Reason, Verdict};

/// Two issuers and two lists of keys, each in a header of its own, and what each makes of a request.
struct Trees {
    world: World,
    login: Signer,
    partner: Signer,
}

const HEADERS: [(&str, &str); 4] = [
    ("login", "authorization"),
    ("partner", "x-partner"),
    ("key", "x-api-key"),
    ("other-key", "x-other-key"),
];

fn trees(routes: &str) -> Trees {
    let (login, partner) = (Signer::ed25519("k"), Signer::p256("k"));
    let world = World::new(&policy(&login, &partner, routes));
    Trees {
        world,
        login,
        partner,
    }
}

fn policy(login: &Signer, partner: &Signer, routes: &str) -> String {
    format!(
        "
authenticators:
  login: {{jwt: {{issuer: {ISSUER}, any_audience: true, jwks: {{inline: {{keys: [{login}]}}}}}}}}
  partner:
    jwt:
      issuer: {PARTNER}
      any_audience: true
      from: {{header: x-partner}}
      jwks: {{inline: {{keys: [{partner}]}}}}
  key: {{api_key: {{}}}}
  other-key: {{api_key: {{from: {{header: x-other-key}}}}}}
roles: {{clerk: {{scopes: [read]}}}}
consumers:
  afar: {{allow_ips: 203.0.113.7, credentials: {{other-key: [{afar}]}}}}
  office: {{roles: clerk, credentials: {{login: [{{claim: azp, value: office}}]}}}}
  acme: {{scopes: [read, write], credentials: {{key: [{entry}], other-key: [{other}]}}}}
  brief: {{expires: 2027-01-15T08:10:00Z, credentials: {{key: [{brief}]}}}}
  tester: {{environment: test, credentials: {{partner: [{{claim: azp, value: test-app}}], key: [{test}]}}}}
policies:
  api:
    hosts: ['*']
    inject: {{x-principal: principal.id, x-scopes: principal.scopes, x-consumer: consumer.name, x-path: request.path}}
    routes:
{routes}
",
        login = login.jwk(),
        partner = partner.jwk(),
        entry = key_entry("k1", KEY),
        afar = key_entry("a1", "afar"),
        other = key_entry("o1", "other"),
        brief = key_entry("b1", "brief"),
        test = key_entry("t1", "test-key"),
    )
}

impl Trees {
    /// The headers of a request in which each authenticator, in the order of [`HEADERS`], holds nothing
    /// (`-`), something good (`+`) or something wrong (`x`).
    fn lines(&self, signs: &str) -> Vec<(&'static str, String)> {
        let token = |signer: &Signer, issuer, good| {
            let made = claims(issuer);
            if good {
                signer.token(&made)
            } else {
                signer.token(&with(&made, "exp", json!(NOW)))
            }
        };
        let mut lines = Vec::new();
        for (sign, (name, header)) in signs.chars().zip(HEADERS) {
            let good = sign == '+';
            let value = match name {
                "login" => format!("Bearer {}", token(&self.login, ISSUER, good)),
                "partner" => token(&self.partner, PARTNER, good),
                "key" => if good { KEY } else { "wrong" }.to_owned(),
                _ => if good { "other" } else { "wrong" }.to_owned(),
            };
            if sign != '-' {
                lines.push((header, value));
            }
        }
        lines
    }

    fn judge(&self, target: &str, signs: &str) -> Verdict {
        let lines = self.lines(signs);
        let lines: Vec<(&str, &str)> = lines.iter().map(|(n, v)| (*n, v.as_str())).collect();
        self.world.judge(raw("GET", target, &lines))
    }

    fn allow(&self, target: &str, signs: &str) -> Allow {
        match self.judge(target, signs) {
            Verdict::Allow(allow) => allow,
            other => panic!("{target} {signs}: {other:?}"),
        }
    }

    fn challenges(&self, target: &str, signs: &str) -> Vec<String> {
        let Verdict::Deny(denial) = self.judge(target, signs) else {
            panic!("{target} {signs} is allowed");
        };
        assert_eq!(denial.status(), 401, "{target} {signs}");
        let headers = denial.headers().iter();
        headers
            .filter(|(name, _)| *name == "www-authenticate")
            .map(|(_, value)| value.clone())
            .collect()
    }

    fn audit(&self) -> Value {
        serde_json::from_str(&self.world.records.last().line).unwrap()
    }
}

fn value<'a>(allow: &'a Allow, name: &str) -> Option<&'a str> {
    let mut set = allow.set().iter();
    set.find(|(set, _)| **set == *name).map(|(_, v)| v.as_str())
}

fn removed(allow: &Allow) -> Vec<String> {
    let names = allow.removed();
    names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

const ROUTES: &str = "
      - {path: /all, authenticate: {all: [login, key]}}
      - {path: /keys, authenticate: {all: [key, other-key]}}
      - {path: /tokens, authenticate: {all: [login, partner], principal: partner}}
      - {path: /either, authenticate: [{all: [login, key]}, partner]}
      - {path: /last, authenticate: {any: [partner, {all: [login, key]}]}}
      - {path: /shared, authenticate: {any: [{all: [login, key]}, {all: [login, partner]}]}}
      - {path: /within, authenticate: {all: [{any: [login, partner]}, key]}}
      - {path: /deep, authenticate: {any: [{all: [{any: [login, partner]}, key]}, other-key]}}
      - {path: /scoped, authenticate: {all: [login, key], principal: key}, scopes: write}
      - {path: /unscoped, authenticate: {all: [login, key]}, scopes: write}
      - {path: /beside, authenticate: [{all: [key, login]}, other-key]}
";

#[test]
fn a_request_must_meet_the_tree() {
    let trees = trees(ROUTES);
    use Reason::{
        Allowed, CredentialsAmbiguous as Ambiguous, CredentialsMissing as Missing,
        KeyUnknown as BadKey, TokenExpired as BadToken,
    };
    for (target, signs, reason) in [
        // All of: in order, the first that is not verified answers.
        ("/all", "+-+-", Allowed),
        ("/all", "+---", Missing),
        ("/all", "--+-", Missing),
        ("/all", "----", Missing),
        ("/all", "--x-", Missing),
        ("/all", "x-x-", BadToken),
        ("/all", "x---", BadToken),
        ("/all", "+-x-", BadKey),
        ("/all", "x-+-", BadToken),
        // Places that no leaf reads are nothing to the route.
        ("/all", "+x+x", Allowed),
        // Two of one kind, demanded together.
        ("/keys", "--++", Allowed),
        ("/keys", "--+-", Missing),
        ("/keys", "--+x", BadKey),
        ("/keys", "--x+", BadKey),
        ("/tokens", "++--", Allowed),
        ("/tokens", "+---", Missing),
        ("/tokens", "+x--", BadToken),
        // An all-of that is not complete is absent, and what was sent for it must be good all the same.
        ("/either", "+-+-", Allowed),
        ("/either", "-+--", Allowed),
        ("/either", "+-++", Allowed),
        ("/either", "--++", Missing),
        ("/either", "-++-", Allowed),
        ("/either", "-+x-", BadKey),
        ("/either", "--x-", BadKey),
        ("/either", "-x--", BadToken),
        ("/either", "----", Missing),
        ("/last", "-xx-", BadToken),
        ("/last", "-+x-", Allowed),
        ("/last", "--x-", BadKey),
        ("/last", "+-+-", Allowed),
        ("/last", "x---", BadToken),
        // Two tokens that one alternative demands, the other one not.
        ("/shared", "++--", Allowed),
        ("/shared", "+-+-", Allowed),
        ("/shared", "+++-", Allowed),
        ("/shared", "+-x-", BadKey),
        ("/shared", "++x-", BadKey),
        ("/shared", "+xx-", BadKey),
        ("/shared", "+x--", BadToken),
        ("/shared", "+---", Missing),
        // Two of one kind that no all-of demands together stay ambiguous.
        ("/within", "+++-", Ambiguous),
        ("/within", "-++-", Allowed),
        ("/within", "+-+-", Allowed),
        ("/within", "-+--", Missing),
        ("/within", "--+-", Missing),
        ("/deep", "-++-", Allowed),
        ("/deep", "---+", Allowed),
        ("/deep", "-+-+", Allowed),
        ("/deep", "-x-+", BadToken),
        ("/deep", "-+++", Ambiguous),
        ("/deep", "--x-", BadKey),
        ("/beside", "--+-", Missing),
        ("/beside", "--++", Ambiguous),
        ("/beside", "+--+", Allowed),
        ("/beside", "x--+", BadToken),
        // Scopes are the principal's.
        ("/scoped", "+-+-", Allowed),
        ("/unscoped", "+-+-", Reason::ScopeInsufficient),
    ] {
        let now = trees.judge(target, signs).reason();
        assert_eq!(now, reason, "{target} {signs}");
    }
}

#[test]
fn a_value_that_no_leaf_owns_is_refused_whatever_stands_beside_it() {
    let trees = trees(
        "
      - {path: /tree, authenticate: [{all: [login, key]}, other-key]}
      - {path: /optional, authenticate: [{all: [login, key]}, other-key], optional: true}
      - {path: /one, authenticate: key, optional: true}
",
    );
    let stranger = trees.login.token(&claims("https://mallory.example"));
    let stranger = format!("Bearer {stranger}");
    for target in ["/tree", "/optional"] {
        for (value, reason) in [
            ("Basic YTpi", Reason::CredentialsUnrecognised),
            ("Bearer", Reason::CredentialsUnrecognised),
            ("Bearer null", Reason::CredentialsUnrecognised),
            (stranger.as_str(), Reason::TokenIssuerUnknown),
        ] {
            for beside in ["", "other"] {
                let lines = [("authorization", value), ("x-other-key", beside)];
                assert_eq!(trees.world.get(target, &lines), reason, "{target} {value}");
            }
        }
    }
    let twice = [("x-api-key", KEY), ("x-api-key", KEY)];
    let reason = trees.world.get("/one", &twice);
    assert_eq!(reason, Reason::CredentialsAmbiguous);
}

#[test]
fn every_members_consumer_binds() {
    let trees = trees(
        "
      - {path: /all, authenticate: {all: [login, key]}}
      - {path: /tokens, authenticate: {all: [login, partner]}}
      - {path: /either, authenticate: [{all: [login, key]}, other-key]}
",
    );
    let login = format!("Bearer {}", trees.login.token(&claims(ISSUER)));
    let tester = with(&claims(PARTNER), "azp", json!("test-app"));
    let tester = trees.partner.token(&tester);
    let get = |target: &str, name: &str, value: &str| {
        let lines = [("authorization", login.as_str()), (name, value)];
        trees.world.get(target, &lines)
    };
    assert_eq!(get("/all", "x-api-key", "brief"), Reason::Allowed);
    assert_eq!(
        get("/all", "x-api-key", "test-key"),
        Reason::EnvironmentMismatch
    );
    assert_eq!(
        get("/tokens", "x-partner", &tester),
        Reason::EnvironmentMismatch
    );
    trees
        .world
        .clock
        .advance(std::time::Duration::from_secs(600));
    assert_eq!(get("/all", "x-api-key", "brief"), Reason::ConsumerExpired);
    // Also where the alternative would have been left.
    let lines = [("x-api-key", "brief"), ("x-other-key", "other")];
    let reason = trees.world.get("/either", &lines);
    assert_eq!(reason, Reason::CredentialsAmbiguous);
    assert_eq!(
        trees.world.get("/either", &lines[..1]),
        Reason::ConsumerExpired
    );
}

#[test]
fn every_members_addresses_bind() {
    let trees = trees("      - {path: /, authenticate: {all: [login, other-key]}}\n");
    let login = format!("Bearer {}", trees.login.token(&claims(ISSUER)));
    for (address, reason) in [
        ("203.0.113.7", Reason::Allowed),
        ("203.0.113.8", Reason::AddressRefused),
        ("", Reason::AddressRefused),
    ] {
        let lines = [("authorization", login.as_str()), ("x-other-key", "afar")];
        let mut check = raw("GET", "/", &lines);
        check.source.address = address.into();
        assert_eq!(trees.world.judge(check).reason(), reason, "{address}");
    }
}

#[test]
fn roles_are_the_principals_and_any_member_may_be_among_the_callers() {
    let trees = trees(
        "
      - {path: /callers, authenticate: {all: [login, key]}, callers: [{consumer: acme}]}
      - {path: /others, authenticate: {all: [login, key]}, callers: [{consumer: brief}]}
      - {path: /each, authenticate: {any: [{all: [key, login]}, partner]}, callers: [{consumer: office}, {consumer: acme}]}
      - {path: /clerks, authenticate: {all: [login, key]}, roles: clerk}
      - {path: /keys, authenticate: {all: [login, key], principal: key}, roles: clerk}
",
    );
    let office = with(&claims(ISSUER), "azp", json!("office"));
    let office = format!("Bearer {}", trees.login.token(&office));
    let lines = [("authorization", office.as_str()), ("x-api-key", KEY)];
    for (target, reason) in [
        ("/callers", Reason::Allowed),
        ("/others", Reason::CallerRefused),
        ("/each", Reason::Allowed),
        ("/clerks", Reason::Allowed),
        ("/keys", Reason::RoleMissing),
    ] {
        assert_eq!(trees.world.get(target, &lines), reason, "{target}");
    }
    // What was proven for a way that was left is no caller.
    assert_eq!(trees.judge("/each", "-++-").reason(), Reason::CallerRefused);
}

#[test]
fn every_members_revocation_binds() {
    let routes = "
      - {path: /keys, authenticate: {all: [key, other-key]}}
      - {path: /other, authenticate: {all: [login, other-key]}}
      - {path: /either, authenticate: [{all: [login, key]}, partner]}
      - {path: /beside, authenticate: [{all: [login, key]}, other-key]}
";
    for (revoked, target, signs, reason) in [
        (
            "credential: k1",
            "/keys",
            "--++",
            Reason::CredentialsRevoked,
        ),
        (
            "credential: o1",
            "/keys",
            "--++",
            Reason::CredentialsRevoked,
        ),
        (
            "consumer: acme",
            "/other",
            "+--+",
            Reason::CredentialsRevoked,
        ),
        ("credential: k1", "/other", "+--+", Reason::Allowed),
        // Also where the alternative was left.
        (
            "credential: k1",
            "/either",
            "-++-",
            Reason::CredentialsRevoked,
        ),
        (
            "subject: 'login:alice'",
            "/beside",
            "+--+",
            Reason::CredentialsRevoked,
        ),
        ("credential: o1", "/either", "-++-", Reason::Allowed),
    ] {
        let trees = trees(&format!("{routes}\nrevocations: [{{{revoked}}}]"));
        let now = trees.judge(target, signs).reason();
        assert_eq!(now, reason, "{revoked} {target} {signs}");
        if reason == Reason::CredentialsRevoked {
            assert!(!trees.challenges(target, signs).is_empty());
        }
    }
}

#[test]
fn a_dependency_that_fails_is_never_passed_over() {
    let (login, partner) = (Signer::ed25519("k"), Signer::p256("k"));
    let routes = "
      - {path: /any, authenticate: [login, key]}
      - {path: /all, authenticate: {all: [key, login]}}
      - {path: /either, authenticate: [{all: [login, partner]}, key]}
      - {path: /optional, authenticate: [login, key], optional: true}
";
    let text = policy(&login, &partner, routes);
    let inline = format!("jwks: {{inline: {{keys: [{}]}}}}", login.jwk());
    let text = text.replacen(&inline, "jwks: {url: 'https://login.example.com/jwks'}", 1);
    let mut out = Diagnostics::default();
    let set = read(&[("policy.yaml", &text)], &mut out);
    let cells = key_sets(&set, &mut out);
    cells["login"].failed();
    let table = compile_with(&set, cells, &mut out);
    let world = World::of(table.unwrap_or_else(|| panic!("{}", out.render())));
    let bearer = format!("Bearer {}", login.token(&claims(ISSUER)));
    let lines = [("authorization", bearer.as_str()), ("x-api-key", KEY)];
    for target in ["/any", "/all", "/either", "/optional"] {
        let reason = world.get(target, &lines);
        assert_eq!(reason, Reason::DependencyUnavailable, "{target}");
        let record = world.records.last();
        assert_eq!(
            (record.status, record.authenticator.as_deref()),
            (503, Some("login"))
        );
    }
}

#[test]
fn challenges_ask_for_what_is_missing() {
    let trees = trees(ROUTES);
    let bearer = "Bearer realm=\"portcullis\"";
    let key = "ApiKey realm=\"portcullis\", in=\"header\", name=\"x-api-key\"";
    let other = "ApiKey realm=\"portcullis\", in=\"header\", name=\"x-other-key\"";
    let partner = "ApiKey realm=\"portcullis\", in=\"header\", name=\"x-partner\"";
    for (target, signs, expected) in [
        ("/all", "----", vec![bearer]),
        ("/all", "--+-", vec![bearer]),
        ("/all", "+---", vec![key]),
        ("/all", "+-x-", vec![key]),
        ("/keys", "--+-", vec![other]),
        ("/either", "----", vec![bearer, partner]),
        ("/either", "+---", vec![key, partner]),
        ("/either", "--x-", vec![bearer, partner]),
        ("/last", "----", vec![partner, bearer]),
        ("/shared", "----", vec![bearer]),
        ("/shared", "+---", vec![key, partner]),
        ("/within", "----", vec![bearer, partner]),
        ("/within", "-+--", vec![key]),
        ("/deep", "----", vec![bearer, partner, other]),
    ] {
        assert_eq!(
            trees.challenges(target, signs),
            expected,
            "{target} {signs}"
        );
    }
}

#[test]
fn the_principal_is_the_first_member_or_the_one_that_is_named() {
    let trees = trees(ROUTES);
    for (target, signs, principal, also) in [
        ("/all", "+-+-", "login:alice", vec!["key:acme"]),
        ("/tokens", "++--", "partner:alice", vec!["login:alice"]),
        ("/within", "-++-", "partner:alice", vec!["key:acme"]),
        ("/scoped", "+-+-", "key:acme", vec!["login:alice"]),
        // What was proven for an alternative that was left takes no part.
        ("/either", "-++-", "partner:alice", vec![]),
    ] {
        let allow = trees.allow(target, signs);
        assert_eq!(value(&allow, "x-principal"), Some(principal), "{target}");
        let audit = trees.audit();
        assert_eq!(audit["principal"], principal, "{target}");
        let owner = principal.split(':').next();
        assert_eq!(audit["authenticator"].as_str(), owner, "{target}");
        let listed = audit["also"].as_array().into_iter().flatten();
        let listed: Vec<&str> = listed.map(|p| p["principal"].as_str().unwrap()).collect();
        assert_eq!(listed, also, "{target}");
    }
    trees.allow("/all", "+-+-");
    let proof = json!([{
        "authenticator": "key", "principal": "key:acme", "consumer": "acme", "credential_id": "k1",
        "scopes": ["read", "write"],
    }]);
    assert_eq!(trees.audit()["also"], proof);
}

#[test]
fn a_refusal_is_recorded_with_whom_it_had_proven_before() {
    let trees = trees(ROUTES);
    for (target, signs, authenticator, also) in [
        ("/all", "+-x-", Some("key"), Some("login:alice")),
        ("/all", "+---", None, Some("login:alice")),
        ("/all", "x-+-", Some("login"), None),
        ("/all", "----", None, None),
    ] {
        trees.judge(target, signs);
        let audit = trees.audit();
        assert_eq!(audit["authenticator"].as_str(), authenticator, "{signs}");
        assert_eq!(audit["also"][0]["principal"].as_str(), also, "{signs}");
        assert_eq!(audit.get("principal"), None, "{signs}");
    }
    trees.judge("/all", "+---");
    assert_eq!(trees.audit()["detail"], "nothing was sent for `key`");
}

#[test]
fn credentials_of_all_leaves_are_taken_out() {
    let trees = trees(ROUTES);
    for (target, signs, names) in [
        ("/all", "+-+-", &["authorization", "x-api-key"][..]),
        (
            "/deep",
            "-+-+",
            &["authorization", "x-partner", "x-api-key", "x-other-key"],
        ),
        (
            "/last",
            "-+x-",
            &["authorization", "x-partner", "x-api-key"],
        ),
    ] {
        let removed = removed(&trees.allow(target, signs));
        for name in names {
            assert!(removed.contains(&(*name).to_owned()), "{target} {name}");
        }
    }
}

#[test]
fn optional_lets_pass_who_sends_nothing_and_nobody_else() {
    let trees = trees(
        "
      - {path: /one, authenticate: key, optional: true}
      - {path: /any, authenticate: [login, key], optional: true}
      - {path: /all, authenticate: {all: [login, key]}, optional: true}
      - {path: /not, authenticate: key, optional: false}
      - {path: /scoped, authenticate: [key, login], optional: true, scopes: write}
      - {path: /clerks, authenticate: [key, login], optional: true, roles: clerk}
      - {path: /callers, authenticate: [key, login], optional: true, callers: [{consumer: acme}]}
      - {path: /there, authenticate: key, optional: true, allow_ips: 203.0.113.7}
      - {path: /required, authenticate: key, optional: true, inject: {x-principal: {value: principal.id, required: true}}}
",
    );
    for (target, signs, reason) in [
        ("/one", "----", Reason::Allowed),
        ("/one", "--+-", Reason::Allowed),
        ("/one", "--x-", Reason::KeyUnknown),
        ("/any", "----", Reason::Allowed),
        ("/any", "x---", Reason::TokenExpired),
        ("/any", "x-+-", Reason::TokenExpired),
        ("/all", "----", Reason::Allowed),
        ("/all", "+-+-", Reason::Allowed),
        // Half of an all-of is no anonymous caller.
        ("/all", "+---", Reason::CredentialsMissing),
        ("/all", "--+-", Reason::CredentialsMissing),
        ("/all", "--x-", Reason::CredentialsMissing),
        ("/not", "----", Reason::CredentialsMissing),
        ("/scoped", "----", Reason::CredentialsMissing),
        ("/scoped", "--+-", Reason::Allowed),
        ("/scoped", "+---", Reason::ScopeInsufficient),
        ("/clerks", "----", Reason::CredentialsMissing),
        ("/clerks", "+---", Reason::RoleMissing),
        ("/callers", "----", Reason::CredentialsMissing),
        ("/callers", "--+-", Reason::Allowed),
        ("/callers", "+---", Reason::CallerRefused),
        ("/there", "----", Reason::AddressRefused),
        ("/required", "----", Reason::InjectRefused),
        ("/required", "--+-", Reason::Allowed),
    ] {
        let now = trees.judge(target, signs).reason();
        assert_eq!(now, reason, "{target} {signs}");
    }
    assert_eq!(
        trees.challenges("/scoped", "----"),
        [
            "ApiKey realm=\"portcullis\", in=\"header\", name=\"x-api-key\"",
            "Bearer realm=\"portcullis\"",
        ]
    );
}

/// An anonymous caller is not a public route: what Portcullis owns is set or removed, and what it reads
/// is taken out.
#[test]
fn an_anonymous_caller_injects_nothing_of_a_principal() {
    let trees = trees("      - {path: /one, authenticate: key, optional: true}\n");
    let forged = [
        ("x-principal", "key:acme"),
        ("x_principal", "key:acme"),
        ("X-Consumer", "acme"),
        ("x-auth-anything", "1"),
        ("x-path", "/elsewhere"),
        ("x-api-key", " "),
    ];
    let Verdict::Allow(allow) = trees.world.judge(raw("GET", "/one", &forged)) else {
        panic!("an anonymous caller is refused");
    };
    assert_eq!(value(&allow, "x-path"), Some("/one"));
    let removed = removed(&allow);
    for name in [
        "x-principal",
        "x_principal",
        "x-consumer",
        "x-scopes",
        "x-auth-anything",
        "x-api-key",
    ] {
        assert_eq!(value(&allow, name), None, "{name}");
        assert!(removed.contains(&name.to_owned()), "{name}");
    }
    assert!(allow.facts().principal.is_none());
    let audit = trees.audit();
    assert_eq!(audit["reason"], "allowed");
    for member in ["principal", "consumer", "authenticator", "also"] {
        assert_eq!(audit.get(member), None, "{member}");
    }
}
