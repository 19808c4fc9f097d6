//! What is defined and changes nothing.

use std::collections::{HashMap, HashSet};

use crate::diagnostic::{Diagnostic, Place};
use crate::policy::compile::lint::view::Judged;
use crate::policy::compile::lint::{Findings, Party, file_of, guarded};
use crate::policy::source::{KindSource, LevelSource, PolicySet, RolesSource};

pub(super) fn lint(party: &Party<'_>, routes: &[Judged<'_>], found: &mut Findings) {
    let set = party.set;
    authenticators(party, routes, found);
    consumers(set, found);
    roles(set, routes, found);
    optional(routes, found);
    audiences(set, routes, found);
}

fn authenticators(party: &Party<'_>, routes: &[Judged<'_>], found: &mut Findings) {
    let asked: HashSet<&str> = routes
        .iter()
        .flat_map(|route| route.authenticators.iter().copied())
        .collect();
    for authenticator in &party.set.authenticators {
        let name = &authenticator.name;
        if !asked.contains(name.value.as_str()) && !party.lent.contains(name.value.as_str()) {
            let message = format!("no route asks for the authenticator `{}`", name.value);
            found.push(
                Diagnostic::warning("unused-authenticator", &name.place, message)
                    .with_help("name it under `authenticate` of a policy or route, or take it out"),
            );
        }
    }
}

fn consumers(set: &PolicySet, found: &mut Findings) {
    for consumer in &set.consumers {
        let mut credentials = consumer.value.credentials.iter();
        if credentials.all(|list| list.value.is_empty()) {
            let name = &consumer.name;
            let message = format!(
                "the consumer `{}` has no credential: nobody can call as it",
                name.value
            );
            found.push(
                Diagnostic::warning("consumer-without-credentials", &name.place, message)
                    .with_help("`portcullis keys new` makes an API key; for tokens add `credentials: {AUTHENTICATOR: [{claim: azp, value: …}]}`"),
            );
        }
    }
}

/// Roles that no consumer has and no token can claim.
fn roles(set: &PolicySet, routes: &[Judged<'_>], found: &mut Findings) {
    let mut held: HashSet<&str> = HashSet::new();
    let consumers = set.consumers.iter();
    held.extend(consumers.flat_map(|c| c.value.roles.iter().map(|role| role.value.as_str())));
    for authenticator in &set.authenticators {
        if let Some(KindSource::Jwt(jwt)) = &authenticator.value.kind
            && let Some(roles) = &jwt.roles
        {
            held.extend(roles.map.iter().map(|(_, role)| role.value.as_str()));
        }
    }
    let mut asked: HashMap<&str, &Place> = HashMap::new();
    for level in guarded(routes).flat_map(|route| &route.levels) {
        let Some(said) = &level.roles else { continue };
        let (RolesSource::All(names) | RolesSource::Any(names)) = &said.value;
        for name in names {
            asked.entry(&name.value).or_insert(&name.place);
        }
    }
    for role in set
        .roles
        .iter()
        .filter(|role| !held.contains(role.name.value.as_str()))
    {
        let name = &role.name;
        let message = format!(
            "nobody has the role `{}`: no consumer lists it, and no token's claim maps to it",
            name.value
        );
        let mut warning = Diagnostic::warning("role-nobody-has", &name.place, message)
            .with_help("list it under `roles` of a consumer, map a claim to it under `roles` of a `jwt`, or take it out");
        if let Some(place) = asked.get(name.value.as_str()) {
            warning = warning.with_related(place, "asked for here");
        }
        found.push(warning);
    }
}

/// `optional: true` where every route under it asks for what an anonymous caller has not.
fn optional(routes: &[Judged<'_>], found: &mut Findings) {
    let mut in_vain: HashMap<(usize, usize), (&Place, bool)> = HashMap::new();
    for route in guarded(routes) {
        let said = route
            .levels
            .iter()
            .find_map(|level| level.optional.as_ref());
        if let Some(said) = said.filter(|said| said.value) {
            let key = (file_of(&said.place), said.place.start);
            let (_, all) = in_vain.entry(key).or_insert((&said.place, true));
            *all &= route.asks_for_rights();
        }
    }
    for (place, _) in in_vain.into_values().filter(|(_, all)| *all) {
        let message = "`optional: true` lets nobody in: what it covers asks for scopes, roles or callers, and a caller without a credential has none";
        found.push(
            Diagnostic::warning("optional-in-vain", place, message)
                .with_help("take `optional` out, or what is asked for"),
        );
    }
}

/// `any_audience: true` where nothing else is asked: every token of the issuer opens the route,
/// whatever application it was made for.
fn audiences(set: &PolicySet, routes: &[Judged<'_>], found: &mut Findings) {
    let mut wide: HashMap<&str, &Place> = HashMap::new();
    for authenticator in &set.authenticators {
        if let Some(KindSource::Jwt(jwt)) = &authenticator.value.kind
            && jwt.any_audience
        {
            wide.insert(&authenticator.name.value, &authenticator.name.place);
        }
    }
    if wide.is_empty() {
        return;
    }
    let asks = |level: &&LevelSource| level.when.is_some();
    for route in guarded(routes) {
        if route.asks_for_rights() || route.asks_several() || route.levels.iter().any(asks) {
            continue;
        }
        for name in &route.authenticators {
            if let Some(place) = wide.get(name) {
                let message = format!(
                    "`{name}` takes tokens for any audience, and this opens a route that asks for nothing else"
                );
                found.push(
                    Diagnostic::warning("any-audience-alone", place, message)
                        .with_related(&route.source.place, "every token of the issuer opens this route, whatever application it was made for")
                        .with_help("list your own `audiences`, or ask for `scopes` on such routes"),
                );
            }
        }
    }
}
