//! Reads a policy directory: which files count, and what they say together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::config::decode;
use crate::config::yaml;
use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile};
use crate::policy::case::Case;
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
    /// The subdirectories, which belong to tenants, by their names.
    tenants: BTreeMap<String, TenantFiles>,
}

/// The policy files of a tenant's directory, and what is wrong with it.
struct TenantFiles {
    policies: PolicyFiles,
    found: Diagnostics,
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
        let (mut policies, subdirectories) = Self::read_one(directory, out);
        for (name, path) in subdirectories {
            let mut found = Diagnostics::default();
            let (policies_of, below) = Self::read_one(&path, &mut found);
            for (_, path) in below {
                let message = format!("{} is a directory", path.display());
                found.push(
                    Diagnostic::global_error("undeclared-directory", message)
                        .with_help("a tenant's files stand in its directory itself"),
                );
            }
            let files = TenantFiles {
                policies: policies_of,
                found,
            };
            policies.tenants.insert(name, files);
        }
        policies
    }

    /// The files of one directory, and the directories in it.
    fn read_one(directory: &Path, out: &mut Diagnostics) -> (Self, Vec<(String, PathBuf)>) {
        let mut found = Diagnostics::default();
        let (paths, below) = policy_files(directory, &mut found);
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
        let policies = Self {
            directory: directory.to_owned(),
            files,
            problems,
            tenants: BTreeMap::new(),
        };
        (policies, below)
    }

    /// What each tenant's files say, with the mistakes in them.
    pub fn decode_tenants(&self) -> BTreeMap<String, TenantInputs> {
        let read = |(name, files): (&String, &TenantFiles)| {
            let mut problems = files.found.clone();
            let set = files.policies.decode(&mut problems);
            let inputs = TenantInputs {
                directory: files.policies.directory.clone(),
                set: Arc::new(set),
                problems,
            };
            (name.clone(), inputs)
        };
        self.tenants.iter().map(read).collect()
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

    /// Each file's name in the directory, with its bytes or why they could not be read; tenants' too.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, Result<&[u8], &str>)> {
        let tenants = self
            .tenants
            .values()
            .flat_map(|tenant| &tenant.policies.files);
        self.files.iter().chain(tenants).map(|(path, bytes)| {
            let name = path.strip_prefix(&self.directory).unwrap_or(path);
            (name, bytes.as_deref().map_err(String::as_str))
        })
    }

    /// What is wrong with the directory and with its tenants', as text; empty if nothing is.
    pub fn all_problems(&self) -> String {
        let tenants = self.tenants.values();
        let tenants = tenants.map(|tenant| tenant.policies.problems());
        std::iter::once(self.problems()).chain(tenants).collect()
    }
}

/// What a tenant's files say.
pub struct TenantInputs {
    /// Where they stand.
    pub directory: PathBuf,
    /// What was written.
    pub set: Arc<PolicySet>,
    /// The mistakes in it.
    pub problems: Diagnostics,
}

impl TenantInputs {
    /// Whether a file stands in its directory: what others keep is none of its business, and is not read for it.
    pub fn owns(&self, file: &Path) -> bool {
        let below = file.strip_prefix(&self.directory);
        below.is_ok_and(|below| !below.components().any(|part| part == Component::ParentDir))
    }
}

/// Reads files of tests that stand outside a policy directory: a file, or every policy file of a directory.
pub fn tests(path: &Path, cases: &mut Vec<Case>, out: &mut Diagnostics) {
    let paths = if path.is_dir() {
        policy_files(path, out).0
    } else {
        vec![path.to_owned()]
    };
    if paths.is_empty() {
        let message = format!("{} holds no file of tests", path.display());
        out.push(Diagnostic::global_error("no-tests", message));
    }
    for path in paths {
        let bytes = whole_file(&path, yaml::Limits::default().max_bytes);
        let bytes = bytes.as_deref();
        let Some(file) = decoded(&path, bytes, out) else {
            continue;
        };
        match yaml::parse(&file, &yaml::Limits::default()) {
            Ok(node) => decode::tests(&node, cases, out),
            Err(diagnostics) => out.extend(diagnostics),
        }
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
    let too_large = || Err(format!("it is larger than {limit} bytes"));
    if metadata.len() > limit as u64 {
        return too_large();
    }
    // It may grow meanwhile, and some files say nothing of their size.
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() > limit {
        return too_large();
    }
    Ok(bytes)
}

/// What each file of a directory revokes. Read apart from everything else, so that a revocation counts
/// as soon as it is written, whatever mistakes stand beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationFiles(BTreeMap<PathBuf, RevocationFile>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RevocationFile {
    tenant: Option<String>,
    revocations: Vec<Revocation>,
}

impl RevocationFiles {
    /// Of these files. What cannot be read is taken from `previous`: of a file that is no YAML or holds a
    /// broken entry, of a directory that is away or empty. Only a file that is gone from a directory with
    /// others, or an entry that is gone from a readable file, is revoked no longer.
    #[must_use]
    pub fn of(policies: &PolicyFiles, previous: &Self) -> Self {
        let mut files = BTreeMap::new();
        Self::add(&mut files, None, policies, previous);
        for (name, tenant) in &policies.tenants {
            Self::add(&mut files, Some(name), &tenant.policies, previous);
        }
        // A tenant's directory that is away says nothing.
        for (path, file) in &previous.0 {
            let away = |tenant: &String| !policies.tenants.contains_key(tenant);
            if file.tenant.as_ref().is_some_and(away) {
                files.insert(path.clone(), file.clone());
            }
        }
        Self(files)
    }

    fn add(
        into: &mut BTreeMap<PathBuf, RevocationFile>,
        tenant: Option<&String>,
        policies: &PolicyFiles,
        previous: &Self,
    ) {
        // Where the directory has mistakes or is empty, a file may be missing from the list and still be there.
        if !policies.problems.is_empty() || policies.files.is_empty() {
            let own = previous.0.iter();
            let own = own.filter(|(_, file)| file.tenant.as_ref() == tenant);
            into.extend(own.map(|(path, file)| (path.clone(), file.clone())));
        }
        for (path, bytes) in &policies.files {
            let node = decoded(path, bytes.as_deref(), &mut Diagnostics::default())
                .and_then(|file| yaml::parse(&file, &yaml::Limits::default()).ok());
            let (mut revocations, whole) = match &node {
                Some(node) => decode::revocations(node),
                None => (Vec::new(), false),
            };
            if !whole {
                let before = previous.0.get(path).into_iter();
                revocations.extend(before.flat_map(|file| &file.revocations).cloned());
            }
            let tenant = tenant.cloned();
            into.insert(
                path.clone(),
                RevocationFile {
                    tenant,
                    revocations,
                },
            );
        }
    }

    /// These and all of `others`: what was revoked stays so.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        for (path, other) in &others.0 {
            let file = self.0.entry(path.clone()).or_default();
            file.tenant.clone_from(&other.tenant);
            for revocation in &other.revocations {
                if !file.revocations.contains(revocation) {
                    file.revocations.push(revocation.clone());
                }
            }
        }
        self
    }

    /// All of them, indexed.
    pub fn index(&self) -> Revocations {
        let of = |tenant: Option<&String>| {
            let files = self.0.values();
            let files = files.filter(|file| file.tenant.as_ref() == tenant);
            let revocations = files.flat_map(|file| &file.revocations).cloned();
            revocations.collect::<Vec<_>>()
        };
        let tenants: BTreeSet<&String> = self
            .0
            .values()
            .filter_map(|file| file.tenant.as_ref())
            .collect();
        let root = Revocations::new(of(None));
        tenants.into_iter().fold(root, |all, tenant| {
            all.with_tenant(tenant, of(Some(tenant)))
        })
    }
}

/// The policy files of a directory, and the directories in it with their names.
fn policy_files(directory: &Path, out: &mut Diagnostics) -> (Vec<PathBuf>, Vec<(String, PathBuf)>) {
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
            return (Vec::new(), Vec::new());
        }
    };
    let (mut files, mut below) = (Vec::new(), Vec::new());
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
            let name = entry.file_name().to_string_lossy().into_owned();
            below.push((name, path));
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
    (files, below)
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
            let help = "check that this user may read it; a file that says nothing holds a comment at least";
            out.push(
                Diagnostic::global_error("unreadable-file", message)
                    .in_file(name)
                    .with_help(help),
            );
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
