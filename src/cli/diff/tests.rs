use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::{DiffArgs, DiffFormat, FailOn, load, run, text, to_json};
use crate::diagnostic::Diagnostics;
use crate::policy::diff::{Diff, diff};

const OLD: &str = "policies:
  shop:
    hosts: [a.example]
    routes:
      - {path: /open, methods: [GET], public: true}
      - {path: /files/**, public: true}
      - {path: /files/secret, public: true, allow_ips: [10.0.0.0/8]}
";

/// Without the narrower route, whose requests fall to the wider one.
const NEW: &str = "policies:
  shop:
    hosts: [a.example]
    routes:
      - {path: /open, methods: [GET], public: true}
      - {path: /files/**, public: true}
";

fn directory(text: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("p.yaml"), text).unwrap();
    directory
}

fn arguments(old: &Path, new: &Path, fail_on: &[FailOn]) -> DiffArgs {
    DiffArgs {
        old: old.to_owned(),
        new: new.to_owned(),
        fail_on: fail_on.to_vec(),
        output: DiffFormat::Json,
    }
}

fn compared(old: &str, new: &str) -> Diff {
    let (old, new) = (directory(old), directory(new));
    let mut out = Diagnostics::default();
    let old = load(old.path(), &mut out).unwrap();
    let new = load(new.path(), &mut out).unwrap();
    diff(&old.side(), &new.side())
}

#[test]
fn the_exit_status_says_what_was_asked_for() {
    let (old, new, broken) = (directory(OLD), directory(NEW), directory("policies: 1\n"));
    let [old, new, broken] = [old.path(), new.path(), broken.path()];
    for (before, after, fail_on, status) in [
        (old, old, &[FailOn::Any][..], 0),
        (old, new, &[], 0),
        (old, new, &[FailOn::Opened], 1),
        (old, new, &[FailOn::Closed], 0),
        (old, new, &[FailOn::Closed, FailOn::Any], 1),
        (new, old, &[FailOn::Opened], 0),
        (new, old, &[FailOn::Closed], 1),
        (broken, new, &[], 78),
        (old, broken, &[], 78),
    ] {
        assert_eq!(
            run(&arguments(before, after, fail_on)),
            status,
            "{fail_on:?}"
        );
    }
}

#[test]
fn prints_what_opened_where_it_stood_and_where_it_stands() {
    let printed = text::render(&compared(OLD, NEW));
    for part in [
        "policy shop\n",
        "any method /files/secret on a.example\n",
        "opened   may be called from any address\n",
        "shop /files/secret ",
        "p.yaml:7 -> shop /files/** ",
        "p.yaml:6\n",
        "1 opened\n",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert_eq!(text::render(&compared(OLD, OLD)), "no difference\n");
}

#[test]
fn json_holds_the_same() {
    let json = to_json(&compared(OLD, NEW));
    assert_eq!(json["summary"]["opened"], 1);
    let route = &json["routes"][0];
    assert_eq!(route["new"]["route"], "/files/**");
    assert_eq!(route["old"]["place"]["line"], 7);
    assert_eq!(route["differences"][0]["effect"], "opened");
    assert_eq!(route["pinned"], Value::Null);
}
