//! What a change of policies changes, in the words of routes: what is open now that was closed, and the
//! other way round.
//!
//! Two compiled sets are compared where requests meet them. For every class of requests that the routing of
//! either set tells apart, the routes that judge it before and after are found by the index that serves, and
//! compared rule by rule. A change is *opened* if a caller may pass now who could not, *closed* if one may
//! pass no longer, and *changed* where there is no telling, as with conditions. What cannot be compared is
//! never passed over.

mod authenticators;
mod consumers;
mod defaults;
mod demand;
mod mtls;
mod revocations;
mod route;
mod routing;
mod rules;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use crate::diagnostic::Place;
use crate::policy::compile::PolicyTable;
use crate::policy::diff::route::View;
use crate::policy::diff::routing::Chosen;
use crate::policy::route::Route;
use crate::policy::source::{LevelSource, PolicySet, PolicySource, RouteSource};
use crate::secret::Digest;

/// One of the two sets that are compared.
pub struct Side<'a> {
    /// What was written in the root.
    pub root: &'a PolicySet,
    /// What each tenant wrote, by its name.
    pub tenants: Vec<(&'a str, &'a PolicySet)>,
    /// What was made of it.
    pub table: &'a PolicyTable,
    /// The contents of the files that it refers to.
    pub files: &'a BTreeMap<PathBuf, Digest>,
}

impl<'a> Side<'a> {
    /// The sets of all parties; the root's has no name.
    fn parties(&self) -> impl Iterator<Item = (Option<&'a str>, &'a PolicySet)> + use<'a> {
        let tenants = self.tenants.clone().into_iter();
        let tenants = tenants.map(|(name, set)| (Some(name), set));
        std::iter::once((None, self.root)).chain(tenants)
    }
}

/// What something of a party is called among all parties.
fn full_name(tenant: Option<&str>, name: &str) -> String {
    match tenant {
        Some(tenant) => format!("{tenant}/{name}"),
        None => name.to_owned(),
    }
}

/// What a change does to callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Somebody may pass who could not.
    Opened,
    /// Not to be told, or both.
    Changed,
    /// Somebody may pass no longer.
    Closed,
    /// Who may pass is the same; what the upstream is told of them is not.
    Headers,
    /// Who may pass is the same; what callers who may not are told is not.
    Answers,
}

impl Effect {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Changed => "changed",
            Self::Closed => "closed",
            Self::Headers => "headers",
            Self::Answers => "answers",
        }
    }

    /// Whether somebody may pass who could not, as far as can be told.
    pub const fn may_open(self) -> bool {
        matches!(self, Self::Opened | Self::Changed)
    }

    /// Whether somebody may pass no longer, as far as can be told.
    pub const fn may_close(self) -> bool {
        matches!(self, Self::Closed | Self::Changed)
    }
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// What it does.
    pub effect: Effect,
    /// In words.
    pub text: String,
}

impl Difference {
    fn new(effect: Effect, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { effect, text }
    }
}

/// Everything that differs.
#[derive(Debug, Default)]
pub struct Diff {
    /// By route.
    pub routes: Vec<RouteChange>,
    /// By authenticator, consumer, and what holds for all routes.
    pub named: Vec<NamedChange>,
}

impl Diff {
    /// Every difference, with the place that it is shown at.
    pub fn differences(&self) -> impl Iterator<Item = (&Difference, Option<&Place>)> {
        let routes = self.routes.iter().flat_map(|change| {
            let place = change.new.as_ref().or(change.old.as_ref());
            let place = place.and_then(|judge| judge.place.as_ref());
            change.differences.iter().map(move |one| (one, place))
        });
        let named = self.named.iter().flat_map(|change| {
            let place = change.new.as_ref().or(change.old.as_ref());
            change.differences.iter().map(move |one| (one, place))
        });
        routes.chain(named)
    }
}

/// Requests that another route judges now, or the same route otherwise.
#[derive(Debug)]
pub struct RouteChange {
    /// `GET`, `any method`, …
    pub methods: String,
    /// The hosts, as written.
    pub hosts: Vec<String>,
    /// The paths, as written where a route says just this; `*` stands for another segment.
    pub paths: Vec<String>,
    /// Only if Envoy pins the request to this policy.
    pub pinned: Option<String>,
    /// What judged them; `None`: they were refused.
    pub old: Option<Judge>,
    /// What judges them; `None`: they are refused.
    pub new: Option<Judge>,
    /// In the order of effects.
    pub differences: Vec<Difference>,
}

/// A route that judges.
#[derive(Clone, Debug)]
pub struct Judge {
    /// Its policy.
    pub policy: String,
    /// Its path as written.
    pub path: String,
    /// Where it stands.
    pub place: Option<Place>,
}

/// Something with a name that is not the same any more.
#[derive(Debug)]
pub struct NamedChange {
    /// `authenticator`, `consumer`, `defaults`, `revocations`.
    pub what: &'static str,
    /// Its name; empty where there is one only.
    pub name: String,
    /// Where it stood.
    pub old: Option<Place>,
    /// Where it stands.
    pub new: Option<Place>,
    /// In the order of effects.
    pub differences: Vec<Difference>,
    /// The routes that this concerns, where they can be named.
    pub routes: Vec<String>,
}

/// Compares two sets.
pub fn diff(old: &Side<'_>, new: &Side<'_>) -> Diff {
    let mut met = routing::meetings(old, new);
    met.meetings
        .sort_by_key(|meeting| (meeting.pinned.is_some(), name_of(meeting)));
    let mut changes = Diff::default();
    let mut all = route::Reads::default();
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (old_views, new_views) = (Views::of(old), Views::of(new));
    for meeting in &met.meetings {
        let before = meeting.old.and_then(|chosen| old_views.of_route(chosen));
        let after = meeting.new.and_then(|chosen| new_views.of_route(chosen));
        for view in [&before, &after].into_iter().flatten() {
            all.add(view);
        }
        for name in route::shared_authenticators(before.as_ref(), after.as_ref()) {
            let routes = users.entry(name.to_owned()).or_default();
            routes.extend(meeting.new.map(|chosen| label(chosen.route)));
        }
        let mut differences = route::compare(before.as_ref(), after.as_ref());
        if differences.is_empty() {
            continue;
        }
        differences.sort();
        let judge = |view: &View<'_>| Judge {
            policy: view.route.policy.to_string(),
            path: view.route.path.to_string(),
            place: Some(view.source.place.clone()),
        };
        changes.routes.push(RouteChange {
            methods: meeting.methods(),
            hosts: meeting.hosts(),
            paths: meeting.paths(),
            pinned: meeting.pinned.map(str::to_owned),
            old: before.as_ref().map(judge),
            new: after.as_ref().map(judge),
            differences,
        });
    }
    let named = &mut changes.named;
    named.extend(defaults::compare(old, new, met.complete));
    named.extend(authenticators::compare(old, new, &users, &all));
    named.extend(consumers::compare(old, new, &all));
    named.extend(revocations::compare(old, new));
    named.extend(
        met.one_sided
            .iter()
            .map(|(name, is_new)| one_sided(name, *is_new)),
    );
    for change in named.iter_mut() {
        change.differences.sort();
        change.routes.sort();
        change.routes.dedup();
    }
    named.retain(|change| !change.differences.is_empty());
    changes
}

fn name_of(meeting: &routing::Meeting<'_>) -> (String, String) {
    let chosen = meeting.new.or(meeting.old);
    chosen.map_or_else(Default::default, |chosen| {
        (
            chosen.route.policy.to_string(),
            chosen.route.path.to_string(),
        )
    })
}

/// A policy that only one set has, and whose routes another one has taken over or had before.
fn one_sided(name: &str, is_new: bool) -> NamedChange {
    let difference = if is_new {
        let text = "requests that Envoy pins to this policy are judged, which were refused";
        Difference::new(Effect::Opened, text)
    } else {
        let text = "requests that Envoy pins to this policy are refused: it is gone";
        Difference::new(Effect::Closed, text)
    };
    NamedChange {
        what: "policy",
        name: name.to_owned(),
        old: None,
        new: None,
        differences: vec![difference],
        routes: Vec::new(),
    }
}

fn label(route: &Route) -> String {
    format!("{} {}", route.policy, route.path)
}

/// The policies of all parties by name, to find what a compiled route was made of.
struct Views<'a>(HashMap<String, (&'a PolicySource, Vec<&'a LevelSource>)>);

impl<'a> Views<'a> {
    fn of(side: &Side<'a>) -> Self {
        let mut policies = HashMap::new();
        for (tenant, set) in side.parties() {
            // The outermost first; a tenant's defaults stand within the root's.
            let mut levels = vec![&side.root.defaults.level];
            levels.extend(tenant.map(|_| &set.defaults.level));
            for policy in &set.policies {
                let name = full_name(tenant, &policy.name.value);
                policies.insert(name, (&policy.value, levels.clone()));
            }
        }
        Self(policies)
    }

    fn of_route(&self, chosen: Chosen<'a>) -> Option<View<'a>> {
        let route = chosen.route;
        let (policy, outer) = self.0.get(route.policy.as_ref())?;
        let policy: &'a PolicySource = policy;
        let source: &'a RouteSource = policy.routes.get(route.position)?;
        let mut levels = outer.clone();
        levels.extend([&policy.level, &source.level]);
        Some(View {
            route,
            unenforced: chosen.unenforced,
            source,
            levels,
        })
    }
}

#[cfg(test)]
mod tests;
