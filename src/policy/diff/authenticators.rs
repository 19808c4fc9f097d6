//! Authenticators that are configured otherwise.

mod signed;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::authn::credential::Container;
use crate::authn::jwt::DEFAULT_ALGORITHMS;
use crate::authn::jwt::claims::DEFAULT_CLOCK_SKEW_SECONDS;
use crate::authn::key_set::algorithm_name;
use crate::authn::{Authenticator, From};
use crate::policy::diff::mtls;
use crate::policy::diff::route::Reads;
use crate::policy::diff::{Difference, Effect, NamedChange, Side, full_name};
use crate::policy::source::{
    AuthenticatorSource, ClaimedRolesSource, JwksSource, JwtSource, KindSource, Located, Named,
};

/// Compares the authenticators of both sets that some route asks for before and after: `users`.
pub(super) fn compare(
    old: &Side<'_>,
    new: &Side<'_>,
    users: &BTreeMap<String, Vec<String>>,
    reads: &Reads,
) -> Vec<NamedChange> {
    let (before, after) = (by_name(old), by_name(new));
    users
        .iter()
        .filter_map(|(name, routes)| {
            let (was, is) = (before.get(name.as_str())?, after.get(name.as_str())?);
            let mut differences = Vec::new();
            let AuthenticatorSource {
                // Compared as they were read, with each kind's usual place.
                from: _,
                forward,
                kind,
            } = &is.0.value;
            compare_places(&was.1.from, &is.1.from, &mut differences);
            if *forward != was.0.value.forward {
                let said = if *forward { "sees" } else { "does not see" };
                let text = format!("the upstream {said} the credential");
                differences.push(Difference::new(Effect::Headers, text));
            }
            match (&was.0.value.kind, kind) {
                (
                    Some(KindSource::ApiKey { prefix: was }),
                    Some(KindSource::ApiKey { prefix: is }),
                ) => {
                    let (was, is) = (said(was.as_ref()), said(is.as_ref()));
                    if was != is {
                        let text =
                            format!("keys begin with {}, where it was {}", shown(is), shown(was));
                        differences.push(Difference::new(Effect::Changed, text));
                    }
                }
                (Some(KindSource::Jwt(was)), Some(KindSource::Jwt(is))) => {
                    compare_jwt(was, is, (old, new), reads, &mut differences);
                }
                (Some(KindSource::Signed(was)), Some(KindSource::Signed(is))) => {
                    signed::compare(was, is, &mut differences);
                }
                (Some(KindSource::Mtls(was)), Some(KindSource::Mtls(is))) => {
                    mtls::compare(was, is, (old, new), &mut differences);
                }
                _ => {
                    let text = "proves callers in another way";
                    differences.push(Difference::new(Effect::Changed, text));
                }
            }
            Some(NamedChange {
                what: "authenticator",
                name: name.clone(),
                old: Some(was.0.name.place.clone()),
                new: Some(is.0.name.place.clone()),
                differences,
                routes: routes.clone(),
            })
        })
        .collect()
}

type Both<'a> = (&'a Named<AuthenticatorSource>, &'a Authenticator);

fn by_name<'a>(side: &Side<'a>) -> HashMap<String, Both<'a>> {
    let compiled: HashMap<&str, &'a Authenticator> = side
        .table
        .authenticators
        .iter()
        .map(|one| (one.name.as_ref(), one.as_ref()))
        .collect();
    let sources = side.parties().flat_map(|(tenant, set)| {
        let own = set.authenticators.iter();
        own.map(move |source| (full_name(tenant, &source.name.value), source))
    });
    sources
        .filter_map(|(name, source)| {
            let compiled = *compiled.get(name.as_str())?;
            Some((name, (source, compiled)))
        })
        .collect()
}

fn said(text: Option<&Located<String>>) -> Option<&str> {
    text.map(|text| text.value.as_str())
}

fn shown(text: Option<&str>) -> String {
    text.map_or_else(
        || "nothing of their own".to_owned(),
        |text| format!("`{text}`"),
    )
}

fn compare_places(was: &[From], is: &[From], out: &mut Vec<Difference>) {
    let set = |places: &[From]| -> BTreeSet<String> { places.iter().map(place).collect() };
    let (was, is) = (set(was), set(is));
    for place in is.difference(&was) {
        let text = format!("credentials are accepted in {place}");
        out.push(Difference::new(Effect::Opened, text));
    }
    for place in was.difference(&is) {
        let text = format!("credentials are not accepted in {place} any more");
        out.push(Difference::new(Effect::Closed, text));
    }
}

fn place(from: &From) -> String {
    let place = match &from.container {
        Container::Header(name) => format!("the header `{name}`"),
        Container::Query(name) => format!("the query parameter `{name}`"),
        Container::Cookie(name) => format!("the cookie `{name}`"),
        Container::Form(name) => format!("the form field `{name}`"),
    };
    match &from.scheme {
        Some(scheme) => format!("{place} behind `{}`", scheme.to_ascii_lowercase()),
        None => place,
    }
}

fn compare_jwt(
    was: &JwtSource,
    is: &JwtSource,
    (old, new): (&Side<'_>, &Side<'_>),
    reads: &Reads,
    out: &mut Vec<Difference>,
) {
    let JwtSource {
        issuer,
        audiences: _,
        any_audience: _,
        algorithms: _,
        jwks,
        clock_skew,
        roles,
        place: _,
    } = is;
    let (issuer, issuer_was) = (said(issuer.as_ref()), said(was.issuer.as_ref()));
    if issuer != issuer_was {
        let text = format!(
            "tokens are issued by {}, where it was {}",
            shown(issuer),
            shown(issuer_was)
        );
        out.push(Difference::new(Effect::Changed, text));
    }
    compare_audiences(was, is, out);
    compare_sets(&algorithms(was), &algorithms(is), "the algorithm", out);
    let skew = |skew: Option<u64>| skew.unwrap_or(DEFAULT_CLOCK_SKEW_SECONDS);
    let (skew, skew_was) = (skew(*clock_skew), skew(was.clock_skew));
    if skew != skew_was {
        let effect = if skew > skew_was {
            Effect::Opened
        } else {
            Effect::Closed
        };
        let text = format!("clocks may differ by {skew} s, where it was {skew_was} s");
        out.push(Difference::new(effect, text));
    }
    let (keys, keys_were) = (keys(jwks.as_ref(), new), keys(was.jwks.as_ref(), old));
    if keys != keys_were {
        let text = "tokens are verified by another key set (`jwks`)";
        out.push(Difference::new(Effect::Changed, text));
    }
    compare_roles(was.roles.as_ref(), roles.as_ref(), reads, out);
}

fn compare_audiences(was: &JwtSource, is: &JwtSource, out: &mut Vec<Difference>) {
    let set = |jwt: &JwtSource| -> Option<BTreeSet<String>> {
        let audiences = jwt.audiences.iter().flatten();
        (!jwt.any_audience).then(|| audiences.map(|one| one.value.clone()).collect())
    };
    match (set(was), set(is)) {
        (None, None) => {}
        (Some(_), None) => {
            let text = "tokens for any audience are accepted";
            out.push(Difference::new(Effect::Opened, text));
        }
        (None, Some(_)) => {
            let text = "tokens for any audience are not accepted any more";
            out.push(Difference::new(Effect::Closed, text));
        }
        (Some(was), Some(is)) => compare_sets(&was, &is, "the audience", out),
    }
}

fn algorithms(jwt: &JwtSource) -> BTreeSet<String> {
    if jwt.algorithms.is_empty() {
        let names = DEFAULT_ALGORITHMS.into_iter().map(algorithm_name);
        return names.map(str::to_owned).collect();
    }
    jwt.algorithms.iter().map(|one| one.value.clone()).collect()
}

pub(super) fn compare_sets(
    was: &BTreeSet<String>,
    is: &BTreeSet<String>,
    what: &str,
    out: &mut Vec<Difference>,
) {
    for one in is.difference(was) {
        let text = format!("accepts {what} `{one}`");
        out.push(Difference::new(Effect::Opened, text));
    }
    for one in was.difference(is) {
        let text = format!("does not accept {what} `{one}` any more");
        out.push(Difference::new(Effect::Closed, text));
    }
}

/// What tells one source of keys from another. A file is what it holds, wherever it stands.
fn keys(jwks: Option<&Located<JwksSource>>, side: &Side<'_>) -> String {
    match jwks.map(|jwks| &jwks.value) {
        None => "discovery".to_owned(),
        Some(JwksSource::Url { url, .. }) => format!("url {url}"),
        Some(JwksSource::File(path)) => match side.files.get(path) {
            Some(digest) => format!("file {}", digest.to_hex()),
            None => format!("unread {}", path.display()),
        },
        Some(JwksSource::Inline(set)) => format!("inline {set}"),
    }
}

fn compare_roles(
    was: Option<&ClaimedRolesSource>,
    is: Option<&ClaimedRolesSource>,
    reads: &Reads,
    out: &mut Vec<Difference>,
) {
    let map = |roles: Option<&ClaimedRolesSource>| -> BTreeSet<(String, String, String)> {
        roles
            .iter()
            .flat_map(|roles| roles.map.iter().map(|(said, role)| (*roles, said, role)))
            .map(|(roles, said, role)| {
                (roles.claim.value.clone(), said.clone(), role.value.clone())
            })
            .collect()
    };
    let (was, is) = (map(was), map(is));
    for (claim, said, role) in is.difference(&was) {
        let text = format!("`{said}` in the claim `{claim}` stands for the role `{role}`");
        out.push(Difference::new(Effect::Opened, text));
    }
    for (claim, said, role) in was.difference(&is) {
        let text = format!("`{said}` in the claim `{claim}` stands for `{role}` no longer");
        let effect = if reads.grants {
            Effect::Changed
        } else {
            Effect::Closed
        };
        out.push(Difference::new(effect, text));
    }
}
