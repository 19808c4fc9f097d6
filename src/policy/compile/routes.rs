//! Levels, routes and their index.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::authn::mtls::rules::Rules;
use crate::authn::spiffe::TrustDomain;
use crate::authn::{Authenticator, Method, RouteAuthn};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::policy::compile::access::{Access, access};
use crate::policy::compile::cors::CorsLevels;
use crate::policy::compile::covers::covered;
use crate::policy::compile::demand;
use crate::policy::compile::expressions::Expressions;
use crate::policy::compile::index::{CompiledPolicy, Ready};
use crate::policy::compile::mtls::check_trust_domain_said;
use crate::policy::compile::owners::check_owners;
use crate::policy::compile::rules::{Known, address_rule, caller_rule, role_rule, scope_rule};
use crate::policy::compile::tenants::{Bounds, Party};
use crate::policy::compile::{DEFAULT_ENVIRONMENT, is_said, push_once, relaxations};
use crate::policy::inject::Owned;
use crate::policy::level::{At, Level};
use crate::policy::pattern::{HostPattern, PathPattern, Segment};
use crate::policy::route::Route;
use crate::policy::source::{
    AuthenticateSource, CallerSource, LevelSource, Located, Mode, Named, PolicySet, PolicySource,
    RouteSource,
};
use crate::request::signed::ExternalUrl;

struct Compiler<'a> {
    set: &'a PolicySet,
    party: &'a Party<'a>,
    owned: &'a Arc<Owned>,
    by_name: HashMap<&'a str, &'a Arc<Authenticator>>,
    known: HashSet<&'a str>,
    names: Known<'a>,
    roots: Option<Known<'a>>,
    /// What each demand asks, by whether it is optional: shared, as most routes ask the same.
    authn: HashMap<(demand::Named<'a>, bool), Arc<RouteAuthn>>,
    expressions: Expressions<'a>,
    cors: CorsLevels,
    /// The `external_url` of the policy whose routes are being compiled.
    external: Option<Arc<ExternalUrl>>,
}

/// What a party's policies are compiled with.
pub(super) struct Given<'a> {
    pub(super) party: &'a Party<'a>,
    pub(super) owned: &'a Arc<Owned>,
    pub(super) names: Known<'a>,
    /// What the root's `defaults` mean by names, where this is a tenant.
    pub(super) roots: Option<Known<'a>>,
    /// The authenticators that it may name.
    pub(super) usable: HashMap<&'a str, &'a Arc<Authenticator>>,
    /// Those whose definition is there, be it broken.
    pub(super) known: HashSet<&'a str>,
    /// Those that the root's `defaults` name, whoever may.
    pub(super) inherited: HashMap<&'a str, &'a Arc<Authenticator>>,
}

/// Compiles all policies of a party.
pub(super) fn compile<'a>(
    set: &'a PolicySet,
    given: Given<'a>,
    out: &mut Diagnostics,
) -> Vec<CompiledPolicy> {
    let mut by_name = given.inherited;
    by_name.extend(given.usable);
    let mut compiler = Compiler {
        set,
        party: given.party,
        owned: given.owned,
        by_name,
        known: given.known,
        names: given.names,
        roots: given.roots,
        authn: HashMap::new(),
        expressions: Expressions::new(given.owned),
        cors: CorsLevels::default(),
        external: None,
    };
    compiler.check_level(&set.defaults.level, out);
    if given.party.bounds.is_none() && !set.tenants.is_empty() {
        compiler.check_defaults(out);
    }
    let policies = set.policies.iter();
    policies
        .map(|policy| compiler.policy(policy, out))
        .collect()
}

/// The address that clients call.
fn external_url(url: &Located<String>, out: &mut Diagnostics) -> Option<ExternalUrl> {
    match ExternalUrl::parse(&url.value) {
        Ok(parsed) => Some(parsed),
        Err(why) => {
            let message = format!("`external_url` {why}");
            out.push(
                Diagnostic::error("bad-url", &url.place, message)
                    .with_help("write what clients call before the path that Envoy sees: `https://api.example.com/v1`"),
            );
            None
        }
    }
}

fn host_patterns(
    policy: &Named<PolicySource>,
    bounds: Option<&Bounds<'_>>,
    out: &mut Diagnostics,
) -> Vec<HostPattern> {
    let mut patterns: Vec<HostPattern> = Vec::new();
    for host in &policy.value.hosts {
        match HostPattern::parse(&host.value) {
            Ok(pattern) if patterns.contains(&pattern) => {
                let message = format!("the host `{}` is listed twice", host.value);
                out.push(Diagnostic::error("duplicate-host", &host.place, message));
            }
            Ok(pattern) => {
                if let Some(bounds) = bounds {
                    bounds.check_host(&pattern, &host.place, out);
                }
                patterns.push(pattern);
            }
            Err(why) => out.push(
                Diagnostic::error(
                    "bad-host",
                    &host.place,
                    format!("`{}` is no host pattern", host.value),
                )
                .with_help(why),
            ),
        }
    }
    patterns
}

impl<'a> Compiler<'a> {
    /// Reports what is wrong with one level on its own.
    fn check_level(&mut self, level: &LevelSource, out: &mut Diagnostics) {
        if let Some(cors) = &level.cors {
            self.cors.compile(cors, out);
        }
        if let Some(bounds) = self.party.bounds {
            bounds.check_level(level, out);
        }
        if let Some(source) = &level.authenticate {
            demand::check(source, &self.known, out);
        }
        let is_public = level.public.as_ref().filter(|public| public.value);
        let Some(public) = is_public else { return };
        let own = [
            level
                .authenticate
                .as_ref()
                .map(|own| ("authenticate", &own.place)),
            level.optional.as_ref().map(|own| ("optional", &own.place)),
            level.scopes.as_ref().map(|own| ("scopes", &own.place)),
            level.roles.as_ref().map(|own| ("roles", &own.place)),
            level.callers.as_ref().map(|own| ("callers", &own.place)),
        ];
        for (key, place) in own.into_iter().flatten() {
            out.push(
                Diagnostic::error(
                    "public-contradiction",
                    place,
                    format!(
                        "`public: true` asks nothing of the caller, and `{key}` says what is asked"
                    ),
                )
                .with_related(&public.place, "public here")
                .with_help("keep one of the two"),
            );
        }
    }

    fn policy(&mut self, policy: &'a Named<PolicySource>, out: &mut Diagnostics) -> CompiledPolicy {
        let name = self.party.name(&policy.name.value);
        let hosts = host_patterns(policy, self.party.bounds, out);
        let external = policy.value.external_url.as_ref();
        self.external = external
            .and_then(|url| external_url(url, out))
            .map(Arc::new);
        self.check_level(&policy.value.level, out);
        let mut routes = Vec::new();
        for (position, route) in policy.value.routes.iter().enumerate() {
            self.check_level(&route.level, out);
            let Some(covers) = &route.covers else {
                continue;
            };
            let mut levels = vec![&route.level, &policy.value.level, &self.set.defaults.level];
            if self.party.bounds.is_some() {
                levels.push(&self.party.root.defaults.level);
            }
            let mode = levels.iter().find_map(|level| level.mode.as_ref());
            let mode = mode.map_or(Mode::Enforce, |mode| mode.value);
            let ignore_slash = relaxations(self.party.root).trailing_slash;
            for (path, place, pattern, methods) in covered(covers, ignore_slash, out) {
                if let Some(bounds) = self.party.bounds {
                    bounds.check_path(&pattern, place, out);
                }
                let compiled = self.route(&name, route, (&path, place), &pattern, &levels, out);
                let Some(mut compiled) = compiled else {
                    continue;
                };
                compiled.position = position;
                if mode == Mode::Shadow {
                    // Shadow changes nothing, what replies say included.
                    compiled.cors = None;
                }
                routes.push(Ready {
                    route: Arc::new(compiled),
                    mode,
                    pattern,
                    methods,
                    place: place.clone(),
                });
            }
        }
        CompiledPolicy {
            name,
            hosts,
            routes,
        }
    }

    /// Reads the root's `defaults` once for the tenants' sake, who inherit them: a mistake in them is the
    /// root's, even where no route of its own would meet it.
    fn check_defaults(&mut self, out: &mut Diagnostics) {
        let level = &self.set.defaults.level;
        if let Some(source) = &level.scopes {
            scope_rule(source, out);
        }
        if let Some(source) = &level.roles {
            role_rule(source, &self.names, out);
        }
        if let Some(source) = &level.callers {
            caller_rule(source, &self.names, out);
        }
        self.expressions.inject(&[level], &[], out);
        self.expressions.conditions(&[level], &[], false, out);
    }

    /// What names in the rules of a level refer to: in the root's `defaults` they are the root's.
    fn names_of(&self, level: Level) -> &Known<'a> {
        let roots = self.roots.as_ref().filter(|_| level == Level::Defaults);
        roots.unwrap_or(&self.names)
    }

    fn route(
        &mut self,
        policy: &Arc<str>,
        source: &'a RouteSource,
        (path, place): (&str, &Place),
        pattern: &PathPattern,
        levels: &[&'a LevelSource],
        out: &mut Diagnostics,
    ) -> Option<Route> {
        let authn = self.access(source, levels, out)?;
        let parameters: Box<[(usize, Box<str>)]> = pattern
            .segments
            .iter()
            .enumerate()
            .filter_map(|(position, segment)| match segment {
                Segment::Parameter(name) => Some((position, name.clone())),
                Segment::Literal(_) => None,
            })
            .collect();
        let environment = levels.iter().find_map(|level| level.environment.as_ref());
        let environment = environment.map_or(DEFAULT_ENVIRONMENT, |environment| &environment.value);
        let public = authn.is_none();
        if public {
            report_unasked(levels, out);
        }
        let own = self.party.bounds;
        let (mut scopes, mut roles, mut callers) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(bounds) = own {
            bounds.check_authn(authn.as_deref(), &source.place, out);
            let required = bounds.required_scopes().filter(|_| !public);
            let level = Level::Require;
            scopes.extend(required.map(|rule| At { level, rule }));
        }
        // Every level must hold, the outermost first; a public route drops what asks for an identity.
        for (level, said) in outermost_first(levels).filter(|_| !public) {
            let scope = said.scopes.as_ref();
            if let Some(source) = scope
                && let Some(rule) = scope_rule(source, out)
            {
                if let Some(bounds) = own.filter(|_| level != Level::Defaults) {
                    bounds.check_rule(&rule, &source.place, out);
                }
                scopes.push(At { level, rule });
            }
            let role = said.roles.as_ref();
            let rule = role.and_then(|source| role_rule(source, self.names_of(level), out));
            roles.extend(rule.map(|rule| At { level, rule }));
            let caller = said.callers.as_ref();
            if let (Some(source), Some(authn)) = (caller, &authn) {
                check_caller_domains(&source.value, authn, out);
            }
            let rule = caller.map(|source| caller_rule(source, self.names_of(level), out));
            callers.extend(rule.map(|rule| At { level, rule }));
        }
        let cors = levels.iter().find_map(|level| level.cors.as_ref());
        let cors = cors.and_then(|cors| self.cors.compile(cors, out));
        let allow_ips = outermost_first(levels)
            .filter_map(|(level, said)| address_rule(said).map(|rule| At { level, rule }));
        let names: Vec<&str> = pattern.parameter_names().collect();
        let inject = if public {
            self.expressions.nothing()
        } else {
            self.expressions.inject(levels, &names, out)
        };
        let conditions = self.expressions.conditions(levels, &names, public, out);
        Some(Route {
            policy: Arc::clone(policy),
            tenant: self.party.tenant(),
            owned: Arc::clone(self.owned),
            position: 0,
            path: path.into(),
            place: place.clone(),
            parameters,
            authn,
            external: self.external.clone(),
            environment: environment.into(),
            disclose_scopes: is_said(self.party.root.defaults.disclose_scopes.as_ref()),
            allow_ips: allow_ips.collect(),
            callers,
            scopes,
            roles,
            conditions,
            inject,
            cors,
        })
    }

    /// Who may open a route: the nearest level that says `authenticate` or `public: true` decides.
    /// The outer `None` means that no level says anything.
    #[expect(
        clippy::option_option,
        reason = "the inner option is the route's own field"
    )]
    fn access(
        &mut self,
        route: &RouteSource,
        levels: &[&'a LevelSource],
        out: &mut Diagnostics,
    ) -> Option<Option<Arc<RouteAuthn>>> {
        match access(levels) {
            Some(Access::Public) => return Some(None),
            Some(Access::Authenticated(source)) => {
                let optional = levels.iter().find_map(|level| level.optional.as_ref());
                return self.authn(source, is_said(optional), out).map(Some);
            }
            None => {}
        }
        out.push(
            Diagnostic::error(
                "no-authentication",
                &route.place,
                "neither this route nor its policy nor `defaults` say who may call it",
            )
            .with_help("add `authenticate: NAME`, or `public: true` if anyone may"),
        );
        None
    }

    fn authn(
        &mut self,
        source: &'a Located<AuthenticateSource>,
        optional: bool,
        out: &mut Diagnostics,
    ) -> Option<Arc<RouteAuthn>> {
        let key = (demand::Named::of(source), optional);
        if let Some(authn) = self.authn.get(&key) {
            return Some(Arc::clone(authn));
        }
        let (found, demand) = key.0.resolve(&self.by_name)?;
        check_owners(&found, demand.as_ref(), &source.place, out);
        let authn = Arc::new(RouteAuthn::new(found, demand, optional));
        self.authn.insert(key, Arc::clone(&authn));
        Some(authn)
    }
}

/// A namespace under `callers` is that of whichever trust domain the route's authenticators mean.
fn check_caller_domains(callers: &[CallerSource], authn: &RouteAuthn, out: &mut Diagnostics) {
    let mut domains: HashSet<&str> = HashSet::new();
    for authenticator in authn.authenticators() {
        if let Method::Mtls(mtls) = &authenticator.method
            && let Rules::Workloads(workloads) = mtls.rules()
        {
            domains.extend(workloads.trust_domains.iter().map(TrustDomain::as_str));
        }
    }
    let workloads = callers.iter().filter_map(|caller| match caller {
        CallerSource::Workload(peer) => Some(peer),
        CallerSource::Consumer(_) => None,
    });
    check_trust_domain_said(workloads, domains.len(), out);
}

/// The levels of a route by their names: its own, its policy's, the `defaults` of its tenant where it is a
/// tenant's, and the root's.
pub(super) fn outermost_first<'a>(
    levels: &[&'a LevelSource],
) -> impl Iterator<Item = (Level, &'a LevelSource)> {
    let names: &[Level] = if levels.len() > 3 {
        &[Level::Route, Level::Policy, Level::Tenant, Level::Defaults]
    } else {
        &[Level::Route, Level::Policy, Level::Defaults]
    };
    names.iter().copied().zip(levels.iter().copied()).rev()
}

/// Reports what a public route asks or sets all the same: `public: true` drops what it inherits, and
/// nothing that stands nearer.
fn report_unasked(levels: &[&LevelSource], out: &mut Diagnostics) {
    let is_public = |level: &&LevelSource| level.public.as_ref().is_some_and(|public| public.value);
    let route = levels.first().into_iter();
    let nearer = levels.iter().take_while(|level| !is_public(level));
    let asked = nearer.flat_map(|level| {
        [
            level.optional.as_ref().map(|own| ("optional", &own.place)),
            level.scopes.as_ref().map(|own| ("scopes", &own.place)),
            level.roles.as_ref().map(|own| ("roles", &own.place)),
            level.callers.as_ref().map(|own| ("callers", &own.place)),
        ]
    });
    let mut contradictions: Vec<Diagnostic> = asked
        .flatten()
        .map(|(key, place)| {
            let message = format!(
                "a route under this is public, and `{key}` says what is asked of the caller"
            );
            Diagnostic::error("public-contradiction", place, message).with_help(format!(
                "say how callers authenticate: `authenticate: …`, or leave `{key}` out"
            ))
        })
        .collect();
    contradictions.extend(route.flat_map(|route| &route.inject).map(|inject| {
        Diagnostic::error(
            "public-contradiction",
            &inject.name.place,
            "this route is public, and nothing is injected on a public route",
        )
        .with_help("leave `inject` out, or say how callers authenticate")
    }));
    for contradiction in contradictions {
        push_once(contradiction, out);
    }
}
