//! The endings of a decision, as Envoy is told of them.

pub mod reply;
mod rpc;

use std::sync::Arc;

use bytes::Bytes;

use crate::audit::Trail;
use crate::authn::credential::Stripped;
use crate::authn::identity::Identity;
use crate::authn::principal::Principal;
use crate::clock::Timestamp;
use crate::ids::DecisionId;
use crate::limit::Admission;
use crate::policy::authorise::Granted;
use crate::policy::cors::{How, ReplyHeader};
use crate::policy::field::Facts;
use crate::policy::inject::{HeaderLine, InjectPlan};
use crate::policy::observe::Observe;
use crate::policy::observe::event::{Event, Stage};
use crate::policy::route::Route;
use crate::request::peer::sources::PeerSources;
use crate::request::rpc::Rpc;
use crate::respond::rpc::Code;
use crate::verdict::{PublicClass, Reason, Refusal, title};

/// A request that passes, and what becomes of its headers. Only [`Allow::new`] makes one, and only
/// from an [`Admission`].
pub struct Allow {
    id: DecisionId,
    route: Arc<Route>,
    plan: Arc<InjectPlan>,
    identity: Identity,
    set: Vec<HeaderLine>,
    absent: Vec<Arc<str>>,
    carried: Vec<Bytes>,
    peer: PeerSources,
    stripped: Stripped,
    reply: Vec<ReplyHeader>,
}

impl std::fmt::Debug for Allow {
    /// Names of headers, never their values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set: Vec<&str> = self.set.iter().map(|(name, _)| name.as_ref()).collect();
        f.debug_struct("Allow")
            .field("id", &self.id)
            .field("route", &self.route)
            .field("set", &set)
            .finish_non_exhaustive()
    }
}

impl Allow {
    /// Sets or strips every header that Portcullis owns, and takes the credentials out (step 11 of
    /// the policy language).
    ///
    /// # Errors
    /// `inject_refused`.
    pub fn new(
        admission: Admission,
        trail: &Trail,
        now: Timestamp,
        observer: impl Observe,
    ) -> Result<Self, Refusal> {
        observer.note(|| Event::Begins(Stage::Headers));
        let Granted {
            request,
            route,
            identity,
            stripped,
        } = admission.into_parts();
        let facts = Facts::of(&request, &route, &identity, now);
        let plan = match &identity {
            Identity::Unproven(_) => &route.owned.nothing,
            _ => &route.inject,
        };
        let plan = Arc::clone(plan);
        let planned = plan.evaluate(&facts);
        observer.note(|| plan.observed(&facts, planned.as_ref(), observer));
        let (set, absent) = planned?;
        let is_set = |name: &[u8]| set.iter().any(|(set, _)| set.as_bytes() == name);
        let peer = request.peer_sources();
        let names = request.headers().iter().map(|(name, _)| name);
        let forged = names.filter(|name| peer.is_forged(name) && !is_set(name));
        let carried: Vec<Bytes> = route
            .owned
            .managed
            .carried(request.headers(), is_set)
            .chain(forged)
            .map(|name| request.headers().share(name))
            .collect();
        speakable(&carried, &stripped)?;
        Ok(Self {
            id: trail.id(),
            reply: cors(&route, trail),
            set,
            absent,
            carried,
            peer,
            stripped,
            identity,
            route,
            plan,
        })
    }

    /// Headers to set, overwriting.
    pub fn set(&self) -> &[HeaderLine] {
        &self.set
    }

    /// What `Cookie` is to be after credentials were taken out of it; empty where it is to be removed.
    pub fn cookie(&self) -> Option<&[u8]> {
        self.stripped.cookie.as_deref()
    }

    /// Headers to remove; none of them is among those that are set.
    pub fn removed(&self) -> impl Iterator<Item = &[u8]> {
        let planned = self.plan.removed().iter().map(|name| name.as_bytes());
        // Where nothing is enforced, nothing is taken out either.
        let enforced = !matches!(self.identity, Identity::Unproven(_));
        let authn = self.route.authn.as_deref().filter(|_| enforced);
        let credentials = authn.into_iter().flat_map(|authn| authn.always_stripped());
        let credentials = credentials.map(|name| name.as_bytes());
        let shown = self.stripped.headers.iter().map(AsRef::as_ref);
        let cookie = self.stripped.cookie.as_ref().filter(|rest| rest.is_empty());
        let untrusted = self
            .peer
            .untrusted_headers()
            .map(|name| -> &[u8] { name.as_bytes() });
        planned
            .chain(self.absent.iter().map(|name| name.as_bytes()))
            .chain(self.carried.iter().map(AsRef::as_ref))
            .chain(credentials)
            .chain(shown)
            .chain(cookie.map(|_| &b"cookie"[..]))
            .chain(untrusted)
            .filter(|name| !self.set.iter().any(|(set, _)| set.as_bytes() == *name))
    }

    /// Query parameters to remove, as they were sent.
    pub fn removed_parameters(&self) -> &[Bytes] {
        &self.stripped.parameters
    }

    /// Headers of the reply, which the upstream makes.
    pub fn reply_headers(&self) -> &[ReplyHeader] {
        &self.reply
    }

    /// What dynamic metadata tells of this decision.
    pub fn facts(&self) -> Told<'_> {
        Told {
            id: self.id,
            reason: Reason::Allowed,
            route: Some(&self.route),
            principal: self.identity.principal(),
        }
    }
}

/// What pages of other origins are told, once a route is known.
fn cors(route: &Route, trail: &Trail) -> Vec<ReplyHeader> {
    let cors = route.cors.as_ref();
    cors.map(|cors| cors.reply(trail.origin().cloned(), trail.rpc().is_grpc_web()))
        .unwrap_or_default()
}

/// Refuses what can't be said in an answer: its strings are UTF-8, and one that is not would make Envoy
/// throw the whole answer away and ask `failure_mode_allow` instead.
fn speakable(carried: &[Bytes], stripped: &Stripped) -> Result<(), Refusal> {
    let names = carried.iter().chain(&stripped.parameters);
    let cookie = stripped.cookie.as_deref().unwrap_or_default();
    let text = |bytes: &[u8]| {
        std::str::from_utf8(bytes).is_ok_and(|text| !text.contains(char::is_control))
    };
    if names.into_iter().all(|name| text(name)) && text(cookie) {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::RequestMalformed,
        "a header's name, or a cookie beside the credential, holds bytes that can't be passed on",
    ))
}

/// What dynamic metadata tells of a decision.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    /// Names the decision.
    pub id: DecisionId,
    /// Why it ended as it did.
    pub reason: Reason,
    /// The route, if one was chosen.
    pub route: Option<&'a Arc<Route>>,
    /// The caller, if one was proven.
    pub principal: Option<&'a Principal>,
}

/// A request that is refused, and what its caller reads.
#[derive(Debug)]
pub struct Denial {
    id: DecisionId,
    reason: Reason,
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    route: Option<Arc<Route>>,
}

/// The name of the realm in challenges (RFC 9110 section 11.5).
const REALM: &str = "portcullis";

impl Denial {
    /// What a refusal tells the caller: a problem document (RFC 9457), or what its RPC protocol has for
    /// that.
    pub fn new(refusal: &Refusal, trail: &Trail) -> Self {
        let class = refusal.reason.class();
        // A refusal is never a success, whatever its maker put there.
        let status = refusal
            .status
            .filter(|status| *status >= 400)
            .unwrap_or_else(|| match class {
                PublicClass::Allowed | PublicClass::Preflight => 500,
                other => other.status(),
            });
        let mut headers = vec![("cache-control", "no-store".to_owned())];
        let body = body(refusal, status, trail, &mut headers);
        for challenge in challenges(refusal, status, trail) {
            headers.push(("www-authenticate", challenge));
        }
        if let Some(wanted) = accept_signature(status, trail) {
            headers.push(("accept-signature", wanted));
        }
        if let Some(methods) = &refusal.allowed_methods {
            headers.push(("allow", methods.to_string()));
        }
        if let Some(seconds) = refusal.retry_after {
            headers.push(("retry-after", seconds.to_string()));
        }
        // A page that is refused its preflight learns nothing at all.
        let route = trail.route.as_deref();
        if let Some(route) = route.filter(|_| refusal.reason != Reason::CorsRefused) {
            let said = cors(route, trail).into_iter();
            headers.extend(
                said.filter(|header| header.how != How::OverwriteIfExists)
                    .map(|header| (header.name, text(&header.value))),
            );
        }
        Self {
            id: trail.id(),
            reason: refusal.reason,
            status,
            headers,
            body,
            route: trail.route.clone(),
        }
    }

    /// Why.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The HTTP status: 400 or above.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Headers of the answer. A name may stand more than once.
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// The body of the answer.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// What dynamic metadata tells of this decision.
    pub const fn facts(&self) -> Told<'_> {
        Told {
            id: self.id,
            reason: self.reason,
            route: self.route.as_ref(),
            principal: None,
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The body of a denial, and the headers that its form needs.
fn body(
    refusal: &Refusal,
    status: u16,
    trail: &Trail,
    headers: &mut Vec<(&'static str, String)>,
) -> String {
    let (code, message) = (Code::of(status), refusal.reason.message());
    match trail.rpc() {
        Rpc::None => {
            headers.push(("content-type", "application/problem+json".to_owned()));
            problem(refusal, status, trail.id())
        }
        // Envoy makes `grpc-message` of the body, and keeps a `grpc-status` that it finds.
        Rpc::Grpc => {
            headers.push(("grpc-status", code.number.to_owned()));
            message.to_owned()
        }
        Rpc::GrpcWeb(content_type) => {
            headers.push(("content-type", text(content_type)));
            headers.push(("grpc-status", code.number.to_owned()));
            headers.push(("grpc-message", rpc::grpc_message(message)));
            String::new()
        }
        Rpc::ConnectUnary => {
            headers.push(("content-type", "application/json".to_owned()));
            rpc::connect_error(code, message, trail.id())
        }
    }
}

/// The challenges of a 401 (RFC 9110 section 11.6.1), and of a 403 for want of scope to a caller who
/// came with a bearer token (RFC 6750 section 3.1).
fn challenges(refusal: &Refusal, status: u16, trail: &Trail) -> Vec<String> {
    let reason = refusal.reason;
    let error = reason.class().oauth_error().filter(|_| trail.is_bearer());
    if status == 403 && reason == Reason::ScopeInsufficient && trail.is_bearer() {
        let scopes = refusal.required_scopes.as_deref();
        let scope = scopes.map_or(String::new(), |scopes| format!(", scope=\"{scopes}\""));
        return vec![format!(
            "Bearer realm=\"{REALM}\", error=\"insufficient_scope\"{scope}"
        )];
    }
    let authn = trail.route.as_ref().and_then(|route| route.authn.as_ref());
    let (401, Some(authn)) = (status, authn) else {
        return Vec::new();
    };
    let mut challenges = Vec::new();
    for challenge in authn.challenges(&trail.progress.verified).iter() {
        challenges.push(match error {
            Some(error) if challenge.bearer => format!(
                "{}, error=\"{error}\", error_description=\"{}\"",
                challenge.text,
                reason.message()
            ),
            _ => challenge.text.to_string(),
        });
    }
    challenges
}

/// What a signature has to be like (RFC 9421 section 5.1), for who got a 401 where one would do.
fn accept_signature(status: u16, trail: &Trail) -> Option<String> {
    let authn = trail
        .route
        .as_ref()?
        .authn
        .as_ref()
        .filter(|_| status == 401)?;
    let challenges = authn.challenges(&trail.progress.verified);
    let mut wanted = challenges
        .iter()
        .filter_map(|c| c.accept_signature.as_deref());
    wanted.next().map(str::to_owned)
}

/// A problem document. Every text in it is one of ours: ASCII without quotes and backslashes.
fn problem(refusal: &Refusal, status: u16, id: DecisionId) -> String {
    let reason = refusal.reason;
    let class = reason.class();
    // Scopes are scope-tokens: nothing in them needs escaping.
    let scopes = refusal.required_scopes.as_deref();
    let scope = scopes.map_or(String::new(), |scopes| format!("\"scope\":\"{scopes}\","));
    let error = class
        .oauth_error()
        .map_or(String::new(), |error| format!("\"error\":\"{error}\","));
    format!(
        "{{\"type\":\"urn:portcullis:error:{}\",\"title\":\"{}\",\"status\":{status},{error}{scope}\"message\":\"{}\",\"decision_id\":\"{id}\"}}",
        class.as_str(),
        title(status),
        reason.message(),
    )
}

#[cfg(test)]
mod tests;
