//! Which RPC protocol a caller speaks, as far as a denial must be put into its terms.
//!
//! Nothing else depends on it: routes and credentials are judged alike whatever the content type says.

use bytes::Bytes;

/// The protocol of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Rpc {
    /// None of them, or one that reads the HTTP status alone: a Connect stream, for instance.
    #[default]
    None,
    /// gRPC: Envoy turns a denial into a gRPC status.
    Grpc,
    /// gRPC-Web, with the request's content type without parameters: ASCII.
    GrpcWeb(Bytes),
    /// A unary call of the Connect protocol.
    ConnectUnary,
}

/// What of a request tells its protocol.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signs<'a> {
    /// The method.
    pub method: &'a [u8],
    /// `content-type`, if there is exactly one.
    pub content_type: Option<&'a [u8]>,
    /// Whether there is a `connect-protocol-version`.
    pub connect_version: bool,
    /// Path and query.
    pub target: &'a [u8],
}

impl Rpc {
    /// Reads the signs. `share` makes a part of the content type outlive them.
    pub fn of(signs: Signs<'_>, share: impl FnOnce(&[u8]) -> Bytes) -> Self {
        if signs.method == b"GET" {
            return if is_connect_get(signs.target) {
                Self::ConnectUnary
            } else {
                Self::None
            };
        }
        let Some(content_type) = signs.content_type else {
            return Self::None;
        };
        let end = content_type.iter().position(|&byte| byte == b';');
        let media_type = content_type.get(..end.unwrap_or(content_type.len()));
        let media_type = media_type.unwrap_or_default().trim_ascii();
        if let Some(rest) = media_type.strip_prefix(b"application/grpc") {
            return match rest.strip_prefix(b"-web") {
                Some(rest) if is_codec(rest.strip_prefix(b"-text").unwrap_or(rest)) => {
                    Self::GrpcWeb(share(media_type))
                }
                None if is_codec(rest) => Self::Grpc,
                _ => Self::None,
            };
        }
        let is_post = signs.method == b"POST";
        let is_stream = media_type.starts_with(b"application/connect+");
        // The header tells Connect from others who post JSON; `application/proto` is nobody else's.
        if is_post && !is_stream && (signs.connect_version || media_type == b"application/proto") {
            return Self::ConnectUnary;
        }
        Self::None
    }

    /// Whether the call is gRPC-Web.
    pub const fn is_grpc_web(&self) -> bool {
        matches!(self, Self::GrpcWeb(_))
    }
}

/// Nothing, or `+proto` and its like.
fn is_codec(rest: &[u8]) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.+".contains(byte);
    match rest {
        [] => true,
        [b'+', name @ ..] => name.iter().all(word),
        _ => false,
    }
}

/// Whether the query says `connect=v1`.
fn is_connect_get(target: &[u8]) -> bool {
    let mark = target.iter().position(|&byte| byte == b'?');
    let query = mark.and_then(|mark| target.get(mark + 1..));
    let mut parameters = query.unwrap_or_default().split(|&byte| byte == b'&');
    parameters.any(|parameter| parameter == b"connect=v1")
}

#[cfg(test)]
mod tests {
    use super::{Rpc, Signs};
    use bytes::Bytes;

    #[test]
    fn o7_knows_the_protocol_by_its_signs() {
        let web = |text: &'static str| Rpc::GrpcWeb(Bytes::from_static(text.as_bytes()));
        for (method, content_type, version, rpc) in [
            ("POST", "application/grpc", false, Rpc::Grpc),
            ("POST", "application/grpc+proto", false, Rpc::Grpc),
            ("POST", "application/grpc;charset=x", false, Rpc::Grpc),
            ("POST", "application/grpcx", false, Rpc::None),
            (
                "POST",
                "application/grpc-web",
                false,
                web("application/grpc-web"),
            ),
            (
                "POST",
                "application/grpc-web+proto; charset=utf-8",
                false,
                web("application/grpc-web+proto"),
            ),
            (
                "POST",
                "application/grpc-web-text+proto",
                true,
                web("application/grpc-web-text+proto"),
            ),
            ("POST", "application/grpc-web+\u{e9}", false, Rpc::None),
            ("POST", "application/grpc-website", false, Rpc::None),
            ("POST", "application/json", false, Rpc::None),
            ("POST", "application/json", true, Rpc::ConnectUnary),
            ("POST", "application/proto", false, Rpc::ConnectUnary),
            ("PUT", "application/json", true, Rpc::None),
            ("POST", "application/connect+json", true, Rpc::None),
            ("POST", "application/connect+proto", false, Rpc::None),
            ("POST", "", false, Rpc::None),
        ] {
            let signs = Signs {
                method: method.as_bytes(),
                content_type: Some(content_type.as_bytes()),
                connect_version: version,
                target: b"/a.B/C?connect=v1",
            };
            let known = Rpc::of(signs, Bytes::copy_from_slice);
            assert_eq!(known, rpc, "{method} {content_type}");
        }
    }

    #[test]
    fn o7_a_connect_get_says_so_in_its_query() {
        for (method, target, rpc) in [
            (
                "GET",
                "/a.B/C?connect=v1&encoding=json&message=%7B%7D",
                Rpc::ConnectUnary,
            ),
            ("GET", "/a.B/C?message=%7B%7D&connect=v1", Rpc::ConnectUnary),
            ("GET", "/a.B/C?connect=v2", Rpc::None),
            ("GET", "/connect=v1", Rpc::None),
            ("GET", "/", Rpc::None),
            ("POST", "/a.B/C?connect=v1", Rpc::None),
        ] {
            let signs = Signs {
                method: method.as_bytes(),
                target: target.as_bytes(),
                ..Signs::default()
            };
            assert_eq!(Rpc::of(signs, Bytes::copy_from_slice), rpc, "{target}");
        }
    }
}
