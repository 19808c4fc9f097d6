//! The policy sets of the process: reloaded in the background, seen in metrics.

use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::admin::Configured;
use crate::clock::Clock;
use crate::pipeline::Pipeline;
use crate::reload::{Found, Loader, Reloader, Role};
use crate::snapshot::status::{Outcome, SetStatus};
use crate::telemetry::metrics::{Labelled, Metrics};

/// The tasks that reload. Dropping this ends them, and whatever fetches keys.
pub(super) struct Reloading {
    tasks: JoinSet<()>,
    pipeline: Arc<Pipeline>,
    clock: Arc<dyn Clock>,
}

impl Reloading {
    pub(super) fn new(pipeline: &Arc<Pipeline>, clock: &Arc<dyn Clock>) -> Self {
        Self {
            tasks: JoinSet::new(),
            pipeline: Arc::clone(pipeline),
            clock: Arc::clone(clock),
        }
    }

    /// Takes over what was found in a directory, and follows it from now on.
    pub(super) fn begin(
        &mut self,
        role: Role,
        directory: &Path,
        loader: Loader,
        found: Found,
    ) -> anyhow::Result<Arc<SetStatus>> {
        let status = Arc::new(SetStatus::new(role.as_str(), directory));
        let mut reloader = Reloader::new(
            role,
            loader,
            Arc::clone(&self.pipeline),
            Arc::clone(&status),
            Arc::clone(&self.clock),
        );
        reloader.begin(found).map_err(anyhow::Error::msg)?;
        self.tasks
            .spawn(reloader.run(signal(SignalKind::hangup())?));
        Ok(status)
    }
}

/// Shows in metrics what serves and what does not.
pub(super) fn watch(metrics: &Metrics, configured: &Configured) {
    let sets: Arc<[Arc<SetStatus>]> = [Some(&configured.enforced), configured.candidate.as_ref()]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let each = |read: fn(&SetStatus) -> u64| {
        let sets = Arc::clone(&sets);
        move || -> Vec<Labelled> {
            let labelled = |set: &Arc<SetStatus>| (read(set), vec![("set", set.name())]);
            sets.iter().map(labelled).collect()
        }
    };
    metrics.labelled_gauge(
        "portcullis.config.stale",
        "",
        "1 while the policies that are there cannot be used and older ones serve",
        each(|set| u64::from(set.state().stale)),
    );
    metrics.labelled_gauge(
        "portcullis.config.generation",
        "",
        "Counts the policies that were taken over, from 1 on",
        each(|set| set.state().generation),
    );
    metrics.labelled_gauge(
        "portcullis.config.loaded.timestamp",
        "s",
        "When the policies that serve were taken over, in seconds since the epoch",
        each(|set| {
            let loaded = set.state().loaded;
            loaded.map_or(0, |loaded| u64::try_from(loaded.at.seconds()).unwrap_or(0))
        }),
    );
    let sets = Arc::clone(&sets);
    metrics.labelled_counter(
        "portcullis.config.reloads",
        "Attempts to take over changed policies, by outcome",
        move || {
            let of = |set: &Arc<SetStatus>| {
                let set = Arc::clone(set);
                Outcome::ALL.map(|outcome| {
                    let labels = vec![("set", set.name()), ("outcome", outcome.as_str())];
                    (set.reloads(outcome), labels)
                })
            };
            sets.iter().flat_map(of).collect()
        },
    );
}
