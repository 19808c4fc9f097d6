//! Rules of several levels as one: what must hold, and what follows from it.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::policy::diff::{Difference, Effect};

/// Names of which one is needed.
pub(super) type Clause = BTreeSet<String>;

/// Compares what is required before and after: every clause must hold. The clauses hold no negation, so one
/// follows from the others exactly if it contains one of them.
pub(super) fn compare_clauses(
    old: &[Clause],
    new: &[Clause],
    noun: &str,
    out: &mut Vec<Difference>,
) {
    let follows = |clause: &Clause, from: &[Clause]| from.iter().any(|one| one.is_subset(clause));
    for clause in unique(old).filter(|clause| !follows(clause, new)) {
        let text = match new.iter().find(|wider| clause.is_subset(wider)) {
            Some(wider) => format!(
                "requires the {noun} {}, where it was {}",
                words(wider),
                words(clause)
            ),
            None => format!("does not require the {noun} {} any more", words(clause)),
        };
        out.push(Difference::new(Effect::Opened, text));
    }
    for clause in unique(new).filter(|clause| !follows(clause, old)) {
        let text = match old.iter().find(|wider| clause.is_subset(wider)) {
            Some(wider) => format!(
                "requires the {noun} {}, where it was {}",
                words(clause),
                words(wider)
            ),
            None => format!("requires the {noun} {}", words(clause)),
        };
        out.push(Difference::new(Effect::Closed, text));
    }
}

fn unique(clauses: &[Clause]) -> impl Iterator<Item = &Clause> {
    clauses.iter().collect::<BTreeSet<_>>().into_iter()
}

/// `a` or `b`.
pub(super) fn words(names: &BTreeSet<String>) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(" or ")
}

/// `a` and `b`.
pub(super) fn all_words<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(" and ")
}

/// The addresses that lie in one network of each rule; `None` where there is no rule.
pub(super) fn networks<'a>(rules: impl IntoIterator<Item = &'a [IpNet]>) -> Option<Vec<IpNet>> {
    let mut held: Option<Vec<IpNet>> = None;
    for rule in rules {
        held = Some(match held {
            None => rule.to_vec(),
            Some(held) => held
                .iter()
                .flat_map(|one| rule.iter().filter_map(|other| common(one, other)))
                .collect(),
        });
    }
    held.map(|networks| IpNet::aggregate(&networks))
}

/// Of two networks that share an address, one contains the other.
fn common(one: &IpNet, other: &IpNet) -> Option<IpNet> {
    if one.contains(other) {
        Some(*other)
    } else {
        other.contains(one).then_some(*one)
    }
}

/// Compares the addresses that may call.
pub(super) fn compare_networks(
    old: Option<&[IpNet]>,
    new: Option<&[IpNet]>,
    out: &mut Vec<Difference>,
) {
    let (opened, closed) = match (old, new) {
        (None, None) => return,
        (Some(_), None) => {
            let text = "may be called from any address";
            out.push(Difference::new(Effect::Opened, text));
            return;
        }
        (None, Some(new)) => {
            let text = format!("may be called from {} only", list(new));
            out.push(Difference::new(Effect::Closed, text));
            return;
        }
        (Some(old), Some(new)) => (outside(new, old), outside(old, new)),
    };
    if !opened.is_empty() {
        let text = format!("may be called from {}", list(&opened));
        out.push(Difference::new(Effect::Opened, text));
    }
    if !closed.is_empty() {
        let text = format!("may not be called from all of {} any more", list(&closed));
        out.push(Difference::new(Effect::Closed, text));
    }
}

/// The networks of `these` that do not lie whole in one of `those`, which are joined where they touch.
fn outside(these: &[IpNet], those: &[IpNet]) -> Vec<IpNet> {
    let within = |network: &IpNet| those.iter().any(|other| other.contains(network));
    let outside = these.iter().filter(|network| !within(network));
    outside.copied().collect()
}

fn list(networks: &[IpNet]) -> String {
    if networks.is_empty() {
        return "nowhere".to_owned();
    }
    let texts: Vec<String> = networks.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Clause, compare_clauses, compare_networks, networks};
    use crate::policy::diff::Effect;
    use ipnet::IpNet;

    fn clauses(text: &str) -> Vec<Clause> {
        let clauses = text.split_whitespace();
        clauses
            .map(|clause| clause.split('|').map(str::to_owned).collect())
            .collect()
    }

    #[test]
    fn what_is_required_is_compared_by_what_follows() {
        for (old, new, effects) in [
            ("a", "a", &[][..]),
            ("a", "", &[Effect::Opened]),
            ("", "a", &[Effect::Closed]),
            ("a", "a|b", &[Effect::Opened]),
            ("a|b", "a", &[Effect::Closed]),
            ("a|b a", "a", &[]),
            ("a b", "a c", &[Effect::Opened, Effect::Closed]),
            ("a|b", "a c", &[Effect::Closed, Effect::Closed]),
        ] {
            let mut out = Vec::new();
            compare_clauses(&clauses(old), &clauses(new), "scope", &mut out);
            let found: Vec<Effect> = out.iter().map(|one| one.effect).collect();
            assert_eq!(found, effects, "{old} -> {new}: {out:?}");
        }
    }

    #[test]
    fn addresses_are_compared_by_containment() {
        let of = |text: &str| {
            let rules: Vec<Vec<IpNet>> = text
                .split('&')
                .filter(|rule| !rule.is_empty())
                .map(|rule| rule.split(' ').map(|net| net.parse().unwrap()).collect())
                .collect();
            networks(rules.iter().map(Vec::as_slice))
        };
        for (old, new, effects) in [
            ("", "", &[][..]),
            ("10.0.0.0/8", "", &[Effect::Opened]),
            ("", "10.0.0.0/8", &[Effect::Closed]),
            ("10.0.0.0/8", "10.1.0.0/16", &[Effect::Closed]),
            ("10.1.0.0/16", "10.0.0.0/8", &[Effect::Opened]),
            ("10.0.0.0/9 10.128.0.0/9", "10.0.0.0/8", &[]),
            ("10.0.0.0/8&10.1.0.0/16", "10.1.0.0/16", &[]),
            (
                "10.0.0.0/8",
                "192.0.2.0/24",
                &[Effect::Opened, Effect::Closed],
            ),
            ("10.0.0.0/8", "10.0.0.0/8 2001:db8::/32", &[Effect::Opened]),
        ] {
            let mut out = Vec::new();
            compare_networks(of(old).as_deref(), of(new).as_deref(), &mut out);
            let found: Vec<Effect> = out.iter().map(|one| one.effect).collect();
            assert_eq!(found, effects, "{old} -> {new}: {out:?}");
        }
    }
}
