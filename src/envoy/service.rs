//! `envoy.service.auth.v3.Authorization`: always an answer.
//!
//! A gRPC error hands the decision to Envoy's `failure_mode_allow`. So whatever happens on the way (a
//! frame that cannot be read, a message over the limit, a panic, too many checks, no time left) ends
//! here as an encoded denial.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, NamedService, UnaryService};

use crate::audit::trace_context::TraceContext;
use crate::envoy::codec::{CheckCodec, Decoded};
use crate::envoy::encode;
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

    fn refuse(
        &self,
        reason: Reason,
        detail: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Response<Body> {
        answer(&self.engine.refuse(&Refusal::new(reason, detail)))
    }

    async fn handle(self, request: Request<Body>) -> Response<Body> {
        let Some(_entered) = self.in_flight.enter() else {
            let detail = format!("more than {} checks are in flight", self.in_flight.most);
            return self.refuse(Reason::Overloaded, detail);
        };
        let budget = budget(request.headers(), self.bounds.check_timeout);
        let trace = request.headers().get("traceparent");
        let trace = trace.and_then(|value| TraceContext::parse(value.as_bytes()));
        let deadline = Instant::now() + budget;
        let unary = Unary {
            engine: Arc::clone(&self.engine),
            deadline,
            trace,
        };
        let mut grpc = Grpc::new(CheckCodec)
            .max_decoding_message_size(self.bounds.max_check_bytes)
            .max_encoding_message_size(usize::MAX);
        // The engine keeps to the deadline; this bounds what comes before it, a message that trickles in.
        // Pinned where it stands: moving it into the timeout would copy all of its state.
        let call = pin!(grpc.unary(unary, request));
        let all = tokio::time::timeout_at(deadline + MARGIN / 2, call);
        match AssertUnwindSafe(all).catch_unwind().await {
            Ok(Ok(response)) => match Status::from_header_map(response.headers()) {
                // A response that holds a message has its status in the trailers.
                None => response,
                Some(status) => {
                    let detail = format!("the check could not be read: {}", status.message());
                    self.refuse(Reason::RequestMalformed, detail)
                }
            },
            Ok(Err(_)) => self.refuse(
                Reason::DeadlineExceeded,
                "the check's message did not arrive in time",
            ),
            Err(panic) => answer(&self.engine.refuse(&panicked(panic.as_ref()))),
        }
    }
}

impl<E: Engine> Service<Request<Body>> for Authorization<E> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().path() != CHECK {
            let unknown = Status::unimplemented("the one method is Check");
            return Box::pin(std::future::ready(Ok(unknown.into_http())));
        }
        let service = self.clone();
        Box::pin(service.handle(request).map(Ok))
    }
}

impl<E> NamedService for Authorization<E> {
    const NAME: &'static str = "envoy.service.auth.v3.Authorization";
}

/// One call.
struct Unary<E> {
    engine: Arc<E>,
    deadline: Instant,
    trace: Option<TraceContext>,
}

impl<E: Engine> UnaryService<Decoded> for Unary<E> {
    type Response = Vec<u8>;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Vec<u8>>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Decoded>) -> Self::Future {
        let engine = Arc::clone(&self.engine);
        let (deadline, trace) = (self.deadline, self.trace);
        Box::pin(async move {
            let verdict = match request.into_inner() {
                Ok(raw) => {
                    let budget = deadline.saturating_duration_since(Instant::now());
                    engine.check(raw, budget, trace).await
                }
                Err(undecodable) => engine.refuse(&Refusal::new(
                    Reason::RequestMalformed,
                    undecodable.to_string(),
                )),
            };
            Ok(tonic::Response::new(encode::response(&verdict)))
        })
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

/// A whole gRPC response around a verdict, for where tonic has none to give.
fn answer(verdict: &Verdict) -> Response<Body> {
    let message = encode::response(verdict);
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(&message);
    let mut response = Response::new(Body::new(OneMessage {
        data: Some(frame.freeze()),
        ended: false,
    }));
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    response
}

/// A body of one gRPC frame and the trailers of success.
struct OneMessage {
    data: Option<Bytes>,
    ended: bool,
}

impl http_body::Body for OneMessage {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        self.ended = true;
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

#[cfg(test)]
mod tests;
