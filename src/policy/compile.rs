//! From what was written to what is run: every name resolved, every pattern read, every conflict
//! found. All mistakes are collected; a set with one is not run.

mod access;
mod authenticators;
mod consumers;
mod cors;
mod covers;
mod demand;
mod expressions;
mod index;
pub mod lint;
mod managed;
mod mtls;
mod owners;
mod routes;
mod rules;
mod signed;
mod tenants;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

pub use self::mtls::CertificateFiles;
pub use self::signed::webhook_scheme;

use crate::authn::Authenticator;
use crate::authn::jwt::TokenCache;
use crate::authn::key_set::KeySetCell;
use crate::authn::mtls::known::PeerCache;
use crate::authn::replay::ReplayMemories;
use crate::consumer::Consumer;
use crate::diagnostic::{Diagnostic, Diagnostics, Place, excerpt, nearest};
use crate::policy::compile::index::{CompiledPolicy, Ready};
use crate::policy::compile::routes::Given;
use crate::policy::compile::rules::Known;
use crate::policy::compile::tenants::{Bounds, Party};
use crate::policy::inject::Owned;
use crate::policy::pattern::{HostPattern, PathPattern};
use crate::policy::route::RouteIndex;
use crate::policy::source::signed::SecretSource;
use crate::policy::source::{Located, Mode, Named, PolicySet};
use crate::request::address::TrustedHops;
use crate::request::path::Relaxations;
use crate::request::peer::sources::PeerSources;
use crate::request::{Reading, Request};
use crate::secret::Secret;

/// The environment of consumers and routes where nothing is said.
pub const DEFAULT_ENVIRONMENT: &str = "live";

/// The prefix of managed headers where nothing is said.
pub const DEFAULT_RESERVED_PREFIX: &str = "x-auth-";

/// What the compiler takes from outside: things that live longer than one policy set.
pub struct Ports {
    /// The key set of each `jwt` authenticator, by its name.
    pub key_sets: HashMap<String, Arc<KeySetCell>>,
    /// Verified tokens.
    pub token_cache: TokenCache,
    /// The secrets that the set refers to.
    pub secrets: Secrets,
    /// What was used once.
    pub replays: ReplayMemories,
    /// The files with certificates and revocation lists that the set refers to.
    pub certificates: CertificateFiles,
    /// Peers that were judged before.
    pub peers: PeerCache,
}

/// The secrets that a policy set refers to. One that could not be had is not here, and was told of.
#[derive(Clone, Default)]
pub struct Secrets {
    files: HashMap<PathBuf, Secret>,
    variables: HashMap<String, Secret>,
}

impl Secrets {
    /// Keeps what a source stands for.
    pub fn insert(&mut self, source: &SecretSource, secret: Secret) {
        match source {
            SecretSource::File(path) => drop(self.files.insert(path.clone(), secret)),
            SecretSource::Environment(name) => drop(self.variables.insert(name.clone(), secret)),
            SecretSource::Literal(_) => {}
        }
    }

    /// These and those.
    pub fn extend(&mut self, others: &Self) {
        let copied = others.files.iter();
        self.files
            .extend(copied.map(|(path, secret)| (path.clone(), secret.clone())));
        let copied = others.variables.iter();
        self.variables
            .extend(copied.map(|(name, secret)| (name.clone(), secret.clone())));
    }

    /// The secret that a source stands for.
    pub fn get<'a>(&'a self, source: &'a SecretSource) -> Option<&'a Secret> {
        match source {
            SecretSource::File(path) => self.files.get(path),
            SecretSource::Environment(name) => self.variables.get(name),
            SecretSource::Literal(secret) => Some(secret).filter(|s| !s.expose().is_empty()),
        }
    }
}

/// A policy set that can judge requests: immutable, indexed.
pub struct PolicyTable {
    /// How requests are read.
    pub reading: Reading,
    /// Which route judges a request.
    pub routes: RouteIndex,
    /// Which route in shadow judges a request beside; `None` where there are none.
    pub shadow: Option<RouteIndex>,
    /// Hosts and paths that nothing is served on, whoever else covers them.
    pub unavailable: Vec<Unavailable>,
    /// Whether requests pass that only a route in shadow covers.
    pub unenforced_allow: bool,
    /// The names of all policies, by position.
    pub policies: Vec<Arc<str>>,
    /// All authenticators, in the order of their names.
    pub authenticators: Vec<Arc<Authenticator>>,
    /// The key sets that some route needs, with the authenticator's name.
    pub needed_key_sets: Vec<(Arc<str>, Arc<KeySetCell>)>,
    /// How many routes there are.
    pub route_count: usize,
    /// How many consumers there are.
    pub consumer_count: usize,
}

/// The hosts and paths of a tenant whose policies do not compile, and none of which did before.
pub struct Unavailable {
    /// Its name.
    pub tenant: Arc<str>,
    hosts: Vec<HostPattern>,
    paths: Option<Vec<PathPattern>>,
}

impl Unavailable {
    /// Whether a request is for one of them, as any reader of its path may see it.
    pub fn covers(&self, request: &Request) -> bool {
        let host = request.host().as_str();
        let path = request.path();
        let within = |paths: &Vec<PathPattern>| {
            let kept = path.with_empty_segments();
            paths.iter().any(|pattern| {
                pattern.covers(path.segments())
                    || kept.clone().is_some_and(|kept| pattern.covers(kept))
            })
        };
        self.hosts.iter().any(|pattern| pattern.covers(host))
            && self.paths.as_ref().is_none_or(within)
    }
}

/// Compiles a set without tenants' files. Every mistake is pushed to `out`.
///
/// # Errors
/// `None` if `out` holds an error at the end, whoever pushed it.
pub fn compile(set: &PolicySet, ports: &Ports, out: &mut Diagnostics) -> Option<PolicyTable> {
    let bounds = tenants::declared(set, out);
    let root = Root::compile(set, &bounds, ports, out);
    root.assemble(&[], out)
}

/// A party's policies, compiled.
struct Compiled {
    policies: Vec<CompiledPolicy>,
    authenticators: Vec<Arc<Authenticator>>,
    consumers: usize,
}

/// The root's policies, compiled: what tenants' policies are compiled against, and assembled with.
pub struct Root<'a> {
    set: &'a PolicySet,
    bounds: &'a [Bounds<'a>],
    compiled: Compiled,
    /// What the root's `defaults` mean by their names, for tenants, too.
    names: RootNames<'a>,
    needed_key_sets: Vec<(Arc<str>, Arc<KeySetCell>)>,
}

/// The root's roles and consumers.
#[derive(Default)]
struct RootNames<'a> {
    roles: HashMap<&'a str, Arc<str>>,
    consumers: HashMap<&'a str, Arc<Consumer>>,
}

/// A tenant's policies, compiled.
pub struct Tenant(Compiled);

/// What the root declares of its tenants.
pub struct Declared<'a>(Vec<Bounds<'a>>);

impl<'a> Declared<'a> {
    /// Reads it. Mistakes are pushed to `out`.
    pub fn of(set: &'a PolicySet, out: &mut Diagnostics) -> Self {
        Self(tenants::declared(set, out))
    }

    /// The tenants' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|bounds| bounds.tenant.as_ref())
    }

    /// Where a tenant is declared.
    pub fn place(&self, name: &str) -> Option<&Place> {
        let bounds = self.0.iter().find(|bounds| *bounds.tenant == *name)?;
        Some(&bounds.source.place)
    }

    /// Compiles the root's own policies. Mistakes are pushed to `out`.
    pub fn root(&'a self, set: &'a PolicySet, ports: &Ports, out: &mut Diagnostics) -> Root<'a> {
        Root::compile(set, &self.0, ports, out)
    }
}

impl<'a> Root<'a> {
    fn compile(
        set: &'a PolicySet,
        bounds: &'a [Bounds<'a>],
        ports: &Ports,
        out: &mut Diagnostics,
    ) -> Self {
        let party = Party {
            root: set,
            bounds: None,
        };
        let names = RootNames::default();
        let (compiled, names) = party_of(set, &party, (&[], &names), ports, out);
        // Whatever tenants there are, what conflicts among the root's own routes is the root's mistake.
        let own: Vec<&CompiledPolicy> = compiled.policies.iter().collect();
        for mode in [Mode::Enforce, Mode::Shadow] {
            index::build(&own, mode, false, out);
        }
        let enforced = compiled.policies.iter().flat_map(|policy| &policy.routes);
        let enforced = enforced.filter(|ready| ready.mode == Mode::Enforce);
        let needed_key_sets = needed_key_sets(enforced, &compiled.authenticators, ports);
        Self {
            set,
            bounds,
            compiled,
            names,
            needed_key_sets,
        }
    }

    /// Compiles a tenant's policies within its bounds. Every mistake is pushed to `out`, which is the
    /// tenant's alone.
    ///
    /// # Errors
    /// `None` if `out` holds an error at the end, or nothing is declared of the tenant.
    pub fn tenant(
        &self,
        name: &str,
        set: &PolicySet,
        ports: &Ports,
        out: &mut Diagnostics,
    ) -> Option<Tenant> {
        let bounds = self.bounds.iter().find(|bounds| *bounds.tenant == *name)?;
        bounds.check_set(set, out);
        let party = Party {
            root: self.set,
            bounds: Some(bounds),
        };
        let roots = (self.compiled.authenticators.as_slice(), &self.names);
        let (compiled, _) = party_of(set, &party, roots, ports, out);
        // What the root covers already is the root's.
        let both: Vec<&CompiledPolicy> = self
            .compiled
            .policies
            .iter()
            .chain(&compiled.policies)
            .collect();
        for mode in [Mode::Enforce, Mode::Shadow] {
            index::build(&both, mode, false, out);
        }
        (!out.has_errors()).then_some(Tenant(compiled))
    }

    /// Puts all policies together. A tenant that is `None` has policies that do not compile: its hosts and
    /// paths are answered 503.
    ///
    /// # Errors
    /// `None` if `out` holds an error at the end, whoever pushed it.
    pub fn assemble(
        &self,
        tenants: &[(&str, Option<Tenant>)],
        out: &mut Diagnostics,
    ) -> Option<PolicyTable> {
        let broken = tenants.iter().filter(|(_, tenant)| tenant.is_none());
        let unavailable = broken
            .filter_map(|(name, _)| self.bounds.iter().find(|bounds| *bounds.tenant == **name))
            .map(|bounds| Unavailable {
                tenant: Arc::clone(&bounds.tenant),
                hosts: bounds.hosts.clone(),
                paths: bounds.paths.clone(),
            })
            .collect();
        let served = || tenants.iter().filter_map(|(_, tenant)| tenant.as_ref());
        let own = self.compiled.policies.iter();
        let theirs = served().flat_map(|tenant| &tenant.0.policies);
        let policies: Vec<&CompiledPolicy> = own.chain(theirs).collect();
        let defaults = &self.set.defaults;
        let not_found = is_said(defaults.unknown_route_not_found.as_ref());
        let routes = index::build(&policies, Mode::Enforce, not_found, out);
        let shadow = index::build(&policies, Mode::Shadow, not_found, out);
        if out.has_errors() {
            return None;
        }
        let ready = || policies.iter().flat_map(|policy| &policy.routes);
        let in_shadow = ready().any(|ready| ready.mode == Mode::Shadow);
        let own = self.compiled.authenticators.iter();
        let theirs = served().flat_map(|tenant| &tenant.0.authenticators);
        Some(PolicyTable {
            reading: Reading {
                paths: relaxations(self.set),
                trusted_hops: defaults
                    .trusted_hops
                    .as_ref()
                    .map_or_else(TrustedHops::default, |hops| hops.value),
                peer: PeerSources::default(),
            },
            needed_key_sets: self.needed_key_sets.clone(),
            authenticators: own.chain(theirs).cloned().collect(),
            route_count: ready().count(),
            consumer_count: self.compiled.consumers
                + served().map(|tenant| tenant.0.consumers).sum::<usize>(),
            routes,
            unavailable,
            shadow: in_shadow.then_some(shadow),
            unenforced_allow: is_said(defaults.unenforced_allow.as_ref()),
            policies: policies
                .iter()
                .map(|policy| Arc::clone(&policy.name))
                .collect(),
        })
    }
}

/// The consumers of a party whose set was compiled before, so that there is nothing to report.
pub(in crate::policy) fn consumers_of<'a>(
    root: &'a PolicySet,
    tenant: Option<&str>,
    set: &'a PolicySet,
) -> HashMap<&'a str, Arc<Consumer>> {
    let out = &mut Diagnostics::default();
    let declared = tenants::declared(root, out);
    let mut declared = declared.iter();
    let bounds = tenant.and_then(|name| declared.find(|bounds| *bounds.tenant == *name));
    let party = Party { root, bounds };
    consumers::compile(set, &consumers::roles(set, &party), &party, out)
}

/// Compiles what one party wrote. `visible` are the root's authenticators, of which a tenant may use some;
/// with the names that the root's `defaults` mean. Of the root itself both are empty.
fn party_of<'s>(
    set: &'s PolicySet,
    party: &Party<'_>,
    (visible, roots): (&[Arc<Authenticator>], &RootNames<'_>),
    ports: &Ports,
    out: &mut Diagnostics,
) -> (Compiled, RootNames<'s>) {
    report_twins(&set.authenticators, "authenticator", out);
    report_twins(&set.roles, "role", out);
    report_twins(&set.consumers, "consumer", out);
    report_twins(&set.policies, "policy", out);
    for name in names(&set.authenticators)
        .chain(names(&set.roles))
        .chain(names(&set.consumers))
        .chain(names(&set.policies))
    {
        check_name(name, out);
    }
    let owned = Arc::new(Owned::new(managed::managed(set, party, out)));
    let roles = consumers::roles(set, party);
    let consumers = consumers::compile(set, &roles, party, out);
    let known = Known {
        roles: &roles,
        consumers: &consumers,
    };
    let authenticators = authenticators::compile(set, &owned.managed, &known, party, ports, out);
    let uses = party.bounds.map(|bounds| &bounds.source.uses);
    let used: HashSet<&str> = uses
        .into_iter()
        .flatten()
        .map(|name| name.value.as_str())
        .collect();
    for own in names(&set.authenticators).filter(|own| used.contains(own.value.as_str())) {
        let message = format!("the root lets this tenant use its own `{}`", own.value);
        out.push(
            Diagnostic::error("duplicate-name", &own.place, message).with_help(
                "give this one another name: of two with one name, nobody could say which is meant",
            ),
        );
    }
    let own = set.authenticators.iter().map(|a| a.name.value.as_str());
    let plain: HashMap<Arc<str>, &str> = own.clone().map(|name| (party.name(name), name)).collect();
    let usable = authenticators
        .iter()
        .filter_map(|authenticator| Some((*plain.get(&authenticator.name)?, authenticator)));
    let lent = || visible.iter().map(|a| (a.name.as_ref(), a));
    let usable = usable.chain(lent().filter(|(name, _)| used.contains(name)));
    let given = Given {
        party,
        owned: &owned,
        names: known,
        roots: party.bounds.map(|_| Known {
            roles: &roots.roles,
            consumers: &roots.consumers,
        }),
        usable: usable.collect(),
        known: own.clone().chain(used.iter().copied()).collect(),
        inherited: lent().collect(),
    };
    let policies = routes::compile(set, given, out);
    let compiled = Compiled {
        policies,
        consumers: consumers.len(),
        authenticators,
    };
    (compiled, RootNames { roles, consumers })
}

fn is_said(said: Option<&Located<bool>>) -> bool {
    said.is_some_and(|said| said.value)
}

/// What about paths the set relaxes.
fn relaxations(set: &PolicySet) -> Relaxations {
    let said = set.defaults.paths.as_ref();
    said.map_or_else(Relaxations::default, |said| said.value)
}

fn names<T>(definitions: &[Named<T>]) -> impl Iterator<Item = &Located<String>> {
    definitions.iter().map(|definition| &definition.name)
}

/// Names appear in identities (`authenticator:subject`), metrics and URLs: letters, digits, `-`, `_`
/// and `.`, so that no name can be read as a name and something else.
fn check_name(name: &Located<String>, out: &mut Diagnostics) {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.value.is_empty() || name.value.len() > 128 || !name.value.bytes().all(good) {
        let message = format!("`{}` cannot be a name", excerpt(&name.value));
        out.push(
            Diagnostic::error("bad-name", &name.place, message).with_help(
                "write 1 to 128 letters, digits, `-`, `_` and `.`, as in `acme-billing`",
            ),
        );
    }
}

fn report_twins<T>(definitions: &[Named<T>], what: &str, out: &mut Diagnostics) {
    let mut seen: HashMap<&str, &Located<String>> = HashMap::new();
    for name in names(definitions) {
        if let Some(first) = seen.insert(&name.value, name) {
            out.push(
                Diagnostic::error(
                    "duplicate-name",
                    &name.place,
                    format!("the {what} `{}` is defined twice", name.value),
                )
                .with_related(&first.place, "first defined here")
                .with_help("rename one, or merge the two definitions"),
            );
        }
    }
}

/// Reports a mistake that several routes would report alike, once.
fn push_once(mistake: Diagnostic, out: &mut Diagnostics) {
    let place = |d: &Diagnostic| {
        let place = d.place.as_ref();
        place.map(|place| (place.start, place.file.name().to_owned()))
    };
    let same = |other: &Diagnostic| {
        other.code == mistake.code
            && other.message == mistake.message
            && place(other) == place(&mistake)
    };
    if !out.iter().any(same) {
        out.push(mistake);
    }
}

/// An error for a name that nothing has, with the nearest that something has.
fn unknown_name<'a>(
    code: &'static str,
    what: &str,
    name: &Located<String>,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let error = Diagnostic::error(
        code,
        &name.place,
        format!("there is no {what} called `{}`", name.value),
    );
    let nearest = nearest(&name.value, known.clone());
    match nearest {
        Some(near) => error.with_help(format!("did you mean `{near}`?")),
        None => {
            let mut names: Vec<&str> = known.take(12).collect();
            names.sort_unstable();
            if names.is_empty() {
                error.with_help(format!("no {what} is defined"))
            } else {
                error.with_help(format!("these are defined: {}", names.join(", ")))
            }
        }
    }
}

/// The key sets of the authenticators that a route asks for. One that no route asks for may stay
/// unloaded.
fn needed_key_sets<'a>(
    routes: impl Iterator<Item = &'a Ready>,
    authenticators: &[Arc<Authenticator>],
    ports: &Ports,
) -> Vec<(Arc<str>, Arc<KeySetCell>)> {
    let asked = routes.filter_map(|ready| ready.route.authn.as_ref());
    let used: HashSet<&str> = asked
        .flat_map(|authn| authn.authenticators())
        .map(|authenticator| authenticator.name.as_ref())
        .collect();
    authenticators
        .iter()
        .filter(|authenticator| used.contains(authenticator.name.as_ref()))
        .filter_map(|authenticator| {
            let cell = ports.key_sets.get(authenticator.name.as_ref())?;
            Some((Arc::clone(&authenticator.name), Arc::clone(cell)))
        })
        .collect()
}

#[cfg(test)]
mod tests;
