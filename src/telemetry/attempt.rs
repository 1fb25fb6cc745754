//! The span of one attempt: a child of the span in which its event arrived, wherever and whenever that was.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    base::ids::AttemptId,
    event::{
        Event,
        delivery::Delivery,
        trace::{self, Trace, Traceparent},
    },
    telemetry::{
        Begun, Recorder, Tracer,
        span::{Kind, Span, Value},
    },
};

/// An attempt under way. Off, it is no more than what its handler is told.
#[derive(Debug)]
pub struct Attempt {
    pub traceparent: Traceparent,
    open: Option<(Arc<Recorder>, Begun)>,
}

/// What became of an attempt.
#[derive(Debug)]
pub struct Ended<'a> {
    pub id: AttemptId,
    pub delivery: &'a Delivery,
    pub event: &'a Event,
    /// 1 for the first.
    pub number: u32,
    /// What kind of destination it went to.
    pub kind: &'static str,
    /// `delivered`, `retrying`, `dead`, or `interrupted` by a stop.
    pub outcome: &'static str,
    /// What it was counted as, where it failed: `status`, `timeout`, ...
    pub error: Option<&'static str>,
    /// Of the handler's answer.
    pub status: Option<u16>,
}

impl Tracer {
    pub fn attempt(&self, event: &Event, id: AttemptId) -> Attempt {
        self.attempt_since(event, id, Duration::ZERO)
    }

    /// One that began so long ago.
    pub fn attempt_since(&self, event: &Event, id: AttemptId, ago: Duration) -> Attempt {
        let trace = self.sampled(Trace::of(&event.headers, event.id));
        let recorder = self.0.as_ref().filter(|it| it.keeps(trace.trace_id));
        Attempt {
            traceparent: Traceparent {
                trace,
                span_id: trace::attempt_span(id),
            },
            open: recorder.map(|it| (Arc::clone(it), Begun::ago(ago))),
        }
    }
}

impl Attempt {
    pub fn end(self, ended: &Ended<'_>) {
        let Some((recorder, begun)) = self.open else {
            return;
        };
        let Ended { delivery, event, .. } = ended;
        recorder.push(Span {
            trace: self.traceparent.trace,
            span_id: self.traceparent.span_id,
            parent_id: Some(trace::arrival_span(event.id)),
            name: format!("deliver {}", delivery.destination).into(),
            kind: Kind::Client,
            started_at: begun.unix_nanos,
            ended_at: begun.nanos_at(Instant::now()),
            attributes: attributes(ended),
            is_failed: ended.outcome != "delivered",
        });
    }
}

fn attributes(ended: &Ended<'_>) -> Vec<(&'static str, Value)> {
    let Ended { delivery, event, .. } = ended;
    let mut attributes = vec![
        ("gatepost.source", Value::from(&event.source)),
        ("gatepost.route", Value::from(&delivery.route)),
        ("gatepost.destination", Value::from(&delivery.destination)),
        ("gatepost.destination.kind", ended.kind.into()),
        ("gatepost.event.id", event.id.to_string().into()),
        ("gatepost.delivery.id", delivery.id.to_string().into()),
        ("gatepost.attempt.id", ended.id.to_string().into()),
        ("gatepost.attempt.number", u64::from(ended.number).into()),
        ("gatepost.origin", delivery.origin.as_str().into()),
        ("gatepost.outcome", ended.outcome.into()),
    ];
    if let Some(status) = ended.status {
        attributes.push(("http.response.status_code", u64::from(status).into()));
    }
    if let Some(error) = ended.error {
        attributes.push(("error.type", error.into()));
    }
    attributes
}
