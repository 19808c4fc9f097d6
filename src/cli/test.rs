//! `portcullis test`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::output::Output;
use crate::cli::{CONFIGURATION, FAILED, OK};
use crate::clock::{Clock as _, SystemClock};
use crate::config::inputs::Inputs;
use crate::diagnostic::Diagnostics;
use crate::policy_test::report::{self, Wanted};
use crate::policy_test::{Run, Suite};
use crate::reload::watch::Watch;
use crate::secret::Digest;

const EXIT_CODES: &str = "Exit status:
  0   every test passed
  1   a test failed, no test ran, or too few routes were covered
  2   the command line cannot be understood
  78  the policies or the tests have mistakes; every one was printed, and no test ran";

/// How long files must rest before they are read again.
const REST: Duration = Duration::from_millis(150);

/// How often they are looked at where the operating system tells nothing.
const POLL: Duration = Duration::from_secs(2);

/// Runs the tests of policy directories: each request of the section `tests` is judged as `serve` would
/// judge it, on a fixed clock, and the answer is compared with what the test expects.
///
/// Nothing is fetched and nobody's credentials are needed: where a test says who calls, a key or a token is
/// made that the policies accept in that caller's place.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct TestArgs {
    /// The policy directories, each a set of its own
    #[arg(value_name = "DIR", required = true, env = "PORTCULLIS_POLICIES")]
    policies: Vec<PathBuf>,
    /// A file of tests outside the policies, or a directory of them
    #[arg(long, value_name = "PATH")]
    tests: Vec<PathBuf>,
    /// Run only tests whose names hold this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Refuse requests without TLS, as `serve --require-tls` does
    #[arg(long)]
    require_tls: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// List the tests that passed, too
    #[arg(long)]
    verbose: bool,
    /// List the routes that no test comes to, and the rules never seen both to admit and to refuse
    #[arg(long)]
    coverage: bool,
    /// Fail if tests come to less than this part of the routes
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    fail_under: Option<u8>,
    /// Run again whenever a file changes, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// JUnit's XML
    Junit,
}

pub(super) fn run(arguments: &TestArgs) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) if arguments.watch => runtime.block_on(watch(arguments)),
        Ok(runtime) => runtime.block_on(once(arguments)),
        Err(error) => {
            Output::error(&format!("cannot start: {error}"));
            FAILED
        }
    }
}

async fn once(arguments: &TestArgs) -> u8 {
    let mut out = Diagnostics::default();
    let mut suites = Vec::new();
    for directory in &arguments.policies {
        let mut found = Diagnostics::default();
        suites.extend(Suite::read(directory, &arguments.tests, &mut found));
        found.sort();
        out.append(found);
    }
    let broken = out.has_errors();
    if arguments.output == Format::Json && broken {
        Output::json(&out.to_json());
    } else if !out.is_empty() {
        Output::note(&out.render());
    }
    if broken {
        return CONFIGURATION;
    }
    let mut runs = Vec::new();
    for suite in &suites {
        runs.push(suite.run(&arguments.filter, arguments.require_tls).await);
    }
    print(arguments, &runs);
    judge(arguments, &runs)
}

fn print(arguments: &TestArgs, runs: &[Run]) {
    match arguments.output {
        Format::Text => {
            let wanted = Wanted {
                coverage: arguments.coverage,
                passed: arguments.verbose,
            };
            Output::line(report::text(runs, wanted).trim_end());
        }
        Format::Json => Output::json(&report::json(runs)),
        Format::Junit => Output::line(report::junit(runs).trim_end()),
    }
}

fn judge(arguments: &TestArgs, runs: &[Run]) -> u8 {
    let mut status = OK;
    if runs.iter().all(|run| run.results.is_empty()) {
        Output::error(
            "no test ran: there is none, or none has a name that `--filter` lets through",
        );
        status = FAILED;
    }
    if runs.iter().any(|run| run.failed() > 0) {
        status = FAILED;
    }
    let least = usize::from(arguments.fail_under.unwrap_or(0));
    for run in runs {
        let (chosen, all) = (run.coverage.chosen(), run.coverage.routes.len());
        if chosen * 100 < least * all {
            Output::error(&format!(
                "{}: tests come to {chosen} of {all} routes, which is less than {least} %",
                run.name
            ));
            status = FAILED;
        }
    }
    status
}

/// Runs all tests again whenever files have changed. Ends with the status of the last run.
async fn watch(arguments: &TestArgs) -> u8 {
    // From here on, so that none is lost that comes while tests run.
    let mut interrupt = match signal(SignalKind::interrupt()) {
        Ok(interrupt) => interrupt,
        Err(error) => {
            Output::error(&format!("cannot listen for signals: {error}"));
            return FAILED;
        }
    };
    let (mut watch, mut hints) = Watch::new();
    let clock = SystemClock::new();
    loop {
        let before = Files::of(arguments);
        watch.follow(before.directories.clone());
        let status = once(arguments).await;
        let time = clock.now().to_rfc3339();
        let result = match status {
            OK => "passed",
            CONFIGURATION => "mistakes",
            _ => "FAILED",
        };
        Output::note(&format!(
            "{time}: {result}; waiting for changes, Ctrl-C ends"
        ));
        loop {
            tokio::select! {
                _ = interrupt.recv() => return status,
                () = tokio::time::sleep(POLL) => {}
                Some(()) = hints.recv() => {
                    // An editor writes in several steps.
                    tokio::time::sleep(REST).await;
                }
            }
            if Files::of(arguments).digests != before.digests {
                break;
            }
        }
    }
}

/// What the tests are made of.
struct Files {
    digests: Vec<Digest>,
    directories: BTreeSet<PathBuf>,
}

impl Files {
    fn of(arguments: &TestArgs) -> Self {
        let mut digests = Vec::new();
        let mut directories = BTreeSet::new();
        for directory in &arguments.policies {
            let inputs = Inputs::read(directory, &mut Diagnostics::default());
            digests.push(inputs.digest);
            directories.insert(directory.clone());
            let tenants = inputs.tenants.values();
            directories.extend(tenants.map(|tenant| tenant.directory.clone()));
            let referred = inputs.files.paths();
            directories.extend(
                referred
                    .filter_map(|path| path.parent())
                    .map(Path::to_owned),
            );
        }
        for path in &arguments.tests {
            let directory = if path.is_dir() {
                digests.push(Inputs::digest_of(path, &BTreeSet::new()));
                path.clone()
            } else {
                let bytes = std::fs::read(path).unwrap_or_default();
                digests.push(Digest::of(&bytes));
                path.parent().unwrap_or(Path::new(".")).to_owned()
            };
            let here = directory.as_os_str().is_empty();
            directories.insert(if here { PathBuf::from(".") } else { directory });
        }
        Self {
            digests,
            directories,
        }
    }
}
