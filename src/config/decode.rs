//! From a tree of YAML nodes to what was written: every key known or reported, every value of its type.

mod authenticate;
mod authenticators;
mod cases;
mod consumers;
mod defaults;
mod levels;
mod mtls;
mod policies;
mod revocations;
mod signed;
mod tenants;

use std::path::Path;

use crate::config::language::{FILE, TESTS_FILE, VERSION};
use crate::config::yaml::{self, Fields, Node};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::case::Case;
use crate::policy::revocation::Revocation;
use crate::policy::source::{Located, Named, PolicySet};

/// Adds what one file says to `set`. Relative paths in it are resolved against `directory`.
pub fn file(node: &Node, directory: &Path, set: &mut PolicySet, out: &mut Diagnostics) {
    if matches!(node.value, yaml::Value::Null) {
        return;
    }
    let Some(fields) = Fields::new(node, &FILE, out) else {
        return;
    };
    check_version(&fields, out);
    if let Some(node) = fields.get("authenticators") {
        authenticators::section(node, directory, &mut set.authenticators, out);
    }
    if let Some(node) = fields.get("roles") {
        set.roles.extend(named(node, "`roles`", out, levels::role));
    }
    if let Some(node) = fields.get("consumers") {
        consumers::section(node, directory, &mut set.consumers, out);
    }
    if let Some(node) = fields.get("defaults") {
        policies::defaults(node, &mut set.defaults, out);
    }
    if let Some(node) = fields.get("revocations") {
        revocations::section(node, &mut set.revocations, out);
    }
    if let Some(node) = fields.get("tenants") {
        tenants::section(node, &mut set.tenants, out);
    }
    if let Some(node) = fields.get("policies") {
        policies::section(node, &mut set.policies, out);
    }
    if let Some(node) = fields.get("tests") {
        cases::section(node, &mut set.tests, out);
    }
}

/// Adds the tests of a file that stands outside the policies, and holds nothing else.
pub fn tests(node: &Node, cases: &mut Vec<Case>, out: &mut Diagnostics) {
    if matches!(node.value, yaml::Value::Null) {
        return;
    }
    let Some(fields) = Fields::new(node, &TESTS_FILE, out) else {
        return;
    };
    check_version(&fields, out);
    if let Some(node) = fields.get("tests") {
        cases::section(node, cases, out);
    }
}

fn check_version(fields: &Fields<'_>, out: &mut Diagnostics) {
    let Some(node) = fields.get("version") else {
        return;
    };
    if let Some(version) = yaml::text(node, "`version`", out)
        && version != VERSION
    {
        let message =
            format!("`{version}` is not a version of the policy language that this program knows");
        out.push(
            Diagnostic::error("unknown-version", &node.place, message)
                .with_help(format!("write `version: {VERSION}`, or leave the key out")),
        );
    }
}

/// The revocations of one file, whatever the rest of it says, and whether all of them could be read.
pub fn revocations(node: &Node) -> (Vec<Revocation>, bool) {
    let mut revocations = Vec::new();
    let yaml::Value::Mapping(entries) = &node.value else {
        return (revocations, true);
    };
    let mut out = Diagnostics::default();
    for entry in entries.iter().filter(|entry| entry.key == "revocations") {
        revocations::section(&entry.value, &mut revocations, &mut out);
    }
    (revocations, !out.has_errors())
}

/// Text with its place.
fn located(node: &Node, what: &str, out: &mut Diagnostics) -> Option<Located<String>> {
    let value = yaml::text(node, what, out)?.to_owned();
    Some(Located {
        value,
        place: node.place.clone(),
    })
}

/// A list of texts, or one text that stands for a list of one.
fn texts(node: &Node, what: &str, out: &mut Diagnostics) -> Option<Vec<Located<String>>> {
    let items = yaml::one_or_many(node, what, yaml::EmptyList::Refused, out)?;
    Some(
        items
            .into_iter()
            .filter_map(|item| located(item, what, out))
            .collect(),
    )
}

/// One of two words: whether it is the second. The first is what holds where nothing is said.
fn choice(
    node: &Node,
    what: &str,
    [usual, other]: [&str; 2],
    out: &mut Diagnostics,
) -> Option<Located<bool>> {
    let text = yaml::text(node, what, out)?;
    if text != usual && text != other {
        let message = format!("`{text}` is not a value of {what}");
        out.push(
            Diagnostic::error("bad-value", &node.place, message)
                .with_help(format!("write `{usual}` (the default) or `{other}`")),
        );
        return None;
    }
    Some(Located {
        value: text == other,
        place: node.place.clone(),
    })
}

/// The definitions of a section, each with its name.
fn named<T>(
    node: &Node,
    what: &str,
    out: &mut Diagnostics,
    mut read: impl FnMut(&Node, &mut Diagnostics) -> T,
) -> Vec<Named<T>> {
    let Some(entries) = yaml::mapping(node, what, out) else {
        return Vec::new();
    };
    entries
        .iter()
        .map(|entry| Named {
            name: Located {
                value: entry.key.clone(),
                place: entry.key_place.clone(),
            },
            value: read(&entry.value, out),
        })
        .collect()
}

#[cfg(test)]
mod tests;
