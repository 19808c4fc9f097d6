//! Whether files may have changed, told without reading them.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Timestamp;

/// How coarse the times of a file system may be: a file may change once more after it was looked at and
/// keep its time.
const GRAIN: Duration = Duration::from_secs(2);

/// What the file system says of a policy directory and of files beside it. Equal fingerprints mean that
/// nothing was changed, unless that happened within the grain of the file system's times: see
/// [`Fingerprint::is_recent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    directory: DirectoryStat,
    files: Vec<(PathBuf, Stat)>,
}

/// Links are followed: that a ConfigMap's files are now another generation's shows in their inodes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DirectoryStat {
    own: Stat,
    /// Where `..data` leads, in a directory that Kubernetes mounts.
    data: Option<PathBuf>,
    entries: Vec<(OsString, Stat)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stat {
    There {
        device: u64,
        inode: u64,
        length: u64,
        mode: u32,
        /// Seconds and nanoseconds since the epoch.
        modified: (i64, i64),
        /// The same of the inode: this one nobody can set back.
        changed: (i64, i64),
    },
    Not(ErrorKind),
}

impl Stat {
    fn of(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(metadata) => Self::There {
                device: metadata.dev(),
                inode: metadata.ino(),
                length: metadata.len(),
                mode: metadata.mode(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            },
            Err(error) => Self::Not(error.kind()),
        }
    }

    /// The last change, if that can be told.
    fn newest(&self) -> Option<Timestamp> {
        match *self {
            Self::There {
                modified, changed, ..
            } => {
                let (seconds, nanoseconds) = modified.max(changed);
                let micros = seconds
                    .saturating_mul(1_000_000)
                    .saturating_add(nanoseconds / 1_000);
                Some(Timestamp::from_micros(micros))
            }
            Self::Not(_) => None,
        }
    }
}

impl Fingerprint {
    /// Looks at a directory and at `files`, wherever they are. What is not there has a fingerprint, too.
    pub fn of<'p>(directory: &Path, files: impl IntoIterator<Item = &'p PathBuf>) -> Self {
        let mut entries = Self::entries(directory);
        // A tenant's directory, with the files in it.
        let mut below = Vec::new();
        for (name, _) in &entries {
            let inner = Self::entries(&directory.join(name)).into_iter();
            below.extend(
                inner.map(|(file, stat)| (PathBuf::from(name).join(file).into_os_string(), stat)),
            );
        }
        entries.extend(below);
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let files = files
            .into_iter()
            .map(|path| (path.clone(), Stat::of(path)))
            .collect();
        Self {
            directory: DirectoryStat {
                own: Stat::of(directory),
                data: fs::read_link(directory.join("..data")).ok(),
                entries,
            },
            files,
        }
    }

    /// What stands in a directory; nothing where there is none.
    fn entries(directory: &Path) -> Vec<(OsString, Stat)> {
        fs::read_dir(directory)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .map(|entry| entry.file_name())
            .filter(|name| !name.to_string_lossy().starts_with('.'))
            .map(|name| {
                let stat = Stat::of(&directory.join(&name));
                (name, stat)
            })
            .collect()
    }

    /// The entries of the directory that are not the same in both; those of directories in it read `name/file`,
    /// and the directory itself is an empty path.
    pub fn moved_entries<'s>(&'s self, other: &'s Self) -> BTreeSet<&'s Path> {
        let (one, other) = (&self.directory, &other.directory);
        let mut moved = moved(&one.entries, &other.entries);
        if (&one.own, &one.data) != (&other.own, &other.data) {
            moved.insert(Path::new(""));
        }
        moved
    }

    /// The files beside the directory that are not the same in both.
    pub fn moved_files<'s>(&'s self, other: &'s Self) -> BTreeSet<&'s Path> {
        moved(&self.files, &other.files)
    }

    /// Whether something changed so shortly before `now` (or after it, where clocks differ) that it may have
    /// changed again without a trace. Then only reading tells.
    pub fn is_recent(&self, now: Timestamp) -> bool {
        let stats = self.directory.entries.iter().map(|(_, stat)| stat);
        let files = self.files.iter().map(|(_, stat)| stat);
        let newest = stats
            .chain(files)
            .chain([&self.directory.own])
            .filter_map(Stat::newest)
            .max();
        newest.is_some_and(|newest| newest.plus(GRAIN) > now)
    }
}

/// What is in one of two lists and not in the other.
fn moved<'s, P: AsRef<Path>>(one: &'s [(P, Stat)], other: &'s [(P, Stat)]) -> BTreeSet<&'s Path> {
    let set = |stats: &'s [(P, Stat)]| -> HashSet<(&'s Path, &'s Stat)> {
        stats
            .iter()
            .map(|(path, stat)| (path.as_ref(), stat))
            .collect()
    };
    let (one, other) = (set(one), set(other));
    let moved = one.symmetric_difference(&other);
    moved.map(|(path, _)| *path).collect()
}

#[cfg(test)]
mod tests;
