//! `portcullis test` as a process: the corpus, its reports, its exit status, and running again on a change.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(30);

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.env_remove("PORTCULLIS_POLICIES");
    command.arg("test").args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program runs")
}

fn told(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn themes() -> Vec<PathBuf> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let entries = std::fs::read_dir(cases).expect("there is a corpus");
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

const POLICY: &str = "
authenticators: {key: {api_key: {}}}
consumers:
  acme: {scopes: [read], credentials: {key: [{id: k1, hash: \"sha256:1111111111111111111111111111111111111111111111111111111111111111\"}]}}
policies:
  p: {hosts: [a.example], authenticate: key, routes: {GET /a: read, GET /b: write}}
";

const TESTS: &str = "
tests:
  - name: reads
    request: {url: \"https://a.example/a\", as: {consumer: acme}}
    expect: {status: 200}
";

fn policies(text: &str) -> TempDir {
    let directory = TempDir::new().expect("a directory");
    write(directory.path(), "policy.yaml", text);
    directory
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).expect("can be written");
}

fn path(directory: &TempDir) -> &str {
    directory.path().to_str().expect("a path is text")
}

#[test]
fn the_corpus_passes_in_all_of_its_parts() {
    let themes = themes();
    let mut arguments: Vec<&str> = themes.iter().map(|path| path.to_str().unwrap()).collect();
    arguments.extend(["--fail-under", "100", "--output", "json"]);
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["failed"], 0);
    assert!(
        report["passed"].as_u64() > Some(150),
        "{}",
        report["passed"]
    );
    assert_eq!(
        report["suites"].as_array().map(Vec::len),
        Some(themes.len())
    );
}

#[test]
fn the_shipped_policies_pass_their_own_tests() {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/shop");
    let shop = shop.to_str().expect("a path is text");
    let output = run(&[shop, "--fail-under", "100", "--coverage"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(
        told(&output).contains("4 of 4 rules covered"),
        "{}",
        told(&output)
    );
}

#[test]
fn the_exit_status_says_what_went_wrong() {
    let good = policies(&format!("{POLICY}{TESTS}"));
    let failing = policies(&format!("{POLICY}{}", TESTS.replace("200", "403")));
    let untested = policies(POLICY);
    let broken = policies(&format!("{POLICY}{}", TESTS.replace("acme", "acne")));
    let unreadable = policies(&format!("{POLICY}{}", TESTS.replace("expect", "expects")));
    for (arguments, code, word) in [
        (vec![path(&good)], 0, "1 passed, 0 failed; 1 of 2 routes"),
        (vec![path(&good), "--verbose"], 0, "pass: reads"),
        (vec![path(&good), "--fail-under", "50"], 0, "ok"),
        (vec![path(&good), "--fail-under", "51"], 1, "less than 51 %"),
        (
            vec![path(&good), "--coverage"],
            0,
            "no test comes to `GET /b`",
        ),
        (vec![path(&good), "--filter", "writes"], 1, "no test ran"),
        (vec![path(&good), path(&failing)], 1, "expected 403"),
        (vec![path(&untested)], 1, "no test ran"),
        (vec![path(&broken)], 78, "unknown-consumer"),
        (vec![path(&unreadable)], 78, "unknown-key"),
        (vec!["nowhere"], 78, "unreadable-directory"),
        (vec![path(&good), "--fail-under", "101"], 2, "101"),
        (vec![], 2, "DIR"),
    ] {
        let output = run(&arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            told(&output)
        );
        assert!(
            told(&output).contains(word),
            "{arguments:?}: {}",
            told(&output)
        );
    }
    let output = run(&[path(&broken), "--output", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["diagnostics"][0]["code"], "unknown-consumer");
}

#[test]
fn tests_may_stand_in_files_of_their_own() {
    let directory = policies(POLICY);
    let apart = TempDir::new().expect("a directory");
    write(apart.path(), "reads.yaml", TESTS);
    let file = apart.path().join("reads.yaml");
    for tests in [file.to_str().unwrap(), path(&apart)] {
        let output = run(&[path(&directory), "--tests", tests]);
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        assert!(told(&output).contains("1 passed"), "{}", told(&output));
    }
    write(apart.path(), "more.yaml", "policies: {}");
    let output = run(&[path(&directory), "--tests", path(&apart)]);
    assert_eq!(output.status.code(), Some(78), "{}", told(&output));
    assert!(
        told(&output).contains("not a key of a file of tests"),
        "{}",
        told(&output)
    );
}

/// What reads JUnit's XML reads it with a parser of its own.
#[test]
fn reports_for_junit_are_well_formed() {
    let name = "\"<a> & \\\"b\\\" ]]> é\"";
    let failing = TESTS.replace("200", "403").replace("reads", name);
    let directory = policies(&format!("{POLICY}{failing}"));
    let output = run(&[path(&directory), "--output", "junit"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let report = directory.path().join("report.xml");
    std::fs::write(&report, &output.stdout).expect("can be written");
    let script = "
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
case = root.find('testsuite/testcase')
print(root.tag, root.get('failures'), case.get('name'), case.get('line'), case.find('failure').get('message'))
";
    let read = Command::new("python3")
        .args(["-c", script])
        .arg(&report)
        .env("PYTHONIOENCODING", "utf-8")
        .output()
        .expect("python3 runs");
    assert_eq!(
        String::from_utf8_lossy(&read.stdout).trim(),
        "testsuites 1 <a> & \"b\" ]]> é 9 not as expected: status",
        "{}",
        told(&read)
    );
}

/// A `portcullis test --watch` with what it writes to standard error.
struct Watching {
    child: Child,
    notes: Receiver<String>,
}

impl Watching {
    fn start(directory: &TempDir) -> Self {
        let mut child = command(&[path(directory), "--watch"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let stderr = child.stderr.take().expect("it is piped");
        let (sender, notes) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, notes }
    }

    /// Waits for the end of a run with this result.
    fn expect(&self, result: &str) {
        loop {
            let line = self.notes.recv_timeout(SOON).expect("it goes on");
            if line.contains("waiting for changes") {
                assert!(line.contains(result), "{line} is not {result}");
                return;
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn watching_runs_again_on_a_change_and_ends_when_told_to() {
    let directory = policies(&format!("{POLICY}{TESTS}"));
    let mut watching = Watching::start(&directory);
    watching.expect("passed");
    write(
        directory.path(),
        "policy.yaml",
        &format!("{POLICY}{}", TESTS.replace("200", "403")),
    );
    watching.expect("FAILED");
    write(directory.path(), "policy.yaml", "policies: [");
    watching.expect("mistakes");
    write(directory.path(), "policy.yaml", &format!("{POLICY}{TESTS}"));
    watching.expect("passed");
    let killed = Command::new("kill")
        .args(["-INT", &watching.child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(killed.success());
    // Its end is the end of what it writes.
    let last = watching.notes.recv_timeout(SOON);
    assert_eq!(last, Err(RecvTimeoutError::Disconnected));
    let status = watching.child.wait().expect("it ended");
    assert_eq!(status.code(), Some(0));
}
