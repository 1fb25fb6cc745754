//! Accepting a rejected request after all, once a secret was mended.

use std::{sync::Arc, time::Instant};

use crate::{
    base::ids::{EventId, RequestId},
    event::Origin,
    ingest::{Ingest, fanout},
    source::{Received, Request, keys::Moment},
    store::{error::StoreError, record::Recorded, rejected::RejectedRequest},
    telemetry::arrival::{About, Ended},
};

/// What became of a kept request that was verified again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaccepted {
    Accepted(EventId),
    Duplicate(EventId),
    /// The source has an event of this id with another body: the newcomer stays a conflict.
    Conflict(EventId),
    /// It verifies as a handshake: there is no event in it.
    Handshake,
    StillRejected {
        cause: &'static str,
        explanation: String,
    },
    /// Its body was too large to be kept.
    NoBody,
    NoSuchSource,
    AlreadyAccepted(EventId),
}

impl Ingest {
    /// Verifies a kept request again with today's secrets, as of the moment when it arrived (its timestamp was fresh
    /// then), and records it if it passes.
    pub async fn accept_rejected(&self, id: RequestId) -> Result<Reaccepted, StoreError> {
        let mut arrival = self.arrival(Instant::now());
        let kept = self.store.request(id).await?;
        if let Some(event) = kept.accepted_as {
            return Ok(Reaccepted::AlreadyAccepted(event));
        }
        let snapshot = Arc::clone(&self.registry.current());
        let Some(source) = snapshot.sources.get(&kept.source) else {
            return Ok(Reaccepted::NoSuchSource);
        };
        let arrived_at = kept.received_at;
        let Some(request) = request_of(kept) else {
            return Ok(Reaccepted::NoBody);
        };
        arrival.read(&request.headers);
        let receive_at = |at| self.keys.receive(source, &request, at, Moment::now());
        let mut received = receive_at(arrived_at).await;
        // By the clock of the process that took it, if the store's says that it was stale.
        if let (Ok(Received::Rejected(_)), Some(made_at)) = (&received, id.made_at()) {
            received = receive_at(made_at).await;
        }
        arrival.verified();
        let received = match received {
            Ok(received) => received,
            Err(unavailable) => {
                return Ok(Reaccepted::StillRejected {
                    cause: "key_unavailable",
                    explanation: unavailable.to_string(),
                });
            }
        };
        let verified = match received {
            Received::Verified(verified) => verified,
            Received::Answer(_) | Received::HandedOver(..) | Received::NeedsKey(_) => {
                return Ok(Reaccepted::Handshake);
            }
            Received::Confirm { url, .. } => {
                return Ok(match self.keys.asking().confirm(source, &url).await {
                    Ok(()) => Reaccepted::Handshake,
                    Err(no_answer) => Reaccepted::StillRejected {
                        cause: "not_confirmed",
                        explanation: no_answer.to_string(),
                    },
                });
            }
            Received::Noted(_, rejection) | Received::Rejected(rejection) => {
                return Ok(Reaccepted::StillRejected {
                    cause: rejection.code,
                    explanation: rejection.explanation,
                });
            }
        };
        let mut event = fanout::new_event(source, request, &verified, Origin::Recovered);
        let further_types = verified.further_types();
        event.deliveries =
            fanout::deliveries(&snapshot, &event.event, further_types, Origin::Recovered).collect();
        let new_id = event.event.id;
        let now = self.clock.now();
        let recorded = self.store.accept_rejected(id, event, now).await?;
        arrival.stored();
        let (about, answer, reaccepted) = match recorded {
            Recorded::Accepted => (About::New(new_id), "accepted", Reaccepted::Accepted(new_id)),
            Recorded::Duplicate(first) => (About::Known(first), "duplicate", Reaccepted::Duplicate(first)),
            Recorded::Conflict(first) => (About::Known(first), "conflict", Reaccepted::Conflict(first)),
        };
        arrival.end(&Ended {
            name: format_args!("accept again from {}", source.name()),
            source: source.name(),
            about,
            answer,
            cause: None,
            is_failed: false,
            http: None,
        });
        Ok(reaccepted)
    }
}

/// `None` where the body was not kept.
fn request_of(kept: RejectedRequest) -> Option<Request> {
    Some(Request {
        method: http::Method::from_bytes(kept.method.as_bytes()).unwrap_or(http::Method::POST),
        target: kept.target,
        headers: kept.headers,
        body: kept.body?,
        client: kept.client,
        received_at: kept.received_at,
    })
}
