//! Identifiers that Portcullis makes.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use crate::clock::Timestamp;

/// Names one decision everywhere it is told of: the caller's error body, the audit record, dynamic
/// metadata, traces. A ULID: 48 bits of milliseconds and 80 random bits in 26 characters that sort by
/// time. It proves nothing and is no secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DecisionId(ulid::Ulid);

impl DecisionId {
    /// An identifier for a decision taken at `now`.
    pub fn new(now: Timestamp) -> Self {
        let since = Duration::from_micros(u64::try_from(now.micros()).unwrap_or(0));
        let time = UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH);
        Self(ulid::Ulid::from_datetime(time))
    }

    /// The 26 characters, written into a buffer of the caller's.
    pub fn write_to<'b>(&self, buffer: &'b mut [u8; 26]) -> &'b str {
        self.0.array_to_str(buffer)
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::DecisionId;
    use crate::clock::Timestamp;

    #[test]
    fn sorts_by_time_and_never_repeats() {
        let early = DecisionId::new(Timestamp::from_seconds(1_700_000_000)).to_string();
        let late = DecisionId::new(Timestamp::from_seconds(1_700_000_001)).to_string();
        assert!(early < late);
        assert_eq!(early.len(), 26);
        let same = Timestamp::from_seconds(1_700_000_000);
        assert_ne!(DecisionId::new(same), DecisionId::new(same));
    }
}
