//! The tasks that keep key sets fresh: one for each set that somebody still needs.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::authn::key_set::KeySetCell;
use crate::clock::Clock;
use crate::http_client::HttpClient;
use crate::jwks::{self, Fetch};

/// How long a task that ended by itself stays away.
const RESTART: Duration = Duration::from_secs(1);

/// The running tasks. Dropping this ends them.
pub(super) struct Fetches {
    running: Vec<(Arc<KeySetCell>, AbortOnDrop)>,
    /// Made with the first set that is fetched from somewhere.
    http: Option<HttpClient>,
    clock: Arc<dyn Clock>,
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Fetches {
    pub(super) const fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            running: Vec::new(),
            http: None,
            clock,
        }
    }

    /// Starts a task for each of these that has none.
    ///
    /// # Errors
    /// The text of why there is no HTTP client. Then none is started.
    pub(super) fn start(&mut self, fetches: &[Fetch]) -> Result<(), String> {
        if self.http.is_none() && fetches.iter().any(|fetch| fetch.source.is_remote()) {
            self.http = Some(HttpClient::new().map_err(|error| error.to_string())?);
        }
        for fetch in fetches {
            if !self.runs(&fetch.cell) {
                let task = supervise(fetch.clone(), self.http.clone(), Arc::clone(&self.clock));
                let handle = AbortOnDrop(tokio::spawn(task).abort_handle());
                self.running.push((Arc::clone(&fetch.cell), handle));
            }
        }
        Ok(())
    }

    /// Ends the tasks of all sets but these.
    pub(super) fn keep_only<'f>(&mut self, fetches: impl Iterator<Item = &'f Fetch>) {
        let kept: Vec<_> = fetches.map(|fetch| Arc::as_ptr(&fetch.cell)).collect();
        self.running
            .retain(|(cell, _)| kept.contains(&Arc::as_ptr(cell)));
    }

    /// Whether a task fills this cell.
    pub(super) fn runs(&self, cell: &Arc<KeySetCell>) -> bool {
        self.running
            .iter()
            .any(|(other, _)| Arc::ptr_eq(other, cell))
    }
}

/// Keeps a key set fresh for as long as it is wanted: if the task panics, it is started again.
async fn supervise(fetch: Fetch, http: Option<HttpClient>, clock: Arc<dyn Clock>) {
    loop {
        let task = tokio::spawn(jwks::keep_fresh(
            fetch.clone(),
            http.clone(),
            Arc::clone(&clock),
        ));
        let guard = AbortOnDrop(task.abort_handle());
        let ended = task.await;
        drop(guard);
        fetch.cell.failed();
        tracing::error!(
            authenticator = fetch.authenticator,
            ?ended,
            "the task that fetches keys ended; starting it again"
        );
        tokio::time::sleep(RESTART).await;
    }
}
