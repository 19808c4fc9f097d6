//! Authenticators of one route that cannot be told apart.

use std::sync::Arc;

use crate::authn::credential::Container;
use crate::authn::demand::Demand;
use crate::authn::{Authenticator, Method};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::policy::compile::push_once;

/// Reports two authenticators of one route that could both own a credential, and two that an all-of
/// demands together although no request can carry both.
pub(super) fn check_owners(
    authenticators: &[Arc<Authenticator>],
    demand: Option<&Demand>,
    place: &Place,
    out: &mut Diagnostics,
) {
    let mut apart = Vec::new();
    if let Some(demand) = demand {
        demand.together(&mut |one, other| {
            // One that is demanded twice was reported as that.
            if one != other
                && let Some(first) = authenticators.get(one)
                && let Some(second) = authenticators.get(other)
                && let Some(message) = one_place(first, second)
            {
                apart.push((one, other));
                let error = Diagnostic::error("same-place", place, message)
                    .with_help("read them from different places: `from: {header: …}`");
                push_once(error, out);
            }
        });
    }
    for (position, first) in authenticators.iter().enumerate() {
        for (other, second) in authenticators.iter().enumerate().skip(position + 1) {
            if apart.contains(&(position, other)) || apart.contains(&(other, position)) {
                continue;
            }
            if let Some(part) = shared_part(first, second) {
                let place_of = described(part);
                let message = format!(
                    "`{}` and `{}` cannot be told apart: both read {place_of}",
                    first.name, second.name
                );
                let help = if first.method.kind() == second.method.kind() {
                    "make one authenticator of them, with the keys of both"
                } else {
                    "use one of them on a route"
                };
                push_once(
                    Diagnostic::error("two-owners", place, message).with_help(help),
                    out,
                );
                continue;
            }
            for (a, b) in first
                .from
                .iter()
                .flat_map(|a| second.from.iter().map(move |b| (a, b)))
            {
                if a.container == b.container
                    && let Some(why) = shared_owner(first, a, second, b)
                {
                    let error = Diagnostic::error(
                        "two-owners",
                        place,
                        format!("`{}` and `{}` cannot be told apart: {why}", first.name, second.name),
                    )
                    .with_help("read them from different places, give API keys different prefixes, or use one of them");
                    push_once(error, out);
                    break;
                }
            }
        }
    }
}

/// A place by which both know a credential of theirs.
fn shared_part<'a>(first: &'a Authenticator, second: &Authenticator) -> Option<&'a Container> {
    let known = |authenticator: &'a Authenticator| {
        let whole = authenticator
            .from
            .iter()
            .filter(|from| from.scheme.is_none());
        let whole = whole.map(|from| &from.container);
        let parts = authenticator.parts.iter().filter(|part| part.counts);
        whole.chain(parts.map(|part| &part.container))
    };
    let is_part = |authenticator: &Authenticator, container: &Container| {
        let mut parts = authenticator.parts.iter().filter(|part| part.counts);
        parts.any(|part| part.container == *container)
    };
    let reads = |authenticator: &Authenticator, container: &Container| {
        let mut from = authenticator.from.iter();
        is_part(authenticator, container) || from.any(|from| from.container == *container)
    };
    known(first).find(|container| {
        reads(second, container) && (is_part(first, container) || is_part(second, container))
    })
}

/// Why no request can carry a credential for each of these two, if so: a place holds one.
fn one_place(first: &Authenticator, second: &Authenticator) -> Option<String> {
    // One that reads no such place takes none away.
    if first.from.is_empty() || second.from.is_empty() {
        return None;
    }
    let mut both = first
        .from
        .iter()
        .flat_map(|a| second.from.iter().map(move |b| (a, b)));
    if both.any(|(a, b)| a.container != b.container) {
        return None;
    }
    let place = described(&first.from.first()?.container);
    Some(format!(
        "`all` demands `{}` and `{}`, which both read {place} only, and that holds one credential",
        first.name, second.name
    ))
}

fn described(container: &Container) -> String {
    match container {
        Container::Header(name) => format!("the header `{name}`"),
        Container::Query(name) => format!("the query parameter `{name}`"),
        Container::Cookie(name) => format!("the cookie `{name}`"),
        Container::Form(name) => format!("the form field `{name}`"),
    }
}

fn shared_owner(
    first: &Authenticator,
    a: &crate::authn::From,
    second: &Authenticator,
    b: &crate::authn::From,
) -> Option<String> {
    let place = described(&a.container);
    let schemes = match (&a.scheme, &b.scheme) {
        (Some(a), Some(b)) => {
            if !a.eq_ignore_ascii_case(b) {
                return None;
            }
            true
        }
        (None, None) => false,
        _ => return Some(format!("one reads {place} whole, the other by a scheme")),
    };
    match (&first.method, &second.method) {
        // They read no place.
        (Method::Mtls(_), _) | (_, Method::Mtls(_)) => None,
        (Method::Signed(_), _) | (_, Method::Signed(_)) => Some(format!(
            "both read signatures or credentials of one scheme from {place}"
        )),
        (Method::Jwt(one, _), Method::Jwt(two, _)) => (one.issuer() == two.issuer())
            .then(|| format!("both take tokens of one issuer from {place}")),
        (Method::ApiKey(one), Method::ApiKey(two)) => {
            let shared = schemes
                && a.scheme
                    .as_deref()
                    .is_some_and(|s| s.eq_ignore_ascii_case("bearer"));
            let default = shared.then_some(crate::authn::api_key::DEFAULT_PREFIX);
            match (
                one.prefix.as_deref().or(default),
                two.prefix.as_deref().or(default),
            ) {
                (Some(one), Some(two)) if !one.starts_with(two) && !two.starts_with(one) => None,
                (Some(_), Some(_)) => Some(format!("both take keys of one prefix from {place}")),
                _ => Some(format!(
                    "both take keys from {place}, and not both name a `prefix`"
                )),
            }
        }
        (Method::ApiKey(keys), Method::Jwt(..)) | (Method::Jwt(..), Method::ApiKey(keys)) => {
            let shared = a
                .scheme
                .as_deref()
                .is_some_and(|s| s.eq_ignore_ascii_case("bearer"));
            (keys.prefix.is_none() && !shared).then(|| {
                format!("the API keys take whatever stands in {place}; they need a `prefix`")
            })
        }
    }
}
