//! Writes a `CheckResponse` to the wire.
//!
//! The message is written field by field from what the verdict holds, without a tree of owned strings
//! in between. Numbers are the fields of `envoy.service.auth.v3` and what it is made of.

use crate::respond::{Allow, Denial, Told};
use crate::verdict::Verdict;

/// `google.rpc.Code.PERMISSION_DENIED`. Any code but 0 is a denial; Envoy takes the HTTP status from
/// `denied_response`, and a gRPC caller's status from that.
const PERMISSION_DENIED: u64 = 7;

/// `HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD`.
const OVERWRITE_IF_EXISTS_OR_ADD: u64 = 2;

/// The encoded `CheckResponse`.
pub fn response(verdict: &Verdict) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    match verdict {
        Verdict::Allow(allow) => {
            nested(&mut out, 1, |_| {}); // status { code: 0 }
            nested(&mut out, 3, |out| ok_response(out, allow));
            nested(&mut out, 4, |out| metadata(out, &allow.facts()));
        }
        Verdict::Deny(denial) => {
            nested(&mut out, 1, |out| number(out, 1, PERMISSION_DENIED));
            nested(&mut out, 2, |out| denied_response(out, denial));
            nested(&mut out, 4, |out| metadata(out, &denial.facts()));
        }
    }
    out
}

fn ok_response(out: &mut Vec<u8>, allow: &Allow) {
    for (name, value) in allow.set() {
        header(out, name.as_bytes(), value.as_bytes());
    }
    if let Some(cookie) = allow.cookie().filter(|rest| !rest.is_empty()) {
        header(out, b"cookie", cookie);
    }
    for name in allow.removed() {
        bytes(out, 5, name);
    }
    for name in allow.removed_parameters() {
        bytes(out, 8, name);
    }
}

fn denied_response(out: &mut Vec<u8>, denial: &Denial) {
    nested(out, 1, |out| number(out, 1, u64::from(denial.status())));
    for (name, value) in denial.headers() {
        header(out, name.as_bytes(), value.as_bytes());
    }
    bytes(out, 3, denial.body().as_bytes());
}

/// A `HeaderValueOption` that overwrites, said in both ways: Envoy's default where neither is said has
/// meant overwrite in some versions and append in others.
fn header(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    nested(out, 2, |out| {
        nested(out, 1, |out| {
            bytes(out, 1, name);
            bytes(out, 2, value);
        });
        nested(out, 2, |_| {}); // append { value: false }: the wrapper's presence is what counts
        number(out, 3, OVERWRITE_IF_EXISTS_OR_ADD);
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
