//! Deliveries that consumers fetch: the claims, leases and fences of the pool, in hands that gatepost does not see.
//!
//! A consumer that dies says nothing: its lease ends, and the rescue gives the delivery to the next one, uncounted. What was
//! handed out before and is older than `retry.max_age` is given up instead, so that no event goes round for ever.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    base::{
        clock::{Timestamp, wall_now},
        ids::{AttemptId, DeliveryId, WorkerId},
        metrics::handles,
    },
    delivery::{
        Context,
        attempt::{transformed, trigger},
        receipt::Receipt,
        schedule,
    },
    destination::{Message, Way, queue::Queue},
    event::{
        Event,
        attempt::{Attempt, Outcome},
        delivery::{Delivery, Status},
        headers::Headers,
    },
    registry::Outlet,
    store::{
        claim::{self, Claim, Settled, Settlement, Share},
        error::StoreError,
    },
    telemetry::attempt::Ended,
};

/// The queues of one process. Clones share them.
#[derive(Debug, Clone)]
pub struct Queues {
    context: Context,
    /// Ends the waits.
    stop: CancellationToken,
}

/// What a consumer asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub max: usize,
    /// How long it waits where nothing is due.
    pub wait: Duration,
    /// `None`: the queue's own.
    pub lease: Option<Duration>,
}

/// A delivery in a consumer's hands.
#[derive(Debug)]
pub struct Handed {
    pub receipt: Receipt,
    pub lease_until: Timestamp,
    pub delivery_id: DeliveryId,
    /// As its route's transform made it.
    pub event: Arc<Event>,
    pub headers: Vec<(String, String)>,
}

/// What a consumer says of a delivery that it did not do.
#[derive(Debug, Clone, Default)]
pub struct Refusal {
    /// Not before that. `None`: on the schedule.
    pub delay: Option<Duration>,
    /// For the operator.
    pub reason: Option<String>,
    /// It will never be done: a dead letter.
    pub is_final: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error("no destination of that name is a queue")]
    NoQueue,
    #[error("that is no receipt of this queue")]
    NoReceipt,
    /// The lease ended and another consumer has it, it was cancelled, or it was settled with another receipt.
    #[error("the delivery is no longer in these hands")]
    Lost,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Queues {
    pub const fn new(context: Context, stop: CancellationToken) -> Self {
        Self { context, stop }
    }

    /// Takes what is due, and waits for it where nothing is. Polling is the mechanism, as in the pool.
    pub async fn receive(&self, name: &str, wanted: &Wanted) -> Result<Vec<Handed>, QueueError> {
        let deadline = Instant::now() + wanted.wait;
        loop {
            let (outlet, queue) = self.find(name)?;
            let handed = self.take(&outlet, &queue, wanted).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !handed.is_empty() || left.is_zero() || self.stop.is_cancelled() {
                return Ok(handed);
            }
            tokio::select! {
                () = self.stop.cancelled() => (),
                () = tokio::time::sleep(left.min(self.context.settings.poll)) => (),
            }
        }
    }

    /// It is done. Saying so twice is fine.
    pub async fn ack(&self, name: &str, receipt: &str) -> Result<(), QueueError> {
        let (_, receipt, delivery) = self.read(name, receipt).await?;
        if self.is_used(&receipt).await? {
            return if delivery.status == Status::Delivered {
                Ok(())
            } else {
                Err(QueueError::Lost)
            };
        }
        self.settle(&delivery, &receipt, Outcome::Delivered, None).await
    }

    /// It is not done. Says when it comes again; `None`: it is a dead letter now.
    pub async fn nack(
        &self,
        name: &str,
        receipt: &str,
        refusal: Refusal,
    ) -> Result<Option<Timestamp>, QueueError> {
        let (outlet, receipt, delivery) = self.read(name, receipt).await?;
        if self.is_used(&receipt).await? {
            return Err(QueueError::Lost);
        }
        let now = self.context.clock.now();
        let not_before = refusal.delay.map(|it| now.plus(it));
        let at = schedule::next(
            &outlet.settings.retry,
            receipt.number,
            delivery.created_at,
            now,
            rand::random(),
            not_before,
        );
        let at = at.filter(|_| !refusal.is_final);
        let outcome = at.map_or(Outcome::Dead, |at| Outcome::Retry { at });
        let reason = refusal.reason.unwrap_or_else(|| {
            let what = if refusal.is_final {
                "will never take it"
            } else {
                "did not take it"
            };
            format!("the consumer {what} and gave no reason")
        });
        self.settle(&delivery, &receipt, outcome, Some(reason)).await?;
        Ok(at)
    }

    /// Keeps it for so long from now.
    pub async fn extend(
        &self,
        name: &str,
        receipt: &str,
        lease: Option<Duration>,
    ) -> Result<Timestamp, QueueError> {
        let (_, queue) = self.find(name)?;
        let (_, receipt, _) = self.read(name, receipt).await?;
        let until = self
            .context
            .clock
            .now()
            .plus(lease.unwrap_or(queue.settings.lease));
        let held = vec![(receipt.delivery_id, receipt.fence)];
        let lost = self.context.store.renew(receipt.worker, held, until).await?;
        if lost.is_empty() {
            Ok(until)
        } else {
            Err(QueueError::Lost)
        }
    }

    fn find(&self, name: &str) -> Result<(Arc<Outlet>, Arc<Queue>), QueueError> {
        let snapshot = self.context.registry.current();
        let outlet = snapshot.destination(name).ok_or(QueueError::NoQueue)?;
        match &outlet.way {
            Way::Pull(queue) => Ok((Arc::clone(outlet), Arc::clone(queue))),
            Way::Push(_) => Err(QueueError::NoQueue),
        }
    }

    /// A receipt of this queue's: one for another destination's delivery must not reach it.
    async fn read(&self, name: &str, receipt: &str) -> Result<(Arc<Outlet>, Receipt, Delivery), QueueError> {
        let (outlet, _) = self.find(name)?;
        let receipt = Receipt::parse(receipt).ok_or(QueueError::NoReceipt)?;
        let delivery = match self.context.store.delivery(receipt.delivery_id).await {
            Ok(delivery) => delivery,
            Err(StoreError::NotFound { .. }) => return Err(QueueError::NoReceipt),
            Err(error) => return Err(error.into()),
        };
        if *delivery.destination == *name {
            Ok((outlet, receipt, delivery))
        } else {
            Err(QueueError::NoReceipt)
        }
    }

    /// Whether somebody said already what became of it. The store would take the same attempt for the same word, said twice.
    async fn is_used(&self, receipt: &Receipt) -> Result<bool, QueueError> {
        let attempts = self.context.store.attempts(receipt.delivery_id).await?;
        Ok(attempts.iter().any(|it| it.id == receipt.attempt_id))
    }

    async fn take(&self, outlet: &Outlet, queue: &Queue, wanted: &Wanted) -> Result<Vec<Handed>, QueueError> {
        let worker = WorkerId::new();
        let mut claims = Vec::new();
        // The store tells new ones from those that are tried again: each go first every other time, so that neither waits for ever.
        let retries_first = rand::random::<bool>();
        for of_retries in [retries_first, !retries_first] {
            let n_left = wanted.max.saturating_sub(claims.len());
            let share = Share {
                destination: Arc::clone(&outlet.name),
                n_first: if of_retries { 0 } else { n_left },
                n_retries: if of_retries { n_left } else { 0 },
            };
            if n_left > 0 {
                let asked = claim::Wanted {
                    worker,
                    lease: wanted.lease.unwrap_or(queue.settings.lease),
                    per_destination: vec![share],
                };
                claims.extend(self.context.store.claim(&asked, self.context.clock.now()).await?);
            }
        }
        let mut handed = Vec::with_capacity(claims.len());
        for claim in claims {
            handed.extend(self.hand_out(outlet, queue, worker, claim).await?);
        }
        Ok(handed)
    }

    /// `None`: it failed before a consumer saw it, and that is recorded as its attempt.
    async fn hand_out(
        &self,
        outlet: &Outlet,
        queue: &Queue,
        worker: WorkerId,
        claim: Claim,
    ) -> Result<Option<Handed>, QueueError> {
        let now = self.context.clock.now();
        let receipt = Receipt {
            delivery_id: claim.delivery.id,
            attempt_id: AttemptId::new(),
            worker,
            fence: claim.fence,
            received_at: now,
            number: claim.delivery.n_attempts + 1,
            trigger: trigger(&claim),
        };
        let retry = &outlet.settings.retry;
        let is_first = claim.fence.0 <= 1;
        if !is_first && !claim.is_manual && now >= claim.delivery.created_at.plus(retry.max_age) {
            let reason = "no consumer said what became of it within `retry.max_age`".to_owned();
            return self.fail(&claim.delivery, &receipt, Outcome::Dead, reason).await;
        }
        let traced = self.context.tracer.attempt(&claim.event, receipt.attempt_id);
        let message = Message {
            event: Arc::clone(&claim.event),
            delivery_id: claim.delivery.id,
            origin: claim.delivery.origin,
            attempt: receipt.number,
            is_stale: claim.is_stale,
            order_key: None,
            traceparent: traced.traceparent,
            now: wall_now(),
        };
        match transformed(&self.context, &claim, message).await {
            Ok(message) => Ok(Some(Handed {
                receipt,
                lease_until: claim.lease_until,
                delivery_id: claim.delivery.id,
                headers: queue.headers(&message),
                event: message.event,
            })),
            Err(error) => {
                let since = claim.delivery.created_at;
                let at = schedule::next(retry, receipt.number, since, now, rand::random(), None);
                let outcome = at.map_or(Outcome::Dead, |at| Outcome::Retry { at });
                self.fail(&claim.delivery, &receipt, outcome, error.explanation)
                    .await
            }
        }
    }

    async fn fail(
        &self,
        delivery: &Delivery,
        receipt: &Receipt,
        outcome: Outcome,
        reason: String,
    ) -> Result<Option<Handed>, QueueError> {
        match self.settle(delivery, receipt, outcome, Some(reason)).await {
            Ok(()) | Err(QueueError::Lost) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn settle(
        &self,
        delivery: &Delivery,
        receipt: &Receipt,
        outcome: Outcome,
        error: Option<String>,
    ) -> Result<(), QueueError> {
        let now = self.context.clock.now();
        let duration = now.since(receipt.received_at);
        let counted = match outcome {
            Outcome::Delivered => handles::Settled::Delivered,
            Outcome::Retry { .. } => handles::Settled::Retrying,
            Outcome::Dead => handles::Settled::Dead,
        };
        let label = if outcome == Outcome::Delivered {
            "delivered"
        } else {
            "refused"
        };
        let word = outcome.as_str();
        let attempt = Attempt {
            id: receipt.attempt_id,
            number: receipt.number,
            started_at: receipt.received_at,
            duration,
            trigger: receipt.trigger,
            status_code: None,
            error,
            response_headers: Headers::default(),
            response_body: Bytes::new(),
        };
        let settlement = Settlement {
            delivery_id: receipt.delivery_id,
            fence: receipt.fence,
            attempt,
            outcome,
        };
        let settled = self.context.store.settle(vec![settlement], now).await?;
        let metrics = self.context.metrics.destination(&delivery.destination);
        metrics.attempted(label, duration);
        if settled == [Settled::LostClaim] {
            metrics.settled(handles::Settled::LostClaim);
            return Err(QueueError::Lost);
        }
        metrics.settled(counted);
        self.trace(
            delivery,
            receipt,
            word,
            (word != "delivered").then_some(label),
            duration,
        )
        .await;
        Ok(())
    }

    /// From the consumer's fetch to its word, wherever the fetch was. The event is asked for here: its headers say which trace it is.
    async fn trace(
        &self,
        delivery: &Delivery,
        receipt: &Receipt,
        outcome: &'static str,
        error: Option<&'static str>,
        duration: Duration,
    ) {
        if !self.context.tracer.is_on() {
            return;
        }
        // Traces are no reason to fail.
        let Ok(event) = self.context.store.event(delivery.event_id).await else {
            return;
        };
        let id = receipt.attempt_id;
        let traced = self.context.tracer.attempt_since(&event, id, duration);
        traced.end(&Ended {
            id,
            delivery,
            event: &event,
            number: receipt.number,
            kind: "queue",
            outcome,
            error,
            status: None,
        });
    }
}
