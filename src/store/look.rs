//! What a job looks at next: one text for both engines, as with the lists.
//!
//! A look is bounded twice. It goes over so many rows at most, found or not, so that no statement takes long however rare
//! what it looks for is; and it brings so many at most.

use sqlx::QueryBuilder;

use crate::{
    event::{Origin, delivery::Status},
    store::{
        filter::{self, Conditions, Engine},
        job::{Action, Filter, Reach, Target},
        record::SkipCause,
    },
};

/// Where a window of so many rows ends: the id of its last row, or no row where fewer are left.
pub(super) fn edge<DB: Engine>(
    action: Action,
    filter: &Filter,
    reach: Reach,
    n_scanned: u32,
) -> QueryBuilder<DB> {
    let is_of_events = action == Action::Replay;
    let mut it = Conditions::new(if is_of_events {
        "select id from event"
    } else {
        "select id from delivery"
    });
    if !is_of_events && filter.status() == Some(Status::Dead) {
        // They have an index of their own, so that those between them are not looked at.
        it.and("status = 'dead'");
    }
    it.and_if("id > ", reach.after);
    it.and_if("id <= ", Some(reach.last));
    it.push(" order by id limit 1 offset ").bind(n_scanned.max(1) - 1);
    it.builder
}

/// Deliveries that a retry or a cancel would change.
pub(super) fn deliveries<DB: Engine>(
    action: Action,
    filter: &Filter,
    reach: Reach,
    n_found: u32,
) -> QueryBuilder<DB> {
    let mut it = of_deliveries(
        action,
        filter,
        reach,
        [
            "select delivery.id, delivery.destination, delivery.status from delivery",
            "select delivery.id, delivery.destination, delivery.status from delivery \
             join event on event.id = delivery.event_id",
        ],
    );
    it.push(" order by delivery.id limit ").bind(n_found);
    it.builder
}

/// The same, counted.
pub(super) fn delivery_tallies<DB: Engine>(
    action: Action,
    filter: &Filter,
    reach: Reach,
) -> QueryBuilder<DB> {
    let mut it = of_deliveries(
        action,
        filter,
        reach,
        [
            "select delivery.route, delivery.destination, delivery.status, count(*) as n_deliveries from delivery",
            "select delivery.route, delivery.destination, delivery.status, count(*) as n_deliveries from delivery \
             join event on event.id = delivery.event_id",
        ],
    );
    it.push(" group by delivery.route, delivery.destination, delivery.status");
    it.builder
}

/// Events for a replay.
pub(super) fn events<DB: Engine>(filter: &Filter, reach: Reach, n_found: u32) -> QueryBuilder<DB> {
    let mut it = of_events(filter, reach, filter::SELECT_EVENTS);
    it.push(" order by event.id limit ").bind(n_found);
    it.builder
}

/// The same, counted.
pub(super) fn event_tallies<DB: Engine>(filter: &Filter, reach: Reach) -> QueryBuilder<DB> {
    let mut it = of_events(
        filter,
        reach,
        "select event.source, event.type, count(*) as n_events from event",
    );
    it.push(" group by event.source, event.type");
    it.builder
}

/// All that a replay would look at, in one number.
pub(super) fn n_events<DB: Engine>(filter: &Filter, reach: Reach) -> QueryBuilder<DB> {
    of_events(filter, reach, "select count(*) from event").builder
}

/// Where events went when they came in, counted, as a replay by the config of then sends them again: not at all where of one of
/// their routes it is not known what it did.
pub(super) fn original_tallies<DB: Engine>(
    filter: &Filter,
    target: &Target,
    reach: Reach,
) -> QueryBuilder<DB> {
    let mut it = Conditions::new(
        "select case when is_kept = 1 then route end as route, case when is_kept = 1 then destination end as destination, \
         is_kept, count(distinct event_id) as n_events \
         from (select event.id as event_id, delivery.route, delivery.destination, \
         min(case when delivery.id is null then null \
         when exists (select 1 from program where program.route = delivery.route and program.since <= delivery.created_at) \
         then 1 else 0 end) over (partition by event.id) as is_kept \
         from event left join delivery on delivery.event_id = event.id",
    );
    let words = [
        (
            " and delivery.origin in ('",
            [Origin::Received.as_str(), Origin::Recovered.as_str()],
        ),
        (
            " and coalesce(delivery.cause, '') not in ('",
            [SkipCause::Filtered.as_str(), SkipCause::Repeated.as_str()],
        ),
    ];
    for (condition, [one, other]) in words {
        it.push(condition).push(one).push("', '").push(other).push("')");
    }
    for (condition, name) in [
        (" and delivery.route = ", &target.route),
        (" and delivery.destination = ", &target.destination),
    ] {
        if let Some(name) = name {
            it.push(condition).bind(&**name);
        }
    }
    that_are(&mut it, filter, reach);
    it.push(") as original group by 1, 2, 3");
    it.builder
}

/// `selects`: without the event, and with it, where a condition asks for it.
fn of_deliveries<DB: Engine>(
    action: Action,
    filter: &Filter,
    reach: Reach,
    selects: [&'static str; 2],
) -> Conditions<DB> {
    let query = filter.of_deliveries();
    let mut it = Conditions::new(selects[usize::from(filter::needs_event(&query))]);
    filter::deliveries_that(&mut it, &query);
    it.and("delivery.status in ('");
    for (idx, status) in action.takes().iter().enumerate() {
        it.push(if idx == 0 { "" } else { "', '" }).push(status.as_str());
    }
    it.push("')");
    it.and_if("delivery.id > ", reach.after);
    it.and_if("delivery.id <= ", Some(reach.last));
    it
}

fn of_events<DB: Engine>(filter: &Filter, reach: Reach, select: &'static str) -> Conditions<DB> {
    let mut it = Conditions::new(select);
    that_are(&mut it, filter, reach);
    it
}

fn that_are<DB: Engine>(it: &mut Conditions<DB>, filter: &Filter, reach: Reach) {
    filter::events_that(it, &filter.of_events());
    it.and_if("event.id > ", reach.after);
    it.and_if("event.id <= ", Some(reach.last));
}
