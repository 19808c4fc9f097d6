//! Random pairs of small sets and random callers: who passes now and could not before was told of.

use std::sync::OnceLock;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, proptest};
use proptest::sample::{select, subsequence};
use serde_json::json;

use super::{compiled, side};
use crate::policy::compile::PolicyTable;
use crate::policy::diff::{Diff, diff};
use crate::request::Request;
use crate::request::raw::RawCheck;
use crate::test_support::{NOW, Signer, World, jwk_set, key_entry, raw};
use crate::verdict::Reason;

struct Tokens {
    keys: String,
    /// Of alice with both scopes, of a program with one of them.
    tokens: [String; 2],
}

fn tokens() -> &'static Tokens {
    static TOKENS: OnceLock<Tokens> = OnceLock::new();
    TOKENS.get_or_init(|| {
        let signer = Signer::ed25519("k");
        let token = |sub: &str, scope: &str, azp: &str| {
            signer.token(&json!({
                "iss": "https://i.example", "aud": "api", "sub": sub, "scope": scope, "azp": azp,
                "groups": ["staff"], "iat": NOW, "exp": NOW + 3600,
            }))
        };
        Tokens {
            keys: jwk_set(&[&signer]),
            tokens: [token("alice", "s t", "web"), token("job", "s", "job")],
        }
    })
}

/// The parts of a set, each of which may come from another one: authenticators, consumers, defaults,
/// two policies.
type Parts = [String; 6];

fn one_of(texts: &[&'static str]) -> impl Strategy<Value = &'static str> + use<> {
    select(texts.to_vec())
}

fn rules() -> impl Strategy<Value = String> {
    (
        one_of(&[
            "public: true",
            "authenticate: a",
            "authenticate: b",
            "authenticate: [a, b]",
            "authenticate: login",
            "authenticate: [login, a]",
            "authenticate: {all: [a, b]}",
            "authenticate: {all: [a, b], principal: b}",
            "authenticate: [a, {all: [a, b], principal: b}]",
            "authenticate: {all: [login, {any: [a, b]}]}",
        ]),
        one_of(&["", ", optional: true"]),
        one_of(&[
            "",
            "",
            ", scopes: [s]",
            ", scopes: [s, t]",
            ", scopes: {any: [s, t]}",
        ]),
        one_of(&[
            "",
            "",
            "",
            "",
            ", roles: [clerk]",
            ", roles: {any: [clerk, boss]}",
        ]),
        one_of(&[
            "",
            "",
            "",
            ", callers: [{consumer: acme}]",
            ", callers: [{consumer: acme}, {consumer: bolt}]",
        ]),
        one_of(&[
            "",
            "",
            "",
            "",
            ", allow_ips: [10.0.0.0/8]",
            ", allow_ips: [10.1.0.0/16, 192.0.2.0/24]",
        ]),
        one_of(&["", "", "", "", "", ", environment: test", ", mode: shadow"]),
        one_of(&[
            "",
            "",
            "",
            ", when: request.method == 'GET'",
            ", when: request.path.startsWith('/a')",
        ]),
        one_of(&[
            "",
            "",
            "",
            ", when: \"!principal.scopes.exists(x, x == 't')\"",
            ", when: auth['b'].subject == 'bolt'",
            ", inject: {x-auth-c: {value: consumer.name, required: true}}",
        ]),
    )
        .prop_map(
            |(access, optional, scopes, roles, callers, ips, environment, open, asks)| {
                let asks = if open.is_empty() || asks.contains("inject") {
                    asks
                } else {
                    ""
                };
                if access == "public: true" {
                    format!("{access}{ips}{environment}{open}")
                } else {
                    format!(
                        "{access}{optional}{scopes}{roles}{callers}{ips}{environment}{open}{asks}"
                    )
                }
            },
        )
}

fn policy(name: &'static str) -> impl Strategy<Value = String> {
    let route = (
        one_of(&[
            "/a", "/a/b", "/a/", "/{p}/b", "/a/{q}", "/a/**", "/**", "/{p}",
        ]),
        one_of(&["", "", ", methods: [GET]", ", methods: [PUT]"]),
        rules(),
    );
    let hosts = subsequence(vec!["a.x", "'*.x'", "'*'"], 1..=2);
    (hosts, vec(route, 1..=3)).prop_map(move |(hosts, routes)| {
        let routes: Vec<String> = routes
            .iter()
            .map(|(path, methods, rules)| format!("{{path: '{path}'{methods}, {rules}}}"))
            .collect();
        let (hosts, routes) = (hosts.join(", "), routes.join(", "));
        format!("  {name}: {{hosts: [{hosts}], routes: [{routes}]}}\n")
    })
}

fn authenticators() -> impl Strategy<Value = String> {
    (
        one_of(&[
            "audiences: [api]",
            "audiences: [api]",
            "audiences: [web]",
            "any_audience: true",
        ]),
        one_of(&["", ", roles: {claim: groups, map: {staff: clerk}}"]),
        one_of(&["x-a", "x-a2"]),
    )
        .prop_map(|(audience, roles, header)| {
            let keys = &tokens().keys;
            format!(
                "  a: {{api_key: {{from: [{{header: {header}}}]}}}}
  b: {{api_key: {{from: [{{header: x-b}}]}}}}
  login: {{jwt: {{issuer: https://i.example, {audience}, jwks: {{inline: {keys}}}{roles}}}}}
"
            )
        })
}

fn consumer(name: &'static str) -> impl Strategy<Value = String> {
    (
        one_of(&["", ", scopes: [s]", ", scopes: [s, t]", ", scopes: ['*']"]),
        one_of(&["", "", ", roles: [clerk]", ", roles: [boss, clerk]"]),
        one_of(&["", "", "", "", "", "", ", environment: test"]),
        one_of(&["", "", "", "", ", allow_ips: [10.0.0.0/8]"]),
        one_of(&["", "", "", "", "", ", expires: 2001-01-01"]),
        one_of(&["", ", scopes: [s]", ", scopes: [t]", ", expires: 2001-01-01"]),
        subsequence(vec!["a", "b", "login"], 1..=3),
    )
        .prop_map(move |(scopes, roles, environment, ips, expires, own, with)| {
            let credentials: Vec<String> = with
                .iter()
                .map(|authenticator| match *authenticator {
                    "login" => {
                        let azp = if name == "acme" { "web" } else { "job" };
                        format!("login: [{{claim: azp, value: {azp}}}]")
                    }
                    with => {
                        let id = format!("{name}-{with}");
                        let entry = key_entry(&id, &format!("key-{id}"));
                        let entry = entry.replace('}', &format!("{own}}}"));
                        format!("{with}: [{entry}]")
                    }
                })
                .collect();
            let credentials = credentials.join(", ");
            format!(
                "  {name}: {{metadata: {{}}{scopes}{roles}{environment}{ips}{expires}, credentials: {{{credentials}}}}}\n"
            )
        })
}

fn parts() -> impl Strategy<Value = Parts> {
    let defaults = one_of(&[
        "",
        "",
        "",
        "defaults: {scopes: [s]}\n",
        "defaults: {paths: {trailing_slash: ignore}}\n",
        "defaults: {environment: test}\n",
        "defaults: {unenforced: allow}\n",
        "revocations: [{credential: acme-a}]\n",
        "revocations: [{consumer: bolt}]\n",
    ]);
    (
        authenticators(),
        consumer("acme"),
        consumer("bolt"),
        defaults,
        policy("p"),
        policy("q"),
    )
        .prop_map(|(authenticators, acme, bolt, defaults, p, q)| {
            [authenticators, acme, bolt, defaults.to_owned(), p, q]
        })
}

fn text(parts: &Parts) -> String {
    let [authenticators, acme, bolt, defaults, p, q] = parts;
    format!(
        "authenticators:\n{authenticators}roles: {{clerk: {{scopes: [s]}}, boss: {{scopes: [t]}}}}\nconsumers:\n{acme}{bolt}{defaults}policies:\n{p}{q}"
    )
}

fn requests() -> impl Strategy<Value = RawCheck> {
    (
        one_of(&["GET", "PUT", "POST"]),
        one_of(&["a.x", "b.x", "c.a.x", "other"]),
        one_of(&["/a", "/a/", "/a/b", "/a/c", "/c/b", "/c", "/a/b/c", "/c/d"]),
        one_of(&["10.1.0.1", "10.2.0.1", "192.0.2.1"]),
        one_of(&["", "", "p", "q"]),
    )
        .prop_map(|(method, host, path, address, pin)| {
            let mut check = raw(method, path, &[]);
            check.host = Bytes::from_static(host.as_bytes());
            check.source.address = Bytes::from_static(address.as_bytes());
            if !pin.is_empty() {
                let policy = Bytes::from_static(b"policy");
                check.context_extensions = vec![(policy, Bytes::from_static(pin.as_bytes()))];
            }
            check
        })
}

/// What a caller holds: a key for each of two authenticators, and a token, or none of them.
type Holds = [Option<&'static str>; 3];

fn holds() -> impl Strategy<Value = Holds> {
    (
        select(vec![Some("key-acme-a"), Some("key-bolt-a")]),
        select(vec![Some("key-acme-b"), Some("key-bolt-b")]),
        select(vec![None, Some("alice"), Some("job")]),
    )
        .prop_map(|(a, b, token)| [a, b, token])
}

/// Whether the caller passes with some of what it holds, sent where the set reads it.
fn passes(world: &World, request: &RawCheck, holds: &Holds, header: &str) -> bool {
    (0..8_u8).any(|chosen| {
        let sent = |at: usize| holds[at].filter(|_| chosen & (1 << at) != 0);
        let mut lines: Vec<(&str, String)> = Vec::new();
        lines.extend(sent(0).map(|key| (header, key.to_owned())));
        lines.extend(sent(1).map(|key| ("x-b", key.to_owned())));
        lines.extend(sent(2).map(|who| {
            let token = &tokens().tokens[usize::from(who == "job")];
            ("authorization", format!("Bearer {token}"))
        }));
        let lines: Vec<(&str, &str)> = lines.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let mut check = request.clone();
        check.headers = raw("GET", "/", &lines).headers;
        world.judge(check).reason() == Reason::Allowed
    })
}

/// The route that decides, be it one in shadow that nothing enforces.
fn chosen(table: &PolicyTable, request: &RawCheck) -> Option<(String, String)> {
    let request = Request::read(request.clone(), &table.reading).ok()?;
    let enforced = table.routes.choose(&request).ok();
    let shadow = table.shadow.as_ref().filter(|_| table.unenforced_allow);
    let route = enforced.or_else(|| shadow?.choose(&request).ok())?;
    Some((route.policy.to_string(), route.path.to_string()))
}

/// Whether something is told of the request's routes, or of what it is judged with.
fn tells(diff: &Diff, old: Option<&(String, String)>, new: Option<&(String, String)>) -> bool {
    let of_routes = diff.routes.iter().filter(|change| {
        let name = |judge: &crate::policy::diff::Judge| (judge.policy.clone(), judge.path.clone());
        change.old.as_ref().map(name).as_ref() == old
            && change.new.as_ref().map(name).as_ref() == new
    });
    let named = diff.named.iter().flat_map(|change| &change.differences);
    let mut told = of_routes
        .flat_map(|change| &change.differences)
        .chain(named);
    told.any(|one| one.effect.may_open())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn who_passes_now_and_could_not_was_told_of(
        one in parts(),
        other in parts(),
        takes in vec(any::<bool>(), 6),
        callers in vec((requests(), holds()), 12),
    ) {
        let mut mixed = one.clone();
        for (at, _) in takes.iter().enumerate().filter(|(_, takes)| **takes) {
            mixed[at].clone_from(&other[at]);
        }
        let (before, after) = (text(&one), text(&mixed));
        // Some sets have two routes for one request.
        let (Ok(old), Ok(new)) = (compiled(&before), compiled(&after)) else {
            return Ok(());
        };
        let sides = [(&old, &before), (&new, &after)];
        for [(old, before), (new, after)] in [sides, [sides[1], sides[0]]] {
            let found = diff(&side(&old.0, &old.1), &side(&new.0, &new.1));
            let [old_world, new_world] = [before, after].map(|text| World::new(text));
            let header = |text: &str| if text.contains("x-a2") { "x-a2" } else { "x-a" };
            for (request, holds) in &callers {
                if !passes(&new_world, request, holds, header(after))
                    || passes(&old_world, request, holds, header(before))
                {
                    continue;
                }
                let was = chosen(&old.1, request);
                let is = chosen(&new.1, request);
                prop_assert!(
                    tells(&found, was.as_ref(), is.as_ref()),
                    "{request:?} of {holds:?} passes: {was:?} -> {is:?}\n{before}\n{after}\n{found:#?}"
                );
            }
        }
    }
}
