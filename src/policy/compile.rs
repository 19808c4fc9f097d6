//! From what was written to what is run: every name resolved, every pattern read, every conflict
//! found. All mistakes are collected; a set with one is not run.

mod authenticators;
mod consumers;
mod cors;
mod covers;
mod demand;
mod expressions;
mod index;
mod managed;
mod owners;
mod routes;
mod rules;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::authn::Authenticator;
use crate::authn::jwt::TokenCache;
use crate::authn::key_set::KeySetCell;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::headers::plan::Managed;
use crate::policy::compile::index::Ready;
use crate::policy::compile::rules::Known;
use crate::policy::inject::InjectPlan;
use crate::policy::route::RouteIndex;
use crate::policy::source::{Located, Mode, Named, PolicySet};
use crate::request::Reading;
use crate::request::path::Relaxations;

/// The environment of consumers and routes where nothing is said.
pub const DEFAULT_ENVIRONMENT: &str = "live";

/// The prefix of managed headers where nothing is said.
pub const DEFAULT_RESERVED_PREFIX: &str = "x-auth-";

/// What the compiler takes from outside: things that live longer than one policy set.
pub struct Ports {
    /// The key set of each `jwt` authenticator, by its name.
    pub key_sets: HashMap<String, Arc<KeySetCell>>,
    /// Verified tokens.
    pub token_cache: TokenCache,
}

/// A policy set that can judge requests: immutable, indexed.
pub struct PolicyTable {
    /// How requests are read.
    pub reading: Reading,
    /// Which route judges a request.
    pub routes: RouteIndex,
    /// Which route in shadow judges a request beside; `None` where there are none.
    pub shadow: Option<RouteIndex>,
    /// Whether requests pass that only a route in shadow covers.
    pub unenforced_allow: bool,
    /// The headers that Portcullis owns.
    pub managed: Managed,
    /// Sets nothing and removes all of them.
    pub nothing: Arc<InjectPlan>,
    /// The names of all policies, by position.
    pub policies: Vec<Arc<str>>,
    /// All authenticators, in the order of their names.
    pub authenticators: Vec<Arc<Authenticator>>,
    /// The key sets that some route needs, with the authenticator's name.
    pub needed_key_sets: Vec<(Arc<str>, Arc<KeySetCell>)>,
    /// How many routes there are.
    pub route_count: usize,
    /// How many consumers there are.
    pub consumer_count: usize,
}

/// Compiles a set. Every mistake is pushed to `out`.
///
/// # Errors
/// `None` if `out` holds an error at the end, whoever pushed it.
pub fn compile(set: &PolicySet, ports: &Ports, out: &mut Diagnostics) -> Option<PolicyTable> {
    report_twins(&set.authenticators, "authenticator", out);
    report_twins(&set.roles, "role", out);
    report_twins(&set.consumers, "consumer", out);
    report_twins(&set.policies, "policy", out);
    for name in names(&set.authenticators)
        .chain(names(&set.roles))
        .chain(names(&set.consumers))
        .chain(names(&set.policies))
    {
        check_name(name, out);
    }
    let managed = managed::managed(set, out);
    let roles = consumers::roles(set);
    let consumers = consumers::compile(set, &roles, out);
    let known = Known {
        roles: &roles,
        consumers: &consumers,
    };
    let authenticators = authenticators::compile(set, &managed, &known, ports, out);
    let policies = routes::compile(set, &authenticators, &managed, known, out);
    let defaults = &set.defaults;
    let not_found = is_said(defaults.unknown_route_not_found.as_ref());
    let routes = index::build(&policies, Mode::Enforce, not_found, out);
    let shadow = index::build(&policies, Mode::Shadow, not_found, out);
    if out.has_errors() {
        return None;
    }
    let compiled = || policies.iter().flat_map(|policy| &policy.routes);
    Some(PolicyTable {
        reading: Reading {
            paths: relaxations(set),
            trusted_hops: defaults.trusted_hops.as_ref().map_or(0, |hops| hops.value),
        },
        nothing: Arc::new(InjectPlan::new(Vec::new(), &managed)),
        managed,
        needed_key_sets: needed_key_sets(
            compiled().filter(|ready| ready.mode == Mode::Enforce),
            &authenticators,
            ports,
        ),
        authenticators,
        route_count: compiled().count(),
        consumer_count: consumers.len(),
        routes,
        shadow: compiled()
            .any(|ready| ready.mode == Mode::Shadow)
            .then_some(shadow),
        unenforced_allow: is_said(defaults.unenforced_allow.as_ref()),
        policies: policies
            .iter()
            .map(|policy| Arc::clone(&policy.name))
            .collect(),
    })
}

fn is_said(said: Option<&Located<bool>>) -> bool {
    said.is_some_and(|said| said.value)
}

/// What about paths the set relaxes.
fn relaxations(set: &PolicySet) -> Relaxations {
    let said = set.defaults.paths.as_ref();
    said.map_or_else(Relaxations::default, |said| said.value)
}

fn names<T>(definitions: &[Named<T>]) -> impl Iterator<Item = &Located<String>> {
    definitions.iter().map(|definition| &definition.name)
}

/// Names appear in identities (`authenticator:subject`), metrics and URLs: letters, digits, `-`, `_`
/// and `.`, so that no name can be read as a name and something else.
fn check_name(name: &Located<String>, out: &mut Diagnostics) {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.value.is_empty() || name.value.len() > 128 || !name.value.bytes().all(good) {
        let message = "a name is 1 to 128 letters, digits, `-`, `_` and `.`".to_owned();
        out.push(Diagnostic::error("bad-name", &name.place, message));
    }
}

fn report_twins<T>(definitions: &[Named<T>], what: &str, out: &mut Diagnostics) {
    let mut seen: HashMap<&str, &Located<String>> = HashMap::new();
    for name in names(definitions) {
        if let Some(first) = seen.insert(&name.value, name) {
            out.push(
                Diagnostic::error(
                    "duplicate-name",
                    &name.place,
                    format!("the {what} `{}` is defined twice", name.value),
                )
                .with_related(&first.place, "first defined here")
                .with_help("rename one, or merge the two definitions"),
            );
        }
    }
}

/// Reports a mistake that several routes would report alike, once.
fn push_once(mistake: Diagnostic, out: &mut Diagnostics) {
    let place = |d: &Diagnostic| {
        let place = d.place.as_ref();
        place.map(|place| (place.start, place.file.name().to_owned()))
    };
    let same = |other: &Diagnostic| {
        other.code == mistake.code
            && other.message == mistake.message
            && place(other) == place(&mistake)
    };
    if !out.iter().any(same) {
        out.push(mistake);
    }
}

/// An error for a name that nothing has, with the nearest that something has.
fn unknown_name<'a>(
    code: &'static str,
    what: &str,
    name: &Located<String>,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let error = Diagnostic::error(
        code,
        &name.place,
        format!("there is no {what} called `{}`", name.value),
    );
    let nearest = nearest(&name.value, known.clone());
    match nearest {
        Some(near) => error.with_help(format!("did you mean `{near}`?")),
        None => {
            let mut names: Vec<&str> = known.take(12).collect();
            names.sort_unstable();
            if names.is_empty() {
                error.with_help(format!("no {what} is defined"))
            } else {
                error.with_help(format!("these are defined: {}", names.join(", ")))
            }
        }
    }
}

/// The key sets of the authenticators that a route asks for. One that no route asks for may stay
/// unloaded.
fn needed_key_sets<'a>(
    routes: impl Iterator<Item = &'a Ready>,
    authenticators: &[Arc<Authenticator>],
    ports: &Ports,
) -> Vec<(Arc<str>, Arc<KeySetCell>)> {
    let asked = routes.filter_map(|ready| ready.route.authn.as_ref());
    let used: HashSet<&str> = asked
        .flat_map(|authn| authn.authenticators())
        .map(|authenticator| authenticator.name.as_ref())
        .collect();
    authenticators
        .iter()
        .filter(|authenticator| used.contains(authenticator.name.as_ref()))
        .filter_map(|authenticator| {
            let cell = ports.key_sets.get(authenticator.name.as_ref())?;
            Some((Arc::clone(&authenticator.name), Arc::clone(cell)))
        })
        .collect()
}

#[cfg(test)]
mod tests;
