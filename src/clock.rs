//! Time as an argument: nothing below the edges asks the operating system what time it is.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment in wall-clock time, in microseconds since the Unix epoch (UTC, leap seconds ignored).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From whole seconds since the epoch; saturates at the ends of what an `i64` of microseconds holds.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This moment and `by` more; saturates.
    pub fn plus(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(by))
    }

    /// As RFC 3339 in UTC with milliseconds: `2026-12-01T12:00:00.000Z`.
    pub fn to_rfc3339(self) -> String {
        let (year, month, day) = civil_from_days(self.0.div_euclid(86_400_000_000));
        let of_day = self.0.rem_euclid(86_400_000_000);
        let (hour, minute) = (of_day / 3_600_000_000, of_day / 60_000_000 % 60);
        let (second, milli) = (of_day / 1_000_000 % 60, of_day / 1_000 % 1_000);
        if !(0..=9999).contains(&year) {
            return format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
            );
        }
        // Digit by digit, without the machinery of `format!`: this is written for every decision.
        let mut text = String::with_capacity("2026-12-01T12:00:00.000Z".len());
        push_two_digits(&mut text, year / 100);
        for (number, then) in [
            (year % 100, '-'),
            (month, '-'),
            (day, 'T'),
            (hour, ':'),
            (minute, ':'),
            (second, '.'),
        ] {
            push_two_digits(&mut text, number);
            text.push(then);
        }
        push_two_digits(&mut text, milli / 10);
        text.push(digit(milli % 10));
        text.push('Z');
        text
    }
}

/// A number from 0 to 99 in two digits.
fn push_two_digits(text: &mut String, number: i64) {
    text.push(digit(number / 10));
    text.push(digit(number % 10));
}

/// A number from 0 to 9 as a digit.
fn digit(number: i64) -> char {
    u32::try_from(number)
        .ok()
        .and_then(|number| char::from_digit(number, 10))
        .unwrap_or('0')
}

/// Days since the epoch to a date of the proleptic Gregorian calendar, counted in eras of 400 years
/// that begin on the first of March, so that the leap day is the last of its year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Where time comes from: the operating system when serving, a fixed or stepped clock in tests.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock: for expiry, audit and anything written down.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary fixed point, never going back: for durations and deadlines.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the operating system"
    )]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the operating system"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that stands still until it is told to move: for tests, and for judging a request as of a
/// given moment.
#[derive(Debug)]
pub struct ManualClock {
    start: i64,
    micros: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `at`.
    pub fn at(at: Timestamp) -> Self {
        Self {
            start: at.0,
            micros: AtomicI64::new(at.0),
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.micros.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.micros.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        let passed = self
            .micros
            .load(Ordering::SeqCst)
            .saturating_sub(self.start);
        Duration::from_micros(u64::try_from(passed).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, ManualClock, Timestamp};
    use std::time::Duration;

    #[test]
    fn writes_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_796_126_400, "2026-12-01T12:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000Z"),
            (253_402_300_800, "10000-01-01T00:00:00.000Z"),
            (-62_167_219_200, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_201, "-001-12-31T23:59:59.000Z"),
            (4_102_444_800, "2100-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::from_seconds(seconds).to_rfc3339(), text);
        }
        assert_eq!(
            Timestamp::from_micros(1_234_567).to_rfc3339(),
            "1970-01-01T00:00:01.234Z"
        );
    }

    #[test]
    fn moves_only_when_told() {
        let clock = ManualClock::at(Timestamp::from_seconds(100));
        assert_eq!(clock.now(), Timestamp::from_seconds(100));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now().micros(), 101_500_000);
        assert_eq!(clock.monotonic(), Duration::from_millis(1_500));
    }
}
