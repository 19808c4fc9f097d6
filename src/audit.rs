//! One record per decision: what is remembered while a request is judged, and how it reads afterwards.

pub mod sink;
pub mod trace_context;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::audit::trace_context::TraceContext;
use crate::authn::principal::Principal;
use crate::clock::{Clock, Timestamp};
use crate::ids::DecisionId;
use crate::policy::route::Route;
use crate::request::raw::RawCheck;
use crate::verdict::Reason;

/// The longest text of a caller's that is recorded, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// Where records go. The one implementation that serves is assembled by `app`.
pub trait Recorder: Send + Sync + 'static {
    /// Takes a finished record. Must not block.
    fn record(&self, record: &Record<'_>);
}

/// What is known of a request while it is judged. Dropped without an end (the check was cancelled, or
/// something panicked), it still leaves its record.
pub struct Trail {
    id: DecisionId,
    time: Timestamp,
    started: Duration,
    method: Bytes,
    host: Bytes,
    path: Bytes,
    protocol: Bytes,
    client_address: Bytes,
    user_agent: Option<Bytes>,
    trace: Option<TraceContext>,
    grpc: bool,
    bearer: bool,
    /// The route, once it is chosen.
    pub route: Option<Arc<Route>>,
    /// The authenticator that decides, once that is known.
    pub authenticator: Option<Arc<str>>,
    /// The caller, once proven.
    pub principal: Option<Principal>,
    clock: Arc<dyn Clock>,
    recorder: Arc<dyn Recorder>,
    ended: bool,
}

impl Trail {
    /// Begins at the arrival of a check. `trace` is the context of the check's own call, which is
    /// nearer to us than the one that the client's request carries.
    pub fn begin(
        raw: &RawCheck,
        trace: Option<TraceContext>,
        clock: &Arc<dyn Clock>,
        recorder: &Arc<dyn Recorder>,
    ) -> Self {
        let mut trail = Self::nameless(clock, recorder);
        trail.method = raw.method.clone();
        // What stands before an @ is user information: a password, at worst.
        let user_information = raw.host.iter().rposition(|&byte| byte == b'@');
        trail.host = raw.host.slice(user_information.map_or(0, |at| at + 1)..);
        let query = raw
            .path
            .iter()
            .position(|&byte| matches!(byte, b'?' | b'#'));
        trail.path = raw.path.slice(..query.unwrap_or(raw.path.len()));
        trail.protocol = raw.protocol.clone();
        trail.client_address = raw.source.address.clone();
        let mut carried = None;
        for (name, value) in raw.headers.iter() {
            match name.as_ref() {
                b"user-agent" => trail.user_agent = Some(value.clone()),
                b"traceparent" => carried = TraceContext::parse(value),
                b"authorization" => {
                    trail.bearer = value
                        .get(..7)
                        .is_some_and(|s| s.eq_ignore_ascii_case(b"bearer "));
                }
                _ => {}
            }
        }
        trail.grpc = raw.headers.is_grpc();
        trail.trace = trace.or(carried);
        trail
    }

    /// Begins for a check that could not even be decoded.
    pub fn nameless(clock: &Arc<dyn Clock>, recorder: &Arc<dyn Recorder>) -> Self {
        let time = clock.now();
        Self {
            id: DecisionId::new(time),
            time,
            started: clock.monotonic(),
            method: Bytes::new(),
            host: Bytes::new(),
            path: Bytes::new(),
            protocol: Bytes::new(),
            client_address: Bytes::new(),
            user_agent: None,
            trace: None,
            grpc: false,
            bearer: false,
            route: None,
            authenticator: None,
            principal: None,
            clock: Arc::clone(clock),
            recorder: Arc::clone(recorder),
            ended: false,
        }
    }

    /// Names this decision.
    pub const fn id(&self) -> DecisionId {
        self.id
    }

    /// Whether the caller speaks gRPC.
    pub const fn is_grpc(&self) -> bool {
        self.grpc
    }

    /// Whether the request carries a bearer token.
    pub const fn is_bearer(&self) -> bool {
        self.bearer
    }

    /// Ends with a decision and writes its record.
    pub fn end(&mut self, reason: Reason, status: u16, detail: &str) {
        self.ended = true;
        let duration = self.clock.monotonic().saturating_sub(self.started);
        let record = Record {
            trail: self,
            reason,
            status,
            detail,
            duration,
        };
        self.recorder.record(&record);
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if std::thread::panicking() {
            self.end(
                Reason::InternalFault,
                500,
                "the check panicked; the log says where",
            );
        } else {
            self.end(
                Reason::Cancelled,
                503,
                "Envoy gave up on the check before it ended",
            );
        }
    }
}

/// A finished decision.
pub struct Record<'a> {
    trail: &'a Trail,
    /// Why it ended as it did.
    pub reason: Reason,
    /// The HTTP status; 200 where the request passes.
    pub status: u16,
    detail: &'a str,
    /// How long the decision took.
    pub duration: Duration,
}

/// The record as a line of JSON: the members of `portcullis.audit.v1.Decision`.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    decision_id: &'a str,
    decision: &'a str,
    reason: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    method: Cow<'a, str>,
    host: Cow<'a, str>,
    path: Cow<'a, str>,
    protocol: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authenticator: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential_id: Option<Cow<'a, str>>,
    client_address: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    duration_us: u64,
}

impl Record<'_> {
    /// The policy's name, or nothing.
    pub fn policy(&self) -> Option<&Arc<str>> {
        self.trail.route.as_ref().map(|route| &route.policy)
    }

    /// The route's path as the policy writes it, or nothing.
    pub fn route(&self) -> Option<&str> {
        self.trail.route.as_ref().map(|route| route.path.as_ref())
    }

    /// The authenticator that decided, or nothing.
    pub const fn authenticator(&self) -> Option<&Arc<str>> {
        self.trail.authenticator.as_ref()
    }

    /// The caller's trace context, if there is one.
    pub const fn trace(&self) -> Option<&TraceContext> {
        self.trail.trace.as_ref()
    }

    /// When the check arrived.
    pub const fn time(&self) -> Timestamp {
        self.trail.time
    }

    /// Names this decision.
    pub const fn id(&self) -> DecisionId {
        self.trail.id
    }

    /// Appends the record as one line of JSON with its line feed. Never holds a credential, a query
    /// or a header's value but the user agent's.
    pub fn write_line(&self, buffer: &mut Vec<u8>) {
        let trail = self.trail;
        let principal = trail.principal.as_ref();
        let mut id = [0; 26];
        let line = Line {
            time: trail.time.to_rfc3339(),
            decision_id: trail.id.write_to(&mut id),
            decision: if self.reason == Reason::Allowed {
                "allow"
            } else {
                "deny"
            },
            reason: self.reason.as_str(),
            status: self.status,
            detail: self.detail,
            method: text(&trail.method),
            host: text(&trail.host),
            path: text(&trail.path),
            protocol: text(&trail.protocol),
            policy: self.policy().map(AsRef::as_ref),
            route: self.route(),
            authenticator: self.authenticator().map(AsRef::as_ref),
            principal: principal.map(|principal| text(principal.id().as_bytes())),
            consumer: principal
                .and_then(Principal::consumer)
                .map(|consumer| consumer.name.as_ref()),
            credential_id: principal
                .and_then(Principal::credential_id)
                .map(|id| text(id.as_bytes())),
            client_address: text(&trail.client_address),
            user_agent: trail.user_agent.as_deref().map(text),
            trace_id: trail.trace.as_ref().map(TraceContext::trace_id_hex),
            duration_us: u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX),
        };
        let start = buffer.len();
        if serde_json::to_writer(&mut *buffer, &line).is_err() {
            // Texts and numbers always serialise; a record that did not would be a hole in the audit.
            buffer.truncate(start);
            buffer.extend_from_slice(b"{\"reason\":\"internal_fault\"}");
        }
        buffer.push(b'\n');
    }
}

/// Bounded text; bytes that are not UTF-8 show as U+FFFD.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.get(..MAX_TEXT_BYTES).unwrap_or(bytes);
    // Nearly all text is good, and telling so is much faster than mending what is not.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

#[cfg(test)]
mod tests;
