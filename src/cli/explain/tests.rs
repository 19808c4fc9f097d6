use std::fs;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use serde_json::{Value, json};

use super::request::Asked;
use super::tree::Explanation;
use super::{explain, text};
use crate::authn::jwt::token_cache;
use crate::cli::tests::arguments;
use crate::cli::{CONFIGURATION, Cli, Command, OK, USAGE, run};
use crate::diagnostic::Diagnostics;
use crate::policy::observe::Notes;
use crate::snapshot::Snapshot;
use crate::test_support::{
    NOW, Signer, World, base64url, claims, jwk_set, key_entry, runtime, with,
};

const ISSUER: &str = "https://login.example.com";

/// Everything that a policy can ask for, behind one host; `JWKS` and `KEYS` are put in.
const POLICY: &str = r#"
authenticators:
  keys: {api_key: {from: [{header: x-api-key}, {query: key}, {cookie: session}, {header: authorization, scheme: ApiKey}]}}
  login: {jwt: {issuer: "https://login.example.com", audiences: [orders-api], jwks: {inline: JWKS}}}
  far: {jwt: {issuer: "https://far.example.com", any_audience: true, jwks: {url: "https://127.0.0.1:1/keys"}}}
roles: {clerk: {scopes: [a]}, chief: {scopes: [b]}}
consumers:
  acme: {scopes: ["orders:*"], roles: [clerk], metadata: {tenant: acme}, credentials: {keys: [KEY1]}}
  late: {expires: 2020-01-01, credentials: {keys: [KEY2]}}
  gone: {scopes: ["orders:*"], credentials: {keys: [KEY3]}}
  home: {allow_ips: [192.0.2.0/24], credentials: {keys: [KEY4]}}
revocations: [{credential: k3}]
defaults: {inject: {x-auth-id: principal.id, x-auth-tenant: consumer.metadata.tenant, x-auth-echo: 'request.headers["x-api-key"]'}}
policies:
  main:
    hosts: [api.example.com, "*.example.com"]
    authenticate: [login, keys]
    routes:
      - {path: /orders, methods: [GET], scopes: [orders:read]}
      - {path: "/orders/{id}", methods: [GET], scopes: {any: [orders:write, orders:read]}, roles: [clerk]}
      - {path: /orders/**, scopes: [orders:read]}
      - {path: /users, scopes: [users:read], methods: [GET], cors: {origins: ["https://app.example.com"]}}
      - {path: /chiefs, roles: [chief]}
      - {path: /others, callers: [{consumer: late}]}
      - {path: /near, allow_ips: [198.51.100.0/24]}
      - {path: /when, when: 'request.headers["x-tenant"] == consumer.metadata.tenant && request.method == "GET"'}
      - {path: /fails, when: 'principal.claims.nothing == "x" || request.headers["x-api-key"] == "no"'}
      - {path: /must, inject: {x-auth-must: {value: principal.claims.nothing, required: true}}}
      - {path: /both, authenticate: {all: [login, keys]}}
      - {path: /maybe, optional: true}
      - {path: /far, authenticate: far}
      - {path: /public, public: true}
  rest: {hosts: ["*"], public: true, routes: [{path: /elsewhere}]}
"#;

struct Case {
    directory: tempfile::TempDir,
    signer: Signer,
}

impl Case {
    fn new() -> Self {
        let signer = Signer::ed25519("k-1");
        let mut policy = POLICY.replace("JWKS", &jwk_set(&[&signer]));
        for (at, key) in ["key-one", "key-two", "key-three", "key-four"]
            .iter()
            .enumerate()
        {
            let id = format!("k{}", at + 1);
            policy = policy.replace(&format!("KEY{}", at + 1), &key_entry(&id, key));
        }
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("policy.yaml"), policy).unwrap();
        Self { directory, signer }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        let mut out = Diagnostics::default();
        Snapshot::build(self.directory.path(), &token_cache(0), None, &mut out)
            .unwrap_or_else(|| panic!("{}", out.render()))
    }

    fn token(&self, issuer: &str) -> String {
        self.signer.token(&claims(issuer))
    }

    fn asked(&self, words: &[&str]) -> Asked {
        asked(
            &[
                &["--policies", "unused", "--now", "2027-01-15T08:00:00Z"],
                words,
            ]
            .concat(),
        )
        .unwrap()
    }

    fn explain(&self, words: &[&str]) -> Explanation {
        explain(&self.snapshot(), self.asked(words), false, false).unwrap()
    }
}

fn asked(words: &[&str]) -> Result<Asked, String> {
    let words = [&["explain"], words].concat();
    let cli = Cli::try_parse_from(arguments(&words)).map_err(|error| error.to_string())?;
    let Command::Explain(explain) = cli.command else {
        panic!("another command");
    };
    Asked::read(&explain, &mut &b""[..])
}

/// URL, headers, reason, and lines that the tree holds.
type Row<'a> = (&'a str, &'a [&'a str], &'a str, &'a [&'a str]);

#[test]
fn tells_why_for_every_main_reason() {
    let case = Case::new();
    let bearer = format!("authorization: Bearer {}", case.token(ISSUER));
    let far = format!(
        "authorization: Bearer {}",
        case.token("https://far.example.com")
    );
    let other = format!(
        "authorization: Bearer {}",
        case.token("https://other.example.com")
    );
    let old = with(&claims(ISSUER), "exp", json!(NOW - 60));
    let old = format!("authorization: Bearer {}", case.signer.token(&old));
    let one = "x-api-key: key-one";
    let rows: &[Row<'_>] = &[
        (
            "/orders",
            &[one],
            "allowed",
            &[
                "keys (api_key): verified",
                "key id k1",
                "holds (route): requires orders:read, there is a orders:*",
                "set x-auth-id: keys:acme   (principal.id)",
                "set x-auth-tenant: acme",
                "remove x-api-key: the request carries it",
                "ALLOW allowed",
            ],
        ),
        (
            "/orders",
            &[&bearer],
            "allowed",
            &[
                "login (jwt): verified",
                "sub = \"alice\"",
                "belongs to no consumer",
                "remove x-auth-tenant: consumer.metadata.tenant is absent",
            ],
        ),
        (
            "/orders/7",
            &[one],
            "allowed",
            &[
                "path.id = \"7\"",
                "less specific: main /orders/** all but CONNECT and TRACE",
                "less specific, not consulted: *.example.com",
                "holds (route): requires orders:write or orders:read",
            ],
        ),
        (
            "/orders",
            &[],
            "credentials_missing",
            &[
                "header x-api-key: nothing",
                "keys (api_key): absent",
                "any of: absent",
            ],
        ),
        (
            "/orders",
            &["x-api-key: wrong"],
            "key_unknown",
            &[
                "keys (api_key): refused: key_unknown",
                "DENY 401 key_unknown",
            ],
        ),
        (
            "/orders",
            &[one, "cookie: session=key-one"],
            "credentials_ambiguous",
            &["two credentials of one kind"],
        ),
        (
            "/orders",
            &["x-api-key: a,b"],
            "credentials_ambiguous",
            &[
                "holds more than one value, or a comma",
                "keys (api_key): not read",
            ],
        ),
        (
            "/orders",
            &["authorization: nonsense"],
            "credentials_unrecognised",
            &[
                "begins with no scheme that is looked for",
                "belongs to nobody",
            ],
        ),
        (
            "/orders",
            &[&old],
            "token_expired",
            &["`exp` passed 60 s ago", "exp 2027-01-15T07:59:00.000Z"],
        ),
        (
            "/orders",
            &[&other],
            "token_issuer_unknown",
            &["iss \"https://other.example.com\"", "belongs to nobody"],
        ),
        (
            "/far",
            &[&far],
            "dependency_unavailable",
            &[
                "far (jwt): unavailable",
                "keys are not fetched (use --fetch)",
            ],
        ),
        (
            "/orders",
            &["x-api-key: key-two"],
            "consumer_expired",
            &["consumer late: consumer_expired", "expires: 2020-01-01"],
        ),
        (
            "/orders",
            &["x-api-key: key-three"],
            "credentials_revoked",
            &["revocations: `revocations` names its credential"],
        ),
        (
            "/public",
            &["x-api-key: key-four"],
            "allowed",
            &["the route is public"],
        ),
        (
            "/maybe",
            &["x-api-key: key-four"],
            "address_refused",
            &["addresses: 192.0.2.0/24", "client address: not known"],
        ),
        ("/maybe", &[], "allowed", &["authentication: anonymous"]),
        (
            "/users",
            &[one],
            "scope_insufficient",
            &[
                "fails (route): requires users:read, there is a orders:*",
                "not reached: roles, conditions, headers",
            ],
        ),
        (
            "/chiefs",
            &[one],
            "role_missing",
            &["requires the role `chief`, there is clerk"],
        ),
        (
            "/others",
            &[one],
            "caller_refused",
            &["requires late, there is acme"],
        ),
        (
            "/near",
            &[one],
            "address_refused",
            &["requires 198.51.100.0/24, there is an address that is not known"],
        ),
        (
            "/when",
            &[one, "x-tenant: else"],
            "condition_false",
            &[
                "request.headers[\"x-tenant\"] = \"else\"",
                "consumer.metadata.tenant = \"acme\"",
                "request.method == \"GET\" is true",
                "request.headers[\"x-tenant\"] == consumer.metadata.tenant is false",
            ],
        ),
        (
            "/fails",
            &[one],
            "condition_failed",
            &[
                "principal.claims.nothing == \"x\" is failed",
                "request.headers[\"x-api-key\"] = (not shown",
            ],
        ),
        (
            "/must",
            &[&bearer],
            "inject_refused",
            &["headers: refused: the value of `x-auth-must` is required and absent"],
        ),
        (
            "/both",
            &[&bearer],
            "credentials_missing",
            &["all of: absent", "login (jwt): verified"],
        ),
        (
            "/both",
            &[&bearer, one],
            "allowed",
            &[
                "all of: verified",
                "authentication: login:alice, beside keys:acme",
            ],
        ),
        (
            "/order",
            &[one],
            "route_unknown",
            &["near: main /orders: is spelled almost alike", "route: none"],
        ),
        (
            "/elsewhere",
            &[one],
            "route_unknown",
            &["near: rest * /elsewhere: covers the path for a less specific host"],
        ),
        (
            "/users/",
            &[one],
            "route_unknown",
            &["near: main /users: differs by the slash at its end only"],
        ),
        (
            "/a/../orders",
            &[one],
            "path_ambiguous",
            &[
                "request: refused",
                "not reached: preflight, route, authentication",
            ],
        ),
    ];
    for (target, headers, reason, lines) in rows {
        let url = format!("https://api.example.com{target}");
        let mut words = vec![url.as_str()];
        words.extend(headers.iter().flat_map(|header| ["-H", header]));
        let explanation = case.explain(&words);
        let tree = text::render(&explanation);
        let json = explanation.to_json();
        assert_eq!(json["reason"], **reason, "{target}: {tree}");
        for line in *lines {
            assert!(tree.contains(line), "{target}: no {line:?} in\n{tree}");
        }
        let allowed = json["decision"] == "allow";
        let to_its_end = allowed || *reason == "inject_refused";
        assert_eq!(to_its_end, json["not_reached"] == json!([]), "{target}");
        assert_eq!(allowed, json["answer"] == Value::Null, "{target}");
    }
}

#[test]
fn tells_which_methods_a_path_has() {
    let case = Case::new();
    let explanation = case.explain(&["-X", "PUT", "https://api.example.com/orders"]);
    let tree = text::render(&explanation);
    assert_eq!(explanation.to_json()["reason"], "method_not_allowed");
    assert!(
        tree.contains("main GET") && tree.contains("allow: GET, HEAD"),
        "{tree}"
    );
}

#[test]
fn tells_how_a_preflight_ends() {
    let case = Case::new();
    for (origin, decision, lines) in [
        (
            "https://app.example.com",
            "reply",
            &[
                "preflight for main /users: answered",
                "REPLY 204 preflight",
                "access-control-allow-methods: GET",
            ][..],
        ),
        (
            "https://evil.example",
            "deny",
            &[
                "preflight for main /users: refused",
                "does not admit the origin",
                "not reached: route",
            ],
        ),
    ] {
        let origin = format!("origin: {origin}");
        let explanation = case.explain(&[
            "-X",
            "OPTIONS",
            "-H",
            &origin,
            "-H",
            "access-control-request-method: GET",
            "https://api.example.com/users",
        ]);
        let tree = text::render(&explanation);
        assert_eq!(explanation.to_json()["decision"], decision, "{tree}");
        assert_eq!(explanation.allowed(), decision == "reply");
        for line in lines {
            assert!(tree.contains(line), "no {line:?} in\n{tree}");
        }
    }
}

#[test]
fn explained_and_served_decisions_agree() {
    let case = Case::new();
    let bearer = format!("authorization: Bearer {}", case.token(ISSUER));
    let hosts = ["api.example.com", "b.example.com", "other.test", "user@x"];
    let paths = "/orders /orders/1 /orders/1/2 /users /chiefs /others /near /when /fails /must /both /maybe /public /elsewhere /none //orders /orders?key=key-one";
    let credentials: [&[&str]; 7] = [
        &[],
        &["x-api-key: key-one"],
        &["x-api-key: key-four"],
        &["cookie: session=key-three; a=b"],
        &["authorization: ApiKey key-one"],
        &[&bearer],
        &[&bearer, "x-api-key: key-one"],
    ];
    let snapshot = case.snapshot();
    let (mut judged, mut allowed) = (0, 0);
    let runtime = runtime();
    for host in hosts {
        for path in paths.split(' ') {
            for (method, credential) in credentials.iter().flat_map(|c| [("GET", c), ("POST", c)]) {
                let url = format!("https://api.example.com{path}");
                let host = format!("host: {host}");
                let mut words = vec!["-X", method, &url, "-H", &host];
                words.extend(credential.iter().flat_map(|header| ["-H", header]));
                let asked = || case.asked(&words).raw;
                let (world, budget) = (
                    World::serving(Arc::clone(&snapshot)),
                    Duration::from_secs(5),
                );
                let served = runtime.block_on(world.pipeline.check(asked(), budget, None));
                let notes = Notes::default();
                let explained = runtime.block_on(world.pipeline.explain(asked(), budget, &notes));
                let tree = Explanation::of(notes.into_events(), &explained, &[]);
                assert_eq!(explained.reason(), served.reason(), "{words:?}");
                assert_eq!(explained.status(), served.status(), "{words:?}");
                assert_eq!(tree.reason(), served.reason(), "{words:?}");
                // What is told of the routes is what was chosen.
                if let (Some(route), Some(routing)) = (&tree.route, &tree.routing) {
                    let first = &routing.paths[0].path;
                    assert_eq!(*first, route.path, "{words:?}");
                }
                judged += 1;
                allowed += usize::from(tree.allowed());
            }
        }
    }
    assert!(
        judged > 900 && allowed > 80 && allowed * 2 < judged,
        "{allowed} of {judged}"
    );
}

#[test]
fn no_secret_is_ever_told() {
    const CANARY: &str = "c4n4ry-s3cr3t";
    let case = Case::new();
    let snapshot = case.snapshot();
    let jwt = format!(
        "{}.{}.{CANARY}",
        base64url("{\"alg\":\"EdDSA\",\"kid\":\"k-1\"}"),
        base64url(claims(ISSUER).to_string())
    );
    let basic = format!("user:{CANARY}");
    let own = format!("pk_live_id_{CANARY}");
    let headers = [
        format!("x-api-key: {CANARY}"),
        format!("x-api-key: {own}"),
        format!("authorization: {CANARY}"),
        format!("authorization: {CANARY} x"),
        format!("authorization: Bearer {CANARY}"),
        format!("authorization: Bearer {jwt}"),
        format!("authorization: ApiKey {CANARY}"),
        format!("cookie: session={CANARY}"),
        format!("cookie: other={CANARY}; session=key-one"),
        format!("proxy-authorization: Basic {CANARY}"),
        format!("x-shared-secret: {CANARY}"),
    ];
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &basic);
    let mut words: Vec<Vec<String>> = headers
        .iter()
        .map(|header| vec!["-H".to_owned(), header.clone()])
        .collect();
    words.push(vec!["-u".to_owned(), basic]);
    words.push(vec!["--oauth2-bearer".to_owned(), CANARY.to_owned()]);
    words.push(vec!["-b".to_owned(), format!("session={CANARY}")]);
    words.push(vec!["-d".to_owned(), CANARY.to_owned()]);
    words.push(Vec::new());
    let (mut explained, mut told) = (0, 0);
    for extra in &words {
        for target in [
            "/orders", "/fails", "/when", "/maybe", "/public", "/both", "/none", "/must",
        ] {
            for query in [
                String::new(),
                format!("?key={CANARY}"),
                format!("?a={CANARY}&key=key-one"),
            ] {
                for user in [String::new(), format!("me:{CANARY}@")] {
                    let url = format!("https://{user}api.example.com{target}{query}");
                    let mut words: Vec<&str> = vec![&url, "-H", "x-tenant: acme"];
                    words.extend(extra.iter().map(String::as_str));
                    let world = World::serving(Arc::clone(&snapshot));
                    let authenticators = &snapshot.table.authenticators;
                    let notes = Notes::new(authenticators.iter().map(AsRef::as_ref));
                    let asked = case.asked(&words).raw;
                    let names: Vec<Vec<u8>> =
                        asked.headers.iter().map(|(n, _)| n.to_vec()).collect();
                    let verdict = runtime().block_on(world.pipeline.explain(
                        asked,
                        Duration::from_secs(5),
                        &notes,
                    ));
                    let events = format!("{notes:?}");
                    let explanation = Explanation::of(notes.into_events(), &verdict, &names);
                    for output in [
                        events,
                        text::render(&explanation),
                        explanation.to_json().to_string(),
                    ] {
                        assert!(
                            !output.contains(CANARY) && !output.contains(&encoded),
                            "{words:?}: {output}"
                        );
                        told += output.len();
                    }
                    explained += 1;
                }
            }
        }
    }
    assert!(explained > 500 && told > explained * 1_000);
}

#[test]
fn reads_what_curl_reads() {
    let header = |asked: &Asked, name: &str| {
        let mut values = asked.raw.headers.all(name);
        values
            .next()
            .map(|value| String::from_utf8_lossy(value).into_owned())
    };
    let read = |words: &[&str]| asked(&[&["--policies", "p"], words].concat()).unwrap();
    let plain = read(&["API.example.com/a?b#c"]);
    assert_eq!(
        (&plain.raw.method[..], &plain.raw.path[..]),
        (&b"GET"[..], &b"/a?b"[..])
    );
    assert_eq!(
        (&plain.raw.host[..], &plain.raw.scheme[..]),
        (&b"API.example.com"[..], &b"http"[..])
    );
    assert_eq!(header(&plain, ":path").as_deref(), Some("/a?b"));
    let asked = read(&[
        "-sSvik",
        "-XPUT",
        "-HX-A:  1 ",
        "-u",
        "me:pw",
        "-b",
        "a=1",
        "-b",
        "b=2",
        "-A",
        "me/1",
        "-d",
        "x=1",
        "-d",
        "y=2",
        "--context",
        "policy=p",
        "--client-address",
        "192.0.2.1",
        "https://u:%70@h:8443?q",
    ]);
    assert_eq!(
        (&asked.raw.method[..], &asked.raw.path[..]),
        (&b"PUT"[..], &b"/?q"[..])
    );
    assert_eq!(&asked.raw.host[..], b"h:8443");
    for (name, value) in [
        ("x-a", "1"),
        ("authorization", "Basic bWU6cHc="),
        ("cookie", "a=1; b=2"),
        ("user-agent", "me/1"),
        ("content-length", "7"),
    ] {
        assert_eq!(header(&asked, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(
        asked.raw.context_extensions,
        [("policy".into(), "p".into())]
    );
    assert_eq!(&asked.raw.source.address[..], b"192.0.2.1");
    let by_url = read(&["https://u:%70+@h/"]);
    assert_eq!(
        header(&by_url, "authorization").as_deref(),
        Some("Basic dTpwKw==")
    );
    let removed = read(&[
        "-HAccept:",
        "-HX-Empty;",
        "-I",
        "-H",
        "Host: other",
        "http://h/",
    ]);
    assert_eq!(header(&removed, "accept"), None);
    assert_eq!(header(&removed, "x-empty").as_deref(), Some(""));
    assert_eq!(
        (&removed.raw.method[..], &removed.raw.host[..]),
        (&b"HEAD"[..], &b"other"[..])
    );
}

#[test]
fn refuses_what_it_does_not_read() {
    for words in [
        &["ftp://h/"][..],
        &["https://"],
        &["https://h/", "-H", "nonsense"],
        &["https://h/", "-H", "@file"],
        &["https://h/", "-H", "a b: c"],
        &["https://h/", "-b", "jar"],
        &["https://h/", "-d", "@file"],
        &["https://h/", "--context", "policy"],
        &["https://h/", "--now", "soon"],
        &["https://h/", "--cert", "/nowhere/cert.pem"],
        &["https://h/", "--proxy", "x"],
        &["https://h/", "--client-address", "x"],
        &[],
    ] {
        let words = [&["--policies", "p"], words].concat();
        assert!(asked(&words).is_err(), "{words:?}");
    }
}

#[test]
fn takes_a_request_out_of_the_audit_log() {
    let words = arguments(&["explain", "--policies", "p", "--from-audit"]);
    let Command::Explain(words) = Cli::try_parse_from(words).unwrap().command else {
        panic!("another command");
    };
    let line = json!({"time": "2027-01-15T08:00:00.250Z", "method": "PUT", "host": "h", "path": "/a", "client_address": "192.0.2.1"});
    let asked = Asked::read(&words, &mut line.to_string().as_bytes()).unwrap();
    assert_eq!(
        (&asked.raw.method[..], &asked.raw.path[..]),
        (&b"PUT"[..], &b"/a"[..])
    );
    assert_eq!((&asked.raw.host[..], asked.now), (&b"h"[..], Some(NOW)));
    assert_eq!(&asked.raw.source.address[..], b"192.0.2.1");
    for bad in ["", "{}", "[]", "nonsense"] {
        assert!(Asked::read(&words, &mut bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_terminal_shows_what_a_caller_sent_as_it_is() {
    let case = Case::new();
    let url = "https://api.example.com/orders/%1b";
    assert_eq!(case.explain(&[url]).to_json()["reason"], "path_ambiguous");
    let tree = text::render(&case.explain(&["https://api.example.com/orders/%E2%80%AEx"]));
    assert!(
        tree.contains("\\u{202e}") && !tree.contains('\u{202e}'),
        "{tree}"
    );
}

#[test]
fn tells_by_its_exit_status() {
    let case = Case::new();
    let directory = case.directory.path().to_str().unwrap();
    let exit = |words: &[&str]| run(arguments(&[&["explain", "--policies"], words].concat()));
    for output in ["text", "json"] {
        let public = "https://api.example.com/public";
        assert_eq!(exit(&[directory, public, "--output", output]), OK);
        let refused = "https://api.example.com/orders";
        assert_eq!(exit(&[directory, refused, "--output", output]), 1);
        assert_eq!(
            exit(&["/nowhere", public, "--output", output]),
            CONFIGURATION
        );
    }
    assert_eq!(exit(&[directory, "ftp://x"]), USAGE);
}
