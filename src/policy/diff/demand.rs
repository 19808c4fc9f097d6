//! What a route's `authenticate` comes to: the ways to meet it.

use std::collections::BTreeSet;

use crate::authn::RouteAuthn;
use crate::authn::demand::{Demand, Known};

/// The most ways that are looked at.
const MAX_WAYS: usize = 4_096;

/// One way to meet a demand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way {
    /// The authenticator whose principal the caller counts as.
    pub(super) principal: String,
    /// All that must verify somebody, the principal's among them.
    pub(super) members: BTreeSet<String>,
}

/// The ways to meet a route's demand, each as it is met by a caller who sends just that; `None` if there are
/// too many to tell.
pub(super) fn ways(authn: &RouteAuthn) -> Option<BTreeSet<Way>> {
    let name = |index: usize| {
        let authenticator = authn.authenticators().get(index);
        authenticator.map(|authenticator| authenticator.name.to_string())
    };
    let Some(demand) = authn.demand() else {
        let names = authn
            .authenticators()
            .iter()
            .map(|one| one.name.to_string());
        return Some(
            names
                .map(|name| Way {
                    members: BTreeSet::from([name.clone()]),
                    principal: name,
                })
                .collect(),
        );
    };
    let mut ways = BTreeSet::new();
    for sent in enough(demand)? {
        // What is sent may meet the demand in an earlier way.
        let proven = demand.proven_by(&|index| {
            if sent.contains(&index) {
                Known::Verified
            } else {
                Known::Absent
            }
        });
        let members = proven.iter().map(|index| name(*index));
        let members: BTreeSet<String> = members.collect::<Option<_>>()?;
        let principal = proven.first().and_then(|index| name(*index))?;
        ways.insert(Way { principal, members });
    }
    Some(ways)
}

/// The sets of authenticators that are enough.
fn enough(demand: &Demand) -> Option<Vec<BTreeSet<usize>>> {
    let sets = match demand {
        Demand::One(index) => vec![BTreeSet::from([*index])],
        Demand::Any(ways) => {
            let mut sets = Vec::new();
            for way in ways {
                sets.extend(enough(way)?);
            }
            sets
        }
        Demand::All { members, .. } => {
            let mut sets = vec![BTreeSet::new()];
            for member in members {
                let ways = enough(member)?;
                if sets.len().saturating_mul(ways.len()) > MAX_WAYS {
                    return None;
                }
                sets = sets
                    .iter()
                    .flat_map(|set| ways.iter().map(move |way| set | way))
                    .collect();
            }
            sets
        }
    };
    (sets.len() <= MAX_WAYS).then_some(sets)
}
