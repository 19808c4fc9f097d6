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
        let without_content = matches!(
            self.method().as_str(),
            "GET" | "HEAD" | "DELETE" | "OPTIONS" | "TRACE"
        );
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

#[cfg(test)]
mod tests {
    use super::{Body, Request};
    use crate::headers::Headers;
    use crate::request::Reading;
    use crate::request::raw::RawCheck;
    use bytes::Bytes;

    fn body(
        method: &'static str,
        protocol: &'static str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> Body {
        let raw = RawCheck {
            method: Bytes::from_static(method.as_bytes()),
            host: Bytes::from_static(b"a"),
            path: Bytes::from_static(b"/"),
            protocol: Bytes::from_static(protocol.as_bytes()),
            headers: Headers::new(headers.iter().copied()),
            body: Bytes::from_static(body.as_bytes()),
            ..RawCheck::default()
        };
        Request::read(raw, &Reading::default()).unwrap().body()
    }

    #[test]
    fn h12_a_body_is_whole_only_where_nothing_else_can_be() {
        let none = Body::Whole(Bytes::new());
        let one = Body::Whole(Bytes::from_static(b"x"));
        let part = "x-envoy-auth-partial-body";
        for (method, protocol, headers, sent, known) in [
            ("POST", "HTTP/2", &[(part, "false")][..], "x", &one),
            ("POST", "HTTP/2", &[(part, "false")], "", &none),
            ("POST", "HTTP/2", &[(part, "true")], "x", &Body::Partial),
            ("POST", "HTTP/2", &[(part, "maybe")], "x", &Body::Partial),
            (
                "POST",
                "HTTP/2",
                &[(part, "false"), (part, "false")],
                "x",
                &Body::Partial,
            ),
            // Without the mark: what framing and method leave no doubt of.
            ("POST", "HTTP/2", &[], "x", &one),
            ("POST", "HTTP/2", &[], "", &Body::Withheld),
            ("PUT", "HTTP/3", &[], "", &Body::Withheld),
            ("POST", "HTTP/2", &[("content-length", "0")], "", &none),
            ("POST", "HTTP/2", &[("content-length", " 00 ")], "", &none),
            (
                "POST",
                "HTTP/2",
                &[("content-length", "")],
                "",
                &Body::Withheld,
            ),
            (
                "POST",
                "HTTP/2",
                &[("content-length", "1")],
                "",
                &Body::Withheld,
            ),
            (
                "GET",
                "HTTP/2",
                &[("content-length", "1")],
                "",
                &Body::Withheld,
            ),
            (
                "POST",
                "HTTP/2",
                &[("content-length", "0"), ("content-length", "1")],
                "",
                &Body::Withheld,
            ),
            ("POST", "HTTP/1.1", &[], "", &none),
            (
                "POST",
                "HTTP/1.1",
                &[("transfer-encoding", "chunked")],
                "",
                &Body::Withheld,
            ),
            (
                "GET",
                "HTTP/1.1",
                &[("transfer-encoding", "chunked")],
                "",
                &Body::Withheld,
            ),
            (
                "POST",
                "HTTP/1.1",
                &[("transfer-encoding", "chunked"), ("content-length", "0")],
                "",
                &Body::Withheld,
            ),
            ("GET", "HTTP/2", &[], "", &none),
            ("DELETE", "HTTP/2", &[], "", &none),
            ("HEAD", "", &[], "", &none),
            ("PATCH", "", &[], "", &Body::Withheld),
            // O6: what becomes something else has no body that could be judged.
            (
                "GET",
                "HTTP/1.1",
                &[("upgrade", "websocket")],
                "",
                &Body::Stream,
            ),
            (
                "POST",
                "HTTP/2",
                &[("upgrade", "h2c"), (part, "false")],
                "x",
                &Body::Stream,
            ),
            ("CONNECT", "HTTP/2", &[], "", &Body::Stream),
        ] {
            assert_eq!(
                body(method, protocol, headers, sent),
                *known,
                "{method} {protocol} {headers:?} {sent}"
            );
        }
    }

    #[test]
    fn h8_text_that_may_have_been_other_bytes_is_no_body() {
        for (body, is_text, known) in [
            ("a!b", true, Body::Substituted),
            ("a!b", false, Body::Whole(Bytes::from_static(b"a!b"))),
            ("ab", true, Body::Whole(Bytes::from_static(b"ab"))),
        ] {
            let raw = RawCheck {
                method: Bytes::from_static(b"POST"),
                host: Bytes::from_static(b"a"),
                path: Bytes::from_static(b"/"),
                body: Bytes::from_static(body.as_bytes()),
                body_is_text: is_text,
                ..RawCheck::default()
            };
            let request = Request::read(raw, &Reading::default()).unwrap();
            assert_eq!(request.body(), known, "{body} {is_text}");
        }
    }
}
