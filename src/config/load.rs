//! Reads a policy directory: which files count, and what they say together.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::decode;
use crate::config::yaml;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::revocation::{Revocation, Revocations};
use crate::policy::source::PolicySet;

/// The most files of one directory.
const MAX_FILES: usize = 10_000;

/// Reads every policy file of a directory and merges what they say. Mistakes are pushed to `out`; the
/// answer holds what could be read in spite of them.
///
/// Entries that start with a dot are passed over: that is how Kubernetes keeps the generations of a
/// mounted ConfigMap (`..data`, `..2026_…`), whose files stand beside them as links.
pub fn directory(directory: &Path, out: &mut Diagnostics) -> PolicySet {
    let mut set = PolicySet::default();
    let files = policy_files(directory, out);
    if files.is_empty() && !out.has_errors() {
        out.push(
            Diagnostic::global_error(
                "no-policies",
                format!("{} holds no policy file", directory.display()),
            )
            .with_help("put at least one *.yaml file there; an empty directory is never read as \"no rules\""),
        );
    }
    for path in files {
        if let Some(file) = read(&path, out) {
            match yaml::parse(&file, &yaml::Limits::default()) {
                Ok(node) => decode::file(&node, path.parent().unwrap_or(directory), &mut set, out),
                Err(diagnostics) => out.extend(diagnostics),
            }
        }
    }
    set
}

/// What each file of a directory revokes. Read apart from everything else, so that a revocation counts
/// as soon as it is written, whatever mistakes stand beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationFiles(BTreeMap<PathBuf, Vec<Revocation>>);

impl RevocationFiles {
    /// Reads the files of `directory`. What cannot be read is taken from `previous`: of a file that is no
    /// YAML or holds a broken entry, of a directory that is away or empty. Only a file that is gone from a
    /// directory with others, or an entry that is gone from a readable file, is revoked no longer.
    #[must_use]
    pub fn read(directory: &Path, previous: &Self) -> Self {
        let mut unreadable = Diagnostics::default();
        let paths = policy_files(directory, &mut unreadable);
        if paths.is_empty() || unreadable.has_errors() {
            return previous.clone();
        }
        let mut files = BTreeMap::new();
        for path in paths {
            let node = read(&path, &mut Diagnostics::default())
                .and_then(|file| yaml::parse(&file, &yaml::Limits::default()).ok());
            let (mut revocations, whole) = match &node {
                Some(node) => decode::revocations(node),
                None => (Vec::new(), false),
            };
            if !whole {
                revocations.extend(previous.0.get(&path).into_iter().flatten().cloned());
            }
            files.insert(path, revocations);
        }
        Self(files)
    }

    /// All of them, indexed.
    pub fn index(&self) -> Revocations {
        Revocations::new(self.0.values().flatten().cloned())
    }
}

fn policy_files(directory: &Path, out: &mut Diagnostics) -> Vec<PathBuf> {
    let unreadable = |error: &std::io::Error| {
        Diagnostic::global_error(
            "unreadable-directory",
            format!(
                "cannot read the policy directory {}: {error}",
                directory.display()
            ),
        )
        .with_help("check the path (`--policies`) and that this user may read it")
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            out.push(unreadable(&error));
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                out.push(unreadable(&error));
                continue;
            }
        };
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if path.is_dir() {
            out.push(
                Diagnostic::global_error(
                    "undeclared-directory",
                    format!("{} is a directory", path.display()),
                )
                .with_help("policy files stand in the policy directory itself; subdirectories belong to tenants, which this version does not have"),
            );
        } else if is_yaml {
            files.push(path);
        } else if looks_like_yaml(&path) {
            out.push(
                Diagnostic::warning_in(
                    "ignored-file",
                    &path.display().to_string(),
                    "this file is not read: its name ends in neither `.yaml` nor `.yml`",
                )
                .with_help("rename it, or take it out of the policy directory"),
            );
        }
        if files.len() > MAX_FILES {
            let message = format!(
                "{} holds more than 10,000 policy files",
                directory.display()
            );
            out.push(Diagnostic::global_error("too-many-files", message));
            break;
        }
    }
    files.sort();
    files
}

/// Whether somebody may have meant a file to count: `ORDERS.YAML`, `orders.yaml.bak`.
fn looks_like_yaml(path: &Path) -> bool {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    name.split('.')
        .skip(1)
        .any(|part| matches!(part, "yaml" | "yml"))
}

fn read(
    path: &Path,
    out: &mut Diagnostics,
) -> Option<std::sync::Arc<crate::diagnostic::SourceFile>> {
    let name = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        Diagnostic::global_error("unreadable-file", format!("cannot read this file: {error}"))
            .in_file(name.clone())
    };
    let limit = yaml::Limits::default().max_bytes;
    let bytes = match fs::metadata(path).and_then(|metadata| {
        // Judged before reading, so that an endless or enormous file is not taken into memory.
        if !metadata.is_file() {
            return Err(std::io::Error::other("it is no regular file"));
        }
        if metadata.len() > limit as u64 {
            return Err(std::io::Error::other(format!(
                "it is larger than {limit} bytes"
            )));
        }
        fs::read(path)
    }) {
        Ok(bytes) => bytes,
        Err(error) => {
            out.push(unreadable(error));
            return None;
        }
    };
    match yaml::decode_utf8(&name, &bytes) {
        Ok(file) => Some(file),
        Err(diagnostic) => {
            out.push(diagnostic);
            None
        }
    }
}

#[cfg(test)]
mod tests;
