//! `portcullis explain`.

mod branch;
pub(in crate::cli) mod request;
mod text;
mod tree;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::{Record, Recorder};
use crate::authn::jwt::token_cache;
use crate::cli::explain::request::Asked;
use crate::cli::explain::tree::Explanation;
use crate::cli::output::Output;
use crate::cli::{CONFIGURATION, FAILED, Format, OK, USAGE};
use crate::clock::{Clock, ManualClock, SystemClock, Timestamp};
use crate::diagnostic::Diagnostics;
use crate::http_client::HttpClient;
use crate::jwks::{self, Fetch};
use crate::pipeline::Pipeline;
use crate::policy::observe::Notes;
use crate::snapshot::Snapshot;

/// The request would be refused.
const DENIED: u8 = 1;

/// How long one decision may take; fetching key sets is a part of it.
const BUDGET: Duration = Duration::from_secs(15);

const AFTER_HELP: &str = "Exit status:
  0   the request would be allowed, or is a preflight that would be answered
  1   it would be denied
  2   the command line cannot be understood
  78  the policies have mistakes; `portcullis check` shows them

Nothing that may be a credential is printed: no header that one is read from, no query, no cookie.
Paths are taken as they are written, as with curl's --path-as-is. Key sets behind URLs are not fetched
without --fetch.";

/// Judges one request as `serve` would, and tells all of the decision: which route and why that one, what
/// each authenticator says, each scope, role and condition with its value, what would be injected and removed.
///
/// The request is written as for curl.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ExplainArgs {
    /// The policy directory
    #[arg(long, value_name = "DIR", env = "PORTCULLIS_POLICIES")]
    policies: PathBuf,
    /// The request's URL
    #[arg(value_name = "URL", required_unless_present = "from_audit")]
    url: Option<String>,
    /// The method [default: GET, or POST with --data]
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<String>,
    /// A header, as in 'X-Api-Key: …'
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// User name and password for HTTP Basic
    #[arg(short = 'u', long, value_name = "USER:PASSWORD")]
    user: Option<String>,
    /// A bearer token
    #[arg(long, value_name = "TOKEN")]
    oauth2_bearer: Option<String>,
    /// Cookies, as in 'a=1; b=2'
    #[arg(short = 'b', long = "cookie", value_name = "DATA")]
    cookies: Vec<String>,
    /// The user agent
    #[arg(short = 'A', long, value_name = "NAME")]
    user_agent: Option<String>,
    /// The body
    #[arg(short = 'd', long, value_name = "DATA", alias = "data-raw")]
    data: Vec<String>,
    /// The body, with @FILE as it stands in a file
    #[arg(long, value_name = "DATA")]
    data_binary: Vec<String>,
    /// Send HEAD
    #[arg(short = 'I', long)]
    head: bool,
    /// The client's certificate in PEM
    #[arg(short = 'E', long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// HTTP/1.1
    #[arg(long = "http1.1", conflicts_with = "http2")]
    http1: bool,
    /// HTTP/2
    #[arg(long)]
    http2: bool,
    /// Options of curl's that change nothing here, so that a command can be pasted
    #[command(flatten)]
    ignored: Ignored,
    /// The address that the connection comes from
    #[arg(long, value_name = "IP")]
    client_address: Option<IpAddr>,
    /// When the request is judged: an RFC 3339 time or a date [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
    /// One of Envoy's context extensions; `policy=NAME` pins a policy
    #[arg(long, value_name = "KEY=VALUE")]
    context: Vec<String>,
    /// Take method, host, path, client address and time from a line of the audit log on standard input.
    /// Its credential is not in it: add that with -H
    #[arg(long, conflicts_with_all = ["url", "method", "client_address"])]
    from_audit: bool,
    /// Judge as with the setting `require_tls`
    #[arg(long)]
    require_tls: bool,
    /// Fetch key sets that stand behind a URL
    #[arg(long)]
    fetch: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Debug, clap::Args)]
struct Ignored {
    #[arg(short, long, hide = true)]
    silent: bool,
    #[arg(short = 'S', long, hide = true)]
    show_error: bool,
    #[arg(short, long, hide = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[arg(short, long, hide = true)]
    include: bool,
    #[arg(short = 'k', long, hide = true)]
    insecure: bool,
    #[arg(short, long, hide = true)]
    fail: bool,
    #[arg(long, hide = true)]
    compressed: bool,
    #[arg(long, hide = true)]
    path_as_is: bool,
}

pub(super) fn run(arguments: &ExplainArgs) -> u8 {
    let asked = match Asked::read(arguments, &mut std::io::stdin().lock()) {
        Ok(asked) => asked,
        Err(error) => {
            Output::error(&error);
            return USAGE;
        }
    };
    let mut diagnostics = Diagnostics::default();
    let cache = &token_cache(0);
    let snapshot = Snapshot::build(&arguments.policies, cache, None, &mut diagnostics);
    let Some(snapshot) = snapshot else {
        diagnostics.sort();
        Output::note(&diagnostics.render());
        return CONFIGURATION;
    };
    match explain(&snapshot, asked, arguments.fetch, arguments.require_tls) {
        Ok(explanation) => {
            match arguments.output {
                Format::Text => Output::line(text::render(&explanation).trim_end()),
                Format::Json => Output::json(&explanation.to_json()),
            }
            if explanation.allowed() { OK } else { DENIED }
        }
        Err(error) => {
            Output::error(&format!("{error:#}"));
            FAILED
        }
    }
}

/// Takes records and forgets them: nothing was decided for anybody.
struct Nowhere;

impl Recorder for Nowhere {
    fn record(&self, _: &Record<'_>) {}
}

/// Judges a request by the code that serves, and tells what it did.
pub(super) fn explain(
    snapshot: &Arc<Snapshot>,
    asked: Asked,
    fetch: bool,
    require_tls: bool,
) -> anyhow::Result<Explanation> {
    let clock: Arc<dyn Clock> = match asked.now {
        Some(now) => Arc::new(ManualClock::at(Timestamp::from_seconds(now))),
        None => Arc::new(SystemClock::new()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    let unfetched = keep_key_sets(&snapshot.fetches, fetch, &clock)?;
    let pipeline = Pipeline::new(
        Arc::clone(snapshot),
        Arc::clone(&clock),
        Arc::new(Nowhere),
        require_tls,
    );
    let notes = Notes::new(snapshot.table.authenticators.iter().map(AsRef::as_ref));
    let names: Vec<Vec<u8>> = asked.raw.headers.iter().map(|(n, _)| n.to_vec()).collect();
    let verdict = runtime.block_on(pipeline.explain(asked.raw, BUDGET, &notes));
    runtime.shutdown_background();
    let mut explanation = Explanation::of(notes.into_events(), &verdict, &names);
    explanation.unavailable_since(&unfetched);
    explanation.notes.extend(asked.notes);
    Ok(explanation)
}

/// Answers requests for newer keys: files are read, URLs only on demand. Gives the authenticators whose keys
/// are not there for want of that.
fn keep_key_sets(
    fetches: &[Fetch],
    fetch: bool,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<String>> {
    let mut unfetched = Vec::new();
    let remote = |one: &Fetch| one.source.is_remote();
    let http = match fetch && fetches.iter().any(remote) {
        true => Some(HttpClient::new()?),
        false => None,
    };
    for one in fetches {
        if remote(one) && !fetch {
            unfetched.extend(one.authenticator.split(", ").map(str::to_owned));
            let cell = Arc::clone(&one.cell);
            cell.failed();
            tokio::spawn(async move {
                loop {
                    cell.wanted().await;
                    cell.failed();
                }
            });
        } else {
            let task = jwks::keep_fresh(one.clone(), http.clone(), Arc::clone(clock));
            tokio::spawn(task);
        }
    }
    Ok(unfetched)
}

#[cfg(test)]
mod tests;
