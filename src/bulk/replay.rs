//! The new deliveries of a stored event, by the routes of today or as it was routed first.

use std::sync::Arc;

use crate::{
    base::ids::{DeliveryId, ProgramId},
    event::{Event, Origin, delivery::Delivery},
    ingest::fanout,
    registry::Snapshot,
    route::Route,
    source,
    store::{
        Store,
        error::StoreError,
        job::Target,
        query::{DeliveryQuery, MAX_LIMIT},
        record::{NewDelivery, SkipCause, Start},
    },
};

/// Nothing named: by all routes that take the event, and those whose filter refuses it make a skipped delivery. A route or
/// a destination that is named takes it whatever its types and its filter say.
pub fn deliveries(snapshot: &Snapshot, event: &Event, target: &Target) -> Vec<NewDelivery> {
    if !is_named(target) {
        let source = snapshot.source(&event.source);
        let further_types = source.map(|it| source::further_types(it.provider(), event));
        let further_types = further_types.unwrap_or_default();
        return fanout::deliveries(snapshot, event, &further_types, Origin::Replayed).collect();
    }
    let subject = snapshot.subject(event);
    named(snapshot, &event.source, target)
        .map(|it| fanout::delivery(it, &subject, Origin::Replayed, Start::NOW))
        .collect()
}

/// Why an event cannot be delivered as it was routed first.
#[derive(Debug, thiserror::Error)]
pub enum NotOriginal {
    #[error("no route took this event when it came in")]
    NoRoute,
    #[error("what the route `{0}` did then is not known: the event is from before gatepost kept that")]
    NotKept(Arc<str>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The deliveries that were made when the event came in, once more: to where they went, and as their routes were then. What was
/// not sent for what the event said is not sent now. What a destination is, and how its route orders, is today's.
pub async fn originals(
    store: &Store,
    snapshot: &Snapshot,
    event: &Event,
    target: &Target,
) -> Result<Vec<NewDelivery>, NotOriginal> {
    let mut query = DeliveryQuery {
        event_id: Some(event.id),
        route: target.route.clone(),
        destination: target.destination.clone(),
        limit: MAX_LIMIT,
        ..DeliveryQuery::default()
    };
    let mut first = Vec::new();
    loop {
        let page = store.deliveries(&query).await?;
        first.extend(page.rows.into_iter().filter(was_routed));
        query.cursor = match page.next {
            Some(next) => Some(next),
            None => break,
        };
    }
    if first.is_empty() {
        return Err(NotOriginal::NoRoute);
    }
    let mut programs = Vec::with_capacity(first.len());
    for it in &first {
        let program = store.program_at(&it.route, it.created_at).await?;
        programs.push(program.ok_or_else(|| NotOriginal::NotKept(Arc::clone(&it.route)))?);
    }
    let subject = snapshot.subject(event);
    let again = |(it, program): (Delivery, ProgramId)| NewDelivery {
        id: DeliveryId::new(),
        position: snapshot.route(&it.route).and_then(|it| it.position(&subject)),
        route: it.route,
        destination: it.destination,
        origin: Origin::Replayed,
        start: Start::NOW,
        once: None,
        program: Some(program),
    };
    // The oldest first, as they were made.
    Ok(first.into_iter().zip(programs).rev().map(again).collect())
}

/// Whether it was made when its event came in, and was to be sent.
fn was_routed(delivery: &Delivery) -> bool {
    let is_unwanted = [SkipCause::Filtered, SkipCause::Repeated]
        .iter()
        .any(|it| delivery.cause.as_deref() == Some(it.as_str()));
    matches!(delivery.origin, Origin::Received | Origin::Recovered) && !is_unwanted
}

/// The routes by which events of this source and type would go; of batches, those by which they may.
pub fn routes<'a>(
    snapshot: &'a Snapshot,
    source: &'a str,
    event_type: Option<&'a str>,
    target: &'a Target,
) -> impl Iterator<Item = &'a Arc<Route>> {
    let is_any = is_named(target) || has_batches(snapshot, source);
    named(snapshot, source, target).filter(move |it| is_any || it.takes(event_type))
}

/// Whether more of an event is needed than its type to know where it goes.
pub fn reads_body(snapshot: &Snapshot, source: &str, target: &Target) -> bool {
    has_batches(snapshot, source) || named(snapshot, source, target).any(|it| it.reads_body())
}

/// Whether an event of this source may have more types than its own: those of a batch's other elements.
pub fn has_batches(snapshot: &Snapshot, source: &str) -> bool {
    snapshot
        .source(source)
        .is_some_and(|it| it.provider().has_batches())
}

/// A filter is asked only where no route is named.
pub const fn is_named(target: &Target) -> bool {
    target.route.is_some() || target.destination.is_some()
}

fn named<'a>(
    snapshot: &'a Snapshot,
    source: &str,
    target: &'a Target,
) -> impl Iterator<Item = &'a Arc<Route>> {
    let is_wanted = |name: &Option<String>, it: &str| name.as_deref().is_none_or(|name| name == it);
    snapshot
        .routes_of(source)
        .iter()
        .filter(move |it| is_wanted(&target.route, &it.name))
        .filter(move |it| is_wanted(&target.destination, &it.destination))
}
