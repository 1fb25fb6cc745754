//! `traceparent` (W3C Trace Context): a valid one from the sender goes on, with a span of ours.
//!
//! An event's trace and its spans are told by the ids that it has anyway, so that every replica names them alike, hours later too,
//! and nothing more is stored.

use std::fmt;

use uuid::Uuid;

use crate::{
    base::ids::{AttemptId, EventId},
    event::headers::Headers,
};

/// The trace that an event and its attempts belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    pub trace_id: u128,
    pub flags: u8,
    /// The sender's own span, where the sender began the trace: its `tracestate` goes with it.
    pub parent_id: Option<u64>,
}

/// Of the flags: whoever has this trace recorded it.
const SAMPLED: u8 = 1;

impl Trace {
    /// The sender's, or one that is the same for every attempt of this event: its id.
    pub fn of(headers: &Headers, event_id: EventId) -> Self {
        Self::given(headers).unwrap_or_else(|| Self::begun(event_id.uuid()))
    }

    /// The sender's, where there is exactly one and it is valid.
    pub fn given(headers: &Headers) -> Option<Self> {
        let mut given = headers.all("traceparent");
        match (given.next(), given.next()) {
            (Some(value), None) => parse(value),
            _ => None,
        }
    }

    /// One that begins here.
    pub fn begun(id: Uuid) -> Self {
        Self {
            // Zero would be invalid; no id of an event is.
            trace_id: id.as_u128().max(1),
            // A handler's tracer that follows its parent would else drop every trace that starts here.
            flags: SAMPLED,
            parent_id: None,
        }
    }

    pub const fn is_continued(&self) -> bool {
        self.parent_id.is_some()
    }

    /// With the flag that says whether our own spans are kept. A sender's word that its own are stays.
    #[must_use]
    pub const fn sampled(mut self, is_sampled: bool) -> Self {
        if is_sampled {
            self.flags |= SAMPLED;
        } else if !self.is_continued() {
            self.flags &= !SAMPLED;
        }
        self
    }
}

/// The id of the span in which an event arrived: the parent of its attempts.
pub fn arrival_span(id: EventId) -> u64 {
    span_id(id.uuid())
}

/// The id of an attempt's span.
pub fn attempt_span(id: AttemptId) -> u64 {
    span_id(id.uuid())
}

/// Its last eight bytes: the random half. Zero would be invalid; no such id is.
fn span_id(id: Uuid) -> u64 {
    id.as_u64_pair().1.max(1)
}

/// What a handler is told: the trace, and the span of the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traceparent {
    pub trace: Trace,
    pub span_id: u64,
}

/// The header's value.
impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trace { trace_id, flags, .. } = self.trace;
        write!(f, "00-{trace_id:032x}-{:016x}-{flags:02x}", self.span_id)
    }
}

/// A later version may have more fields, this one may not.
fn parse(value: &[u8]) -> Option<Trace> {
    let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    let mut fields = text.split('-');
    let version = hex(fields.next()?, 2)?;
    let trace_id = hex(fields.next()?, 32)?;
    let parent_id = hex(fields.next()?, 16)?;
    let flags = hex(fields.next()?, 2)?;
    if version == 0xff || (version == 0 && fields.next().is_some()) || trace_id == 0 || parent_id == 0 {
        return None;
    }
    Some(Trace {
        trace_id,
        // Version 00 knows `sampled` and `random`; what is unknown is not passed on.
        flags: u8::try_from(flags & 0b11).ok()?,
        parent_id: Some(u64::try_from(parent_id).ok()?),
    })
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
        Trace::of(&headers, EventId::from_uuid(Uuid::from_u128(7)))
    }

    fn header(trace: Trace, span_id: u64) -> String {
        Traceparent { trace, span_id }.to_string()
    }

    #[test]
    fn a_valid_trace_goes_on_with_a_new_span() {
        let trace = of(&[VALID]);
        assert_eq!(trace.parent_id, Some(0x00f0_67aa_0ba9_02b7));
        assert_eq!(
            header(trace, 0xabc),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01"
        );
        assert!(of(&[&VALID.replacen("00", "01", 1)]).is_continued());
        assert!(of(&[&format!("{}-more", VALID.replacen("00", "cc", 1))]).is_continued());
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
            assert!(!of(&[value]).is_continued(), "{value}");
        }
        assert!(!of(&[VALID, VALID]).is_continued());
        assert_eq!(
            header(of(&[]), 1),
            "00-00000000000000000000000000000007-0000000000000001-01"
        );
    }

    #[test]
    fn the_flag_says_whether_anybody_kept_the_trace() {
        let unsampled = VALID.replace("-01", "-00");
        for (given, is_sampled, flags) in [
            (None, true, 1),
            (None, false, 0),
            (Some(VALID), true, 1),
            (Some(VALID), false, 1),
            (Some(&*unsampled), true, 1),
            (Some(&*unsampled), false, 0),
        ] {
            let trace = of(given.as_slice()).sampled(is_sampled);
            assert_eq!(trace.flags, flags, "{given:?} {is_sampled}");
        }
    }

    #[test]
    fn spans_of_one_trace_differ() {
        let event = EventId::new();
        let mut ids: Vec<_> = (0..1000).map(|_| attempt_span(AttemptId::new())).collect();
        ids.push(arrival_span(event));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 1001);
    }
}
