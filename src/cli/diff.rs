//! `portcullis diff`.

mod github;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::authn::jwt::token_cache;
use crate::cli::output::Output;
use crate::cli::{CONFIGURATION, FAILED, OK};
use crate::config::inputs::Inputs;
use crate::diagnostic::{Diagnostics, Place, printable};
use crate::policy::diff::{Diff, Difference, Effect, Judge, NamedChange, RouteChange, Side, diff};
use crate::secret::Digest;
use crate::snapshot::Snapshot;

const NOTES: &str = "Each difference is one of
  opened   somebody may pass who could not
  closed   somebody may pass no longer
  changed  there is no telling, as where a condition (`when`) is another
  headers  who may pass is the same, what the upstream is told is not
  answers  who may pass is the same, what those are told who may not is not

Exit status:
  0   compared; nothing that --fail-on names
  1   something that --fail-on names
  2   the command line cannot be understood
  78  one of the directories has mistakes; every one was printed";

/// Compares what two policy directories let pass, in the words of routes. Requests are followed to the route
/// that judges them: a route that is gone may leave its requests to a wider one.
#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct DiffArgs {
    /// The policies before
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The policies after
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Exit with 1 if there is such a difference; `changed` counts as opened and as closed. May be repeated
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Vec<FailOn>,
    /// How to print
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    output: DiffFormat,
}

/// What makes a comparison fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Somebody may pass who could not, as far as can be told
    Opened,
    /// Somebody may pass no longer, as far as can be told
    Closed,
    /// Any difference at all
    Any,
}

/// How differences are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DiffFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// Annotations of a GitHub workflow
    Github,
}

/// One directory, read and compiled.
struct Loaded {
    inputs: Inputs,
    snapshot: Arc<Snapshot>,
    files: BTreeMap<PathBuf, Digest>,
}

impl Loaded {
    fn side(&self) -> Side<'_> {
        let tenants = self.inputs.tenants.iter();
        Side {
            root: &self.inputs.set,
            tenants: tenants
                .map(|(name, tenant)| (name.as_str(), tenant.set.as_ref()))
                .collect(),
            table: &self.snapshot.table,
            files: &self.files,
        }
    }
}

pub(super) fn run(arguments: &DiffArgs) -> u8 {
    let mut out = Diagnostics::default();
    let (old, new) = (
        load(&arguments.old, &mut out),
        load(&arguments.new, &mut out),
    );
    let (Some(old), Some(new)) = (old, new) else {
        out.sort();
        if arguments.output == DiffFormat::Json {
            Output::json(&out.to_json());
        } else {
            Output::note(&out.render());
        }
        return CONFIGURATION;
    };
    let diff = diff(&old.side(), &new.side());
    match arguments.output {
        DiffFormat::Text => Output::line(text::render(&diff).trim_end()),
        DiffFormat::Json => Output::json(&to_json(&diff)),
        DiffFormat::Github => {
            for line in github::annotations(&diff) {
                Output::line(&line);
            }
        }
    }
    let fails = diff
        .differences()
        .any(|(one, _)| arguments.fail_on.iter().any(|what| what.covers(one.effect)));
    if fails { FAILED } else { OK }
}

impl FailOn {
    const fn covers(self, effect: Effect) -> bool {
        match self {
            Self::Opened => effect.may_open(),
            Self::Closed => effect.may_close(),
            Self::Any => true,
        }
    }
}

fn load(directory: &Path, out: &mut Diagnostics) -> Option<Loaded> {
    // Apart, so that a mistake of one directory does not stop the other one's from being found.
    let mut found = Diagnostics::default();
    let mut inputs = Inputs::read(directory, &mut found);
    inputs.needs_secrets = false;
    let snapshot = Snapshot::compile(&inputs, &token_cache(0), None, &mut found);
    // A tenant whose policies do not compile does not keep the others from serving; here it is a mistake.
    let snapshot = snapshot.filter(|_| !found.has_errors());
    out.append(found);
    let files = inputs.files.paths().filter_map(|path| {
        let bytes = inputs.files.get(path).ok()?;
        Some((path.clone(), Digest::of(bytes)))
    });
    let files = files.collect();
    Some(Loaded {
        snapshot: snapshot?,
        inputs,
        files,
    })
}

/// How many differences have each effect.
fn counts(diff: &Diff) -> [(Effect, usize); 5] {
    [
        Effect::Opened,
        Effect::Changed,
        Effect::Closed,
        Effect::Headers,
        Effect::Answers,
    ]
    .map(|effect| {
        let alike = diff.differences().filter(|(one, _)| one.effect == effect);
        (effect, alike.count())
    })
}

fn to_json(diff: &Diff) -> Value {
    let summary: serde_json::Map<String, Value> = counts(diff)
        .into_iter()
        .map(|(effect, count)| (effect.as_str().to_owned(), json!(count)))
        .collect();
    json!({
        "summary": summary,
        "routes": diff.routes.iter().map(route_json).collect::<Vec<_>>(),
        "named": diff.named.iter().map(named_json).collect::<Vec<_>>(),
    })
}

fn route_json(change: &RouteChange) -> Value {
    json!({
        "methods": change.methods,
        "hosts": change.hosts,
        "paths": change.paths,
        "pinned": change.pinned,
        "old": change.old.as_ref().map(judge_json),
        "new": change.new.as_ref().map(judge_json),
        "differences": differences_json(&change.differences),
    })
}

fn judge_json(judge: &Judge) -> Value {
    json!({
        "policy": judge.policy,
        "route": judge.path,
        "place": judge.place.as_ref().map(place_json),
    })
}

fn named_json(change: &NamedChange) -> Value {
    json!({
        "what": change.what,
        "name": change.name,
        "old": change.old.as_ref().map(place_json),
        "new": change.new.as_ref().map(place_json),
        "routes": change.routes,
        "differences": differences_json(&change.differences),
    })
}

fn differences_json(differences: &[Difference]) -> Vec<Value> {
    let differences = differences.iter();
    differences
        .map(|one| json!({"effect": one.effect.as_str(), "text": printable(&one.text)}))
        .collect()
}

fn place_json(place: &Place) -> Value {
    let (line, column) = place.file.line_column(place.start);
    json!({"file": printable(place.file.name()), "line": line, "column": column})
}

#[cfg(test)]
mod tests;
