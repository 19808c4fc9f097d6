//! Everything that one policy set is made of, as it was at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::config::fingerprint::Fingerprint;
use crate::config::load::{PolicyFiles, TenantInputs, whole_file};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::source::PolicySet;
use crate::secret::{Digest, Secret};

/// The longest file that a policy may refer to, in bytes.
const MAX_REFERRED_BYTES: usize = 4 * 1024 * 1024;

/// How often files that change while they are read are read again.
const ATTEMPTS: usize = 5;

/// The policies of a directory and the files that they refer to, read together.
pub struct Inputs {
    /// The policy files.
    pub policies: PolicyFiles,
    /// What was written.
    pub set: PolicySet,
    /// What each tenant wrote, by the names of their directories.
    pub tenants: BTreeMap<String, TenantInputs>,
    /// The files that all of them refer to.
    pub files: ReferredFiles,
    /// Equal where the contents of all files are equal, wherever they stand.
    pub digest: Digest,
    /// What the file system said of them.
    pub fingerprint: Fingerprint,
    /// Whether a secret that is not here is a mistake: it is for who serves. Who only looks at policies,
    /// where the secrets of those who serve are not, takes others in their place.
    pub needs_secrets: bool,
    /// Whether any of them kept changing while they were read: they have to be read again.
    pub moving: bool,
}

impl Inputs {
    /// Reads a policy directory. Mistakes are pushed to `out`.
    ///
    /// Files may change while they are read. They are looked at before and after, and read again if they
    /// moved, so that what is compiled never mixes two versions. If they keep moving, that is an error: of the
    /// tenant whose files they are, or of all where they are the root's.
    pub fn read(directory: &Path, out: &mut Diagnostics) -> Self {
        Self::read_while(directory, out, || {})
    }

    /// The same, with something that happens between reading the policies and reading what they refer to.
    fn read_while(directory: &Path, out: &mut Diagnostics, mut meanwhile: impl FnMut()) -> Self {
        let mut attempt = 1;
        loop {
            let mut found = Diagnostics::default();
            let before = Fingerprint::of(directory, []);
            let policies = PolicyFiles::read(directory, &mut found);
            let set = policies.decode(&mut found);
            meanwhile();
            let mut tenants = policies.decode_tenants();
            // What a tenant may not refer to is not even looked at; whoever compiles it says so.
            let referred = tenants.values().flat_map(|tenant| {
                let files = tenant.set.referred_files();
                files.filter(|file| tenant.owns(file))
            });
            let referred = set.referred_files().chain(referred);
            let paths: BTreeSet<PathBuf> = referred.map(Path::to_owned).collect();
            let between = Fingerprint::of(directory, &paths);
            let files = ReferredFiles::read(paths);
            let after = Fingerprint::of(directory, files.paths());
            let mut moved = Moved::default();
            moved.entries(before.moved_entries(&between), &tenants);
            moved.entries(between.moved_entries(&after), &tenants);
            moved.files(between.moved_files(&after), &set, &tenants);
            if moved.is_nothing() || attempt == ATTEMPTS {
                out.append(found);
                if moved.root {
                    out.push(files_moving(directory));
                }
                for tenant in &moved.tenants {
                    if let Some(tenant) = tenants.get_mut(tenant) {
                        tenant.problems.push(files_moving(&tenant.directory));
                    }
                }
                return Self {
                    digest: digest(directory, &policies, &files),
                    policies,
                    set,
                    tenants,
                    files,
                    fingerprint: after,
                    needs_secrets: true,
                    moving: !moved.is_nothing(),
                };
            }
            attempt += 1;
        }
    }

    /// The digest that [`Inputs::read`] would have, as long as the same files are referred to.
    pub fn digest_of(directory: &Path, referred: &BTreeSet<PathBuf>) -> Digest {
        let policies = PolicyFiles::read(directory, &mut Diagnostics::default());
        digest(directory, &policies, &ReferredFiles::read(referred.clone()))
    }
}

/// Whose files changed while they were read.
#[derive(Default)]
struct Moved {
    root: bool,
    tenants: BTreeSet<String>,
}

impl Moved {
    fn is_nothing(&self) -> bool {
        !self.root && self.tenants.is_empty()
    }

    /// Takes in what stands in the policy directory, as [`Fingerprint::moved_entries`] names it.
    fn entries(&mut self, moved: BTreeSet<&Path>, tenants: &BTreeMap<String, TenantInputs>) {
        for entry in moved {
            let first = entry.iter().next().unwrap_or_default().to_string_lossy();
            if tenants.contains_key(first.as_ref()) {
                self.tenants.insert(first.into_owned());
            } else {
                self.root = true;
            }
        }
    }

    /// Takes in what policies refer to.
    fn files(
        &mut self,
        moved: BTreeSet<&Path>,
        set: &PolicySet,
        tenants: &BTreeMap<String, TenantInputs>,
    ) {
        for file in moved {
            let refers = |set: &PolicySet| set.referred_files().any(|referred| referred == file);
            self.root |= refers(set);
            let theirs = tenants.iter().filter(|(_, tenant)| refers(&tenant.set));
            self.tenants.extend(theirs.map(|(name, _)| name.clone()));
        }
    }
}

fn files_moving(directory: &Path) -> Diagnostic {
    let message = format!(
        "the files of {} keep changing while they are read",
        directory.display()
    );
    Diagnostic::global_error("files-moving", message).with_help(
        "they are read again when they rest; write them beside the directory and move them into it",
    )
}

/// The digest of names and contents, and of what is wrong with the directory. Each part is hashed first, so that no two lists of parts read alike.
fn digest(directory: &Path, policies: &PolicyFiles, files: &ReferredFiles) -> Digest {
    let mut parts = Vec::new();
    let mut add = |name: &Path, bytes: Result<&[u8], &str>| {
        let name = name.strip_prefix(directory).unwrap_or(name);
        parts.extend_from_slice(Digest::of(name.as_os_str().as_encoded_bytes()).bytes());
        let (kind, bytes) = match bytes {
            Ok(bytes) => (b'+', bytes),
            Err(error) => (b'-', error.as_bytes()),
        };
        parts.push(kind);
        parts.extend_from_slice(Digest::of(bytes).bytes());
    };
    for (name, bytes) in policies.iter() {
        add(name, bytes);
    }
    for (path, bytes) in &files.0 {
        add(
            path,
            bytes.as_ref().map(Secret::expose).map_err(String::as_str),
        );
    }
    add(Path::new(""), Err(&policies.all_problems()));
    Digest::of(&parts)
}

/// The content of one file that policies refer to. May block.
///
/// # Errors
/// The text of why it could not be read, or is too large to be.
pub fn referred_file(path: &Path) -> Result<Secret, String> {
    whole_file(path, MAX_REFERRED_BYTES).map(Secret::new)
}

/// The contents of files that policies refer to: key sets, secrets.
#[derive(Default)]
pub struct ReferredFiles(BTreeMap<PathBuf, Result<Secret, String>>);

impl ReferredFiles {
    /// Reads files; one that cannot be read keeps the reason.
    pub fn read(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let read = |path: PathBuf| {
            let bytes = referred_file(&path);
            (path, bytes)
        };
        Self(paths.into_iter().map(read).collect())
    }

    /// The content of a file.
    ///
    /// # Errors
    /// The text of why it could not be read.
    pub fn get(&self, path: &Path) -> Result<&[u8], &str> {
        match self.0.get(path) {
            Some(bytes) => bytes.as_ref().map(Secret::expose).map_err(String::as_str),
            // Whoever refers to a file in a new way has to say so in `PolicySet::referred_files`.
            None => Err("it is not among the files that the policies refer to"),
        }
    }

    /// Whether a file is not among them at all.
    pub fn is_unread(&self, path: &Path) -> bool {
        !self.0.contains_key(path)
    }

    /// Those of `paths` that are among them, with what `before` holds where one is missing or was not read.
    pub fn or<'p>(&self, before: &Self, paths: impl Iterator<Item = &'p Path>) -> Self {
        let one = |path: &Path| {
            let now = self.0.get(path).filter(|read| read.is_ok());
            let any = now
                .or_else(|| before.0.get(path))
                .or_else(|| self.0.get(path))?;
            Some((path.to_owned(), any.clone()))
        };
        Self(paths.filter_map(one).collect())
    }

    /// Their paths, in order.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests;
