//! `portcullis replay`.

mod callers;
mod record;
mod report;
mod unknown;
mod world;

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::cli::output::Output;
use crate::cli::replay::record::Recorded;
use crate::cli::replay::report::Report;
use crate::cli::replay::world::World;
use crate::cli::{CONFIGURATION, FAILED, Format, OK};
use crate::diagnostic::Diagnostics;

/// The longest line that is read, in bytes. Records are far below.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// After how many lines progress is shown.
const PROGRESS_LINES: u64 = 50_000;

const EXIT_CODES: &str = "Exit status:
  0   replayed; nothing that --fail-on names
  1   something that --fail-on names, or the log cannot be read
  2   the command line cannot be understood
  78  the policies have mistakes; every one was printed";

/// Judges each request of an audit log once more, by other policies and at the time when it was made, and
/// lists the decisions that would flip.
///
/// Callers are presented by keys and tokens made just now, which are accepted in place of theirs. What the log
/// does not hold cannot be judged: the headers and claims that a condition reads, and credentials that were
/// refused. Such decisions are counted apart, each with the reason. Records of versions that did not say which
/// policy Envoy pinned a request to are judged as if it had pinned none.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct ReplayArgs {
    /// The audit log, one record a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    audit: PathBuf,
    /// The policies to judge by
    #[arg(value_name = "NEW")]
    policies: PathBuf,
    /// Exit with 1 if a decision flips so. May be repeated
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Vec<FailOn>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// What makes a replay fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// What was denied would pass
    Opened,
    /// What passed would be denied
    Closed,
    /// Either
    Any,
}

pub(super) fn run(arguments: &ReplayArgs) -> u8 {
    let mut out = Diagnostics::default();
    let world = World::read(&arguments.policies, &mut out);
    out.sort();
    if out.has_errors() {
        match arguments.output {
            Format::Json => Output::json(&out.to_json()),
            Format::Text => Output::note(&out.render()),
        }
        return CONFIGURATION;
    }
    let world = match world {
        Ok(world) => world,
        Err(why) => {
            Output::error(&why);
            return FAILED;
        }
    };
    let report = match replay(&arguments.audit, world) {
        Ok(report) => report,
        Err(why) => {
            Output::error(&format!("{}: {why}", arguments.audit.display()));
            return FAILED;
        }
    };
    match arguments.output {
        Format::Json => Output::json(&report.to_json()),
        Format::Text => Output::line(report.render().trim_end()),
    }
    let fails = arguments.fail_on.iter().any(|what| match what {
        FailOn::Opened => report.opened() > 0,
        FailOn::Closed => report.closed() > 0,
        FailOn::Any => report.opened() + report.closed() > 0,
    });
    if fails { FAILED } else { OK }
}

fn replay(path: &Path, world: World) -> std::io::Result<Report> {
    if path == Path::new("-") {
        replay_lines(std::io::stdin().lock(), world)
    } else {
        replay_lines(BufReader::with_capacity(1 << 20, File::open(path)?), world)
    }
}

/// Line by line, whatever the size of the whole.
fn replay_lines(mut log: impl BufRead, mut world: World) -> std::io::Result<Report> {
    let shows_progress = std::io::stderr().is_terminal();
    let mut report = Report::default();
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        if log
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)?
            == 0
        {
            break;
        }
        number += 1;
        if !line.ends_with(b"\n") && line.len() as u64 == MAX_LINE_BYTES {
            skip_line(&mut log)?;
            report.broken(number, "the line is longer than 1 MiB");
            continue;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match Recorded::parse(&line) {
            Ok(record) => {
                let replayed = world.judge(&record);
                report.add(&record, replayed);
            }
            Err(why) => report.broken(number, &why),
        }
        if shows_progress && number.is_multiple_of(PROGRESS_LINES) {
            Output::progress(&format!("{number} lines"));
        }
    }
    if shows_progress && number >= PROGRESS_LINES {
        Output::progress("");
    }
    Ok(report)
}

fn skip_line(log: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let (used, ends) = {
            let buffer = log.fill_buf()?;
            match buffer.iter().position(|&byte| byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            }
        };
        log.consume(used);
        if ends {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
