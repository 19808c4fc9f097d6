//! `portcullis check`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use serde_json::json;

use crate::authn::jwt::token_cache;
use crate::cli::output::Output;
use crate::cli::{CONFIGURATION, OK};
use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::config::inputs::Inputs;
use crate::config::yaml;
use crate::diagnostic::Diagnostics;
use crate::policy::compile::PolicyTable;
use crate::policy::compile::lint::lint;
use crate::policy::source::PolicySet;
use crate::snapshot::Snapshot;

/// Reads a policy directory as `serve` would, and reports every mistake with its file, line and a way
/// out, and warns of what is legal and probably not meant. Nothing is fetched: key sets behind a URL
/// are not looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = super::EXIT_CODES)]
pub(super) struct CheckArgs {
    /// The policy directory
    #[arg(value_name = "DIR", env = "PORTCULLIS_POLICIES")]
    policies: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t = Report::Text)]
    output: Report,
    /// Treat warnings as mistakes: exit with 78 if there is one
    #[arg(long)]
    deny_warnings: bool,
    /// Print mistakes only: no summary, and no warnings unless they are denied
    #[arg(long, short)]
    quiet: bool,
    /// Pass over secrets that are not here, as where policies are kept and nobody serves
    #[arg(long)]
    without_secrets: bool,
    /// Judge by this time what has expired, as in 2027-01-31 or 2027-01-31T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    now: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Report {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// Annotations for GitHub Actions
    Github,
}

fn time(text: &str) -> Result<Timestamp, String> {
    yaml::instant_of(text)
        .map(Timestamp::from_seconds)
        .ok_or_else(|| {
            "write a date or a time with its offset, as in 2027-01-31 or 2027-01-31T12:00:00Z"
                .to_owned()
        })
}

pub(super) fn run(arguments: &CheckArgs) -> u8 {
    let now = arguments.now.unwrap_or_else(|| SystemClock::new().now());
    let (snapshot, mut diagnostics) = checked(&arguments.policies, !arguments.without_secrets, now);
    let denied = arguments.deny_warnings && diagnostics.warning_count() > 0;
    // A tenant's mistakes keep nobody else from serving, and are mistakes all the same.
    let good = snapshot.is_some() && !diagnostics.has_errors() && !denied;
    if arguments.quiet && !arguments.deny_warnings {
        diagnostics = diagnostics.errors_only();
    }
    let table = snapshot.as_ref().map(|snapshot| &snapshot.table);
    print(arguments, &diagnostics, table.filter(|_| good));
    if good { OK } else { CONFIGURATION }
}

/// What a directory compiles to, and all that is to be said of it.
fn checked(
    directory: &Path,
    needs_secrets: bool,
    now: Timestamp,
) -> (Option<Arc<Snapshot>>, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let mut inputs = Inputs::read(directory, &mut diagnostics);
    inputs.needs_secrets = needs_secrets;
    let snapshot = Snapshot::compile(&inputs, &token_cache(0), None, &mut diagnostics);
    let tenants = inputs.tenants.values().map(|tenant| tenant.set.as_ref());
    let tenants: Vec<&PolicySet> = tenants.collect();
    lint(&inputs.set, &tenants, now, &mut diagnostics);
    diagnostics.sort();
    (snapshot, diagnostics)
}

/// `table` is there if all is well.
fn print(arguments: &CheckArgs, diagnostics: &Diagnostics, table: Option<&PolicyTable>) {
    match arguments.output {
        Report::Json => {
            let mut answer = diagnostics.to_json();
            if let Some(answer) = answer.as_object_mut() {
                answer.insert("ok".to_owned(), json!(table.is_some()));
                if let Some(table) = table {
                    answer.insert("policies".to_owned(), json!(table.policies.len()));
                    answer.insert("routes".to_owned(), json!(table.route_count));
                    answer.insert("consumers".to_owned(), json!(table.consumer_count));
                }
            }
            Output::json(&answer);
        }
        Report::Text => {
            if !diagnostics.is_empty() {
                Output::note(&diagnostics.render());
            }
            if let Some(table) = table.filter(|_| !arguments.quiet) {
                Output::line(&summary(arguments, table));
            }
        }
        Report::Github => {
            for diagnostic in diagnostics {
                Output::line(&diagnostic.to_annotation());
            }
            if let Some(table) = table.filter(|_| !arguments.quiet) {
                Output::line(&summary(arguments, table));
            }
        }
    }
}

fn summary(arguments: &CheckArgs, table: &PolicyTable) -> String {
    format!(
        "{}: ok: {}, {}, {}, {}",
        arguments.policies.display(),
        count(table.policies.len(), "policy", "policies"),
        count(table.route_count, "route", "routes"),
        count(table.consumer_count, "consumer", "consumers"),
        count(
            table.authenticators.len(),
            "authenticator",
            "authenticators"
        ),
    )
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests;
