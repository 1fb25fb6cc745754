//! The short way from ingest to a pool of the same process: a delivery that is recorded as already claimed.
//!
//! Ingest reserves a place *before* it records, and fills it *after* the commit. A place that is not filled (the commit
//! failed, the event was a duplicate) frees itself. No place: the delivery is recorded as pending, for any worker.
//!
//! The places are the pool's own: a claim from the store takes one of the same, so that a destination never has more
//! in hand than its concurrency.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::{base::ids::WorkerId, store::claim::Claim};

/// A claim together with the place that it occupies until the attempt is over.
#[derive(Debug)]
pub struct InHand {
    pub claim: Claim,
    pub place: OwnedSemaphorePermit,
    /// Claimed from the store, where more may wait behind it, and not handed over by ingest.
    pub is_from_store: bool,
}

/// Ingest's side. Clones share everything.
#[derive(Debug, Clone)]
pub struct Handover {
    worker: WorkerId,
    places: Arc<ArcSwap<HashMap<Arc<str>, Arc<Semaphore>>>>,
    sender: mpsc::UnboundedSender<InHand>,
}

/// A reserved place.
#[derive(Debug)]
pub struct Place {
    permit: OwnedSemaphorePermit,
    is_from_store: bool,
    sender: mpsc::UnboundedSender<InHand>,
}

impl Handover {
    /// The two ends: ingest's, and the receiver that the pool reads. The channel needs no bound of its own: every
    /// message holds a place, and the places are bounded.
    pub fn new(worker: WorkerId) -> (Self, mpsc::UnboundedReceiver<InHand>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let places = Arc::new(ArcSwap::from_pointee(HashMap::new()));
        (
            Self {
                worker,
                places,
                sender,
            },
            receiver,
        )
    }

    pub const fn worker(&self) -> WorkerId {
        self.worker
    }

    /// The pool says how many places each destination has. An absent destination takes no hand-over.
    pub fn publish(&self, places: HashMap<Arc<str>, Arc<Semaphore>>) {
        self.places.store(Arc::new(places));
    }

    /// A place for one delivery to `destination`, if one is free now.
    pub fn reserve(&self, destination: &str) -> Option<Place> {
        let places = self.places.load().get(destination).cloned()?;
        self.take(places, false)
    }

    /// A place for a claim from the store: the pool asks for those of destinations that take no hand-over too.
    pub fn reserve_in(&self, places: &Arc<Semaphore>) -> Option<Place> {
        self.take(Arc::clone(places), true)
    }

    fn take(&self, places: Arc<Semaphore>, is_from_store: bool) -> Option<Place> {
        Some(Place {
            permit: places.try_acquire_owned().ok()?,
            is_from_store,
            sender: self.sender.clone(),
        })
    }
}

impl Place {
    /// Hands a committed claim to the pool. If the pool is gone, the lease gives the delivery to another worker.
    pub fn fill(self, claim: Claim) {
        let _ = self.sender.send(InHand {
            claim,
            place: self.permit,
            is_from_store: self.is_from_store,
        });
    }
}
