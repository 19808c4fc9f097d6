//! Tenants: teams that write policies of their own within bounds that the root declares.

use std::sync::Arc;

use crate::authn::RouteAuthn;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::policy::compile::consumers::granted;
use crate::policy::compile::{check_name, push_once, report_twins, unknown_name};
use crate::policy::pattern::{HostPattern, PathPattern};
use crate::policy::scope::{Scope, ScopeRule, ScopeSet};
use crate::policy::source::{
    LevelSource, Located, Mode, Named, PolicySet, RequireSource, TenantMay, TenantSource,
};

/// Whose policies are compiled.
pub(super) struct Party<'a> {
    /// The root's own set: what its `defaults` say holds for all.
    pub(super) root: &'a PolicySet,
    /// The tenant; `None` for the root itself.
    pub(super) bounds: Option<&'a Bounds<'a>>,
}

impl Party<'_> {
    /// A name that no other party has: a tenant's come with its own in front.
    pub(super) fn name(&self, name: &str) -> Arc<str> {
        match self.bounds {
            Some(bounds) => format!("{}/{name}", bounds.tenant).into(),
            None => name.into(),
        }
    }

    /// The tenant's name.
    pub(super) fn tenant(&self) -> Option<Arc<str>> {
        self.bounds.map(|bounds| Arc::clone(&bounds.tenant))
    }
}

/// What the root declares of a tenant.
pub(super) struct Bounds<'a> {
    pub(super) tenant: Arc<str>,
    pub(super) source: &'a TenantSource,
    pub(super) require: Option<&'a RequireSource>,
    pub(super) hosts: Vec<HostPattern>,
    /// `None`: all paths.
    pub(super) paths: Option<Vec<PathPattern>>,
    pub(super) scopes: ScopeSet,
}

/// Reads what the root declares of its tenants. Mistakes are the root's: a name that is none, a pattern that
/// is none, an authenticator that is not there, two tenants who might serve the same request.
pub(super) fn declared<'a>(root: &'a PolicySet, out: &mut Diagnostics) -> Vec<Bounds<'a>> {
    report_twins(&root.tenants, "tenant", out);
    let all: Vec<Bounds<'_>> = root
        .tenants
        .iter()
        .map(|tenant| bounds(tenant, root, out))
        .collect();
    for (position, one) in all.iter().enumerate() {
        for other in all.iter().skip(position + 1) {
            if one.overlaps(other) {
                out.push(
                    Diagnostic::error(
                        "overlapping-tenants",
                        &other.source.place,
                        format!(
                            "the tenants `{}` and `{}` may serve the same requests",
                            one.tenant, other.tenant
                        ),
                    )
                    .with_related(&one.source.place, "the other one")
                    .with_help("give them different hosts, or paths that have nothing in common"),
                );
            }
        }
    }
    if let Some(require) = &root.defaults.require {
        let known = root.authenticators.iter().map(|a| a.name.value.as_str());
        for name in &require.value.authenticators {
            if !known.clone().any(|known| known == name.value) {
                let error = unknown_name(
                    "unknown-authenticator",
                    "authenticator",
                    name,
                    known.clone(),
                );
                out.push(error);
            }
        }
    }
    all
}

fn bounds<'a>(
    tenant: &'a Named<TenantSource>,
    root: &'a PolicySet,
    out: &mut Diagnostics,
) -> Bounds<'a> {
    check_name(&tenant.name, out);
    let source = &tenant.value;
    let mut pattern_error = |place: &Place, text: &str, what: &str, why: &'static str| {
        let message = format!("`{text}` is no {what} pattern");
        out.push(Diagnostic::error("bad-tenant", place, message).with_help(why));
    };
    let mut hosts = Vec::new();
    for host in &source.hosts {
        match HostPattern::parse(&host.value) {
            Ok(pattern) => hosts.push(pattern),
            Err(why) => pattern_error(&host.place, &host.value, "host", why),
        }
    }
    let paths = source.paths.as_ref().map(|paths| {
        let mut patterns = Vec::new();
        for path in paths {
            match PathPattern::parse(&path.value) {
                Ok(pattern) => patterns.push(pattern),
                Err(why) => pattern_error(&path.place, &path.value, "path", why),
            }
        }
        patterns
    });
    let known = root.authenticators.iter().map(|a| a.name.value.as_str());
    for name in &source.uses {
        if !known.clone().any(|known| known == name.value) {
            let error = unknown_name(
                "unknown-authenticator",
                "authenticator",
                name,
                known.clone(),
            );
            out.push(error);
        }
    }
    Bounds {
        tenant: tenant.name.value.as_str().into(),
        source,
        require: root.defaults.require.as_ref().map(|require| &require.value),
        hosts,
        paths,
        scopes: granted(&source.scopes, out),
    }
}

impl Bounds<'_> {
    fn overlaps(&self, other: &Self) -> bool {
        let hosts = |a: &HostPattern| other.hosts.iter().any(|b| a.overlaps(b));
        let paths = match (&self.paths, &other.paths) {
            (Some(ours), Some(theirs)) => ours.iter().any(|a| theirs.iter().any(|b| a.overlaps(b))),
            _ => true,
        };
        self.hosts.iter().any(hosts) && paths
    }

    pub(super) fn may(&self, what: TenantMay) -> bool {
        self.source.may.contains(&what)
    }

    fn outside(&self, place: &Place, what: &str, help: &str) -> Diagnostic {
        let message = format!("the tenant `{}` may not {what}", self.tenant);
        Diagnostic::error("outside-tenant", place, message)
            .with_related(&self.source.place, "its bounds are declared here")
            .with_help(help)
    }

    /// Reports what a tenant's files hold and only the root's may.
    pub(super) fn check_set(&self, set: &PolicySet, out: &mut Diagnostics) {
        for tenant in &set.tenants {
            out.push(self.outside(
                &tenant.name.place,
                "declare tenants",
                "declare them in the root",
            ));
        }
        for place in set.defaults.places_beyond_inject() {
            out.push(self.outside(
                place,
                "set defaults other than `inject`",
                "say it in each policy, or in the root for all",
            ));
        }
        for authenticator in set.authenticators.iter().filter(|a| a.value.forward) {
            if !self.may(TenantMay::Forward) {
                let help = "leave `forward: true` out, or add `forward` to `may`";
                out.push(self.outside(&authenticator.name.place, "forward credentials", help));
            }
        }
        let roles = set.roles.iter().flat_map(|role| &role.value.scopes);
        let consumers = set.consumers.iter();
        let consumers = consumers.flat_map(|consumer| consumer.value.scopes.iter().flatten());
        let keys = set.key_scopes();
        for scope in roles.chain(consumers).chain(keys) {
            self.check_granted(scope, out);
        }
    }

    fn check_granted(&self, scope: &Located<String>, out: &mut Diagnostics) {
        // What is no scope at all is told elsewhere.
        if let Ok(set) = ScopeSet::granted([scope.value.as_str()])
            && set.cut_to(&self.scopes) != set
        {
            let what = format!("grant the scope `{}`", scope.value);
            let help = "grant scopes that `scopes` of the tenant covers, or widen them there";
            push_once(self.outside(&scope.place, &what, help), out);
        }
    }

    /// Reports a level that says what the tenant may not say.
    pub(super) fn check_level(&self, level: &LevelSource, out: &mut Diagnostics) {
        let public = level.public.as_ref().filter(|public| public.value);
        if let Some(public) = public
            && !self.may(TenantMay::Public)
        {
            let help = "say how callers authenticate, or add `public` to `may`";
            push_once(self.outside(&public.place, "have public routes", help), out);
        }
        let shadow = level
            .mode
            .as_ref()
            .filter(|mode| mode.value == Mode::Shadow);
        if let Some(shadow) = shadow
            && !self.may(TenantMay::Shadow)
        {
            let help = "leave `mode` out, or add `shadow` to `may`";
            push_once(
                self.outside(&shadow.place, "have routes in shadow", help),
                out,
            );
        }
    }

    /// Reports a host pattern that is not the tenant's. Where it has only some paths of its hosts, it names
    /// them as they are declared: a more specific one would take the other paths of that host from others.
    pub(super) fn check_host(&self, pattern: &HostPattern, place: &Place, out: &mut Diagnostics) {
        let good = match self.paths {
            Some(_) => self.hosts.contains(pattern),
            None => self.hosts.iter().any(|bound| bound.contains(pattern)),
        };
        if !good {
            let help = match self.paths {
                Some(_) => {
                    "name a host as the tenant's `hosts` do: of those it has only some paths"
                }
                None => "name hosts that the tenant's `hosts` cover, or widen them there",
            };
            out.push(self.outside(place, "serve this host", help));
        }
    }

    /// Reports a path pattern that is not the tenant's.
    pub(super) fn check_path(&self, pattern: &PathPattern, place: &Place, out: &mut Diagnostics) {
        let good = self
            .paths
            .as_ref()
            .is_none_or(|paths| paths.iter().any(|bound| bound.contains(pattern)));
        if !good {
            let help = "keep to the paths that the tenant's `paths` cover, or widen them there";
            push_once(self.outside(place, "serve this path", help), out);
        }
    }

    /// Reports required scopes that are not the tenant's to speak of.
    pub(super) fn check_rule(&self, rule: &ScopeRule, place: &Place, out: &mut Diagnostics) {
        let (ScopeRule::All(scopes) | ScopeRule::Any(scopes)) = rule;
        for scope in scopes.iter().filter(|scope| !self.scopes.permits(scope)) {
            let what = format!("ask for the scope `{}`", scope.as_str());
            let help = "ask for scopes that `scopes` of the tenant covers, or widen them there";
            push_once(self.outside(place, &what, help), out);
        }
    }

    /// Reports a route that does without what the root requires of every tenant.
    pub(super) fn check_authn(
        &self,
        authn: Option<&RouteAuthn>,
        place: &Place,
        out: &mut Diagnostics,
    ) {
        let Some(require) = self
            .require
            .filter(|require| !require.authenticators.is_empty())
        else {
            return;
        };
        // A public route is allowed by name (`may`), and nobody proves anything on it.
        let Some(authn) = authn else { return };
        let required = |name: &str| require.authenticators.iter().any(|r| r.value == name);
        if !authn.always_proves(required) {
            let names: Vec<&str> = require
                .authenticators
                .iter()
                .map(|name| name.value.as_str())
                .collect();
            let what = format!("be called without `{}`", names.join("` or `"));
            let help = "`defaults.require` of the root asks for it on every way in: `authenticate: {all: […]}`";
            push_once(self.outside(place, &what, help), out);
        }
    }

    /// The scopes that the root asks for on every route of a tenant.
    pub(super) fn required_scopes(&self) -> Option<ScopeRule> {
        let scopes = self.require?.scopes.iter();
        let scopes: Vec<Scope> = scopes
            .filter_map(|scope| Scope::parse(&scope.value))
            .collect();
        (!scopes.is_empty()).then_some(ScopeRule::All(scopes))
    }
}
