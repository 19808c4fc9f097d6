//! What the operating system tells of changes: a hint that makes reloading quick, and never more.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Which directory stood at a path when it was watched.
type Identity = (u64, u64);

/// Watches directories, without what lies below them.
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, Identity>,
    complained: bool,
}

impl Watch {
    /// Watches nothing yet. The receiver gets a word when something changed; any number of changes that
    /// nobody received are one.
    pub fn new() -> (Self, mpsc::Receiver<()>) {
        let (sender, receiver) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| !is_change(event.kind)) {
                return;
            }
            // Full: then a word is waiting already. Closed: the process ends.
            let _ = sender.try_send(());
        });
        let mut watch = Self {
            watcher: None,
            watched: BTreeMap::new(),
            complained: false,
        };
        match watcher {
            Ok(watcher) => watch.watcher = Some(watcher),
            Err(error) => watch.complain(&error),
        }
        (watch, receiver)
    }

    /// Watches these directories and no others. One that was replaced is watched anew; one that is not there
    /// is tried again the next time.
    pub fn follow(&mut self, directories: BTreeSet<PathBuf>) {
        let wanted: BTreeMap<PathBuf, Identity> = directories
            .into_iter()
            .filter_map(|path| Some((identity(&path)?, path)))
            .map(|(identity, path)| (path, identity))
            .collect();
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let is_gone = |path: &PathBuf, id: &Identity| wanted.get(path) != Some(id);
        for (path, _) in self.watched.extract_if(.., |path, id| is_gone(path, id)) {
            // It fails where the directory itself is gone, and the watch with it.
            let _ = watcher.unwatch(&path);
        }
        let mut refused = None;
        for (path, identity) in wanted {
            if self.watched.contains_key(&path) {
                continue;
            }
            match watcher.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(path, identity);
                }
                Err(error) => refused = Some(error),
            }
        }
        if let Some(error) = refused {
            self.complain(&error);
        }
    }

    fn complain(&mut self, error: &notify::Error) {
        if !self.complained {
            self.complained = true;
            tracing::warn!(%error, "the operating system does not tell of changed files; they are looked at every few seconds all the same");
        }
    }
}

/// Reading a file is an event, too, and we read them.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(path).ok()?;
    metadata.is_dir().then(|| (metadata.dev(), metadata.ino()))
}
