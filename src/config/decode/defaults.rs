//! What `defaults` alone may say.

use crate::config::decode::{choice, located, texts};
use crate::config::language::{CLIENT_ADDRESS, ERRORS, PATHS, REQUIRE};
use crate::config::yaml::{self, EmptyList, Fields, Node};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::scope::Scope;
use crate::policy::source::{Located, RequireSource};
use crate::request::address::TrustedHops;
use crate::request::path::Relaxations;

/// The most proxies that may stand in front of Envoy.
const MAX_TRUSTED_HOPS: i64 = 16;

/// `client_address`.
pub(super) fn client_address(node: &Node, out: &mut Diagnostics) -> Option<Located<TrustedHops>> {
    let fields = Fields::new(node, &CLIENT_ADDRESS, out)?;
    let node = fields.require("trusted_hops", out)?;
    let hops = yaml::integer(node, "`trusted_hops`", 0..=MAX_TRUSTED_HOPS, out)?;
    let appends = fields
        .get("envoy_appends")
        .and_then(|node| yaml::boolean(node, "`envoy_appends`", out));
    Some(Located {
        value: TrustedHops {
            count: usize::try_from(hops).unwrap_or_default(),
            envoy_appends: appends,
        },
        place: node.place.clone(),
    })
}

/// `paths`: each point by its name and by the word that relaxes it.
pub(super) fn paths(node: &Node, out: &mut Diagnostics) -> Option<Located<Relaxations>> {
    let fields = Fields::new(node, &PATHS, out)?;
    let mut relaxed = |key: &'static str, words: [&str; 2]| {
        fields
            .get(key)
            .and_then(|node| choice(node, &format!("`{key}`"), words, out))
            .is_some_and(|said| said.value)
    };
    let value = Relaxations {
        empty_segments: relaxed("empty_segments", ["refuse", "allow"]),
        matrix_parameters: relaxed("matrix_parameters", ["refuse", "allow"]),
        encoded_slashes: relaxed("encoded_slashes", ["refuse", "allow"]),
        trailing_slash: relaxed("trailing_slash", ["keep", "ignore"]),
    };
    Some(Located {
        value,
        place: node.place.clone(),
    })
}

/// `errors`: whether callers are told which scopes they lack.
pub(super) fn errors(node: &Node, out: &mut Diagnostics) -> Option<Located<bool>> {
    let fields = Fields::new(node, &ERRORS, out)?;
    let node = fields.require("disclose", out)?;
    let items = yaml::one_or_many(node, "`disclose`", EmptyList::Allowed, out)?;
    let mut scopes = false;
    for item in items {
        let Some(word) = located(item, "`disclose`", out) else {
            continue;
        };
        if word.value == "scopes" {
            scopes = true;
        } else {
            let message = format!("`{}` is nothing that can be disclosed", word.value);
            out.push(
                Diagnostic::error("bad-value", &word.place, message)
                    .with_help("write `disclose: [scopes]`, or leave `errors` out"),
            );
        }
    }
    Some(Located {
        value: scopes,
        place: node.place.clone(),
    })
}

/// `require`: what binds every tenant.
pub(super) fn require(node: &Node, out: &mut Diagnostics) -> Option<Located<RequireSource>> {
    let fields = Fields::new(node, &REQUIRE, out)?;
    let mut list = |key: &'static str| match fields.get(key) {
        Some(node) => texts(node, &format!("`{key}`"), out).unwrap_or_default(),
        None => Vec::new(),
    };
    let value = RequireSource {
        authenticators: list("authenticators"),
        scopes: list("scopes"),
    };
    for scope in &value.scopes {
        if Scope::parse(&scope.value).is_none() {
            let message = format!("`{}` cannot be required as a scope", scope.value);
            out.push(
                Diagnostic::error("bad-scope", &scope.place, message)
                    .with_help("name one scope, without a wildcard"),
            );
        }
    }
    Some(Located {
        value,
        place: node.place.clone(),
    })
}
