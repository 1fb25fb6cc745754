//! Strangers' text for a page. The templates escape markup; this shows what would otherwise mislead a reader's eye.
//!
//! Arguments are references because templates pass such.

use std::{fmt::Write as _, time::Duration};

use crate::{
    base::ids::{DeliveryId, EventId, JobId, RequestId},
    event::delivery::Status,
    store::job::Action,
    web::api::shape::DeliveryJson,
};

/// Control characters as pictures (`␛`), and characters that turn, join or hide text by their numbers, so that no text looks
/// like another one. Line feeds and tabs stay.
pub(super) fn visible(text: &str) -> String {
    let mut res = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => res.push(c),
            '\0'..='\u{1f}' => res.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\u{7f}' => res.push('\u{2421}'),
            _ if is_misleading(c) => {
                let _ = write!(res, "\u{27e8}U+{:04X}\u{27e9}", u32::from(c));
            }
            _ => res.push(c),
        }
    }
    res
}

/// C1 controls, zero width, direction, separators of lines, and tags.
pub(super) const fn is_misleading(c: char) -> bool {
    matches!(
        c,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// A piece of a sentence of ours: what stands between two backquotes, or else.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) is_code: bool,
    pub(super) text: String,
}

/// A sentence by what its backquotes set off, made visible. One that has no other stays as it is, and so does a pair with nothing
/// between them.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut res = Vec::new();
    let mut push = |is_code, text: &str| {
        if !text.is_empty() {
            let text = visible(text);
            res.push(Piece { is_code, text });
        }
    };
    let (mut plain, mut from) = (0, 0);
    while let Some(open) = text[from..].find('`').map(|it| from + it) {
        let Some(close) = text[open + 1..].find('`').map(|it| open + 1 + it) else {
            break;
        };
        if close > open + 1 {
            push(false, &text[plain..open]);
            push(true, &text[open + 1..close]);
            plain = close + 1;
        }
        from = close + 1;
    }
    push(false, &text[plain..]);
    res
}

/// At most so many characters, with an ellipsis where some are missing.
pub(super) fn cut(text: &str, n_chars: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= n_chars {
        return text;
    }
    let mut res: String = text.chars().take(n_chars.saturating_sub(1)).collect();
    res.push('…');
    res
}

/// A time of ours, which is RFC 3339 in UTC, for people: to the second.
pub(super) fn moment(at: &str) -> String {
    match (at.get(..10), at.get(11..19)) {
        (Some(day), Some(time)) if at.ends_with('Z') => format!("{day} {time} UTC"),
        _ => visible(at),
    }
}

/// The kind and the end of an id: its beginning is the time, which stands beside it.
pub(super) fn short(id: &str) -> String {
    match (
        id.split_once('_'),
        id.len().checked_sub(6).and_then(|at| id.get(at..)),
    ) {
        (Some((kind, _)), Some(end)) => format!("{kind}_…{end}"),
        _ => id.to_owned(),
    }
}

/// Where an id of ours leads.
pub(super) fn page_of(id: &str) -> Option<String> {
    let event = id.parse::<EventId>().map(|it| format!("/events/{it}"));
    event
        .or_else(|_| id.parse::<DeliveryId>().map(|it| format!("/deliveries/{it}")))
        .or_else(|_| id.parse::<RequestId>().map(|it| format!("/requests/{it}")))
        .or_else(|_| id.parse::<JobId>().map(|it| format!("/jobs/{it}")))
        .ok()
}

/// Bytes.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(super) fn size(n_bytes: &u64) -> String {
    let in_unit = |shift: u32, unit: &str| {
        let tenths = ((n_bytes % (1 << shift)) * 10) >> shift;
        format!("{}.{tenths} {unit}", n_bytes >> shift)
    };
    match n_bytes {
        0..1024 => format!("{n_bytes} B"),
        1024..1_048_576 => in_unit(10, "KiB"),
        _ => in_unit(20, "MiB"),
    }
}

/// A span of time, from milliseconds, as people say it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(super) fn span_ms(ms: &u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} days", ms / 86_400_000),
    }
}

/// `1 dead letter`, `2 dead letters`.
pub(super) fn count(n: u64, one: &str, more: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { more })
}

/// What stands in the place of rows. `is_cut`: older ones were not looked at.
pub(super) fn no(what: &str, is_filtered: bool, is_cut: bool) -> String {
    match (is_filtered, is_cut) {
        (false, _) => format!("No {what}."),
        (true, false) => format!("No {what} that match."),
        (true, true) => format!("No {what} that match, so far."),
    }
}

/// `n` in so many minutes, for each: `0.4 a minute`, `35 a minute`.
pub(super) fn rate(n: u64, n_minutes: u64) -> String {
    let tenths = n * 10 / n_minutes.max(1);
    match tenths {
        0 if n > 0 => "less than 0.1 a minute".to_owned(),
        0..100 => format!("{}.{} a minute", tenths / 10, tenths % 10),
        _ => format!("{} a minute", tenths / 10),
    }
}

/// A time that was measured in less than seconds: `850 µs`, `1.2 ms`, `340 ms`.
pub(super) fn quick(took: Duration) -> String {
    match took.as_micros() {
        us @ 0..1_000 => format!("{us} µs"),
        us @ 1_000..100_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        us @ 100_000..10_000_000 => format!("{} ms", us / 1_000),
        us => format!("{} s", us / 1_000_000),
    }
}

/// Where a destination leads; a URL says itself what it is.
pub(super) fn target(kind: &str, target: &str) -> String {
    let target = visible(target);
    match kind {
        "http" => target,
        _ => format!("{kind}: {target}"),
    }
}

/// What stands between a delivery and its destination.
pub(super) fn why(delivery: &DeliveryJson) -> String {
    match (&delivery.cause, &delivery.last_error) {
        (Some(cause), _) => visible(cause),
        (None, Some(error)) => visible(error),
        (None, None) => String::new(),
    }
}

pub(super) fn may_retry(status: &str) -> bool {
    Status::parse(status).is_some_and(|it| Action::Retry.takes().contains(&it))
}

pub(super) fn may_cancel(status: &str) -> bool {
    Status::parse(status).is_some_and(|it| Action::Cancel.takes().contains(&it))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_misleads_is_made_visible() {
        let check = |text, expected| assert_eq!(visible(text), expected);
        check("plain\ttext\n", "plain\ttext\n");
        check("\u{1b}[31m\0\r\u{7f}", "␛[31m␀␍␡");
        check("txt.\u{202e}exe", "txt.⟨U+202E⟩exe");
        check("a\u{200b}b\u{feff}\u{9b}", "a⟨U+200B⟩b⟨U+FEFF⟩⟨U+009B⟩");
        check("ä漢🙂", "ä漢🙂");
    }

    #[test]
    fn what_backquotes_set_off_is_code() {
        let check = |text: &str, expected: &[(bool, &str)]| {
            let pieces = pieces(text);
            let pieces: Vec<_> = pieces.iter().map(|it| (it.is_code, it.text.as_str())).collect();
            assert_eq!(pieces, expected, "{text}");
        };
        check("", &[]);
        check("plain", &[(false, "plain")]);
        check("`billing`", &[(true, "billing")]);
        check(
            "`a` and `b`: no",
            &[(true, "a"), (false, " and "), (true, "b"), (false, ": no")],
        );
        check("`a` but `b", &[(true, "a"), (false, " but `b")]);
        check("`` and ```x`", &[(false, "`` and ``"), (true, "x")]);
        check("`<b>\0`ä", &[(true, "<b>␀"), (false, "ä")]);
    }

    proptest! {
        #[test]
        fn no_piece_is_lost(text in "[a`ä\0]{0,12}") {
            let all: String = pieces(&text)
                .iter()
                .map(|it| if it.is_code { format!("`{}`", it.text) } else { it.text.clone() })
                .collect();
            prop_assert_eq!(all, visible(&text));
        }

        #[test]
        fn nothing_that_is_shown_controls_anything(text: String) {
            let shown = visible(&text);
            prop_assert!(!shown.chars().any(|c| is_misleading(c) || (c.is_control() && c != '\n' && c != '\t')));
        }
    }

    #[test]
    fn numbers_and_times_read_as_people_write_them() {
        assert_eq!(size(&1023), "1023 B");
        assert_eq!(size(&1536), "1.5 KiB");
        assert_eq!(size(&(10 << 20)), "10.0 MiB");
        assert_eq!(span_ms(&900), "900 ms");
        assert_eq!(span_ms(&90_000), "90 s");
        assert_eq!(span_ms(&7_200_000), "2 h");
        assert_eq!(moment("2026-01-01T00:00:07.123456Z"), "2026-01-01 00:00:07 UTC");
        assert_eq!(moment("-"), "-");
        assert_eq!(short("evt_01jd0000000000000000abcdef"), "evt_…abcdef");
        assert_eq!(count(1, "event", "events"), "1 event");
        assert_eq!(
            (rate(0, 5), rate(2, 5)),
            ("0.0 a minute".to_owned(), "0.4 a minute".to_owned())
        );
        assert_eq!(
            (rate(1, 60), rate(90, 5)),
            ("less than 0.1 a minute".to_owned(), "18 a minute".to_owned())
        );
        assert_eq!(quick(Duration::from_micros(1_250)), "1.2 ms");
        assert_eq!(
            (quick(Duration::from_micros(999)), quick(Duration::from_secs(75))),
            ("999 µs".to_owned(), "75 s".to_owned())
        );
        let page = page_of("job_00000000000000000000000000");
        assert_eq!(page.unwrap(), "/jobs/job_00000000000000000000000000");
        assert_eq!(page_of("tok_00000000000000000000000000"), None);
        assert_eq!(cut("abcdef", 4), "abc…");
    }

    #[test]
    fn buttons_are_offered_where_the_store_takes_them() {
        let all = Status::ALL.map(|it| (it.as_str(), may_retry(it.as_str()), may_cancel(it.as_str())));
        let expected = [
            ("pending", true, true),
            ("delivering", false, true),
            ("retrying", true, true),
            ("held", false, true),
            ("delivered", true, false),
            ("dead", true, false),
            ("cancelled", true, false),
            ("skipped", false, false),
        ];
        assert_eq!(all, expected);
    }
}
