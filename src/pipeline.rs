//! What happens to one request, stage by stage.

mod candidate;
mod shadow;

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;

use crate::audit::trace_context::TraceContext;
use crate::audit::{Recorder, Trail};
use crate::authn::identity::Identity;
use crate::clock::Clock;
use crate::limit::Admission;
use crate::pipeline::candidate::Candidate;
use crate::policy::authorise::{Caller, Routed};
use crate::policy::compile::PolicyTable;
use crate::policy::cors::preflight;
use crate::policy::observe::event::{Ended, Event, PreflightJudged, RequestRead, Stage};
use crate::policy::observe::{Notes, Observe, Unobserved};
use crate::policy::revocation::Revocations;
use crate::request::peer::sources::PeerSources;
use crate::request::raw::RawCheck;
use crate::request::{BadRequest, Reading, Request};
use crate::respond::reply::Reply;
use crate::respond::{Allow, Denial};
use crate::snapshot::Snapshot;
use crate::verdict::{Reason, Refusal, Verdict};

/// Judges requests with the newest generation of policies.
pub struct Pipeline {
    snapshot: ArcSwap<Snapshot>,
    /// Apart from the snapshot: they count even where the rest of the policies does not compile.
    revocations: ArcSwap<Revocations>,
    /// Another set of policies that is judged beside the first and decides nothing.
    candidate: Option<Candidate>,
    clock: Arc<dyn Clock>,
    recorder: Arc<dyn Recorder>,
    require_tls: bool,
    peer: PeerSources,
}

impl Pipeline {
    /// A pipeline that judges by `snapshot`. With `require_tls`, requests that came without TLS are
    /// refused before their credentials are read.
    pub fn new(
        snapshot: Arc<Snapshot>,
        clock: Arc<dyn Clock>,
        recorder: Arc<dyn Recorder>,
        require_tls: bool,
    ) -> Self {
        Self {
            revocations: ArcSwap::new(Arc::clone(&snapshot.revocations)),
            snapshot: ArcSwap::new(snapshot),
            candidate: None,
            clock,
            recorder,
            require_tls,
            peer: PeerSources::default(),
        }
    }

    /// The same that believes these of the places that tell of the peer.
    #[must_use]
    pub const fn believing(mut self, peer: PeerSources) -> Self {
        self.peer = peer;
        self
    }

    /// The same with candidate policies, none of which are there before
    /// [`Pipeline::replace_candidate`].
    #[must_use]
    pub fn with_candidate(mut self) -> Self {
        self.candidate = Some(Candidate::default());
        self
    }

    /// Judges by `snapshot` from now on, but for its revocations, which [`Pipeline::revoke`] takes;
    /// requests on their way end with the generation that they began with. Answers with the one before,
    /// for the caller to keep until nobody judges by it any more: taking a large one apart takes long.
    pub fn replace(&self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        self.snapshot.swap(snapshot)
    }

    /// The same for the candidate policies.
    pub fn replace_candidate(&self, snapshot: Arc<Snapshot>) -> Option<Arc<Snapshot>> {
        self.candidate.as_ref()?.replace(snapshot)
    }

    /// The newest generation.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Takes other revocations; they count from the next request on.
    pub fn revoke(&self, revocations: Arc<Revocations>) {
        self.revocations.store(revocations);
    }

    /// Judges one request within `budget`. Always answers; leaves one audit record.
    pub fn check(
        &self,
        raw: RawCheck,
        budget: Duration,
        trace: Option<TraceContext>,
    ) -> impl Future<Output = Verdict> + Send {
        self.observed(raw, budget, trace, Unobserved)
    }

    /// The same, telling `notes` what is seen on the way.
    pub fn explain(
        &self,
        raw: RawCheck,
        budget: Duration,
        notes: &Notes,
    ) -> impl Future<Output = Verdict> + Send {
        self.observed(raw, budget, None, notes)
    }

    async fn observed(
        &self,
        raw: RawCheck,
        budget: Duration,
        trace: Option<TraceContext>,
        observer: impl Observe,
    ) -> Verdict {
        let snapshot = self.snapshot();
        let mut trail = Trail::begin(&raw, trace, &self.clock, &self.recorder);
        let candidate = self.candidate.as_ref().and_then(|set| set.take_up(&raw));
        let outcome = {
            // Pinned where it stands: moving it into the timeout would copy all of its state.
            let judged = pin!(self.judge(
                raw,
                &snapshot.table,
                &self.revocations,
                &mut trail,
                observer
            ));
            tokio::time::timeout(budget, AssertUnwindSafe(judged).catch_unwind()).await
        };
        let outcome = match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(panicked(panic.as_ref())),
            Err(_) => Err(Refusal::new(
                Reason::DeadlineExceeded,
                format!("the check outlived its budget of {} ms", budget.as_millis()),
            )),
        };
        if let Some(candidate) = candidate {
            trail.candidate = candidate.judge(self, &outcome, &trail);
        }
        let (verdict, detail) = match outcome {
            Ok(verdict) => {
                trail.end(verdict.reason(), verdict.status(), "");
                (verdict, Cow::Borrowed(""))
            }
            Err(refusal) => (deny(&refusal, &mut trail), refusal.detail),
        };
        observer.note(|| {
            Event::Ended(Ended {
                reason: verdict.reason(),
                status: verdict.status(),
                detail: detail.into_owned(),
            })
        });
        verdict
    }

    /// Refuses a check that never became a request: undecodable, too many in flight, or lost to a fault
    /// of ours.
    pub fn refuse(&self, refusal: &Refusal) -> Verdict {
        deny(refusal, &mut Trail::nameless(&self.clock, &self.recorder))
    }

    async fn judge(
        &self,
        raw: RawCheck,
        table: &PolicyTable,
        revocations: &ArcSwap<Revocations>,
        trail: &mut Trail,
        observer: impl Observe,
    ) -> Result<Verdict, Refusal> {
        observer.note(|| Event::Begins(Stage::Request));
        self.require_tls(&raw)?;
        let reading = Reading {
            peer: self.peer,
            ..table.reading
        };
        let request = Request::read(raw, &reading).map_err(unreadable)?;
        observer.note(|| Event::Request(RequestRead::of(&request)));
        if table.reading.trusted_hops.count > 0 {
            trail.called_from(request.client_address());
        }
        observer.note(|| Event::Begins(Stage::Preflight));
        let preflight = preflight::judge(&request, &table.routes, &mut trail.route);
        observer.note(|| {
            let route = trail.route.as_deref();
            let answered = preflight.as_ref().map(Option::is_some);
            Event::Preflight(PreflightJudged::of(route, answered))
        });
        if let Some(permit) = preflight? {
            return Ok(Verdict::Reply(Reply::preflight(permit, trail.id())));
        }
        let revocations = revocations.load_full();
        let mut revoked_in_shadow = false;
        if table.shadow.is_some()
            && let Some(judged) = shadow::judge(&request, table, &revocations, self.clock.as_ref())
        {
            observer.note(|| shadow::told(&judged.beside));
            revoked_in_shadow = judged.revoked;
            trail.shadow = Some(judged.beside);
        }
        let routed = Routed::choose(request, table, observer)?;
        trail.route = Some(Arc::clone(routed.route()));
        let caller = routed
            .authenticate(self.clock.as_ref(), &mut trail.progress, observer)
            .await?;
        trail.proven = caller.identity().proven().cloned();
        caller.not_revoked(&revocations, observer)?;
        if revoked_in_shadow {
            not_unproven(&caller)?;
        }
        let now = self.clock.now();
        let grant = caller.authorise(now, observer)?;
        let admission = Admission::admit(grant);
        Allow::new(admission, trail, now, observer).map(Verdict::Allow)
    }

    fn require_tls(&self, raw: &RawCheck) -> Result<(), Refusal> {
        let secure = raw.scheme.eq_ignore_ascii_case(b"https") || !raw.source.principal.is_empty();
        if self.require_tls && !secure {
            return Err(Refusal::new(
                Reason::TlsRequired,
                "the request came without TLS",
            ));
        }
        Ok(())
    }
}

/// Revocations bind where nothing else is enforced, too.
fn not_unproven(caller: &Caller) -> Result<(), Refusal> {
    if let Identity::Unproven(_) = caller.identity() {
        let detail = "`revocations` names the credential that was sent";
        return Err(Refusal::new(Reason::CredentialsRevoked, detail));
    }
    Ok(())
}

/// A fault of ours: logged, and denied.
pub fn panicked(panic: &(dyn std::any::Any + Send)) -> Refusal {
    let text = panic_text(panic);
    tracing::error!(panic = text, "a check panicked; it was denied");
    Refusal::new(
        Reason::InternalFault,
        "the check panicked; the log says where",
    )
}

/// What a panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}

fn deny(refusal: &Refusal, trail: &mut Trail) -> Verdict {
    let denial = Denial::new(refusal, trail);
    trail.end(refusal.reason, denial.status(), &refusal.detail);
    Verdict::Deny(denial)
}

fn unreadable(bad: BadRequest) -> Refusal {
    let reason = match bad {
        BadRequest::Path(_) => Reason::PathAmbiguous,
        _ => Reason::RequestMalformed,
    };
    Refusal::new(reason, bad.to_string())
}
