//! Spans as OTLP wants them: an `ExportTraceServiceRequest` of `opentelemetry.proto.collector.trace.v1`, in protobuf.
//!
//! Written by hand: the fields of a span are a dozen and have been stable since OTLP 1.0, and what the libraries bring for them is more
//! than what is here. Tests read it with OpenTelemetry's own.

use crate::telemetry::span::{Kind, Span, Value};

/// Who speaks.
#[derive(Debug, Clone)]
pub struct Resource {
    pub attributes: Vec<(&'static str, Value)>,
}

/// What instrumented it: us.
const SCOPE: &str = "gatepost";

/// The body of one export.
pub fn request(resource: &Resource, spans: &[Span]) -> Vec<u8> {
    let mut scope_spans = Message::default();
    scope_spans.message(1, |scope| {
        scope.text(1, SCOPE);
        scope.text(2, env!("CARGO_PKG_VERSION"));
    });
    for it in spans {
        scope_spans.message(2, |message| span(message, it));
    }
    let mut request = Message::default();
    request.message(1, |resource_spans| {
        resource_spans.message(1, |message| attributes(message, 1, &resource.attributes));
        resource_spans.bytes(2, &scope_spans.0);
    });
    request.0
}

/// How many spans the collector says that it did not take. What is no answer of OTLP says nothing.
pub fn n_rejected(answer: &[u8]) -> u64 {
    let partial_success = field(answer, 1).and_then(|it| match it {
        Field::Bytes(bytes) => field(bytes, 1),
        Field::Number(_) => None,
    });
    match partial_success {
        Some(Field::Number(n_spans)) => n_spans,
        _ => 0,
    }
}

fn span(message: &mut Message, span: &Span) {
    message.bytes(1, &span.trace.trace_id.to_be_bytes());
    message.bytes(2, &span.span_id.to_be_bytes());
    if let Some(parent_id) = span.parent_id {
        message.bytes(4, &parent_id.to_be_bytes());
    }
    message.text(5, &span.name);
    message.number(
        6,
        match span.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
        },
    );
    message.fixed64(7, span.started_at);
    message.fixed64(8, span.ended_at);
    attributes(message, 9, &span.attributes);
    if span.is_failed {
        // STATUS_CODE_ERROR. Without it, nothing is said of success: that is for whoever reads.
        message.message(15, |status| status.number(3, 2));
    }
    message.fixed32(16, u32::from(span.trace.flags));
}

fn attributes(message: &mut Message, number: u32, attributes: &[(&'static str, Value)]) {
    for (key, value) in attributes {
        message.message(number, |pair| {
            pair.text(1, key);
            pair.message(2, |any| match value {
                Value::Text(text) => any.text(1, text.as_str()),
                // Two's complement, as protobuf has it.
                Value::Number(number) => any.number(3, number.cast_unsigned()),
            });
        });
    }
}

/// A message of protobuf as it is written.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    const VARINT: u32 = 0;
    const FIXED64: u32 = 1;
    const LENGTH: u32 = 2;
    const FIXED32: u32 = 5;

    fn tag(&mut self, number: u32, wire: u32) {
        self.varint(u64::from(number << 3 | wire));
    }

    fn varint(&mut self, mut value: u64) {
        let low = |value: u64| value.to_le_bytes()[0];
        while value >= 0x80 {
            self.0.push(low(value) | 0x80);
            value >>= 7;
        }
        self.0.push(low(value));
    }

    fn number(&mut self, number: u32, value: u64) {
        self.tag(number, Self::VARINT);
        self.varint(value);
    }

    fn fixed64(&mut self, number: u32, value: u64) {
        self.tag(number, Self::FIXED64);
        self.0.extend(value.to_le_bytes());
    }

    fn fixed32(&mut self, number: u32, value: u32) {
        self.tag(number, Self::FIXED32);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.tag(number, Self::LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, number: u32, text: &str) {
        self.bytes(number, text.as_bytes());
    }

    fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(number, &inner.0);
    }
}

#[derive(Debug, Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The first field of that number.
fn field(mut message: &[u8], wanted: u64) -> Option<Field<'_>> {
    while !message.is_empty() {
        let tag = read_varint(&mut message)?;
        let found = match tag & 7 {
            0 => Field::Number(read_varint(&mut message)?),
            1 => Field::Bytes(take(&mut message, 8)?),
            2 => {
                let len = usize::try_from(read_varint(&mut message)?).ok()?;
                Field::Bytes(take(&mut message, len)?)
            }
            5 => Field::Bytes(take(&mut message, 4)?),
            _ => return None,
        };
        if tag >> 3 == wanted {
            return Some(found);
        }
    }
    None
}

fn take<'a>(message: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = message.split_at_checked(len)?;
    *message = rest;
    Some(taken)
}

fn read_varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(message, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::{
        collector::trace::v1::{
            ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        },
        common::v1::{KeyValue, any_value},
    };
    use prost::Message as _;
    use uuid::Uuid;

    use super::*;
    use crate::event::trace::Trace;

    fn read(spans: &[Span]) -> ExportTraceServiceRequest {
        let resource = Resource {
            attributes: vec![("service.name", "gatepost".into())],
        };
        ExportTraceServiceRequest::decode(&request(&resource, spans)[..]).unwrap()
    }

    fn value(pair: &KeyValue) -> any_value::Value {
        pair.value.clone().unwrap().value.unwrap()
    }

    #[test]
    fn opentelemetry_reads_what_we_write() {
        let mut first = Span::internal(
            "verify",
            Trace::begun(Uuid::from_u128(u128::MAX - 1)),
            7,
            5,
            u64::MAX,
        );
        first.kind = Kind::Server;
        first.is_failed = true;
        first.attributes = vec![
            ("a.text", "é\0 and more".to_owned().into()),
            ("a.number", Value::Number(-1)),
            ("another", u64::MAX.into()),
        ];
        let mut second = first.clone();
        second.parent_id = None;
        second.is_failed = false;
        second.kind = Kind::Client;
        second.trace.flags = 3;
        second.name = "n".repeat(20_000).into();

        let request = read(&[first.clone(), second]);

        let resource_spans = &request.resource_spans[0];
        assert_eq!(request.resource_spans.len(), 1);
        let resource = resource_spans.resource.clone().unwrap();
        assert_eq!(resource.attributes[0].key, "service.name");
        let spans = &resource_spans.scope_spans[0].spans;
        assert_eq!(
            resource_spans.scope_spans[0].scope.clone().unwrap().name,
            "gatepost"
        );
        let (one, two) = (&spans[0], &spans[1]);
        assert_eq!(one.trace_id, (u128::MAX - 1).to_be_bytes());
        assert_eq!(one.span_id, first.span_id.to_be_bytes());
        assert_eq!(one.parent_span_id, 7_u64.to_be_bytes());
        assert_eq!((one.start_time_unix_nano, one.end_time_unix_nano), (5, u64::MAX));
        assert_eq!((one.kind, two.kind, one.flags, two.flags), (2, 3, 1, 3));
        assert_eq!(one.status.clone().unwrap().code, 2);
        assert_eq!(two.status, None);
        assert!(two.parent_span_id.is_empty());
        assert_eq!((one.name.len(), two.name.len()), (6, 20_000));
        let values: Vec<_> = one.attributes.iter().map(value).collect();
        assert_eq!(
            values,
            [
                any_value::Value::StringValue("é\0 and more".to_owned()),
                any_value::Value::IntValue(-1),
                any_value::Value::IntValue(i64::MAX),
            ]
        );
    }

    #[test]
    fn spans_that_the_collector_refused_are_counted() {
        let answer = |rejected_spans| {
            let partial_success = Some(ExportTracePartialSuccess {
                rejected_spans,
                error_message: "full".to_owned(),
            });
            ExportTraceServiceResponse { partial_success }.encode_to_vec()
        };
        assert_eq!(n_rejected(&answer(300)), 300);
        assert_eq!(n_rejected(&answer(0)), 0);
        for nonsense in [
            &b""[..],
            b"{}",
            b"\x0a\xff",
            b"\x0a",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(n_rejected(nonsense), 0, "{nonsense:?}");
        }
    }
}
