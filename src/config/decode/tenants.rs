//! `tenants`, and what a tenant's own files may hold.

use crate::config::decode::{named, texts};
use crate::config::language::TENANT;
use crate::config::yaml::{Fields, Node};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::source::{Located, Named, TenantMay, TenantSource};

pub(super) fn section(node: &Node, tenants: &mut Vec<Named<TenantSource>>, out: &mut Diagnostics) {
    tenants.extend(named(node, "`tenants`", out, one));
}

fn one(node: &Node, out: &mut Diagnostics) -> TenantSource {
    let mut source = TenantSource {
        place: node.place.clone(),
        hosts: Vec::new(),
        paths: None,
        uses: Vec::new(),
        scopes: Vec::new(),
        may: Vec::new(),
    };
    let Some(fields) = Fields::new(node, &TENANT, out) else {
        return source;
    };
    if let Some(node) = fields.require("hosts", out) {
        source.hosts = texts(node, "`hosts`", out).unwrap_or_default();
    }
    source.paths = fields
        .get("paths")
        .map(|node| texts(node, "`paths`", out).unwrap_or_default());
    if let Some(node) = fields.get("use") {
        source.uses = texts(node, "`use`", out).unwrap_or_default();
    }
    if let Some(node) = fields.get("scopes") {
        source.scopes = texts(node, "`scopes`", out).unwrap_or_default();
    }
    if let Some(node) = fields.get("may") {
        let words = texts(node, "`may`", out).unwrap_or_default();
        source.may = words.iter().filter_map(|word| may(word, out)).collect();
    }
    source
}

fn may(word: &Located<String>, out: &mut Diagnostics) -> Option<TenantMay> {
    let known = match word.value.as_str() {
        "public" => Some(TenantMay::Public),
        "shadow" => Some(TenantMay::Shadow),
        "forward" => Some(TenantMay::Forward),
        _ => None,
    };
    if known.is_none() {
        let message = format!("`{}` is nothing that a tenant may be allowed", word.value);
        out.push(
            Diagnostic::error("bad-value", &word.place, message)
                .with_help("write any of `public`, `shadow` and `forward`"),
        );
    }
    known
}
