//! `revocations`.

use crate::clock::Timestamp;
use crate::config::language::REVOCATION;
use crate::config::yaml::{self, EmptyList, Fields, Node};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::revocation::{Revocation, Revoked};

/// What an entry may name: exactly one of these.
const KINDS: [&str; 5] = ["credential", "jti", "session", "subject", "consumer"];

pub(super) fn section(node: &Node, revocations: &mut Vec<Revocation>, out: &mut Diagnostics) {
    let Some(items) = yaml::sequence(node, "`revocations`", EmptyList::Allowed, out) else {
        return;
    };
    revocations.extend(items.iter().filter_map(|item| one(item, out)));
}

fn one(node: &Node, out: &mut Diagnostics) -> Option<Revocation> {
    let fields = Fields::new(node, &REVOCATION, out)?;
    let named: Vec<(&str, &Node)> = KINDS
        .into_iter()
        .filter_map(|kind| Some((kind, fields.get(kind)?)))
        .collect();
    let [(kind, value)] = named.as_slice() else {
        let message = "a revocation names exactly one thing";
        out.push(
            Diagnostic::error("bad-revocation", fields.place(), message)
                .with_help("write one of `credential`, `jti`, `session`, `subject` and `consumer`"),
        );
        return None;
    };
    let text = yaml::text(value, &format!("`{kind}`"), out)?;
    if text.is_empty() {
        let message = format!("`{kind}` is empty");
        out.push(Diagnostic::error("empty-value", &value.place, message));
        return None;
    }
    if *kind == "subject" && !text.contains(':') {
        let message = format!("`{text}` does not say whose subject it is");
        out.push(
            Diagnostic::error("bad-revocation", &value.place, message)
                .with_help("write it as in `principal.id`: `AUTHENTICATOR:SUBJECT`"),
        );
        return None;
    }
    let before = match fields.get("before") {
        Some(node) => Some(Timestamp::from_seconds(yaml::instant(
            node, "`before`", out,
        )?)),
        None => None,
    };
    let text = text.into();
    let what = match *kind {
        "credential" => Revoked::Credential(text),
        "jti" => Revoked::TokenId(text),
        "session" => Revoked::Session(text),
        "subject" => Revoked::Subject(text),
        _ => Revoked::Consumer(text),
    };
    Some(Revocation { what, before })
}
