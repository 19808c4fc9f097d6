//! One generation of everything that judges requests.

pub mod status;

use std::path::Path;
use std::sync::Arc;

use crate::authn::jwt::TokenCache;
use crate::config::inputs::Inputs;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::jwks::{self, Fetch, KeySets};
use crate::policy::compile::{self, PolicyTable, Ports};
use crate::policy::revocation::Revocations;

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
        token_cache: TokenCache,
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
        token_cache: TokenCache,
        previous: Option<&Self>,
        out: &mut Diagnostics,
    ) -> Option<Arc<Self>> {
        let none = KeySets::default();
        let known = previous.map_or(&none, |previous| &previous.key_sets);
        let prepared = jwks::prepare(&inputs.set, &inputs.files, known, out);
        let ports = Ports {
            key_sets: prepared.by_authenticator,
            token_cache,
        };
        let table = compile::compile(&inputs.set, &ports, out)?;
        if table.route_count == 0 {
            out.push(
                Diagnostic::global_error("no-routes", "no route is defined: every request would be refused")
                    .with_help("define a policy with at least one route; an empty set is never read as \"no rules\""),
            );
            return None;
        }
        Some(Arc::new(Self {
            revocations: Arc::new(Revocations::new(inputs.set.revocations.iter().cloned())),
            fetches: prepared.fetches,
            key_sets: prepared.key_sets,
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
        }
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
