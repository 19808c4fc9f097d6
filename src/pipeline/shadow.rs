//! Routes in shadow: judged beside the decision that counts, so that a rule can be seen before it is
//! enforced.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;

use crate::audit::Beside;
use crate::clock::Clock;
use crate::pipeline::panic_text;
use crate::policy::authorise::InShadow;
use crate::policy::compile::PolicyTable;
use crate::policy::observe::event::{Event, Shadowed};
use crate::policy::revocation::Revocations;
use crate::request::Request;
use crate::verdict::Reason;

/// How the route in shadow that covers a request would end it, if there is one. Never waits: what would
/// have to wait for somebody is `dependency_unavailable`.
pub(super) fn judge(
    request: &Request,
    table: &PolicyTable,
    revocations: &Revocations,
    clock: &dyn Clock,
) -> Option<Beside> {
    let routed = InShadow::choose(request, table)?;
    let route = Arc::clone(routed.route());
    let judged = {
        let judged = pin!(routed.judge(revocations, clock));
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
    Some(Beside {
        reason,
        route: Some(route),
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
