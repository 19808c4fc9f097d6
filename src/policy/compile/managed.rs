//! The headers that a policy set makes ours.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::headers::is_header_name;
use crate::headers::plan::{Managed, may_inject, may_own};
use crate::policy::compile::DEFAULT_RESERVED_PREFIX;
use crate::policy::compile::tenants::Party;
use crate::policy::source::{LevelSource, PolicySet};

/// The managed headers of a party: every name that any of its levels or of the root's injects, and the
/// root's reserved prefix.
pub(super) fn managed(set: &PolicySet, party: &Party<'_>, out: &mut Diagnostics) -> Managed {
    let mut names: Vec<Arc<str>> = Vec::new();
    if party.bounds.is_some() {
        let inherited = all_levels(party.root).flat_map(|level| &level.inject);
        names.extend(inherited.map(|inject| Arc::from(inject.name.value.as_str())));
    }
    for inject in all_levels(set).flat_map(|level| &level.inject) {
        let name = &inject.name;
        if !is_header_name(&name.value) {
            let message = format!("`{}` is no header name", name.value);
            out.push(
                Diagnostic::error("bad-header", &name.place, message)
                    .with_help("header names are written in lower case, as in `x-auth-principal`"),
            );
        } else if !may_inject(&name.value) {
            let message = format!("`{}` cannot be injected", name.value);
            out.push(Diagnostic::error("bad-header", &name.place, message).with_help(
                "it belongs to the connection, to the message's framing, or to Envoy; choose a name of your own, as in `x-auth-principal`",
            ));
        } else {
            names.push(name.value.as_str().into());
        }
    }
    let prefix = party.root.defaults.reserved_prefix.as_ref();
    if let Some(prefix) = prefix
        && party.bounds.is_none()
        && !may_own(&prefix.value)
    {
        let message = format!("`{}` is no prefix of header names", prefix.value);
        out.push(
            Diagnostic::error("bad-header", &prefix.place, message)
                .with_help("lower case, ending in `-`, and covering no header that others need, as in `x-auth-`"),
        );
    }
    Managed::new(
        names,
        prefix.map_or(DEFAULT_RESERVED_PREFIX, |prefix| &prefix.value),
    )
}

fn all_levels(set: &PolicySet) -> impl Iterator<Item = &LevelSource> {
    let policies = set.policies.iter().flat_map(|policy| {
        let routes = policy.value.routes.iter().map(|route| &route.level);
        std::iter::once(&policy.value.level).chain(routes)
    });
    std::iter::once(&set.defaults.level).chain(policies)
}
