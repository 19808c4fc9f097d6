//! `GET /config`: which generation of the policies serves, and what is wrong with what is there now.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::admin::Listening;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::pipeline::Pipeline;
use crate::snapshot::status::SetStatus;

/// The policy sets of this process.
pub struct Configured {
    /// Judges by the enforced ones.
    pub pipeline: Arc<Pipeline>,
    /// The policies that count.
    pub enforced: Arc<SetStatus>,
    /// The policies that are judged beside them.
    pub candidate: Option<Arc<SetStatus>>,
    /// Tells where checks are taken, as it is at that moment.
    pub listeners: Box<dyn Fn() -> Vec<Listening> + Send + Sync>,
}

impl Configured {
    /// As JSON, or with `format=text` as text with the lines that are wrong.
    pub(super) fn answer(&self, query: Option<&str>) -> Response {
        match query.unwrap_or_default() {
            "" | "format=json" => {
                let kind = [(header::CONTENT_TYPE, "application/json")];
                (kind, self.to_json().to_string()).into_response()
            }
            "format=text" => self.to_text().into_response(),
            _ => (
                StatusCode::BAD_REQUEST,
                "write /config, /config?format=json or /config?format=text\n",
            )
                .into_response(),
        }
    }

    fn to_json(&self) -> Value {
        let mut answer = set_json(&self.enforced);
        let snapshot = self.pipeline.snapshot();
        let missing: Vec<&str> = snapshot.missing_key_sets().collect();
        answer.insert("waiting_for_keys".to_owned(), json!(missing));
        let listeners = (self.listeners)();
        let listeners: Value = listeners.iter().map(Listening::to_json).collect();
        answer.insert("listeners".to_owned(), listeners);
        if let Some(candidate) = &self.candidate {
            answer.insert("candidate".to_owned(), set_json(candidate).into());
        }
        answer.into()
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for set in [Some(&self.enforced), self.candidate.as_ref()]
            .into_iter()
            .flatten()
        {
            set_text(set, &mut text);
        }
        for listener in (self.listeners)() {
            listener.write_text(&mut text);
        }
        text
    }
}

fn set_json(set: &SetStatus) -> Map<String, Value> {
    let state = set.state();
    let loaded = state.loaded.as_ref();
    let number = |count: Option<usize>| json!(count.unwrap_or_default());
    let members = [
        ("directory", json!(set.directory().display().to_string())),
        ("generation", json!(state.generation)),
        (
            "loaded_at",
            json!(loaded.map(|loaded| loaded.at.to_rfc3339())),
        ),
        (
            "fingerprint",
            json!(loaded.map(|loaded| format!("sha256:{}", loaded.digest.to_hex()))),
        ),
        ("policies", number(loaded.map(|loaded| loaded.policies))),
        ("routes", number(loaded.map(|loaded| loaded.routes))),
        ("consumers", number(loaded.map(|loaded| loaded.consumers))),
        (
            "authenticators",
            number(loaded.map(|loaded| loaded.authenticators)),
        ),
        ("stale", json!(state.stale)),
        ("error_count", json!(state.problems.error_count())),
        ("errors", listed(&state.problems, Severity::Error)),
        ("warnings", listed(&state.problems, Severity::Warning)),
    ];
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn listed(problems: &Diagnostics, severity: Severity) -> Value {
    problems
        .iter()
        .filter(|problem| problem.severity == severity)
        .map(Diagnostic::to_json)
        .collect()
}

fn set_text(set: &SetStatus, text: &mut String) {
    let state = set.state();
    let _ = writeln!(text, "{}: {}", set.name(), set.directory().display());
    match &state.loaded {
        Some(loaded) => {
            let _ = writeln!(
                text,
                "generation {}, loaded at {}\nsha256:{}\npolicies {}, routes {}, consumers {}, authenticators {}",
                state.generation,
                loaded.at.to_rfc3339(),
                loaded.digest.to_hex(),
                loaded.policies,
                loaded.routes,
                loaded.consumers,
                loaded.authenticators,
            );
        }
        None => text.push_str("nothing was loaded yet\n"),
    }
    if state.stale {
        text.push_str(
            "stale: what is there now cannot be used, and the last good generation serves on\n",
        );
    }
    text.push('\n');
    text.push_str(&state.problems.render());
}

#[cfg(test)]
mod tests;
