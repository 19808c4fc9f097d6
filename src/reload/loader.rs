//! Reads and compiles one policy set, and knows what it read last. Everything here may block.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::authn::jwt::TokenCache;
use crate::clock::Timestamp;
use crate::config::fingerprint::Fingerprint;
use crate::config::inputs::Inputs;
use crate::config::load::RevocationFiles;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::pipeline::panic_text;
use crate::policy::revocation::Revocations;
use crate::secret::Digest;
use crate::snapshot::Snapshot;

/// How much is done to find out whether there is something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Compile whatever is there.
    Always,
    /// Read if the files may have changed, compile if they say something else.
    IfChanged,
    /// The same where the last look left a doubt: the files had changed just before, or could not be used.
    IfDoubtful,
}

/// What was found.
pub enum Found {
    /// Nothing looked as if it had changed.
    Nothing,
    /// The files were touched and say what they said before.
    Unchanged,
    /// They have mistakes.
    Broken(Diagnostics),
    /// They compile.
    Good(Good),
}

/// Policies that can serve.
pub struct Good {
    /// The policies.
    pub snapshot: Arc<Snapshot>,
    /// Of the files they were read from.
    pub digest: Digest,
    /// What is not wrong, but probably not as meant.
    pub warnings: Diagnostics,
}

/// Reads and compiles one policy set.
pub struct Loader {
    directory: PathBuf,
    token_cache: TokenCache,
    current: Option<Arc<Snapshot>>,
    /// Generations that served before and that some request may still hold.
    retired: Vec<Arc<Snapshot>>,
    seen: Option<Seen>,
    /// The directories of tenants.
    tenants: Vec<PathBuf>,
    /// What counts as revoked.
    revoked: RevocationFiles,
    /// What will be when that serves which was read last.
    revoked_next: RevocationFiles,
}

/// What was read last, whether or not it could be used.
struct Seen {
    fingerprint: Fingerprint,
    /// `None` where the files kept moving: what they say at rest is something else, even if it reads alike.
    digest: Option<Digest>,
    referred: BTreeSet<PathBuf>,
    usable: bool,
    /// Whether the files changed so shortly before that they may have changed again.
    doubtful: bool,
}

impl Loader {
    /// Nothing is read yet.
    pub fn new(directory: &Path, token_cache: TokenCache) -> Self {
        Self {
            directory: directory.to_owned(),
            token_cache,
            current: None,
            retired: Vec::new(),
            seen: None,
            tenants: Vec::new(),
            revoked: RevocationFiles::default(),
            revoked_next: RevocationFiles::default(),
        }
    }

    /// Whether the files look as if they had changed. Nothing is read.
    pub(super) fn moved(&self) -> bool {
        self.seen
            .as_ref()
            .is_none_or(|seen| Fingerprint::of(&self.directory, &seen.referred) != seen.fingerprint)
    }

    /// Looks, reads and compiles as far as `ask` wants. What can serve and was found first, or is reported
    /// by `Loader::serves`, lends its key sets to what is found next.
    pub fn load(&mut self, ask: Ask, now: Timestamp) -> Found {
        if !self.worth_reading(ask) {
            return Found::Nothing;
        }
        if ask != Ask::Always
            && let Some(seen) = &mut self.seen
        {
            let fingerprint = Fingerprint::of(&self.directory, &seen.referred);
            if seen.digest == Some(Inputs::digest_of(&self.directory, &seen.referred)) {
                seen.doubtful = fingerprint.is_recent(now);
                seen.fingerprint = fingerprint;
                return Found::Unchanged;
            }
        }
        let mut out = Diagnostics::default();
        let inputs = Inputs::read(&self.directory, &mut out);
        let compiled = self.compile(&inputs, &mut out);
        // What is revoked counts whether or not the rest compiles. It counts no longer only when policies
        // serve that do without it: a file that lost an entry may be one that lost its end.
        self.revoked_next = RevocationFiles::of(&inputs.policies, &self.revoked);
        self.revoked = self.revoked_next.clone().and(&self.revoked);
        let tenants = inputs.tenants.values();
        self.tenants = tenants.map(|tenant| tenant.directory.clone()).collect();
        out.sort();
        self.seen = Some(Seen {
            doubtful: inputs.moving || inputs.fingerprint.is_recent(now),
            digest: (!inputs.moving).then_some(inputs.digest),
            referred: inputs.files.paths().cloned().collect(),
            usable: compiled.is_some(),
            fingerprint: inputs.fingerprint,
        });
        match compiled {
            Some(snapshot) => {
                if self.current.is_none() {
                    self.current = Some(Arc::clone(&snapshot));
                }
                Found::Good(Good {
                    snapshot,
                    digest: inputs.digest,
                    warnings: out,
                })
            }
            None => Found::Broken(out),
        }
    }

    fn worth_reading(&self, ask: Ask) -> bool {
        let Some(seen) = &self.seen else { return true };
        match ask {
            Ask::Always => true,
            Ask::IfDoubtful => seen.doubtful || !seen.usable,
            Ask::IfChanged => seen.doubtful || !seen.usable || self.moved(),
        }
    }

    /// A fault of ours in the compiler is an error of the policies like any other: nothing is swapped.
    fn compile(&self, inputs: &Inputs, out: &mut Diagnostics) -> Option<Arc<Snapshot>> {
        let compiled = catch_unwind(AssertUnwindSafe(|| {
            Snapshot::compile(inputs, &self.token_cache, self.current.as_deref(), out)
        }));
        compiled.unwrap_or_else(|panic| {
            let message = format!("the compiler panicked: {}", panic_text(panic.as_ref()));
            out.push(
                Diagnostic::global_error("internal-fault", message)
                    .with_help("this is a fault of Portcullis; please report it"),
            );
            None
        })
    }

    /// What counts as revoked now.
    pub(super) fn revocations(&self) -> Arc<Revocations> {
        Arc::new(self.revoked.index())
    }

    /// `current` serves from now on, and `old` did.
    pub(super) fn serves(&mut self, current: Arc<Snapshot>, old: Option<Arc<Snapshot>>) {
        // Where a tenant is served by older policies, what revoked their credentials may be gone from the
        // files as well: nothing is taken back until all are current.
        if current.tenants_are_current {
            self.revoked = self.revoked_next.clone();
        }
        self.current = Some(current);
        self.retired.extend(old);
    }

    /// What was read last does not count: it is read and compiled anew.
    pub(super) fn forget(&mut self) {
        self.seen = None;
    }

    /// Takes apart the generations that nobody judges by any more, and answers with the others. Here, since
    /// taking thousands of routes apart takes milliseconds that no request should wait for.
    pub(super) fn let_go(&mut self) -> Vec<Arc<Snapshot>> {
        self.retired.retain(|old| Arc::strong_count(old) > 1);
        self.retired.clone()
    }

    /// The directories in which something may change.
    pub(super) fn directories(&self) -> BTreeSet<PathBuf> {
        let referred = self.seen.iter().flat_map(|seen| &seen.referred);
        referred
            .filter_map(|path| path.parent())
            .chain([self.directory.as_path()])
            .map(Path::to_owned)
            .chain(self.tenants.iter().cloned())
            .collect()
    }
}

#[cfg(test)]
impl Loader {
    /// As if what is there now had been looked at, and read before it changed.
    pub(super) fn pretend_seen(&mut self, doubtful: bool) {
        if let Some(seen) = &mut self.seen {
            seen.fingerprint = Fingerprint::of(&self.directory, &seen.referred);
            seen.doubtful = doubtful;
        }
    }

    /// As if what is there now had kept moving when it was read.
    pub(super) fn pretend_moving(&mut self) {
        self.pretend_seen(true);
        if let Some(seen) = &mut self.seen {
            seen.digest = None;
        }
    }
}

/// That no key set can be fetched, as a mistake of the policies that need one.
pub(super) fn cannot_fetch(error: &str) -> Diagnostics {
    let mut problems = Diagnostics::default();
    problems.push(Diagnostic::global_error("no-http-client", error.to_owned()));
    problems
}
