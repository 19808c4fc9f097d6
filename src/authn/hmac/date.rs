//! Dates in headers.

use chrono::{DateTime, NaiveDateTime};

/// IMF-fixdate (RFC 9110 section 5.6.7).
const FORMAT: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// Seconds since the epoch of `Sun, 06 Nov 1994 08:49:37 GMT`. The two obsolete forms, other spellings, a
/// wrong day of the week and leap seconds are `None`: a date that is signed has one reading.
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.len() != "Sun, 06 Nov 1994 08:49:37 GMT".len() {
        return None;
    }
    let seconds = NaiveDateTime::parse_from_str(text, FORMAT)
        .ok()?
        .and_utc()
        .timestamp();
    // The parser is more lenient than the format.
    (write(seconds)? == text).then_some(seconds)
}

/// The date of a time in seconds since the epoch; `None` outside the years 0 to 9999.
pub(super) fn write(seconds: i64) -> Option<String> {
    let text = DateTime::from_timestamp(seconds, 0)?
        .format(FORMAT)
        .to_string();
    (text.len() == "Sun, 06 Nov 1994 08:49:37 GMT".len()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{parse, write};

    #[test]
    fn reads_and_writes_imf_fixdate() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Tue, 01 Dec 2026 12:00:00 GMT", 1_796_126_400),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(seconds), "{text}");
            assert_eq!(write(seconds).as_deref(), Some(text));
        }
    }

    #[test]
    fn refuses_other_forms() {
        for bad in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 gmt",
            "Sun, 06 Nov 1994 08:49:60 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun,  6 Nov 1994 08:49:37 GMT",
            "Sun,06  Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sun, 30 Feb 2025 08:49:37 GMT",
            "Sun, 06 Nov +994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT,Sun, 06 Nov 1994 08:49:37 GMT",
            "1994-11-06T08:49:37.000000000",
            "784111777",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(&[0xff; 29]), None);
        assert_eq!(write(i64::MAX), None);
    }
}
