//! What holds for every route.

use std::collections::BTreeSet;

use crate::policy::compile::DEFAULT_RESERVED_PREFIX;
use crate::policy::diff::{Difference, Effect, NamedChange, Side};
use crate::policy::source::{CoversSource, DefaultsSource, Located, PolicySet};
use crate::request::address::TrustedHops;
use crate::request::path::Relaxations;

/// Compares how requests are read and refused. `complete` says that every class of requests was looked at.
pub(super) fn compare(old: &Side<'_>, new: &Side<'_>, complete: bool) -> Vec<NamedChange> {
    every_section_is_compared(new.root);
    let mut out = Vec::new();
    if !complete {
        let text = "the routes have too many combinations of paths to compare them all";
        out.push(Difference::new(Effect::Changed, text));
    }
    let DefaultsSource {
        // Part of every route.
        level: _,
        reserved_prefix,
        unknown_route_not_found,
        trusted_hops,
        paths: _,
        // Part of every route.
        disclose_scopes: _,
        // What it lets pass is met as routes.
        unenforced_allow: _,
        // Part of every tenant's routes.
        require: _,
    } = &new.root.defaults;
    let was = &old.root.defaults;
    compare_paths(old, new, &mut out);
    let hops = |hops: Option<&Located<TrustedHops>>| {
        let hops = hops.map_or_else(TrustedHops::default, |hops| hops.value);
        let TrustedHops {
            count,
            envoy_appends,
        } = hops;
        // Without trusted proxies nothing is counted.
        (count, envoy_appends.filter(|_| count > 0))
    };
    let (hops, hops_were) = (hops(trusted_hops.as_ref()), hops(was.trusted_hops.as_ref()));
    if hops.0 != hops_were.0 {
        let text = format!(
            "the client's address is told by {} trusted proxies, where it was {}",
            hops.0, hops_were.0
        );
        out.push(Difference::new(Effect::Changed, text));
    }
    if hops.1 != hops_were.1 {
        let counted = match hops.1 {
            Some(true) => "not counted",
            Some(false) => "counted",
            None => "not counted where it is the connection's address",
        };
        let text = format!("the last element of `X-Forwarded-For` is {counted}");
        out.push(Difference::new(Effect::Changed, text));
    }
    let is_said = |said: Option<&Located<bool>>| said.is_some_and(|said| said.value);
    let not_found = is_said(unknown_route_not_found.as_ref());
    if not_found != is_said(was.unknown_route_not_found.as_ref()) {
        let status = if not_found { 404 } else { 403 };
        let text = format!("requests that no route covers are answered {status}");
        out.push(Difference::new(Effect::Answers, text));
    }
    let prefix = |prefix: Option<&Located<String>>| {
        prefix.map_or(DEFAULT_RESERVED_PREFIX.to_owned(), |one| one.value.clone())
    };
    let (prefix, prefix_was) = (
        prefix(reserved_prefix.as_ref()),
        prefix(was.reserved_prefix.as_ref()),
    );
    if prefix != prefix_was {
        let text = format!(
            "callers cannot send headers that begin with `{prefix}`, where it was `{prefix_was}`"
        );
        out.push(Difference::new(Effect::Headers, text));
    }
    vec![NamedChange {
        what: "defaults",
        name: String::new(),
        old: None,
        new: None,
        differences: out,
        routes: Vec::new(),
    }]
}

fn compare_paths(old: &Side<'_>, new: &Side<'_>, out: &mut Vec<Difference>) {
    let (was, is) = (old.table.reading.paths, new.table.reading.paths);
    let Relaxations {
        empty_segments,
        matrix_parameters,
        encoded_slashes,
        trailing_slash,
    } = is;
    for (key, was, is) in [
        ("empty_segments", was.empty_segments, empty_segments),
        (
            "matrix_parameters",
            was.matrix_parameters,
            matrix_parameters,
        ),
        ("encoded_slashes", was.encoded_slashes, encoded_slashes),
    ] {
        match (was, is) {
            (false, true) => {
                let text =
                    format!("`paths: {{{key}: allow}}`: paths are let through that were refused");
                out.push(Difference::new(Effect::Opened, text));
            }
            (true, false) => {
                let text = format!("`paths: {{{key}: allow}}` is gone: such paths are refused");
                out.push(Difference::new(Effect::Closed, text));
            }
            _ => {}
        }
    }
    if was.trailing_slash != trailing_slash {
        let text = "`paths: {trailing_slash: …}`: paths that end in a slash lead to other routes";
        out.push(Difference::new(Effect::Changed, text));
    }
    // A path with empty segments is refused where they lead to another route; with fewer routes it may not be.
    if was.empty_segments
        && empty_segments
        && patterns(old).difference(&patterns(new)).next().is_some()
    {
        let text =
            "routes are gone: paths with empty segments that were refused for their sake may pass";
        out.push(Difference::new(Effect::Changed, text));
    }
}

/// What the routes of all parties cover.
fn patterns<'a>(side: &Side<'a>) -> BTreeSet<&'a str> {
    let sets = side.parties().map(|(_, set)| set);
    let routes = sets.flat_map(|set| set.policies.iter().flat_map(|policy| &policy.value.routes));
    let covered = routes.filter_map(|route| route.covers.as_ref());
    covered
        .map(|covers| match covers {
            CoversSource::Path { path, .. } => path.value.as_str(),
            CoversSource::Grpc { service, .. } => service.value.as_str(),
        })
        .collect()
}

/// Does not compile when policy sets get a section that nothing here compares.
const fn every_section_is_compared(set: &PolicySet) {
    let PolicySet {
        authenticators: _,
        // Part of what consumers may do.
        roles: _,
        consumers: _,
        policies: _,
        defaults: _,
        revocations: _,
        // Bounds of what may be written: what is written is compared.
        tenants: _,
        // What serves does nothing with them.
        tests: _,
    } = set;
}
