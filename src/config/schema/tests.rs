//! Schema and decoder take and refuse the same, and the files that carry the schema are up to date.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{policy, shapes};
use crate::config::shape::Shape;
use crate::diagnostic::Diagnostics;
use crate::test_support::{compile, read};

/// Policies that hold every key of the language at least once.
const SAMPLES: [&str; 8] = [
    "
version: portcullis/v1
authenticators:
  plain: {api_key: }
  key:
    api_key:
      from: [{header: x-key}, {header: authorization, scheme: Key}, {query: key}, {cookie: key}]
      prefix: pk_
      forward: true
  login:
    jwt:
      issuer: https://login.example.com
      audiences: [api]
      algorithms: [ES256]
      jwks: {url: 'http://keys.example.com', allow_http: true}
      clock_skew: 10s
      roles: {claim: groups, map: {order-clerk: clerk}}
      from: {header: x-token}
      forward: false
  wide: {jwt: {issuer: 'https://wide.example.com', any_audience: true, jwks: {file: ROOT/policies/shop/company-login.jwks.json}}}
  inside: {jwt: {issuer: inside, audiences: [api], algorithms: [ES256], jwks: {inline: {'keys': [{'kty': 'EC', 'crv': 'P-256', 'x': '6W-CUOsqEW4Z7MCvC8kpBpTdjNMKy4d9ZeDlkPjLgv0', 'y': 'KVN-exEWrKd5eKD_0bwIGN3WiDTZsPd3zaKNq0zRMlM'}]}}}}
roles: {clerk: {scopes: ['orders:*']}}
consumers:
  bare:
  acme:
    environment: live
    scopes: [a]
    roles: [clerk]
    allow_ips: [203.0.113.0/24]
    expires: '2027-06-30T12:00:00Z'
    metadata: {tenant: acme, more: [1, true]}
    credentials:
      key:
        - {id: one, hash: 'sha256:aef69e341ea3fae84e39ac96813c0fc457b820741dcf55cac4a478d756f3391b', expires: 2027-01-31, scopes: [a]}
      login: [{claim: azp, value: shop}]
revocations:
  - {credential: k7Yt2Q, before: 2026-11-01}
  - {jti: a}
  - {session: a}
  - {subject: 'login:mallory'}
  - {consumer: acme}
",
    "
authenticators:
  key: {api_key: {}}
  other: {api_key: {from: {header: x-other}}}
roles: {clerk: {scopes: a}, auditor: {scopes: [b]}}
tenants:
  team: {hosts: [team.example.com], paths: [/team/**], use: [key], scopes: ['team:*'], may: [public, shadow, forward]}
consumers: {acme: {scopes: []}}
defaults:
  authenticate: [key, {all: [other, key]}]
  optional: true
  public: false
  scopes: [a]
  roles: clerk
  callers: [{consumer: acme}]
  allow_ips: 203.0.113.7
  when: request.method == 'GET'
  environment: live
  mode: enforce
  inject: {x-a: principal.id, x-b: {value: principal.subject, required: true}}
  reserved_prefix: x-auth-
  unknown_route: not_found
  client_address: {trusted_hops: 1, envoy_appends: true}
  paths: {empty_segments: allow, matrix_parameters: refuse, encoded_slashes: allow, trailing_slash: ignore}
  errors: {disclose: [scopes]}
  unenforced: deny
  cors: {origins: ['https://app.example.com'], headers: [x-a], expose: [x-b], credentials: true, max_age: 10m}
  require: {authenticators: [key], scopes: [a]}
policies:
  p:
    hosts: [a]
    authenticate: {any: [key, other]}
    routes:
      - {path: '/a/{b}', methods: [GET], scopes: {any: [a, b]}, roles: {any: [clerk, auditor]}}
      - {grpc: {service: a.B, methods: [C]}, scopes: {all: [a]}, roles: {all: [clerk, auditor]}}
      - {grpc: {service: a.D}, authenticate: {all: [key, other], principal: other}}
",
    "
authenticators: {key: {api_key: {}}}
policies:
  p:
    hosts: a
    authenticate: key
    routes:
      GET /a: orders:read
      GET /b: [a, b]
      GET /c: public
      GET /d: {scopes: a}
tests:
  - name: one
    now: 2026-12-01
    request:
      method: GET
      url: https://a/a
      headers: [{x-a: b}, {x-b: [c, d]}]
      client_address: 192.0.2.1
      protocol: HTTP/2
      body: text
      context: {a: b}
      as: [{consumer: c, credential: k}, {authenticator: key, subject: s, scopes: [a], issued: 2026-11-30, expires: 2026-12-02, claims: {a: 1}}]
    expect:
      status: 200
      reason: allowed
      policy: p
      route: /a
      upstream_headers: {x-a: b, x-b: [c], x-c: }
      upstream_path: /a
      removed_headers: [x-d]
      response_headers: {x-e: f}
      body: {status: 200}
      metadata: {decision_id: a, reason: allowed, policy: p, route: /a, principal: 'key:c', subject: c, authenticator: key, credential_id: k, consumer: c, scopes: [a]}
",
    "
authenticators:
  bare: {http_signature: }
  key:
    http_signature:
      require: ['@method', '\"@query-param\";name=\"id\"', content-digest]
      algorithms: [ed25519, hmac-sha256]
      tag: orders
      label: sig1
      nonce: required
      jwks: {url: 'https://keys.example.com/jwks.json'}
      max_age: 1m
      clock_skew: 10s
      forward: true
consumers:
  acme:
    credentials:
      key:
        - {key_id: k1, algorithm: hmac-sha256, secret: {insecure_literal: 0123456789abcdef}, scopes: [], expires: 2027-01-31}
        - {key_id: k2, algorithm: ed25519, public_key: {file: ROOT/src/authn/http_signature/tests/keys/ed25519.pub.pem}}
        - {key_id: k3}
policies:
  p:
    hosts: [a]
    external_url: https://api.example.com/v1
    authenticate: key
    routes: [{path: /}]
",
    "
authenticators:
  pay: {webhook: {scheme: stripe, secrets: [{insecure_literal: 0123456789abcdef}, {env: CARGO_PKG_NAME}], max_age: 1m}}
  events:
    webhook: {scheme: standard, headers: svix, secrets: [{insecure_literal: whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}]}
  courier:
    webhook:
      custom:
        header: x-courier
        prefix: v=
        element: v1
        separator: ;
        encoding: base64
        algorithm: hmac-sha512
        template: '{timestamp}.{id}.{body}'
        timestamp: {element: t, format: milliseconds}
        id: x-courier-id
      secrets: {file: ROOT/src/authn/http_signature/tests/keys/ed25519.pub.pem}
  timed:
    webhook:
      custom: {header: x-timed, template: '{timestamp}.{body}', timestamp: {header: x-time}}
      secrets: {insecure_literal: 0123456789abcdef}
policies: {p: {hosts: [a], authenticate: pay, routes: [{path: /}]}}
",
    "
authenticators:
  scheme:
    hmac: {from: {header: x-signature, scheme: HMAC-SHA256}, require: [x-tenant], dialects: [own, kong], max_age: 1m, clock_skew: 0s, forward: false}
  aws:
    sigv4: {service: orders, region: eu-west-1, require: [content-type], unsigned_payload: true, max_expires: 1h, max_age: 1m, clock_skew: 10s, forward: true}
consumers:
  acme:
    credentials:
      scheme: [{key_id: k1, secret: {insecure_literal: 0123456789abcdef}}]
      aws: [{access_key_id: k1, secret: {insecure_literal: 0123456789abcdef}}]
policies: {p: {hosts: [a], authenticate: scheme, routes: [{path: /}]}}
",
    "
authenticators:
  oauth:
    oauth1: {methods: [HMAC-SHA256, PLAINTEXT], realm: orders, body_hash: optional, sha1_body_hash: false, plaintext_without_nonce: true, max_age: 1m, clock_skew: 10s, forward: true}
consumers:
  acme:
    credentials:
      oauth:
        - {consumer_key: k1, secret: {insecure_literal: 0123456789abcdef}, tokens: [{token: t1, secret: {insecure_literal: 0123456789abcdef}, subject: alice}]}
policies: {p: {hosts: [a], authenticate: oauth, routes: [{path: /}]}}
",
    "
authenticators:
  mesh:
    mtls:
      trust_domains: [td, partner]
      allow: [{namespace: billing, service_account: worker, trust_domain: td}, {spiffe_id: 'spiffe://td/ns/web/sa/*'}]
      except: [{spiffe_id: 'spiffe://td/ns/web/sa/gateway'}]
      bundles: {td: {file: ROOT/tests/certs/bundle.json}, partner: {file: ROOT/tests/certs/other_root.pem}}
      crls: {file: ROOT/tests/certs/root_revokes_none.crl.pem}
      unknown_revocation: accept
  all: {mtls: {trust_domains: td, any_workload: true}}
  partners: {mtls: {identity: subject, any_certificate: true, verified_by: envoy, except: [{subject: CN=a}, {dns: a.example}, {email: a@b.example}, {uri: 'https://a'}, {ip: 192.0.2.7}]}}
  devices: {mtls: {identity: {extension: 1.3.6.1.4.1.99999.1}, any_certificate: true, ca: {file: ROOT/tests/certs/root.pem}}}
  pinned:
    mtls:
      identity: {attribute: 2.5.4.3}
      pins: [{fingerprint: 468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688}, {key_fingerprint: 468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688}]
      allow: [{fingerprint: 468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688}, {key_fingerprint: 468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688}, {serial: 0a1b, issuer: CN=a}, {attribute: 2.5.4.3, value: a}, {extension: 1.2.3, value: a}]
consumers:
  worker: {credentials: {mesh: [{spiffe_id: 'spiffe://td/ns/billing/sa/worker'}]}}
  partner: {credentials: {partners: [{subject: CN=b}, {dns: b.example}, {email: b@b.example}, {uri: 'https://b'}, {ip: 192.0.2.8}, {fingerprint: 468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688}, {key_fingerprint: 468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688}, {serial: 0a1b, issuer: CN=a}, {attribute: 2.5.4.3, value: a}, {extension: 1.2.3, value: a}]}}
policies:
  p:
    hosts: [a]
    authenticate: mesh
    callers: [{spiffe_id: 'spiffe://td/a'}, {namespace: billing, service_account: worker, trust_domain: td}, {consumer: worker}]
    routes: [{path: /}]
tests:
  - name: a workload
    request: {url: 'https://a/', as: {authenticator: mesh, spiffe_id: 'spiffe://td/ns/billing/sa/worker'}}
    expect: {status: 200}
",
];

/// Codes of what is wrong with the form; everything else is judged by meaning, of which a schema knows
/// nothing.
const OF_FORM: [&str; 11] = [
    "unknown-key",
    "unknown-kind",
    "missing-key",
    "missing-kind",
    "missing-value",
    "several-kinds",
    "wrong-type",
    "empty-list",
    "quote-it",
    "not-available",
    "bad-duration",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn value(yaml: &str) -> Value {
    serde_yaml::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

fn samples() -> Vec<Value> {
    let root = root();
    let with_root = |text: &str| value(&text.replace("ROOT", root.to_str().unwrap()));
    SAMPLES.map(with_root).to_vec()
}

/// The codes of what is wrong with a policy file; JSON is YAML. Where reading it finds nothing and
/// `all` is asked for, it is compiled as well.
fn codes(sample: &Value, all: bool) -> BTreeSet<&'static str> {
    let text = sample.to_string();
    let mut out = Diagnostics::default();
    read(&[("policy.yaml", &text)], &mut out);
    if all && !out.has_errors() {
        (_, out) = compile(&[("policy.yaml", &text)]);
    }
    out.errors_only().iter().map(|one| one.code).collect()
}

fn validator() -> jsonschema::Validator {
    let schema = policy();
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
    jsonschema::draft202012::new(&schema).unwrap()
}

/// Every way to put something else in one place of a value.
fn mutants(value: &Value) -> Vec<Value> {
    let mut mutants = vec![
        Value::Null,
        json!(true),
        json!(3),
        json!(-1),
        json!(17),
        json!(1.5),
        json!("word"),
        json!("5s"),
        json!("public"),
        json!([]),
        json!(["word"]),
        json!([7]),
        json!([{}]),
        json!({}),
        json!({"any": ["key"]}),
        json!({"zzz": "word"}),
    ];
    match value {
        Value::Object(entries) => {
            let with = |key: &str, value: Value| {
                let mut entries = entries.clone();
                entries.insert(key.to_owned(), value);
                Value::Object(entries)
            };
            mutants.push(with("zzz", json!("word")));
            // Keys of a shape that some key here belongs to: they may be missing here or not go with the
            // others.
            let near = shapes().into_iter().filter(|shape| {
                entries.keys().all(|name| shape.key(name).is_some()) && !entries.is_empty()
            });
            let names: BTreeSet<&str> = near
                .flat_map(|shape| shape.all().map(|key| key.name))
                .collect();
            for name in names
                .into_iter()
                .filter(|name| !entries.contains_key(*name))
            {
                mutants.push(with(name, json!("word")));
            }
            for (name, inner) in entries {
                let mut fewer: Map<String, Value> = entries.clone();
                fewer.remove(name);
                mutants.push(Value::Object(fewer));
                mutants.extend(
                    self::mutants(inner)
                        .into_iter()
                        .map(|inner| with(name, inner)),
                );
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                mutants.extend(self::mutants(item).into_iter().map(|item| {
                    let mut items = items.clone();
                    items[index] = item;
                    Value::Array(items)
                }));
            }
        }
        _ => {}
    }
    mutants
}

#[test]
fn the_samples_are_right_and_hold_every_key() {
    let validator = validator();
    for sample in samples() {
        let refused: Vec<String> = validator
            .iter_errors(&sample)
            .map(|e| e.to_string())
            .collect();
        assert!(refused.is_empty(), "{refused:?}");
        assert!(
            codes(&sample, true).is_empty(),
            "{:?}\n{sample:#}",
            codes(&sample, true)
        );
    }
    let text = SAMPLES.concat();
    for shape in shapes() {
        for key in shape.all().filter(|key| key.value.is_some()) {
            assert!(
                text.contains(&format!("{}:", key.name)),
                "no sample has `{}` of {}",
                key.name,
                shape.what
            );
        }
    }
}

/// What the schema refuses is a mistake, and what is a mistake of form is refused by the schema.
#[test]
fn schema_and_decoder_take_and_refuse_the_same() {
    let validator = validator();
    let (mut tried, mut refused) = (0, 0);
    for sample in samples() {
        for mutant in mutants(&sample) {
            let taken = validator.is_valid(&mutant);
            let codes = codes(&mutant, !taken);
            let of_form = codes.iter().any(|code| OF_FORM.contains(code));
            assert!(
                taken || !codes.is_empty(),
                "the schema refuses what the program takes:\n{mutant}\n{:?}",
                validator
                    .iter_errors(&mutant)
                    .map(|e| e.to_string())
                    .collect::<Vec<_>>()
            );
            assert!(
                !taken || !of_form,
                "the schema takes what the program refuses ({codes:?}):\n{mutant}"
            );
            tried += 1;
            refused += usize::from(!taken);
        }
    }
    assert!(tried > 3_000 && refused > 2_000, "{tried} {refused}");
}

#[test]
fn every_key_says_what_it_means() {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for shape in shapes() {
        assert!(
            names.insert(shape.name),
            "two shapes are called {}",
            shape.name
        );
        for key in shape.all().filter(|key| key.value.is_some()) {
            let (doc, name) = (key.doc, key.name);
            assert!(
                doc.ends_with('.') && doc.len() > 8,
                "{} {name}: {doc}",
                shape.what
            );
        }
    }
}

/// The reference is written by hand; it has to name every key all the same.
#[test]
fn the_reference_names_every_key() {
    let pages = ["docs/policy-reference.md", "docs/policy-tests.md"];
    let page = pages
        .map(|page| fs::read_to_string(root().join(page)).unwrap())
        .concat();
    let named = |shape: &Shape, name: &str| {
        assert!(
            ["`", "{", "{\"", ", "]
                .iter()
                .any(|before| page.contains(&format!("{before}{name}"))),
            "docs/policy-reference.md does not name `{name}` of {}",
            shape.what
        );
    };
    for shape in shapes() {
        shape.all().for_each(|key| named(shape, key.name));
    }
}

/// Holds a file to what its schema is now.
fn kept(path: &str, schema: &Value) {
    let path = root().join(path);
    let wanted = format!("{schema:#}\n");
    let of = path.file_stem().unwrap().to_str().unwrap();
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == wanted,
        "{} is not up to date; write it anew with\n  cargo run -- schema {of} > docs/schema/{of}.json",
        path.display()
    );
}

#[test]
fn the_schemas_in_docs_are_up_to_date() {
    kept("docs/schema/policy.json", &policy());
    kept("docs/schema/settings.json", &crate::cli::settings_schema());
}

/// The YAML fences of a kind in all documents.
fn fences(kind: &str) -> Vec<String> {
    let mut fences = Vec::new();
    let mut documents = vec![root().join("README.md"), root().join("k8s/README.md")];
    let docs = fs::read_dir(root().join("docs")).unwrap();
    documents.extend(
        docs.map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file()),
    );
    for path in documents {
        let text = fs::read_to_string(path).unwrap();
        for block in text.split(&format!("```yaml {kind}\n")).skip(1) {
            fences.push(block.split("```").next().unwrap().to_owned());
        }
    }
    fences
}

#[test]
fn what_ships_and_what_is_printed_fits_the_schemas() {
    let policies = validator();
    let settings = jsonschema::draft202012::new(&crate::cli::settings_schema()).unwrap();
    let mut shipped = Vec::new();
    for directory in ["policies/shop", "policies/starter", "k8s/base/policies"] {
        shipped.extend(yaml_files(&root().join(directory)));
    }
    let shipped = shipped.iter().map(|path| fs::read_to_string(path).unwrap());
    let all: Vec<String> = shipped.chain(fences("policy")).collect();
    assert!(all.len() > 10, "{}", all.len());
    for (validator, texts) in [(&policies, all), (&settings, fences("settings"))] {
        for text in texts {
            let refused: Vec<String> = validator
                .iter_errors(&value(&text))
                .map(|e| e.to_string())
                .collect();
            assert!(refused.is_empty(), "{refused:?}\n{text}");
        }
    }
}

fn yaml_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|e| e == "yaml"));
    files.collect()
}

/// Editors find the schema from the first line of a file.
#[test]
fn the_examples_lead_editors_to_the_schema() {
    for path in yaml_files(&root().join("policies/shop")) {
        let text = fs::read_to_string(&path).unwrap();
        let named = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# yaml-language-server: $schema="))
            .unwrap_or_else(|| panic!("{}", path.display()));
        let schema = path.parent().unwrap().join(named);
        assert!(schema.exists(), "{} leads to {named}", path.display());
    }
}
