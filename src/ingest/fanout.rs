//! From a verified request to an event and its deliveries: which routes take it, and which deliveries stay in this process.

use std::{sync::Arc, time::Duration};

use crate::{
    base::{
        ids::{DeliveryId, EventId},
        trial::{self, Flaw},
    },
    event::{Event, Origin},
    registry::Snapshot,
    route::{Route, filter::subject::Subject},
    source::{Request, Source, Verified},
    store::{
        clock::StoreClock,
        handover::{Handover, Place},
        record::{Claimed, NewDelivery, NewEvent, Skip, SkipCause, Start},
    },
};

#[derive(Debug, Clone)]
pub struct Fanout {
    clock: StoreClock,
    handover: Option<Handover>,
    lease: Duration,
}

/// An event ready to be recorded, and the places that wait for its deliveries.
#[derive(Debug)]
pub struct Fanned {
    pub event: NewEvent,
    /// Index into the event's deliveries, and the place kept for it.
    pub places: Vec<(usize, Place)>,
}

impl Fanout {
    pub const fn new(clock: StoreClock, handover: Option<Handover>, lease: Duration) -> Self {
        Self {
            clock,
            handover,
            lease,
        }
    }

    pub fn fan_out(
        &self,
        snapshot: &Snapshot,
        source: &Source,
        request: Request,
        verified: &Verified,
    ) -> Fanned {
        let mut fanned = new_event(source, request, verified, Origin::Received);
        let further_types = verified.further_types();
        fanned.deliveries = deliveries(snapshot, &fanned.event, further_types, Origin::Received).collect();
        let mut places = Vec::new();
        for (idx, delivery) in fanned.deliveries.iter_mut().enumerate() {
            if let Some(handover) = &self.handover
                && delivery.may_be_handed_over()
                && let Some(place) = handover.reserve(&delivery.destination)
            {
                delivery.start = Start::Claimed(Claimed {
                    worker: handover.worker(),
                    lease_until: self.clock.now().plus(self.lease),
                });
                places.push((idx, place));
            }
        }
        Fanned {
            event: fanned,
            places,
        }
    }
}

/// The event that a verified request is, without deliveries.
pub fn new_event(source: &Source, request: Request, verified: &Verified, origin: Origin) -> NewEvent {
    NewEvent {
        key: verified.key(),
        body_hash: verified.body_hash(),
        event: Arc::new(Event {
            id: EventId::new(),
            source: Arc::clone(source.name()),
            external_id: verified.external_id().map(text_of),
            event_type: verified.event_type().map(str::to_owned),
            origin,
            binding: verified.binding(),
            occurred_at: verified.occurred_at(),
            received_at: request.received_at,
            query: source.provider().kept_query(&request.target),
            headers: request.headers,
            body: if trial::has(Flaw::BodyIsTrimmed) {
                request.body.slice_ref(request.body.trim_ascii_end())
            } else {
                request.body
            },
        }),
        deliveries: Vec::new(),
    }
}

/// One delivery for each route that takes an event of these types, for any worker. What a route's filter refuses is skipped.
/// `further_types` are those of a batch's other elements.
pub fn deliveries<'a>(
    snapshot: &'a Snapshot,
    event: &'a Event,
    further_types: &'a [String],
    origin: Origin,
) -> impl Iterator<Item = NewDelivery> + use<'a> {
    let subject = snapshot.subject(event);
    let types = move || event.event_type.iter().chain(further_types).map(String::as_str);
    snapshot
        .routes_of(&event.source)
        .iter()
        .filter(move |route| route.takes(types()))
        .map(move |route| {
            let start = start(route, &subject, origin);
            delivery(route, &subject, origin, start)
        })
}

/// A delivery by that route.
pub fn delivery(route: &Route, subject: &Subject<'_>, origin: Origin, start: Start) -> NewDelivery {
    NewDelivery {
        id: DeliveryId::new(),
        route: Arc::clone(&route.name),
        destination: Arc::clone(&route.destination),
        origin,
        start,
        position: route.position(subject),
        // What an operator asks for is no repeat.
        once: (origin == Origin::Received)
            .then(|| route.once(subject))
            .flatten(),
        program: None,
    }
}

fn start(route: &Route, subject: &Subject<'_>, origin: Origin) -> Start {
    match route.refusal(subject) {
        Some(reason) => Start::Skipped(Skip {
            cause: SkipCause::Filtered,
            reason,
        }),
        // What comes late has waited already.
        None if origin != Origin::Received => Start::NOW,
        None => Start::Due { after: route.delay },
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}
