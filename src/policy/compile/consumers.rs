//! Consumers.

use std::collections::HashMap;
use std::sync::Arc;

use crate::consumer::Consumer;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::caller::AddressRule;
use crate::policy::compile::DEFAULT_ENVIRONMENT;
use crate::policy::compile::rules::role;
use crate::policy::compile::tenants::Party;
use crate::policy::scope::ScopeSet;
use crate::policy::source::{Located, PolicySet};

/// All roles by name.
pub(super) fn roles<'a>(set: &'a PolicySet, party: &Party<'_>) -> HashMap<&'a str, Arc<str>> {
    let names = set.roles.iter().map(|role| role.name.value.as_str());
    names.map(|name| (name, party.name(name))).collect()
}

/// All consumers by name.
pub(super) fn compile<'a>(
    set: &'a PolicySet,
    roles: &HashMap<&'a str, Arc<str>>,
    party: &Party<'_>,
    out: &mut Diagnostics,
) -> HashMap<&'a str, Arc<Consumer>> {
    let default = party.root.defaults.level.environment.as_ref();
    let default = default.map_or(DEFAULT_ENVIRONMENT, |environment| &environment.value);
    let mut permitted: HashMap<&str, ScopeSet> = HashMap::new();
    for role in &set.roles {
        permitted.insert(&role.name.value, granted(&role.value.scopes, out));
    }
    let mut consumers = HashMap::new();
    for consumer in &set.consumers {
        let source = &consumer.value;
        let mut held = Vec::new();
        let mut ceiling = source.scopes.as_deref().map(|scopes| granted(scopes, out));
        for name in &source.roles {
            let Some(role) = role(name, roles, out) else {
                continue;
            };
            if held.contains(&role) {
                let message = format!("the role `{role}` is listed twice");
                out.push(Diagnostic::error("duplicate-name", &name.place, message));
                continue;
            }
            // A consumer with a role has a ceiling, be it that of the role alone.
            if let Some(scopes) = permitted.get(name.value.as_str()) {
                ceiling.get_or_insert_default().add(scopes);
            }
            held.push(role);
        }
        let environment = source
            .environment
            .as_ref()
            .map_or(default, |located| &located.value);
        consumers.insert(
            consumer.name.value.as_str(),
            Arc::new(Consumer {
                name: party.name(&consumer.name.value),
                environment: environment.into(),
                ceiling,
                roles: held.into(),
                allow_ips: source.allow_ips.clone().map(AddressRule),
                expires: source.expires,
                metadata: source.metadata.clone(),
            }),
        );
    }
    consumers
}

/// A set of granted scopes; those that are none are reported and left out.
pub(super) fn granted(scopes: &[Located<String>], out: &mut Diagnostics) -> ScopeSet {
    let mut good = Vec::new();
    for scope in scopes {
        if ScopeSet::granted([scope.value.as_str()]).is_ok() {
            good.push(scope.value.as_str());
        } else {
            out.push(
                Diagnostic::error(
                    "bad-scope",
                    &scope.place,
                    format!("`{}` is no scope", scope.value),
                )
                .with_help(
                    "a scope is printable ASCII without spaces, quotes and backslashes; \
                         `*` stands only as the whole last part, as in `orders:*`",
                ),
            );
        }
    }
    ScopeSet::granted(good).unwrap_or_default()
}
