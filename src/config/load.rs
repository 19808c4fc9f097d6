//! Reads a policy directory: which files count, and what they say together.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::decode;
use crate::config::yaml;
use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile};
use crate::policy::revocation::{Revocation, Revocations};
use crate::policy::source::PolicySet;

/// The most files of one directory.
const MAX_FILES: usize = 10_000;

/// The policy files of a directory as they were at one moment: nothing of them is understood yet.
pub struct PolicyFiles {
    directory: PathBuf,
    files: Vec<(PathBuf, Result<Vec<u8>, String>)>,
    /// What is wrong with the directory itself.
    problems: String,
}

/// Reads every policy file of a directory and merges what they say. Mistakes are pushed to `out`; the
/// answer holds what could be read in spite of them.
pub fn directory(directory: &Path, out: &mut Diagnostics) -> PolicySet {
    PolicyFiles::read(directory, out).decode(out)
}

impl PolicyFiles {
    /// Reads the bytes of every policy file. That none is there, or that the directory cannot be read, is
    /// pushed to `out`.
    ///
    /// Entries that start with a dot are passed over: that is how Kubernetes keeps the generations of a
    /// mounted ConfigMap (`..data`, `..2026_…`), whose files stand beside them as links.
    pub fn read(directory: &Path, out: &mut Diagnostics) -> Self {
        let mut found = Diagnostics::default();
        let paths = policy_files(directory, &mut found);
        if paths.is_empty() && !found.has_errors() {
            found.push(
                Diagnostic::global_error(
                    "no-policies",
                    format!("{} holds no policy file", directory.display()),
                )
                .with_help("put at least one *.yaml file there; an empty directory is never read as \"no rules\""),
            );
        }
        let problems = found.render();
        out.append(found);
        let limit = yaml::Limits::default().max_bytes;
        let files = paths
            .into_iter()
            .map(|path| {
                let bytes = whole_file(&path, limit).and_then(|bytes| {
                    // What a program leaves between opening a file anew and writing it. Taken for a file that
                    // says nothing, it would take its rules away for that moment.
                    if bytes.is_empty() {
                        Err("it is empty".to_owned())
                    } else {
                        Ok(bytes)
                    }
                });
                (path, bytes)
            })
            .collect();
        Self {
            directory: directory.to_owned(),
            files,
            problems,
        }
    }

    /// What is wrong with the directory itself, as text; empty if nothing is.
    pub fn problems(&self) -> &str {
        &self.problems
    }

    /// Reads the YAML of all files and merges what it says.
    pub fn decode(&self, out: &mut Diagnostics) -> PolicySet {
        let mut set = PolicySet::default();
        for (path, bytes) in &self.files {
            if let Some(file) = decoded(path, bytes.as_deref(), out) {
                match yaml::parse(&file, &yaml::Limits::default()) {
                    Ok(node) => {
                        decode::file(
                            &node,
                            path.parent().unwrap_or(&self.directory),
                            &mut set,
                            out,
                        );
                    }
                    Err(diagnostics) => out.extend(diagnostics),
                }
            }
        }
        set
    }

    /// Each file's name in the directory, with its bytes or why they could not be read.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, Result<&[u8], &str>)> {
        self.files.iter().map(|(path, bytes)| {
            let name = path.strip_prefix(&self.directory).unwrap_or(path);
            (name, bytes.as_deref().map_err(String::as_str))
        })
    }
}

/// The bytes of a regular file of at most `limit` bytes.
///
/// # Errors
/// The text of why not. An endless or enormous file, or a pipe that nobody writes to, is never waited for.
pub fn whole_file(path: &Path, limit: usize) -> Result<Vec<u8>, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if metadata.len() > limit as u64 {
        return Err(format!("it is larger than {limit} bytes"));
    }
    fs::read(path).map_err(|error| error.to_string())
}

/// What each file of a directory revokes. Read apart from everything else, so that a revocation counts
/// as soon as it is written, whatever mistakes stand beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationFiles(BTreeMap<PathBuf, Vec<Revocation>>);

impl RevocationFiles {
    /// Of these files. What cannot be read is taken from `previous`: of a file that is no YAML or holds a
    /// broken entry, of a directory that is away or empty. Only a file that is gone from a directory with
    /// others, or an entry that is gone from a readable file, is revoked no longer.
    #[must_use]
    pub fn of(policies: &PolicyFiles, previous: &Self) -> Self {
        if policies.files.is_empty() {
            return previous.clone();
        }
        // Where the directory has mistakes, a file may be missing from the list and still be there.
        let mut files = match policies.problems() {
            "" => BTreeMap::new(),
            _ => previous.0.clone(),
        };
        for (path, bytes) in &policies.files {
            let node = decoded(path, bytes.as_deref(), &mut Diagnostics::default())
                .and_then(|file| yaml::parse(&file, &yaml::Limits::default()).ok());
            let (mut revocations, whole) = match &node {
                Some(node) => decode::revocations(node),
                None => (Vec::new(), false),
            };
            if !whole {
                revocations.extend(previous.0.get(path).into_iter().flatten().cloned());
            }
            files.insert(path.clone(), revocations);
        }
        Self(files)
    }

    /// These and all of `others`: what was revoked stays so.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        for (path, revocations) in &others.0 {
            let held = self.0.entry(path.clone()).or_default();
            for revocation in revocations {
                if !held.contains(revocation) {
                    held.push(revocation.clone());
                }
            }
        }
        self
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

fn decoded(
    path: &Path,
    bytes: Result<&[u8], &String>,
    out: &mut Diagnostics,
) -> Option<Arc<SourceFile>> {
    let name = path.display().to_string();
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("cannot read this file: {error}");
            out.push(Diagnostic::global_error("unreadable-file", message).in_file(name));
            return None;
        }
    };
    match yaml::decode_utf8(&name, bytes) {
        Ok(file) => Some(file),
        Err(diagnostic) => {
            out.push(diagnostic);
            None
        }
    }
}

#[cfg(test)]
mod tests;
