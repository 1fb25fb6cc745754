//! `[[tests]]`: events, and what a route must make of them.

use std::path::PathBuf;

use crate::config::{
    error::Fault,
    section::{Bad, Reading, Section},
    tree::Node,
    value,
};

/// An event in a file, and what a route must make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTest {
    pub name: String,
    pub route: String,
    /// A file with the body.
    pub event: PathBuf,
    /// Where the body does not say it.
    pub event_type: Option<String>,
    pub headers: Vec<(String, String)>,
    /// Of its URL, as it is written.
    pub query: Option<String>,
    pub expect: Expected,
    /// A file with what is sent.
    pub body: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Delivered,
    /// The route does not take events of this type.
    Type,
    Filtered,
    /// The transform fails.
    Failed,
}

impl Expected {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Type => "type",
            Self::Filtered => "filtered",
            Self::Failed => "failed",
        }
    }
}

const EXPECTED: &[(&str, Expected)] = &[
    ("delivered", Expected::Delivered),
    ("type", Expected::Type),
    ("filtered", Expected::Filtered),
    ("failed", Expected::Failed),
];

pub(super) fn route_test(idx: usize, node: &Node, reading: &mut Reading<'_>) -> Result<RouteTest, Bad> {
    let mut section = Section::of(node, format!("tests[{idx}]"), "tests[]", reading)?;
    let name = section.read("name", reading, value::text);
    let route = section.need("route", reading, value::text);
    let event = section.need("event", reading, value::text);
    let event_type = section.read("type", reading, value::text);
    let headers = headers(&mut section, reading);
    let query = section.read("query", reading, value::text);
    let expect = section.need("expect", reading, value::choice(EXPECTED));
    let body = section.read("body", reading, value::text);
    section.finish(reading);
    let (name, route, event, expect, body) = (name?, route?, event?, expect?, body?);
    if body.is_some() && expect != Expected::Delivered {
        let place = section.place_of("body");
        let fault = Fault::new(
            &place,
            format!("`{}` needs `expect = \"delivered\"`", section.path_of("body")),
        )
        .label("nothing is sent where nothing is delivered".to_owned());
        return Err(reading.fault(fault));
    }
    Ok(RouteTest {
        name: name.unwrap_or_else(|| format!("{route}: {event}")),
        route,
        event: reading.directory.join(event),
        event_type: event_type?,
        headers: headers?,
        query: query?,
        expect,
        body: body.map(|it| reading.directory.join(it)),
    })
}

fn headers(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Vec<(String, String)>, Bad> {
    let headers = section.read("headers", reading, value::json)?;
    let Some(headers) = headers else {
        return Ok(Vec::new());
    };
    let texts = headers.as_object().and_then(|table| {
        let text =
            |(name, value): (&String, &serde_json::Value)| Some((name.clone(), value.as_str()?.to_owned()));
        table.iter().map(text).collect::<Option<Vec<_>>>()
    });
    texts.ok_or_else(|| {
        let place = section.place_of("headers");
        let fault = Fault::new(
            &place,
            format!("`{}` is not a table of texts", section.path_of("headers")),
        )
        .label("expected like { x-region = \"eu\" }".to_owned());
        reading.fault(fault)
    })
}
