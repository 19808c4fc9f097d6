//! Differences for people.

use std::fmt::Write as _;

use crate::cli::diff::counts;
use crate::diagnostic::{Place, printable};
use crate::policy::diff::{Diff, Difference, NamedChange, RouteChange};

/// The most hosts, paths and routes that are listed in one place.
const MAX_LISTED: usize = 8;

/// All of it: by policy, then by name, then how many of each.
pub(super) fn render(diff: &Diff) -> String {
    let mut out = String::new();
    let mut policy: Option<&str> = None;
    for change in &diff.routes {
        let judge = change.new.as_ref().or(change.old.as_ref());
        let name = judge.map(|judge| judge.policy.as_str());
        if name != policy {
            let _ = writeln!(out, "policy {}", name.unwrap_or_default());
            policy = name;
        }
        route(change, &mut out);
    }
    for change in &diff.named {
        named(change, &mut out);
    }
    let counts = counts(diff).into_iter().filter(|(_, count)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(effect, count)| format!("{count} {}", effect.as_str()))
        .collect();
    if counts.is_empty() {
        out.push_str("no difference\n");
    } else {
        let _ = writeln!(out, "{}", counts.join(", "));
    }
    out
}

fn route(change: &RouteChange, out: &mut String) {
    let _ = write!(
        out,
        "  {} {} on {}",
        change.methods,
        listed(&change.paths),
        listed(&change.hosts)
    );
    if let Some(pinned) = &change.pinned {
        let _ = write!(out, ", pinned to `{pinned}`");
    }
    out.push('\n');
    differences(&change.differences, out);
    let judge = |judge: Option<&crate::policy::diff::Judge>, before: bool| match judge {
        Some(judge) => {
            let at = judge.place.as_ref().map(place).unwrap_or_default();
            format!("{} {} {at}", judge.policy, judge.path)
        }
        None if before => "no route".to_owned(),
        None => "none".to_owned(),
    };
    let _ = writeln!(
        out,
        "      {} -> {}",
        judge(change.old.as_ref(), true),
        judge(change.new.as_ref(), false)
    );
}

fn named(change: &NamedChange, out: &mut String) {
    let name = if change.name.is_empty() {
        change.what.to_owned()
    } else {
        format!("{} {}", change.what, change.name)
    };
    let _ = writeln!(out, "{name}");
    differences(&change.differences, out);
    if !change.routes.is_empty() {
        let _ = writeln!(out, "      for {}", listed(&change.routes));
    }
    let places: Vec<String> = [&change.old, &change.new]
        .into_iter()
        .flatten()
        .map(place)
        .collect();
    if !places.is_empty() {
        let _ = writeln!(out, "      {}", places.join(" -> "));
    }
}

fn differences(differences: &[Difference], out: &mut String) {
    for one in differences {
        let text = printable(&one.text);
        let _ = writeln!(out, "    {:<8} {text}", one.effect.as_str());
    }
}

fn place(place: &Place) -> String {
    let (line, _) = place.file.line_column(place.start);
    format!("{}:{line}", printable(place.file.name()))
}

fn listed(texts: &[String]) -> String {
    let mut list = texts
        .iter()
        .take(MAX_LISTED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if texts.len() > MAX_LISTED {
        let _ = write!(list, " and {} more", texts.len() - MAX_LISTED);
    }
    printable(&list)
}
