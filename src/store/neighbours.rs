//! The deliveries before and after one of the same resource, where its route orders them: what an index holds for the claim serves here.

use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::{
    base::{
        clock::Timestamp,
        ids::{DeliveryId, EventId},
    },
    event::delivery::Status,
    store::{
        error::StoreError,
        filter::{Conditions, Engine},
        rows::{StoreRow, get, parsed},
        value::Time,
    },
};

/// A delivery of the same route and resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    pub delivery: DeliveryId,
    pub event: EventId,
    pub event_type: Option<String>,
    pub external_id: Option<String>,
    pub status: Status,
    /// When it happened, as the route reads it.
    pub at: Timestamp,
}

/// Some of a resource's deliveries by one route, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbours {
    pub route: String,
    /// Those of the event itself are among them.
    pub rows: Vec<Neighbour>,
}

/// Where a delivery of an event stands.
#[derive(Debug, Clone)]
pub(super) struct Stand {
    route: String,
    key: Vec<u8>,
    at: Time,
    delivery: Uuid,
}

pub(super) fn stand(row: &impl StoreRow) -> Result<Stand, StoreError> {
    const TABLE: &str = "delivery";
    Ok(Stand {
        route: get(row, TABLE, "route")?,
        key: get(row, TABLE, "order_key")?,
        at: get(row, TABLE, "order_at")?,
        delivery: get(row, TABLE, "id")?,
    })
}

/// A partial index and a direction: each has a statement of its own, which reads no more than it brings.
const INDEXES: [&str; 2] = [
    "delivery.status in ('pending', 'retrying', 'held', 'dead')",
    "delivery.status = 'delivered'",
];
const DIRECTIONS: [(&str, &str); 2] = [
    (
        "(delivery.order_at, delivery.id) <= (",
        " order by delivery.order_at desc, delivery.id desc limit ",
    ),
    (
        "(delivery.order_at, delivery.id) > (",
        " order by delivery.order_at, delivery.id limit ",
    ),
];

/// At most `n_each` on either side, from either index.
pub(super) fn sides<DB: Engine>(stand: &Stand, n_each: u32) -> Vec<QueryBuilder<DB>> {
    let mut res = Vec::new();
    for status in INDEXES {
        for (compare, order) in DIRECTIONS {
            let mut it = Conditions::new(
                "select delivery.id, delivery.event_id, delivery.status, delivery.order_at, event.type, \
                 event.external_id from delivery join event on event.id = delivery.event_id",
            );
            it.and("delivery.route = ").bind(&*stand.route);
            it.and("delivery.order_key = ").bind(&*stand.key);
            it.and("delivery.order_key is not null");
            it.and(status);
            it.and(compare).bind(stand.at.0);
            it.push(", ").bind(stand.delivery);
            it.push(")").push(order).bind(n_each);
            res.push(it.builder);
        }
    }
    res
}

pub(super) fn neighbour(row: &impl StoreRow) -> Result<Neighbour, StoreError> {
    const TABLE: &str = "delivery";
    Ok(Neighbour {
        delivery: DeliveryId::from_uuid(get(row, TABLE, "id")?),
        event: EventId::from_uuid(get(row, TABLE, "event_id")?),
        event_type: get(row, "event", "type")?,
        external_id: get(row, "event", "external_id")?,
        status: parsed(row, TABLE, "status", Status::parse_stored)?,
        at: get::<Time>(row, TABLE, "order_at")?.0,
    })
}

/// The nearest of all that was found.
pub(super) fn nearest(stand: Stand, mut found: Vec<Neighbour>, n_each: u32) -> Neighbours {
    found.sort_by_key(|it| (it.at, it.delivery));
    let own = (stand.at.0, DeliveryId::from_uuid(stand.delivery));
    let n_before = found.partition_point(|it| (it.at, it.delivery) <= own);
    let n_each = n_each as usize;
    let first = n_before.saturating_sub(n_each);
    let last = (n_before + n_each).min(found.len());
    Neighbours {
        route: stand.route,
        rows: found.drain(first..last).collect(),
    }
}
