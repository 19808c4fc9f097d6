//! What is revoked, and what no longer.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::policy::diff::{Difference, Effect, NamedChange, Side};
use crate::policy::revocation::Revoked;

pub(super) fn compare(old: &Side<'_>, new: &Side<'_>) -> Option<NamedChange> {
    let (before, after) = (entries(old), entries(new));
    let mut differences = Vec::new();
    for (what, until) in &before {
        let now = after.get(what);
        // A time before which things count as revoked is looser than none.
        let looser = match (until, now) {
            (_, None) => true,
            (None, Some(now)) => now.is_some(),
            (Some(was), Some(Some(now))) => now < was,
            (Some(_), Some(None)) => false,
        };
        if looser {
            let text = format!("{what} is revoked no longer, or less");
            differences.push(Difference::new(Effect::Opened, text));
        }
    }
    for (what, until) in &after {
        let was = before.get(what);
        let stricter = match (until, was) {
            (_, None) => true,
            (None, Some(was)) => was.is_some(),
            (Some(now), Some(Some(was))) => now > was,
            (Some(_), Some(None)) => false,
        };
        if stricter {
            let text = format!("{what} is revoked");
            differences.push(Difference::new(Effect::Closed, text));
        }
    }
    (!differences.is_empty()).then(|| NamedChange {
        what: "revocations",
        name: String::new(),
        old: None,
        new: None,
        differences,
        routes: Vec::new(),
    })
}

/// Each thing that is revoked, and before which time; of two entries for one the stricter.
fn entries(side: &Side<'_>) -> BTreeMap<String, Option<Timestamp>> {
    let mut entries: BTreeMap<String, Option<Timestamp>> = BTreeMap::new();
    let all = side.parties().flat_map(|(tenant, set)| {
        let own = set.revocations.iter();
        own.map(move |revocation| (tenant, revocation))
    });
    for (tenant, revocation) in all {
        let what = match &revocation.what {
            Revoked::Credential(id) => format!("the credential `{id}`"),
            Revoked::TokenId(id) => format!("the token `{id}`"),
            Revoked::Session(id) => format!("the session `{id}`"),
            Revoked::Subject(id) => format!("the subject `{id}`"),
            Revoked::Consumer(name) => format!("the consumer `{name}`"),
        };
        let what = match tenant {
            Some(tenant) => format!("{what} of the tenant `{tenant}`"),
            None => what,
        };
        let before = revocation.before;
        entries
            .entry(what)
            .and_modify(|held| {
                *held = match (*held, before) {
                    (Some(held), Some(before)) => Some(held.max(before)),
                    _ => None,
                };
            })
            .or_insert(before);
    }
    entries
}
