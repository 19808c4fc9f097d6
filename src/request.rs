//! A request that can be read in one way only.

pub mod address;
pub mod body;
pub mod host;
pub mod path;
pub mod peer;
pub mod raw;
pub mod rpc;
pub mod signed;
pub mod target;

use bytes::Bytes;

use crate::request::address::TrustedHops;
use crate::request::host::{BadHost, Host};
use crate::request::path::{BadPath, CanonicalPath, Relaxations};
use crate::request::peer::sources::{Handed, PeerSources};
use crate::request::raw::RawCheck;
use crate::request::target::Target;

/// The most header lines that are judged. Envoy's own default bound is 100.
pub const MAX_HEADER_LINES: usize = 1_000;

/// How requests are read, as far as an operator decides it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// What about paths is relaxed.
    pub paths: Relaxations,
    /// Which proxies in front of Envoy are believed about who called them.
    pub trusted_hops: TrustedHops,
    /// Which of the places count that tell of the peer's certificate. A setting of the process, not of the
    /// policies.
    pub peer: PeerSources,
}

/// A check whose method, host and path have one meaning. Only [`Request::read`] makes one.
#[derive(Clone, Debug)]
pub struct Request {
    raw: RawCheck,
    trusted_hops: TrustedHops,
    peer: PeerSources,
    method: Method,
    host: Host,
    target: Target,
    path: CanonicalPath,
}

/// An HTTP method: a token of at most 32 bytes, case-sensitive (RFC 9110 section 9.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method(Bytes);

impl Method {
    /// Reads a method; `None` if it is no token, or too long.
    pub fn parse(raw: &Bytes) -> Option<Self> {
        let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let good = !raw.is_empty() && raw.len() <= 32 && raw.iter().all(token);
        good.then(|| Self(raw.clone()))
    }

    /// The method's name.
    pub fn as_str(&self) -> &str {
        // Checked to be ASCII, so this never falls back.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Why a check has no single reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// More than [`MAX_HEADER_LINES`].
    #[error("the request has more than 1,000 header lines")]
    HeaderLines,
    /// Envoy leaves both fields empty and puts the query into `path`. A check that fills them was not
    /// made by Envoy's filter, and its author may expect them to be judged.
    #[error("the check carries a separate query or fragment; the query belongs into `path`")]
    SeparateQuery,
    /// With `encode_raw_headers` the pseudo headers come as they were sent. Where they are not what is judged,
    /// the attributes hold a `!` for a byte that is no UTF-8.
    #[error(
        "the method, host or path is not that of its pseudo header: it holds bytes that are no UTF-8"
    )]
    PseudoHeaders,
    /// No token, or more than 32 bytes.
    #[error("the method is not a token of at most 32 characters")]
    Method,
    /// The host can't be read.
    #[error(transparent)]
    Host(#[from] BadHost),
    /// No path at all, as in CONNECT.
    #[error("the request has no path (CONNECT?)")]
    NoPath,
    /// A control character in the query.
    #[error("the query holds a control character")]
    Query,
    /// The path reads in more than one way.
    #[error(transparent)]
    Path(#[from] BadPath),
}

impl Request {
    /// Canonicalises what Envoy handed over, or refuses it (steps 1 and 2 of the policy language).
    ///
    /// # Errors
    /// [`BadRequest`]: what cannot be read at all, or what two readers would read apart.
    pub fn read(raw: RawCheck, reading: &Reading) -> Result<Self, BadRequest> {
        if raw.headers.len() > MAX_HEADER_LINES {
            return Err(BadRequest::HeaderLines);
        }
        if !raw.query.is_empty() || !raw.fragment.is_empty() {
            return Err(BadRequest::SeparateQuery);
        }
        if !raw.headers.is_text() && pseudo_headers_differ(&raw) {
            return Err(BadRequest::PseudoHeaders);
        }
        let method = Method::parse(&raw.method).ok_or(BadRequest::Method)?;
        let host = Host::parse(&raw.host)?;
        if raw.path.is_empty() {
            return Err(BadRequest::NoPath);
        }
        if raw.path.contains(&b'#') {
            return Err(BadPath::Fragment.into());
        }
        let target = Target::split(&raw.path);
        if target
            .query()
            .is_some_and(|query| query.iter().any(u8::is_ascii_control))
        {
            return Err(BadRequest::Query);
        }
        let path = CanonicalPath::parse(target.path(), reading.paths)?;
        Ok(Self {
            raw,
            trusted_hops: reading.trusted_hops,
            peer: reading.peer,
            method,
            host,
            target,
            path,
        })
    }

    /// The method.
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The canonical host.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The canonical path.
    pub const fn path(&self) -> &CanonicalPath {
        &self.path
    }

    /// The target as it was sent.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// The headers.
    pub const fn headers(&self) -> &crate::headers::Headers {
        &self.raw.headers
    }

    /// The address of the client, as far as it can be believed; `None` if it can't be known.
    pub fn client_address(&self) -> Option<std::net::IpAddr> {
        address::of(&self.raw, self.trusted_hops)
    }

    /// What Envoy handed over of the other end of the connection, as far as it counts.
    pub const fn peer(&self) -> Handed<'_> {
        Handed::new(&self.raw.source, &self.raw.headers, self.peer)
    }

    /// Which of the places count that tell of the peer.
    pub const fn peer_sources(&self) -> PeerSources {
        self.peer
    }

    /// Everything else Envoy said.
    pub const fn raw(&self) -> &RawCheck {
        &self.raw
    }
}

fn pseudo_headers_differ(raw: &RawCheck) -> bool {
    let attributes = [
        (":path", &raw.path),
        (":authority", &raw.host),
        (":method", &raw.method),
    ];
    attributes.into_iter().any(|(name, attribute)| {
        let mut sent = raw.headers.all(name);
        sent.any(|sent| sent != attribute.as_ref())
    })
}

#[cfg(test)]
mod tests {
    use super::{BadRequest, Reading, Request};
    use crate::headers::Headers;
    use crate::request::host::BadHost;
    use crate::request::path::BadPath;
    use crate::request::raw::RawCheck;
    use bytes::Bytes;

    fn check(method: &'static str, host: &'static str, path: &'static str) -> RawCheck {
        RawCheck {
            method: Bytes::from_static(method.as_bytes()),
            host: Bytes::from_static(host.as_bytes()),
            path: Bytes::from_static(path.as_bytes()),
            ..RawCheck::default()
        }
    }

    #[test]
    fn reads_method_host_and_path() {
        let request = Request::read(
            check("GET", "API.example.com:443", "/a%20b?c=d"),
            &Reading::default(),
        )
        .unwrap();
        assert_eq!(request.method().as_str(), "GET");
        assert_eq!(request.host().as_str(), "api.example.com");
        assert_eq!(request.path().as_str(), "/a b");
    }

    #[test]
    fn refuses_what_cannot_be_read() {
        let refusal = |raw| Request::read(raw, &Reading::default()).err();
        for (raw, why) in [
            (RawCheck::default(), BadRequest::Method),
            (check("", "a", "/"), BadRequest::Method),
            (check("GE T", "a", "/"), BadRequest::Method),
            (check("GET", "", "/"), BadRequest::Host(BadHost::Missing)),
            (check("GET", "a,b", "/"), BadRequest::Host(BadHost::Several)),
            (check("CONNECT", "a", ""), BadRequest::NoPath),
            (
                check("GET", "a", "/x?y#z"),
                BadRequest::Path(BadPath::Fragment),
            ),
            (
                check("GET", "a", "/x#y?z"),
                BadRequest::Path(BadPath::Fragment),
            ),
            (check("GET", "a", "/x?y\u{1}"), BadRequest::Query),
        ] {
            assert_eq!(refusal(raw), Some(why));
        }
        let mut with_query = check("GET", "a", "/x");
        with_query.query = Bytes::from_static(b"y=z");
        assert_eq!(refusal(with_query), Some(BadRequest::SeparateQuery));
        let mut many = check("GET", "a", "/x");
        many.headers = Headers::new(vec![("a", ""); 1_001]);
        assert_eq!(refusal(many), Some(BadRequest::HeaderLines));
    }
}
