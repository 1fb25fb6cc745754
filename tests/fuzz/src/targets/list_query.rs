//! The queries of the admin side's lists, cursors among them.

use std::path::Path;

use gatepost::{
    base::clock::Timestamp,
    event::delivery::Status,
    store::query::{DeliveryQuery, EventQuery, RequestQuery},
    web::{api::lists, extract::Params},
};

use super::{Target, Verdict, ids, input::Input, text::form, timestamp::rfc3339};

pub const TARGET: Target = Target {
    name: "list_query",
    run: |bytes| compare(read, bytes),
    seeds,
};

/// What was asked: a parameter and what it means, each as text, in the order of the names.
type Asked = Vec<(&'static str, String)>;
pub(crate) type Reference = fn(&[&'static str], &str, &str) -> Option<Asked>;

const EVENTS: &[&str] = &[
    "source",
    "type",
    "after",
    "before",
    "status",
    "destination",
    "q",
    "limit",
    "cursor",
];
const DELIVERIES: &[&str] = &[
    "source",
    "type",
    "event_id",
    "route",
    "destination",
    "status",
    "cause",
    "after",
    "before",
    "q",
    "limit",
    "cursor",
];
const REQUESTS: &[&str] = &["source", "cause", "after", "before", "q", "limit", "cursor"];

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let which = input.byte() % 3;
    let query = String::from_utf8_lossy(input.rest());
    let params = Params::parse(&query);
    let (found, names, kind) = match which {
        0 => (lists::events(params).map(|it| events(&it)), EVENTS, "evt"),
        1 => (
            lists::deliveries(params).map(|it| deliveries(&it)),
            DELIVERIES,
            "dlv",
        ),
        _ => (lists::requests(params).map(|it| requests(&it)), REQUESTS, "req"),
    };
    if let Err(problem) = &found {
        ensure!(problem.status == 400, "`{query}` is answered {}", problem.status);
        ensure!(
            problem.detail.len() < 1_000,
            "{} bytes of words",
            problem.detail.len()
        );
        ensure!(
            !problem.detail.contains(char::is_control),
            "control characters in {:?}",
            problem.detail
        );
    }
    let (found, expected) = (found.ok(), reference(names, kind, &query));
    ensure!(
        found == expected,
        "`{query}` asks for {found:?}, expected {expected:?}"
    );
    Ok(())
}

fn asked(pairs: Vec<(&'static str, Option<String>)>) -> Asked {
    pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn micros(at: Option<Timestamp>) -> Option<String> {
    at.map(|it| it.as_micros().to_string())
}

fn events(it: &EventQuery) -> Asked {
    asked(vec![
        ("source", it.source.clone()),
        ("type", it.event_type.clone()),
        ("after", micros(it.after)),
        ("before", micros(it.before)),
        ("status", it.status.map(|it| it.as_str().to_owned())),
        ("destination", it.destination.clone()),
        ("q", it.q.clone()),
        ("limit", Some(it.limit.to_string())),
        ("cursor", it.cursor.map(|it| it.to_string())),
    ])
}

fn deliveries(it: &DeliveryQuery) -> Asked {
    asked(vec![
        ("source", it.source.clone()),
        ("type", it.event_type.clone()),
        ("event_id", it.event_id.map(|it| it.to_string())),
        ("route", it.route.clone()),
        ("destination", it.destination.clone()),
        ("status", it.status.map(|it| it.as_str().to_owned())),
        ("cause", it.cause.clone()),
        ("after", micros(it.after)),
        ("before", micros(it.before)),
        ("q", it.q.clone()),
        ("limit", Some(it.limit.to_string())),
        ("cursor", it.cursor.map(|it| it.to_string())),
    ])
}

fn requests(it: &RequestQuery) -> Asked {
    asked(vec![
        ("source", it.source.clone()),
        ("cause", it.cause.clone()),
        ("after", micros(it.after)),
        ("before", micros(it.before)),
        ("q", it.q.clone()),
        ("limit", Some(it.limit.to_string())),
        ("cursor", it.cursor.map(|it| it.to_string())),
    ])
}

/// `kind` is the prefix of the cursor's ids.
pub(crate) fn read(names: &[&'static str], kind: &str, query: &str) -> Option<Asked> {
    let fields = form(query.as_bytes());
    if fields.iter().any(|(name, _)| !names.contains(&name.as_str())) {
        return None;
    }
    let mut asked = Vec::new();
    for name in names {
        let mut values = fields.iter().filter(|(it, _)| it == name).map(|(_, value)| value);
        let value = values.next();
        if values.next().is_some() {
            return None;
        }
        let Some(text) = value else {
            if *name == "limit" {
                asked.push((*name, "50".to_owned()));
            }
            continue;
        };
        let value = match *name {
            "limit" => {
                let limit: u32 = text.parse().ok()?;
                (1..=200).contains(&limit).then(|| limit.to_string())?
            }
            "after" | "before" => rfc3339(text)?.to_string(),
            "status" => Status::ALL
                .map(Status::as_str)
                .contains(&text.as_str())
                .then(|| text.clone())?,
            "cursor" => ids::read(kind, text).map(|_| text.clone())?,
            "event_id" => ids::read("evt", text).map(|_| text.clone())?,
            // An empty text is none; an empty one of the others is a fault.
            _ if text.is_empty() => continue,
            _ => text.clone(),
        };
        asked.push((*name, value));
    }
    Some(asked)
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let queries = [
        "",
        "source=stripe&type=a.*&status=dead&destination=x&q=%25_&limit=200",
        "after=2026-01-01T00:00:00Z&before=2026-01-01T00%3A00%3A00.5%2B01:00&limit=",
        "cursor=evt_01jdq8s5rqe5m8y5b0q2m3k4n5&event_id=evt_00000000000000000000000000",
        "cursor=dlv_01jdq8s5rqe5m8y5b0q2m3k4n5&route=r",
        "cursor=req_7zzzzzzzzzzzzzzzzzzzzzzzzz&cause=unsigned",
        "limit=201&limit=0",
        "limit=1&limit=2",
        "sorce=a",
        "cursor=%00%1b[31m",
    ];
    let of_each = |it: &&str| {
        (0..3)
            .map(|which| [&[which], it.as_bytes()].concat())
            .collect::<Vec<_>>()
    };
    queries.iter().flat_map(of_each).collect()
}
