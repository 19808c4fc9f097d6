//! The body of a request, as far as Envoy hands it over.

use bytes::Bytes;

use crate::headers::Single;
use crate::request::Request;

/// The header by which Envoy says that it forwards a body, and whether that is all of it. A client's own
/// never reaches a check.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";

/// What is known of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// All of it; also that there is none.
    Whole(Bytes),
    /// All of it as text that holds a `!`: each may stand for a byte that is no UTF-8, so that a body which
    /// was altered there looks like the one that was signed.
    Substituted,
    /// Envoy cut it off at `max_request_bytes`.
    Partial,
    /// There may be one, and Envoy does not forward bodies, or not of such requests.
    Withheld,
    /// The request becomes something else than a message with a body: CONNECT, or an upgrade.
    Stream,
}

impl Request {
    /// The body.
    ///
    /// Envoy marks what it forwards; without the mark nothing was buffered. That there is no body then
    /// follows from `Content-Length: 0`, from HTTP/1.x's framing (RFC 9112 section 6.3), and from methods whose
    /// content has no meaning (RFC 9110 section 9.3). In all other cases there may be one that Envoy kept
    /// to itself, and nobody can tell.
    pub fn body(&self) -> Body {
        let headers = self.headers();
        let bytes = &self.raw().body;
        if self.method().as_str() == "CONNECT" || headers.all("upgrade").next().is_some() {
            return Body::Stream;
        }
        match headers.single(PARTIAL_BODY) {
            Single::One(b"false") => return self.whole(),
            Single::One(_) | Single::Several => return Body::Partial,
            Single::Absent => {}
        }
        if !bytes.is_empty() {
            return self.whole();
        }
        let length = match headers.single("content-length") {
            Single::Absent => None,
            Single::One(length) => Some(length.trim_ascii()),
            Single::Several => return Body::Withheld,
        };
        let framed = headers.all("transfer-encoding").next().is_some();
        let without_content =
            matches!(self.method().as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE");
        let none = match length {
            Some(length) => {
                !framed && !length.is_empty() && length.iter().all(|&byte| byte == b'0')
            }
            None => !framed && (without_content || self.raw().protocol.starts_with(b"HTTP/1.")),
        };
        if none {
            Body::Whole(Bytes::new())
        } else {
            Body::Withheld
        }
    }

    fn whole(&self) -> Body {
        let raw = self.raw();
        if raw.body_is_text && raw.body.contains(&b'!') {
            Body::Substituted
        } else {
            Body::Whole(raw.body.clone())
        }
    }
}
