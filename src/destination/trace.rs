//! `traceparent` (W3C Trace Context): a valid one from the sender goes on, with a span of ours.

use uuid::Uuid;

use crate::event::headers::Headers;

/// The trace that an attempt belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    pub trace_id: u128,
    pub flags: u8,
    /// The sender began it: its `tracestate` goes with it.
    pub is_continued: bool,
}

impl Trace {
    /// The sender's, or one that is the same for every attempt of this event: its id.
    pub fn of(headers: &Headers, event_id: Uuid) -> Self {
        let mut given = headers.all("traceparent");
        if let (Some(value), None) = (given.next(), given.next())
            && let Some((trace_id, flags)) = parse(value)
        {
            return Self {
                trace_id,
                flags,
                is_continued: true,
            };
        }
        Self {
            // Zero would be invalid; no id of an event is.
            trace_id: event_id.as_u128().max(1),
            // Sampled: a handler's tracer that follows its parent would else drop every trace that starts here.
            flags: 1,
            is_continued: false,
        }
    }

    /// The header's value, for an attempt with this span.
    pub fn header(&self, span_id: u64) -> String {
        format!(
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id,
            span_id.max(1),
            self.flags
        )
    }
}

/// Trace id and flags. A later version may have more fields, this one may not.
fn parse(value: &[u8]) -> Option<(u128, u8)> {
    let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    let mut fields = text.split('-');
    let version = hex(fields.next()?, 2)?;
    let trace_id = hex(fields.next()?, 32)?;
    let parent_id = hex(fields.next()?, 16)?;
    let flags = hex(fields.next()?, 2)?;
    if version == 0xff || (version == 0 && fields.next().is_some()) || trace_id == 0 || parent_id == 0 {
        return None;
    }
    // Of the flags, version 00 knows `sampled` and `random`; what is unknown is not passed on.
    Some((trace_id, u8::try_from(flags & 0b11).ok()?))
}

/// Lower-case hex of exactly so many digits.
fn hex(text: &str, n_digits: usize) -> Option<u128> {
    let is_hex = text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    (text.len() == n_digits && is_hex)
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn of(values: &[&str]) -> Trace {
        let headers = Headers::from_pairs(values.iter().map(|it| ("traceparent", it.as_bytes())));
        Trace::of(&headers, Uuid::from_u128(7))
    }

    #[test]
    fn a_valid_trace_goes_on_with_a_new_span() {
        let trace = of(&[VALID]);
        assert!(trace.is_continued);
        assert_eq!(
            trace.header(0xabc),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01"
        );
        assert!(of(&[&VALID.replacen("00", "01", 1)]).is_continued);
        assert!(of(&[&format!("{}-more", VALID.replacen("00", "cc", 1))]).is_continued);
    }

    #[test]
    fn an_invalid_one_is_replaced() {
        let bad = [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        ];
        for value in bad {
            assert!(!of(&[value]).is_continued, "{value}");
        }
        assert!(!of(&[VALID, VALID]).is_continued);
        assert_eq!(
            of(&[]).header(0),
            "00-00000000000000000000000000000007-0000000000000001-01"
        );
    }
}
