//! Which requests routing can tell apart, so that two indexes can be compared over all of them.

use std::collections::BTreeSet;

use crate::policy::pattern::HostPattern;
use crate::policy::route::{Node, RouteIndex, RouteTable};
use crate::request::path::MAX_PATH_SEGMENTS;

/// One segment of a class of paths.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// This text.
    Literal(Box<str>),
    /// Any text that stands nowhere in the routes.
    Other,
}

/// Paths that no route of either index tells apart.
pub type PathClass = Vec<Part>;

impl RouteIndex {
    /// Every host pattern that is served.
    pub fn hosts(&self) -> BTreeSet<HostPattern> {
        let exact = self.exact.keys().cloned().map(HostPattern::Exact);
        let below = self.below.keys().cloned().map(HostPattern::Below);
        let any = self.any.map(|_| HostPattern::Any);
        exact.chain(below).chain(any).collect()
    }

    /// The policies that requests can be pinned to, each with its hosts.
    pub fn pins(&self) -> impl Iterator<Item = (&str, &[HostPattern])> {
        let pins = self.pinned.iter();
        pins.map(|(name, pin)| (name.as_ref(), pin.hosts.as_slice()))
    }

    /// Names the table that requests for a host are looked up in, pinned to a policy or not.
    pub fn table_for(&self, host: &str, pin: Option<&str>) -> Option<usize> {
        match pin {
            Some(name) => self.pinned_table(name.as_bytes(), host).ok().flatten(),
            None => self.table_of(host),
        }
    }

    /// Every method that some route names.
    pub fn methods(&self) -> BTreeSet<Box<str>> {
        let mut methods = BTreeSet::new();
        self.each_node(|node| {
            let here = [&node.here, &node.below].into_iter().flatten();
            methods.extend(here.flat_map(|here| here.named.iter().map(|(name, _)| name.clone())));
        });
        methods
    }

    /// Every segment that some route names.
    pub fn literals(&self) -> BTreeSet<Box<str>> {
        let mut literals = BTreeSet::new();
        self.each_node(|node| literals.extend(node.literals.keys().cloned()));
        literals
    }

    fn each_node(&self, mut see: impl FnMut(&Node)) {
        let mut open: Vec<&Node> = self.tables.iter().map(|table| &table.root).collect();
        while let Some(node) = open.pop() {
            see(node);
            open.extend(node.literals.values().chain(node.parameter.as_deref()));
        }
    }
}

/// The classes of paths that one of some tables, named by [`RouteIndex::table_for`], tells apart; `None` if
/// there are more than `limit`.
///
/// Which patterns cover a path decides all that routing makes of it. For each set of patterns that cover
/// some path together there is a class here: patterns are walked side by side, and at each segment a path
/// goes on with one of the texts that some pattern names, or with another one.
pub fn path_classes(
    tables: &[(&RouteIndex, Option<usize>)],
    limit: usize,
) -> Option<Vec<PathClass>> {
    let roots: Vec<&Node> = tables
        .iter()
        .filter_map(|(index, table)| index.tables.get((*table)?))
        .map(|table: &RouteTable| &table.root)
        .collect();
    let mut walk = Walk {
        found: Vec::new(),
        prefix: Vec::new(),
        limit,
    };
    walk.visit(&roots, false)?;
    Some(walk.found)
}

struct Walk {
    found: Vec<PathClass>,
    prefix: PathClass,
    limit: usize,
}

impl Walk {
    /// `nodes` are those that the prefix leads to; `below` says that a `/**` stands above.
    fn visit(&mut self, nodes: &[&Node], below: bool) -> Option<()> {
        let below = below || nodes.iter().any(|node| node.below.is_some());
        if !self.prefix.is_empty() && (below || nodes.iter().any(|node| node.here.is_some())) {
            self.emit(None)?;
        }
        if self.prefix.len() >= MAX_PATH_SEGMENTS {
            return Some(());
        }
        let parameters: Vec<&Node> = nodes
            .iter()
            .filter_map(|node| node.parameter.as_deref())
            .collect();
        let literals: BTreeSet<&str> = nodes
            .iter()
            .flat_map(|node| node.literals.keys().map(AsRef::as_ref))
            .collect();
        for literal in &literals {
            let named = nodes.iter().filter_map(|node| node.literals.get(*literal));
            // An empty segment is no parameter.
            let any = parameters.iter().copied().filter(|_| !literal.is_empty());
            let next: Vec<&Node> = named.chain(any).collect();
            self.prefix.push(Part::Literal((*literal).into()));
            self.visit(&next, below)?;
            self.prefix.pop();
        }
        if below && !parameters.is_empty() && !literals.contains("") {
            self.emit(Some(Part::Literal("".into())))?;
        }
        if !parameters.is_empty() {
            self.prefix.push(Part::Other);
            self.visit(&parameters, below)?;
            self.prefix.pop();
        } else if below {
            self.emit(Some(Part::Other))?;
        }
        Some(())
    }

    fn emit(&mut self, last: Option<Part>) -> Option<()> {
        let class = self.prefix.iter().cloned().chain(last).collect();
        self.found.push(class);
        (self.found.len() <= self.limit).then_some(())
    }
}
