//! Demands that nobody meets. Only routes that API keys alone open are judged by what is granted:
//! tokens bring scopes of their own.

use std::collections::{HashMap, HashSet};

use crate::diagnostic::{Diagnostic, Place, nearest};
use crate::policy::compile::DEFAULT_ENVIRONMENT;
use crate::policy::compile::lint::view::Judged;
use crate::policy::compile::lint::{Findings, Party, file_of, guarded};
use crate::policy::scope::{Scope, ScopeSet};
use crate::policy::source::{
    CallerSource, ConsumerSource, CredentialKind, KindSource, Located, PolicySet, ScopesSource,
};

pub(super) fn lint(party: &Party<'_>, routes: &[Judged<'_>], found: &mut Findings) {
    let set = party.set;
    let keys = keys(party);
    without_keys(set, routes, &keys, found);
    for route in guarded(routes) {
        // Of `all`, the principal's scopes and every member's environment count.
        let opening: Option<Vec<&Keys<'_>>> = route
            .authenticators
            .iter()
            .map(|name| keys.get(name))
            .collect();
        let Some(opening) = opening.filter(|opening| opening.iter().any(|keys| keys.any)) else {
            continue;
        };
        environment(route, &opening, found);
        for level in &route.levels {
            if let Some(said) = &level.scopes {
                scopes(route, said, &opening, found);
            }
        }
    }
    callers(set, routes, found);
}

/// What the keys of one `api_key` authenticator may do.
struct Keys<'a> {
    any: bool,
    /// All that any of them permits.
    scopes: ScopeSet,
    environments: HashSet<&'a str>,
}

/// The keys of each `api_key` authenticator that nobody else has keys for, by its name.
fn keys<'a>(party: &Party<'a>) -> HashMap<&'a str, Keys<'a>> {
    let set = party.set;
    let default = party.root.defaults.level.environment.as_ref();
    let default = default.map_or(DEFAULT_ENVIRONMENT, |said| &said.value);
    let roles: HashMap<&str, ScopeSet> = set
        .roles
        .iter()
        .map(|role| (role.name.value.as_str(), granted(&role.value.scopes)))
        .collect();
    let mut granted_by: HashMap<&str, (HashSet<String>, HashSet<&str>)> = set
        .authenticators
        .iter()
        .filter(|one| matches!(one.value.kind, Some(KindSource::ApiKey { .. })))
        .filter(|one| !party.lent.contains(one.name.value.as_str()))
        .map(|one| (one.name.value.as_str(), Default::default()))
        .collect();
    for consumer in &set.consumers {
        let ceiling = ceiling(&consumer.value, &roles);
        let environment = consumer.value.environment.as_ref();
        let environment = environment.map_or(default, |said| &said.value);
        for list in &consumer.value.credentials {
            let Some((scopes, environments)) = granted_by.get_mut(list.name.value.as_str()) else {
                continue;
            };
            for credential in &list.value {
                let CredentialKind::Key { scopes: own, .. } = &credential.kind else {
                    continue;
                };
                environments.insert(environment);
                match (own.as_deref().map(granted), &ceiling) {
                    (Some(own), Some(ceiling)) => scopes.extend(own.cut_to(ceiling).iter()),
                    (Some(own), None) => scopes.extend(own.iter()),
                    (None, Some(ceiling)) => scopes.extend(ceiling.iter()),
                    (None, None) => {}
                }
            }
        }
    }
    let read = |(name, (scopes, environments)): (_, (HashSet<String>, HashSet<_>))| {
        let scopes = ScopeSet::granted(scopes.iter().map(String::as_str)).unwrap_or_default();
        let keys = Keys {
            any: !environments.is_empty(),
            scopes,
            environments,
        };
        (name, keys)
    };
    granted_by.into_iter().map(read).collect()
}

fn granted(scopes: &[Located<String>]) -> ScopeSet {
    ScopeSet::granted(scopes.iter().map(|scope| scope.value.as_str())).unwrap_or_default()
}

fn ceiling(consumer: &ConsumerSource, roles: &HashMap<&str, ScopeSet>) -> Option<ScopeSet> {
    let mut ceiling = consumer.scopes.as_deref().map(granted);
    for role in &consumer.roles {
        if let Some(scopes) = roles.get(role.value.as_str()) {
            ceiling.get_or_insert_default().add(scopes);
        }
    }
    ceiling
}

/// Authenticators that routes ask for and nobody has a key for.
fn without_keys(
    set: &PolicySet,
    routes: &[Judged<'_>],
    keys: &HashMap<&str, Keys<'_>>,
    found: &mut Findings,
) {
    let asked: HashSet<&str> = guarded(routes)
        .flat_map(|route| route.authenticators.iter().copied())
        .collect();
    for authenticator in &set.authenticators {
        let name = &authenticator.name;
        let empty = keys.get(name.value.as_str()).is_some_and(|keys| !keys.any);
        if empty && asked.contains(name.value.as_str()) {
            let message = format!(
                "no consumer has a key for `{}`: nobody can call with it",
                name.value
            );
            found.push(
                Diagnostic::warning("no-keys", &name.place, message).with_help(format!(
                    "make one with `portcullis keys new --consumer NAME --authenticator {}`",
                    name.value
                )),
            );
        }
    }
}

fn environment(route: &Judged<'_>, opening: &[&Keys<'_>], found: &mut Findings) {
    let (environment, place) = route.environment();
    if opening
        .iter()
        .any(|keys| keys.environments.contains(environment))
    {
        return;
    }
    let mut known: Vec<&str> = opening
        .iter()
        .flat_map(|k| k.environments.iter().copied())
        .collect();
    known.sort_unstable();
    known.dedup();
    let message = format!(
        "no key that this route takes is of the environment `{environment}`: every caller is refused"
    );
    found.push(
        Diagnostic::warning("environment-nobody-has", place.unwrap_or(&route.source.place), message)
            .with_help(format!(
                "their consumers are of {}; write `environment` of the route or of a consumer so that they meet",
                listed(&known)
            )),
    );
}

fn scopes(
    route: &Judged<'_>,
    said: &Located<ScopesSource>,
    opening: &[&Keys<'_>],
    found: &mut Findings,
) {
    let is_granted = |name: &Located<String>| {
        // What is no scope was told when it was compiled.
        Scope::parse(&name.value)
            .is_none_or(|scope| opening.iter().any(|keys| keys.scopes.permits(&scope)))
    };
    let (missing, place) = match &said.value {
        ScopesSource::Any(names) if names.iter().any(is_granted) => return,
        ScopesSource::Any(names) => (names.first(), Some(&said.place)),
        ScopesSource::All(names) => (names.iter().find(|name| !is_granted(name)), None),
    };
    let Some(missing) = missing else { return };
    let what = match place {
        Some(_) => "none of these scopes is".to_owned(),
        None => format!("the scope `{}` is not", missing.value),
    };
    let message =
        format!("{what} granted to any key that the route takes: every caller is refused");
    let granted: Vec<String> = opening.iter().flat_map(|keys| keys.scopes.iter()).collect();
    let help = match nearest(&missing.value, granted.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "grant it under `scopes` of a consumer, of its key or of its role".to_owned(),
    };
    let place = place.unwrap_or(&missing.place);
    let mut warning = Diagnostic::warning("scope-nobody-grants", place, message).with_help(help);
    let own = route.source.level.scopes.as_ref();
    if !own.is_some_and(|own| std::ptr::eq(own, said)) {
        warning = warning.with_related(&route.source.place, "this route is under it");
    }
    found.push(warning);
}

/// `callers` who hold no credential that the routes under it take.
fn callers(set: &PolicySet, routes: &[Judged<'_>], found: &mut Findings) {
    let held: HashMap<&str, HashSet<&str>> = set
        .consumers
        .iter()
        .map(|consumer| {
            let lists = consumer.value.credentials.iter();
            let names = lists.filter(|list| !list.value.is_empty());
            (
                consumer.name.value.as_str(),
                names.map(|list| list.name.value.as_str()).collect(),
            )
        })
        .collect();
    let mut strangers: HashMap<(usize, usize), (&Located<String>, bool)> = HashMap::new();
    for route in guarded(routes) {
        for said in route
            .levels
            .iter()
            .filter_map(|level| level.callers.as_ref())
        {
            for caller in &said.value {
                let CallerSource::Consumer(name) = caller else {
                    continue;
                };
                // One without any credential is told of as that.
                let Some(held) = held
                    .get(name.value.as_str())
                    .filter(|held| !held.is_empty())
                else {
                    continue;
                };
                let can = route
                    .authenticators
                    .iter()
                    .any(|asked| held.contains(asked));
                let key = (file_of(&name.place), name.place.start);
                let (_, never) = strangers.entry(key).or_insert((name, true));
                *never &= !can;
            }
        }
    }
    for (name, _) in strangers.into_values().filter(|(_, never)| *never) {
        let message = format!(
            "`{}` has no credential that is taken here, so it can never call",
            name.value
        );
        let place: &Place = &name.place;
        found.push(
            Diagnostic::warning("caller-without-credential", place, message)
                .with_help("give it a credential of an authenticator that is asked for here, or take it out of `callers`"),
        );
    }
}

fn listed(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}
