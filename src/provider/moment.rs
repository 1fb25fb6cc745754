//! Times as senders sign them, read strictly: a verdict hangs on it. What is only shown is read by `base::moment`.

use std::time::UNIX_EPOCH;

use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use crate::{base::clock::Timestamp, provider::scheme::Unit};

/// The year 9999 has 12 digits in seconds and 15 in milliseconds.
const MAX_DIGITS: usize = 15;
/// Until the year 5138; milliseconds have had as few before 1973.
const MAX_DIGITS_OF_SECONDS: usize = 11;
const MAX_TEXT: usize = 40;

/// Reads a signed timestamp; says what was expected where it is not one.
///
/// Only one spelling of a number is taken: ASCII digits, no sign, no space, no leading zero, no fraction, no exponent.
pub(super) fn parse_signed(text: &[u8], unit: Unit) -> Result<Timestamp, &'static str> {
    match unit {
        Unit::Seconds => {
            let seconds = digits(text).ok_or("expected Unix seconds, digits only")?;
            Ok(Timestamp::from_unix_seconds(seconds))
        }
        Unit::Millis => {
            let millis = digits(text).ok_or("expected Unix milliseconds, digits only")?;
            Ok(Timestamp::from_micros(millis.saturating_mul(1_000)))
        }
        Unit::SecondsOrMillis => {
            let is_millis = text.len() > MAX_DIGITS_OF_SECONDS;
            parse_signed(text, if is_millis { Unit::Millis } else { Unit::Seconds })
        }
        Unit::Rfc3339 => short_text(text)
            .and_then(Timestamp::parse_rfc3339)
            .ok_or("expected an RFC 3339 time like `2026-01-01T00:00:00Z`"),
        Unit::Iso8601 => short_text(text)
            .and_then(|it| {
                Timestamp::parse_rfc3339(it).or_else(|| Timestamp::parse_rfc3339(&format!("{it}Z")))
            })
            .ok_or("expected a time like `2026-01-01T00:00:00`, with a time zone or in UTC"),
        Unit::HttpDate => http_date(text).ok_or("expected an HTTP date like `Sun, 06 Nov 1994 08:49:37 GMT`"),
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    let is_number = (1..=MAX_DIGITS).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    if !is_number || (text.len() > 1 && text[0] == b'0') {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn short_text(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(text).ok().filter(|it| it.len() <= MAX_TEXT)
}

fn http_date(text: &[u8]) -> Option<Timestamp> {
    let text = short_text(text)?;
    let at = httpdate::parse_http_date(text).ok()?;
    // The parser knows two older spellings; one date has one spelling here.
    if httpdate::fmt_http_date(at) != text {
        return None;
    }
    let seconds = at.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(Timestamp::from_unix_seconds(i64::try_from(seconds).ok()?))
}

/// Only years past 9999 have none.
pub(super) fn write_rfc2822(at: Timestamp) -> String {
    OffsetDateTime::from(at).format(&Rfc2822).unwrap_or_default()
}

/// Writes a timestamp as a sender would.
pub(super) fn write(at: Timestamp, unit: Unit) -> String {
    let seconds = at.as_unix_seconds();
    match unit {
        Unit::Seconds | Unit::SecondsOrMillis => seconds.to_string(),
        Unit::Millis => at.as_micros().div_euclid(1_000).to_string(),
        Unit::Rfc3339 => at.to_string(),
        Unit::Iso8601 => at.to_string().trim_end_matches('Z').to_owned(),
        Unit::HttpDate => {
            let since = std::time::Duration::from_secs(seconds.max(0).unsigned_abs());
            // The writer ends with the year 9999.
            httpdate::fmt_http_date(UNIX_EPOCH + since.min(std::time::Duration::from_secs(253_402_300_799)))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNITS: [Unit; 5] = [
        Unit::Seconds,
        Unit::Millis,
        Unit::Rfc3339,
        Unit::Iso8601,
        Unit::HttpDate,
    ];

    #[test]
    fn a16_only_plain_digits_are_a_timestamp() {
        for text in [
            "",
            " 1",
            "1 ",
            "+1",
            "-1",
            "1e3",
            "0x10",
            "1.0",
            "1_000",
            "０",
            "٣",
            "01",
            "1\0",
            "\n1",
            "1,1",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "1000000000000000000",
            "340282366920938463463374607431768211456",
        ] {
            for unit in UNITS {
                assert!(parse_signed(text.as_bytes(), unit).is_err(), "{text:?} {unit:?}");
            }
        }
        let at = |text: &str, unit| parse_signed(text.as_bytes(), unit).unwrap().as_micros();
        assert_eq!(at("1767225600", Unit::Seconds), 1_767_225_600_000_000);
        assert_eq!(at("1767225600123", Unit::Millis), 1_767_225_600_123_000);
        assert_eq!(at("0", Unit::Seconds), 0);
        assert_eq!(at("2026-01-01T00:00:00.5Z", Unit::Rfc3339), 1_767_225_600_500_000);
        for text in [
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00Z",
            "2026-01-01T01:00:00.0+01:00",
        ] {
            assert_eq!(at(text, Unit::Iso8601), 1_767_225_600_000_000, "{text}");
        }
        assert!(parse_signed(b"2026-01-01T00:00:00", Unit::Rfc3339).is_err());
        assert_eq!(
            at("Thu, 01 Jan 2026 00:00:00 GMT", Unit::HttpDate),
            1_767_225_600_000_000
        );
        assert!(parse_signed(b"Thursday, 01-Jan-26 00:00:00 GMT", Unit::HttpDate).is_err());
        assert!(parse_signed(b"Thu Jan  1 00:00:00 2026", Unit::HttpDate).is_err());
    }

    #[test]
    fn a16_how_many_digits_say_whether_they_are_seconds() {
        let at = |text: &str, unit| parse_signed(text.as_bytes(), unit).map(Timestamp::as_micros);
        for (text, expected) in [
            ("1767225600", 1_767_225_600_000_000),
            ("99999999999", 99_999_999_999_000_000),
            ("100000000000", 100_000_000_000_000),
            ("1767225600123", 1_767_225_600_123_000),
        ] {
            assert_eq!(at(text, Unit::SecondsOrMillis), Ok(expected), "{text}");
        }
        assert_eq!(
            at("999999999999999", Unit::Millis),
            Ok(999_999_999_999_999_000),
            "fifteen digits are the most"
        );
    }

    #[test]
    fn a16_a_text_longer_than_any_time_is_refused() {
        let of_len = |len: usize| format!("2026-01-01T00:00:00.{}Z", "0".repeat(len - 21));
        for unit in [Unit::Rfc3339, Unit::Iso8601] {
            assert!(parse_signed(of_len(40).as_bytes(), unit).is_ok(), "{unit:?}");
            assert!(parse_signed(of_len(41).as_bytes(), unit).is_err(), "{unit:?}");
        }
    }

    #[test]
    fn times_are_written_as_senders_write_them() {
        let at = Timestamp::from_micros(1_767_225_600_123_456);
        for (unit, expected) in [
            (Unit::Seconds, "1767225600"),
            (Unit::SecondsOrMillis, "1767225600"),
            (Unit::Millis, "1767225600123"),
            (Unit::Rfc3339, "2026-01-01T00:00:00.123456Z"),
            (Unit::Iso8601, "2026-01-01T00:00:00.123456"),
            (Unit::HttpDate, "Thu, 01 Jan 2026 00:00:00 GMT"),
        ] {
            assert_eq!(write(at, unit), expected);
        }
        assert_eq!(write_rfc2822(at), "Thu, 01 Jan 2026 00:00:00 +0000");
        for (seconds, expected) in [
            (-1, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (i64::MAX / 1_000_000, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            let at = Timestamp::from_unix_seconds(seconds);
            assert_eq!(write(at, Unit::HttpDate), expected);
        }
    }

    proptest! {
        #[test]
        fn a16_no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            for unit in UNITS {
                let _ = parse_signed(&text, unit);
            }
        }

        #[test]
        fn a16_no_number_panics(number in any::<i128>()) {
            let text = number.to_string();
            let _ = parse_signed(text.as_bytes(), Unit::Millis);
        }

        #[test]
        fn a16_one_second_has_one_spelling(text in "[0-9+ e.-]{1,12}") {
            if let Ok(at) = parse_signed(text.as_bytes(), Unit::Seconds) {
                prop_assert_eq!(write(at, Unit::Seconds), text);
            }
        }

        #[test]
        fn what_is_written_is_read_again(seconds in 0_i64..253_402_300_799) {
            let at = Timestamp::from_unix_seconds(seconds);
            for unit in UNITS {
                prop_assert_eq!(parse_signed(write(at, unit).as_bytes(), unit), Ok(at));
            }
        }
    }
}
