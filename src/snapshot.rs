//! One generation of everything that judges requests.

pub mod status;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::authn::jwt::TokenCache;
use crate::authn::mtls::known::{PeerCache, peer_cache};
use crate::authn::replay::ReplayMemories;
use crate::config::inputs::{Inputs, ReferredFiles};
use crate::config::load::{RevocationFiles, TenantInputs};
use crate::config::{certificates, secrets};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::jwks::{self, Fetch, KeySets};
use crate::policy::compile::{Declared, PolicyTable, Ports, Secrets};
use crate::policy::revocation::Revocations;
use crate::policy::source::PolicySet;
use crate::policy::source::signed::SecretSource;

/// A policy directory, compiled. Immutable: a request sees one from start to end.
pub struct Snapshot {
    /// Judges requests.
    pub table: PolicyTable,
    /// What the policies revoke; whoever serves reads this on its own, too.
    pub revocations: Arc<Revocations>,
    /// The key sets that somebody has to fetch and keep fresh.
    pub fetches: Vec<Fetch>,
    /// All key sets, for the snapshot after this one.
    key_sets: KeySets,
    /// Whether each tenant is served by what it wrote last.
    pub tenants_are_current: bool,
    /// What serves of each tenant, for the snapshot after this one.
    tenants: BTreeMap<String, Good>,
    /// All secrets, for the snapshot after this one.
    secrets: Secrets,
    /// What was used once, for this snapshot and all after it.
    replays: ReplayMemories,
    /// Peers that were judged before, for this snapshot and all after it.
    peers: PeerCache,
}

/// What serves of one tenant.
#[derive(Clone)]
struct Good {
    set: Arc<PolicySet>,
    /// The files that it refers to, as they were compiled.
    files: Arc<ReferredFiles>,
}

impl Snapshot {
    /// Reads and compiles a directory. Every mistake and warning is pushed to `out`. Key sets in files
    /// and in the policies are read here; those behind a URL are only listed.
    ///
    /// What did not change since `previous` is taken from it: key sets from the same origin keep their
    /// keys, and tokens that were verified before stay verified where their authenticator is the same.
    ///
    /// # Errors
    /// `None` if `out` holds an error at the end.
    pub fn build(
        directory: &Path,
        token_cache: &TokenCache,
        previous: Option<&Self>,
        out: &mut Diagnostics,
    ) -> Option<Arc<Self>> {
        let inputs = Inputs::read(directory, out);
        Self::compile(&inputs, token_cache, previous, out)
    }

    /// The same for what was read before.
    ///
    /// # Errors
    /// `None` if `out` holds an error at the end.
    pub fn compile(
        inputs: &Inputs,
        token_cache: &TokenCache,
        previous: Option<&Self>,
        out: &mut Diagnostics,
    ) -> Option<Arc<Self>> {
        let mut known =
            previous.map_or_else(KeySets::default, |previous| previous.key_sets.clone());
        let prepared = jwks::prepare(&inputs.set, &inputs.files, &known, out);
        known.extend(&prepared.key_sets);
        let mut kept = prepared.key_sets;
        let mut fetches = prepared.fetches;
        let replays =
            previous.map_or_else(ReplayMemories::default, |previous| previous.replays.clone());
        let known_secrets =
            previous.map_or_else(Secrets::default, |previous| previous.secrets.clone());
        let secrets_of = |set: &PolicySet, files: &ReferredFiles, out: &mut Diagnostics| {
            secrets::read(set, files, inputs.needs_secrets, &known_secrets, out)
        };
        let mut kept_secrets = secrets_of(&inputs.set, &inputs.files, out);
        let peers = previous.map_or_else(peer_cache, |previous| previous.peers.clone());
        let ports = Ports {
            key_sets: prepared.by_authenticator,
            token_cache: token_cache.clone(),
            secrets: kept_secrets.clone(),
            replays: replays.clone(),
            certificates: certificates::read(&inputs.set, &inputs.files, out),
            peers: peers.clone(),
        };
        let declared = Declared::of(&inputs.set, out);
        let root = declared.root(&inputs.set, &ports, out);
        report_undeclared(inputs, &declared, out);
        // What is wrong with the root is wrong for all.
        if out.has_errors() {
            return None;
        }
        let mut attempt = |name: &str, good: Good, out: &mut Diagnostics| {
            let (set, files) = (&*good.set, &*good.files);
            let prepared = jwks::prepare(set, files, &known, out);
            let ports = Ports {
                key_sets: prepared.by_authenticator,
                token_cache: token_cache.clone(),
                secrets: secrets_of(set, files, out),
                replays: replays.clone(),
                certificates: certificates::read(set, files, out),
                peers: peers.clone(),
            };
            let tenant = root.tenant(name, set, &ports, out)?;
            kept.extend(&prepared.key_sets);
            kept_secrets.extend(&ports.secrets);
            for fetch in prepared.fetches {
                if !fetches
                    .iter()
                    .any(|known| Arc::ptr_eq(&known.cell, &fetch.cell))
                {
                    fetches.push(fetch);
                }
            }
            Some((tenant, good))
        };
        let files_of = |set: &PolicySet, before: &ReferredFiles| {
            Arc::new(inputs.files.or(before, set.referred_files()))
        };
        let mut problems = Diagnostics::default();
        let (mut compiled, mut good) = (Vec::new(), BTreeMap::new());
        for name in declared.names() {
            let newest = inputs.tenants.get(name);
            let serves = newest.and_then(|tenant| {
                let mut found = tenant.problems.clone();
                let mut foreign = Diagnostics::default();
                check_files(name, tenant, &mut foreign);
                // What is not its own was not read, and there is nothing to compile with.
                let serves = if foreign.has_errors() {
                    None
                } else {
                    let files = files_of(&tenant.set, &ReferredFiles::default());
                    let set = Arc::clone(&tenant.set);
                    attempt(name, Good { set, files }, &mut found)
                };
                found.append(foreign);
                let usable = !found.has_errors();
                problems.append(found);
                serves.filter(|_| usable)
            });
            // The last good ones, under the bounds and with the authenticators that the root has now.
            let before = previous.and_then(|previous| previous.tenants.get(name));
            if newest.is_none()
                && let Some(place) = declared.place(name)
            {
                problems.push(no_files(name, place, before.is_some()));
            }
            // With what its files hold now, where that can be used, as a secret may have changed with them.
            let serves = serves.or_else(|| {
                let before = before?;
                let newer = Good {
                    files: files_of(&before.set, &before.files),
                    ..before.clone()
                };
                [newer, before.clone()].into_iter().find_map(|good| {
                    let mut found = Diagnostics::default();
                    attempt(name, good, &mut found).filter(|_| !found.has_errors())
                })
            });
            if let Some((_, serving)) = &serves {
                good.insert(name.to_owned(), serving.clone());
            }
            compiled.push((name, serves.map(|(tenant, _)| tenant)));
        }
        let table = root.assemble(&compiled, out)?;
        // The root of a platform may leave all routes to its tenants.
        if table.route_count == 0 && declared.names().next().is_none() {
            out.push(
                Diagnostic::global_error("no-routes", "no route is defined: every request would be refused")
                    .with_help("define a policy with at least one route; an empty set is never read as \"no rules\""),
            );
            return None;
        }
        let tenants_are_current = !problems.has_errors();
        out.append(problems);
        let revocations = RevocationFiles::of(&inputs.policies, &RevocationFiles::default());
        Some(Arc::new(Self {
            fetches,
            key_sets: kept,
            tenants: good,
            tenants_are_current,
            revocations: Arc::new(revocations.index()),
            replays,
            secrets: kept_secrets,
            peers,
            ..Self::of_table(table)
        }))
    }

    /// A snapshot of nothing but a table, whose key sets nobody keeps fresh.
    pub fn of_table(table: PolicyTable) -> Self {
        Self {
            table,
            revocations: Arc::default(),
            fetches: Vec::new(),
            key_sets: KeySets::default(),
            tenants: BTreeMap::new(),
            tenants_are_current: true,
            replays: ReplayMemories::default(),
            secrets: Secrets::default(),
            peers: peer_cache(),
        }
    }

    /// Forgets which nonces and signatures were used: for who serves nobody.
    pub fn forget_uses(&self) {
        self.replays.forget();
    }

    /// Whether every key set that a route needs was loaded.
    pub fn is_ready(&self) -> bool {
        self.missing_key_sets().next().is_none()
    }

    /// The authenticators whose keys a route needs and that were never loaded.
    pub fn missing_key_sets(&self) -> impl Iterator<Item = &str> {
        let needed = self.table.needed_key_sets.iter();
        needed
            .filter(|(_, cell)| cell.current().is_none())
            .map(|(name, _)| name.as_ref())
    }
}

/// Reports directories that belong to nobody.
fn report_undeclared(inputs: &Inputs, declared: &Declared<'_>, out: &mut Diagnostics) {
    for (name, tenant) in &inputs.tenants {
        if !declared.names().any(|declared| declared == name) {
            let message = format!("{} is no tenant's directory", tenant.directory.display());
            out.push(
                Diagnostic::global_error("undeclared-directory", message)
                    .with_help(format!("declare the tenant in the root, `tenants: {{{name}: {{hosts: […]}}}}`, or put the files into the policy directory itself")),
            );
        }
    }
}

/// A tenant refers to files of its own directory only: what others keep is none of its business.
fn check_files(name: &str, tenant: &TenantInputs, out: &mut Diagnostics) {
    let referred = tenant.set.referred_files();
    for path in referred.filter(|path| !tenant.owns(path)) {
        let message = format!(
            "the tenant `{name}` may not refer to {}, which is outside its directory",
            path.display()
        );
        out.push(
            Diagnostic::global_error("outside-tenant", message)
                .with_help("put the file into the tenant's directory"),
        );
    }
    // The process's environment is the platform's: a tenant that could use a secret could try to guess it.
    for secret in tenant.set.secrets() {
        if let SecretSource::Environment(variable) = &secret.value {
            let message = format!("the tenant `{name}` may not refer to the variable `{variable}`");
            out.push(
                Diagnostic::error("outside-tenant", &secret.place, message)
                    .with_help("put the secret into a file in the tenant's directory"),
            );
        }
    }
}

/// A tenant may be declared before its files are there. That they are gone is no wish to have no rules.
fn no_files(name: &str, place: &Place, gone: bool) -> Diagnostic {
    if gone {
        let message = format!("the directory of the tenant `{name}` is gone");
        return Diagnostic::error("tenant-without-files", place, message).with_help(
            "its last good policies serve on; take the declaration out if it is to have none",
        );
    }
    let message = format!("the tenant `{name}` has no directory");
    Diagnostic::warning("tenant-without-files", place, message)
        .with_help("its hosts and paths are answered 503 until its files are there")
}

#[cfg(test)]
mod tests;
