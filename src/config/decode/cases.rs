//! `tests`.

use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::config::decode::{located, texts};
use crate::config::language::{CASE, EXPECT, METADATA, REQUEST, TEST_CALLER};
use crate::config::yaml::{self, EmptyList, Fields, Node};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, excerpt, nearest};
use crate::headers::is_header_name;
use crate::policy::case::{
    Case, CaseCaller, CaseRequest, DEFAULT_CLIENT_ADDRESS, DEFAULT_NOW, Expectation, ExpectedBody,
    ExpectedHeader,
};
use crate::policy::source::Located;
use crate::verdict::Reason;

pub(super) fn section(node: &Node, cases: &mut Vec<Case>, out: &mut Diagnostics) {
    let Some(items) = yaml::sequence(node, "`tests`", EmptyList::Allowed, out) else {
        return;
    };
    for item in items {
        let Some(case) = case(item, out) else {
            continue;
        };
        let twin = cases
            .iter()
            .find(|other| other.name.value == case.name.value);
        if let Some(twin) = twin {
            let message = format!("two tests are called `{}`", excerpt(&case.name.value));
            out.push(
                Diagnostic::error("duplicate-name", &case.name.place, message)
                    .with_related(&twin.name.place, "the first one")
                    .with_help("say in the name what is different"),
            );
        }
        cases.push(case);
    }
}

fn case(node: &Node, out: &mut Diagnostics) -> Option<Case> {
    let fields = Fields::new(node, &CASE, out)?;
    let name = fields
        .require("name", out)
        .and_then(|node| located(node, "`name`", out));
    if let Some(name) = name.as_ref().filter(|name| name.value.trim().is_empty()) {
        let message = "the name of a test is empty";
        out.push(Diagnostic::error("empty-value", &name.place, message));
    }
    let now = match fields.get("now") {
        None => Some(DEFAULT_NOW),
        Some(node) => instant(node, "`now`", out),
    };
    let sent = fields
        .require("request", out)
        .and_then(|node| request(node, out));
    let expect = fields
        .require("expect", out)
        .and_then(|node| expectation(node, out));
    Some(Case {
        name: name?,
        now: now?,
        request: sent?,
        expect: expect?,
    })
}

fn instant(node: &Node, what: &str, out: &mut Diagnostics) -> Option<Timestamp> {
    yaml::instant(node, what, out).map(Timestamp::from_seconds)
}

fn request(node: &Node, out: &mut Diagnostics) -> Option<CaseRequest> {
    let fields = Fields::new(node, &REQUEST, out)?;
    let mut text = |key: &'static str, usual: &str| match fields.get(key) {
        None => Some(usual.to_owned()),
        Some(node) => yaml::text(node, &format!("`{key}`"), out).map(str::to_owned),
    };
    let method = text("method", "GET");
    let client_address = text("client_address", DEFAULT_CLIENT_ADDRESS);
    let protocol = text("protocol", "HTTP/2");
    let body = text("body", "");
    let url = fields
        .require("url", out)
        .and_then(|node| located(node, "`url`", out))
        .and_then(|text| url(&text, out));
    let headers = match fields.get("headers") {
        None => Vec::new(),
        Some(node) => sent_headers(node, out),
    };
    let context = match fields.get("context") {
        None => Vec::new(),
        Some(node) => context(node, out),
    };
    let callers = match fields.get("as") {
        None => Vec::new(),
        Some(node) => yaml::one_or_many(node, "`as`", EmptyList::Refused, out)
            .into_iter()
            .flatten()
            .filter_map(|node| {
                Some(Located {
                    value: caller(node, out)?,
                    place: node.place.clone(),
                })
            })
            .collect(),
    };
    let (scheme, host, target) = url?;
    Some(CaseRequest {
        place: fields.place().clone(),
        method: method?,
        scheme,
        host,
        target,
        headers,
        client_address: client_address?,
        protocol: protocol?,
        body: body?,
        context,
        callers,
    })
}

/// A URL in three parts, exactly as written: tests are also about what no library would send.
fn url(text: &Located<String>, out: &mut Diagnostics) -> Option<(String, String, String)> {
    let parts = text.value.split_once("://").and_then(|(scheme, rest)| {
        let slash = rest.find('/').unwrap_or(rest.len());
        let (host, target) = rest.split_at_checked(slash)?;
        let good = matches!(scheme, "http" | "https")
            && !host.is_empty()
            && !host.contains(['?', '#', ' ']);
        let target = if target.is_empty() { "/" } else { target };
        good.then(|| (scheme.to_owned(), host.to_owned(), target.to_owned()))
    });
    if parts.is_none() {
        let message = format!("`{}` is no URL", excerpt(&text.value));
        out.push(
            Diagnostic::error("bad-url", &text.place, message).with_help(
                "write scheme, host and path, as in `https://api.example.com/orders?page=2`",
            ),
        );
    }
    parts
}

/// A mapping of names to a value or to a list of values, or a list of such mappings where the order of lines
/// matters.
fn sent_headers(node: &Node, out: &mut Diagnostics) -> Vec<(String, String)> {
    let what = "`headers`";
    let mut lines = Vec::new();
    for mapping in yaml::one_or_many(node, what, EmptyList::Refused, out)
        .into_iter()
        .flatten()
    {
        for entry in yaml::mapping(mapping, what, out).unwrap_or_default() {
            let name = header_name(&entry.key, &entry.key_place, out);
            let values = texts(&entry.value, "a header's value", out).unwrap_or_default();
            lines.extend(values.into_iter().map(|value| (name.clone(), value.value)));
        }
    }
    lines
}

fn header_name(name: &str, place: &Place, out: &mut Diagnostics) -> String {
    let lower = name.to_ascii_lowercase();
    if !is_header_name(&lower) {
        let message = format!("`{}` is no header name", excerpt(name));
        out.push(Diagnostic::error("bad-header", place, message));
    }
    lower
}

fn context(node: &Node, out: &mut Diagnostics) -> Vec<(String, String)> {
    let entries = yaml::mapping(node, "`context`", out).unwrap_or_default();
    entries
        .iter()
        .filter_map(|entry| {
            let value = yaml::text(&entry.value, "a context extension", out)?;
            Some((entry.key.clone(), value.to_owned()))
        })
        .collect()
}

fn caller(node: &Node, out: &mut Diagnostics) -> Option<CaseCaller> {
    let fields = Fields::new(node, &TEST_CALLER, out)?;
    let mut named = |key: &'static str| {
        let node = fields.get(key)?;
        located(node, &format!("`{key}`"), out)
    };
    let mut caller = CaseCaller {
        consumer: named("consumer"),
        authenticator: named("authenticator"),
        credential: named("credential"),
        spiffe_id: named("spiffe_id"),
        ..CaseCaller::default()
    };
    if caller.consumer.is_none() && caller.authenticator.is_none() && caller.credential.is_none() {
        out.push(
            Diagnostic::error("bad-caller", fields.place(), "this does not say who calls")
                .with_help("write `as: {consumer: NAME}`, or `as: {authenticator: NAME, subject: alice, scopes: […]}` for a token"),
        );
        return None;
    }
    for key in ["subject", "scopes", "issued", "expires", "claims"] {
        if caller.token.is_none() {
            caller.token = fields.entry(key).map(|entry| entry.key_place.clone());
        }
    }
    if let Some(node) = fields.get("claims")
        && yaml::mapping(node, "`claims`", out).is_some()
        && let Value::Object(claims) = yaml::to_json(node)
    {
        caller.claims = claims;
    }
    let mut claim =
        |key: &'static str, claim: &str, value: Option<Value>, out: &mut Diagnostics| {
            let (Some(value), Some(entry)) = (value, fields.entry(key)) else {
                return;
            };
            if caller.claims.insert(claim.to_owned(), value).is_some() {
                let message =
                    format!("`{key}` is the claim `{claim}`, which `claims` says as well");
                out.push(
                    Diagnostic::error("contradiction", &entry.key_place, message)
                        .with_help("keep one of the two"),
                );
            }
        };
    let subject = fields
        .get("subject")
        .and_then(|node| yaml::text(node, "`subject`", out))
        .map(|subject| json!(subject));
    claim("subject", "sub", subject, out);
    let scopes = fields.get("scopes").map(|node| match &node.value {
        yaml::Value::Sequence(items) if items.is_empty() => Vec::new(),
        _ => texts(node, "`scopes`", out).unwrap_or_default(),
    });
    let scopes = scopes.map(|scopes| {
        let words: Vec<String> = scopes.into_iter().map(|scope| scope.value).collect();
        json!(words.join(" "))
    });
    claim("scopes", "scope", scopes, out);
    for (key, name) in [("issued", "iat"), ("expires", "exp")] {
        let time = fields
            .get(key)
            .and_then(|node| yaml::instant(node, &format!("`{key}`"), out));
        claim(key, name, time.map(|seconds| json!(seconds)), out);
    }
    Some(caller)
}

fn expectation(node: &Node, out: &mut Diagnostics) -> Option<Expectation> {
    let fields = Fields::new(node, &EXPECT, out)?;
    if fields.entries().is_empty() {
        out.push(
            Diagnostic::error("empty-value", fields.place(), "a test that expects nothing")
                .with_help("say what must happen, as in `expect: {status: 200}`"),
        );
        return None;
    }
    let status = fields.get("status").and_then(|node| {
        let status = yaml::integer(node, "`status`", 100..=599, out)?;
        Some(at(node, u16::try_from(status).ok()?))
    });
    let mut text = |key: &'static str| {
        let node = fields.get(key)?;
        located(node, &format!("`{key}`"), out)
    };
    let (policy, route, upstream_path) = (text("policy"), text("route"), text("upstream_path"));
    let reason = fields.get("reason").and_then(|node| reason(node, out));
    let mut headers = |key: &'static str| match fields.get(key) {
        None => Vec::new(),
        Some(node) => expected_headers(node, &format!("`{key}`"), out),
    };
    let upstream_headers = headers("upstream_headers");
    let response_headers = headers("response_headers");
    let removed = match fields.get("removed_headers") {
        None => Vec::new(),
        Some(node) => texts(node, "`removed_headers`", out).unwrap_or_default(),
    };
    let removed = removed.into_iter().map(|name| Located {
        value: header_name(&name.value, &name.place, out),
        place: name.place,
    });
    let removed_headers = removed.collect();
    let body = fields.get("body").and_then(|node| body(node, out));
    let metadata = match fields.get("metadata") {
        None => Vec::new(),
        Some(node) => metadata(node, out),
    };
    Some(Expectation {
        place: fields.place().clone(),
        status,
        reason,
        policy,
        route,
        upstream_headers,
        upstream_path,
        removed_headers,
        response_headers,
        body,
        metadata,
    })
}

fn at<T>(node: &Node, value: T) -> Located<T> {
    Located {
        value,
        place: node.place.clone(),
    }
}

fn reason(node: &Node, out: &mut Diagnostics) -> Option<Located<Reason>> {
    let name = yaml::text(node, "`reason`", out)?;
    let reason = Reason::from_name(name);
    if reason.is_none() {
        let message = format!("there is no reason called `{}`", excerpt(name));
        let mut error = Diagnostic::error("unknown-reason", &node.place, message);
        let names = Reason::ALL.iter().map(|reason| reason.as_str());
        if let Some(near) = nearest(name, names) {
            error = error.with_help(format!("did you mean `{near}`?"));
        }
        out.push(error);
    }
    Some(at(node, reason?))
}

/// A header's value, a list of values for several lines, or null for a header that must not be there.
fn expected_headers(node: &Node, what: &str, out: &mut Diagnostics) -> Vec<ExpectedHeader> {
    let mut headers = Vec::new();
    for entry in yaml::mapping(node, what, out).unwrap_or_default() {
        let name = header_name(&entry.key, &entry.key_place, out);
        let values = match &entry.value.value {
            yaml::Value::Null => Some(Vec::new()),
            _ => texts(&entry.value, "a header's value", out),
        };
        if let Some(values) = values {
            headers.push(ExpectedHeader {
                name: Located {
                    value: name,
                    place: entry.key_place.clone(),
                },
                values: values.into_iter().map(|value| value.value).collect(),
            });
        }
    }
    headers
}

fn body(node: &Node, out: &mut Diagnostics) -> Option<Located<ExpectedBody>> {
    let body = match &node.value {
        yaml::Value::Mapping(_) => match yaml::to_json(node) {
            Value::Object(members) => ExpectedBody::Members(members),
            _ => ExpectedBody::Members(Map::new()),
        },
        _ => ExpectedBody::Text(yaml::text(node, "`body`", out)?.to_owned()),
    };
    Some(at(node, body))
}

fn metadata(node: &Node, out: &mut Diagnostics) -> Vec<(Located<String>, Value)> {
    let Some(fields) = Fields::new(node, &METADATA, out) else {
        return Vec::new();
    };
    for entry in fields.entries() {
        let what = format!("`{}`", entry.key);
        match (&entry.value.value, entry.key.as_str()) {
            (yaml::Value::Null, _) => {}
            (_, "scopes") => {
                let items = yaml::sequence(&entry.value, &what, EmptyList::Allowed, out);
                for item in items.into_iter().flatten() {
                    yaml::text(item, &what, out);
                }
            }
            _ => {
                yaml::text(&entry.value, &what, out);
            }
        }
    }
    let entries = fields.entries().iter();
    let named = entries.map(|entry| {
        let name = Located {
            value: entry.key.clone(),
            place: entry.key_place.clone(),
        };
        (name, yaml::to_json(&entry.value))
    });
    named.collect()
}

#[cfg(test)]
mod tests;
