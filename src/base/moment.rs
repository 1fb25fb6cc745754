//! Times as anybody writes them, read leniently: where one is only shown, or orders what has it.

use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use crate::base::clock::Timestamp;

const MAX_TEXT: usize = 40;

/// A time that an event carries: RFC 3339, RFC 2822, or Unix seconds, milli-, micro- or nanoseconds, told apart by their size; seconds may
/// have a fraction. `None` for anything else: it only means that the event shows no time of its own.
pub fn parse(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok().filter(|it| it.len() <= MAX_TEXT)?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |it: &str| it.bytes().all(|c| c.is_ascii_digit());
    if whole.is_empty() || whole.len() > 19 || !is_number(whole) {
        let rfc2822 = || OffsetDateTime::parse(text, &Rfc2822).ok().map(Timestamp::from);
        let at = Timestamp::parse_rfc3339(text).or_else(rfc2822);
        return at.filter(|it| is_printable(*it));
    }
    let number: i64 = whole.parse().ok()?;
    let micros = match whole.len() {
        0..=11 => {
            let fraction = if is_number(fraction) {
                fraction
            } else {
                return None;
            };
            let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
            number.checked_mul(1_000_000)?.checked_add(digits.parse().ok()?)?
        }
        12..=14 => number.checked_mul(1_000)?,
        15..=17 => number,
        _ => number / 1_000,
    };
    Some(Timestamp::from_micros(micros)).filter(|it| is_printable(*it))
}

/// Years that both stores and RFC 3339 can hold.
fn is_printable(at: Timestamp) -> bool {
    (0..=9999).contains(&OffsetDateTime::from(at).year())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_event_time_is_read_in_every_common_shape() {
        for text in [
            "1767225600",
            "1767225600.0",
            "1767225600000",
            "1767225600000000",
            "1767225600000000000",
            "2026-01-01T00:00:00Z",
            "2026-01-01T01:00:00+01:00",
            "Thu, 01 Jan 2026 00:00:00 +0000",
        ] {
            let at = parse(text.as_bytes()).unwrap();
            assert_eq!(at.to_string(), "2026-01-01T00:00:00Z", "{text}");
        }
        let at = parse(b"1767225590.000200").unwrap();
        assert_eq!(at.as_micros(), 1_767_225_590_000_200);
        for text in ["", ".", "-5", "1.x", "yesterday", "99999999999999999999", "1e9"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a16_no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&text).map(|it| it.to_string());
        }

        #[test]
        fn a16_no_number_panics(number in any::<i128>()) {
            let _ = parse(number.to_string().as_bytes()).map(|it| it.to_string());
        }
    }
}
