//! What the documents say is held to the program: their YAML loads, their commands run, their lists are whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use portcullis::authn::jwt::token_cache;
use portcullis::clock::Timestamp;
use portcullis::config::inputs::Inputs;
use portcullis::diagnostic::Diagnostics;
use portcullis::policy::compile::lint::lint;
use portcullis::snapshot::Snapshot;
use portcullis::verdict::Reason;
use tempfile::TempDir;

/// A fenced block of a document.
struct Block {
    document: String,
    line: usize,
    /// What stands behind the opening fence: `yaml policy`.
    info: Vec<String>,
    text: String,
}

impl Block {
    fn place(&self) -> String {
        format!("{}:{}", self.document, self.line)
    }

    fn language(&self) -> &str {
        self.info.first().map_or("", String::as_str)
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every document, by its path from the root.
fn documents() -> BTreeMap<String, String> {
    let mut names: Vec<String> = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "k8s/README.md",
    ]
    .map(str::to_owned)
    .to_vec();
    for directory in ["docs", "docs/clients"] {
        for entry in std::fs::read_dir(root().join(directory)).expect("the directory is there") {
            let name = entry.expect("an entry").file_name();
            let name = name.to_str().expect("document names are text");
            if name.ends_with(".md") {
                names.push(format!("{directory}/{name}"));
            }
        }
    }
    names
        .into_iter()
        .map(|name| {
            let text = read(&root().join(&name));
            (name, text)
        })
        .collect()
}

fn document(name: &str) -> String {
    read(&root().join(name))
}

fn blocks_of(document: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        open = match (open, fence) {
            (None, None) => None,
            (None, Some(info)) => Some(Block {
                document: document.to_owned(),
                line: index + 1,
                info: info.split_whitespace().map(str::to_owned).collect(),
                text: String::new(),
            }),
            (Some(block), Some(_)) => {
                blocks.push(block);
                None
            }
            (Some(mut block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
                Some(block)
            }
        };
    }
    assert!(open.is_none(), "{document}: a block is never closed");
    blocks
}

fn blocks() -> Vec<Block> {
    documents()
        .iter()
        .flat_map(|(name, text)| blocks_of(name, text))
        .collect()
}

/// The text outside of fenced blocks.
fn prose(text: &str) -> String {
    let mut inside = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

/// The binary, without the settings of whoever runs the tests.
fn portcullis(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(directory);
    for (name, _) in std::env::vars_os() {
        if name == "RUST_LOG" || name.to_string_lossy().starts_with("PORTCULLIS_") {
            command.env_remove(name);
        }
    }
    command
}

fn told(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn assert_loads(directory: &Path, whose: &str) {
    let mut diagnostics = Diagnostics::default();
    let snapshot = Snapshot::build(directory, &token_cache(0), None, &mut diagnostics);
    // What stands in a page is one file: the tenants that it declares have theirs elsewhere.
    let told = diagnostics
        .iter()
        .filter(|told| told.code != "tenant-without-files");
    let told: Vec<&str> = told.map(|told| told.code).collect();
    assert!(
        snapshot.is_some() && told.is_empty(),
        "{whose} does not load:\n{}",
        diagnostics.render()
    );
}

/// An excerpt may leave out who calls; anything else that is warned of is no example.
fn assert_unsuspicious(directory: &Path, whose: &str) {
    let mut found = Diagnostics::default();
    let inputs = Inputs::read(directory, &mut found);
    let now = Timestamp::from_seconds(1_795_000_000);
    let tenants = inputs.tenants.values().map(|tenant| tenant.set.as_ref());
    lint(&inputs.set, &tenants.collect::<Vec<_>>(), now, &mut found);
    let left_out = ["no-keys", "consumer-without-credentials"];
    assert!(
        found.iter().all(|one| left_out.contains(&one.code)),
        "{whose}:\n{}",
        found.render()
    );
}

fn copy_of_shop(directory: &Path) {
    let to = directory.join("policies");
    std::fs::create_dir(&to).expect("can be made");
    for entry in std::fs::read_dir(root().join("policies/shop")).expect("it is there") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("can be copied");
    }
}

/// What a page refers to by `{file: ../secrets/NAME}`: a public key where the name ends in `.pem`, else a
/// secret of a form that every service's webhooks take.
fn write_secrets(directory: &Path, text: &str) {
    let secrets = directory.join("secrets");
    std::fs::create_dir(&secrets).expect("can be made");
    for rest in text.split("{file: ../secrets/").skip(1) {
        let name = rest.split('}').next().unwrap_or_default();
        let content = if name.ends_with(".pem") {
            read(&root().join("src/authn/http_signature/tests/keys/ed25519.pub.pem"))
        } else {
            // No two secrets of one webhook may be the same.
            let different: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            format!("whsec_{different:a<64.64}")
        };
        std::fs::write(secrets.join(name), content).expect("can be written");
    }
}

#[test]
fn every_yaml_block_says_what_it_is_and_is_that() {
    let mut seen = BTreeSet::new();
    for block in blocks() {
        if !matches!(block.language(), "yaml" | "yml") {
            continue;
        }
        let place = block.place();
        let [_, kind] = block.info.as_slice() else {
            panic!("{place}: say which kind of YAML this is: ```yaml policy");
        };
        seen.insert(kind.clone());
        match kind.as_str() {
            "policy" => {
                let directory = TempDir::new().expect("a temporary directory");
                let policies = directory.path().join("policies");
                std::fs::create_dir(&policies).expect("can be made");
                std::fs::write(policies.join("policy.yaml"), &block.text).expect("can be written");
                write_secrets(directory.path(), &block.text);
                assert_loads(&policies, &place);
                assert_unsuspicious(&policies, &place);
            }
            "settings" => settings_are_accepted(&block),
            // Envoy's, Kubernetes' and Prometheus' own words: only that they can be read is known here.
            "envoy" | "prometheus" => {
                let read: Result<serde_json::Value, _> = serde_yaml::from_str(&block.text);
                assert!(
                    read.as_ref().is_ok_and(|value| !value.is_null()),
                    "{place}: {read:?}"
                );
            }
            other => panic!("{place}: there is no kind of YAML called {other}"),
        }
    }
    let all = ["envoy", "policy", "prometheus", "settings"].map(str::to_owned);
    assert_eq!(seen, BTreeSet::from(all));
}

/// A settings file that is understood gets as far as the policies, which are not there.
fn settings_are_accepted(block: &Block) {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("settings.yaml");
    std::fs::write(&file, &block.text).expect("can be written");
    let output = portcullis(directory.path())
        .args([
            "serve",
            "--settings",
            "settings.yaml",
            "--policies",
            "nowhere",
        ])
        .output()
        .expect("the binary runs");
    assert_eq!(
        output.status.code(),
        Some(78),
        "{}: {}",
        block.place(),
        told(&output)
    );
}

#[test]
fn every_printed_command_runs() {
    let mut run = 0;
    for block in blocks() {
        if block.language() != "console" {
            continue;
        }
        let mut expected = 0;
        for word in block.info.iter().skip(1) {
            let code = word
                .strip_prefix("exit=")
                .and_then(|code| code.parse().ok());
            expected = code.unwrap_or_else(|| panic!("{}: {word}", block.place()));
        }
        let directory = TempDir::new().expect("a temporary directory");
        copy_of_shop(directory.path());
        for line in block.text.lines() {
            let Some(arguments) = line.strip_prefix("$ portcullis ") else {
                continue;
            };
            assert!(
                !arguments.contains(['|', '>', '\\', '\'', '"', '$', '&', '#']),
                "{}: only words, no shell: {line}",
                block.place()
            );
            let output = portcullis(directory.path())
                .args(arguments.split_whitespace())
                .output()
                .expect("the binary runs");
            assert_eq!(
                output.status.code(),
                Some(expected),
                "{}: {line}: {}",
                block.place(),
                told(&output)
            );
            run += 1;
        }
    }
    assert!(run >= 3, "only {run} commands were found");
}

#[test]
fn the_printed_explanations_are_what_is_told() {
    let page = "docs/explain.md";
    let mut compared = 0;
    for block in blocks_of(page, &document(page)) {
        let Some((command, printed)) = block.text.split_once('\n') else {
            continue;
        };
        let Some(arguments) = command.strip_prefix("$ portcullis ") else {
            continue;
        };
        let directory = TempDir::new().expect("a temporary directory");
        copy_of_shop(directory.path());
        let output = portcullis(directory.path())
            .args(arguments.split_whitespace())
            .output()
            .expect("the binary runs");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(told, printed, "{}", block.place());
        compared += 1;
    }
    assert_eq!(compared, 3);
}

/// A flag of `serve` as its help tells of it.
#[derive(Debug, Default)]
struct Flag {
    variable: Option<String>,
    default: Option<String>,
}

fn flags_of_serve() -> BTreeMap<String, Flag> {
    let output = portcullis(&root())
        .args(["serve", "--help"])
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", told(&output));
    let help = String::from_utf8(output.stdout).expect("help is text");
    let mut flags: BTreeMap<String, Flag> = BTreeMap::new();
    let mut last = String::new();
    for line in help.lines() {
        let line = line.trim();
        if let Some(flag) = line.split_whitespace().find(|word| word.starts_with("--"))
            && (line.starts_with("--") || line.starts_with("-h, --"))
        {
            last = flag.to_owned();
            flags.insert(last.clone(), Flag::default());
        } else if let Some(flag) = flags.get_mut(&last) {
            let inside = |what: &str| line.strip_prefix(what)?.strip_suffix(']');
            if let Some(variable) = inside("[env: ") {
                flag.variable = Some(variable.trim_end_matches('=').to_owned());
            } else if let Some(default) = inside("[default: ") {
                flag.default = Some(default.to_owned());
            }
        }
    }
    flags.remove("--help");
    assert!(flags.len() > 10, "only {flags:?}");
    flags
}

#[test]
fn the_settings_page_lists_every_flag_with_its_variable_key_and_default() {
    let page = document("docs/settings.md");
    let flags = flags_of_serve();
    let mut listed = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| `--")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let flag = cells[1].trim_matches('`');
        listed.insert(flag.to_owned());
        let Some(known) = flags.get(flag) else {
            panic!("`serve` has no {flag}");
        };
        let key = flag.trim_start_matches('-').replace('-', "_");
        let variable = format!("PORTCULLIS_{}", key.to_uppercase());
        assert_eq!(known.variable.as_deref(), Some(variable.as_str()), "{flag}");
        assert!(cells[2].contains(&format!("`{variable}`")), "{row}");
        if flag != "--settings" {
            assert_eq!(cells[3], format!("`{key}`"), "{row}");
        }
        if let Some(default) = &known.default {
            assert_eq!(cells[4], format!("`{default}`"), "{row}");
        }
    }
    let known: BTreeSet<String> = flags.into_keys().collect();
    assert_eq!(listed, known, "docs/settings.md on the left");
    for word in page.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
        let is_flag = word.starts_with("--") && word.len() > 2 && !word.starts_with("---");
        assert!(!is_flag || known.contains(word), "`serve` has no {word}");
    }
}

#[test]
fn the_reasons_page_lists_every_reason_with_its_class_and_status() {
    let page = document("docs/reasons.md");
    let mut rows = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<String> = row.split('|').map(|cell| cell.trim().to_owned()).collect();
        let name = cells[1].trim_matches('`').to_owned();
        assert!(rows.insert(name, cells).is_none(), "twice: {row}");
    }
    for reason in Reason::ALL {
        let name = reason.as_str();
        let Some(cells) = rows.remove(name) else {
            panic!("docs/reasons.md lacks {name}");
        };
        assert_eq!(cells[2], format!("`{}`", reason.class().as_str()), "{name}");
        assert_eq!(cells[3], reason.class().status().to_string(), "{name}");
        assert!(
            cells[4..cells.len() - 1]
                .iter()
                .all(|cell| !cell.is_empty()),
            "{name}: say what it means and what to do"
        );
    }
    assert!(rows.is_empty(), "no such reasons: {:?}", rows.keys());
}

/// What a heading is called in a link.
fn slug(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let documents = documents();
    let mut followed = 0;
    for (name, text) in &documents {
        let here = root().join(name);
        let folder = here.parent().expect("a document is in a directory");
        for target in prose(text).split("](").skip(1) {
            let target = target.split(')').next().unwrap_or_default();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() {
                here.clone()
            } else {
                folder.join(path)
            };
            assert!(path.exists(), "{name}: {target} leads nowhere");
            followed += 1;
            if !anchor.is_empty() {
                let page = prose(&read(&path));
                let headings: Vec<String> = page
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(slug)
                    .collect();
                assert!(
                    headings.iter().any(|heading| heading == anchor),
                    "{name}: {target}: there is {headings:?}"
                );
            }
        }
    }
    assert!(followed > 20, "only {followed} links were found");
}

#[test]
fn the_policies_that_ship_load() {
    for directory in ["policies/shop", "policies/starter", "k8s/base/policies"] {
        assert_loads(&root().join(directory), directory);
        let output = portcullis(&root())
            .args(["check", directory, "--deny-warnings"])
            .args(["--now", "2026-12-01"])
            .output()
            .expect("the binary runs");
        assert!(output.status.success(), "{directory}: {}", told(&output));
    }
    // As the projected volume of the overlay lays them out.
    let mounted = tempfile::tempdir().expect("a directory");
    let copy = |from: &str, to: &str| {
        let to = mounted.path().join(to);
        std::fs::create_dir_all(to.parent().expect("a parent")).expect("can be made");
        std::fs::copy(root().join(from), to).expect("can be copied");
    };
    copy("k8s/tenants/policies/root.yaml", "root.yaml");
    copy(
        "k8s/tenants/payments/policies.yaml",
        "payments/policies.yaml",
    );
    assert_loads(mounted.path(), "k8s/tenants");
}

fn gather_sources(directory: &Path, into: &mut String) {
    for entry in std::fs::read_dir(directory).expect("can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather_sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&read(&path));
        }
    }
}

/// Backquoted names in the last column of the page's tables; `h5_*` stands for every test so begun.
#[test]
fn the_tests_that_past_mistakes_names_exist() {
    let mut sources = String::new();
    gather_sources(&root().join("src"), &mut sources);
    gather_sources(&root().join("tests"), &mut sources);
    let mut named = 0;
    for row in document("docs/past-mistakes.md")
        .lines()
        .filter(|line| line.starts_with('|'))
    {
        let Some(tests) = row.trim_end_matches('|').rsplit('|').next() else {
            continue;
        };
        for test in tests.split('`').skip(1).step_by(2) {
            let wanted = match test.strip_suffix('*') {
                Some(beginning) => format!("fn {beginning}"),
                None => format!("fn {test}("),
            };
            assert!(sources.contains(&wanted), "there is no test {test}: {row}");
            named += 1;
        }
    }
    assert!(named > 20, "only {named} tests are named");
}
