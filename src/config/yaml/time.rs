//! Durations and points in time.

use std::time::Duration;

use crate::diagnostic::{Diagnostic, Diagnostics, excerpt};

use super::decode::scalar;
use super::tree::Node;

/// A century: far above any sensible setting, and small enough that adding it to a date cannot overflow.
const MAX_DAYS: u64 = 36_500;
const SECONDS_PER_DAY: i64 = 86_400;
/// The last second of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// Reads a whole number with one of the units `ms`, `s`, `m`, `h` and `d`, such as `250ms` or `90d`; 0 up to 36500
/// days.
///
/// # Errors
/// Reports `bad-duration`, or `wrong-type` for a list or a mapping, and returns `None`.
pub fn duration(node: &Node, what: &str, out: &mut Diagnostics) -> Option<Duration> {
    let text = &scalar(node, what, "a duration such as `30s`", out)?.text;
    let problem = match parse_duration(text) {
        Ok(duration) => return Some(duration),
        Err(problem) => problem,
    };
    let shown = excerpt(text);
    let (message, help) = match problem {
        BadDuration::NoUnit => (
            format!("{what} is a duration, and `{shown}` has no unit"),
            format!(
                "say the unit, such as `{shown}s` for seconds; the units are ms, s, m, h and d"
            ),
        ),
        BadDuration::TooLong => (
            format!("{what} is longer than {MAX_DAYS} days"),
            format!("write a duration up to `{MAX_DAYS}d`"),
        ),
        BadDuration::Malformed => (
            format!("{what} must be a duration, and `{shown}` is none"),
            "write a whole number and one unit of ms, s, m, h and d, such as `90s`".to_owned(),
        ),
    };
    out.push(Diagnostic::error("bad-duration", &node.place, message).with_help(help));
    None
}

#[derive(Debug, PartialEq, Eq)]
enum BadDuration {
    NoUnit,
    TooLong,
    Malformed,
}

fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    let split = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(split).unwrap_or((text, ""));
    if digits.is_empty() {
        return Err(BadDuration::Malformed);
    }
    let milliseconds_each: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(BadDuration::NoUnit),
        _ => return Err(BadDuration::Malformed),
    };
    let count = digits
        .parse::<u64>()
        .map_err(|_overflow| BadDuration::TooLong)?;
    let milliseconds = count
        .checked_mul(milliseconds_each)
        .ok_or(BadDuration::TooLong)?;
    if milliseconds > MAX_DAYS * 86_400_000 {
        return Err(BadDuration::TooLong);
    }
    Ok(Duration::from_millis(milliseconds))
}

/// A date or a time as [`instant`] reads them, out of a text of its own: seconds since the epoch.
pub fn instant_of(text: &str) -> Option<i64> {
    parse_instant(text).ok()
}

/// Reads a point in time as seconds since 1970-01-01T00:00:00Z: RFC 3339 with its offset, a fraction of a second cut
/// off, or a bare date, which is its first second in UTC. From 1970 to the end of 9999; leap seconds are refused.
///
/// # Errors
/// Reports `bad-time`, or `wrong-type` for a list or a mapping, and returns `None`.
pub fn instant(node: &Node, what: &str, out: &mut Diagnostics) -> Option<i64> {
    let text = &scalar(node, what, "a time such as `2027-01-31T12:00:00Z`", out)?.text;
    let problem = match parse_instant(text) {
        Ok(seconds) => return Some(seconds),
        Err(problem) => problem,
    };
    let shown = excerpt(text);
    let (message, help) = match problem {
        BadInstant::NoOffset => (
            format!("{what} does not say which time zone `{shown}` is in"),
            format!("write `{shown}Z` for UTC, or an offset such as `{shown}+02:00`"),
        ),
        BadInstant::NoSuchTime => (
            format!("{what} is a time that does not exist: `{shown}`"),
            "check the day, the hour (00 to 23), the minute and the second (00 to 59)".to_owned(),
        ),
        BadInstant::OutOfRange => (
            format!("{what} must be from 1970 to 9999, and `{shown}` is not"),
            "check the year".to_owned(),
        ),
        BadInstant::Malformed => (
            format!("{what} must be a time, and `{shown}` is none"),
            "write a date such as `2027-01-31`, or a time such as `2027-01-31T12:00:00Z`"
                .to_owned(),
        ),
    };
    out.push(Diagnostic::error("bad-time", &node.place, message).with_help(help));
    None
}

#[derive(Debug, PartialEq, Eq)]
enum BadInstant {
    Malformed,
    NoSuchTime,
    NoOffset,
    OutOfRange,
}

fn parse_instant(text: &str) -> Result<i64, BadInstant> {
    let (date, rest) = text.split_at_checked(10).ok_or(BadInstant::Malformed)?;
    let days = parse_date(date)?;
    if rest.is_empty() {
        return Ok(days * SECONDS_PER_DAY);
    }
    let clock = rest.strip_prefix(['T', 't']).ok_or(BadInstant::Malformed)?;
    let (clock, rest) = clock.split_at_checked(8).ok_or(BadInstant::Malformed)?;
    let (hours, minutes) = parse_hours_minutes(clock.get(..5).unwrap_or_default())?;
    let seconds = match clock.as_bytes() {
        [.., b':', tens, ones] => number(&[*tens, *ones]).ok_or(BadInstant::Malformed)?,
        _ => return Err(BadInstant::Malformed),
    };
    if seconds > 59 {
        return Err(BadInstant::NoSuchTime);
    }
    let offset = match without_fraction(rest)? {
        "Z" | "z" => 0,
        "" => return Err(BadInstant::NoOffset),
        offset => parse_offset(offset)?,
    };
    let instant = days * SECONDS_PER_DAY + hours * 3_600 + minutes * 60 + seconds - offset;
    if (0..=LAST_SECOND).contains(&instant) {
        Ok(instant)
    } else {
        Err(BadInstant::OutOfRange)
    }
}

/// The days from 1970-01-01 to a date of the Gregorian calendar.
fn parse_date(date: &str) -> Result<i64, BadInstant> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date.as_bytes() else {
        return Err(BadInstant::Malformed);
    };
    let year = number(&[y1, y2, y3, y4]).ok_or(BadInstant::Malformed)?;
    let month = number(&[m1, m2]).ok_or(BadInstant::Malformed)?;
    let day = number(&[d1, d2]).ok_or(BadInstant::Malformed)?;
    if year < 1970 {
        return Err(BadInstant::OutOfRange);
    }
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return Err(BadInstant::NoSuchTime);
    }
    let past_years = year - 1;
    let leap_days = past_years / 4 - past_years / 100 + past_years / 400 - LEAP_DAYS_BEFORE_1970;
    let past_months: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
    Ok((year - 1970) * 365 + leap_days + past_months + day - 1)
}

/// 1969 / 4 - 1969 / 100 + 1969 / 400.
const LEAP_DAYS_BEFORE_1970: i64 = 477;

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn parse_hours_minutes(clock: &str) -> Result<(i64, i64), BadInstant> {
    let &[h1, h2, b':', m1, m2] = clock.as_bytes() else {
        return Err(BadInstant::Malformed);
    };
    let hours = number(&[h1, h2]).ok_or(BadInstant::Malformed)?;
    let minutes = number(&[m1, m2]).ok_or(BadInstant::Malformed)?;
    if hours > 23 || minutes > 59 {
        return Err(BadInstant::NoSuchTime);
    }
    Ok((hours, minutes))
}

fn without_fraction(rest: &str) -> Result<&str, BadInstant> {
    let Some(fraction) = rest.strip_prefix('.') else {
        return Ok(rest);
    };
    let offset = fraction.trim_start_matches(|character: char| character.is_ascii_digit());
    if offset.len() == fraction.len() {
        Err(BadInstant::Malformed)
    } else {
        Ok(offset)
    }
}

fn parse_offset(offset: &str) -> Result<i64, BadInstant> {
    let (sign, clock) = match offset.strip_prefix('-') {
        Some(clock) => (-1, clock),
        None => (1, offset.strip_prefix('+').ok_or(BadInstant::Malformed)?),
    };
    let (hours, minutes) = parse_hours_minutes(clock)?;
    Ok(sign * (hours * 3_600 + minutes * 60))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value: i64, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + i64::from(digit - b'0'))
    })
}
