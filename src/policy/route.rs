//! The route index: the most specific host, then the most specific path, then the method.
//!
//! Its cost depends on the number of labels and segments of a request, not on the number of routes.

mod candidates;
pub mod classes;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::authn::RouteAuthn;
use crate::diagnostic::Place;
use crate::policy::caller::{AddressRule, CallerRule};
use crate::policy::cors::Cors;
use crate::policy::expression::Condition;
use crate::policy::inject::{InjectPlan, Owned};
use crate::policy::level::At;
use crate::policy::pattern::{HostPattern, PathPattern, Segment};
use crate::policy::role::RoleRule;
use crate::policy::scope::{Scope, ScopeRule};
use crate::request::Request;
use crate::request::signed::ExternalUrl;
use crate::verdict::{Reason, Refusal};

/// A compiled route.
pub struct Route {
    /// The name of its policy, a tenant's with the tenant's own in front: `payments/orders`.
    pub policy: Arc<str>,
    /// The tenant whose it is; `None`: the root's.
    pub tenant: Option<Arc<str>>,
    /// The headers that belong to Portcullis on it.
    pub owned: Arc<Owned>,
    /// Its position among the policy's routes as written, from which a gRPC service makes several.
    pub position: usize,
    /// Its path as written; of a gRPC route `/service/method`.
    pub path: Arc<str>,
    /// Where the path is written; of a gRPC route its method, or else its service.
    pub place: Place,
    /// Position and name of each path parameter.
    pub parameters: Box<[(usize, Box<str>)]>,
    /// What it asks of the caller; `None` on a public route.
    pub authn: Option<Arc<RouteAuthn>>,
    /// The address that clients call, where Envoy sees another.
    pub external: Option<Arc<ExternalUrl>>,
    /// The environment that it serves.
    pub environment: Arc<str>,
    /// Whether callers are told which scopes it asks for.
    pub disclose_scopes: bool,
    /// The client's address must lie in each of these.
    pub allow_ips: Vec<At<AddressRule>>,
    /// Each of these must admit the caller.
    pub callers: Vec<At<CallerRule>>,
    /// All of these must hold.
    pub scopes: Vec<At<ScopeRule>>,
    /// All of these must hold.
    pub roles: Vec<At<RoleRule>>,
    /// All of these must hold.
    pub conditions: Vec<At<Arc<Condition>>>,
    /// The headers it sets.
    pub inject: Arc<InjectPlan>,
    /// What pages of other origins may do; `None` leaves that to the upstream.
    pub cors: Option<Arc<Cors>>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Route({} {})", self.policy, self.path)
    }
}

impl Route {
    /// All scopes that its rules name, in the form of OAuth 2.0's `scope` (RFC 6749 section 3.3).
    pub fn required_scopes(&self) -> String {
        let named = self.scopes.iter().flat_map(|at| match &at.rule {
            ScopeRule::All(scopes) | ScopeRule::Any(scopes) => scopes,
        });
        let mut words: Vec<&str> = named.map(Scope::as_str).collect();
        words.sort_unstable();
        words.dedup();
        words.join(" ")
    }
}

/// The methods of a route: those it names, or all but CONNECT and TRACE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteMethods {
    /// These. GET admits HEAD unless another route names HEAD for the same path.
    Named(Vec<Box<str>>),
    /// All but CONNECT and TRACE.
    Usual,
}

/// What stands at one path.
#[derive(Default)]
struct Methods {
    named: Vec<(Box<str>, Arc<Route>)>,
    usual: Option<Arc<Route>>,
}

impl Methods {
    /// Adds a route, or answers with the one that is there already for one of its methods.
    fn insert(&mut self, methods: &RouteMethods, route: &Arc<Route>) -> Result<(), Arc<Route>> {
        let taken = match methods {
            RouteMethods::Named(names) => names.iter().find_map(|name| {
                let named = self
                    .named
                    .iter()
                    .find(|(other, _)| other == name)
                    .map(|(_, route)| route);
                named.or(self.usual.as_ref().filter(|_| is_usual(name)))
            }),
            RouteMethods::Usual => {
                let named = self
                    .named
                    .iter()
                    .find(|(name, _)| is_usual(name))
                    .map(|(_, route)| route);
                self.usual.as_ref().or(named)
            }
        };
        if let Some(taken) = taken {
            return Err(Arc::clone(taken));
        }
        match methods {
            RouteMethods::Named(names) => {
                self.named
                    .extend(names.iter().map(|name| (name.clone(), Arc::clone(route))));
            }
            RouteMethods::Usual => self.usual = Some(Arc::clone(route)),
        }
        Ok(())
    }

    fn get(&self, method: &str) -> Option<&Arc<Route>> {
        let named = |wanted: &str| {
            self.named
                .iter()
                .find(|(name, _)| **name == *wanted)
                .map(|(_, route)| route)
        };
        named(method)
            .or_else(|| self.usual.as_ref().filter(|_| is_usual(method)))
            .or_else(|| if method == "HEAD" { named("GET") } else { None })
    }

    /// The value of `Allow` (RFC 9110 section 10.2.1).
    fn allow(&self) -> Arc<str> {
        self.names().join(", ").into()
    }

    /// The methods whose routes share the `cors` of `route`, and `requested`, which led to it.
    fn sharing_cors(&self, route: &Route, requested: &str) -> String {
        let mut names = self.names();
        names.retain(|name| {
            let cors = self.get(name).and_then(|other| other.cors.as_ref());
            cors.zip(route.cors.as_ref())
                .is_some_and(|(cors, own)| Arc::ptr_eq(cors, own))
        });
        if !names.contains(&requested) {
            names.push(requested);
        }
        names.join(", ")
    }

    /// The methods that are known here, in order.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.named.iter().map(|(name, _)| name.as_ref()).collect();
        if self.usual.is_some() {
            names.extend(["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]);
        }
        if names.contains(&"GET") {
            names.push("HEAD");
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn is_usual(method: &str) -> bool {
    !matches!(method, "CONNECT" | "TRACE")
}

/// Found by a word of the request. What stands here comes from policies alone, so nobody who sends requests
/// can make words collide, and a hash that only spreads is enough.
type Words<T> = HashMap<Box<str>, T, RandomState>;

/// The routes of one set of hosts, as a tree of segments.
#[derive(Default)]
pub struct RouteTable {
    root: Node,
}

#[derive(Default)]
struct Node {
    literals: Words<Node>,
    parameter: Option<Box<Node>>,
    here: Option<Box<Methods>>,
    below: Option<Box<Methods>>,
}

impl RouteTable {
    /// Adds a route.
    ///
    /// # Errors
    /// The route that has the same path and one of the methods already.
    pub fn insert(
        &mut self,
        pattern: &PathPattern,
        methods: &RouteMethods,
        route: &Arc<Route>,
    ) -> Result<(), Arc<Route>> {
        let mut node = &mut self.root;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text.clone()).or_default(),
                Segment::Parameter(_) => node.parameter.get_or_insert_default(),
            };
        }
        let slot = if pattern.below {
            &mut node.below
        } else {
            &mut node.here
        };
        slot.get_or_insert_default().insert(methods, route)
    }

    fn find<'a>(&self, segments: impl Iterator<Item = &'a str> + Clone) -> Option<&Methods> {
        self.root.find(segments)
    }
}

impl Node {
    /// Segment by segment a literal before a parameter before `/**`, going back where a more specific
    /// start leads nowhere. Each node of the tree is entered at most once.
    fn find<'a>(&self, mut segments: impl Iterator<Item = &'a str> + Clone) -> Option<&Methods> {
        let found = match segments.next() {
            None => self.here.as_deref(),
            Some(segment) => self
                .literals
                .get(segment)
                .and_then(|node| node.find(segments.clone()))
                // A parameter is never empty: `/orders/` is not `/orders/{order_id}`.
                .or_else(|| {
                    self.parameter
                        .as_deref()
                        .filter(|_| !segment.is_empty())
                        .and_then(|node| node.find(segments))
                }),
        };
        found.or(self.below.as_deref())
    }
}

impl Drop for Node {
    /// Takes the tree apart level by level: dropping it by recursion would need a stack as deep as the
    /// longest path.
    fn drop(&mut self) {
        let mut open: Vec<Node> = Vec::new();
        let take = |node: &mut Node, open: &mut Vec<Node>| {
            open.extend(node.literals.drain().map(|(_, child)| child));
            open.extend(node.parameter.take().map(|child| *child));
        };
        take(self, &mut open);
        while let Some(mut node) = open.pop() {
            take(&mut node, &mut open);
        }
    }
}

/// All routes, by host.
#[derive(Default)]
pub struct RouteIndex {
    exact: Words<usize>,
    below: Words<usize>,
    any: Option<usize>,
    tables: Vec<RouteTable>,
    /// A policy by name, for requests that Envoy pins to it.
    pinned: HashMap<Box<str>, Pin>,
    unknown_is_not_found: bool,
}

/// A policy on its own.
struct Pin {
    hosts: Vec<HostPattern>,
    table: usize,
}

impl RouteIndex {
    /// An index that answers requests no route covers with 403, or with 404 if
    /// `unknown_is_not_found`.
    pub fn new(unknown_is_not_found: bool) -> Self {
        Self {
            unknown_is_not_found,
            ..Self::default()
        }
    }

    /// Adds a table; the answer names it for [`RouteIndex::serve`] and [`RouteIndex::pin`].
    pub fn add_table(&mut self, table: RouteTable) -> usize {
        self.tables.push(table);
        self.tables.len() - 1
    }

    /// Serves the hosts of a pattern from a table.
    pub fn serve(&mut self, pattern: HostPattern, table: usize) {
        match pattern {
            HostPattern::Exact(host) => {
                self.exact.insert(host, table);
            }
            HostPattern::Below(suffix) => {
                self.below.insert(suffix, table);
            }
            HostPattern::Any => self.any = Some(table),
        }
    }

    /// Lets requests be pinned to a policy by its name.
    pub fn pin(&mut self, policy: &str, hosts: Vec<HostPattern>, table: usize) {
        self.pinned.insert(policy.into(), Pin { hosts, table });
    }

    /// Chooses the route of a request (step 3 of the policy language).
    ///
    /// # Errors
    /// `route_unknown`, `method_not_allowed`, `policy_unknown`.
    pub fn choose(&self, request: &Request) -> Result<&Arc<Route>, Refusal> {
        let methods = self.methods_of(request)?;
        methods.get(request.method().as_str()).ok_or_else(|| {
            let mut refusal = Refusal::new(
                Reason::MethodNotAllowed,
                "the path is known, the method is not among its methods",
            );
            refusal.allowed_methods = Some(methods.allow());
            refusal
        })
    }

    /// The route that `method` would lead to at a request's host and path, and the methods there that
    /// answer preflights alike. `None` if there is no such route.
    pub fn preflight(&self, request: &Request, method: &str) -> Option<(&Arc<Route>, String)> {
        let methods = self.methods_of(request).ok()?;
        let route = methods.get(method)?;
        Some((route, methods.sharing_cors(route, method)))
    }

    /// What stands at a request's host and path.
    fn methods_of(&self, request: &Request) -> Result<&Methods, Refusal> {
        let host = request.host().as_str();
        let table = match request.raw().pinned() {
            Some(name) => self.pinned_table(name, host)?,
            None => self.table_of(host),
        };
        let table = table.and_then(|table| self.tables.get(table));
        let methods = table.and_then(|table| table.find(request.path().segments()));
        // Empty segments may be passed over, unless a reader who keeps them comes to another route.
        if let (Some(table), Some(kept)) = (table, request.path().with_empty_segments())
            && let Some(other) = table.find(kept)
            && !methods.is_some_and(|methods| std::ptr::eq(methods, other))
        {
            return Err(Refusal::new(
                Reason::PathAmbiguous,
                "the path leads to another route for a reader who keeps its empty segments",
            ));
        }
        methods.ok_or_else(|| {
            let mut refusal =
                Refusal::new(Reason::RouteUnknown, "no route covers this host and path");
            refusal.status = self.unknown_is_not_found.then_some(404);
            refusal
        })
    }

    fn pinned_table(&self, name: &[u8], host: &str) -> Result<Option<usize>, Refusal> {
        let pin = std::str::from_utf8(name)
            .ok()
            .and_then(|name| self.pinned.get(name));
        let pin = pin.ok_or_else(|| {
            Refusal::new(
                Reason::PolicyUnknown,
                "the context extension `policy` names no policy",
            )
        })?;
        Ok(pin
            .hosts
            .iter()
            .any(|pattern| pattern.covers(host))
            .then_some(pin.table))
    }

    /// The table of the most specific pattern that covers a host: exact, longest suffix, any.
    fn table_of(&self, host: &str) -> Option<usize> {
        if let Some(&table) = self.exact.get(host) {
            return Some(table);
        }
        let mut rest = host;
        while let Some((_, suffix)) = rest.split_once('.') {
            if let Some(&table) = self.below.get(suffix) {
                return Some(table);
            }
            rest = suffix;
        }
        self.any
    }
}

#[cfg(test)]
mod tests;
