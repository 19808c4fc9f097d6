//! `envoy.service.auth.v3.Authorization`: always an answer.
//!
//! A gRPC error hands the decision to Envoy's `failure_mode_allow`. So whatever happens on the way (a
//! frame that cannot be read, a message over the limit, a panic, too many checks, no time left) ends
//! here as an encoded denial.

use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body;
use tokio::time::Instant;

use crate::audit::trace_context::TraceContext;
use crate::envoy::frame::{self, OneMessage};
use crate::envoy::{decode, encode};
use crate::pipeline::panicked;
use crate::request::raw::RawCheck;
use crate::verdict::{Reason, Refusal, Verdict};

/// The path of the one method.
pub const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Kept back from the budget for the way back to Envoy, whose own timeout runs on.
const MARGIN: Duration = Duration::from_millis(20);

/// What judges checks. The pipeline does; tests put other things here.
pub trait Engine: Send + Sync + 'static {
    /// Judges one check within `budget`.
    fn check(
        &self,
        raw: RawCheck,
        budget: Duration,
        trace: Option<TraceContext>,
    ) -> impl Future<Output = Verdict> + Send;

    /// Refuses what never became a check.
    fn refuse(&self, refusal: &Refusal) -> Verdict;
}

impl Engine for crate::pipeline::Pipeline {
    fn check(
        &self,
        raw: RawCheck,
        budget: Duration,
        trace: Option<TraceContext>,
    ) -> impl Future<Output = Verdict> + Send {
        Self::check(self, raw, budget, trace)
    }

    fn refuse(&self, refusal: &Refusal) -> Verdict {
        Self::refuse(self, refusal)
    }
}

/// How many checks are being judged in this process, and how many may be.
#[derive(Debug)]
pub struct InFlight {
    now: AtomicUsize,
    most: usize,
}

impl InFlight {
    /// At most `most` at once; there is no queue.
    pub const fn new(most: usize) -> Self {
        Self {
            now: AtomicUsize::new(0),
            most,
        }
    }

    /// How many there are.
    pub fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    fn enter(self: &Arc<Self>) -> Option<Entered> {
        let before = self.now.fetch_add(1, Ordering::Relaxed);
        let entered = Entered(Arc::clone(self));
        (before < self.most).then_some(entered)
    }
}

/// One check in flight; dropping it makes room.
struct Entered(Arc<InFlight>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The bounds of every check.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long a check may take, the margin for the way back included.
    pub check_timeout: Duration,
    /// The longest message, in bytes.
    pub max_check_bytes: usize,
}

/// The gRPC service.
pub struct Authorization<E> {
    engine: Arc<E>,
    in_flight: Arc<InFlight>,
    bounds: Bounds,
}

impl<E> Clone for Authorization<E> {
    fn clone(&self) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            in_flight: Arc::clone(&self.in_flight),
            bounds: self.bounds,
        }
    }
}

impl<E: Engine> Authorization<E> {
    /// A service that judges with `engine`.
    pub const fn new(engine: Arc<E>, in_flight: Arc<InFlight>, bounds: Bounds) -> Self {
        Self {
            engine,
            in_flight,
            bounds,
        }
    }

    /// Answers one call of [`CHECK`], whatever it holds: its body is one gRPC message.
    pub async fn check<B>(self, call: Request<B>) -> Response<OneMessage>
    where
        B: Body<Data = Bytes>,
        B::Error: Display,
    {
        let Some(_entered) = self.in_flight.enter() else {
            let detail = format!("more than {} checks are in flight", self.in_flight.most);
            return answer(&self.refuse(Reason::Overloaded, detail));
        };
        let (head, body) = call.into_parts();
        let begun = Instant::now();
        let budget = budget(&head.headers, self.bounds.check_timeout);
        let trace = head.headers.get("traceparent");
        let trace = trace.and_then(|value| TraceContext::parse(value.as_bytes()));
        drop(head);
        let judged = async {
            match frame::read(body, self.bounds.max_check_bytes).await {
                Ok(message) => {
                    let left = budget.saturating_sub(begun.elapsed());
                    self.judge(message, left, trace).await
                }
                Err(unreadable) => self.refuse(
                    Reason::RequestMalformed,
                    format!("the check could not be read: {unreadable}"),
                ),
            }
        };
        // The engine keeps to its budget; this bounds what comes before it, a message that trickles in.
        // Pinned where it stands: moving it into the timeout would copy all of its state.
        let judged = pin!(AssertUnwindSafe(judged).catch_unwind());
        let verdict = match tokio::time::timeout_at(begun + budget + MARGIN / 2, judged).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(panic)) => self.engine.refuse(&panicked(panic.as_ref())),
            Err(_) => self.refuse(
                Reason::DeadlineExceeded,
                "the check's message did not arrive in time",
            ),
        };
        answer(&verdict)
    }

    async fn judge(
        &self,
        message: Bytes,
        budget: Duration,
        trace: Option<TraceContext>,
    ) -> Verdict {
        match decode::check(message) {
            Ok(raw) => self.engine.check(raw, budget, trace).await,
            Err(undecodable) => self.refuse(Reason::RequestMalformed, undecodable.to_string()),
        }
    }

    fn refuse(&self, reason: Reason, detail: impl Into<std::borrow::Cow<'static, str>>) -> Verdict {
        self.engine.refuse(&Refusal::new(reason, detail))
    }
}

/// How long this check may take: the nearer of Envoy's own deadline and the setting, less what the way
/// back needs.
fn budget(headers: &HeaderMap, check_timeout: Duration) -> Duration {
    let timeout = headers
        .get("grpc-timeout")
        .and_then(|value| grpc_timeout(value.as_bytes()));
    let whole = timeout.map_or(check_timeout, |timeout| timeout.min(check_timeout));
    whole.saturating_sub(MARGIN).max(whole / 2)
}

/// `grpc-timeout`: at most eight digits and a unit (gRPC over HTTP/2, "Requests").
fn grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount = digits
        .iter()
        .fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(amount * 3600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// A whole gRPC response around a verdict.
fn answer(verdict: &Verdict) -> Response<OneMessage> {
    let body = OneMessage::new(|out| encode::write(out, verdict));
    let mut response = Response::new(body);
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    response
}

#[cfg(test)]
mod tests;
