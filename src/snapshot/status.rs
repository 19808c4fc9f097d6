//! What can be told of a policy set: which generation serves, and what is wrong with a newer one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::clock::Timestamp;
use crate::diagnostic::Diagnostics;
use crate::policy::compile::PolicyTable;
use crate::secret::Digest;

/// How an attempt to reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new generation serves.
    Loaded,
    /// Files were touched, and say what they said before.
    Unchanged,
    /// What is there cannot be used; the last good generation serves on.
    Failed,
}

impl Outcome {
    /// Every outcome there is.
    pub const ALL: [Self; 3] = [Self::Loaded, Self::Unchanged, Self::Failed];

    /// The label of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

/// What is known of one policy set, for metrics and the admin listener. Written by whoever reloads it.
pub struct SetStatus {
    name: &'static str,
    directory: PathBuf,
    state: ArcSwap<State>,
    reloads: [AtomicU64; Outcome::ALL.len()],
}

/// The state of a policy set at one moment.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Counts what was loaded, from 1 on; 0 before anything was.
    pub generation: u64,
    /// What serves, unless nothing was ever loaded.
    pub loaded: Option<Loaded>,
    /// Whether something newer is there that cannot be used.
    pub stale: bool,
    /// The mistakes and warnings of what was read last.
    pub problems: Diagnostics,
}

/// The generation that serves.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    /// Since when.
    pub at: Timestamp,
    /// Equal in all processes that serve the same files.
    pub digest: Digest,
    /// How many policies there are.
    pub policies: usize,
    /// How many routes.
    pub routes: usize,
    /// How many consumers.
    pub consumers: usize,
    /// How many authenticators.
    pub authenticators: usize,
}

impl Loaded {
    /// Since `at`, with what `table` holds.
    pub const fn of(table: &PolicyTable, digest: Digest, at: Timestamp) -> Self {
        Self {
            at,
            digest,
            policies: table.policies.len(),
            routes: table.route_count,
            consumers: table.consumer_count,
            authenticators: table.authenticators.len(),
        }
    }
}

impl SetStatus {
    /// Of a set of which nothing was loaded yet.
    pub fn new(name: &'static str, directory: &Path) -> Self {
        Self {
            name,
            directory: directory.to_owned(),
            state: ArcSwap::default(),
            reloads: Default::default(),
        }
    }

    /// `enforced` or `candidate`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Where it is read.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The state now.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// How many reloads ended so, not counting the first load.
    pub fn reloads(&self, outcome: Outcome) -> u64 {
        self.counter(outcome)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Counts a reload.
    pub fn count(&self, outcome: Outcome) {
        if let Some(count) = self.counter(outcome) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counter(&self, outcome: Outcome) -> Option<&AtomicU64> {
        self.reloads.get(outcome as usize)
    }

    /// A new generation serves. Answers with its number.
    pub fn loaded(&self, loaded: Loaded, warnings: Diagnostics) -> u64 {
        let generation = self.state.load().generation + 1;
        self.state.store(Arc::new(State {
            generation,
            loaded: Some(loaded),
            // A tenant of them may be served by older policies, or by none.
            stale: warnings.has_errors(),
            problems: warnings,
        }));
        generation
    }

    /// What is there cannot be used.
    pub fn failed(&self, problems: Diagnostics) {
        let state = self.state.load();
        self.state.store(Arc::new(State {
            stale: true,
            problems,
            ..State::clone(&state)
        }));
    }
}
