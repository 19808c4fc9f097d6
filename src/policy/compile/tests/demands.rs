//! Trees of authenticators: what is refused at load, and what is shared.

use std::sync::Arc;

use super::codes;
use crate::test_support::{Signer, get, jwk_set, table};

#[test]
fn a_tree_of_authenticators_is_checked_when_it_is_loaded() {
    for (authenticate, expected) in [
        ("[a, {all: [b, c]}]", &[][..]),
        ("{all: [a, b], principal: b}", &[]),
        ("{all: [{any: [a, b]}, c], principal: c}", &[]),
        ("{any: [{all: [a, b]}, {all: [a, c]}]}", &[]),
        ("{any: [a, {any: [a, b]}]}", &[]),
        ("{any: [a, nobody]}", &["unknown-authenticator"]),
        ("[a, {all: [b, nobody]}]", &["unknown-authenticator"]),
        ("{any: [a, b, a]}", &["duplicate-name"]),
        ("{all: [a, a]}", &["duplicate-name"]),
        ("{all: [a, {any: [b, a]}]}", &["duplicate-name"]),
        ("{all: [a, {all: [b, a]}]}", &["duplicate-name"]),
        ("{all: [a, b], principal: c}", &["bad-authenticate"]),
        (
            "{all: [{any: [a, b]}, c], principal: a}",
            &["bad-authenticate"],
        ),
        (
            "{all: [{any: [a, b]}, {any: [c, d]}], principal: a}",
            &["bad-authenticate"],
        ),
        // One place holds one credential.
        ("[bearer, prefixed]", &[]),
        ("{all: [bearer, prefixed]}", &["same-place"]),
        ("{all: [{any: [a, bearer]}, prefixed]}", &["same-place"]),
        ("{any: [{all: [bearer, a]}, {all: [prefixed, a]}]}", &[]),
        ("{all: [a, same]}", &["same-place"]),
        ("{all: [a, wider]}", &["two-owners"]),
        // Over all leaves.
        ("[a, {all: [b, same]}]", &["two-owners"]),
        ("{any: [{all: [a, b]}, {all: [same, c]}]}", &["two-owners"]),
    ] {
        let text = format!(
            "authenticators:
  a: {{api_key: {{from: {{header: x-a}}}}}}
  b: {{api_key: {{from: {{header: x-b}}}}}}
  c: {{api_key: {{from: {{header: x-c}}}}}}
  d: {{api_key: {{from: {{header: x-d}}}}}}
  same: {{api_key: {{from: {{header: x-a}}}}}}
  wider: {{api_key: {{from: [{{header: x-a}}, {{header: x-wide}}]}}}}
  bearer: {{jwt: {{issuer: i, any_audience: true, jwks: {{inline: {}}}}}}}
  prefixed: {{api_key: {{from: {{header: authorization, scheme: Bearer}}}}}}
policies:
  p:
    hosts: [host]
    authenticate: {authenticate}
    routes: [{{path: /}}, {{path: /again, optional: true}}]",
            jwk_set(&[&Signer::ed25519("k")])
        );
        assert_eq!(codes(&[("policy.yaml", &text)]), expected, "{authenticate}");
    }
}

#[test]
fn equal_trees_are_shared_between_routes() {
    let table = table(
        "authenticators:
  a: {api_key: {from: {header: x-a}}}
  b: {api_key: {from: {header: x-b}}}
policies:
  p:
    hosts: ['*']
    authenticate: [a, b]
    routes:
      - {path: /1}
      - {path: /2, authenticate: {any: [a, {any: [a, b]}]}}
      - {path: /3, authenticate: {all: [a, b]}}
      - {path: /4, authenticate: {any: [{all: [a, b], principal: a}]}}
      - {path: /5, authenticate: {all: [a, b], principal: b}}
      - {path: /6, authenticate: [b, a]}
      - {path: /7, optional: true}
",
    );
    let authn = |path: &str| {
        let request = get(path, &[]);
        Arc::clone(
            table
                .routes
                .choose(&request)
                .unwrap()
                .authn
                .as_ref()
                .unwrap(),
        )
    };
    for (one, other, shared) in [
        ("/1", "/2", true),
        ("/3", "/4", true),
        ("/3", "/5", false),
        ("/1", "/3", false),
        ("/1", "/6", false),
        ("/1", "/7", false),
    ] {
        let equal = Arc::ptr_eq(&authn(one), &authn(other));
        assert_eq!(equal, shared, "{one} {other}");
    }
}
