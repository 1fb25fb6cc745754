//! What a route costs: a filter beside the parse of the JSON that it looks at, and a transform in all.

use std::{error::Error, hint::black_box};

use bytes::Bytes;
use gatepost::{
    base::{clock::Timestamp, ids::EventId},
    event::{Binding, Event, Origin, headers::Headers},
    route::{
        filter::{Filter, subject::Subject},
        transform::{Input, Settings, Transform},
    },
};
use rquickjs::{
    Context, Function, Object, Runtime,
    context::intrinsic::{Eval, Json},
};
use serde_json::{Value, json};

use crate::{ns_each, senders::REAL_BODY};

/// An event of usual size, and what routes do with it.
pub(crate) struct Case {
    event: Event,
    filter: Filter,
    transform: Transform,
}

impl Case {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let now = Timestamp::from_unix_seconds(1_767_225_600);
        let filter = json!({
            "body": { "data": { "object": { "amount_due": { "$gte": 1 }, "currency": { "$in": ["usd", "eur"] } } }, "livemode": true },
            "headers": { "content-type": { "$startsWith": "application/" } },
            "$not": { "type": "charge.refunded" },
        });
        let program = r#"addHandler("transform", (request, context) => { request.body.seen = context.id; return request })"#;
        let event = Event {
            id: EventId::new(),
            source: "stripe".into(),
            external_id: None,
            event_type: Some("invoice.paid".to_owned()),
            origin: Origin::Received,
            binding: Binding::Body,
            occurred_at: Some(now),
            received_at: now,
            query: String::new(),
            headers: Headers::from_pairs([
                ("content-type", &b"application/json"[..]),
                ("user-agent", b"Stripe/1.0"),
            ]),
            body: Bytes::from_static(REAL_BODY),
        };
        let settings = Settings {
            name: "transform".to_owned(),
            program: program.to_owned(),
        };
        let case = Self {
            event,
            filter: Filter::new(&filter).map_err(|faults| format!("{faults:?}"))?,
            transform: Transform::new(&settings).map_err(|fault| fault.problem)?,
        };
        match case.filter.refusal(&Subject::new(&case.event)) {
            // It looked at everything, and nothing was left out.
            None => Ok(case),
            Some(reason) => Err(reason.into()),
        }
    }

    pub(crate) fn measure(&self) {
        let parse_ns = ns_each(|| {
            black_box(serde_json::from_slice::<Value>(black_box(&self.event.body)).is_ok());
        });
        let filter_ns = ns_each(|| {
            black_box(self.filter.refusal(&Subject::new(black_box(&self.event))));
        });
        let transform_ns = ns_each(|| {
            let output = self.transform.run_here(&Input::new(black_box(&self.event), 1));
            assert!(black_box(output).is_ok(), "it ran before");
        });
        let floor_ns = ns_each(|| {
            assert!(
                black_box(floor(black_box(&self.event.body))).is_ok(),
                "it ran before"
            );
        });
        println!(
            "{}",
            json!({
                "body": self.event.body.len(), "parse_ns": parse_ns, "filter_ns": filter_ns, "transform_ns": transform_ns,
                "floor_ns": floor_ns,
            })
        );
    }
}

/// What the engine alone takes for that: a context of its own, the program, the body read, the call, and the body written.
fn floor(body: &[u8]) -> rquickjs::Result<usize> {
    let runtime = Runtime::new()?;
    let context = Context::custom::<(Eval, Json)>(&runtime)?;
    context.with(|ctx| {
        let handler: Function<'_> = ctx.eval("(body) => { body.seen = 'evt'; return body }")?;
        let body: Object<'_> = handler.call((ctx.json_parse(body)?,))?;
        let written = ctx.json_stringify(body)?;
        written.map_or(Ok(0), |it| Ok(it.to_string()?.len()))
    })
}
