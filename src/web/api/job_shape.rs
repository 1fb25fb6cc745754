//! The JSON of bulk work: what is asked for, what it would do, how far it is.

use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use crate::{
    base::{clock::Timestamp, ids::EventId, safe_url::SafeUrl},
    bulk::{
        plan::{Plan, Skipped, Speed, Way},
        request::{self, Request},
    },
    event::delivery::Status,
    store::job::{Action, Config, Filter, Job, Target},
    web::{
        api::texts::{ActionText, EventIdText, ReplayConfigText, StatusText, TimeText},
        error::Problem,
        extract::{object, parse_id},
    },
};

/// Bulk work: what to do, with which deliveries (of a replay: events), and where to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobInput {
    /// `retry`: the same deliveries again. `replay`: new deliveries of stored events. `cancel`: gives open deliveries up.
    #[schema(value_type = ActionText)]
    action: String,
    #[serde(default, deserialize_with = "object")]
    filter: FilterJson,
    /// Of a replay, where to. Nothing named: all of today's routes that take an event.
    #[serde(default, deserialize_with = "object")]
    to: TargetJson,
    /// Of a replay. `current` (without it): by today's routes. `original`: to where each event went when it came in, as its routes
    /// were then; a `route` or `destination` is one of those.
    #[schema(value_type = Option<ReplayConfigText>)]
    config: Option<String>,
    /// At most so many deliveries (of a replay: events) a second. Absent: 500, and of a cancel as fast as it goes.
    #[schema(minimum = 1, maximum = 100_000)]
    rate: Option<u32>,
    /// Why; kept with the job.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

impl JobInput {
    /// With no target: of a replay, all routes that take an event, or took it.
    pub(crate) fn new(
        action: String,
        filter: FilterJson,
        config: Option<String>,
        rate: Option<u32>,
        reason: Option<String>,
    ) -> Self {
        Self {
            action,
            filter,
            to: TargetJson::default(),
            config,
            rate,
            reason,
        }
    }
}

/// The conditions of the lists. All that are given must hold; without any, everything is found.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FilterJson {
    /// Of this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// Of this type, or with a `*` at its end of all types that begin so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) r#type: Option<String>,
    /// Deliveries of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<EventIdText>)]
    pub(crate) event_id: Option<String>,
    /// Deliveries of this route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<String>,
    /// Deliveries to this destination; of a replay, events that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) destination: Option<String>,
    /// Deliveries in this status (a retry without it takes `dead`, a cancel all open ones); of a replay, events that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<StatusText>)]
    pub(crate) status: Option<String>,
    /// Deliveries skipped for this cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    /// Deliveries made, or events received, at or after this time (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TimeText>)]
    pub(crate) after: Option<String>,
    /// Before this time (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TimeText>)]
    pub(crate) before: Option<String>,
    /// Part of the external id or of the type; of deliveries also of the last error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) q: Option<String>,
}

impl FilterJson {
    /// Those that are given, by name.
    pub(crate) fn conditions(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("source", &self.source),
            ("type", &self.r#type),
            ("event_id", &self.event_id),
            ("route", &self.route),
            ("destination", &self.destination),
            ("status", &self.status),
            ("cause", &self.cause),
            ("after", &self.after),
            ("before", &self.before),
            ("q", &self.q),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect()
    }
}

/// The conditions of the list of events. All that are given must hold; without any, everything is found.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EventFilterJson {
    /// Of this source.
    source: Option<String>,
    /// Of this type, or with a `*` at its end of all types that begin so.
    r#type: Option<String>,
    /// Events that have a delivery to this destination.
    destination: Option<String>,
    /// Events that have a delivery in this status.
    #[schema(value_type = Option<StatusText>)]
    status: Option<String>,
    /// Received at or after this time (RFC 3339).
    #[schema(value_type = Option<TimeText>)]
    after: Option<String>,
    /// Before this time (RFC 3339).
    #[schema(value_type = Option<TimeText>)]
    before: Option<String>,
    /// Part of the external id or of the type.
    q: Option<String>,
}

impl EventFilterJson {
    pub(crate) fn read(self) -> Result<Filter, Problem> {
        read_filter(FilterJson {
            source: self.source,
            r#type: self.r#type,
            destination: self.destination,
            status: self.status,
            after: self.after,
            before: self.before,
            q: self.q,
            ..FilterJson::default()
        })
    }
}

/// Where a replay goes. A route or destination that is named takes an event whatever its types and its filter say.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TargetJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    /// In place of that `destination`'s own: with its timeout, rate, retries and signing secret, without its headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// What bulk work would do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanJson {
    pub(crate) action: &'static str,
    pub(crate) filter: FilterJson,
    pub(crate) to: TargetJson,
    /// Of a replay: `current` or `original`.
    pub(crate) config: Option<&'static str>,
    pub(crate) rate: Option<u32>,
    /// Of a replay: the events that the filter finds.
    pub(crate) n_events: Option<u64>,
    /// Deliveries that would be tried again, made, or given up.
    pub(crate) n_deliveries: u64,
    /// False: there is more than could be counted in the time that was given.
    pub(crate) complete: bool,
    /// Where they go.
    pub(crate) ways: Vec<WayJson>,
    /// What is found and would be left out.
    pub(crate) skipped: Vec<SkippedJson>,
    /// How long it takes: the slowest destination's share, or what the rate makes of it. Null where that is not known.
    pub(crate) seconds: Option<f64>,
}

/// Deliveries by one route to one destination.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WayJson {
    pub(crate) route: String,
    pub(crate) destination: String,
    pub(crate) n_deliveries: u64,
    /// Deliveries a second that the destination takes from one process, if that is known.
    pub(crate) per_second: Option<f64>,
    /// `configured` (its `rate`), or `measured`: its concurrency and how long the last attempts took.
    pub(crate) per_second_from: Option<&'static str>,
    /// What to know before saying yes.
    pub(crate) remarks: Vec<&'static str>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SkippedJson {
    /// `no_route` or `not_kept`.
    pub(crate) cause: &'static str,
    pub(crate) reason: String,
    pub(crate) n: u64,
}

/// Bulk work that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobJson {
    pub(crate) id: String,
    pub(crate) action: &'static str,
    /// `running`, `paused`, `cancelled` or `done`.
    pub(crate) state: &'static str,
    pub(crate) filter: FilterJson,
    pub(crate) to: TargetJson,
    /// Of a replay: `current` or `original`.
    pub(crate) config: Option<&'static str>,
    pub(crate) rate: Option<u32>,
    /// The name of the token that asked for it.
    pub(crate) made_by: String,
    pub(crate) reason: Option<String>,
    /// What the plan counted: deliveries, or the events of a replay.
    pub(crate) n_planned: u64,
    /// Found and worked off so far.
    pub(crate) n_matched: u64,
    /// Deliveries that were tried again, made, or given up.
    pub(crate) n_changed: u64,
    /// Of what was found, those with which nothing was to be done.
    pub(crate) n_skipped: u64,
    pub(crate) created_at: String,
    pub(crate) ended_at: Option<String>,
}

pub(crate) fn read(input: JobInput) -> Result<Request, Problem> {
    let actions = Action::ALL.map(Action::as_str).join(", ");
    let action = Action::parse(&input.action)
        .ok_or_else(|| Problem::invalid("action", &format!("one of {actions}"), &input.action))?;
    Ok(Request {
        action,
        config: read_config(input.config.as_deref())?,
        filter: read_filter(input.filter)?,
        target: Target {
            route: input.to.route,
            destination: input.to.destination,
            url: input.to.url,
        },
        per_second: input.rate,
        reason: input.reason.filter(|it| !it.trim().is_empty()),
    })
}

/// By which config a replay goes; without a word, by today's.
pub(crate) fn read_config(word: Option<&str>) -> Result<Config, Problem> {
    let Some(word) = word else {
        return Ok(Config::Current);
    };
    Config::parse(word).ok_or_else(|| Problem::invalid("config", "`current` or `original`", word))
}

fn shown_config(action: Action, config: Config) -> Option<&'static str> {
    (action == Action::Replay).then(|| config.as_str())
}

fn read_filter(filter: FilterJson) -> Result<Filter, Problem> {
    if let Some(status) = &filter.status
        && Status::parse(status).is_none()
    {
        let all = Status::ALL.map(Status::as_str).join(", ");
        return Err(Problem::invalid("status", &format!("one of {all}"), status));
    }
    if let Some(id) = &filter.event_id {
        parse_id::<EventId>("event_id", id)?;
    }
    Ok(Filter {
        after: time("after", filter.after.as_deref())?,
        before: time("before", filter.before.as_deref())?,
        source: filter.source,
        event_type: filter.r#type,
        event_id: filter.event_id,
        route: filter.route,
        destination: filter.destination,
        status: filter.status,
        cause: filter.cause,
        q: filter.q,
    })
}

fn time(name: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    Timestamp::parse_rfc3339(text)
        .map(|it| Some(it.as_micros()))
        .ok_or_else(|| Problem::invalid(name, "a time in RFC 3339 (`2026-01-31T12:00:00Z`)", text))
}

impl From<request::Fault> for Problem {
    fn from(fault: request::Fault) -> Self {
        Self::invalid(fault.field, &fault.expected, &fault.found)
    }
}

impl From<&Filter> for FilterJson {
    fn from(filter: &Filter) -> Self {
        let time = |it: Option<i64>| it.map(|it| Timestamp::from_micros(it).to_string());
        Self {
            source: filter.source.clone(),
            r#type: filter.event_type.clone(),
            event_id: filter.event_id.clone(),
            route: filter.route.clone(),
            destination: filter.destination.clone(),
            status: filter.status.clone(),
            cause: filter.cause.clone(),
            after: time(filter.after),
            before: time(filter.before),
            q: filter.q.clone(),
        }
    }
}

impl From<&Target> for TargetJson {
    fn from(target: &Target) -> Self {
        Self {
            route: target.route.clone(),
            destination: target.destination.clone(),
            url: target.url.as_deref().map(|it| {
                let url = Url::parse(it).map(SafeUrl::new);
                url.map_or_else(|_| "?".to_owned(), |it| it.to_string())
            }),
        }
    }
}

impl From<&Job> for JobJson {
    fn from(job: &Job) -> Self {
        Self {
            id: job.id.to_string(),
            action: job.action.as_str(),
            state: job.state.as_str(),
            filter: FilterJson::from(&job.filter),
            to: TargetJson::from(&job.target),
            config: shown_config(job.action, job.config),
            rate: job.per_second,
            made_by: job.made_by.clone(),
            reason: job.reason.clone(),
            n_planned: job.n_planned,
            n_matched: job.n_matched,
            n_changed: job.n_changed,
            n_skipped: job.n_skipped,
            created_at: job.created_at.to_string(),
            ended_at: job.ended_at.map(|it| it.to_string()),
        }
    }
}

impl PlanJson {
    pub(crate) fn new(request: &Request, plan: &Plan) -> Self {
        Self {
            action: request.action.as_str(),
            filter: FilterJson::from(&request.filter),
            to: TargetJson::from(&request.target),
            config: shown_config(request.action, request.config),
            rate: request.per_second,
            n_events: plan.n_events,
            n_deliveries: plan.n_deliveries,
            complete: plan.is_whole,
            ways: plan.ways.iter().map(WayJson::from).collect(),
            skipped: plan.skipped.iter().map(SkippedJson::from).collect(),
            seconds: plan.takes.map(|it| rounded(it.as_secs_f64())),
        }
    }
}

impl From<&Way> for WayJson {
    fn from(way: &Way) -> Self {
        Self {
            route: way.route.to_string(),
            destination: way.destination.to_string(),
            n_deliveries: way.n_deliveries,
            per_second: way.per_second.map(|it| rounded(it.per_second())),
            per_second_from: way.per_second.map(|it| match it {
                Speed::Configured(_) => "configured",
                Speed::Measured(_) => "measured",
            }),
            remarks: way.remarks.clone(),
        }
    }
}

impl From<&Skipped> for SkippedJson {
    fn from(skipped: &Skipped) -> Self {
        Self {
            cause: skipped.cause,
            reason: skipped.reason.clone(),
            n: skipped.n,
        }
    }
}

/// An estimate says no more than a tenth.
fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
