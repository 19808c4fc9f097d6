//! From compiled policies to the index that requests are routed by.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::policy::compile::push_once;
use crate::policy::pattern::{HostPattern, PathPattern};
use crate::policy::route::{Route, RouteIndex, RouteMethods, RouteTable};
use crate::policy::source::Mode;

/// A compiled policy.
pub(super) struct CompiledPolicy {
    pub(super) name: Arc<str>,
    pub(super) hosts: Vec<HostPattern>,
    pub(super) routes: Vec<Ready>,
}

/// A route with what it covers and where it was written, on its way into tables.
pub(super) struct Ready {
    pub(super) route: Arc<Route>,
    pub(super) mode: Mode,
    pub(super) pattern: PathPattern,
    pub(super) methods: RouteMethods,
    pub(super) place: Place,
}

impl CompiledPolicy {
    fn routes_of(&self, mode: Mode) -> impl Iterator<Item = &Ready> {
        self.routes.iter().filter(move |ready| ready.mode == mode)
    }
}

/// The index of all routes of one mode. Routes of the other mode are not there for it: a host that has no
/// others is served by whatever is less specific.
pub(super) fn build(
    policies: &[&CompiledPolicy],
    mode: Mode,
    not_found: bool,
    out: &mut Diagnostics,
) -> RouteIndex {
    let mut hosts: BTreeMap<&HostPattern, Vec<usize>> = BTreeMap::new();
    for (position, policy) in policies.iter().enumerate() {
        if policy.routes_of(mode).next().is_some() {
            for pattern in &policy.hosts {
                hosts.entry(pattern).or_default().push(position);
            }
        }
    }
    let mut index = RouteIndex::new(not_found);
    let mut tables = Tables {
        policies,
        mode,
        built: HashMap::new(),
        reported: HashSet::new(),
    };
    for (pattern, positions) in hosts {
        let table = tables.of(positions, &mut index, out);
        index.serve(pattern.clone(), table);
    }
    // A request may be pinned to any policy, be it one without routes of this mode.
    for (position, policy) in policies.iter().enumerate() {
        let table = tables.of(vec![position], &mut index, out);
        index.pin(&policy.name, policy.hosts.clone(), table);
    }
    index
}

/// Builds one table for each set of policies that some host is served by.
struct Tables<'a> {
    policies: &'a [&'a CompiledPolicy],
    mode: Mode,
    built: HashMap<Vec<usize>, usize>,
    reported: HashSet<(usize, usize)>,
}

impl Tables<'_> {
    fn of(
        &mut self,
        positions: Vec<usize>,
        index: &mut RouteIndex,
        out: &mut Diagnostics,
    ) -> usize {
        if let Some(&table) = self.built.get(&positions) {
            return table;
        }
        let mut table = RouteTable::default();
        let mut places: HashMap<*const Route, &Place> = HashMap::new();
        let policies = positions.iter().filter_map(|&at| self.policies.get(at));
        for ready in policies.flat_map(|policy| policy.routes_of(self.mode)) {
            places.insert(Arc::as_ptr(&ready.route), &ready.place);
            let Err(first) = table.insert(&ready.pattern, &ready.methods, &ready.route) else {
                continue;
            };
            let pair = (
                Arc::as_ptr(&first) as usize,
                Arc::as_ptr(&ready.route) as usize,
            );
            if !self.reported.insert(pair) {
                continue;
            }
            let mut error = Diagnostic::error(
                "conflicting-routes",
                &ready.place,
                format!("another route covers `{}` for the same host and method", ready.route.path),
            )
            .with_help("give the two different methods, or merge them; routes of all policies for one host share one table");
            if let Some(place) = places.get(&Arc::as_ptr(&first)) {
                error = error.with_related(place, "this one");
            }
            push_once(error, out);
        }
        let position = index.add_table(table);
        self.built.insert(positions, position);
        position
    }
}
