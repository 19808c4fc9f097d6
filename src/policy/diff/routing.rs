//! Which routes judge each class of requests, before and after.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::policy::diff::Side;
use crate::policy::pattern::{HostPattern, PathPattern, Segment};
use crate::policy::route::classes::{Part, PathClass, path_classes};
use crate::policy::route::{Route, RouteIndex};
use crate::request::raw::RawCheck;
use crate::request::{Reading, Request};
use crate::verdict::Reason;

/// The most classes of paths that are looked at for one table.
const MAX_CLASSES: usize = 500_000;

/// All meetings of routes.
pub(super) struct Met<'a> {
    pub(super) meetings: Vec<Meeting<'a>>,
    /// Policies that one set has, and that requests are pinned to: whether it is the new one.
    pub(super) one_sided: Vec<(&'a str, bool)>,
    /// Whether every class of requests was looked at.
    pub(super) complete: bool,
}

/// What becomes of some requests, before and after.
pub(super) struct Meeting<'a> {
    pub(super) old: Option<Chosen<'a>>,
    pub(super) new: Option<Chosen<'a>>,
    pub(super) pinned: Option<&'a str>,
    hosts: BTreeSet<String>,
    classes: BTreeSet<PathClass>,
    methods: BTreeSet<Method>,
    all_methods: usize,
}

/// The route that judges.
#[derive(Clone, Copy)]
pub(super) struct Chosen<'a> {
    pub(super) route: &'a Arc<Route>,
    /// It is in shadow, none is enforced, and whoever calls passes.
    pub(super) unenforced: bool,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Method {
    Named(Box<str>),
    /// One that no route names.
    Other(Box<str>),
}

/// Pairs of routes that were met, by their addresses.
type Seen = HashMap<[usize; 4], usize>;

/// The indexes that choose.
#[derive(Clone, Copy)]
struct Index<'a> {
    enforced: &'a RouteIndex,
    /// Where requests that only routes in shadow cover pass.
    shadow: Option<&'a RouteIndex>,
}

impl<'a> Index<'a> {
    fn of(side: &Side<'a>) -> Self {
        let table = side.table;
        Self {
            enforced: &table.routes,
            shadow: table.shadow.as_ref().filter(|_| table.unenforced_allow),
        }
    }

    fn all(self) -> impl Iterator<Item = &'a RouteIndex> {
        std::iter::once(self.enforced).chain(self.shadow)
    }

    /// As [`Routed::choose`](crate::policy::authorise::Routed::choose) does.
    fn choose(self, request: &Request) -> Option<Chosen<'a>> {
        match self.enforced.choose(request) {
            // The policies of a tenant that do not compile refuse everything.
            Ok(route) => Some(Chosen {
                route,
                unenforced: false,
            }),
            Err(refusal) if refusal.reason == Reason::RouteUnknown => {
                let route = self.shadow?.choose(request).ok()?;
                Some(Chosen {
                    route,
                    unenforced: true,
                })
            }
            Err(_) => None,
        }
    }
}

/// Looks at every class of requests.
struct Look<'a> {
    before: Index<'a>,
    after: Index<'a>,
    words: Words,
    methods: Vec<Method>,
    seen: Seen,
    met: Met<'a>,
}

pub(super) fn meetings<'a>(old: &Side<'a>, new: &Side<'a>) -> Met<'a> {
    let (before, after) = (Index::of(old), Index::of(new));
    let indexes: Vec<&RouteIndex> = before.all().chain(after.all()).collect();
    let words = Words::of(&indexes);
    let mut look = Look {
        before,
        after,
        methods: words.methods(&indexes),
        words,
        seen: Seen::new(),
        met: Met {
            meetings: Vec::new(),
            one_sided: Vec::new(),
            complete: true,
        },
    };
    let hosts = indexes.iter().flat_map(|index| index.hosts()).collect();
    look.at(None, &hosts);
    let mut pins: BTreeMap<&str, BTreeSet<HostPattern>> = BTreeMap::new();
    for (name, hosts) in indexes.iter().flat_map(|index| index.pins()) {
        pins.entry(name).or_default().extend(hosts.iter().cloned());
    }
    for (name, hosts) in pins {
        look.at(Some(name), &hosts);
    }
    look.met
}

impl<'a> Look<'a> {
    /// Requests to the hosts, each table once. Pairs that were met before in another way are left out.
    fn at(&mut self, pin: Option<&'a str>, hosts: &BTreeSet<HostPattern>) {
        let first = self.met.meetings.len();
        let mut by_tables: HashMap<Vec<Option<usize>>, usize> = HashMap::new();
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for pattern in hosts {
            let host = self.words.host(pattern);
            let tables = self.tables(&host, pin).map(|(_, table)| table).collect();
            let at = *by_tables.entry(tables).or_insert_with(|| {
                groups.push((host, Vec::new()));
                groups.len() - 1
            });
            if let Some((_, alike)) = groups.get_mut(at) {
                alike.push(written(pattern));
            }
        }
        let mut new_pairs = false;
        for (host, alike) in groups {
            let tables: Vec<_> = self.tables(&host, pin).collect();
            let Some(classes) = path_classes(&tables, MAX_CLASSES) else {
                self.met.complete = false;
                continue;
            };
            for class in classes {
                new_pairs |= self.paths(&host, &alike, &class, pin, first);
            }
        }
        // Of a policy that one set alone has, all requests that are pinned to it are refused by the other.
        let knows = |index: Index<'a>| {
            index
                .all()
                .any(|index| index.pins().any(|(name, _)| Some(name) == pin))
        };
        let (was, is) = (knows(self.before), knows(self.after));
        if let Some(name) = pin.filter(|_| was != is) {
            self.met.meetings.truncate(first);
            self.seen.retain(|_, at| *at < first);
            if new_pairs {
                self.met.one_sided.push((name, is));
            }
        }
    }

    fn tables(
        &self,
        host: &str,
        pin: Option<&str>,
    ) -> impl Iterator<Item = (&'a RouteIndex, Option<usize>)> {
        let indexes = self.before.all().chain(self.after.all());
        indexes.map(move |index| (index, index.table_for(host, pin)))
    }

    /// Requests of one class of paths. Answers whether a pair was met for the first time.
    fn paths(
        &mut self,
        host: &str,
        alike: &[String],
        class: &PathClass,
        pin: Option<&'a str>,
        first: usize,
    ) -> bool {
        let path = self.words.path(class);
        let mut new_pairs = false;
        for method in &self.methods {
            let Some(request) = request(host, &path, method, pin) else {
                continue;
            };
            let (old, new) = (self.before.choose(&request), self.after.choose(&request));
            if old.is_none() && new.is_none() {
                continue;
            }
            let address = |chosen: Option<Chosen<'_>>| {
                chosen.map_or((0, 0), |chosen| {
                    (
                        Arc::as_ptr(chosen.route) as usize,
                        usize::from(chosen.unenforced),
                    )
                })
            };
            let (was, is) = (address(old), address(new));
            let meetings = &mut self.met.meetings;
            let at = *self
                .seen
                .entry([was.0, was.1, is.0, is.1])
                .or_insert_with(|| {
                    new_pairs = true;
                    meetings.push(Meeting {
                        old,
                        new,
                        pinned: pin,
                        hosts: BTreeSet::new(),
                        classes: BTreeSet::new(),
                        methods: BTreeSet::new(),
                        all_methods: self.methods.len(),
                    });
                    meetings.len() - 1
                });
            if let Some(meeting) = meetings.get_mut(at).filter(|_| at >= first) {
                meeting.hosts.extend(alike.iter().cloned());
                if !meeting.classes.contains(class) {
                    meeting.classes.insert(class.clone());
                }
                meeting.methods.insert(method.clone());
            }
        }
        new_pairs
    }
}

fn request(host: &str, path: &str, method: &Method, pin: Option<&str>) -> Option<Request> {
    let copy = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let (Method::Named(method) | Method::Other(method)) = method;
    let pin = pin.map(|policy| (Bytes::from_static(b"policy"), copy(policy)));
    let raw = RawCheck {
        method: copy(method),
        host: copy(host),
        path: copy(path),
        context_extensions: pin.into_iter().collect(),
        ..RawCheck::default()
    };
    Request::read(raw, &Reading::default()).ok()
}

/// Texts that stand nowhere in the routes.
struct Words {
    label: String,
    segment: String,
    method: Box<str>,
}

impl Words {
    fn of(indexes: &[&RouteIndex]) -> Self {
        let hosts: BTreeSet<HostPattern> = indexes.iter().flat_map(|index| index.hosts()).collect();
        let labels: BTreeSet<&str> = hosts
            .iter()
            .filter_map(|pattern| match pattern {
                HostPattern::Exact(name) | HostPattern::Below(name) => Some(name.split('.')),
                HostPattern::Any => None,
            })
            .flatten()
            .collect();
        let methods: BTreeSet<Box<str>> =
            indexes.iter().flat_map(|index| index.methods()).collect();
        let segments: BTreeSet<Box<str>> =
            indexes.iter().flat_map(|index| index.literals()).collect();
        Self {
            label: unused("a", |word| labels.contains(word)),
            segment: unused("any", |word| segments.contains(word)),
            method: unused("ANY", |word| methods.contains(word)).into(),
        }
    }

    /// Every method that some route names, HEAD where GET stands for it, and one that none names.
    fn methods(&self, indexes: &[&RouteIndex]) -> Vec<Method> {
        let mut named: BTreeSet<Box<str>> =
            indexes.iter().flat_map(|index| index.methods()).collect();
        if named.contains("GET") {
            named.insert("HEAD".into());
        }
        let named = named.into_iter().map(Method::Named);
        named.chain([Method::Other(self.method.clone())]).collect()
    }

    fn host(&self, pattern: &HostPattern) -> String {
        match pattern {
            HostPattern::Exact(host) => host.to_string(),
            HostPattern::Below(suffix) => format!("{}.{suffix}", self.label),
            HostPattern::Any => self.label.clone(),
        }
    }

    fn path(&self, class: &[Part]) -> String {
        let mut path = String::new();
        for part in class {
            path.push('/');
            let text: &str = match part {
                Part::Literal(text) => text,
                Part::Other => &self.segment,
            };
            for byte in text.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    path.push(char::from(byte));
                } else {
                    path.push_str(&format!("%{byte:02X}"));
                }
            }
        }
        path
    }
}

fn unused(word: &str, used: impl Fn(&str) -> bool) -> String {
    let numbered = (0_u32..).map(|number| format!("{word}{number}"));
    let mut words = std::iter::once(word.to_owned()).chain(numbered);
    words.find(|word| !used(word)).unwrap_or_default()
}

fn written(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(host) => host.to_string(),
        HostPattern::Below(suffix) => format!("*.{suffix}"),
        HostPattern::Any => "*".to_owned(),
    }
}

impl Meeting<'_> {
    /// The hosts, as written.
    pub(super) fn hosts(&self) -> Vec<String> {
        self.hosts.iter().cloned().collect()
    }

    /// The methods in words.
    pub(super) fn methods(&self) -> String {
        let named: Vec<&str> = self
            .methods
            .iter()
            .filter_map(|method| match method {
                Method::Named(name) => Some(name.as_ref()),
                Method::Other(_) => None,
            })
            .collect();
        if named.len() == self.methods.len() {
            named.join(", ")
        } else if self.methods.len() == self.all_methods || named.is_empty() {
            "any method".to_owned()
        } else {
            format!("{} and others", named.join(", "))
        }
    }

    /// The paths: those that one of the routes is for, as it is written, or else all of them.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = Vec::new();
        for chosen in [self.new, self.old].into_iter().flatten() {
            let route = chosen.route;
            let Ok(pattern) = PathPattern::parse(&route.path) else {
                continue;
            };
            let mut own: PathClass = pattern
                .segments
                .iter()
                .map(|segment| match segment {
                    Segment::Literal(text) => Part::Literal(text.clone()),
                    Segment::Parameter(_) => Part::Other,
                })
                .collect();
            let mut met = self.classes.contains(&own);
            if pattern.below {
                own.push(Part::Other);
                met |= self.classes.contains(&own);
            }
            if met && paths.is_empty() {
                paths.push(route.path.to_string());
            }
        }
        if paths.is_empty() {
            paths.extend(self.classes.iter().map(|class| shown(class)));
        }
        paths
    }
}

fn shown(class: &[Part]) -> String {
    let parts = class.iter().map(|part| match part {
        Part::Literal(text) => text.as_ref(),
        Part::Other => "*",
    });
    parts.fold(String::new(), |path, part| path + "/" + part)
}
