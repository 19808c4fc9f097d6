//! From what a level says under `authenticate` to what a route demands.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::authn::demand::Demand;
use crate::authn::{Authenticator, Method};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::policy::compile::unknown_name;
use crate::policy::source::{AuthenticateSource, Located};

/// A demand by names: what is equal here asks the same, and is compiled once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Named<'a> {
    One(&'a str),
    /// Never holds an `Any`, nor anything twice.
    Any(Vec<Named<'a>>),
    /// With the position of the principal.
    All(Vec<Named<'a>>, usize),
}

/// Reports names that nothing has, names that stand twice in one node or under one `all`, and a
/// `principal` that is no member.
pub(super) fn check(
    source: &Located<AuthenticateSource>,
    known: &HashSet<&str>,
    out: &mut Diagnostics,
) {
    match &source.value {
        AuthenticateSource::Name(name) => {
            if !known.contains(name.as_str()) {
                let name = Located {
                    value: name.clone(),
                    place: source.place.clone(),
                };
                let known = known.iter().copied();
                out.push(unknown_name(
                    "unknown-authenticator",
                    "authenticator",
                    &name,
                    known,
                ));
            }
        }
        AuthenticateSource::Any(ways) => {
            let mut seen = HashSet::new();
            for way in ways {
                match &way.value {
                    AuthenticateSource::Name(name) if !seen.insert(name) => {
                        let message = format!("`{name}` is listed twice");
                        out.push(Diagnostic::error("duplicate-name", &way.place, message));
                    }
                    _ => check(way, known, out),
                }
            }
        }
        AuthenticateSource::All { members, principal } => {
            let mut demanded: HashSet<&str> = HashSet::new();
            for member in members {
                let own = leaves(member);
                if let Some((name, place)) = own.iter().find(|(name, _)| demanded.contains(name)) {
                    let message = format!("`{name}` is demanded twice by one `all`");
                    out.push(
                        Diagnostic::error("duplicate-name", place, message)
                            .with_help("one credential proves one thing; name another authenticator, or leave it out"),
                    );
                }
                demanded.extend(own.iter().map(|(name, _)| name));
                check(member, known, out);
            }
            let Some(principal) = principal else { return };
            let names = || members.iter().filter_map(as_name);
            if !names().any(|name| name == principal.value) {
                let message = format!("`{}` is no member of this `all`", principal.value);
                let names: Vec<&str> = names().collect();
                let help = if names.is_empty() {
                    "`principal` names one of the members that are names; without it the first one counts"
                        .to_owned()
                } else {
                    format!("these are: {}", names.join(", "))
                };
                out.push(
                    Diagnostic::error("bad-authenticate", &principal.place, message)
                        .with_help(help),
                );
            }
        }
    }
}

/// All names of a tree, each with its place.
fn leaves(source: &Located<AuthenticateSource>) -> Vec<(&str, &Place)> {
    match &source.value {
        AuthenticateSource::Name(name) => vec![(name, &source.place)],
        AuthenticateSource::Any(children)
        | AuthenticateSource::All {
            members: children, ..
        } => children.iter().flat_map(leaves).collect(),
    }
}

fn as_name(source: &Located<AuthenticateSource>) -> Option<&str> {
    match &source.value {
        AuthenticateSource::Name(name) => Some(name),
        AuthenticateSource::Any(_) | AuthenticateSource::All { .. } => None,
    }
}

impl<'a> Named<'a> {
    /// Any within any is one list, and a list of one is that one.
    pub(super) fn of(source: &'a Located<AuthenticateSource>) -> Self {
        match &source.value {
            AuthenticateSource::Name(name) => Self::One(name),
            AuthenticateSource::Any(ways) => {
                let mut flat: Vec<Self> = Vec::new();
                for way in ways {
                    let ways = match Self::of(way) {
                        Self::Any(ways) => ways,
                        one => vec![one],
                    };
                    for way in ways {
                        if !flat.contains(&way) {
                            flat.push(way);
                        }
                    }
                }
                match flat.pop() {
                    Some(one) if flat.is_empty() => one,
                    last => {
                        flat.extend(last);
                        Self::Any(flat)
                    }
                }
            }
            AuthenticateSource::All { members, principal } => {
                let wanted = principal.as_ref().map(|principal| principal.value.as_str());
                let first = members.iter().position(|m| as_name(m) == wanted);
                let first = wanted.and(first).unwrap_or(0);
                Self::All(members.iter().map(Self::of).collect(), first)
            }
        }
    }

    /// The authenticators that this names, each once, and the demand over their positions: `None` where
    /// any one of them will do. No answer if one of them is missing: that was reported, or its own
    /// definition was.
    pub(super) fn resolve(
        &self,
        by_name: &HashMap<&str, &Arc<Authenticator>>,
    ) -> Option<(Vec<Arc<Authenticator>>, Option<Demand>)> {
        let mut found = Vec::new();
        let demand = self.demand(by_name, &mut found)?;
        let plain = match self {
            Self::One(_) => true,
            Self::Any(ways) => ways.iter().all(|way| matches!(way, Self::One(_))),
            Self::All(..) => false,
        };
        Some((found, Some(demand).filter(|_| !plain)))
    }

    fn demand(
        &self,
        by_name: &HashMap<&str, &Arc<Authenticator>>,
        found: &mut Vec<Arc<Authenticator>>,
    ) -> Option<Demand> {
        let mut each = |children: &[Self]| -> Option<Box<[Demand]>> {
            children
                .iter()
                .map(|child| child.demand(by_name, found))
                .collect()
        };
        Some(match self {
            Self::One(name) => {
                let authenticator = by_name.get(name)?;
                let known = found.iter().position(|a| Arc::ptr_eq(a, authenticator));
                Demand::One(known.unwrap_or_else(|| {
                    found.push(Arc::clone(authenticator));
                    found.len() - 1
                }))
            }
            Self::Any(ways) => {
                let mut ways = each(ways)?.into_vec();
                // What is sent with a request goes before what its connection shows.
                let shown = |index: &usize| {
                    let authenticator = found.get(*index);
                    authenticator.is_some_and(|one| matches!(one.method, Method::Mtls(_)))
                };
                ways.sort_by_key(|way| way.leaves().iter().all(shown));
                Demand::Any(ways.into())
            }
            Self::All(members, principal) => Demand::All {
                members: each(members)?,
                principal: *principal,
            },
        })
    }
}
