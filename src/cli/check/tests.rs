//! Every message that the author of a policy can see, as it is printed.
//!
//! `tests/mistakes` holds at least one policy for each code, and what is said of them stands in
//! `tests/snapshots`. After a change of wording read the difference and take it over:
//! `INSTA_UPDATE=always cargo test --lib every_message`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::checked;
use crate::clock::Timestamp;
use crate::diagnostic::Diagnostics;
use crate::test_support::NOW;

/// What no policy text can bring about; each has a test of its own.
const ELSEWHERE: [&str; 16] = [
    "too-many-nodes",
    "too-large",
    "too-many-files",
    "files-moving",
    "internal-fault",
    "no-http-client",
    "bad-caller",
    "caller-ambiguous",
    "cannot-show",
    "cannot-sign",
    "no-place",
    "no-stand-ins",
    "no-tests",
    "unknown-credential",
    "unknown-reason",
    "unknown-tenant",
];

const GOOD: &str = "policies: {p: {hosts: [a], public: true, routes: [{path: /}]}}";

/// Stands before the text of a file that is written with a byte for each character.
const LATIN_1: &str = "latin-1:";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn check(directory: &Path) -> Diagnostics {
    checked(directory, true, Timestamp::from_seconds(NOW)).1
}

/// A directory of policies, the code that it is about, and a few words on it.
struct Case {
    title: String,
    /// A name that ends in `/` is a directory's.
    files: Vec<(String, String)>,
}

impl Case {
    fn code(&self) -> &str {
        self.title.split(':').next().unwrap()
    }

    /// Writes the files, checks them, and leaves the directory out of what was said.
    fn printed(&self) -> (BTreeSet<&'static str>, String) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in &self.files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match text.strip_prefix(LATIN_1) {
                _ if name.ends_with('/') => fs::create_dir(path).unwrap(),
                Some(text) => {
                    let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap()).collect();
                    fs::write(path, bytes).unwrap();
                }
                None => fs::write(path, text).unwrap(),
            }
        }
        if self.code() == "unreadable-directory" {
            fs::remove_dir(directory.path()).unwrap();
        }
        let found = check(directory.path());
        let codes = found.iter().map(|one| one.code).collect();
        let path = directory.path().to_str().unwrap().to_owned();
        let text = found.render().replace(&format!("{path}/"), "");
        (codes, text.replace(&path, "policies"))
    }
}

/// The cases of one file: `=== code: words` begins one, `--- name` another file of it; what stands
/// before the first, behind `with`, is a file of all of them.
fn cases(text: &str) -> Vec<Case> {
    let mut shared = String::new();
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("=== ") {
            let mut files = vec![("policy.yaml".to_owned(), String::new())];
            if !shared.is_empty() {
                files.insert(0, ("shared.yaml".to_owned(), shared.clone()));
            }
            cases.push(Case {
                title: title.to_owned(),
                files,
            });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            if line != "with" {
                writeln!(shared, "{line}").unwrap();
            }
            continue;
        };
        if let Some(name) = line.strip_prefix("--- ") {
            case.files.push((name.to_owned(), String::new()));
        } else {
            let (_, file) = case.files.last_mut().unwrap();
            writeln!(file, "{}", line.replace('␀', "\0")).unwrap();
        }
    }
    cases
}

/// What no text can hold.
fn cases_of_files() -> Vec<Case> {
    let case = |title: &str, files: &[(&str, String)]| Case {
        title: title.to_owned(),
        files: files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), text.clone()))
            .collect(),
    };
    let policy = || GOOD.to_owned();
    vec![
        case("no-policies", &[]),
        case("unreadable-directory", &[]),
        case(
            "undeclared-directory",
            &[("policy.yaml", policy()), ("team/", String::new())],
        ),
        case(
            "not-utf8",
            &[("policy.yaml", format!("{LATIN_1}# caf\u{e9}\n{GOOD}"))],
        ),
        case(
            "unreadable-file: too large",
            &[("policy.yaml", policy() + &" ".repeat(4 << 20))],
        ),
    ]
}

fn all_cases() -> BTreeMap<String, Vec<Case>> {
    let mut groups = BTreeMap::new();
    for entry in fs::read_dir(root().join("tests/mistakes")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        groups.insert(name, cases(&fs::read_to_string(path).unwrap()));
    }
    let files = groups.get_mut("files").unwrap();
    files.extend(cases_of_files());
    groups
}

#[test]
fn every_message_reads_as_it_is_kept() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("tests/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut others = Vec::new();
    for (group, cases) in all_cases() {
        let mut all = String::new();
        for case in &cases {
            let (codes, text) = case.printed();
            if !codes.contains(case.code()) {
                others.push(format!("{group}: {}:\n{text}", case.title));
            }
            writeln!(all, "=== {}\n\n{text}", case.title).unwrap();
        }
        settings.bind(|| insta::assert_snapshot!(group.as_str(), all));
    }
    assert!(
        others.is_empty(),
        "these bring about something else:\n{}",
        others.join("\n")
    );
}

fn sources(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            sources(&path, into);
        } else if name.ends_with(".rs") && name != "tests.rs" && name != "test_support.rs" {
            into.push(path);
        }
    }
}

/// The codes that the sources name: the first text behind a constructor, if nothing but space stands
/// between them.
fn codes_in(source: &str) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for constructor in ["error(", "warning(", "warning_in(", "global_error("] {
        for call in source.split(&format!("Diagnostic::{constructor}")).skip(1) {
            if let Some(literal) = call.trim_start().strip_prefix('"') {
                codes.insert(literal.split('"').next().unwrap().to_owned());
            }
        }
    }
    codes
}

#[test]
fn every_code_has_a_message_that_is_kept_and_a_place_in_the_reference() {
    let mut paths = Vec::new();
    sources(&root().join("src"), &mut paths);
    let mut named = BTreeSet::new();
    for path in paths {
        let text = fs::read_to_string(path).unwrap();
        // Doc tests and unit tests at the end of a file show diagnostics of their own.
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        named.extend(codes_in(text));
    }
    assert!(named.len() > 70, "only {named:?}");
    let groups = all_cases();
    let kept: BTreeSet<String> = groups
        .values()
        .flatten()
        .map(|case| case.code().to_owned())
        .chain(ELSEWHERE.map(str::to_owned))
        .collect();
    let missing: Vec<_> = named.difference(&kept).collect();
    assert!(
        missing.is_empty(),
        "write a policy for each of these codes into tests/mistakes: {missing:?}"
    );

    let reference = fs::read_to_string(root().join("docs/policy-reference.md")).unwrap();
    let (_, section) = reference.split_once("\n## Mistakes\n").unwrap();
    let listed: BTreeSet<String> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    let untold: Vec<_> = kept
        .union(&named)
        .filter(|code| !listed.contains(*code))
        .collect();
    assert!(
        untold.is_empty(),
        "docs/policy-reference.md, Mistakes, lacks {untold:?}"
    );
    let gone: Vec<_> = listed.iter().filter(|code| !kept.contains(*code)).collect();
    assert!(
        gone.is_empty(),
        "docs/policy-reference.md, Mistakes, has {gone:?}"
    );
}
