//! The new deliveries of a stored event, by the routes of today.

use std::sync::Arc;

use crate::{
    event::{Event, Origin},
    ingest::fanout,
    registry::Snapshot,
    route::Route,
    source,
    store::{
        job::Target,
        record::{NewDelivery, Start},
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
