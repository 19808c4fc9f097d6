//! The command line.

mod check;
mod diff;
mod explain;
mod init;
mod keys;
mod output;
mod replay;
mod schema;
mod serve;
mod settings;
mod shell;
mod sign;
mod test;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::cli::output::Output;

/// Everything went well.
const OK: u8 = 0;
/// Something failed that is neither the configuration nor the command line.
const FAILED: u8 = 1;
/// The command line cannot be understood (clap's own status).
const USAGE: u8 = 2;
/// The configuration has mistakes: sysexits' `EX_CONFIG`.
const CONFIGURATION: u8 = 78;

const EXIT_CODES: &str = "Exit status:
  0   done; for `serve`: stopped because it was told to
  1   something failed: a port that is taken, a listener that died
  2   the command line or the settings file cannot be understood
  78  the policies have mistakes, and every one was printed; or certificates, keys, users or groups that
      the settings name cannot be used. Nothing was served";

/// External authorization for Envoy: proves who calls, judges by policy, injects trusted identity
/// headers.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer Envoy's checks by the policies of a directory
    Serve(Box<serve::ServeArgs>),
    /// Read a policy directory and report every mistake in it
    Check(check::CheckArgs),
    /// Run the tests that policies hold
    Test(test::TestArgs),
    /// Judge one request and tell all of the decision
    Explain(Box<explain::ExplainArgs>),
    /// Compare two policy directories: what is open now that was closed, and the other way round
    Diff(diff::DiffArgs),
    /// Judge what an audit log recorded by other policies, and list every decision that would flip
    Replay(replay::ReplayArgs),
    /// Write a small set of policies to begin with
    Init(init::InitArgs),
    /// Print the JSON Schema of policies or settings
    Schema(schema::SchemaArgs),
    /// Sign a request as a client would, to try out an authenticator
    Sign(Box<sign::SignArgs>),
    /// API keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Print completions for a shell
    Completions(shell::CompletionsArgs),
    /// Print a manual page
    Man(shell::ManArgs),
    /// Print the version
    Version(VersionArgs),
}

#[derive(Debug, clap::Args)]
struct VersionArgs {
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// How a command prints its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    ExitCode::from(run(arguments))
}

fn run(arguments: Vec<OsString>) -> u8 {
    let arguments = match settings::with_file(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            Output::error(&error);
            return USAGE;
        }
    };
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are errors of clap's that end well.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(USAGE);
        }
    };
    match cli.command {
        Command::Serve(arguments) => serve::run(*arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Completions(arguments) => shell::completions(&arguments),
        Command::Man(arguments) => shell::man(&arguments),
        Command::Sign(arguments) => sign::run(&arguments),
        Command::Keys(command) => keys::run(&command),
        Command::Version(arguments) => version(&arguments),
    }
}

fn version(arguments: &VersionArgs) -> u8 {
    let version = env!("CARGO_PKG_VERSION");
    match arguments.output {
        Format::Text => Output::line(&format!("portcullis {version}")),
        Format::Json => {
            Output::json(
                &serde_json::json!({"name": "portcullis", "version": version, "policy_language": "portcullis/v1"}),
            );
        }
    }
    OK
}

#[cfg(test)]
pub(crate) use self::schema::settings as settings_schema;

#[cfg(test)]
mod tests;
