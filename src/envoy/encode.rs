//! Writes a `CheckResponse` to the wire.
//!
//! The message is written field by field from what the verdict holds, without a tree of owned strings
//! in between. Numbers are the fields of `envoy.service.auth.v3` and what it is made of.

use crate::policy::cors::How;
use crate::respond::{Allow, Told};
use crate::verdict::Verdict;

/// `google.rpc.Code.PERMISSION_DENIED`. Any code but 0 is a denial; Envoy takes the HTTP status from
/// `denied_response`, and a gRPC caller's status from that.
const PERMISSION_DENIED: u64 = 7;

/// `HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD`.
const OVERWRITE_IF_EXISTS_OR_ADD: u64 = 2;

/// `HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS`.
const OVERWRITE_IF_EXISTS: u64 = 3;

/// The encoded `CheckResponse`.
pub fn response(verdict: &Verdict) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write(&mut out, verdict);
    out
}

/// Appends the encoded `CheckResponse`.
pub fn write(out: &mut Vec<u8>, verdict: &Verdict) {
    match verdict {
        Verdict::Allow(allow) => {
            nested(out, 1, |_| {}); // status { code: 0 }
            nested(out, 3, |out| ok_response(out, allow));
            nested(out, 4, |out| metadata(out, &allow.facts()));
        }
        Verdict::Deny(denial) => {
            nested(out, 1, |out| number(out, 1, PERMISSION_DENIED));
            nested(out, 2, |out| {
                denied_response(out, denial.status(), denial.headers(), denial.body());
            });
            nested(out, 4, |out| metadata(out, &denial.facts()));
        }
        Verdict::Reply(reply) => {
            nested(out, 1, |out| number(out, 1, PERMISSION_DENIED));
            nested(out, 2, |out| {
                denied_response(out, reply.status(), reply.headers(), "");
            });
            nested(out, 4, |out| metadata(out, &reply.facts()));
        }
    }
}

fn ok_response(out: &mut Vec<u8>, allow: &Allow) {
    for (name, value) in allow.set() {
        header(out, 2, How::Overwrite, name.as_bytes(), value.as_bytes());
    }
    if let Some(cookie) = allow.cookie().filter(|rest| !rest.is_empty()) {
        header(out, 2, How::Overwrite, b"cookie", cookie);
    }
    for name in allow.removed() {
        bytes(out, 5, name);
    }
    for reply in allow.reply_headers() {
        header(out, 6, reply.how, reply.name.as_bytes(), &reply.value);
    }
    for name in allow.removed_parameters() {
        bytes(out, 8, name);
    }
}

fn denied_response(out: &mut Vec<u8>, status: u16, headers: &[(&'static str, String)], body: &str) {
    nested(out, 1, |out| number(out, 1, u64::from(status)));
    for (name, value) in headers {
        header(out, 2, How::Overwrite, name.as_bytes(), value.as_bytes());
    }
    if !body.is_empty() {
        bytes(out, 3, body.as_bytes());
    }
}

/// A `HeaderValueOption`, said in both ways that Envoy has: its default where neither is said has meant
/// overwrite in some versions and append in others.
fn header(out: &mut Vec<u8>, tag: u64, how: How, name: &[u8], value: &[u8]) {
    nested(out, tag, |out| {
        nested(out, 1, |out| {
            bytes(out, 1, name);
            bytes(out, 2, value);
        });
        match how {
            How::Overwrite => {
                nested(out, 2, |_| {}); // append { value: false }: the wrapper's presence is what counts
                number(out, 3, OVERWRITE_IF_EXISTS_OR_ADD);
            }
            // `append` has no such value, and would win if it were there.
            How::OverwriteIfExists => number(out, 3, OVERWRITE_IF_EXISTS),
            // append { value: true }; APPEND_IF_EXISTS_OR_ADD is 0, which is not written.
            How::Append => nested(out, 2, |out| number(out, 1, 1)),
        }
    });
}

/// What Envoy's access log and later filters may read, in the namespace of the filter.
fn metadata(out: &mut Vec<u8>, told: &Told<'_>) {
    let mut id = [0; 26];
    text_field(out, "decision_id", told.id.write_to(&mut id));
    text_field(out, "reason", told.reason.as_str());
    if let Some(route) = told.route {
        text_field(out, "policy", &route.policy);
        text_field(out, "route", &route.path);
    }
    let Some(principal) = told.principal else {
        return;
    };
    text_field(out, "principal", principal.id());
    text_field(out, "subject", principal.subject());
    text_field(out, "authenticator", principal.authenticator());
    if let Some(id) = principal.credential_id() {
        text_field(out, "credential_id", id);
    }
    if let Some(consumer) = principal.consumer() {
        text_field(out, "consumer", &consumer.name);
    }
    field(out, "scopes", |out| {
        nested(out, 6, |out| {
            for scope in principal.scopes().iter() {
                nested(out, 1, |out| bytes(out, 3, scope.as_bytes()));
            }
        });
    });
}

fn text_field(out: &mut Vec<u8>, name: &str, value: &str) {
    field(out, name, |out| bytes(out, 3, value.as_bytes()));
}

/// An entry of `google.protobuf.Struct.fields`.
fn field(out: &mut Vec<u8>, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    nested(out, 1, |out| {
        bytes(out, 1, name.as_bytes());
        nested(out, 2, value);
    });
}

const VARINT: u64 = 0;
const LENGTH_DELIMITED: u64 = 2;

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

fn number(out: &mut Vec<u8>, tag: u64, value: u64) {
    varint(out, tag << 3 | VARINT);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, tag: u64, value: &[u8]) {
    varint(out, tag << 3 | LENGTH_DELIMITED);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// A message within a message. Its length is written once it is known: one byte is kept free for it,
/// and a longer length moves the content.
fn nested(out: &mut Vec<u8>, tag: u64, content: impl FnOnce(&mut Vec<u8>)) {
    varint(out, tag << 3 | LENGTH_DELIMITED);
    let at = out.len();
    out.push(0);
    content(out);
    let length = out.len() - at - 1;
    let more = if length < 0x80 { 0 } else { 0x80 };
    if let Some(byte) = out.get_mut(at) {
        *byte = (length & 0x7f) as u8 | more;
    }
    if length < 0x80 {
        return;
    }
    // The rest of the length is written behind the content and turned to its front.
    varint(out, length as u64 >> 7);
    if let Some(tail) = out.get_mut(at + 1..) {
        tail.rotate_left(length);
    }
}

#[cfg(test)]
mod tests;
