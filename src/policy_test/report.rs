//! What is told of a run: as text for people, as JSON, and as JUnit's XML for what shows tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::diagnostic::{Place, printable};
use crate::policy_test::coverage::Coverage;
use crate::policy_test::{CaseResult, Run};

/// What of a run is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// What no test covers, rule by rule.
    pub coverage: bool,
    /// Tests that passed, too.
    pub passed: bool,
}

/// For people.
pub fn text(runs: &[Run], wanted: Wanted) -> String {
    let mut out = String::new();
    for run in runs {
        for result in &run.results {
            if !result.mismatches.is_empty() {
                failure(result, &mut out);
            } else if wanted.passed {
                let _ = writeln!(out, "pass: {}", printable(&result.name));
            }
        }
    }
    for run in runs {
        let (tests, failed) = (run.results.len(), run.failed());
        let verdict = if failed == 0 { "ok" } else { "FAILED" };
        let coverage = &run.coverage;
        let _ = writeln!(
            out,
            "{}: {verdict}: {} passed, {failed} failed; {} of {} routes and {} of {} rules covered",
            printable(&run.name),
            tests - failed,
            coverage.chosen(),
            coverage.routes.len(),
            coverage.covered(),
            coverage.rules.len(),
        );
        if wanted.coverage {
            uncovered(coverage, &mut out);
        }
    }
    out
}

fn failure(result: &CaseResult, out: &mut String) {
    let _ = writeln!(out, "FAIL: {}", printable(&result.name));
    let _ = writeln!(out, "  --> {}", result.place);
    for mismatch in &result.mismatches {
        let line = mismatch.place.file.line_column(mismatch.place.start).0;
        let _ = writeln!(out, "  line {line}: {}", printable(&mismatch.what));
        let _ = writeln!(out, "    expected {}", printable(&mismatch.expected));
        let _ = writeln!(out, "    got      {}", printable(&mismatch.got));
    }
    let _ = writeln!(out, "  judged: {}\n", printable(&result.answer.summary()));
}

fn uncovered(coverage: &Coverage, out: &mut String) {
    let routes = coverage.routes.iter().filter(|route| route.chosen == 0);
    for route in routes {
        let (label, policy) = (printable(&route.label), printable(&route.policy));
        let _ = writeln!(
            out,
            "  no test comes to `{label}` of `{policy}` ({})",
            route.place
        );
    }
    for rule in coverage.rules.iter().filter(|rule| !rule.is_covered()) {
        let _ = writeln!(
            out,
            "  {}: {} ({})",
            printable(&rule.label),
            rule.lacks(),
            rule.place
        );
    }
}

/// For machines.
pub fn json(runs: &[Run]) -> Value {
    let failed: usize = runs.iter().map(Run::failed).sum();
    let tests: usize = runs.iter().map(|run| run.results.len()).sum();
    let suites: Vec<Value> = runs.iter().map(suite).collect();
    json!({"tests": tests, "passed": tests - failed, "failed": failed, "suites": suites})
}

fn suite(run: &Run) -> Value {
    let tests: Vec<Value> = run.results.iter().map(test).collect();
    let coverage = &run.coverage;
    let routes: Vec<Value> = coverage
        .routes
        .iter()
        .map(|route| {
            let told = json!({"policy": route.policy, "route": route.label, "tests": route.chosen});
            placed(&route.place, told)
        })
        .collect();
    let rules: Vec<Value> = coverage
        .rules
        .iter()
        .map(|rule| {
            let told =
                json!({"rule": rule.label, "admitted": rule.admitted, "refused": rule.refused});
            placed(&rule.place, told)
        })
        .collect();
    json!({
        "name": run.name,
        "tests": tests,
        "coverage": {
            "routes_total": coverage.routes.len(), "routes_covered": coverage.chosen(),
            "rules_total": coverage.rules.len(), "rules_covered": coverage.covered(),
            "routes": routes, "rules": rules,
        },
    })
}

fn test(result: &CaseResult) -> Value {
    let answer = &result.answer;
    let mismatches: Vec<Value> = result
        .mismatches
        .iter()
        .map(|mismatch| {
            let told =
                json!({"what": mismatch.what, "expected": mismatch.expected, "got": mismatch.got});
            placed(&mismatch.place, told)
        })
        .collect();
    let told = json!({
        "name": result.name,
        "passed": mismatches.is_empty(),
        "mismatches": mismatches,
        "status": answer.status,
        "reason": answer.reason.as_str(),
        "detail": answer.detail,
        "metadata": answer.metadata,
        "duration_us": u64::try_from(result.duration.as_micros()).unwrap_or(u64::MAX),
    });
    placed(&result.place, told)
}

fn placed(place: &Place, mut told: Value) -> Value {
    if let Some(members) = told.as_object_mut() {
        members.insert("file".to_owned(), json!(place.file.name()));
        members.insert("line".to_owned(), json!(line(place)));
    }
    told
}

fn line(place: &Place) -> usize {
    place.file.line_column(place.start).0
}

/// JUnit's XML as Jenkins, GitLab and GitHub's actions read it: one `testsuite` for each file.
pub fn junit(runs: &[Run]) -> String {
    let mut suites: BTreeMap<&str, Vec<&CaseResult>> = BTreeMap::new();
    for result in runs.iter().flat_map(|run| &run.results) {
        suites
            .entry(result.place.file.name())
            .or_default()
            .push(result);
    }
    let tests: usize = runs.iter().map(|run| run.results.len()).sum();
    let failed: usize = runs.iter().map(Run::failed).sum();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"portcullis\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\">"
    );
    for (file, results) in suites {
        let is_failed = |result: &&&CaseResult| !result.mismatches.is_empty();
        let failed = results.iter().filter(is_failed).count();
        let seconds: f64 = results
            .iter()
            .map(|result| result.duration.as_secs_f64())
            .sum();
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\" time=\"{seconds:.6}\">",
            escaped(file),
            results.len(),
        );
        for result in results {
            case(result, file, &mut out);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(result: &CaseResult, file: &str, out: &mut String) {
    let _ = write!(
        out,
        "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{}\" time=\"{:.6}\"",
        escaped(&result.name),
        escaped(file),
        escaped(file),
        line(&result.place),
        result.duration.as_secs_f64(),
    );
    if result.mismatches.is_empty() {
        out.push_str("/>\n");
        return;
    }
    let whats: Vec<&str> = result.mismatches.iter().map(|m| m.what.as_str()).collect();
    let mut told = String::new();
    failure(result, &mut told);
    let _ = writeln!(
        out,
        ">\n      <failure message=\"{}\" type=\"mismatch\">{}</failure>\n    </testcase>",
        escaped(&format!("not as expected: {}", whats.join(", "))),
        escaped(told.trim_end()),
    );
}

/// Text as it may stand in an attribute or an element. What XML cannot hold at all (XML 1.0 section 2.2)
/// shows as U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\t' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => {
                out.push(character);
            }
            _ => out.push('\u{fffd}'),
        }
    }
    out
}
