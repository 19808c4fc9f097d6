//! `allow_ips` that limits nothing, or that no address can satisfy.

use ipnet::IpNet;

use crate::diagnostic::{Diagnostic, Place};
use crate::policy::compile::lint::Findings;
use crate::policy::compile::lint::view::Judged;
use crate::policy::source::{LevelSource, Located, PolicySet};

pub(super) fn lint(set: &PolicySet, routes: &[Judged<'_>], found: &mut Findings) {
    let consumers = set.consumers.iter().filter_map(|consumer| {
        let networks = consumer.value.allow_ips.as_deref()?;
        Some((networks, &consumer.name.place))
    });
    let policies = set.policies.iter().map(|policy| &policy.value.level);
    let own = routes.iter().map(|route| &route.source.level);
    let levels = std::iter::once(&set.defaults.level)
        .chain(policies)
        .chain(own);
    let levels = levels.filter_map(|level| {
        let said = level.allow_ips.as_ref()?;
        Some((said.value.as_slice(), &said.place))
    });
    for (networks, place) in consumers.chain(levels) {
        any_address(networks, place, found);
    }
    for route in routes {
        disjoint(&route.levels, found);
    }
}

fn any_address(networks: &[IpNet], place: &Place, found: &mut Findings) {
    let Some(all) = networks.iter().find(|network| network.prefix_len() == 0) else {
        return;
    };
    let family = match all {
        IpNet::V4(_) => "IPv4",
        IpNet::V6(_) => "IPv6",
    };
    found.push(
        Diagnostic::warning(
            "any-address",
            place,
            format!("`allow_ips` holds `{all}`, which is every {family} address"),
        )
        .with_help(
            "leave `allow_ips` out if callers may come from anywhere; else name their networks",
        ),
    );
}

/// Every level must hold, so two levels without a common address refuse everybody.
fn disjoint(levels: &[&LevelSource], found: &mut Findings) {
    let said: Vec<&Located<Vec<IpNet>>> = levels
        .iter()
        .filter_map(|level| level.allow_ips.as_ref())
        .collect();
    for (position, near) in said.iter().enumerate() {
        let far = said.iter().skip(position + 1).find(|far| {
            !near.value.is_empty()
                && !far.value.is_empty()
                && !near
                    .value
                    .iter()
                    .any(|a| far.value.iter().any(|b| meet(a, b)))
        });
        if let Some(far) = far {
            let message = "no address lies in these networks and in those of the level above: everybody is refused";
            found.push(
                Diagnostic::warning("disjoint-addresses", &near.place, message)
                    .with_related(&far.place, "every level must hold, and this is the one above")
                    .with_help("`allow_ips` of a nearer level narrows, it does not replace: name networks within the outer ones"),
            );
        }
    }
}

fn meet(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}
