//! Signed timestamps in every unit: what is one, and how old it is. Times that are only shown, besides.

use std::{borrow::Cow, path::Path, sync::OnceLock, time::Duration};

use aws_lc_rs::hmac;
use gatepost::{
    base::{clock::Timestamp, secret::Secret},
    event::headers::Headers,
    provider::{
        self, Call, Key, Provider, Refusal,
        place::{Reading, header},
        scheme::{Family, Part, Scheme, Time, Unit},
    },
};

use super::{
    Target, Verdict,
    input::{Input, joined},
    mac,
    request::NOW,
    text::whole_number,
};

pub const TARGET: Target = Target {
    name: "timestamp",
    run: |bytes| compare(micros, bytes),
    seeds,
};

const SECRET: &str = "a secret of enough characters";
const UNITS: &[Unit] = &[
    Unit::Seconds,
    Unit::Millis,
    Unit::Rfc3339,
    Unit::Iso8601,
    Unit::HttpDate,
    Unit::SecondsOrMillis,
];
const TOLERANCE: i128 = 300_000_000;

/// Microseconds since 1970.
pub(crate) type Reference = fn(Unit, &[u8]) -> Option<i128>;

struct Sender {
    row: Provider,
    keys: Vec<Key>,
}

/// The generic row, with a time in a header that is signed and shown.
fn sender(unit: Unit) -> Sender {
    let mut row = provider::find("hmac").expect("it is in the catalog").clone();
    if let Scheme::Signature(signature) = &mut row.schemes.to_mut()[0] {
        signature.families = Cow::Owned(vec![Family {
            signatures: Cow::Borrowed(const { &[header("x-signature")] }),
            timestamp: Some(header("x-time")),
            id: None,
        }]);
        signature.signed = Cow::Owned(vec![Part::Timestamp]);
        signature.time = Some(Time {
            unit,
            tolerance_s: 300,
            ahead_s: None,
        });
    }
    row.event_time = Cow::Owned(vec![Reading::At(header("x-time"))]);
    let keys = vec![row.key(&Secret::new(SECRET)).expect("it is a secret")];
    Sender { row, keys }
}

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    static SENDERS: OnceLock<Vec<Sender>> = OnceLock::new();
    static KEY: OnceLock<hmac::Key> = OnceLock::new();
    let senders = SENDERS.get_or_init(|| UNITS.iter().map(|it| sender(*it)).collect());
    let key = KEY.get_or_init(|| hmac::Key::new(mac::HMAC_SHA256, SECRET.as_bytes()));
    let mut input = Input::new(bytes);
    let which = usize::from(input.byte()) % UNITS.len();
    let (sender, unit) = (&senders[which], UNITS[which]);
    // From 1970 to 9999, mostly near to what the seeds hold.
    let off = i64::from(i32::from_be_bytes(input.array()));
    let now = NOW + if off.abs() < 1_000_000 { off % 1_000 } else { off };
    let text = input.rest();

    let signature = mac::hex(&mac::hmac(key, &[text]));
    let headers = Headers::from_pairs([("x-signature", signature.as_bytes()), ("x-time", text)]);
    let call = Call {
        method: "POST",
        url: None,
        target: "/",
        headers: &headers,
        body: b"",
    };
    let now_at = Timestamp::from_unix_seconds(now);
    let verdict = sender.row.verify(&sender.keys, &call, None::<Duration>, now_at);
    let age = reference(unit, text).map(|at| i128::from(now) * 1_000_000 - at);
    let fits = match &verdict {
        Ok(_) => age.is_some_and(|it| it.abs() <= TOLERANCE),
        Err(Refusal::TimestampStale { age_s, .. }) => {
            age.is_some_and(|it| it > TOLERANCE && it / 1_000_000 == i128::from(*age_s))
        }
        Err(Refusal::TimestampAhead { ahead_s, .. }) => {
            // The far end of what fits in 64 bits of microseconds is far enough ahead.
            let ahead = age.map(|it| (-it / 1_000_000).min(i128::from(i64::MAX / 1_000_000 - now)));
            ahead.is_some_and(|it| it >= 300 && it == i128::from(*ahead_s))
        }
        Err(Refusal::MalformedTimestamp { .. }) => age.is_none(),
        Err(_) => false,
    };
    ensure!(
        fits,
        "{unit:?} `{}` at {now} gives {verdict:?}, expected an age of {age:?}",
        text.escape_ascii()
    );

    // What is shown must be a time that both stores can hold.
    if let Some(at) = sender.row.names(&call).occurred_at {
        let first = -62_167_219_200_000_000;
        let last = 253_402_300_799_999_999;
        ensure!(
            (first..=last).contains(&at.as_micros()),
            "`{}` is shown as {at:?}",
            text.escape_ascii()
        );
    }
    Ok(())
}

pub(crate) fn micros(unit: Unit, text: &[u8]) -> Option<i128> {
    match unit {
        Unit::Seconds => whole_number(text).map(|it| i128::from(it) * 1_000_000),
        Unit::Millis => whole_number(text).map(|it| i128::from(it) * 1_000),
        Unit::SecondsOrMillis => {
            let is_millis = text.len() > 11;
            micros(if is_millis { Unit::Millis } else { Unit::Seconds }, text)
        }
        Unit::Rfc3339 => rfc3339(std::str::from_utf8(text).ok().filter(|it| it.len() <= 40)?),
        Unit::Iso8601 => {
            let text = std::str::from_utf8(text).ok().filter(|it| it.len() <= 40)?;
            rfc3339(text).or_else(|| rfc3339(&format!("{text}Z")))
        }
        Unit::HttpDate => http_date(std::str::from_utf8(text).ok()?).map(|it| i128::from(it) * 1_000_000),
    }
}

/// `2026-01-01T00:00:00.5+01:00`
pub(super) fn rfc3339(text: &str) -> Option<i128> {
    let bytes = text.as_bytes();
    let number = |from: usize, len: usize| -> Option<i64> {
        let digits = text.get(from..from + len)?;
        digits
            .bytes()
            .all(|it| it.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    let is = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|it| wanted.contains(it));
    if !(is(4, b"-") && is(7, b"-") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let fraction: String = match text.get(19..)?.strip_prefix('.') {
        Some(rest) => rest.chars().take_while(char::is_ascii_digit).collect(),
        None => String::new(),
    };
    let mut at = 19;
    if is(19, b".") {
        at = 20 + fraction.len();
        if fraction.is_empty() {
            return None;
        }
    }
    let zone = text.get(at..)?;
    let offset_s = match zone.as_bytes() {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), ..] if zone.len() == 6 && is(at + 3, b":") => {
            let (hours, minutes) = (number(at + 1, 2)?, number(at + 4, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3_600 + minutes * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    // A leap second counts as the end of the second before; only the last second of a month, in UTC, can be one.
    let is_leap = second == 60;
    let seconds = unix(
        year,
        month,
        day,
        hour,
        minute,
        second.min(if is_leap { 59 } else { 60 }),
    )? - offset_s;
    if is_leap && !((seconds + 1) % 86_400 == 0 && is_first_of_month((seconds + 1) / 86_400)) {
        return None;
    }
    let micros: i128 = if is_leap {
        999_999
    } else {
        format!("{fraction:0<6}")[..6].parse().ok()?
    };
    Some(i128::from(seconds) * 1_000_000 + micros)
}

/// Of a day counted from 1970.
fn is_first_of_month(day: i64) -> bool {
    let year = 1970 + day.div_euclid(366);
    // No more than 25 years too early after ten thousand.
    (year - 7..year + 30)
        .any(|year| (1..=12).any(|month| unix(year, month, 1, 0, 0, 0) == Some(day * 86_400)))
}

/// `Thu, 01 Jan 2026 00:00:00 GMT`: Unix seconds. No other form.
pub(super) fn http_date(text: &str) -> Option<i64> {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    if !text.is_ascii() || text.len() != 29 {
        return None;
    }
    let number = |from: usize, len: usize| -> Option<i64> {
        let digits = &text[from..from + len];
        digits
            .bytes()
            .all(|it| it.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    let month = MONTHS.iter().position(|it| *it == &text[8..11])?;
    let (year, day) = (number(12, 4)?, number(5, 2)?);
    let (hour, minute, second) = (number(17, 2)?, number(20, 2)?, number(23, 2)?);
    let seconds = unix(year, i64::try_from(month).ok()? + 1, day, hour, minute, second)?;
    let weekday = DAYS[usize::try_from(seconds.div_euclid(86_400).rem_euclid(7)).ok()?];
    let again = format!(
        "{weekday}, {day:02} {} {year:04} {hour:02}:{minute:02}:{second:02} GMT",
        MONTHS[month]
    );
    (again == text && seconds >= 0).then_some(seconds)
}

fn unix(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> Option<i64> {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if is_leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Leap days before a year, counted from the year 0.
    let leaps = |year: i64| (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    let days = (year - 1970) * 365 + leaps(year) - leaps(1970);
    let before: i64 = lengths[..usize::try_from(month - 1).ok()?].iter().sum();
    Some((days + before + day - 1) * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (unit, text) in [
        (0, "1767225600"),
        (0, "999999999999999"),
        (0, "01767225600"),
        (0, "0"),
        (1, "1767225600123"),
        (1, "1e3"),
        (2, "2026-01-01T00:00:00Z"),
        (2, "2026-01-01T01:00:00.123456789+01:00"),
        (2, "2024-02-29t23:59:59z"),
        (2, "2026-01-01T00:00:60Z"),
        (2, "0000-01-01T00:00:00-23:59"),
        (2, "2026-01-01 00:00:00Z"),
        (2, "2016-12-31T23:59:60Z"),
        (2, "2025-12-31T22:59:60.5-01:00"),
        (3, "Thu, 01 Jan 2026 00:00:00 GMT"),
        (3, "Thursday, 01-Jan-26 00:00:00 GMT"),
        (3, "Thu Jan  1 00:00:00 2026"),
        (3, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (3, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        for off in [0_i32, 300, 301, -300, -301] {
            let numbers = [&[unit][..], &off.to_be_bytes()].concat();
            seeds.push(joined(&numbers, &[text.as_bytes()]));
        }
    }
    seeds
}
