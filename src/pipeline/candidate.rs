//! Policies that are judged beside those that count, so that a change can be seen before it is made.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use futures_util::FutureExt;

use crate::audit::{Beside, Record, Recorder, Trail};
use crate::pipeline::{Pipeline, panic_text};
use crate::policy::observe::Unobserved;
use crate::request::raw::RawCheck;
use crate::snapshot::Snapshot;
use crate::verdict::{Reason, Refusal, Verdict};

/// The newest candidate policies, if any ever compiled.
pub(super) struct Candidate {
    snapshot: ArcSwapOption<Snapshot>,
    nowhere: Arc<dyn Recorder>,
}

impl Default for Candidate {
    fn default() -> Self {
        Self {
            snapshot: ArcSwapOption::empty(),
            nowhere: Arc::new(Nowhere),
        }
    }
}

/// Takes records and forgets them: what counts is recorded once.
struct Nowhere;

impl Recorder for Nowhere {
    fn record(&self, _: &Record<'_>) {}
}

/// A request that will also be judged by a generation of the candidate policies.
pub(super) struct TakenUp {
    snapshot: Arc<Snapshot>,
    raw: RawCheck,
    nowhere: Arc<dyn Recorder>,
}

impl Candidate {
    pub(super) fn replace(&self, snapshot: Arc<Snapshot>) -> Option<Arc<Snapshot>> {
        self.snapshot.swap(Some(snapshot))
    }

    /// Keeps a copy of a request, whose bytes are shared, for judging it later. On the heap, so that checks
    /// without candidates do not carry the room for it.
    pub(super) fn take_up(&self, raw: &RawCheck) -> Option<Box<TakenUp>> {
        let snapshot = self.snapshot.load_full()?;
        Some(Box::new(TakenUp {
            snapshot,
            raw: raw.clone(),
            nowhere: Arc::clone(&self.nowhere),
        }))
    }
}

impl TakenUp {
    /// Judges the request as the pipeline does, without ever waiting: what would have to wait for somebody
    /// is `dependency_unavailable`. Nothing where the decision that counts is none of the policies', since
    /// its time was over or we failed.
    pub(super) fn judge(
        self: Box<Self>,
        pipeline: &Pipeline,
        enforced: &Result<Verdict, Refusal>,
        trail: &Trail,
    ) -> Option<Beside> {
        if let Err(refusal) = enforced
            && matches!(
                refusal.reason,
                Reason::DeadlineExceeded | Reason::InternalFault
            )
        {
            return None;
        }
        let Self {
            snapshot,
            raw,
            nowhere,
        } = *self;
        let mut trail = trail.beside(&nowhere);
        let revocations = ArcSwap::new(Arc::clone(&snapshot.revocations));
        let judged = {
            let judged =
                pin!(pipeline.judge(raw, &snapshot.table, &revocations, &mut trail, Unobserved));
            AssertUnwindSafe(judged).catch_unwind().now_or_never()
        };
        let reason = match judged {
            Some(Ok(Ok(verdict))) => verdict.reason(),
            Some(Ok(Err(refusal))) => refusal.reason,
            Some(Err(panic)) => {
                let panic = panic_text(panic.as_ref());
                tracing::error!(panic, "judging by the candidate policies panicked");
                Reason::InternalFault
            }
            None => Reason::DependencyUnavailable,
        };
        Some(Beside {
            reason,
            route: trail.route.take(),
        })
    }
}

#[cfg(test)]
mod tests;
