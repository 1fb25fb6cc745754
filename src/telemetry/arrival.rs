//! The span of a request that came, and of its steps: how long it took to verify it, and to store it.

use std::{fmt, sync::Arc, time::Instant};

use uuid::Uuid;

use crate::{
    base::ids::EventId,
    event::{
        headers::Headers,
        trace::{self, Trace},
    },
    telemetry::{
        Begun, Recorder, Tracer,
        span::{Kind, Span, Value},
    },
};

/// A request under way. Off, it holds nothing and does nothing.
#[derive(Debug)]
pub struct Arrival(Option<Box<Open>>);

#[derive(Debug)]
struct Open {
    recorder: Arc<Recorder>,
    begun: Begun,
    given: Option<Trace>,
    read: Option<Instant>,
    verified: Option<Instant>,
    stored: Option<Instant>,
}

/// What a request was about.
#[derive(Debug, Clone, Copy)]
pub enum About {
    /// This event came by it.
    New(EventId),
    /// It brought this one again.
    Known(EventId),
    /// No event: it was rejected, a handshake, or not stored.
    Nothing,
}

/// What became of a request.
#[derive(Debug)]
pub struct Ended<'a> {
    pub name: fmt::Arguments<'a>,
    pub source: &'a Arc<str>,
    pub about: About,
    /// Our word for what it was answered with.
    pub answer: &'static str,
    /// Why it was rejected.
    pub cause: Option<&'static str>,
    /// We failed, and not its sender.
    pub is_failed: bool,
    /// Absent where nobody asked by HTTP.
    pub http: Option<Http<'a>>,
}

#[derive(Debug)]
pub struct Http<'a> {
    pub method: &'a str,
    pub status: u16,
    pub n_body_bytes: u64,
}

impl Tracer {
    /// A request whose head was in by then.
    pub fn arrival(&self, started_at: Instant) -> Arrival {
        Arrival(self.0.as_ref().map(|recorder| {
            Box::new(Open {
                recorder: Arc::clone(recorder),
                begun: Begun::at(started_at),
                given: None,
                read: None,
                verified: None,
                stored: None,
            })
        }))
    }
}

impl Arrival {
    /// Its body is in.
    pub fn read(&mut self, headers: &Headers) {
        if let Some(open) = &mut self.0 {
            open.given = Trace::given(headers);
            open.read = Some(Instant::now());
        }
    }

    /// Its verification is over, whatever was found.
    pub fn verified(&mut self) {
        if let Some(open) = &mut self.0 {
            open.verified = Some(Instant::now());
        }
    }

    /// Its commit is over, or nobody waits for it any longer.
    pub fn stored(&mut self) {
        if let Some(open) = &mut self.0 {
            open.stored = Some(Instant::now());
        }
    }

    pub fn end(self, ended: &Ended<'_>) {
        if let Some(open) = self.0 {
            open.end(ended);
        }
    }
}

impl Open {
    fn end(self, ended: &Ended<'_>) {
        let (id, span_id, first) = match ended.about {
            About::New(id) => (id.uuid(), trace::arrival_span(id), None),
            // Within the first one's trace, unless its sender says otherwise.
            About::Known(id) => (id.uuid(), any_span(), Some(trace::arrival_span(id))),
            About::Nothing => (Uuid::now_v7(), any_span(), None),
        };
        let trace = self.given.unwrap_or_else(|| Trace::begun(id));
        if !self.recorder.keeps(trace.trace_id) {
            return;
        }
        let trace = trace.sampled(true);
        let step = |name, from: Option<Instant>, to: Option<Instant>, is_failed| {
            let (from, to) = (self.begun.nanos_at(from?), self.begun.nanos_at(to?));
            let mut span = Span::internal(name, trace, span_id, from, to);
            span.is_failed = is_failed;
            Some(span)
        };
        let verify = step("verify", self.read, self.verified, ended.cause.is_some());
        let store = step("store", self.verified, self.stored, ended.is_failed);
        for span in verify.into_iter().chain(store) {
            self.recorder.push(span);
        }
        self.recorder.push(Span {
            trace,
            span_id,
            parent_id: trace.parent_id.or(first),
            name: ended.name.to_string().into(),
            kind: Kind::Server,
            started_at: self.begun.unix_nanos,
            ended_at: self.begun.nanos_at(Instant::now()),
            attributes: attributes(ended),
            is_failed: ended.is_failed,
        });
    }
}

fn any_span() -> u64 {
    rand::random::<u64>().max(1)
}

fn attributes(ended: &Ended<'_>) -> Vec<(&'static str, Value)> {
    let mut attributes = vec![
        ("gatepost.source", ended.source.into()),
        ("gatepost.answer", ended.answer.into()),
    ];
    match ended.about {
        About::New(id) | About::Known(id) => attributes.push(("gatepost.event.id", id.to_string().into())),
        About::Nothing => (),
    }
    if let Some(cause) = ended.cause {
        attributes.push(("gatepost.cause", cause.into()));
    }
    if let Some(http) = &ended.http {
        attributes.extend([
            ("http.request.method", http.method.to_owned().into()),
            ("http.route", "/webhooks/{source}".into()),
            ("http.response.status_code", u64::from(http.status).into()),
            ("http.request.body.size", http.n_body_bytes.into()),
        ]);
    }
    attributes
}
