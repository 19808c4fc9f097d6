//! `portcullis init`.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::authn::api_key::{DEFAULT_PREFIX, mint};
use crate::cli::output::Output;
use crate::cli::{FAILED, OK};
use crate::config::schema;

const POLICY: &str = include_str!("../../policies/starter/policy.yaml");
const KEY_SET: &str = include_str!("../../policies/starter/company-login.jwks.json");

/// What stands in the starter set for a key that is made when it is written.
const PLACEHOLDER_ID: &str = "first-key";
const PLACEHOLDER_DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Writes a small set of policies to begin with: API keys, tokens, a few routes, each line explained.
///
/// The set holds a new API key, which is printed once. Nothing that is there is overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = super::EXIT_CODES)]
pub(super) struct InitArgs {
    /// Where to write it; made if it is not there
    #[arg(value_name = "DIR", default_value = "policies")]
    directory: PathBuf,
}

pub(super) fn run(arguments: &InitArgs) -> u8 {
    match write(&arguments.directory) {
        Ok(key) => {
            let directory = arguments.directory.display();
            Output::line(&format!(
                "{directory}: a set of policies to begin with, policy.yaml first\n\n\
                 The API key of its consumer `acme`. It is shown this once:\n\n  {key}\n\n\
                 Next:\n\
                 \x20 portcullis check {directory}\n\
                 \x20 portcullis serve --policies {directory}\n\
                 and let Envoy ask it, as in docs/envoy.md: a request with `x-api-key: {key}`\n\
                 may then GET /orders, and nothing else but /orders/{{order_id}} and /healthz."
            ));
            OK
        }
        Err(error) => {
            Output::error(&error);
            FAILED
        }
    }
}

/// Writes all files, and answers with the key that opens the routes.
fn write(directory: &Path) -> Result<String, String> {
    let schema = format!("{:#}\n", schema::policy());
    let key = mint(DEFAULT_PREFIX, "live", None).map_err(|error| error.to_string())?;
    let policy = POLICY
        .replace(PLACEHOLDER_ID, &key.id)
        .replace(PLACEHOLDER_DIGEST, &key.digest.to_hex());
    let files = [
        ("policy.yaml", policy.as_str()),
        ("company-login.jwks.json", KEY_SET),
        ("policy.schema.json", schema.as_str()),
    ];
    fs::create_dir_all(directory)
        .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    // All are looked for before one is written, so that a refusal leaves nothing behind.
    let taken = files.iter().map(|(name, _)| directory.join(name));
    let mut taken = taken.filter(|path| path.symlink_metadata().is_ok());
    if let Some(path) = taken.next() {
        return Err(format!(
            "{} is there already, and nothing is overwritten: name another directory",
            path.display()
        ));
    }
    if let Some(other) = other_policies(directory) {
        return Err(format!(
            "{} is there already: a starter set beside it would let its own consumers in; name another directory",
            other.display()
        ));
    }
    for (name, text) in files {
        let path = directory.join(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(String::from_utf8_lossy(key.plain.expose()).into_owned())
}

/// A policy file that is there already.
fn other_policies(directory: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    paths.into_iter().find(is_yaml)
}

#[cfg(test)]
mod tests;
