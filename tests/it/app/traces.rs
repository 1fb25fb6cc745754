//! Traces, as a collector that reads OTLP with OpenTelemetry's own code gets them.

use std::collections::BTreeMap;

use gatepost::app::Role;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as Any, trace::v1::Span,
};
use prost::Message;
use serde_json::json;

use crate::{
    app::{
        app_case, destinations, eventually,
        receiver::{Receiver, Reply},
        sender::{OTHER_SECRET, Signed, event, stripe, stripe_with},
        site::{STRIPE_TO_BILLING, Site},
    },
    config::printed,
};

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
const EXPORTS: &str = "/otel/v1/traces";

/// To a collector beside the handler. `more` are further keys.
fn with_traces(config: &str, more: &str) -> String {
    format!(
        "{config}\n[telemetry]\nendpoint = \"http://{{}}/otel\"\nservice_name = \"hooks\"\n\
         headers = {{ authorization = {{ file = \"other.secret\" }} }}\n{more}"
    )
}

/// A span as an operator's tools show it.
#[derive(Debug, Clone)]
struct Seen {
    name: String,
    trace_id: String,
    id: String,
    parent: String,
    kind: i32,
    has_failed: bool,
    attributes: BTreeMap<String, String>,
    started_at: u64,
    ended_at: u64,
}

impl Seen {
    fn of(span: &Span) -> Self {
        let shown = |it: &Any| match it {
            Any::StringValue(text) => text.clone(),
            Any::IntValue(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        let attributes = span.attributes.iter().map(|it| {
            let value = it.value.as_ref().and_then(|it| it.value.as_ref()).unwrap();
            (it.key.clone(), shown(value))
        });
        Self {
            name: span.name.clone(),
            trace_id: hex::encode(&span.trace_id),
            id: hex::encode(&span.span_id),
            parent: hex::encode(&span.parent_span_id),
            kind: span.kind,
            has_failed: span.status.as_ref().is_some_and(|it| it.code == 2),
            attributes: attributes.collect(),
            started_at: span.start_time_unix_nano,
            ended_at: span.end_time_unix_nano,
        }
    }

    fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

/// All that the collector got so far. A gatepost that has stopped has sent all that it had.
fn seen(collector: &Receiver) -> Vec<Seen> {
    let mut spans = Vec::new();
    for hit in collector.hits(EXPORTS) {
        assert_eq!(hit.header("content-type"), "application/x-protobuf");
        assert_eq!(hit.header("authorization"), OTHER_SECRET);
        let request = ExportTraceServiceRequest::decode(hit.body).unwrap();
        for of_resource in request.resource_spans {
            let resource = of_resource.resource.unwrap();
            let service = &resource.attributes[0];
            assert_eq!(service.key, "service.name");
            assert!(format!("{:?}", service.value).contains("hooks"));
            spans.extend(
                of_resource
                    .scope_spans
                    .iter()
                    .flat_map(|it| &it.spans)
                    .map(Seen::of),
            );
        }
    }
    spans
}

fn one<'a>(spans: &'a [Seen], what: &str, is_it: impl Fn(&Seen) -> bool) -> &'a Seen {
    let found: Vec<_> = spans.iter().filter(|it| is_it(it)).collect();
    assert_eq!(found.len(), 1, "{what} of {spans:#?}");
    found[0]
}

/// The trace's id of an event whose sender began none.
fn own_trace(event_id: &str) -> String {
    let id: gatepost::base::ids::EventId = event_id.parse().unwrap();
    id.uuid().simple().to_string()
}

/// What the handler was told, in its four parts.
fn told(site: &Site, event_id: &str) -> Vec<[String; 4]> {
    let hits = site.receiver.hits("/billing");
    let of_event = hits.iter().filter(|it| it.header("webhook-id") == event_id);
    let parts = |text: &str| -> [String; 4] {
        let parts: Vec<_> = text.split('-').map(str::to_owned).collect();
        parts.try_into().unwrap()
    };
    of_event.map(|it| parts(it.header("traceparent"))).collect()
}

fn with_trace(id: &str, traceparent: &str) -> Signed {
    event(id).header("traceparent", traceparent)
}

app_case!(
    a_trace_goes_from_the_sender_to_the_handler_s_answer_on_another_replica,
    |site| {
        site.configure(&with_traces(STRIPE_TO_BILLING, ""));
        site.receiver
            .script("/billing", [Reply::Status(500), Reply::Status(500)]);
        let ingest = site.start_as(Role::Ingest).await;
        let continued = ingest.accept(&with_trace("evt_1", GIVEN)).await;
        let begun = ingest.accept(&event("evt_2")).await;
        ingest.stop().await;
        let deliver = site.start_as(Role::Deliver).await;
        deliver.until_status(&continued, "delivered").await;
        deliver.until_status(&begun, "delivered").await;
        deliver.finish().await;

        let spans = seen(&site.receiver);
        for (id, trace_id, parent) in [
            (
                &continued,
                "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
                "00f067aa0ba902b7",
            ),
            (&begun, own_trace(&begun), ""),
        ] {
            let of_trace: Vec<_> = spans
                .iter()
                .filter(|it| it.trace_id == trace_id)
                .cloned()
                .collect();
            let arrival = one(&of_trace, "the arrival", |it| it.name == "POST /webhooks/stripe");
            assert_eq!(
                (&*arrival.parent, arrival.kind, arrival.has_failed),
                (parent, 2, false)
            );
            assert_eq!(arrival.attribute("gatepost.event.id"), id);
            assert_eq!(arrival.attribute("gatepost.answer"), "accepted");
            assert_eq!(arrival.attribute("http.response.status_code"), "200");
            for name in ["verify", "store"] {
                let step = one(&of_trace, name, |it| it.name == name);
                assert_eq!(
                    (&*step.parent, step.kind, step.has_failed),
                    (&*arrival.id, 1, false)
                );
                assert!(arrival.started_at <= step.started_at && step.ended_at <= arrival.ended_at);
                assert!(step.started_at <= step.ended_at);
            }
            let told = told(&site, id);
            for (idx, [_, told_trace, told_span, flags]) in told.iter().enumerate() {
                assert_eq!((told_trace, &**flags), (&trace_id, "01"));
                let attempt = one(&of_trace, "the attempt that the handler knows", |it| {
                    it.id == *told_span
                });
                assert_eq!(
                    (&*attempt.name, &*attempt.parent, attempt.kind),
                    ("deliver billing", &*arrival.id, 3)
                );
                assert!(attempt.started_at >= arrival.ended_at);
                let is_last = idx + 1 == told.len();
                assert_eq!(attempt.has_failed, !is_last);
                let expected = if is_last {
                    ["delivered", "200", ""]
                } else {
                    ["retrying", "500", "status"]
                };
                let found = ["gatepost.outcome", "http.response.status_code", "error.type"];
                assert_eq!(found.map(|it| attempt.attribute(it)), expected);
                assert_eq!(
                    attempt.attribute("gatepost.attempt.number"),
                    (idx + 1).to_string()
                );
                assert_eq!(attempt.attribute("gatepost.route"), "to-billing");
            }
            assert_eq!(of_trace.len(), 3 + told.len());
        }
        assert_eq!(spans.len(), 6 + 4, "two attempts failed");
    }
);

app_case!(no_sender_gets_a_word_of_its_own_into_a_trace, |site| {
    const MARK: &str = "hunter2-of-the-sender";
    site.configure(&with_traces(STRIPE_TO_BILLING, ""));
    site.receiver
        .always("/billing", Reply::With(200, "x-answer", MARK.to_owned()));
    let app = site.start().await;
    let hostile = [
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(),
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
        format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-{MARK}"),
        format!("{MARK}-{}", "0".repeat(6000)),
    ];
    let mut ids = Vec::new();
    for (n, traceparent) in hostile.iter().enumerate() {
        let body = format!(r#"{{"id":"{MARK}-{n}","type":"{MARK}","created":1700000000}}"#);
        let signed = stripe(body)
            .header("traceparent", traceparent)
            .header("tracestate", MARK)
            .header("x-own", MARK);
        ids.push(app.accept(&signed).await);
        assert_eq!(app.post(&signed).await.duplicate(), ids[n]);
    }
    let twice = with_trace("evt_twice", GIVEN).header("traceparent", GIVEN);
    ids.push(app.accept(&twice).await);
    let forged = app.post(&stripe_with(OTHER_SECRET, MARK)).await;
    assert_eq!(forged.status, 401);
    for id in &ids {
        app.until_status(id, "delivered").await;
        let [[_, trace_id, ..]] = &told(&site, id)[..] else {
            panic!("not delivered once");
        };
        assert_eq!(*trace_id, own_trace(id));
    }
    app.finish().await;

    let spans = seen(&site.receiver);
    for id in &ids {
        one(&spans, "the attempt", |it| {
            it.trace_id == own_trace(id) && it.name == "deliver billing"
        });
    }
    let forged = one(&spans, "the forged one", |it| {
        it.attribute("gatepost.answer") == "rejected"
    });
    assert_eq!(forged.attribute("gatepost.cause"), "signature_mismatch");
    assert_eq!(forged.attribute("http.response.status_code"), "401");
    // What is sent again shows beside what came first.
    let again =
        |it: &&Seen| it.attribute("gatepost.answer") == "duplicate" && it.trace_id == own_trace(&ids[0]);
    assert_eq!(spans.iter().filter(again).count(), 1);
    for hit in site.receiver.hits(EXPORTS) {
        let bytes = String::from_utf8_lossy(&hit.body);
        assert!(!bytes.contains("hunter2") && !bytes.contains("whsec"), "{bytes}");
    }
});

app_case!(a_collector_that_is_dead_harms_nothing, |site| {
    const N: usize = 20;
    site.configure(&with_traces(STRIPE_TO_BILLING, ""));
    for reply in [Reply::Hang, Reply::Status(503), Reply::Status(400)] {
        site.receiver.always(EXPORTS, reply.clone());
        let app = site.start().await;
        let mut ids = Vec::new();
        for n in 0..N {
            ids.push(app.accept(&event(&format!("evt_{reply:?}_{n}"))).await);
        }
        for id in &ids {
            app.until_status(id, "delivered").await;
        }
        site.receiver.arrived(EXPORTS, 1).await;
        if matches!(reply, Reply::Status(400)) {
            eventually("what is refused is counted", || async {
                let text = String::from_utf8(app.ask("/metrics").await.body.to_vec()).unwrap();
                let line = text
                    .lines()
                    .find(|it| it.starts_with("gatepost_spans_dropped_total{cause=\"refused\"}"))?;
                let (_, n_dropped) = line.split_once(' ')?;
                (n_dropped == (4 * N).to_string()).then_some(())
            })
            .await;
        }
        app.finish().await;
    }
});

app_case!(what_is_not_sampled_is_not_sent_and_its_flag_says_so, |site| {
    site.configure(&with_traces(STRIPE_TO_BILLING, "sample_ratio = 0.0"));
    let app = site.start().await;
    let begun = app.accept(&event("evt_1")).await;
    let continued = app
        .accept(&with_trace("evt_2", &GIVEN.replace("-00", "-01")))
        .await;
    for id in [&begun, &continued] {
        app.until_status(id, "delivered").await;
    }
    app.finish().await;
    assert_eq!(told(&site, &begun)[0][3], "00");
    // The sender kept its own spans: the handler's tracer may follow it.
    assert_eq!(told(&site, &continued)[0][3], "01");
    assert!(site.receiver.hits(EXPORTS).is_empty());
});

app_case!(a_consumer_s_attempt_is_from_its_fetch_to_its_word, |site| {
    destinations::configure(&site, "queue = {}");
    let config = std::fs::read_to_string(site.config_file()).unwrap();
    site.configure(&with_traces(&config, ""));
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    let body = json!({ "max": 1, "wait_s": 20 });
    let received = app.command("/v1/queues/billing/receive", &body.to_string()).await;
    let handed = received.json()["data"][0].clone();
    let receipt = json!({ "receipt": handed["receipt"] });
    let acked = app.command("/v1/queues/billing/ack", &receipt.to_string()).await;
    assert!(acked.status < 300, "{acked:?}");
    app.finish().await;
    let told = handed["headers"]["traceparent"].as_str().unwrap();
    let spans = seen(&site.receiver);
    let attempt = one(&spans, "the attempt", |it| it.name == "deliver billing");
    assert_eq!(told, format!("00-{}-{}-01", own_trace(&id), attempt.id));
    assert_eq!(attempt.attribute("gatepost.outcome"), "delivered");
    assert_eq!(attempt.attribute("gatepost.destination.kind"), "queue");
});

#[test]
fn the_secret_of_the_collector_is_never_shown() {
    let inputs = gatepost::config::Inputs::default();
    let text = "[telemetry]\nendpoint = \"http://127.0.0.1:4318\"\nheaders = { x-key = \"hunter2\" }\n";
    let loaded = gatepost::config::load_text(&inputs, text).unwrap();
    let shown = format!("{:?}", loaded.effective);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!format!("{:?}", loaded.settings.telemetry).contains("hunter2"));
}

#[test]
fn traces_that_cannot_be_sent_are_refused() {
    let cases = [
        "[telemetry]\nendpoint = \"127.0.0.1:4318\"",
        "[telemetry]\nendpoint = \"grpc://127.0.0.1:4317\"",
        "[telemetry]\nendpoint = \"http://169.254.169.254/\"",
        "[telemetry]\nendpoint = \"http://127.0.0.1:4318/?x=1\"",
        "[telemetry]\nheaders = { \"a b\" = \"hunter2\" }",
        "[telemetry]\nheaders = { content-type = \"hunter2\" }",
        "[telemetry]\nheaders = { authorization = { env = \"NOT_SET\" } }",
        "[telemetry]\nsample_ratio = 1.1",
        "[telemetry]\nsample_ratio = -0.1",
        "[telemetry]\nsample_ratio = \"10%\"",
        "[telemetry]\nservice_name = \"\"\nendpoints = []",
    ];
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(printed(&cases)) });
}
