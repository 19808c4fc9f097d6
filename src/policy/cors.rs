//! Cross-origin requests (Fetch Standard, section 3.3): which pages may send what, and what replies say.

pub mod origin;
pub mod preflight;

use bytes::Bytes;

use crate::policy::cors::origin::Origins;

/// `cors` of a level, compiled.
#[derive(Debug)]
pub struct Cors {
    origins: Origins,
    headers: HeaderNames,
    credentials: bool,
    max_age: Option<u64>,
    /// The value of `Access-Control-Expose-Headers`; empty: nothing is exposed.
    expose: Bytes,
    /// The same for gRPC-Web, whose clients read the status of a call in headers.
    expose_grpc_web: Bytes,
}

/// Names of headers, or all of them.
#[derive(Debug, Default)]
pub struct HeaderNames {
    /// `*`.
    pub any: bool,
    /// Lower-case.
    pub named: Vec<Box<str>>,
}

impl HeaderNames {
    /// Whether a page may send this header, lower-case. `*` does not cover `authorization`, which must be
    /// named (Fetch Standard, section 4.8 "CORS non-wildcard request-header name").
    fn admit(&self, name: &str) -> bool {
        (self.any && name != "authorization") || self.named.iter().any(|own| **own == *name)
    }

    fn value(&self, more: &[&str]) -> Bytes {
        let any = self.any.then_some("*");
        let named = self.named.iter().map(AsRef::as_ref);
        let names: Vec<&str> = any.into_iter().chain(named).collect();
        let more = more.iter().copied().filter(|name| !names.contains(name));
        let all: Vec<&str> = names.iter().copied().chain(more).collect();
        all.join(", ").into()
    }
}

/// A header of the reply to a request that passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyHeader {
    /// Lower-case.
    pub name: &'static str,
    /// ASCII.
    pub value: Bytes,
    /// What becomes of the upstream's own.
    pub how: How,
}

/// What becomes of a header that the upstream sends itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It is replaced; where there is none, ours is added.
    Overwrite,
    /// It is replaced; where there is none, nothing is added. The way to take a header back: Envoy can't
    /// remove headers of a response for a check.
    OverwriteIfExists,
    /// It stays, and ours goes beside it.
    Append,
}

/// No serialised origin, so that a browser compares it with none.
const NO_ORIGIN: &str = "none";

impl Cors {
    /// Puts the parts together. `max_age` is in seconds.
    pub fn new(
        origins: Origins,
        headers: HeaderNames,
        expose: &HeaderNames,
        credentials: bool,
        max_age: Option<u64>,
    ) -> Self {
        Self {
            origins,
            headers,
            credentials,
            max_age,
            expose: expose.value(&[]),
            expose_grpc_web: expose.value(&["grpc-status", "grpc-message"]),
        }
    }

    /// What the reply to a request says, whether it passes or is denied. `origin` is the request's one
    /// `Origin`. Whatever the upstream says for itself never opens what the policy does not.
    pub fn reply(&self, origin: Option<Bytes>, grpc_web: bool) -> Vec<ReplyHeader> {
        let mut reply = Vec::with_capacity(4);
        let mut say = |name, value, how| reply.push(ReplyHeader { name, value, how });
        let fixed = |value: &'static str| Bytes::from_static(value.as_bytes());
        let allowed = self.allowed_origin(origin);
        let (origin, how) = match &allowed {
            Some(origin) => (origin.clone(), How::Overwrite),
            None => (fixed(NO_ORIGIN), How::OverwriteIfExists),
        };
        say("access-control-allow-origin", origin, how);
        // Only the word `true` opens (Fetch Standard, section 4.10 "CORS check").
        let (credentials, how) = if self.credentials && allowed.is_some() {
            (fixed("true"), How::Overwrite)
        } else {
            (fixed("false"), How::OverwriteIfExists)
        };
        say("access-control-allow-credentials", credentials, how);
        let expose = if grpc_web {
            &self.expose_grpc_web
        } else {
            &self.expose
        };
        let (expose, how) = if expose.is_empty() || allowed.is_none() {
            // A header that every page may read anyway.
            (fixed("content-type"), How::OverwriteIfExists)
        } else {
            (expose.clone(), How::Overwrite)
        };
        say("access-control-expose-headers", expose, how);
        if !self.origins.is_any() {
            say("vary", fixed("Origin"), How::Append);
        }
        reply
    }

    /// The value of `Access-Control-Allow-Origin`: the origin itself if it is admitted, or `*`.
    fn allowed_origin(&self, origin: Option<Bytes>) -> Option<Bytes> {
        if self.origins.is_any() {
            return Some(Bytes::from_static(b"*"));
        }
        origin.filter(|origin| self.origins.admit(origin))
    }
}

#[cfg(test)]
mod tests;
