//! The lists of the admin side: one text for both engines, built from fixed pieces and bound values.

use sqlx::{Database, Encode, QueryBuilder, Type};
use uuid::Uuid;

use crate::{
    base::{
        clock::Timestamp,
        ids::{EventId, IssueId, JobId},
    },
    event::delivery::Status,
    store::{
        issue::IssueQuery,
        job::JobQuery,
        query::{DeliveryQuery, EventQuery, MAX_LIMIT, RequestQuery},
        value::{Time, clean},
        window::Window,
    },
};

/// What a condition compares with.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    Text(String),
    Bytes(Vec<u8>),
    Number(i64),
    Id(Uuid),
    Time(Time),
}

/// An engine that takes these.
pub(super) trait Engine: Database {
    /// The operator that compares without regard to case.
    const LIKE: &'static str;
    /// What stands around some bytes to ask whether the body holds them.
    const HOLDS: [&'static str; 2];
    /// What stands around an external id, and before it once more, to ask for it by the index of keys: so many of those that begin alike.
    const HAS_EXTERNAL_ID: [&'static str; 2];
    /// Whether it knows how many rows it has of each value, and reads the fewest.
    const KEEPS_STATISTICS: bool;

    fn bind(builder: &mut QueryBuilder<Self>, value: Operand);
}

impl Engine for sqlx::Postgres {
    const LIKE: &'static str = " ilike ";
    const HOLDS: [&'static str; 2] = ["position(", " in event.body) > 0"];
    const HAS_EXTERNAL_ID: [&'static str; 2] = [
        "event.id in (select id from event where (coalesce(left(external_id, 12), '')) collate \"C\" = left(",
        ", 12) and key is not null limit 5000) and event.external_id = ",
    ];
    const KEEPS_STATISTICS: bool = true;

    fn bind(builder: &mut QueryBuilder<Self>, value: Operand) {
        bind(builder, value);
    }
}

impl Engine for sqlx::Sqlite {
    const LIKE: &'static str = " like ";
    const HOLDS: [&'static str; 2] = ["instr(event.body, ", ") > 0"];
    const HAS_EXTERNAL_ID: [&'static str; 2] = [
        "event.id in (select id from event where substr(coalesce(external_id, ''), 1, 12) = substr(",
        ", 1, 12) and key is not null limit 5000) and event.external_id = ",
    ];
    const KEEPS_STATISTICS: bool = false;

    fn bind(builder: &mut QueryBuilder<Self>, value: Operand) {
        bind(builder, value);
    }
}

fn bind<DB>(builder: &mut QueryBuilder<DB>, value: Operand)
where
    DB: Database,
    String: for<'t> Encode<'t, DB> + Type<DB>,
    Vec<u8>: for<'t> Encode<'t, DB> + Type<DB>,
    i64: for<'t> Encode<'t, DB> + Type<DB>,
    Uuid: for<'t> Encode<'t, DB> + Type<DB>,
    Time: for<'t> Encode<'t, DB> + Type<DB>,
{
    match value {
        Operand::Text(it) => builder.push_bind(it),
        Operand::Bytes(it) => builder.push_bind(it),
        Operand::Number(it) => builder.push_bind(it),
        Operand::Id(it) => builder.push_bind(it),
        Operand::Time(it) => builder.push_bind(it),
    };
}

impl From<&str> for Operand {
    fn from(text: &str) -> Self {
        Self::Text(clean(text).into_owned())
    }
}

impl From<&[u8]> for Operand {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_owned())
    }
}

impl From<u32> for Operand {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<Uuid> for Operand {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl From<Timestamp> for Operand {
    fn from(at: Timestamp) -> Self {
        Self::Time(Time(at))
    }
}

/// Rows asked of the database for a page: one more than it shows, to know whether there is another page.
pub(super) fn n_rows(limit: u32) -> usize {
    limit.clamp(1, MAX_LIMIT) as usize + 1
}

/// Conditions joined by `and`.
pub(super) struct Conditions<DB: Database> {
    pub(super) builder: QueryBuilder<DB>,
    n_conditions: usize,
}

impl<DB: Engine> Conditions<DB> {
    pub(super) fn new(select: &'static str) -> Self {
        Self {
            builder: QueryBuilder::new(select),
            n_conditions: 0,
        }
    }

    pub(super) fn push(&mut self, sql: &'static str) -> &mut Self {
        self.builder.push(sql);
        self
    }

    pub(super) fn bind(&mut self, value: impl Into<Operand>) -> &mut Self {
        DB::bind(&mut self.builder, value.into());
        self
    }

    pub(super) fn and(&mut self, condition: &'static str) -> &mut Self {
        let joint = if self.n_conditions == 0 {
            " where "
        } else {
            " and "
        };
        self.n_conditions += 1;
        self.push(joint).push(condition)
    }

    /// Only where there is something to compare with.
    pub(super) fn and_if(&mut self, condition: &'static str, value: Option<impl Into<Operand>>) {
        if let Some(value) = value {
            self.and(condition).bind(value);
        }
    }

    /// A type, or a prefix of it that ends in `*`.
    fn event_type(&mut self, value: Option<&str>) {
        let Some(value) = value else { return };
        match value.strip_suffix('*') {
            None => {
                self.and("event.type = ").bind(value);
            }
            Some(prefix) => {
                self.and("substr(event.type, 1, length(").bind(prefix);
                self.push(")) = ").bind(prefix);
            }
        }
    }

    /// Part of one of the columns.
    fn part(&mut self, columns: &[&'static str], value: Option<&str>) {
        let Some(value) = value else { return };
        let mut pattern = String::from("%");
        for c in value.chars() {
            if matches!(c, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern.push('%');
        self.and("(");
        for (idx, column) in columns.iter().enumerate() {
            self.push(if idx == 0 { "" } else { " or " })
                .push(column)
                .push(DB::LIKE)
                .bind(&*pattern)
                .push(r" escape '\'");
        }
        self.push(")");
    }

    pub(super) fn finish(mut self, order: &'static str, limit: u32) -> QueryBuilder<DB> {
        let n_rows = i64::try_from(n_rows(limit)).expect("a page has few rows");
        self.push(order).push(" limit ").bind(Operand::Number(n_rows));
        self.builder
    }
}

/// What a list shows of an event.
pub(super) const SELECT_EVENTS: &str = "select event.id, event.source, event.external_id, event.type, event.origin, event.verified, \
     event.occurred_at, event.received_at, event.headers, length(event.body) as size from event";

pub(super) fn events<DB: Engine>(query: &EventQuery, window: Window) -> QueryBuilder<DB> {
    let mut it = Conditions::new(SELECT_EVENTS);
    events_that(&mut it, query);
    it.and_if("event.id < ", window.below);
    it.and_if("event.id >= ", window.from);
    it.finish(" order by event.id desc", query.limit)
}

/// Those that their sender gave this id. Ids that begin alike in their first twelve characters are looked through only so far.
pub(super) fn events_of_external_id<DB: Engine>(external_id: &str, limit: u32) -> QueryBuilder<DB> {
    let [before, after] = DB::HAS_EXTERNAL_ID;
    let mut it = Conditions::new(SELECT_EVENTS);
    it.and(before).bind(external_id);
    it.push(after).bind(external_id);
    it.finish(" order by event.id desc", limit)
}

pub(super) fn deliveries<DB: Engine>(query: &DeliveryQuery, window: Window) -> QueryBuilder<DB> {
    const SELECT: &str = "select delivery.id, delivery.event_id, delivery.route, delivery.destination, \
         delivery.origin, delivery.status, delivery.n_attempts, delivery.due_at, delivery.last_error, \
         delivery.cause, delivery.created_at from delivery";
    const JOINED: &str = "select delivery.id, delivery.event_id, delivery.route, delivery.destination, \
         delivery.origin, delivery.status, delivery.n_attempts, delivery.due_at, delivery.last_error, \
         delivery.cause, delivery.created_at from delivery join event on event.id = delivery.event_id";
    let mut it = Conditions::new(if needs_event(query) { JOINED } else { SELECT });
    if let Some(status) = query.status.filter(|_| window.is_rare) {
        it.and("delivery.id in (");
        open_ids(&mut it, status, query.destination.as_deref());
        it.push(")");
    }
    deliveries_that(&mut it, query);
    it.and_if("delivery.id < ", window.below);
    it.and_if("delivery.id >= ", window.from);
    it.finish(" order by delivery.id desc", query.limit)
}

/// The ids of what is open and has this status, in the words of the partial index that knows them.
pub(super) fn open_ids<DB: Engine>(it: &mut Conditions<DB>, status: Status, destination: Option<&str>) {
    it.push("select id from delivery where ");
    if matches!(status, Status::Pending | Status::Retrying) {
        it.push("status in ('pending', 'retrying') and ");
    }
    it.push("status = '").push(status.as_str()).push("'");
    if let Some(destination) = destination {
        it.push(" and destination = ").bind(destination);
    }
}

/// The conditions of a list of events, but for its page.
pub(super) fn events_that<DB: Engine>(it: &mut Conditions<DB>, query: &EventQuery) {
    it.and_if("event.source = ", query.source.as_deref());
    it.event_type(query.event_type.as_deref());
    it.and_if("event.received_at >= ", query.after);
    it.and_if("event.received_at < ", query.before);
    if query.status.is_some() || query.destination.is_some() {
        it.and("exists (select 1 from delivery where delivery.event_id = event.id");
        if let Some(status) = query.status {
            // A word of ours, written out so that a partial index may serve it.
            it.push(" and delivery.status = '")
                .push(status.as_str())
                .push("'");
        }
        if let Some(destination) = &query.destination {
            it.push(" and delivery.destination = ").bind(&**destination);
        }
        it.push(")");
    }
    it.part(&["event.external_id", "event.type"], query.q.as_deref());
}

/// Whether a condition asks for more than a delivery knows.
pub(super) const fn needs_event(query: &DeliveryQuery) -> bool {
    query.source.is_some() || query.event_type.is_some() || query.q.is_some()
}

/// The conditions of a list of deliveries, but for its page.
pub(super) fn deliveries_that<DB: Engine>(it: &mut Conditions<DB>, query: &DeliveryQuery) {
    it.and_if("event.source = ", query.source.as_deref());
    it.event_type(query.event_type.as_deref());
    it.and_if("delivery.event_id = ", query.event_id.map(EventId::uuid));
    it.and_if("delivery.route = ", query.route.as_deref());
    it.and_if("delivery.destination = ", query.destination.as_deref());
    if let Some(status) = query.status {
        it.and("delivery.status = '").push(status.as_str()).push("'");
    }
    it.and_if("delivery.cause = ", query.cause.as_deref());
    it.and_if("delivery.created_at >= ", query.after);
    it.and_if("delivery.created_at < ", query.before);
    it.part(
        &["delivery.last_error", "event.external_id", "event.type"],
        query.q.as_deref(),
    );
}

pub(super) fn requests<DB: Engine>(query: &RequestQuery, window: Window) -> QueryBuilder<DB> {
    let mut it = Conditions::new(
        "select id, source, cause, explanation, received_at, method, target, client, headers, size, \
         body is not null as has_body, accepted_as from rejected_request",
    );
    requests_that(&mut it, query, window);
    it.finish(" order by id desc", query.limit)
}

/// The same, counted by source and cause.
pub(super) fn request_tallies<DB: Engine>(query: &RequestQuery, window: Window) -> QueryBuilder<DB> {
    let mut it = Conditions::new(
        "select source, cause, count(*) as n_found, \
         count(*) filter (where body is not null and accepted_as is null) as n_acceptable from rejected_request",
    );
    requests_that(&mut it, query, window);
    it.push(" group by source, cause");
    it.builder
}

fn requests_that<DB: Engine>(it: &mut Conditions<DB>, query: &RequestQuery, window: Window) {
    it.and_if("source = ", query.source.as_deref());
    it.and_if("cause = ", query.cause.as_deref());
    it.and_if("received_at >= ", query.after);
    it.and_if("received_at < ", query.before);
    it.part(&["explanation"], query.q.as_deref());
    it.and_if("id < ", window.below);
    it.and_if("id >= ", window.from);
}

pub(super) fn jobs<DB: Engine>(query: &JobQuery) -> QueryBuilder<DB> {
    let mut it = Conditions::new(
        "select id, action, state, filter, to_route, to_destination, to_url, per_second, made_by, reason, cursor, last, \
         n_planned, n_matched, n_changed, n_skipped, created_at, ended_at from job",
    );
    if let Some(state) = query.state {
        it.and("state = '").push(state.as_str()).push("'");
    }
    if query.has_url {
        it.and("to_url is not null");
    }
    it.and_if("id < ", query.cursor.map(JobId::uuid));
    it.finish(" order by id desc", query.limit)
}

pub(super) fn issues<DB: Engine>(query: &IssueQuery) -> QueryBuilder<DB> {
    let mut it = Conditions::new(
        "select id, key, rule, severity, source, destination, route, cause, state, summary, count, n_opened, first_seen_at, \
         last_seen_at, holds_at, changed_at, changed_by, reason from issue",
    );
    if let Some(state) = query.state {
        it.and("state = '").push(state.as_str()).push("'");
    }
    if query.is_live {
        it.and("state in ('open', 'acknowledged')");
    }
    if let Some(severity) = query.severity {
        it.and("severity = '").push(severity.as_str()).push("'");
    }
    it.and_if("rule = ", query.rule.as_deref());
    it.and_if("source = ", query.source.as_deref());
    it.and_if("destination = ", query.destination.as_deref());
    it.and_if("id < ", query.cursor.map(IssueId::uuid));
    it.finish(" order by id desc", query.limit)
}
