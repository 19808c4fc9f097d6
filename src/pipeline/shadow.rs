//! Routes in shadow: judged beside the decision that counts, so that a rule can be seen before it is
//! enforced.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;

use crate::audit::Beside;
use crate::authn::Progress;
use crate::clock::Clock;
use crate::pipeline::panic_text;
use crate::policy::authorise::InShadow;
use crate::policy::compile::PolicyTable;
use crate::policy::observe::event::{Event, Shadowed};
use crate::policy::revocation::Revocations;
use crate::request::Request;
use crate::verdict::Reason;

/// What the route in shadow that covers a request says of it.
pub(super) struct Judged {
    /// How it would end it.
    pub(super) beside: Beside,
    /// Whether anybody was proven of whom anything was revoked, whatever would refuse the request first.
    pub(super) revoked: bool,
}

/// Judges by the route in shadow that covers a request, if there is one. Never waits: what would have to
/// wait for somebody is `dependency_unavailable`.
///
/// Revocations come after authentication, which may end before them: a consumer may be refused, or a further
/// member of an all-of may be absent, wrong or have to be waited for. Who was proven until then is asked for
/// all the same. Nobody is, where what was sent is expired, wrong, ambiguous, or has to be waited for itself.
pub(super) fn judge(
    request: &Request,
    table: &PolicyTable,
    revocations: &Revocations,
    clock: &dyn Clock,
) -> Option<Judged> {
    let routed = InShadow::choose(request, table)?;
    let route = Arc::clone(routed.route());
    let mut progress = Progress::default();
    let judged = {
        let judged = pin!(routed.judge(revocations, clock, &mut progress));
        AssertUnwindSafe(judged).catch_unwind().now_or_never()
    };
    let reason = match judged {
        Some(Ok(Ok(()))) => Reason::Allowed,
        Some(Ok(Err(refusal))) => refusal.reason,
        Some(Err(panic)) => {
            let panic = panic_text(panic.as_ref());
            tracing::error!(panic, "judging by a route in shadow panicked");
            Reason::InternalFault
        }
        None => Reason::DependencyUnavailable,
    };
    let tenant = route.tenant.as_deref();
    let mut proven = progress.proven();
    let revoked = reason == Reason::CredentialsRevoked
        || proven.any(|principal| revocations.judge(principal, tenant).is_err());
    Some(Judged {
        beside: Beside {
            reason,
            route: Some(Arc::clone(&route)),
        },
        revoked,
    })
}

/// What an observer is told.
pub(super) fn told(beside: &Beside) -> Event {
    let route = beside.route.as_ref();
    Event::Shadow(Shadowed {
        policy: route.map(|route| route.policy.to_string()),
        route: route.map(|route| route.path.to_string()),
        reason: beside.reason,
    })
}

#[cfg(test)]
mod tests;
