//! What two routes ask, rule by rule.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

use crate::authn::RouteAuthn;
use crate::policy::diff::demand::{Way, ways};
use crate::policy::diff::rules::{Clause, all_words, compare_clauses, compare_networks, networks};
use crate::policy::diff::{Difference, Effect};
use crate::policy::expression::Expression;
use crate::policy::field::{FieldPath, PrincipalField, RouteField, Who};
use crate::policy::level::At;
use crate::policy::role::RoleRule;
use crate::policy::route::Route;
use crate::policy::scope::{Scope, ScopeRule};
use crate::policy::source::{CorsSource, LevelSource, Located, RouteSource};

/// A compiled route with what was written.
pub(super) struct View<'a> {
    pub(super) route: &'a Arc<Route>,
    /// Whoever calls passes; see [`Chosen`](super::routing::Chosen).
    pub(super) unenforced: bool,
    pub(super) source: &'a RouteSource,
    /// The outermost first.
    pub(super) levels: Vec<&'a LevelSource>,
}

/// What the expressions of some routes read of callers, so that it matters beyond scopes and roles.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// A condition, or a header that can deny, reads what a consumer or key is granted: then holding less
    /// may also open.
    pub(super) grants: bool,
    /// The same for `consumer.metadata`.
    pub(super) metadata: bool,
    /// A header shows `consumer.metadata`.
    pub(super) shows_metadata: bool,
}

impl Reads {
    pub(super) fn add(&mut self, view: &View<'_>) {
        let conditions = view.route.conditions.iter();
        let judging = conditions.flat_map(|condition| condition.fields());
        let headers = view.route.inject.headers();
        let denying = headers
            .iter()
            .filter(|header| header.required || header.expression.is_program())
            .flat_map(|header| header.expression.fields());
        for field in judging.chain(denying) {
            self.grants |= is_grant(field);
            self.metadata |= matches!(field, FieldPath::Metadata(_));
        }
        let mut shown = headers.iter().flat_map(|header| header.expression.fields());
        self.shows_metadata |= shown.any(|field| matches!(field, FieldPath::Metadata(_)));
    }
}

fn is_grant(field: &FieldPath) -> bool {
    match field {
        FieldPath::Principal(_, field) => matches!(
            field,
            PrincipalField::Scopes | PrincipalField::Roles | PrincipalField::ExpiresAt
        ),
        _ => false,
    }
}

/// The authenticators that both routes ask.
pub(super) fn shared_authenticators<'a>(
    old: Option<&View<'a>>,
    new: Option<&View<'a>>,
) -> Vec<&'a str> {
    let names = |view: Option<&View<'a>>| -> Vec<&'a str> {
        let authn = view.and_then(|view| view.route.authn.as_ref());
        let list = authn.map_or(&[][..], |authn| authn.authenticators());
        list.iter().map(|one| one.name.as_ref()).collect()
    };
    let before = names(old);
    let mut shared = names(new);
    shared.retain(|name| before.contains(name));
    shared
}

/// Compares what two routes ask of the same requests.
pub(super) fn compare(old: Option<&View<'_>>, new: Option<&View<'_>>) -> Vec<Difference> {
    let mut out = Vec::new();
    match (old, new) {
        (None, None) => {}
        (None, Some(new)) => {
            let text = format!("is let through now: {}", asks(new));
            out.push(Difference::new(Effect::Opened, text));
        }
        (Some(_), None) => {
            let text = "is refused now: no route covers it any more";
            out.push(Difference::new(Effect::Closed, text));
        }
        (Some(old), Some(new)) if old.unenforced || new.unenforced => {
            let (effect, text) = match (old.unenforced, new.unenforced) {
                (true, true) => return out,
                (false, _) => (Effect::Opened, format!("is not enforced: {}", asks(new))),
                (true, false) => (Effect::Closed, format!("is enforced now: {}", asks(new))),
            };
            out.push(Difference::new(effect, text));
        }
        (Some(old), Some(new)) => {
            compare_access(old, new, &mut out);
            compare_addresses(old, new, &mut out);
            compare_conditions(old, new, &mut out);
            compare_inject(old, new, &mut out);
            compare_cors(old, new, &mut out);
            if old.route.disclose_scopes != new.route.disclose_scopes {
                let said = if new.route.disclose_scopes {
                    "are"
                } else {
                    "are not"
                };
                let text = format!("callers {said} told which scopes they lack");
                out.push(Difference::new(Effect::Answers, text));
            }
        }
    }
    out
}

/// What a route asks, in a few words.
fn asks(view: &View<'_>) -> String {
    let route = view.route;
    if view.unenforced {
        return "only a route in shadow covers it, and so anyone may call".to_owned();
    }
    let mut words = match &route.authn {
        None => "anyone may call".to_owned(),
        Some(authn) => {
            let names = match ways(authn) {
                Some(ways) => {
                    let ways: Vec<String> = ways.iter().map(way_words).collect();
                    ways.join(", or ")
                }
                None => "many ways to authenticate".to_owned(),
            };
            let optional = if passes_anonymous(view) {
                "; optional"
            } else {
                ""
            };
            format!("asks for {names}{optional}")
        }
    };
    for rule in &route.scopes {
        words.push_str(&format!("; scope {rule}"));
    }
    for rule in &route.roles {
        words.push_str(&format!("; {rule}"));
    }
    if !route.callers.is_empty() {
        words.push_str("; of some callers");
    }
    if !route.allow_ips.is_empty() {
        words.push_str("; from some addresses");
    }
    if !route.conditions.is_empty() {
        words.push_str("; on a condition");
    }
    words
}

fn way_words(way: &Way) -> String {
    let members = all_words(&way.members);
    if way.members.len() > 1 {
        format!(
            "{members} together (the caller is that of `{}`)",
            way.principal
        )
    } else {
        members
    }
}

/// Whether a caller who sends nothing passes the rules that ask for an identity.
fn passes_anonymous(view: &View<'_>) -> bool {
    let route = view.route;
    let optional = route
        .authn
        .as_ref()
        .is_some_and(|authn| authn.is_optional());
    optional && route.scopes.is_empty() && route.roles.is_empty() && route.callers.is_empty()
}

fn compare_access(old: &View<'_>, new: &View<'_>, out: &mut Vec<Difference>) {
    match (&old.route.authn, &new.route.authn) {
        (None, None) => return,
        (Some(_), None) => {
            out.push(Difference::new(
                Effect::Opened,
                "is public: anyone may call",
            ));
            return;
        }
        (None, Some(_)) => {
            let text = format!("is not public any more: {}", asks(new));
            out.push(Difference::new(Effect::Closed, text));
            return;
        }
        (Some(before), Some(after)) => compare_demands(before, after, new, out),
    }
    match (passes_anonymous(old), passes_anonymous(new)) {
        (false, true) => {
            let text = "lets callers without a credential through (`optional`)";
            out.push(Difference::new(Effect::Opened, text));
        }
        (true, false) => {
            let text = "does not let callers without a credential through any more";
            out.push(Difference::new(Effect::Closed, text));
        }
        _ => {}
    }
    if old.route.environment != new.route.environment {
        let text = format!(
            "serves the environment `{}`, where it was `{}`",
            new.route.environment, old.route.environment
        );
        out.push(Difference::new(Effect::Changed, text));
    }
    if old.route.external != new.route.external {
        let text = "signatures are checked over another address (`external_url`)";
        out.push(Difference::new(Effect::Changed, text));
    }
    let of_scopes = |view: &View<'_>| clauses_of_scopes(&view.route.scopes);
    compare_clauses(&of_scopes(old), &of_scopes(new), "scope", out);
    let of_roles = |view: &View<'_>| clauses_of_roles(&view.route.roles);
    compare_clauses(&of_roles(old), &of_roles(new), "role", out);
    let of_callers = |view: &View<'_>| -> Vec<Clause> {
        let rules = view.route.callers.iter();
        rules.map(|rule| rule.rule.told().collect()).collect()
    };
    compare_clauses(&of_callers(old), &of_callers(new), "caller", out);
}

fn clauses_of_scopes(rules: &[At<ScopeRule>]) -> Vec<Clause> {
    let text = |scope: &Scope| scope.as_str().to_owned();
    rules
        .iter()
        .flat_map(|rule| match &rule.rule {
            ScopeRule::All(scopes) => scopes.iter().map(|one| Clause::from([text(one)])).collect(),
            ScopeRule::Any(scopes) => vec![scopes.iter().map(text).collect::<Clause>()],
        })
        .collect()
}

fn clauses_of_roles(rules: &[At<RoleRule>]) -> Vec<Clause> {
    rules
        .iter()
        .flat_map(|rule| match &rule.rule {
            RoleRule::All(roles) => roles
                .iter()
                .map(|role| Clause::from([role.to_string()]))
                .collect(),
            RoleRule::Any(roles) => {
                vec![roles.iter().map(ToString::to_string).collect::<Clause>()]
            }
        })
        .collect()
}

fn compare_demands(
    before: &RouteAuthn,
    after: &RouteAuthn,
    new: &View<'_>,
    out: &mut Vec<Difference>,
) {
    let (Some(before), Some(after)) = (ways(before), ways(after)) else {
        let text = "has too many ways to authenticate to compare them";
        out.push(Difference::new(Effect::Changed, text));
        return;
    };
    let met_by = |way: &Way, ways: &BTreeSet<Way>| {
        ways.iter()
            .any(|one| one.principal == way.principal && one.members.is_subset(&way.members))
    };
    for way in &after {
        if !met_by(way, &before) {
            let text = format!("accepts {}", way_words(way));
            out.push(Difference::new(Effect::Opened, text));
        } else if !before.contains(way) && counts_members(new) {
            // Who stands beside the principal may be the caller that is asked for.
            let text = format!(
                "asks for {}, and its callers or conditions look at each of them",
                way_words(way)
            );
            out.push(Difference::new(Effect::Changed, text));
        }
    }
    for way in before.iter().filter(|way| !met_by(way, &after)) {
        let instead = after
            .iter()
            .find(|one| one.principal == way.principal && way.members.is_subset(&one.members));
        let text = match instead {
            Some(more) => format!(
                "asks for {}, where {} was enough",
                way_words(more),
                way_words(way)
            ),
            None => format!("does not accept {} any more", way_words(way)),
        };
        out.push(Difference::new(Effect::Closed, text));
    }
}

/// Whether more than the principal alone can meet one of the route's rules.
fn counts_members(view: &View<'_>) -> bool {
    let mut fields = view.route.conditions.iter().flat_map(|one| one.fields());
    let of_members = |field: &FieldPath| {
        matches!(
            field,
            FieldPath::Authenticators
                | FieldPath::Principal(Who::Authenticator(_), _)
                | FieldPath::Claim(Who::Authenticator(_), _)
        )
    };
    !view.route.callers.is_empty() || fields.any(of_members) || denies_by_header(view)
}

fn denies_by_header(view: &View<'_>) -> bool {
    let headers = view.route.inject.headers();
    headers
        .iter()
        .any(|header| header.required || header.expression.is_program())
}

fn compare_addresses(old: &View<'_>, new: &View<'_>, out: &mut Vec<Difference>) {
    let of = |view: &View<'_>| -> Option<Vec<IpNet>> {
        networks(view.route.allow_ips.iter().map(|rule| rule.0.as_slice()))
    };
    compare_networks(of(old).as_deref(), of(new).as_deref(), out);
}

/// A condition with what the route itself says to it.
type Said = (String, String);

fn compare_conditions(old: &View<'_>, new: &View<'_>, out: &mut Vec<Difference>) {
    let (before, after) = (conditions(old), conditions(new));
    let gone: Vec<&Said> = before.difference(&after).collect();
    let come: Vec<&Said> = after.difference(&before).collect();
    let texts = |said: &[&Said]| {
        let texts: Vec<String> = said.iter().map(|(text, _)| format!("`{text}`")).collect();
        texts.join(" and ")
    };
    let (effect, text) = match (gone.is_empty(), come.is_empty()) {
        (true, true) => return,
        (false, true) => (
            Effect::Opened,
            format!("the condition {} is gone", texts(&gone)),
        ),
        (true, false) => (
            Effect::Closed,
            format!("the condition {} must hold", texts(&come)),
        ),
        (false, false) => (
            Effect::Changed,
            format!(
                "the condition is {}, where it was {}",
                texts(&come),
                texts(&gone)
            ),
        ),
    };
    out.push(Difference::new(effect, text));
}

fn conditions(view: &View<'_>) -> BTreeSet<Said> {
    // Each level that says `when` was made into one condition.
    let texts = view.levels.iter().filter_map(|level| level.when.as_ref());
    let conditions = view.route.conditions.iter();
    conditions
        .zip(texts)
        .map(|(condition, text)| {
            let text = text.value.trim().to_owned();
            (text, said_by_route(view.route, condition.fields()))
        })
        .collect()
}

/// What the fields of an expression read that depends on the route and on nothing else.
fn said_by_route<'a>(route: &Route, fields: impl Iterator<Item = &'a FieldPath>) -> String {
    let mut said = String::new();
    for field in fields {
        let part = match field {
            FieldPath::Route(RouteField::Policy) => format!("{:?}", route.policy),
            FieldPath::Route(RouteField::Path) => format!("{:?}", route.path),
            FieldPath::PathParameter(name) => {
                let mut parameters = route.parameters.iter();
                let found = parameters.find(|(_, parameter)| **parameter == **name);
                format!("{:?}", found.map(|(position, _)| position))
            }
            _ => continue,
        };
        said.push_str(&part);
        said.push(' ');
    }
    said
}

/// A header's expression, whether it is required, what the route says to it, and whether it can deny.
type Header<'a> = (&'a str, bool, String, bool);

fn compare_inject(old: &View<'_>, new: &View<'_>, out: &mut Vec<Difference>) {
    let (before, after) = (headers(old), headers(new));
    // Nothing is said of headers where nobody is proven any more: that is said already.
    if new.route.authn.is_none() && old.route.authn.is_some() {
        return;
    }
    for (name, header) in &before {
        let denied = header.3;
        match after.get(name) {
            Some(other) if other == header => {}
            Some(other) => {
                let may_deny = denied || other.3;
                let effect = if may_deny {
                    Effect::Changed
                } else {
                    Effect::Headers
                };
                let required = |required: bool| if required { " (required)" } else { "" };
                let text = format!(
                    "sets `{name}` to `{}`{}, where it was `{}`{}",
                    other.0,
                    required(other.1),
                    header.0,
                    required(header.1)
                );
                out.push(Difference::new(effect, text));
            }
            None => {
                let effect = if denied {
                    Effect::Opened
                } else {
                    Effect::Headers
                };
                let text = format!("does not set `{name}` any more");
                out.push(Difference::new(effect, text));
            }
        }
    }
    for (name, header) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        let effect = if header.3 {
            Effect::Closed
        } else {
            Effect::Headers
        };
        let text = format!("sets `{name}` to `{}`", header.0);
        out.push(Difference::new(effect, text));
    }
}

fn headers<'a>(view: &View<'a>) -> BTreeMap<&'a str, Header<'a>> {
    let mut texts: BTreeMap<&str, &'a str> = BTreeMap::new();
    for level in &view.levels {
        let named = level.inject.iter();
        texts.extend(
            named.map(|one| (one.name.value.as_str(), one.value.expression.value.as_str())),
        );
    }
    let headers = view.route.inject.headers();
    headers
        .iter()
        .map(|header| {
            let text = texts.get(header.name.as_ref()).copied().unwrap_or_default();
            let said = said_by_route(view.route, Expression::fields(&header.expression));
            let denies = header.required || header.expression.is_program();
            (header.name.as_ref(), (text, header.required, said, denies))
        })
        .collect()
}

fn compare_cors(old: &View<'_>, new: &View<'_>, out: &mut Vec<Difference>) {
    let nearest = |view: &View<'_>| {
        let mut levels = view.levels.iter().rev();
        levels.find_map(|level| {
            every_key_is_compared(level);
            level.cors.as_ref().map(|cors| cors.value.clone())
        })
    };
    let (before, after) = (
        nearest(old).unwrap_or_default(),
        nearest(new).unwrap_or_default(),
    );
    let set = |list: &[Located<String>]| -> BTreeSet<String> {
        list.iter().map(|one| one.value.clone()).collect()
    };
    let (was, is) = (set(&before.origins), set(&after.origins));
    for origin in is.difference(&was) {
        let text = format!("pages from {origin} may call (`cors`)");
        out.push(Difference::new(Effect::Opened, text));
    }
    for origin in was.difference(&is) {
        let text = format!("pages from {origin} may not call any more (`cors`)");
        out.push(Difference::new(Effect::Closed, text));
    }
    let rest = |cors: &CorsSource| {
        let CorsSource {
            origins: _,
            headers,
            expose,
            credentials,
            max_age,
        } = cors;
        let max_age = max_age.as_ref().map(|seconds| seconds.value);
        (set(headers), set(expose), *credentials, max_age)
    };
    if !is.is_empty() && !was.is_empty() && rest(&before) != rest(&after) {
        let text = "what pages from other origins may send or read is another (`cors`)";
        out.push(Difference::new(Effect::Changed, text));
    }
}

/// Does not compile when levels get a key that nothing here compares: a rule that goes unseen is one that
/// opens unseen.
const fn every_key_is_compared(level: &LevelSource) {
    let LevelSource {
        authenticate: _,
        optional: _,
        public: _,
        scopes: _,
        environment: _,
        inject: _,
        roles: _,
        callers: _,
        allow_ips: _,
        when: _,
        // Routes in shadow take no part in routing, and so are met nowhere.
        mode: _,
        cors: _,
    } = level;
}
