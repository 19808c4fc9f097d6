//! `portcullis keys`.

use serde_json::json;

use crate::authn::api_key::{DEFAULT_PREFIX, NewKey, mint};
use crate::cli::output::Output;
use crate::cli::{Format, OK, USAGE};
use crate::config::yaml::{self, Limits};
use crate::diagnostic::{Diagnostics, SourceFile};
use crate::policy::scope::ScopeSet;

#[derive(Debug, clap::Subcommand)]
pub(super) enum KeysCommand {
    /// Mint an API key and print the YAML that lets it in
    New(NewArgs),
}

/// Mints an API key. The key is printed once and stored nowhere: the policy file holds its digest, from
/// which nobody can make the key again.
#[derive(Debug, clap::Args)]
pub(super) struct NewArgs {
    /// The consumer that the key belongs to
    #[arg(long, value_name = "NAME", default_value = "my-consumer")]
    consumer: String,
    /// The `api_key` authenticator that reads it
    #[arg(long, value_name = "NAME", default_value = "my-api-key")]
    authenticator: String,
    /// The environment, part of the key's text
    #[arg(long, value_name = "NAME", default_value = "live")]
    environment: String,
    /// The key's public id [default: eight random characters]
    #[arg(long)]
    id: Option<String>,
    /// What keys begin with; secret scanners look for it
    #[arg(long, default_value = DEFAULT_PREFIX)]
    prefix: String,
    /// The key's own scopes, separated by commas [default: all of its consumer's]
    #[arg(long, value_delimiter = ',', value_name = "SCOPE")]
    scopes: Vec<String>,
    /// When the key ends: a date or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

pub(super) fn run(command: &KeysCommand) -> u8 {
    let KeysCommand::New(arguments) = command;
    match minted(arguments) {
        Ok(key) => {
            print(arguments, &key);
            OK
        }
        Err(error) => {
            Output::error(&error);
            USAGE
        }
    }
}

pub(super) fn minted(arguments: &NewArgs) -> Result<NewKey, String> {
    check(arguments)?;
    let id = arguments.id.as_deref();
    mint(&arguments.prefix, &arguments.environment, id).map_err(|error| error.to_string())
}

/// What is printed must load, so it is held to the policy language's rules.
fn check(arguments: &NewArgs) -> Result<(), String> {
    let name = |text: &str| {
        !text.is_empty()
            && text.len() <= 128
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    if !name(&arguments.consumer) || !name(&arguments.authenticator) {
        return Err("names are 1 to 128 letters, digits, `-`, `_` and `.`".to_owned());
    }
    ScopeSet::granted(arguments.scopes.iter().map(String::as_str)).map_err(|bad| {
        format!("`{bad}` is no scope; write them as in --scopes orders:read,orders:write")
    })?;
    match &arguments.expires {
        Some(time) if !is_time(time) => {
            Err(format!("`{time}` is no time; write it as in 2027-01-31"))
        }
        _ => Ok(()),
    }
}

fn is_time(text: &str) -> bool {
    let file = SourceFile::new("--expires", text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-:+.".contains(&byte);
    text.bytes().all(plain)
        && yaml::parse(&file, &Limits::default()).is_ok_and(|node| {
            yaml::instant(&node, "`--expires`", &mut Diagnostics::default()).is_some()
        })
}

fn print(arguments: &NewArgs, key: &NewKey) {
    let plain = String::from_utf8_lossy(key.plain.expose());
    let hash = format!("sha256:{}", key.digest.to_hex());
    let yaml = yaml(arguments, key);
    match arguments.output {
        Format::Json => {
            Output::json(&json!({"key": plain, "id": key.id, "hash": hash, "yaml": yaml}))
        }
        Format::Text => {
            Output::note("The key. It is shown this once; hand it over on a safe way:\n");
            Output::line(&plain);
            Output::note("\nPut this into a policy file:\n");
            Output::line(&yaml);
        }
    }
}

/// The lines of a policy file that let the key in.
pub(super) fn yaml(arguments: &NewArgs, key: &NewKey) -> String {
    let hash = format!("sha256:{}", key.digest.to_hex());
    let mut entry = format!("- {{id: \"{}\", hash: \"{hash}\"", key.id);
    if !arguments.scopes.is_empty() {
        let quoted: Vec<String> = arguments
            .scopes
            .iter()
            .map(|scope| format!("\"{scope}\""))
            .collect();
        entry.push_str(&format!(", scopes: [{}]", quoted.join(", ")));
    }
    if let Some(expires) = &arguments.expires {
        entry.push_str(&format!(", expires: {expires}"));
    }
    entry.push('}');
    format!(
        "consumers:\n  {}:\n    environment: {}\n    credentials:\n      {}:\n        {entry}",
        arguments.consumer,
        text(&arguments.environment),
        arguments.authenticator
    )
}

/// Text as YAML reads it back: in quotes only where it would be read as something else.
fn text(word: &str) -> String {
    let file = SourceFile::new("text", word);
    let read = yaml::parse(&file, &Limits::default());
    let same = read.is_ok_and(|node| {
        yaml::text(&node, "text", &mut Diagnostics::default()).is_some_and(|text| text == word)
    });
    if same {
        word.to_owned()
    } else {
        format!("\"{word}\"")
    }
}
