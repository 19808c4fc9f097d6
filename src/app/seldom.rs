//! Log lines that others can bring about: one in a while, with the number of those that were left out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long nothing is said after something was.
const INTERVAL: Duration = Duration::from_secs(10);

/// Something that is said once in [`INTERVAL`] at most.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    held_back: u64,
}

impl Seldom {
    /// Whether to say it now: then how often it was not said since the last time.
    pub(super) fn due(&self, now: Instant) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = |last| now.saturating_duration_since(last) < INTERVAL;
        if said.last.is_some_and(rests) {
            said.held_back += 1;
            return None;
        }
        said.last = Some(now);
        Some(std::mem::take(&mut said.held_back))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{INTERVAL, Seldom};

    #[tokio::test(start_paused = true)]
    async fn says_how_much_was_not_said() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        assert_eq!(seldom.due(start), Some(0));
        assert_eq!(seldom.due(start), None);
        assert_eq!(seldom.due(start + INTERVAL / 2), None);
        assert_eq!(seldom.due(start + INTERVAL), Some(2));
        assert_eq!(seldom.due(start + INTERVAL * 2), Some(0));
    }
}
