//! Denials in the terms of RPC protocols.
//!
//! Each protocol keeps our HTTP status; where its clients look for a code of their own, it says the same
//! (gRPC `doc/statuscodes.md`, Connect protocol "Error codes").

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::ids::DecisionId;

/// A code of gRPC and Connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    /// `grpc-status`.
    pub(super) number: &'static str,
    /// Connect's word.
    word: &'static str,
}

impl Code {
    /// The code that an HTTP status of ours stands for.
    pub(super) const fn of(status: u16) -> Self {
        let (number, word) = match status {
            400 => ("3", "invalid_argument"),
            401 => ("16", "unauthenticated"),
            403 => ("7", "permission_denied"),
            404 | 405 => ("12", "unimplemented"),
            429 => ("8", "resource_exhausted"),
            503 => ("14", "unavailable"),
            _ => ("13", "internal"),
        };
        Self { number, word }
    }
}

/// `grpc-message`: printable ASCII as it is, all else and `%` percent-encoded (gRPC over HTTP/2,
/// "Responses").
pub(super) fn grpc_message(text: &str) -> String {
    let mut message = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => message.push(char::from(byte)),
            _ => {
                // Writing to a string does not fail.
                let _ = write!(message, "%{byte:02X}");
            }
        }
    }
    message
}

/// The body of a unary Connect error. `message` is one of ours: ASCII without quotes and backslashes. The
/// decision's id goes into a detail, a `google.rpc.RequestInfo`, which clients know or pass over.
pub(super) fn connect_error(code: Code, message: &str, id: DecisionId) -> String {
    // `string request_id = 1`: the tag, the length, the text.
    let id = id.to_string();
    let mut detail = vec![0x0a, u8::try_from(id.len()).unwrap_or(0)];
    detail.extend_from_slice(id.as_bytes());
    format!(
        "{{\"code\":\"{}\",\"message\":\"{message}\",\"details\":[{{\"type\":\"google.rpc.RequestInfo\",\"value\":\"{}\",\"debug\":{{\"requestId\":\"{id}\"}}}}]}}",
        code.word,
        STANDARD_NO_PAD.encode(detail),
    )
}

#[cfg(test)]
mod tests {
    use super::{Code, grpc_message};

    #[test]
    fn every_status_of_ours_has_its_code() {
        for (status, number, word) in [
            (400, "3", "invalid_argument"),
            (401, "16", "unauthenticated"),
            (403, "7", "permission_denied"),
            (404, "12", "unimplemented"),
            (405, "12", "unimplemented"),
            (429, "8", "resource_exhausted"),
            (500, "13", "internal"),
            (503, "14", "unavailable"),
            (599, "13", "internal"),
        ] {
            assert_eq!(Code::of(status), Code { number, word }, "{status}");
        }
    }

    #[test]
    fn a_grpc_message_is_percent_encoded() {
        for (text, message) in [
            ("Send one and retry.", "Send one and retry."),
            ("100%", "100%25"),
            ("a\nb~", "a%0Ab~"),
            ("\u{e9}", "%C3%A9"),
        ] {
            assert_eq!(grpc_message(text), message);
        }
    }
}
