//! What a route makes of an event, without sending it: for `gatepost try` and `gatepost test`.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::{
    base::{clock::wall_now, ids::EventId},
    cli::output::{self, Failure, Result},
    event::{Binding, Event, Origin, headers::Headers},
    registry,
    route::{Route, filter::subject::Subject, transform::Input},
    source::{self, Request},
};

/// What would become of the event.
#[derive(Debug, Serialize)]
pub(crate) struct Trial {
    route: String,
    destination: String,
    pub(crate) delivered: bool,
    /// `type`, `filtered` or `transform` where it is not.
    pub(crate) cause: Option<&'static str>,
    pub(crate) reason: Option<String>,
    event_type: Option<String>,
    /// Of the sender, as the transform left them; ours and the destination's come on top.
    headers: Vec<(String, String)>,
    /// Bytes that are not UTF-8 are shown as U+FFFD.
    pub(crate) body: Option<String>,
    /// What the transform wrote with `console.log`.
    log: Vec<String>,
}

pub(crate) fn find_route(settings: &registry::Settings, name: &str) -> Result<Route> {
    let routes: std::result::Result<Vec<_>, _> = settings.routes.iter().map(Route::new).collect();
    // The config was checked: no route of it is faulty.
    let mut routes = routes.map_err(|_faults| Failure::usage("a route of this config is faulty"))?;
    if let Some(idx) = routes.iter().position(|it| &*it.name == name) {
        return Ok(routes.swap_remove(idx));
    }
    let names: Vec<_> = routes.iter().map(|it| &*it.name).collect();
    Err(
        Failure::usage(format_args!("no route `{name}` in this config")).hint(if names.is_empty() {
            "this config has no route".to_owned()
        } else {
            format!("this config has: {}", names.join(", "))
        }),
    )
}

/// A body read as its source's provider reads it. Nothing is verified: nobody signs what lies in a file.
pub(crate) fn event(
    of_source: &source::Settings,
    event_type: Option<String>,
    query: Option<&str>,
    headers: Headers,
    body: Bytes,
) -> Event {
    let now = wall_now();
    let path = format!("/webhooks/{}", of_source.name);
    let request = Request {
        method: http::Method::POST,
        target: query.map_or_else(|| path.clone(), |it| format!("{path}?{it}")),
        headers,
        body,
        client: None,
        received_at: now,
    };
    let names = source::names(&of_source.provider, &request);
    Event {
        id: EventId::new(),
        source: Arc::from(of_source.name.as_str()),
        external_id: names
            .external_id
            .map(|it| String::from_utf8_lossy(&it).into_owned()),
        event_type: event_type.or(names.event_type),
        origin: Origin::Received,
        binding: Binding::Body,
        occurred_at: names.occurred_at,
        received_at: now,
        query: of_source.provider.kept_query(&request.target),
        headers: request.headers,
        body: request.body,
    }
}

impl Trial {
    /// `further_types` are those of a batch's other elements.
    pub(crate) fn of(route: &Route, event: &Event, further_types: &[String]) -> Self {
        let mut trial = Self {
            route: route.name.to_string(),
            destination: route.destination.to_string(),
            delivered: false,
            cause: None,
            reason: None,
            event_type: event.event_type.clone(),
            headers: Vec::new(),
            body: None,
            log: Vec::new(),
        };
        let types = event.event_type.iter().chain(further_types);
        if !route.takes(types.map(String::as_str)) {
            return trial.refused("type", "the route does not take events of this type".to_owned());
        }
        if let Some(reason) = route.refusal(&Subject::new(event)) {
            return trial.refused("filtered", reason);
        }
        let mut sent = event.clone();
        if let Some(transform) = &route.transform {
            match transform.run_here(&Input::new(event, 1)) {
                Ok(output) => {
                    trial.log.clone_from(&output.lines);
                    sent = output.apply(event);
                }
                Err(error) => return trial.refused("transform", error.to_string()),
            }
        }
        let shown = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        Self {
            delivered: true,
            headers: sent
                .headers
                .iter()
                .map(|(name, value)| (name.to_owned(), shown(value)))
                .collect(),
            body: Some(shown(&sent.body)),
            ..trial
        }
    }

    fn refused(self, cause: &'static str, reason: String) -> Self {
        Self {
            cause: Some(cause),
            reason: Some(reason),
            ..self
        }
    }

    pub(crate) fn to_text(&self) -> String {
        let mut lines = vec![match (self.cause, &self.reason) {
            (Some(cause), Some(reason)) => {
                format!(
                    "{}: not delivered: {cause}: {}",
                    self.route,
                    output::printable(reason)
                )
            }
            _ => format!("{}: delivered to `{}`", self.route, self.destination),
        }];
        let event_type = self.event_type.as_deref().unwrap_or("none");
        lines.push(format!("  event type: {}", output::printable(event_type)));
        lines.extend(
            self.log
                .iter()
                .map(|it| format!("  console: {}", output::printable(it))),
        );
        let headers = self.headers.iter();
        lines.extend(
            headers
                .map(|(name, value)| format!("  {}: {}", output::printable(name), output::printable(value))),
        );
        if let Some(body) = &self.body {
            lines.push(String::new());
            lines.push(body.lines().map(output::printable).collect::<Vec<_>>().join("\n"));
        }
        lines.join("\n")
    }
}
