//! Taking in an event that another gatepost, or this one, exported.

use std::sync::Arc;

use crate::{
    base::ids::EventId,
    event::{Event, Origin, body_hash},
    ingest::{Ingest, fanout},
    source::{Received, Request, keys::Moment},
    store::{
        error::StoreError,
        record::{NewEvent, Recorded},
    },
};

/// What became of an exported event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    Accepted,
    /// The store has it already, under this id.
    Duplicate(EventId),
    /// The source has an event of the sender's id with another body, under this id.
    Conflict(EventId),
    /// It does not verify with today's secrets.
    Refused {
        cause: &'static str,
        explanation: String,
    },
}

impl Ingest {
    /// Verifies an exported event again with today's secrets, as of the moment when it was received, and stores it under the
    /// id that it had. What the export says of its verification counts for nothing. One that does not verify is refused,
    /// or where `takes_unverified`, stored as an event of which nothing was verified. It makes no deliveries.
    pub async fn import(&self, exported: Event, takes_unverified: bool) -> Result<Imported, StoreError> {
        // Under its id, since what was never verified has no key.
        match self.store.event(exported.id).await {
            Ok(known) if known.source == exported.source => return Ok(Imported::Duplicate(known.id)),
            Ok(_) => {
                return Ok(refused(
                    "id_in_use",
                    "an event of another source has this id".to_owned(),
                ));
            }
            Err(StoreError::NotFound { .. }) => (),
            Err(error) => return Err(error),
        }
        let new = match self.verified_again(&exported).await {
            Ok(new) => new,
            Err(_) if takes_unverified => unverified(exported),
            Err((cause, explanation)) => return Ok(refused(cause, explanation)),
        };
        let recorded = self.store.record(vec![new]).await?;
        Ok(match recorded.first() {
            Some(Recorded::Duplicate(id)) => Imported::Duplicate(*id),
            Some(Recorded::Conflict(id)) => Imported::Conflict(*id),
            _ => Imported::Accepted,
        })
    }

    /// The event as a verified one, or why it is none.
    async fn verified_again(&self, exported: &Event) -> Result<NewEvent, (&'static str, String)> {
        let snapshot = Arc::clone(&self.registry.current());
        let Some(source) = snapshot.sources.get(&exported.source) else {
            let explanation = format!("the source `{}` is not in the config", exported.source);
            return Err(("no_such_source", explanation));
        };
        let request = Request {
            method: http::Method::POST,
            // Credentials of its query are not kept: schemes that look for one there refuse it here.
            target: exported.target(),
            headers: exported.headers.clone(),
            body: exported.body.clone(),
            client: None,
            received_at: exported.received_at,
        };
        let received = self
            .keys
            .receive(source, &request, exported.received_at, Moment::now())
            .await;
        match received {
            Ok(Received::Verified(verified)) => {
                let mut new = fanout::new_event(source, request, &verified, Origin::Imported);
                let event = (*new.event).clone();
                new.event = Arc::new(Event {
                    id: exported.id,
                    ..event
                });
                Ok(new)
            }
            Ok(Received::Noted(_, rejection) | Received::Rejected(rejection)) => {
                Err((rejection.code, rejection.explanation))
            }
            Ok(_) => Err((
                "handshake",
                "it is a handshake: there is no event in it".to_owned(),
            )),
            Err(unavailable) => Err(("key_unavailable", unavailable.to_string())),
        }
    }
}

/// Nobody's duplicate but its own, and never signed for a handler.
fn unverified(exported: Event) -> NewEvent {
    NewEvent {
        key: None,
        body_hash: body_hash(&exported.body),
        event: Arc::new(Event {
            origin: Origin::Imported,
            binding: crate::event::Binding::None,
            ..exported
        }),
        deliveries: Vec::new(),
    }
}

fn refused(cause: &'static str, explanation: String) -> Imported {
    Imported::Refused { cause, explanation }
}
