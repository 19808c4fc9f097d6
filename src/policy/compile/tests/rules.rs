//! Roles, callers, addresses and the short form of routes: what they let pass, and what they refuse.

use serde_json::json;

use crate::test_support::{
    Signer, World, claims, compile, jwk_set, key_entry, mistakes, raw, with,
};
use crate::verdict::Reason;

const ISSUER: &str = "https://login.example.com";

fn world(signer: &Signer, rest: &str) -> World {
    World::new(&format!(
        "
authenticators:
  key: {{api_key: {{from: {{header: x-key}}}}}}
  login:
    jwt:
      issuer: {ISSUER}
      audiences: [orders-api]
      jwks: {{inline: {jwks}}}
      roles: {{claim: realm_access.roles, map: {{order-clerk: clerk, boss: manager}}}}
roles:
  clerk: {{scopes: [\"orders:*\"]}}
  manager: {{scopes: [staff]}}
consumers:
  clerks: {{roles: [clerk], credentials: {{key: [{clerk}, {cut}]}}}}
  both: {{scopes: [invoices], roles: [clerk, manager], credentials: {{key: [{both}]}}}}
  plain: {{scopes: [invoices], credentials: {{key: [{plain}]}}}}
  here: {{scopes: [invoices], allow_ips: [203.0.113.0/24], credentials: {{key: [{here}]}}}}
  app: {{roles: [clerk], credentials: {{login: [{{claim: azp, value: app}}]}}}}
{rest}",
        jwks = jwk_set(&[signer]),
        clerk = key_entry("c", "clerk"),
        cut = key_entry("x", "cut").replace('}', ", scopes: [orders:read, invoices]}"),
        both = key_entry("b", "both"),
        plain = key_entry("p", "plain"),
        here = key_entry("h", "here"),
    ))
}

fn api(world: &World, target: &str, key: &str) -> Reason {
    world.get(target, &[("x-key", key)])
}

#[test]
fn step_7_roles_widen_a_consumers_ceiling() {
    let world = world(
        &Signer::ed25519("k"),
        "policies:
  p:
    hosts: [api.example.com]
    authenticate: key
    routes:
      - {path: /orders, scopes: [orders:read]}
      - {path: /invoices, scopes: [invoices]}
      - {path: /staff, scopes: [staff]}",
    );
    use Reason::{Allowed, ScopeInsufficient};
    for (key, orders, invoices, staff) in [
        ("clerk", Allowed, ScopeInsufficient, ScopeInsufficient),
        // A key's own scopes are cut to the ceiling.
        ("cut", Allowed, ScopeInsufficient, ScopeInsufficient),
        ("both", Allowed, Allowed, Allowed),
        ("plain", ScopeInsufficient, Allowed, ScopeInsufficient),
    ] {
        assert_eq!(api(&world, "/orders", key), orders, "{key}");
        assert_eq!(api(&world, "/invoices", key), invoices, "{key}");
        assert_eq!(api(&world, "/staff", key), staff, "{key}");
    }
}

#[test]
fn step_9_every_level_asks_for_its_roles() {
    let world = world(
        &Signer::ed25519("k"),
        "policies:
  p:
    hosts: [api.example.com]
    authenticate: key
    roles: clerk
    routes:
      - {path: /any}
      - {path: /manager, roles: [manager]}
      - {path: /either, roles: {any: [manager, clerk]}}
      - {path: /all, roles: {all: [manager, clerk]}}
      - {path: /open, public: true}",
    );
    use Reason::{Allowed, RoleMissing};
    for (target, clerk, both, plain) in [
        ("/any", Allowed, Allowed, RoleMissing),
        ("/manager", RoleMissing, Allowed, RoleMissing),
        ("/either", Allowed, Allowed, RoleMissing),
        ("/all", RoleMissing, Allowed, RoleMissing),
        ("/open", Allowed, Allowed, Allowed),
    ] {
        assert_eq!(api(&world, target, "clerk"), clerk, "{target}");
        assert_eq!(api(&world, target, "both"), both, "{target}");
        assert_eq!(api(&world, target, "plain"), plain, "{target}");
    }
    assert!(world.records.last().line.contains("\"reason\":\"allowed\""));
}

#[test]
fn step_7_claimed_roles_count_only_through_the_map_and_add_no_scope() {
    let signer = Signer::ed25519("k");
    let world = world(
        &signer,
        "policies:
  p:
    hosts: [api.example.com]
    authenticate: login
    routes:
      - {path: /clerk, roles: clerk}
      - {path: /orders, scopes: [orders:write]}
      - {path: /read, scopes: [orders:read]}",
    );
    use Reason::{Allowed, RoleMissing, ScopeInsufficient};
    let base = with(&claims(ISSUER), "scope", json!("orders:read other"));
    let roles = |roles| with(&base, "realm_access", json!({ "roles": roles }));
    for (claims, clerk, orders) in [
        (base.clone(), RoleMissing, ScopeInsufficient),
        (roles(json!(["order-clerk"])), Allowed, ScopeInsufficient),
        (roles(json!("order-clerk")), Allowed, ScopeInsufficient),
        // The role's own name is not what the issuer says.
        (roles(json!(["clerk"])), RoleMissing, ScopeInsufficient),
        (
            roles(json!([["order-clerk"], {"order-clerk": 1}])),
            RoleMissing,
            ScopeInsufficient,
        ),
        (
            roles(json!({"order-clerk": true})),
            RoleMissing,
            ScopeInsufficient,
        ),
        // The name of the claim as a whole comes before the way that its dots lead.
        (
            with(
                &roles(json!(["order-clerk"])),
                "realm_access.roles",
                json!(["other"]),
            ),
            RoleMissing,
            ScopeInsufficient,
        ),
        // A consumer's role is one of the caller's, and its scopes are none that a token gets.
        (with(&base, "azp", json!("app")), Allowed, ScopeInsufficient),
    ] {
        let bearer = format!("Bearer {}", signer.token(&claims));
        let get = |target| world.get(target, &[("authorization", &bearer)]);
        assert_eq!(get("/clerk"), clerk, "{claims}");
        assert_eq!(get("/orders"), orders, "{claims}");
        assert_eq!(get("/read"), Allowed, "{claims}");
    }
}

#[test]
fn step_9_callers_are_admitted_by_name_at_every_level() {
    let signer = Signer::ed25519("k");
    let world = world(
        &signer,
        "policies:
  p:
    hosts: [api.example.com]
    authenticate: [key, login]
    callers: [{consumer: plain}, {consumer: app}, {consumer: both}]
    routes:
      - {path: /}
      - {path: /both, callers: [{consumer: both}, {consumer: clerks}]}",
    );
    use Reason::{Allowed, CallerRefused};
    for (key, root, both) in [
        ("plain", Allowed, CallerRefused),
        ("both", Allowed, Allowed),
        ("clerk", CallerRefused, CallerRefused),
    ] {
        assert_eq!(api(&world, "/", key), root, "{key}");
        assert_eq!(api(&world, "/both", key), both, "{key}");
    }
    for (azp, root) in [("app", Allowed), ("nobody", CallerRefused)] {
        let token = signer.token(&with(&claims(ISSUER), "azp", json!(azp)));
        let bearer = format!("Bearer {token}");
        assert_eq!(world.get("/", &[("authorization", &bearer)]), root);
    }
}

#[test]
fn addresses_bind_consumers_routes_and_public_routes() {
    let world = world(
        &Signer::ed25519("k"),
        "defaults: {client_address: {trusted_hops: 1}}
policies:
  p:
    hosts: [api.example.com]
    authenticate: key
    routes:
      - {path: /}
      - {path: /inside, allow_ips: [10.0.0.0/8, \"2001:db8::/32\"]}
      - {path: /open, public: true, allow_ips: 10.0.0.0/8}",
    );
    use Reason::{AddressRefused, Allowed};
    for (from, key, target, reason) in [
        ("203.0.113.7", "here", "/", Allowed),
        ("198.51.100.1", "here", "/", AddressRefused),
        ("198.51.100.1", "plain", "/", Allowed),
        ("10.1.2.3", "plain", "/inside", Allowed),
        ("2001:db8::1", "plain", "/inside", Allowed),
        ("198.51.100.1", "plain", "/inside", AddressRefused),
        ("nowhere", "plain", "/inside", AddressRefused),
        ("10.1.2.3", "here", "/inside", AddressRefused),
        ("10.1.2.3", "", "/open", Allowed),
        ("198.51.100.1", "", "/open", AddressRefused),
    ] {
        let forwarded = format!("1.1.1.1, {from}");
        let lines = [("x-key", key), ("x-forwarded-for", &forwarded)];
        assert_eq!(world.get(target, &lines), reason, "{from} {key} {target}");
        let said = format!("\"client_address\":\"{from}\"");
        let known = from != "nowhere";
        assert_eq!(world.records.last().line.contains(&said), known, "{from}");
    }
}

#[test]
fn the_short_form_says_what_the_long_one_says() {
    let world = world(
        &Signer::ed25519("k"),
        "policies:
  p:
    hosts: [api.example.com]
    authenticate: key
    routes:
      GET /items: orders:read
      GET /items/{id}: [orders:read, invoices]
      PUT|DELETE /items/{id}: {scopes: [orders:write], roles: manager}
      GET /health: public
      /me: {}",
    );
    use Reason::{Allowed, CredentialsMissing, MethodNotAllowed, RoleMissing, ScopeInsufficient};
    for (method, target, key, reason) in [
        ("GET", "/items", "clerk", Allowed),
        ("HEAD", "/items", "clerk", Allowed),
        ("POST", "/items", "clerk", MethodNotAllowed),
        ("GET", "/items", "plain", ScopeInsufficient),
        ("GET", "/items/1", "clerk", ScopeInsufficient),
        ("GET", "/items/1", "both", Allowed),
        ("DELETE", "/items/1", "both", Allowed),
        ("PUT", "/items/1", "clerk", RoleMissing),
        ("GET", "/health", "", Allowed),
        ("POST", "/me", "plain", Allowed),
        ("POST", "/me", "", CredentialsMissing),
    ] {
        let verdict = world.judge(raw(method, target, &[("x-key", key)]));
        assert_eq!(verdict.reason(), reason, "{method} {target} {key}");
    }
}

#[test]
fn empty_segments_pass_where_all_readers_come_to_one_route() {
    let world = world(
        &Signer::ed25519("k"),
        "defaults: {paths: {empty_segments: allow, trailing_slash: ignore, matrix_parameters: allow, encoded_slashes: allow}}
policies:
  p:
    hosts: [api.example.com]
    authenticate: key
    routes:
      - {path: /admin, scopes: [staff]}
      - {path: /files/**, public: true}
      - {path: /files/secret, scopes: [staff]}
      - {path: \"/names/{name}\", public: true}
      - {path: /slash/, public: true}",
    );
    use Reason::{Allowed, CredentialsMissing, PathAmbiguous, RouteUnknown};
    for (target, reason) in [
        ("//admin", CredentialsMissing),
        ("/admin/", CredentialsMissing),
        ("/admin;x=1", CredentialsMissing),
        ("/files//a", Allowed),
        // One reader is led to the secret, the other to what lies below /files.
        ("/files//secret", PathAmbiguous),
        ("/names/a%2Fb", Allowed),
        ("/names//a", Allowed),
        ("/names/a/b", RouteUnknown),
        ("/slash", Allowed),
        ("/slash/", Allowed),
    ] {
        assert_eq!(world.get(target, &[]), reason, "{target}");
    }
}

#[test]
fn step_9_every_levels_condition_must_hold_and_an_error_denies() {
    let signer = Signer::ed25519("k");
    let world = world(
        &signer,
        "policies:
  p:
    hosts: [api.example.com]
    authenticate: [login, key]
    when: request.method == \"GET\" || principal.kind == \"jwt\"
    routes:
      - {path: /}
      - {path: \"/orders/{order_id}\", when: 'path.order_id.startsWith(\"a\")'}
      - {path: /tenant, when: 'principal.claims.tenant == request.headers[\"x-tenant\"]'}
      - {path: /boolean, when: principal.claims.admin}
  open:
    hosts: [api.example.com]
    routes:
      - {path: /open, public: true, when: '\"x-tenant\" in request.headers'}",
    );
    use Reason::{Allowed, ConditionFailed, ConditionFalse};
    let base = claims(ISSUER);
    let of = |tenant: serde_json::Value| with(&base, "tenant", tenant);
    for (method, target, claims, tenant, reason) in [
        ("GET", "/", Some(base.clone()), None, Allowed),
        ("POST", "/", Some(base.clone()), None, Allowed),
        ("GET", "/", None, None, Allowed),
        ("POST", "/", None, None, ConditionFalse),
        ("GET", "/orders/a1", None, None, Allowed),
        ("GET", "/orders/b1", None, None, ConditionFalse),
        ("POST", "/orders/a1", None, None, ConditionFalse),
        (
            "GET",
            "/tenant",
            Some(of(json!("acme"))),
            Some("acme"),
            Allowed,
        ),
        (
            "GET",
            "/tenant",
            Some(of(json!("acme"))),
            Some("other"),
            ConditionFalse,
        ),
        // What is not there can't be compared: neither with something nor with nothing.
        (
            "GET",
            "/tenant",
            Some(of(json!("acme"))),
            None,
            ConditionFailed,
        ),
        (
            "GET",
            "/tenant",
            Some(base.clone()),
            Some("acme"),
            ConditionFailed,
        ),
        ("GET", "/tenant", Some(base.clone()), None, ConditionFailed),
        ("GET", "/tenant", None, Some("acme"), ConditionFailed),
        (
            "GET",
            "/boolean",
            Some(with(&base, "admin", json!(true))),
            None,
            Allowed,
        ),
        (
            "GET",
            "/boolean",
            Some(with(&base, "admin", json!(false))),
            None,
            ConditionFalse,
        ),
        (
            "GET",
            "/boolean",
            Some(with(&base, "admin", json!("true"))),
            None,
            ConditionFailed,
        ),
        (
            "GET",
            "/boolean",
            Some(with(&base, "admin", json!(1))),
            None,
            ConditionFailed,
        ),
        ("GET", "/open", None, Some("x"), Allowed),
        ("GET", "/open", None, None, ConditionFalse),
    ] {
        let bearer = claims
            .as_ref()
            .map(|claims| format!("Bearer {}", signer.token(claims)));
        let mut lines = vec![match &bearer {
            Some(bearer) => ("authorization", bearer.as_str()),
            None => ("x-key", "plain"),
        }];
        lines.extend(tenant.map(|tenant| ("x-tenant", tenant)));
        let verdict = world.judge(raw(method, target, &lines));
        assert_eq!(
            verdict.reason(),
            reason,
            "{method} {target} {claims:?} {tenant:?}"
        );
    }
}

#[test]
fn conditions_that_cannot_be_meant_are_told() {
    let text = "authenticators: {key: {api_key: {}}}
policies:
  p:
    hosts: [api.example.com]
    authenticate: key
    routes:
      - {path: /number, when: 1 + 1}
      - {path: /unknown, when: principal.nme == \"x\"}
      - {path: /parameter, when: path.id == \"x\"}
      - {path: /constant, when: 1 == 1}
      - {path: /syntax, when: a ==}
      - {path: /open, public: true, when: principal.kind == \"jwt\"}
";
    let (table, out) = compile(&[("policy.yaml", text)]);
    assert!(table.is_none());
    assert_eq!(
        mistakes(&out),
        [
            ("bad-expression", 7),
            ("bad-expression", 8),
            ("bad-expression", 9),
            ("constant-condition", 10),
            ("bad-expression", 11),
            ("public-contradiction", 12),
        ],
        "{}",
        out.render()
    );
}

#[test]
fn mistakes_in_rules_are_told_with_their_lines() {
    let text = "authenticators: {key: {api_key: {}}, login: {jwt: {issuer: i, any_audience: true, roles: {claim: r, map: {a: nobody}}, jwks: {url: 'https://h/j'}}}}
roles: {clerk: {scopes: [\"*x\"]}, empty: {scopes: []}}
consumers:
  a: {roles: [clrk, clerk, clerk], credentials: {}}
  b: {allow_ips: [203.0.113.7/24, \"::ffff:1.2.3.4/120\", nonsense], credentials: {}}
policies:
  p:
    hosts: [api.example.com]
    authenticate: key
    routes:
      - {path: /two, roles: [clerk, empty]}
      - {path: /none, roles: [nobody]}
      - {path: /who, callers: [{consumer: c}, {spiffe_id: \"spiffe://x\"}]}
      - {path: /nobody, callers: []}
      - {path: /open, public: true, callers: [{consumer: a}]}
      - {path: /also, public: true, roles: clerk}
      - {path: /mode}
  short:
    hosts: [short.example.com]
    authenticate: key
    routes:
      GET items: a
      get /items: a
      GET /none:
      GET /x: {path: /y}
";
    let (table, out) = compile(&[("policy.yaml", text)]);
    assert!(table.is_none());
    assert_eq!(
        mistakes(&out),
        [
            ("unknown-role", 1),
            ("bad-scope", 2),
            ("empty-list", 2),
            ("unknown-role", 4),
            ("duplicate-name", 4),
            ("bad-address", 5),
            ("bad-address", 5),
            ("bad-address", 5),
            ("bad-roles", 11),
            ("unknown-role", 12),
            ("unknown-consumer", 13),
            ("bad-peer", 13),
            ("empty-list", 14),
            ("public-contradiction", 15),
            ("public-contradiction", 16),
            ("bad-route", 22),
            ("bad-method", 23),
            ("missing-value", 24),
            ("unknown-key", 25),
        ],
        "{}",
        out.render()
    );
}
