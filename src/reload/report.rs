//! What the log says of reloads: everything that is wrong, and each thing once.

use std::collections::HashSet;

use crate::diagnostic::{Diagnostics, Severity};
use crate::snapshot::status::Loaded;

/// The most mistakes of one kind that are told at once; the admin listener has them all.
const MAX_TOLD: usize = 20;

/// Remembers what was told of one policy set.
pub(super) struct Report {
    set: &'static str,
    told: HashSet<String>,
}

impl Report {
    pub(super) fn new(set: &'static str) -> Self {
        Self {
            set,
            told: HashSet::new(),
        }
    }

    /// Tells everything anew the next time.
    pub(super) fn forget(&mut self) {
        self.told.clear();
    }

    /// Tells the mistakes that were not told before, and the warnings among them.
    pub(super) fn failed(&mut self, problems: &Diagnostics) {
        let new = self.tell(problems);
        if new > 0 {
            tracing::error!(
                set = self.set,
                errors = problems.error_count(),
                "the policies have mistakes and are not taken over; the last good ones serve on"
            );
        }
    }

    /// Tells the warnings of policies that are taken over and were not told before.
    pub(super) fn warnings(&mut self, warnings: &Diagnostics) {
        self.tell(warnings);
    }

    /// Tells that a new generation serves.
    pub(super) fn loaded(&self, generation: u64, loaded: &Loaded, was_stale: bool) {
        tracing::info!(
            set = self.set,
            generation,
            policies = loaded.policies,
            routes = loaded.routes,
            consumers = loaded.consumers,
            authenticators = loaded.authenticators,
            was_stale,
            "policies reloaded"
        );
    }

    /// How many are told for the first time. What is not there any more is forgotten.
    fn tell(&mut self, problems: &Diagnostics) -> usize {
        let texts: Vec<(Severity, String)> = problems
            .iter()
            .map(|problem| (problem.severity, problem.render()))
            .collect();
        let new: Vec<_> = texts
            .iter()
            .filter(|(_, text)| !self.told.contains(text))
            .collect();
        for (severity, text) in new.iter().take(MAX_TOLD) {
            match severity {
                Severity::Error => tracing::error!(set = self.set, "{text}"),
                Severity::Warning => tracing::warn!(set = self.set, "{text}"),
            }
        }
        let more = new.len().saturating_sub(MAX_TOLD);
        if more > 0 {
            tracing::error!(
                set = self.set,
                more,
                "more is wrong than is told here; `portcullis check` tells all"
            );
        }
        let count = new.len();
        self.told = texts.into_iter().map(|(_, text)| text).collect();
        count
    }
}
