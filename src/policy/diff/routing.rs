//! Which routes judge each class of requests, before and after.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::policy::diff::Side;
use crate::policy::pattern::{HostPattern, PathPattern, Segment};
use crate::policy::route::classes::{Part, PathClass, path_classes};
use crate::policy::route::{Route, RouteIndex};
use crate::request::raw::RawCheck;
use crate::request::{Reading, Request};

/// The most classes of paths that are looked at for one table.
const MAX_CLASSES: usize = 200_000;

/// All meetings of routes.
pub(super) struct Met<'a> {
    pub(super) meetings: Vec<Meeting<'a>>,
    /// Whether every class of requests was looked at.
    pub(super) complete: bool,
}

/// Two routes that judge some requests, one before and one after.
pub(super) struct Meeting<'a> {
    pub(super) old: Option<&'a Arc<Route>>,
    pub(super) new: Option<&'a Arc<Route>>,
    pub(super) pinned: Option<&'a str>,
    hosts: BTreeSet<String>,
    classes: BTreeSet<PathClass>,
    methods: BTreeSet<Method>,
    all_methods: usize,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Method {
    Named(Box<str>),
    /// One that no route names.
    Other(Box<str>),
}

/// Pairs of routes that were met, by their addresses.
type Seen = HashMap<(usize, usize), usize>;

pub(super) fn meetings<'a>(old: &Side<'a>, new: &Side<'a>) -> Met<'a> {
    let (before, after) = (&old.table.routes, &new.table.routes);
    let mut words = Words::of(before, after);
    let methods = words.methods(before, after);
    let mut met = Met {
        meetings: Vec::new(),
        complete: true,
    };
    let mut seen = Seen::new();
    let mut hosts = before.hosts();
    hosts.extend(after.hosts());
    look(&mut met, &mut seen, (before, after), None, &hosts, &words, &methods);
    let mut pins: HashMap<&str, BTreeSet<HostPattern>> = HashMap::new();
    for (name, hosts) in before.pins().chain(after.pins()) {
        pins.entry(name).or_default().extend(hosts.iter().cloned());
    }
    let mut pins: Vec<_> = pins.into_iter().collect();
    pins.sort();
    for (name, hosts) in pins {
        look(&mut met, &mut seen, (before, after), Some(name), &hosts, &words, &methods);
    }
    met
}

/// Requests to the hosts, each table once; pairs that were met before in another way are left out.
fn look<'a>(
    met: &mut Met<'a>,
    seen: &mut Seen,
    (before, after): (&'a RouteIndex, &'a RouteIndex),
    pin: Option<&'a str>,
    hosts: &BTreeSet<HostPattern>,
    words: &Words,
    methods: &[Method],
) {
    let first = met.meetings.len();
    let mut by_tables: HashMap<_, Vec<(String, String)>> = HashMap::new();
    let mut order = Vec::new();
    for pattern in hosts {
        let host = words.host(pattern);
        let tables = (before.table_for(&host, pin), after.table_for(&host, pin));
        let alike = by_tables.entry(tables).or_default();
        if alike.is_empty() {
            order.push(tables);
        }
        alike.push((host, written(pattern)));
    }
    for tables in order {
        let Some(hosts) = by_tables.get(&tables) else {
            continue;
        };
        let Some((host, _)) = hosts.first() else {
            continue;
        };
        let Some(classes) = path_classes((before, tables.0), (after, tables.1), MAX_CLASSES) else {
            met.complete = false;
            continue;
        };
        for class in classes {
            let path = words.path(&class);
            for method in methods {
                let Some(request) = request(host, &path, method, pin) else {
                    continue;
                };
                let (old, new) = (before.choose(&request).ok(), after.choose(&request).ok());
                if old.is_none() && new.is_none() {
                    continue;
                }
                let address = |route: Option<&Arc<Route>>| {
                    route.map_or(0, |route| Arc::as_ptr(route) as usize)
                };
                let at = *seen.entry((address(old), address(new))).or_insert_with(|| {
                    met.meetings.push(Meeting {
                        old,
                        new,
                        pinned: pin,
                        hosts: BTreeSet::new(),
                        classes: BTreeSet::new(),
                        methods: BTreeSet::new(),
                        all_methods: methods.len(),
                    });
                    met.meetings.len() - 1
                });
                if at < first {
                    continue;
                }
                if let Some(meeting) = met.meetings.get_mut(at) {
                    meeting.hosts.extend(hosts.iter().map(|(_, host)| host.clone()));
                    if !meeting.classes.contains(&class) {
                        meeting.classes.insert(class.clone());
                    }
                    meeting.methods.insert(method.clone());
                }
            }
        }
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
    fn of(before: &RouteIndex, after: &RouteIndex) -> Self {
        let mut hosts = before.hosts();
        hosts.extend(after.hosts());
        let labels: BTreeSet<String> = hosts
            .iter()
            .flat_map(|pattern| match pattern {
                HostPattern::Exact(name) | HostPattern::Below(name) => name
                    .split('.')
                    .map(str::to_owned)
                    .collect::<Vec<_>>(),
                HostPattern::Any => Vec::new(),
            })
            .collect();
        let mut methods = before.methods();
        methods.extend(after.methods());
        let mut segments = before.literals();
        segments.extend(after.literals());
        Self {
            label: unused("a", |word| labels.contains(word)),
            segment: unused("any", |word| segments.contains(word)),
            method: unused("ANY", |word| methods.contains(word)).into(),
        }
    }

    fn methods(&mut self, before: &RouteIndex, after: &RouteIndex) -> Vec<Method> {
        let mut named = before.methods();
        named.extend(after.methods());
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
        for route in [self.new, self.old].into_iter().flatten() {
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
