//! Routes as they are judged: their levels, and who may open them.

use crate::diagnostic::{Diagnostics, Place};
use crate::policy::compile::DEFAULT_ENVIRONMENT;
use crate::policy::compile::access::{Access, access};
use crate::policy::compile::covers::covered;
use crate::policy::compile::lint::Party;
use crate::policy::compile::relaxations;
use crate::policy::pattern::PathPattern;
use crate::policy::source::{AuthenticateSource, LevelSource, Located, Mode, RouteSource};

/// A route that could be read.
pub(super) struct Judged<'a> {
    /// The position of its policy.
    pub(super) policy: usize,
    /// Whether it decides anything; a route in shadow mode does not.
    pub(super) enforced: bool,
    pub(super) source: &'a RouteSource,
    /// Itself, its policy, `defaults`, and for a tenant's route the root's `defaults`.
    pub(super) levels: Vec<&'a LevelSource>,
    pub(super) access: Access<'a>,
    /// The names that `access` asks for, in order.
    pub(super) authenticators: Vec<&'a str>,
    /// What it covers, each with its text and where that stands.
    pub(super) paths: Vec<(String, &'a Place, PathPattern)>,
}

/// All routes that could be read and say who may open them.
pub(super) fn judged<'a>(party: &Party<'a>) -> Vec<Judged<'a>> {
    let set = party.set;
    let ignore_slash = relaxations(party.root).trailing_slash;
    let mut routes = Vec::new();
    for (position, policy) in set.policies.iter().enumerate() {
        for source in &policy.value.routes {
            let mut levels = vec![&source.level, &policy.value.level, &set.defaults.level];
            if party.is_tenant() {
                levels.push(&party.root.defaults.level);
            }
            let (Some(covers), Some(access)) = (&source.covers, access(&levels)) else {
                continue;
            };
            // What is wrong with the paths was told when they were compiled.
            let paths = covered(covers, ignore_slash, &mut Diagnostics::default());
            let mut authenticators = Vec::new();
            if let Access::Authenticated(asked) = access {
                leaves(asked, &mut authenticators);
            }
            let mode = levels.iter().find_map(|level| level.mode.as_ref());
            routes.push(Judged {
                policy: position,
                enforced: mode.is_none_or(|said| said.value == Mode::Enforce),
                source,
                levels,
                access,
                authenticators,
                paths: paths
                    .into_iter()
                    .map(|(text, place, pattern, _)| (text, place, pattern))
                    .collect(),
            });
        }
    }
    routes
}

fn leaves<'a>(source: &'a Located<AuthenticateSource>, into: &mut Vec<&'a str>) {
    match &source.value {
        AuthenticateSource::Name(name) => into.push(name),
        AuthenticateSource::Any(children)
        | AuthenticateSource::All {
            members: children, ..
        } => children.iter().for_each(|child| leaves(child, into)),
    }
}

impl<'a> Judged<'a> {
    pub(super) fn is_public(&self) -> bool {
        matches!(self.access, Access::Public)
    }

    /// Whether some request is asked for two credentials at once.
    pub(super) fn asks_several(&self) -> bool {
        fn holds_all(source: &AuthenticateSource) -> bool {
            match source {
                AuthenticateSource::Name(_) => false,
                AuthenticateSource::Any(ways) => ways.iter().any(|way| holds_all(&way.value)),
                AuthenticateSource::All { .. } => true,
            }
        }
        matches!(self.access, Access::Authenticated(asked) if holds_all(&asked.value))
    }

    /// Whether it asks for anything that an anonymous caller has not.
    pub(super) fn asks_for_rights(&self) -> bool {
        let asks = |level: &&LevelSource| {
            level.scopes.is_some() || level.roles.is_some() || level.callers.is_some()
        };
        self.levels.iter().any(asks)
    }

    /// The environment it serves, and where that is said.
    pub(super) fn environment(&self) -> (&'a str, Option<&'a Place>) {
        let said = self.levels.iter().find_map(|l| l.environment.as_ref());
        said.map_or((DEFAULT_ENVIRONMENT, None), |said| {
            (said.value.as_str(), Some(&said.place))
        })
    }
}
