//! What came of a request, held against what a test expects.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::diagnostic::Place;
use crate::policy::case::{Expectation, ExpectedBody, ExpectedHeader};
use crate::policy::cors::How;
use crate::policy::route::Route;
use crate::policy_test::upstream::Received;
use crate::request::raw::RawCheck;
use crate::respond::Told;
use crate::verdict::{Reason, Verdict};

/// Something that is not as a test expects.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// What: `status`, `upstream_headers.x-auth-consumer`.
    pub what: String,
    /// Where it is expected.
    pub place: Place,
    /// What is expected.
    pub expected: String,
    /// What came.
    pub got: String,
}

/// How a request ended.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Why.
    pub reason: Reason,
    /// 200 where it passes.
    pub status: u16,
    /// The operator's text.
    pub detail: String,
    /// The dynamic metadata.
    pub metadata: Map<String, Value>,
    ending: Ending,
}

#[derive(Clone, Debug)]
enum Ending {
    Passed {
        received: Received,
        /// What is added to the upstream's answer.
        headers: Vec<(String, String)>,
    },
    Answered {
        headers: Vec<(String, String)>,
        body: String,
    },
}

impl Ending {
    fn answered(headers: &[(&'static str, String)], body: &str) -> Self {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| ((*name).to_owned(), value.clone()));
        Self::Answered {
            headers: headers.collect(),
            body: body.to_owned(),
        }
    }

    /// The headers that Portcullis puts into the answer that the client reads.
    fn headers(&self, name: &str) -> Vec<&str> {
        let (Self::Passed { headers, .. } | Self::Answered { headers, .. }) = self;
        let lines = headers.iter().filter(|(other, _)| other == name);
        lines.map(|(_, value)| value.as_str()).collect()
    }
}

/// The route that was chosen.
pub(super) fn route_of(verdict: &Verdict) -> Option<&Arc<Route>> {
    match verdict {
        Verdict::Allow(allow) => allow.facts().route,
        Verdict::Deny(denial) => denial.facts().route,
        Verdict::Reply(reply) => reply.facts().route,
    }
}

impl Answer {
    pub(super) fn of(verdict: &Verdict, check: &RawCheck, detail: String) -> Self {
        let (told, ending) = match verdict {
            Verdict::Allow(allow) => {
                // What only takes the upstream's own back is nothing that is added.
                let added = allow.reply_headers().iter();
                let added = added.filter(|header| header.how != How::OverwriteIfExists);
                let headers = added.map(|header| {
                    let value = String::from_utf8_lossy(&header.value);
                    (header.name.to_owned(), value.into_owned())
                });
                let ending = Ending::Passed {
                    received: Received::of(check, allow),
                    headers: headers.collect(),
                };
                (allow.facts(), ending)
            }
            Verdict::Deny(denial) => {
                let ending = Ending::answered(denial.headers(), denial.body());
                (denial.facts(), ending)
            }
            Verdict::Reply(reply) => (reply.facts(), Ending::answered(reply.headers(), "")),
        };
        Self {
            reason: verdict.reason(),
            status: verdict.status(),
            detail,
            metadata: metadata(&told),
            ending,
        }
    }

    /// The name of the policy that judged, or of the route in it.
    fn told(&self, member: &str) -> Option<&str> {
        self.metadata.get(member).and_then(Value::as_str)
    }

    /// One line on what came: `403 scope_insufficient at orders /orders: the route requires …`.
    pub fn summary(&self) -> String {
        let mut text = format!("{} {}", self.status, self.reason.as_str());
        if let (Some(policy), Some(route)) = (self.told("policy"), self.told("route")) {
            text.push_str(&format!(" at {policy} {route}"));
        }
        if !self.detail.is_empty() {
            text.push_str(&format!(": {}", self.detail));
        }
        text
    }

    /// Everything that is not as expected, in the order of the keys of `expect`.
    pub(super) fn compare(&self, expect: &Expectation, check: &RawCheck) -> Vec<Mismatch> {
        let mut found = Found(Vec::new());
        if let Some(status) = &expect.status {
            found.differs("status", &status.place, &status.value, &self.status);
        }
        if let Some(reason) = &expect.reason {
            let (expected, got) = (reason.value.as_str(), self.reason.as_str());
            found.differs("reason", &reason.place, &expected, &got);
        }
        for (key, said) in [("policy", &expect.policy), ("route", &expect.route)] {
            if let Some(said) = said {
                let got = self.told(key).unwrap_or("none");
                found.differs(key, &said.place, &said.value.as_str(), &got);
            }
        }
        for header in &expect.response_headers {
            let got = self.ending.headers(&header.name.value);
            found.header("response_headers", header, &got);
        }
        match &self.ending {
            Ending::Passed { received, .. } => {
                received_as_expected(received, expect, check, &mut found);
                if let Some(body) = &expect.body {
                    let got = "the request passes; the upstream answers it";
                    found.push("body", &body.place, "an answer of Portcullis", got);
                }
            }
            Ending::Answered { body, .. } => {
                if let Some(expected) = &expect.body {
                    body_as_expected(&expected.value, &expected.place, body, &mut found);
                }
                let upstream = expect.upstream_headers.first();
                let upstream = upstream.map(|header| ("upstream_headers", &header.name.place));
                let path = expect.upstream_path.as_ref();
                let path = path.map(|path| ("upstream_path", &path.place));
                let removed = expect.removed_headers.first();
                let removed = removed.map(|header| ("removed_headers", &header.place));
                for (key, place) in upstream.into_iter().chain(path).chain(removed) {
                    let got = "the request does not pass; the upstream receives nothing";
                    found.push(key, place, "a request that passes", got);
                }
            }
        }
        for (name, expected) in &expect.metadata {
            let got = self.metadata.get(&name.value).unwrap_or(&Value::Null);
            let what = format!("metadata.{}", name.value);
            found.differs(&what, &name.place, expected, got);
        }
        found.0
    }
}

struct Found(Vec<Mismatch>);

impl Found {
    fn push(
        &mut self,
        what: &str,
        place: &Place,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) {
        self.0.push(Mismatch {
            what: what.to_owned(),
            place: place.clone(),
            expected: expected.into(),
            got: got.into(),
        });
    }

    fn differs<T: PartialEq + ToString>(
        &mut self,
        what: &str,
        place: &Place,
        expected: &T,
        got: &T,
    ) {
        if expected != got {
            self.push(what, place, expected.to_string(), got.to_string());
        }
    }

    fn header(&mut self, key: &str, expected: &ExpectedHeader, got: &[&str]) {
        if expected.values != got {
            let name = &expected.name;
            let shown = |values: Vec<&str>| match values.as_slice() {
                [] => "absent".to_owned(),
                [one] => format!("`{one}`"),
                several => format!("`{}`", several.join("`, `")),
            };
            let wanted = expected.values.iter().map(String::as_str).collect();
            let what = format!("{key}.{}", name.value);
            self.push(&what, &name.place, shown(wanted), shown(got.to_vec()));
        }
    }
}

fn received_as_expected(
    received: &Received,
    expect: &Expectation,
    check: &RawCheck,
    found: &mut Found,
) {
    for header in &expect.upstream_headers {
        let got = received.all(&header.name.value);
        found.header("upstream_headers", header, &got);
    }
    if let Some(path) = &expect.upstream_path {
        found.differs("upstream_path", &path.place, &path.value, &received.path);
    }
    for name in &expect.removed_headers {
        let what = format!("removed_headers.{}", name.value);
        if check.headers.all(&name.value).next().is_none() {
            let got = "the request has no such header";
            found.push(&what, &name.place, "sent and removed", got);
        } else if !received.all(&name.value).is_empty() {
            let got = "the upstream receives it";
            found.push(&what, &name.place, "sent and removed", got);
        }
    }
}

fn body_as_expected(expected: &ExpectedBody, place: &Place, body: &str, found: &mut Found) {
    match expected {
        ExpectedBody::Text(text) => found.differs("body", place, &text.as_str(), &body),
        ExpectedBody::Members(members) => {
            let Ok(Value::Object(problem)) = serde_json::from_str(body) else {
                found.push("body", place, "a problem document", body);
                return;
            };
            for (name, expected) in members {
                let got = problem.get(name).unwrap_or(&Value::Null);
                found.differs(&format!("body.{name}"), place, expected, got);
            }
        }
    }
}

/// The dynamic metadata as JSON: the members that `envoy::encode` writes.
fn metadata(told: &Told<'_>) -> Map<String, Value> {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("decision_id", json!(told.id.to_string()));
    put("reason", json!(told.reason.as_str()));
    if let Some(route) = told.route {
        put("policy", json!(route.policy.as_ref()));
        put("route", json!(route.path.as_ref()));
    }
    if let Some(principal) = told.principal {
        put("principal", json!(principal.id()));
        put("subject", json!(principal.subject()));
        put("authenticator", json!(principal.authenticator()));
        if let Some(id) = principal.credential_id() {
            put("credential_id", json!(id));
        }
        if let Some(consumer) = principal.consumer() {
            put("consumer", json!(consumer.name.as_ref()));
        }
        let scopes: Vec<String> = principal.scopes().iter().collect();
        put("scopes", json!(scopes));
    }
    members
}
