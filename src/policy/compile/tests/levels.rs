//! Levels: what the nearest one decides, what all of them ask, and what follows for headers.

use crate::respond::Allow;
use crate::test_support::{World, get, key_entry, raw, table};
use crate::verdict::{Reason, Verdict};

/// Two consumers with a key each at two authenticators.
fn world(rest: &str) -> World {
    World::new(&format!(
        "
authenticators:
  near: {{api_key: {{from: {{header: x-near}}}}}}
  far: {{api_key: {{from: {{header: x-far}}}}}}
consumers:
  reader:
    scopes: [read]
    metadata: {{tenant: acme, tags: [a, b c], nothing: null}}
    credentials: {{near: [{reader}], far: [{reader}]}}
  writer: {{scopes: [read, write], credentials: {{near: [{writer}], far: [{writer}]}}}}
  tester: {{environment: test, scopes: [read, write, admin], credentials: {{near: [{tester}], far: [{tester}]}}}}
{rest}",
        reader = key_entry("r", "reader-key"),
        writer = key_entry("w", "writer-key"),
        tester = key_entry("t", "tester-key"),
    ))
}

fn allow(world: &World, target: &str, lines: &[(&str, &str)]) -> Allow {
    match world.judge(raw("GET", target, lines)) {
        Verdict::Allow(allow) => allow,
        other => panic!("{target}: {other:?}"),
    }
}

fn set(allow: &Allow) -> Vec<(String, String)> {
    let lines = allow.set().iter();
    lines
        .map(|(name, value)| (name.to_string(), value.clone()))
        .collect()
}

fn removed(allow: &Allow) -> Vec<String> {
    let names = allow.removed();
    names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

#[test]
fn the_nearest_authenticate_wins_whole() {
    let world = world(
        "defaults: {authenticate: far}
policies:
  inherits: {hosts: [inherits.example], routes: [{path: /}, {path: /near, authenticate: near}]}
  api:
    hosts: [api.example.com]
    authenticate: near
    routes:
      - {path: /}
      - {path: /far, authenticate: far}
      - {path: /both, authenticate: [near, far]}
      - {path: /public, public: true}
  public:
    hosts: [public.example]
    public: true
    routes: [{path: /}, {path: /near, authenticate: near}]",
    );
    for (host, target, near, far) in [
        ("inherits.example", "/", false, true),
        ("inherits.example", "/near", true, false),
        ("api.example.com", "/", true, false),
        ("api.example.com", "/far", false, true),
        ("api.example.com", "/both", true, true),
        ("api.example.com", "/public", true, true),
        ("public.example", "/", true, true),
        ("public.example", "/near", true, false),
    ] {
        for (name, opens) in [("x-near", near), ("x-far", far)] {
            let mut check = raw("GET", target, &[(name, "reader-key")]);
            check.host = host.into();
            let reason = world.judge(check).reason();
            let expected = if opens {
                Reason::Allowed
            } else {
                Reason::CredentialsMissing
            };
            assert_eq!(reason, expected, "{host}{target} {name}");
        }
    }
}

#[test]
fn the_nearest_optional_wins_whichever_level_says_authenticate() {
    let world = world(
        "defaults: {authenticate: far, optional: true}
policies:
  inherits: {hosts: [inherits.example], routes: [{path: /}, {path: /near, authenticate: near}, {path: /not, optional: false}]}
  strict:
    hosts: [strict.example]
    optional: false
    routes: [{path: /}, {path: /near, authenticate: near, optional: true}, {path: /public, public: true}]",
    );
    for (host, target, passes) in [
        ("inherits.example", "/", true),
        ("inherits.example", "/near", true),
        ("inherits.example", "/not", false),
        ("strict.example", "/", false),
        ("strict.example", "/near", true),
        ("strict.example", "/public", true),
    ] {
        let mut check = raw("GET", target, &[]);
        check.host = host.into();
        let reason = world.judge(check).reason();
        let expected = if passes {
            Reason::Allowed
        } else {
            Reason::CredentialsMissing
        };
        assert_eq!(reason, expected, "{host}{target}");
    }
}

#[test]
fn every_levels_scopes_must_hold() {
    let world = world(
        "defaults: {authenticate: near, scopes: read}
policies:
  api:
    hosts: ['*']
    scopes: {any: [write, admin]}
    routes:
      - {path: /}
      - {path: /admin, scopes: admin, environment: test}
      - {path: /other, scopes: other}
      - {path: /public, public: true}
  lax:
    hosts: [lax.example]
    routes: [{path: /}]",
    );
    for (target, key, reason) in [
        ("/", "reader-key", Reason::ScopeInsufficient),
        ("/", "writer-key", Reason::Allowed),
        ("/admin", "tester-key", Reason::Allowed),
        ("/admin", "writer-key", Reason::EnvironmentMismatch),
        ("/other", "writer-key", Reason::ScopeInsufficient),
        ("/public", "reader-key", Reason::Allowed),
    ] {
        assert_eq!(
            world.get(target, &[("x-near", key)]),
            reason,
            "{target} {key}"
        );
    }
    let mut check = raw("GET", "/", &[("x-near", "reader-key")]);
    check.host = "lax.example".into();
    assert_eq!(world.judge(check).reason(), Reason::Allowed);
}

#[test]
fn the_nearest_environment_wins() {
    let table = table(
        "authenticators: {key: {api_key: {}}}
defaults: {authenticate: key, environment: outer}
policies:
  one: {hosts: [api.example.com], environment: middle, routes: [{path: /}, {path: /inner, environment: inner}]}
  two: {hosts: ['*'], routes: [{path: /two}]}",
    );
    for (host, path, environment) in [
        ("api.example.com", "/", "middle"),
        ("api.example.com", "/inner", "inner"),
        ("other", "/two", "outer"),
    ] {
        let mut check = raw("GET", path, &[]);
        check.host = host.into();
        let request =
            crate::request::Request::read(check, &crate::request::Reading::default()).unwrap();
        assert_eq!(
            &*table.routes.choose(&request).unwrap().environment,
            environment
        );
    }
    let silent = super::super::DEFAULT_ENVIRONMENT;
    let table = crate::test_support::table(
        "policies: {p: {hosts: ['*'], public: true, routes: [{path: /}]}}",
    );
    assert_eq!(
        &*table.routes.choose(&get("/", &[])).unwrap().environment,
        silent
    );
}

#[test]
fn injected_headers_are_merged_by_name_and_the_nearest_wins() {
    let world = world(
        "defaults: {authenticate: near, inject: {x-a: '\"outer\"', x-b: '\"outer\"', x-c: '\"outer\"'}}
policies:
  api:
    hosts: ['*']
    inject: {x-b: '\"middle\"', x-c: '\"middle\"'}
    routes: [{path: '/{id}', inject: {x-c: path.id, x-d: route.path}}, {path: /public, public: true}]",
    );
    let lines = [
        ("x-near", "reader-key"),
        ("x-a", "mallory"),
        ("X_D", "mallory"),
    ];
    let allow = allow(&world, "/7", &lines);
    let expected = [
        ("x-a", "outer"),
        ("x-b", "middle"),
        ("x-c", "7"),
        ("x-d", "/{id}"),
    ];
    let expected: Vec<_> = expected.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    assert_eq!(set(&allow), expected);
    let removed = removed(&allow);
    for name in ["x_a", "x_b", "x_c", "x_d", "x-near"] {
        assert!(removed.contains(&name.to_owned()), "{name}: {removed:?}");
    }
}

/// H4: what one policy injects is managed everywhere, also where nothing is injected.
#[test]
fn h4_every_managed_header_is_set_or_stripped_on_every_route() {
    let world = world(
        "defaults: {authenticate: near}
policies:
  api:
    hosts: [api.example.com]
    routes:
      - {path: /, inject: {x-tenant: consumer.metadata.tenant, x-auth-id: principal.id}}
      - {path: /plain}
      - {path: /public, public: true}
  other: {hosts: [other.example], inject: {x-other-header: principal.id}, routes: [{path: /}]}",
    );
    let lines = [
        ("x-near", "reader-key"),
        ("x-tenant", "mallory"),
        ("x-auth-id", "mallory"),
        ("x-other-header", "mallory"),
        ("X_Tenant", "mallory"),
        ("x-auth-anything", "mallory"),
    ];
    let managed = [
        "x-tenant",
        "x-auth-id",
        "x-other-header",
        "x_tenant",
        "x-auth-anything",
    ];
    for (target, values) in [
        (
            "/",
            &[("x-auth-id", "near:reader"), ("x-tenant", "acme")][..],
        ),
        ("/plain", &[]),
        ("/public", &[]),
    ] {
        for shown in [&lines[..], &lines[..1]] {
            let allow = allow(&world, target, shown);
            let expected: Vec<_> = values
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect();
            assert_eq!(set(&allow), expected, "{target}");
            let removed = removed(&allow);
            for name in managed {
                let is_set = values.iter().any(|(set, _)| *set == name);
                // What Envoy does not show may be there all the same.
                let named = shown.len() > 1 || name != "x-auth-anything";
                assert_eq!(
                    removed.contains(&name.to_owned()),
                    !is_set && named,
                    "{target} {name}"
                );
            }
        }
    }
}

#[test]
fn values_are_joined_encoded_or_absent() {
    let world = world(
        "defaults: {authenticate: near}
policies:
  api:
    hosts: ['*']
    inject:
      x-tags: consumer.metadata.tags
      x-nothing: consumer.metadata.nothing
      x-missing: consumer.metadata.missing
      x-scopes: principal.scopes
      x-kind: principal.kind
      x-key: principal.credential_id
      x-where: request.path
    routes: [{path: /**}]",
    );
    let allow = allow(&world, "/a%20%C3%A9", &[("x-near", "writer-key")]);
    let expected: Vec<(String, String)> = [
        ("x-key", "w"),
        ("x-kind", "api_key"),
        ("x-scopes", "read write"),
        ("x-where", "/a %C3%A9"),
    ]
    .map(|(n, v)| (n.to_owned(), v.to_owned()))
    .into();
    assert_eq!(set(&allow), expected);
    let tags = self::allow(&world, "/a", &[("x-near", "reader-key")]);
    assert!(set(&tags).contains(&("x-tags".to_owned(), "a b%20c".to_owned())));
    for name in ["x-nothing", "x-missing"] {
        assert!(removed(&tags).contains(&name.to_owned()), "{name}");
    }
}

#[test]
fn o7_a_grpc_route_is_post_on_service_and_method() {
    let world = world(
        "defaults: {authenticate: near}
policies:
  api:
    hosts: ['*']
    routes:
      - {grpc: {service: orders.v1.Orders, methods: [Get, List]}}
      - {grpc: {service: orders.v1.Admin}}",
    );
    for (method, target, reason) in [
        ("POST", "/orders.v1.Orders/Get", Reason::Allowed),
        ("POST", "/orders.v1.Orders/List", Reason::Allowed),
        ("POST", "/orders.v1.Orders/Delete", Reason::RouteUnknown),
        ("POST", "/orders.v1.Orders/get", Reason::RouteUnknown),
        ("GET", "/orders.v1.Orders/Get", Reason::MethodNotAllowed),
        ("POST", "/orders.v1.Admin/Anything", Reason::Allowed),
        ("POST", "/orders.v1.Admin/a/b", Reason::RouteUnknown),
        ("POST", "/orders.v1.Admin", Reason::RouteUnknown),
    ] {
        for content_type in [
            "application/grpc",
            "application/grpc-web",
            "application/json",
        ] {
            let lines = [("x-near", "reader-key"), ("content-type", content_type)];
            let verdict = world.judge(raw(method, target, &lines));
            assert_eq!(verdict.reason(), reason, "{method} {target} {content_type}");
        }
    }
}
