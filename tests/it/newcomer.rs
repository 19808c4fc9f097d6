//! The first five minutes: what `make run` prints is what happens.

use std::path::Path;
use std::process::Command;

#[test]
fn the_demo_answers_every_printed_request_as_promised() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::TempDir::new().expect("a directory");
    let output = Command::new("python3")
        .arg(root.join("scripts/run.py"))
        .args(["--check", "--port", "0", "--no-build", "--binary"])
        .arg(env!("CARGO_BIN_EXE_portcullis"))
        .arg("--run-dir")
        .arg(directory.path())
        .arg("--envoy")
        .arg(crate::support::envoy::envoy_binary())
        .output()
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("17 of 17"), "{said}");
}
