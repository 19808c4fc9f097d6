//! `portcullis check`.

use std::path::PathBuf;

use serde_json::json;

use crate::authn::jwt::token_cache;
use crate::cli::output::Output;
use crate::cli::{CONFIGURATION, Format, OK};
use crate::diagnostic::Diagnostics;
use crate::snapshot::Snapshot;

/// Reads a policy directory as `serve` would, and reports every mistake with its file, line and a way
/// out. Nothing is fetched: key sets behind a URL are not looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = super::EXIT_CODES)]
pub(super) struct CheckArgs {
    /// The policy directory
    #[arg(value_name = "DIR", env = "PORTCULLIS_POLICIES")]
    policies: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

pub(super) fn run(arguments: &CheckArgs) -> u8 {
    let mut diagnostics = Diagnostics::default();
    let snapshot = Snapshot::build(&arguments.policies, &token_cache(0), None, &mut diagnostics);
    diagnostics.sort();
    match arguments.output {
        Format::Json => {
            let mut answer = diagnostics.to_json();
            if let (Some(answer), Some(snapshot)) = (answer.as_object_mut(), &snapshot) {
                answer.insert("policies".to_owned(), json!(snapshot.table.policies.len()));
                answer.insert("routes".to_owned(), json!(snapshot.table.route_count));
                answer.insert("consumers".to_owned(), json!(snapshot.table.consumer_count));
            }
            Output::json(&answer);
        }
        Format::Text => {
            if !diagnostics.is_empty() {
                Output::note(&diagnostics.render());
            }
            if let Some(snapshot) = snapshot.as_ref().filter(|_| !diagnostics.has_errors()) {
                let table = &snapshot.table;
                Output::line(&format!(
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
                ));
            }
        }
    }
    // A tenant's mistakes keep nobody else from serving, and are mistakes all the same.
    if snapshot.is_some() && !diagnostics.has_errors() {
        OK
    } else {
        CONFIGURATION
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
