//! Policies that change while the process runs: watched, compiled beside the traffic, swapped in whole.
//!
//! Each policy set has a [`Reloader`] of its own, so that nothing that goes wrong with one holds up the
//! other. Whatever reads files or compiles, and whatever takes an old generation apart, runs on a thread
//! that may block.

mod debounce;
mod fetches;
mod loader;
mod report;
pub mod watch;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::signal::unix::Signal;
use tokio::time::MissedTickBehavior;

use crate::authn::key_set::KeySetCell;
use crate::clock::Clock;
use crate::pipeline::{Pipeline, panic_text};
use crate::reload::debounce::Debounce;
use crate::reload::fetches::Fetches;
pub use crate::reload::loader::{Ask, Found, Good, Loader};
use crate::reload::report::Report;
use crate::reload::watch::Watch;
use crate::snapshot::Snapshot;
use crate::snapshot::status::{Loaded, Outcome, SetStatus};

/// How often the files are looked at, whatever the operating system tells of them: it tells nothing of
/// network mounts and of some overlays.
const POLL: Duration = Duration::from_secs(3);

/// How long new policies wait for the first keys of issuers that are new with them.
const FIRST_KEYS: Duration = Duration::from_secs(5);

/// What a policy set is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It decides.
    Enforced,
    /// It is judged beside the one that decides.
    Candidate,
}

impl Role {
    /// The label of metrics and the word in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Candidate => "candidate",
        }
    }
}

/// Keeps one policy set of a pipeline as its directory says.
pub struct Reloader {
    role: Role,
    loader: Arc<Mutex<Loader>>,
    /// What serves; `None` while no candidate ever compiled.
    current: Option<Arc<Snapshot>>,
    fetches: Fetches,
    report: Report,
    status: Arc<SetStatus>,
    pipeline: Arc<Pipeline>,
    clock: Arc<dyn Clock>,
}

impl Reloader {
    /// A reloader of the set that `loader` reads, for [`Reloader::begin`].
    pub fn new(
        role: Role,
        loader: Loader,
        pipeline: Arc<Pipeline>,
        status: Arc<SetStatus>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            role,
            loader: Arc::new(Mutex::new(loader)),
            current: None,
            fetches: Fetches::new(Arc::clone(&clock)),
            report: Report::new(role.as_str()),
            status,
            pipeline,
            clock,
        }
    }

    /// Takes over what [`Loader::load`] found first; where that is an enforced snapshot, the pipeline has it
    /// already. Must be called within the background runtime.
    ///
    /// # Errors
    /// The text of why keys cannot be fetched.
    pub fn begin(&mut self, found: Found) -> Result<(), String> {
        match found {
            Found::Nothing | Found::Unchanged => {}
            Found::Broken(problems) => {
                self.report.failed(&problems);
                self.status.failed(problems);
            }
            Found::Good(good) => {
                self.fetches.start(&good.snapshot.fetches)?;
                self.report.warnings(&good.warnings);
                let loaded = Loaded::of(&good.snapshot.table, good.digest, self.clock.now());
                self.status.loaded(loaded, good.warnings);
                if self.role == Role::Candidate {
                    self.pipeline.replace_candidate(Arc::clone(&good.snapshot));
                }
                self.current = Some(good.snapshot);
            }
        }
        Ok(())
    }

    /// Reloads whenever something changes or a SIGHUP comes. Never ends by itself.
    pub async fn run(mut self, mut hangup: Signal) {
        let (watch, mut hints) = Watch::new();
        let watch = Arc::new(Mutex::new(watch));
        let mut debounce = Debounce::default();
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.follow(&watch).await;
        loop {
            let now = self.clock.monotonic();
            let due = debounce.due().map(|due| due.saturating_sub(now));
            let ask = tokio::select! {
                biased;
                _ = hangup.recv() => Ask::Always,
                () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => Ask::IfChanged,
                _ = poll.tick() => {
                    if self.moved().await {
                        debounce.note(self.clock.monotonic());
                        continue;
                    }
                    Ask::IfDoubtful
                }
                Some(()) = hints.recv() => {
                    debounce.note(self.clock.monotonic());
                    continue;
                }
            };
            if ask != Ask::IfDoubtful {
                debounce.clear();
            }
            if ask == Ask::Always {
                tracing::info!(set = self.role.as_str(), "told to reload (SIGHUP)");
            }
            // A fault of ours in here leaves what serves as it is, and the next step tries again.
            let stepped = AssertUnwindSafe(self.step(ask)).catch_unwind().await;
            if let Err(panic) = stepped {
                let panic = panic_text(panic.as_ref());
                tracing::error!(set = self.role.as_str(), panic, "reloading panicked");
                // What was read may be what could not be swapped in: the next look reads it anew.
                self.blocking(Loader::forget).await;
            }
            self.follow(&watch).await;
        }
    }

    /// Looks, and if there is something new compiles it and swaps it in. `None` if nothing was to do.
    pub async fn step(&mut self, ask: Ask) -> Option<Outcome> {
        let now = self.clock.now();
        let found = self.blocking(move |loader| loader.load(ask, now)).await?;
        if matches!(found, Found::Broken(_) | Found::Good(_)) {
            // Before anything is waited for, and whatever becomes of the rest.
            self.revoke().await;
        }
        let outcome = match found {
            Found::Nothing => None,
            Found::Unchanged if ask == Ask::IfDoubtful => None,
            Found::Unchanged => Some(Outcome::Unchanged),
            Found::Broken(problems) => {
                if ask == Ask::Always {
                    self.report.forget();
                }
                self.report.failed(&problems);
                self.status.failed(problems);
                Some(Outcome::Failed)
            }
            Found::Good(good) => match self.fetches.start(&good.snapshot.fetches) {
                Ok(()) => {
                    if self.role == Role::Enforced {
                        self.first_keys(&good.snapshot).await;
                    }
                    let loaded = Loaded::of(&good.snapshot.table, good.digest, self.clock.now());
                    self.swap(good.snapshot).await;
                    self.revoke().await;
                    let was_stale = self.status.state().stale;
                    self.report.warnings(&good.warnings);
                    let generation = self.status.loaded(loaded, good.warnings);
                    self.report.loaded(generation, &loaded, was_stale);
                    Some(Outcome::Loaded)
                }
                Err(error) => {
                    let problems = loader::cannot_fetch(&error);
                    self.report.failed(&problems);
                    self.status.failed(problems);
                    self.blocking(Loader::forget).await;
                    Some(Outcome::Failed)
                }
            },
        };
        // Requests that began with an older generation may still wait for its keys.
        let in_use = self.blocking(Loader::let_go).await.unwrap_or_default();
        self.fetches
            .keep_only(self.current.iter().chain(&in_use).flat_map(|s| &s.fetches));
        self.blocking(move |_| drop(in_use)).await;
        if let Some(outcome) = outcome {
            self.status.count(outcome);
        }
        outcome
    }

    /// A candidate's revocations are in its snapshot: they need not count any sooner.
    async fn revoke(&self) {
        if self.role == Role::Enforced
            && let Some(revocations) = self.blocking(|loader| loader.revocations()).await
        {
            self.pipeline.revoke(revocations);
        }
    }

    async fn swap(&mut self, snapshot: Arc<Snapshot>) {
        let old = match self.role {
            Role::Enforced => Some(self.pipeline.replace(Arc::clone(&snapshot))),
            Role::Candidate => self.pipeline.replace_candidate(Arc::clone(&snapshot)),
        };
        let known = self.current.replace(Arc::clone(&snapshot));
        self.blocking(move |loader| {
            drop(known);
            loader.serves(snapshot, old);
        })
        .await;
    }

    /// Waits a while for keys that are needed from now on and were not before, so that no request has to.
    async fn first_keys(&self, snapshot: &Snapshot) {
        let known = |cell: &Arc<KeySetCell>| {
            let mut needed = self
                .current
                .iter()
                .flat_map(|old| &old.table.needed_key_sets);
            needed.any(|(_, old)| Arc::ptr_eq(old, cell))
        };
        let awaited: Vec<_> = snapshot
            .table
            .needed_key_sets
            .iter()
            .filter(|(_, cell)| cell.current().is_none() && !known(cell))
            .collect();
        let loads = awaited
            .iter()
            .map(|(_, cell)| cell.loaded(self.clock.as_ref()));
        let _ = tokio::time::timeout(FIRST_KEYS, join_all(loads)).await;
        let missing: Vec<&str> = awaited
            .iter()
            .filter(|(_, cell)| cell.current().is_none())
            .map(|(name, _)| name.as_ref())
            .collect();
        if !missing.is_empty() {
            tracing::warn!(
                authenticators = missing.join(", "),
                "new policies are taken over without the keys of these; what needs them is refused until they are there"
            );
        }
    }

    async fn moved(&self) -> bool {
        self.blocking(|loader| loader.moved()).await.unwrap_or(true)
    }

    async fn follow(&self, watch: &Arc<Mutex<Watch>>) {
        let watch = Arc::clone(watch);
        self.blocking(move |loader| {
            let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
            watch.follow(loader.directories());
        })
        .await;
    }

    /// Runs on a thread that may block. `None` if the runtime is ending or the work panicked.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Loader) -> T + Send + 'static,
    ) -> Option<T> {
        let loader = Arc::clone(&self.loader);
        let done = tokio::task::spawn_blocking(move || {
            work(&mut loader.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await.ok()
    }
}

#[cfg(test)]
mod tests;
