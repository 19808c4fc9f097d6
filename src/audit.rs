//! One record per decision: what is remembered while a request is judged, and how it reads afterwards.

pub mod sink;
pub mod trace_context;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::audit::trace_context::TraceContext;
use crate::authn::Progress;
use crate::authn::identity::Proven;
use crate::authn::principal::Principal;
use crate::clock::{Clock, Timestamp};
use crate::ids::DecisionId;
use crate::policy::route::Route;
use crate::policy::scope::ScopeSet;
use crate::request::raw::RawCheck;
use crate::request::rpc::{Rpc, Signs};
use crate::verdict::Reason;

/// The longest text of a caller's that is recorded, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// Where records go. The one implementation that serves is assembled by `app`.
pub trait Recorder: Send + Sync + 'static {
    /// Takes a finished record. Must not block.
    fn record(&self, record: &Record<'_>);
}

/// A decision that was made beside the one that counts, and changes nothing.
#[derive(Clone, Debug)]
pub struct Beside {
    /// Why it would have ended so.
    pub reason: Reason,
    /// The route that it chose, if it came that far.
    pub route: Option<Arc<Route>>,
}

/// How a decision beside the one that counts differs from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Difference {
    /// The same decision for the same reason.
    Same,
    /// It would let pass what is refused.
    Opened,
    /// It would refuse what passes.
    Closed,
    /// Both refuse, or neither does, for other reasons.
    Reason,
}

impl Difference {
    /// The label of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Reason => "reason",
        }
    }

    fn between(enforced: Reason, beside: Reason) -> Self {
        let is_denial = |reason: Reason| reason.decision() == "deny";
        match (is_denial(enforced), is_denial(beside)) {
            _ if enforced == beside => Self::Same,
            (true, false) => Self::Opened,
            (false, true) => Self::Closed,
            _ => Self::Reason,
        }
    }
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
    pinned: Option<Bytes>,
    user_agent: Option<Bytes>,
    trace: Option<TraceContext>,
    rpc: Rpc,
    origin: Option<Bytes>,
    bearer: bool,
    /// The route, once it is chosen.
    pub route: Option<Arc<Route>>,
    /// How far authentication came.
    pub progress: Progress,
    /// The caller, once proven.
    pub proven: Option<Proven>,
    /// What the candidate policies say of the same request, where there are any.
    pub candidate: Option<Beside>,
    /// What a route in shadow says of it, where one covers it.
    pub shadow: Option<Beside>,
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
        trail.pinned = raw.pinned().cloned();
        let mut carried = None;
        let (mut origins, mut content_types) = (0, 0);
        let mut signs = Signs {
            method: &raw.method,
            target: &raw.path,
            ..Signs::default()
        };
        for (name, value) in raw.headers.iter() {
            match name {
                b"user-agent" => trail.user_agent = Some(raw.headers.share(value)),
                b"traceparent" => carried = TraceContext::parse(value),
                b"authorization" => {
                    trail.bearer = value
                        .get(..7)
                        .is_some_and(|s| s.eq_ignore_ascii_case(b"bearer "));
                }
                b"content-type" => {
                    content_types += 1;
                    signs.content_type = (content_types == 1).then_some(value);
                }
                b"connect-protocol-version" => signs.connect_version = true,
                b"origin" => {
                    origins += 1;
                    trail.origin = (origins == 1).then(|| raw.headers.share(value));
                }
                _ => {}
            }
        }
        trail.rpc = Rpc::of(signs, |part| raw.headers.share(part));
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
            pinned: None,
            user_agent: None,
            trace: None,
            rpc: Rpc::None,
            origin: None,
            bearer: false,
            route: None,
            progress: Progress::default(),
            proven: None,
            candidate: None,
            shadow: None,
            clock: Arc::clone(clock),
            recorder: Arc::clone(recorder),
            ended: false,
        }
    }

    /// A trail for judging the same request once more, beside this one. Its records go nowhere.
    pub fn beside(&self, nowhere: &Arc<dyn Recorder>) -> Self {
        let mut trail = Self::nameless(&self.clock, nowhere);
        trail.id = self.id;
        trail
    }

    /// Names this decision.
    pub const fn id(&self) -> DecisionId {
        self.id
    }

    /// Takes the address that trusted proxies tell of in place of the connection's own; none at all where
    /// what they tell is no address.
    pub fn called_from(&mut self, client: Option<IpAddr>) {
        let text = client.map(|address| address.to_string());
        self.client_address = text.map(Bytes::from).unwrap_or_default();
    }

    /// The RPC protocol that the caller speaks.
    pub const fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The origin of the page that the request comes from, if the request names exactly one.
    pub const fn origin(&self) -> Option<&Bytes> {
        self.origin.as_ref()
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
        self.trail.progress.deciding.as_ref()
    }

    /// The caller, if one was proven.
    pub const fn proven(&self) -> Option<&Proven> {
        self.trail.proven.as_ref()
    }

    /// The operator's text: what exactly was wrong; empty where nothing was.
    pub const fn detail(&self) -> &str {
        self.detail
    }

    /// What the candidate policies say, and how that differs; nothing where there are none.
    pub fn candidate(&self) -> Option<(&Beside, Difference)> {
        let beside = self.trail.candidate.as_ref()?;
        Some((beside, Difference::between(self.reason, beside.reason)))
    }

    /// What a route in shadow says, and how that differs; nothing where none covers the request.
    pub fn shadow(&self) -> Option<(&Beside, Difference)> {
        let beside = self.trail.shadow.as_ref()?;
        Some((beside, Difference::between(self.reason, beside.reason)))
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
        let proven = trail.proven.as_ref();
        let principal = proven.map(Proven::principal);
        let also = proven.map_or(trail.progress.verified.as_slice(), Proven::others);
        let mut id = [0; 26];
        let trace_id = trail.trace.as_ref().map(TraceContext::trace_id_hex);

        let mut line = Line::begin(buffer);
        line.text("time", &trail.time.to_rfc3339());
        line.text("decision_id", trail.id.write_to(&mut id));
        line.text("decision", self.reason.decision());
        line.text("reason", self.reason.as_str());
        line.number("status", u64::from(self.status));
        line.maybe("detail", Some(self.detail).filter(|text| !text.is_empty()));
        line.text("method", &text(&trail.method));
        line.text("host", &text(&trail.host));
        line.text("path", &text(&trail.path));
        line.text("protocol", &text(&trail.protocol));
        line.maybe("policy", self.policy().map(AsRef::as_ref));
        line.maybe("route", self.route());
        line.maybe("authenticator", self.authenticator().map(AsRef::as_ref));
        if let Some(principal) = principal {
            line.proof(principal);
        }
        line.text("client_address", &text(&trail.client_address));
        line.bounded("pinned", trail.pinned.as_deref());
        line.bounded("user_agent", trail.user_agent.as_deref());
        line.maybe("trace_id", trace_id.as_deref());
        line.number(
            "duration_us",
            u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX),
        );
        line.proofs("also", also);
        if let Some((beside, difference)) = self.candidate()
            && difference != Difference::Same
        {
            line.beside("candidate", beside);
        }
        if let Some((beside, _)) = self.shadow() {
            line.beside("shadow", beside);
        }
        line.end();
    }
}

/// The record as a line of JSON: the members of `portcullis.audit.v1.Decision`. Written as it comes,
/// since this is done for every decision.
struct Line<'b> {
    buffer: &'b mut Vec<u8>,
    before: u8,
}

impl<'b> Line<'b> {
    fn begin(buffer: &'b mut Vec<u8>) -> Self {
        Self {
            buffer,
            before: b'{',
        }
    }

    /// A member's name, one of ours: nothing in it needs escaping.
    fn name(&mut self, name: &'static str) {
        self.buffer.push(std::mem::replace(&mut self.before, b','));
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b"\":");
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.name(name);
        // What JSON takes as it is (RFC 8259 section 7); told without a way out of the loop, so that
        // many bytes are looked at at once.
        let plain = |byte: u8| (byte >= 0x20) & (byte != b'"') & (byte != b'\\');
        if value.bytes().fold(true, |all, byte| all & plain(byte)) {
            self.buffer.push(b'"');
            self.buffer.extend_from_slice(value.as_bytes());
            self.buffer.push(b'"');
        } else {
            self.json(value);
        }
    }

    fn maybe(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    fn bounded(&mut self, name: &'static str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(name, &text(value));
        }
    }

    /// Who was proven.
    fn proof(&mut self, principal: &Principal) {
        let consumer = principal.consumer();
        let credential_id = principal.credential_id();
        self.bounded("principal", Some(principal.id().as_bytes()));
        self.maybe("consumer", consumer.map(|consumer| consumer.name.as_ref()));
        self.bounded("credential_id", credential_id.map(str::as_bytes));
        self.scopes("scopes", principal.scopes());
        if let Some(claimed) = principal.cut_from() {
            self.scopes("claimed_scopes", claimed);
        }
        let roles = principal.roles().map(AsRef::as_ref);
        if principal.roles().next().is_some() {
            self.list("roles", roles);
        }
    }

    /// Written even if there are none, so that a reader can tell this from a log that does not say.
    fn scopes(&mut self, name: &'static str, scopes: &ScopeSet) {
        self.name(name);
        self.buffer.push(b'[');
        let mut before: &[u8] = b"\"";
        for (scope, end) in scopes.parts() {
            self.buffer.extend_from_slice(before);
            // Scope-tokens hold nothing that JSON escapes.
            self.buffer.extend_from_slice(scope.as_bytes());
            self.buffer.extend_from_slice(end.as_bytes());
            self.buffer.push(b'"');
            before = b",\"";
        }
        self.buffer.push(b']');
    }

    fn list<'t>(&mut self, name: &'static str, texts: impl Iterator<Item = &'t str>) {
        self.name(name);
        let mut before = b'[';
        for text in texts {
            self.buffer.push(std::mem::replace(&mut before, b','));
            self.json(text);
        }
        self.buffer.push(b']');
    }

    fn proofs(&mut self, name: &'static str, proofs: &[Principal]) {
        if proofs.is_empty() {
            return;
        }
        self.name(name);
        let mut before = b'[';
        for principal in proofs {
            self.buffer.push(std::mem::replace(&mut before, b','));
            let mut object = Line::begin(self.buffer);
            object.text("authenticator", principal.authenticator());
            object.proof(principal);
            self.buffer.push(b'}');
        }
        self.buffer.push(b']');
    }

    fn number(&mut self, name: &'static str, value: u64) {
        self.name(name);
        self.json(&value);
    }

    fn json<T: Serialize + ?Sized>(&mut self, value: &T) {
        let start = self.buffer.len();
        if serde_json::to_writer(&mut *self.buffer, value).is_err() {
            // Texts and numbers always serialise.
            self.buffer.truncate(start);
            self.buffer.extend_from_slice(b"null");
        }
    }

    fn beside(&mut self, name: &'static str, beside: &Beside) {
        self.name(name);
        let mut line = Line::begin(self.buffer);
        line.text("decision", beside.reason.decision());
        line.text("reason", beside.reason.as_str());
        let route = beside.route.as_deref();
        line.maybe("policy", route.map(|route| route.policy.as_ref()));
        line.maybe("route", route.map(|route| route.path.as_ref()));
        self.buffer.push(b'}');
    }

    fn end(self) {
        self.buffer.extend_from_slice(b"}\n");
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
