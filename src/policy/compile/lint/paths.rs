//! Routes that no request can reach, and public routes where everything around them is protected.

use std::collections::HashMap;

use crate::diagnostic::{Diagnostic, Place};
use crate::policy::compile::lint::view::Judged;
use crate::policy::compile::lint::{Findings, Party, guarded};
use crate::policy::compile::relaxations;
use crate::policy::pattern::{HostPattern, PathPattern, Segment};
use crate::policy::source::PolicySet;

pub(super) fn lint(party: &Party<'_>, routes: &[Judged<'_>], found: &mut Findings) {
    unreachable(party, routes, found);
    public_below_protected(party.set, routes, found);
}

/// A path without the names of its parameters: what is equal here covers the same paths.
type Shape<'p> = Vec<Option<&'p str>>;

fn shape(pattern: &PathPattern) -> Shape<'_> {
    pattern.segments.iter().map(literal).collect()
}

fn literal(segment: &Segment) -> Option<&str> {
    match segment {
        Segment::Literal(text) => Some(text),
        Segment::Parameter(_) => None,
    }
}

/// The most specific path is chosen whatever the method, so `/x/**` is left with nothing where `/x`,
/// `/x/` and `/x/{any}/**` have routes of their own. Only routes of one policy are compared: a request
/// may be pinned to a policy, and is then judged by that one alone.
fn unreachable(party: &Party<'_>, routes: &[Judged<'_>], found: &mut Findings) {
    let keeps_slash = !relaxations(party.root).trailing_slash;
    for of_policy in routes.chunk_by(|a, b| a.policy == b.policy) {
        let mut exact: HashMap<Shape<'_>, &Place> = HashMap::new();
        let mut below: HashMap<Shape<'_>, &Place> = HashMap::new();
        for (_, place, pattern) in enforced(of_policy) {
            let into = if pattern.below {
                &mut below
            } else {
                &mut exact
            };
            into.entry(shape(pattern)).or_insert(place);
        }
        for (text, place, pattern) in enforced(of_policy) {
            if !pattern.below {
                continue;
            }
            if let Some(taken) = takers(shape(pattern), keeps_slash, &exact, &below) {
                let mut warning = Diagnostic::warning(
                    "unreachable-route",
                    place,
                    format!("no request reaches `{text}`: more specific routes take every path that it covers"),
                )
                .with_help("the most specific path is chosen whatever the method; take this route out, or one of those that stand before it");
                for taker in taken.into_iter().take(4) {
                    warning = warning.with_related(taker, "this one is more specific");
                }
                found.push(warning);
            }
        }
    }
}

fn enforced<'r, 'a>(
    routes: &'r [Judged<'a>],
) -> impl Iterator<Item = &'r (String, &'a Place, PathPattern)> {
    let enforced = routes.iter().filter(|route| route.enforced);
    enforced.flat_map(|route| &route.paths)
}

/// The routes that together take all that `path/**` covers.
fn takers<'p>(
    mut path: Shape<'_>,
    keeps_slash: bool,
    exact: &HashMap<Shape<'_>, &'p Place>,
    below: &HashMap<Shape<'_>, &'p Place>,
) -> Option<Vec<&'p Place>> {
    let mut taken = Vec::new();
    // Ends: each turn needs a route that is one segment deeper.
    loop {
        let is_root = path.is_empty();
        if !is_root {
            taken.push(*exact.get(&path)?);
        }
        if keeps_slash || is_root {
            path.push(Some(""));
            taken.push(*exact.get(&path)?);
            path.pop();
        }
        path.push(None);
        if let Some(rest) = below.get(&path) {
            taken.push(rest);
            taken.sort_by_key(|place| place.start);
            taken.dedup_by_key(|place| place.start);
            return Some(taken);
        }
    }
}

/// A protected `/**` as it is written, where, and what it covers.
type Prefix<'r> = (&'r str, &'r Place, &'r PathPattern);

/// A public route below a protected `/prefix/**` of the same host. A protected `/**` is no prefix: it
/// says that everything else is protected.
fn public_below_protected(set: &PolicySet, routes: &[Judged<'_>], found: &mut Findings) {
    let hosts: Vec<Vec<HostPattern>> = set
        .policies
        .iter()
        .map(|policy| {
            let hosts = policy.value.hosts.iter();
            hosts
                .filter_map(|host| HostPattern::parse(&host.value).ok())
                .collect()
        })
        .collect();
    let of = |route: &Judged<'_>| hosts.get(route.policy).map_or(&[][..], Vec::as_slice);
    let mut protected: HashMap<(&HostPattern, &str), Vec<Prefix<'_>>> = HashMap::new();
    for route in guarded(routes) {
        for (text, place, pattern) in &route.paths {
            let Some(first) = first_literal(pattern).filter(|_| pattern.below) else {
                continue;
            };
            for host in of(route) {
                let known = protected.entry((host, first)).or_default();
                known.push((text, place, pattern));
            }
        }
    }
    for route in routes
        .iter()
        .filter(|route| route.enforced && route.is_public())
    {
        for (text, place, pattern) in &route.paths {
            let Some(first) = first_literal(pattern) else {
                continue;
            };
            let around = of(route)
                .iter()
                .filter_map(|host| protected.get(&(host, first)))
                .flatten()
                .find(|(_, _, around)| around.contains(pattern));
            if let Some((prefix, around, _)) = around {
                found.push(
                    Diagnostic::warning(
                        "public-below-protected",
                        place,
                        format!("`{text}` is public, and `{prefix}` around it is protected"),
                    )
                    .with_related(around, "protected here")
                    .with_help("move it out of the protected paths or protect it; if it is meant, say so in a comment:\n# portcullis: allow(public-below-protected)"),
                );
            }
        }
    }
}

fn first_literal(pattern: &PathPattern) -> Option<&str> {
    pattern.segments.first().and_then(literal)
}
