//! Which routes and rules the tests have seen at work: a rule is tested when it was seen to admit and to
//! refuse.

use std::collections::HashMap;
use std::sync::Arc;

use crate::authn::identity::{Identity, Proven};
use crate::clock::Timestamp;
use crate::diagnostic::Place;
use crate::policy::expression::Outcome;
use crate::policy::field::Facts;
use crate::policy::route::Route;
use crate::policy::source::{
    CoversSource, LevelSource, Located, Mode, Named, PolicySet, PolicySource,
};
use crate::request::raw::RawCheck;
use crate::request::{Reading, Request};
use crate::verdict::Reason;

/// What was seen of one policy set.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Every route, in the order of files.
    pub routes: Vec<CoveredRoute>,
    /// Every rule of every level.
    pub rules: Vec<CoveredRule>,
    by_place: HashMap<Key, usize>,
}

/// A policy's name, a file's name and a position in it.
type Key = (String, String, usize);

/// A route, and how often a test came to it.
#[derive(Debug)]
pub struct CoveredRoute {
    /// The name of its policy.
    pub policy: String,
    /// Methods and path, as in the short form of routes.
    pub label: String,
    /// Where its path is written.
    pub place: Place,
    /// How many tests chose it.
    pub chosen: usize,
    /// Its rules by kind, the outermost level first, as positions in [`Coverage::rules`].
    rules: RulesOf,
    optional: bool,
}

#[derive(Clone, Debug, Default)]
struct RulesOf {
    allow_ips: Vec<usize>,
    callers: Vec<usize>,
    scopes: Vec<usize>,
    roles: Vec<usize>,
    when: Vec<usize>,
}

/// A rule of a level, and what was seen of it.
#[derive(Debug)]
pub struct CoveredRule {
    /// `scopes of policy orders`.
    pub label: String,
    /// Where it is written.
    pub place: Place,
    /// How many tests it let on.
    pub admitted: usize,
    /// How many tests it refused.
    pub refused: usize,
}

impl CoveredRule {
    /// Whether it was seen in both ways.
    pub const fn is_covered(&self) -> bool {
        self.admitted > 0 && self.refused > 0
    }

    /// What was not seen of it.
    pub const fn lacks(&self) -> &'static str {
        match (self.admitted, self.refused) {
            (0, 0) => "never judged",
            (0, _) => "never seen to admit",
            _ => "never seen to refuse",
        }
    }
}

/// A request that came to a route, and how it ended.
pub(super) struct Seen<'a> {
    pub(super) route: &'a Arc<Route>,
    pub(super) reason: Reason,
    pub(super) proven: Option<&'a Proven>,
    /// Whether an authenticator decided.
    pub(super) deciding: bool,
    pub(super) check: &'a RawCheck,
    pub(super) reading: &'a Reading,
    pub(super) now: Timestamp,
}

impl Coverage {
    /// Nothing was seen yet of these sets: the root's comes first, the others are tenants'. Routes in shadow
    /// judge no request, and are left out.
    pub(super) fn of<'a>(sets: impl Iterator<Item = (Option<&'a str>, &'a PolicySet)>) -> Self {
        let mut coverage = Self::default();
        // What the root says for all: its defaults, and what it requires of tenants.
        let mut outer: Vec<(&LevelSource, RulesOf)> = Vec::new();
        let mut required = RulesOf::default();
        for (tenant, set) in sets {
            let prefix = tenant.map_or(String::new(), |tenant| format!("{tenant}/"));
            let what = match tenant {
                None => "`defaults`".to_owned(),
                Some(tenant) => format!("`defaults` of the tenant `{tenant}`"),
            };
            let mut levels = vec![(
                &set.defaults.level,
                coverage.level(&set.defaults.level, &what),
            )];
            levels.extend(outer.iter().cloned());
            let first = match tenant {
                None => RulesOf::default(),
                Some(_) => required.clone(),
            };
            for policy in &set.policies {
                coverage.policy(&prefix, policy, &levels, &first);
            }
            if tenant.is_none() {
                required = coverage.required(set);
                outer = levels;
            }
        }
        coverage
    }

    /// Notes a policy's routes and rules. `outer` are the levels around it, the nearest first; `first` is
    /// judged before all of them.
    fn policy(
        &mut self,
        prefix: &str,
        policy: &Named<PolicySource>,
        outer: &[(&LevelSource, RulesOf)],
        first: &RulesOf,
    ) {
        let name = format!("{prefix}{}", policy.name.value);
        let own = self.level(&policy.value.level, &format!("policy `{name}`"));
        for route in &policy.value.routes {
            let Some(covers) = &route.covers else {
                continue;
            };
            let levels = [&route.level, &policy.value.level];
            let levels = levels
                .into_iter()
                .chain(outer.iter().map(|(level, _)| *level));
            let mode = levels.clone().find_map(|level| level.mode.as_ref());
            if mode.is_some_and(|mode| mode.value == Mode::Shadow) {
                continue;
            }
            let paths = paths(covers);
            let what = paths.first().map_or("", |(label, _)| label.as_str());
            let nearest = self.level(&route.level, &format!("`{what}` of `{name}`"));
            let outermost = outer.iter().rev().map(|(_, rules)| rules);
            let outermost_first = std::iter::once(first)
                .chain(outermost)
                .chain([&own, &nearest]);
            let rules = RulesOf::all(&outermost_first);
            let optional = levels.clone().find_map(|level| level.optional.as_ref());
            let optional = optional.is_some_and(|optional| optional.value);
            for (label, place) in paths {
                let position = self.routes.len();
                self.by_place.insert(key(&name, place), position);
                self.routes.push(CoveredRoute {
                    policy: name.clone(),
                    label,
                    place: place.clone(),
                    chosen: 0,
                    rules: rules.clone(),
                    optional,
                });
            }
        }
    }

    /// Notes the scopes that the root requires of every tenant's callers.
    fn required(&mut self, root: &PolicySet) -> RulesOf {
        let mut rules = RulesOf::default();
        if let Some(require) = &root.defaults.require
            && !require.value.scopes.is_empty()
        {
            rules.scopes.push(self.rules.len());
            self.rules.push(CoveredRule {
                label: "`scopes` of `defaults.require`".to_owned(),
                place: require.place.clone(),
                admitted: 0,
                refused: 0,
            });
        }
        rules
    }

    /// Notes the rules of one level.
    fn level(&mut self, level: &LevelSource, what: &str) -> RulesOf {
        let mut rule = |key: &str, place: Option<&Place>| {
            let place = place?.clone();
            let position = self.rules.len();
            self.rules.push(CoveredRule {
                label: format!("`{key}` of {what}"),
                place,
                admitted: 0,
                refused: 0,
            });
            Some(position)
        };
        fn at<T>(said: Option<&Located<T>>) -> Option<&Place> {
            said.map(|said| &said.place)
        }
        RulesOf {
            allow_ips: rule("allow_ips", at(level.allow_ips.as_ref()))
                .into_iter()
                .collect(),
            callers: rule("callers", at(level.callers.as_ref()))
                .into_iter()
                .collect(),
            scopes: rule("scopes", at(level.scopes.as_ref()))
                .into_iter()
                .collect(),
            roles: rule("roles", at(level.roles.as_ref()))
                .into_iter()
                .collect(),
            when: rule("when", at(level.when.as_ref())).into_iter().collect(),
        }
    }

    /// How many routes a test chose.
    pub fn chosen(&self) -> usize {
        self.routes.iter().filter(|route| route.chosen > 0).count()
    }

    /// How many rules were seen in both ways.
    pub fn covered(&self) -> usize {
        self.rules.iter().filter(|rule| rule.is_covered()).count()
    }

    /// Notes what a request shows.
    pub(super) fn saw(&mut self, seen: &Seen<'_>) {
        let key = key(&seen.route.policy, &seen.route.place);
        let Some(&position) = self.by_place.get(&key) else {
            return;
        };
        let Some(route) = self.routes.get_mut(position) else {
            return;
        };
        // A preflight asks for a route and does not come to it.
        if matches!(seen.reason, Reason::Preflight | Reason::CorsRefused) {
            return;
        }
        route.chosen += 1;
        if !seen.came_to_the_rules(route.optional) {
            return;
        }
        let rules = route.rules.clone();
        for (position, admitted) in seen.judged(&rules) {
            if let Some(rule) = self.rules.get_mut(position) {
                rule.admitted += usize::from(admitted);
                rule.refused += usize::from(!admitted);
            }
        }
    }
}

impl RulesOf {
    /// The rules of several levels, the outermost first.
    fn all<'a>(levels: &(impl Iterator<Item = &'a Self> + Clone)) -> Self {
        let all = |pick: fn(&Self) -> &Vec<usize>| levels.clone().flat_map(pick).copied().collect();
        Self {
            allow_ips: all(|rules| &rules.allow_ips),
            callers: all(|rules| &rules.callers),
            scopes: all(|rules| &rules.scopes),
            roles: all(|rules| &rules.roles),
            when: all(|rules| &rules.when),
        }
    }
}

impl Seen<'_> {
    /// Whether it got past authentication, and so was judged by the rules of its levels (step 9 of the policy
    /// language).
    fn came_to_the_rules(&self, optional: bool) -> bool {
        let past = matches!(
            self.reason,
            Reason::Allowed
                | Reason::InjectRefused
                | Reason::AddressRefused
                | Reason::CallerRefused
                | Reason::ScopeInsufficient
                | Reason::RoleMissing
                | Reason::CredentialsMissing
                | Reason::ConditionFalse
                | Reason::ConditionFailed
        );
        let anonymous = optional && !self.deciding;
        past && (self.proven.is_some() || self.route.authn.is_none() || anonymous)
    }

    /// Each rule that was judged and whether it admitted, in the order of `Caller::authorise`, up to the
    /// first that refused.
    fn judged(&self, rules: &RulesOf) -> Vec<(usize, bool)> {
        let mut judged = Vec::new();
        let Ok(request) = Request::read(self.check.clone(), self.reading) else {
            return judged;
        };
        let route = self.route;
        // Who is anonymous has no principal, and neither has who comes to a public route.
        let proven = self.proven.cloned();
        let identity = proven.map_or(Identity::Public, Identity::Proven);
        let principal = identity.principal();
        let address = request.client_address();
        let consumers = identity.proven().into_iter().flat_map(Proven::all);
        let facts = Facts::of(&request, route, &identity, self.now);

        let allow_ips = route.allow_ips.iter().map(|rule| rule.admits(address));
        let callers = route
            .callers
            .iter()
            .map(|rule| rule.admits(consumers.clone()));
        let scopes = route
            .scopes
            .iter()
            .map(|rule| principal.is_some_and(|principal| rule.satisfied_by(principal.scopes())));
        let roles = route.roles.iter().map(|rule| {
            principal.is_some_and(|principal| rule.satisfied_by(|role| principal.has_role(role)))
        });
        let conditions = route.conditions.iter();
        let conditions = conditions.map(|condition| condition.judge(&facts) == Outcome::True);
        let all = (rules.allow_ips.iter().copied().zip(allow_ips))
            .chain(rules.callers.iter().copied().zip(callers))
            .chain(rules.scopes.iter().copied().zip(scopes))
            .chain(rules.roles.iter().copied().zip(roles))
            .chain(rules.when.iter().copied().zip(conditions));
        for (position, admitted) in all {
            judged.push((position, admitted));
            if !admitted {
                break;
            }
        }
        judged
    }
}

fn key(policy: &str, place: &Place) -> Key {
    (policy.to_owned(), place.file.name().to_owned(), place.start)
}

/// What a route covers, with the place that its compiled route has.
fn paths(covers: &CoversSource) -> Vec<(String, &Place)> {
    match covers {
        CoversSource::Path { path, methods } => {
            let methods: Vec<&str> = methods.iter().map(|method| method.value.as_str()).collect();
            let label = match methods.as_slice() {
                [] => path.value.clone(),
                methods => format!("{} {}", methods.join("|"), path.value),
            };
            vec![(label, &path.place)]
        }
        CoversSource::Grpc { service, methods } if methods.is_empty() => {
            vec![(format!("grpc {}", service.value), &service.place)]
        }
        CoversSource::Grpc { service, methods } => methods
            .iter()
            .map(|method| {
                let label = format!("grpc {}/{}", service.value, method.value);
                (label, &method.place)
            })
            .collect(),
    }
}
