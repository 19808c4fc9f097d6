//! What a `CheckRequest` says, as it came: bytes that nobody has judged yet.

use std::fmt;

use bytes::Bytes;

use crate::headers::Headers;

/// The attributes of one check, decoded from the wire and believed in nothing.
///
/// Text fields are bytes because Envoy passes on what a client sent; whoever reads one decides what a
/// value that is not UTF-8 means.
#[derive(Clone, Default)]
pub struct RawCheck {
    /// `:method`.
    pub method: Bytes,
    /// The request target with its query, undecoded; empty for CONNECT.
    pub path: Bytes,
    /// `:authority` as sent: with port, case, trailing dot and user info.
    pub host: Bytes,
    /// `:scheme`.
    pub scheme: Bytes,
    /// `HTTP/1.1`, `HTTP/2`, …
    pub protocol: Bytes,
    /// The request's headers.
    pub headers: Headers,
    /// The `query` field: always empty from Envoy, so a value here is a request Envoy did not make.
    pub query: Bytes,
    /// The `fragment` field: always empty from Envoy.
    pub fragment: Bytes,
    /// The body as text (`body`), or its bytes (`raw_body`); empty when Envoy does not forward bodies.
    pub body: Bytes,
    /// Whether the body came as text, in which a `!` may have been a byte that is no UTF-8.
    pub body_is_text: bool,
    /// The other end of the downstream connection.
    pub source: RawPeer,
    /// `context_extensions` of the route or virtual host.
    pub context_extensions: Vec<(Bytes, Bytes)>,
}

impl RawCheck {
    /// The policy that Envoy pins the request to: `policy` among the context extensions, the last where
    /// there are several, as in a map.
    pub fn pinned(&self) -> Option<&Bytes> {
        let mut pins = self.context_extensions.iter();
        pins.rfind(|(key, _)| key == "policy").map(|(_, name)| name)
    }
}

impl fmt::Debug for RawCheck {
    /// What tells requests apart; never a query, a header's value or a body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self
            .path
            .split(|&byte| byte == b'?')
            .next()
            .unwrap_or_default();
        f.debug_struct("RawCheck")
            .field("method", &String::from_utf8_lossy(&self.method))
            .field("host", &String::from_utf8_lossy(&self.host))
            .field("path", &String::from_utf8_lossy(path))
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// `AttributeContext.Peer` of the caller, unjudged.
#[derive(Clone, Debug, Default)]
pub struct RawPeer {
    /// The socket address of the connection, without its port; empty for a pipe.
    pub address: Bytes,
    /// First URI SAN, else first DNS SAN, else the subject of the certificate: unmarked.
    pub principal: Bytes,
    /// The certificate itself as URL-encoded PEM, with `include_peer_certificate`: the leaf and nothing else.
    pub certificate: Bytes,
}
