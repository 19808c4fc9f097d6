//! One reload for a burst of changes, and none put off for ever.

use std::time::Duration;

/// How long files must rest before they are read.
pub(super) const QUIET: Duration = Duration::from_millis(100);

/// How long they are waited for if they do not rest.
pub(super) const AT_MOST: Duration = Duration::from_secs(1);

/// When changes that were noticed are acted upon. Times are of one monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Debounce {
    first_and_last: Option<(Duration, Duration)>,
}

impl Debounce {
    /// A change was noticed.
    pub(super) fn note(&mut self, now: Duration) {
        let first = self.first_and_last.map_or(now, |(first, _)| first);
        self.first_and_last = Some((first, now));
    }

    /// When to act, if there is anything to act upon.
    pub(super) fn due(&self) -> Option<Duration> {
        self.first_and_last
            .map(|(first, last)| (last + QUIET).min(first + AT_MOST))
    }

    /// It was acted upon.
    pub(super) fn clear(&mut self) {
        self.first_and_last = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AT_MOST, Debounce, QUIET};

    #[test]
    fn a_burst_is_one_change_and_constant_changes_are_not_waited_for() {
        let millis = Duration::from_millis;
        for (noticed, due) in [
            (&[][..], None),
            (&[5_000], Some(millis(5_000) + QUIET)),
            (&[5_000, 5_010, 5_050], Some(millis(5_050) + QUIET)),
            (&[5_000, 5_500, 5_950], Some(millis(5_000) + AT_MOST)),
        ] {
            let mut debounce = Debounce::default();
            for &at in noticed {
                debounce.note(millis(at));
            }
            assert_eq!(debounce.due(), due, "{noticed:?}");
            debounce.clear();
            assert_eq!(debounce.due(), None);
            debounce.note(millis(9_000));
            assert_eq!(
                debounce.due(),
                Some(millis(9_000) + QUIET),
                "it begins anew"
            );
        }
    }
}
