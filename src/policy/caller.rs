//! Which callers a level admits, and from which addresses.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::authn::principal::Principal;
use crate::authn::spiffe::pattern::WorkloadSelector;

/// `callers` of one level: any one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerRule {
    /// Consumers by their names.
    pub consumers: Vec<Arc<str>>,
    /// Workloads.
    pub workloads: Vec<WorkloadSelector>,
}

impl CallerRule {
    /// Whether one of those that were proven to call is admitted.
    pub fn admits<'a>(&self, mut callers: impl Iterator<Item = &'a Principal>) -> bool {
        callers.any(|caller| {
            let consumer = caller.consumer();
            let id = caller.peer().and_then(|peer| peer.spiffe_id.as_ref());
            consumer.is_some_and(|consumer| self.consumers.contains(&consumer.name))
                || id.is_some_and(|id| self.workloads.iter().any(|one| one.admits(id)))
        })
    }

    /// What it admits, as an operator reads it.
    pub fn told(&self) -> impl Iterator<Item = String> {
        let consumers = self.consumers.iter().map(ToString::to_string);
        consumers.chain(self.workloads.iter().map(ToString::to_string))
    }
}

/// `allow_ips`: networks, of which one must hold the client's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRule(pub Vec<IpNet>);

impl AddressRule {
    /// Whether an address, in its shortest form, lies in one of the networks. An unknown one does not.
    pub fn admits(&self, address: Option<IpAddr>) -> bool {
        address.is_some_and(|address| self.0.iter().any(|network| network.contains(&address)))
    }
}

#[cfg(test)]
mod tests {
    use super::AddressRule;

    #[test]
    fn admits_addresses_of_its_networks_only() {
        let networks = ["203.0.113.0/24", "198.51.100.7/32", "2001:db8::/32"];
        let rule = AddressRule(networks.map(|net| net.parse().unwrap()).to_vec());
        for (address, admitted) in [
            (Some("203.0.113.200"), true),
            (Some("203.0.114.1"), false),
            (Some("198.51.100.7"), true),
            (Some("198.51.100.8"), false),
            (Some("2001:db8:1::1"), true),
            (Some("2001:db9::1"), false),
            (None, false),
        ] {
            let address = address.map(|address| address.parse().unwrap());
            assert_eq!(rule.admits(address), admitted, "{address:?}");
        }
    }
}
