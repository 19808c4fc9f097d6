//! One generation of everything that judges requests.

use std::path::Path;
use std::sync::Arc;

use crate::authn::jwt::TokenCache;
use crate::config::load;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::jwks::{self, Fetch};
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
}

impl Snapshot {
    /// Reads and compiles a directory. Every mistake and warning is pushed to `out`. Key sets in files
    /// and in the policies are read here; those behind a URL are only listed.
    ///
    /// # Errors
    /// `None` if `out` holds an error at the end.
    pub fn build(
        directory: &Path,
        token_cache: TokenCache,
        out: &mut Diagnostics,
    ) -> Option<Arc<Self>> {
        let set = load::directory(directory, out);
        let (key_sets, fetches) = jwks::prepare(&set, out);
        let ports = Ports {
            key_sets,
            token_cache,
        };
        let table = compile::compile(&set, &ports, out)?;
        if table.route_count == 0 {
            out.push(
                Diagnostic::global_error("no-routes", "no route is defined: every request would be refused")
                    .with_help("define a policy with at least one route; an empty set is never read as \"no rules\""),
            );
            return None;
        }
        Some(Arc::new(Self {
            table,
            revocations: Arc::new(Revocations::new(set.revocations)),
            fetches,
        }))
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
