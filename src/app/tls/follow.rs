//! Certificates that change while the process runs: the newest that are good are used, and nothing is
//! dropped for them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::time::MissedTickBehavior;

use crate::app::tls::material::{Contents, Terms};
use crate::app::tls::{Loaded, Terminator, Unusable};
use crate::reload::watch::Watch;
use crate::secret::Digest;

/// How often the files are looked at, whatever the operating system tells of them.
const POLL: Duration = Duration::from_secs(3);

/// How long files rest after a hint before they are read: a certificate and its key are often written one
/// after the other.
const QUIET: Duration = Duration::from_millis(100);

/// Takes changed certificates over, on a hint of the operating system, when polled and on SIGHUP. Never
/// ends by itself.
pub(in crate::app) async fn follow(loaded: Loaded, mut hangup: Signal) {
    let (watch, mut hints) = Watch::new();
    let follower = Arc::new(Mutex::new((Follower::new(loaded), watch)));
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let follower = Arc::clone(&follower);
        // Reading may block. A fault of ours in there leaves what serves as it is.
        let looked = tokio::task::spawn_blocking(move || {
            let mut locked = follower.lock().unwrap_or_else(PoisonError::into_inner);
            let (follower, watch) = &mut *locked;
            watch.follow(follower.directories());
            follower.look();
        });
        if let Err(error) = looked.await {
            tracing::error!(%error, "looking at the certificates failed");
        }
        tokio::select! {
            _ = poll.tick() => {}
            _ = hangup.recv() => {}
            Some(()) = hints.recv() => {
                tokio::time::sleep(QUIET).await;
                // All that came meanwhile is read together.
                while hints.try_recv().is_ok() {}
            }
        }
    }
}

/// Compares what is there with what is in use.
pub(super) struct Follower {
    terminator: Arc<Terminator>,
    /// Of what is in use.
    used: Digest,
    /// What was told to be wrong last: it is told once.
    told: Option<(Option<Digest>, Unusable)>,
}

impl Follower {
    pub(super) fn new(loaded: Loaded) -> Self {
        Self {
            terminator: loaded.terminator,
            used: loaded.digest,
            told: None,
        }
    }

    /// The directories in which something may change. What a link points to lies elsewhere: where that is
    /// swapped without a change here, the poll sees it.
    fn directories(&self) -> BTreeSet<std::path::PathBuf> {
        let paths = self.terminator.settings.files.paths();
        let parents = paths.filter_map(Path::parent);
        parents
            .map(|parent| match parent.as_os_str().is_empty() {
                true => Path::new(".").to_owned(),
                false => parent.to_owned(),
            })
            .collect()
    }

    /// Looks at the files, and takes over what is new and good. Blocks.
    pub(super) fn look(&mut self) {
        let contents = match Contents::read(&self.terminator.settings.files) {
            Ok(contents) => contents,
            Err(error) => return self.refuse(None, error),
        };
        let digest = contents.digest();
        if digest == self.used {
            // Also when something was wrong in between.
            self.told = None;
            self.terminator.state.stale.store(false, Ordering::Relaxed);
            return;
        }
        match self.terms(&contents) {
            Ok(terms) => self.take(digest, terms),
            Err(error) => self.refuse(Some(digest), error),
        }
    }

    fn terms(&self, contents: &Contents) -> Result<Terms, Unusable> {
        let settings = &self.terminator.settings;
        let clock = &self.terminator.clock;
        let terms = Terms::of(&settings.files, contents, &settings.client_names, clock)?;
        let now = clock.now();
        if terms.not_after < now && self.terminator.shown().not_after >= now {
            let at = terms.not_after.to_rfc3339();
            return Err(Unusable::Expired(settings.files.certificate(), at));
        }
        Ok(terms)
    }

    fn take(&mut self, digest: Digest, terms: Terms) {
        self.used = digest;
        self.told = None;
        self.terminator.terms.send_replace(Arc::new(terms));
        let state = &self.terminator.state;
        state.loaded.fetch_add(1, Ordering::Relaxed);
        state.stale.store(false, Ordering::Relaxed);
        let not_after = self.terminator.shown().not_after.to_rfc3339();
        tracing::info!(not_after, "changed certificates are taken over");
        self.terminator.warn_if_expired();
    }

    fn refuse(&mut self, digest: Option<Digest>, error: Unusable) {
        let state = &self.terminator.state;
        state.stale.store(true, Ordering::Relaxed);
        let problem = (digest, error);
        if self.told.as_ref() != Some(&problem) {
            state.failed.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                error = %problem.1,
                "changed certificates cannot be used; the last good ones serve on"
            );
            self.told = Some(problem);
        }
    }
}
