//! What could have judged a request besides the route that does. Only for explaining: nothing here
//! decides.

use std::sync::Arc;

use super::{Methods, Node, Route, RouteIndex};
use crate::diagnostic::nearest;
use crate::policy::observe::event::{Near, PathCovers, Routing};
use crate::policy::pattern::HostPattern;
use crate::request::Request;

/// The most routes that are named as coming near.
const MAX_NEAR: usize = 3;

impl RouteIndex {
    /// What covers a request, the most specific first, and what comes near where nothing does.
    pub fn candidates(&self, request: &Request) -> Routing {
        let host = request.host().as_str();
        let pinned = request.raw().pinned();
        let pinned = pinned.map(|name| String::from_utf8_lossy(name).into_owned());
        let (hosts, tables) = match &pinned {
            Some(name) => self.of_pinned(name, host),
            None => self.of_host(host),
        };
        let mut routing = Routing {
            pinned,
            hosts,
            ..Routing::default()
        };
        let mut tables = tables.into_iter();
        if let Some(table) = tables.next() {
            let mut found = Vec::new();
            table.covering(request.path().segments(), &mut found);
            routing.paths = found.into_iter().flat_map(told).collect();
            if routing.paths.is_empty() {
                near(table, request, &mut routing.nearest);
            }
        } else {
            self.near_host(host, &mut routing.nearest);
        }
        if routing.paths.is_empty() {
            for (table, pattern) in tables.zip(routing.hosts.iter().skip(1)) {
                let covering = table.find(request.path().segments());
                routing.nearest.extend(covering.into_iter().flat_map(|at| {
                    told(at).into_iter().map(|route| Near {
                        host: Some(pattern.clone()),
                        path: route.path,
                        policy: route.policy,
                        why: "covers the path for a less specific host, and nothing falls back to that",
                    })
                }));
            }
        }
        routing
    }

    fn of_pinned(&self, name: &str, host: &str) -> (Vec<String>, Vec<&Node>) {
        let pin = self.pinned.get(name);
        let covers = |pattern: &&HostPattern| pattern.covers(host);
        let pattern = pin.and_then(|pin| pin.hosts.iter().find(covers));
        let table = pin.filter(|_| pattern.is_some()).map(|pin| pin.table);
        (
            pattern.map(HostPattern::to_string).into_iter().collect(),
            table.into_iter().filter_map(|at| self.root(at)).collect(),
        )
    }

    fn of_host(&self, host: &str) -> (Vec<String>, Vec<&Node>) {
        let mut found: Vec<(String, usize)> = Vec::new();
        let exact = self.exact.get(host);
        found.extend(exact.map(|&table| (host.to_owned(), table)));
        let mut rest = host;
        while let Some((_, suffix)) = rest.split_once('.') {
            let below = self.below.get(suffix);
            found.extend(below.map(|&table| (format!("*.{suffix}"), table)));
            rest = suffix;
        }
        found.extend(self.any.map(|table| ("*".to_owned(), table)));
        found
            .into_iter()
            .filter_map(|(pattern, table)| Some((pattern, self.root(table)?)))
            .unzip()
    }

    fn root(&self, table: usize) -> Option<&Node> {
        self.tables.get(table).map(|table| &table.root)
    }

    fn near_host(&self, host: &str, into: &mut Vec<Near>) {
        let Some(near) = nearest(host, self.exact.keys().map(AsRef::as_ref)) else {
            return;
        };
        let root = self.exact.get(near).and_then(|&table| self.root(table));
        let mut routes = Vec::new();
        root.into_iter().for_each(|root| root.all(&mut routes));
        into.extend(routes.into_iter().take(1).map(|route| Near {
            host: Some(near.to_owned()),
            path: route.path.to_string(),
            policy: route.policy.to_string(),
            why: "its host is spelled almost alike",
        }));
    }
}

impl Node {
    /// Everything that covers a path, in the order in which [`Node::find`] looks.
    fn covering<'a, 'n>(
        &'n self,
        mut segments: impl Iterator<Item = &'a str> + Clone,
        into: &mut Vec<&'n Methods>,
    ) {
        match segments.next() {
            None => into.extend(self.here.as_deref()),
            Some(segment) => {
                if let Some(node) = self.literals.get(segment) {
                    node.covering(segments.clone(), into);
                }
                let parameter = self.parameter.as_deref().filter(|_| !segment.is_empty());
                if let Some(node) = parameter {
                    node.covering(segments, into);
                }
            }
        }
        into.extend(self.below.as_deref());
    }

    fn all<'n>(&'n self, into: &mut Vec<&'n Arc<Route>>) {
        for methods in [&self.here, &self.below].into_iter().flatten() {
            into.extend(methods.named.iter().map(|(_, route)| route));
            into.extend(&methods.usual);
        }
        let children = self.literals.values().chain(self.parameter.as_deref());
        children.for_each(|node| node.all(into));
    }
}

/// The routes at one path, each with its methods.
fn told(methods: &Methods) -> Vec<PathCovers> {
    let mut routes: Vec<(&Arc<Route>, Vec<String>)> = Vec::new();
    for (name, route) in &methods.named {
        match routes
            .iter_mut()
            .find(|(other, _)| Arc::ptr_eq(other, route))
        {
            Some((_, names)) => names.push(name.to_string()),
            None => routes.push((route, vec![name.to_string()])),
        }
    }
    let usual = methods.usual.as_ref();
    let every = || vec!["all but CONNECT and TRACE".to_owned()];
    routes.extend(usual.map(|route| (route, every())));
    let covers = |(route, methods): (&Arc<Route>, Vec<String>)| PathCovers {
        path: route.path.to_string(),
        policy: route.policy.to_string(),
        methods,
    };
    routes.into_iter().map(covers).collect()
}

/// The routes of a table whose paths are most like the request's.
fn near(table: &Node, request: &Request, into: &mut Vec<Near>) {
    let mut routes = Vec::new();
    table.all(&mut routes);
    routes.sort_by(|a, b| a.path.cmp(&b.path));
    routes.dedup_by(|a, b| a.path == b.path);
    let path = request.path().as_str();
    let spelled = nearest(path, routes.iter().map(|route| route.path.as_ref()));
    let mut scored: Vec<(usize, &Arc<Route>, &'static str)> = Vec::new();
    for route in routes {
        let alike = alike(&route.path, path);
        let why = if route.path.trim_end_matches('/') == path.trim_end_matches('/') {
            "differs by the slash at its end only"
        } else if route.path.eq_ignore_ascii_case(path) {
            "differs by letter case only"
        } else if spelled == Some(route.path.as_ref()) {
            "is spelled almost alike"
        } else if alike > 0 {
            "begins alike"
        } else {
            continue;
        };
        let score = alike + if why == "begins alike" { 0 } else { 1_000 };
        scored.push((score, route, why));
    }
    scored.sort_by_key(|(score, ..)| std::cmp::Reverse(*score));
    into.extend(
        scored
            .into_iter()
            .take(MAX_NEAR)
            .map(|(_, route, why)| Near {
                host: None,
                path: route.path.to_string(),
                policy: route.policy.to_string(),
                why,
            }),
    );
}

/// How many segments two paths begin with that are alike.
fn alike(pattern: &str, path: &str) -> usize {
    let segments = pattern.split('/').zip(path.split('/')).skip(1);
    segments
        .take_while(|(ours, theirs)| ours == theirs || ours.starts_with('{'))
        .count()
}
