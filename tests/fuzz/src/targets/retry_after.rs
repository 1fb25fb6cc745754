//! `Retry-After`, as handlers answer it: never further away than a day.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use gatepost::{
    base::clock::Timestamp,
    delivery::judge::{Verdict as Judged, judge},
    destination::{
        Response,
        retry::{Retry, Statuses},
    },
    event::headers::Headers,
};

use super::{
    Target, Verdict,
    input::{Input, joined},
    request::NOW,
};

pub const TARGET: Target = Target {
    name: "retry_after",
    run: |bytes| compare(wait, bytes),
    seeds,
};

const STATUSES: &[u16] = &[429, 503, 502, 504, 200, 301, 410, 500, 404, 100, 999];
const RETRY: Retry = Retry {
    max_attempts: 12,
    max_age: Duration::from_hours(72),
    first: Duration::from_secs(10),
    cap: Duration::from_hours(6),
    schedule: Vec::new(),
    on: None,
    never: Statuses::NONE,
};
const DAY: i64 = 24 * 60 * 60;

/// How many seconds are asked for; nothing where the reference does not know the form.
pub(crate) type Reference = fn(&str) -> Option<i64>;

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let status = *input.pick(STATUSES);
    let (value, location) = (input.text(), input.text());
    let headers = Headers::from_pairs([("retry-after", value), ("location", location)]);
    let now = Timestamp::from_unix_seconds(NOW);
    let judgement = judge(
        &Ok(Response {
            status: Some(status),
            headers,
            body: Bytes::new(),
        }),
        &RETRY,
        now,
    );
    ensure!(
        judgement.error.is_none() == (200..300).contains(&status),
        "{status} with the error {:?}",
        judgement.error
    );
    let asked = match judgement.verdict {
        Judged::Retry { not_before } => not_before,
        Judged::Delivered | Judged::Dead { .. } => None,
    };
    if let Some(at) = asked {
        let wait = (at.as_micros() - now.as_micros()).div_euclid(1_000_000);
        ensure!(
            (0..=DAY).contains(&wait),
            "`{}` is {wait} s",
            value.escape_ascii()
        );
        ensure!(
            matches!(status, 429 | 502..=504),
            "{status} may not ask for a time"
        );
    }
    if matches!(status, 429 | 502..=504)
        && let Some(expected) = std::str::from_utf8(value).ok().and_then(reference)
    {
        let found = asked.map(|it| it.as_unix_seconds() - NOW);
        ensure!(
            found == Some(expected),
            "`{}` is {found:?}, expected {expected}",
            value.escape_ascii()
        );
    }
    Ok(())
}

/// Seconds, and the one form of a date that senders should write.
pub(crate) fn wait(text: &str) -> Option<i64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit()) {
        let digits = text.trim_start_matches('0');
        let seconds = if digits.len() > 9 {
            DAY
        } else {
            format!("0{digits}").parse().ok()?
        };
        return Some(seconds.min(DAY));
    }
    let at = super::timestamp::http_date(text)?;
    Some((at - NOW).clamp(0, DAY))
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    [
        "120",
        " 0 ",
        "86400",
        "86401",
        "1000000000000",
        "00000000000000000000000000000000000001",
        "Thu, 01 Jan 2026 01:00:00 GMT",
        "Thursday, 01-Jan-26 01:00:00 GMT",
        "Thu Jan  1 01:00:00 2026",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "-1",
        "1.5",
        "٣",
    ]
    .into_iter()
    .flat_map(|it| {
        [(0, ""), (5, "//user:p@host/x"), (5, "https://h/?t")]
            .map(|(status, location)| (status, it, location))
    })
    .map(|(status, value, location)| joined(&[status], &[value.as_bytes(), location.as_bytes()]))
    .collect()
}
