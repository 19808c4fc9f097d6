//! What each level requires of a caller: scopes, roles, callers, addresses.

use std::collections::HashMap;
use std::sync::Arc;

use crate::consumer::Consumer;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::caller::{AddressRule, CallerRule};
use crate::policy::compile::mtls::workload;
use crate::policy::compile::{push_once, unknown_name};
use crate::policy::role::RoleRule;
use crate::policy::scope::{Scope, ScopeRule};
use crate::policy::source::{CallerSource, LevelSource, Located, RolesSource, ScopesSource};

/// What names in rules may refer to.
pub(super) struct Known<'a> {
    pub(super) roles: &'a HashMap<&'a str, Arc<str>>,
    pub(super) consumers: &'a HashMap<&'a str, Arc<Consumer>>,
}

pub(super) fn scope_rule(
    source: &Located<ScopesSource>,
    out: &mut Diagnostics,
) -> Option<ScopeRule> {
    let (names, any) = match &source.value {
        ScopesSource::All(names) => (names, false),
        ScopesSource::Any(names) => (names, true),
    };
    let mut scopes = Vec::new();
    for name in names {
        match Scope::parse(&name.value) {
            Some(scope) => scopes.push(scope),
            None => {
                let help = if name.value.contains('*') {
                    "wildcards count where scopes are granted (under `consumers` and `roles`), not where they are required; name the scope that this route needs"
                } else {
                    "a scope is printable ASCII without spaces, quotes and backslashes"
                };
                let error = Diagnostic::error(
                    "bad-scope",
                    &name.place,
                    format!("`{}` cannot be required as a scope", name.value),
                );
                push_once(error.with_help(help), out);
            }
        }
    }
    if scopes.is_empty() {
        return None;
    }
    Some(if any {
        ScopeRule::Any(scopes)
    } else {
        ScopeRule::All(scopes)
    })
}

/// The roles that a level requires. One that nobody defined was reported, and is left out.
pub(super) fn role_rule(
    source: &Located<RolesSource>,
    known: &Known<'_>,
    out: &mut Diagnostics,
) -> Option<RoleRule> {
    let (names, any) = match &source.value {
        RolesSource::All(names) => (names, false),
        RolesSource::Any(names) => (names, true),
    };
    let roles: Vec<Arc<str>> = names
        .iter()
        .filter_map(|name| role(name, known.roles, out))
        .collect();
    if roles.is_empty() {
        return None;
    }
    Some(if any {
        RoleRule::Any(roles)
    } else {
        RoleRule::All(roles)
    })
}

/// The role of this name, or a report that there is none.
pub(super) fn role(
    name: &Located<String>,
    roles: &HashMap<&str, Arc<str>>,
    out: &mut Diagnostics,
) -> Option<Arc<str>> {
    let found = roles.get(name.value.as_str()).cloned();
    if found.is_none() {
        let names = roles.keys().copied();
        push_once(unknown_name("unknown-role", "role", name, names), out);
    }
    found
}

pub(super) fn caller_rule(
    source: &Located<Vec<CallerSource>>,
    known: &Known<'_>,
    out: &mut Diagnostics,
) -> CallerRule {
    let mut consumers = Vec::new();
    let mut workloads = Vec::new();
    for caller in &source.value {
        let name = match caller {
            CallerSource::Consumer(name) => name,
            CallerSource::Workload(peer) => {
                workloads.extend(workload(peer, &[], out));
                continue;
            }
        };
        match known.consumers.get(name.value.as_str()) {
            Some(consumer) => consumers.push(Arc::clone(&consumer.name)),
            None => {
                let names = known.consumers.keys().copied();
                let error = unknown_name("unknown-consumer", "consumer", name, names);
                push_once(error, out);
            }
        }
    }
    CallerRule {
        consumers,
        workloads,
    }
}

pub(super) fn address_rule(level: &LevelSource) -> Option<AddressRule> {
    let allowed = level.allow_ips.as_ref()?;
    Some(AddressRule(allowed.value.clone()))
}
