//! The time of a signature, which has one spelling in what is signed.

use chrono::{DateTime, NaiveDateTime};

/// ISO 8601, basic format.
const BASIC: &str = "%Y%m%dT%H%M%SZ";

/// IMF-fixdate (RFC 9110 section 5.6.7), without its zone.
const IMF: &str = "%a, %d %b %Y %H:%M:%S";

/// How UTC is written after such a date: as RFC 9110 has it, and as RFC 5322 section 3.3 has it, which is
/// what AWS's own SDK for Python writes.
const ZONES: [&str; 3] = [" GMT", " -0000", " +0000"];

/// A second, and its text in the basic format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Time {
    text: Box<str>,
    seconds: i64,
}

impl Time {
    /// Reads `20260131T235959Z`. Other spellings, days that no month has and leap seconds are `None`.
    pub(super) fn basic(text: &[u8]) -> Option<Self> {
        Self::parse(text, BASIC)
    }

    /// Reads `Sat, 31 Jan 2026 23:59:59 GMT`; as strictly.
    pub(super) fn imf_fixdate(text: &[u8]) -> Option<Self> {
        let strip = |zone: &&str| text.strip_suffix(zone.as_bytes());
        Self::parse(ZONES.iter().find_map(strip)?, IMF)
    }

    /// The time of so many seconds since the epoch; `None` outside the years 0 to 9999.
    pub(super) fn at(seconds: i64) -> Option<Self> {
        let text = DateTime::from_timestamp(seconds, 0)?
            .format(BASIC)
            .to_string();
        (text.len() == "20260131T235959Z".len()).then(|| Self {
            text: text.into(),
            seconds,
        })
    }

    fn parse(text: &[u8], format: &str) -> Option<Self> {
        // The longest spelling of either format; what is longer is not worth a parser's time.
        if text.len() > "Sat, 31 Jan 2026 23:59:59".len() {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let read = NaiveDateTime::parse_from_str(text, format).ok()?.and_utc();
        let seconds = read.timestamp();
        // The parser is more lenient than the format, and takes leap seconds.
        let written = DateTime::from_timestamp(seconds, 0)?.format(format);
        (written.to_string() == text).then(|| Self::at(seconds))?
    }

    /// In the basic format.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Since the epoch.
    pub(super) const fn seconds(&self) -> i64 {
        self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn reads_and_writes_the_basic_format() {
        for (text, seconds) in [
            ("20150830T123600Z", 1_440_938_160),
            ("19700101T000000Z", 0),
            ("20000229T235959Z", 951_868_799),
            ("20261201T120000Z", 1_796_126_400),
            ("99991231T235959Z", 253_402_300_799),
        ] {
            let time = Time::basic(text.as_bytes()).unwrap();
            assert_eq!(time.seconds(), seconds, "{text}");
            assert_eq!(time.text(), text);
            assert_eq!(Time::at(seconds), Some(time));
        }
        assert_eq!(Time::at(i64::MAX), None);
        assert_eq!(Time::at(253_402_300_800), None);
    }

    #[test]
    fn refuses_other_spellings() {
        for bad in [
            "",
            "20150830",
            "20150830T1236Z",
            "20150830T123600",
            "20150830T123600z",
            "20150830t123600Z",
            "20150830T123660Z",
            "20150830T240000Z",
            "20150830T126000Z",
            "20150229T123600Z",
            "20151301T123600Z",
            "20150800T123600Z",
            "20150830T123600.0Z",
            "20150830T123600+0000",
            " 20150830T123600Z",
            "20150830T123600Z ",
            "+2015083T123600Z",
            "2015 830T123600Z",
            "2015-08-30T12:36:00Z",
            "20150830T123600Z,20150830T123600Z",
            "１0150830T1236Z",
        ] {
            assert_eq!(Time::basic(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Time::basic(&[0xff; 16]), None);
    }

    #[test]
    fn reads_dates_of_headers() {
        for text in [
            "Sun, 30 Aug 2015 12:36:00 GMT",
            "Sun, 30 Aug 2015 12:36:00 -0000",
            "Sun, 30 Aug 2015 12:36:00 +0000",
        ] {
            let time = Time::imf_fixdate(text.as_bytes()).unwrap();
            assert_eq!(time.text(), "20150830T123600Z", "{text}");
        }
        for bad in [
            "Sun, 30 Aug 2015 12:36:00",
            "Sun, 30 Aug 2015 12:36:00 +0100",
            "Sun, 30 Aug 2015 12:36:00 UTC",
            "Mon, 30 Aug 2015 12:36:00 GMT",
            "Sunday, 30-Aug-15 12:36:00 GMT",
            "Sun Aug 30 12:36:00 2015 GMT",
            "sun, 30 aug 2015 12:36:00 GMT",
            "Sun,  3 Aug 2015 12:36:00 GMT",
            "",
            " GMT",
        ] {
            assert_eq!(Time::imf_fixdate(bad.as_bytes()), None, "{bad}");
        }
    }
}
