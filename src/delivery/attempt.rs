//! One attempt: wait for a slot, send, judge, schedule, settle.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    base::{
        clock::{Timestamp, wall_now},
        ids::{AttemptId, DeliveryId},
        trial::{self, Point},
    },
    delivery::{
        Context,
        breaker::Evidence,
        gate::Admitted,
        judge::{Judgement, Verdict, judge},
        lanes::{Lane, Lanes},
        pool::{Held, Stop, put_back},
        schedule,
        settler::{Settler, ToSettle},
    },
    destination::{Fate, Message, Response, SendError, Way, retry::Retry},
    event::{
        Hash,
        attempt::{Attempt, Outcome, Trigger},
        delivery::Fence,
        headers::Headers,
    },
    registry::Outlet,
    route::transform::Input,
    store::{
        claim::{Claim, Settlement},
        handover::InHand,
    },
    telemetry::attempt::Ended,
};

/// The most of a handler's answer that is kept with an attempt, in bytes.
const MAX_KEPT_BODY: usize = 4096;

/// From a claim in hand to its settlement. Never counts what a stop interrupted.
pub async fn run(context: Context, lanes: Lanes, held: Held, settler: Settler, in_hand: InHand, stop: Stop) {
    let InHand {
        claim,
        place,
        is_from_store,
    } = in_hand;
    let (id, fence) = (claim.delivery.id, claim.fence);
    let _panic = ForgetOnPanic {
        held: held.clone(),
        id,
        fence,
    };
    trial::point(Point::InHand);
    let outlet = context
        .registry
        .current()
        .destinations
        .get(&claim.delivery.destination)
        .cloned();
    let lane = lanes.get(&claim.delivery.destination);
    if let Some(lane) = &lane {
        lane.metrics.taken(is_from_store);
    }
    let ready = match (outlet, lane) {
        (Some(outlet), Some(lane)) if !outlet.is_pulled() => wait_for_turn(&lanes, &lane, &claim, &stop)
            .await
            .map(|turn| (outlet, lane, turn)),
        // The destination left the config, or consumers fetch from it now: its deliveries wait in the store until it is back, they
        // are fetched, or they are cancelled.
        _ => None,
    };
    let sent = match ready {
        Some((outlet, lane, turn)) if is_still_ours(&context, &held, &claim) => {
            send(&context, &outlet, lane, &claim, turn, &stop).await
        }
        _ => None,
    };
    if let Some(to_settle) = sent {
        settler.push(to_settle, &claim, place, is_from_store);
    } else {
        held.remove(id, fence);
        put_back(&context, vec![(id, fence)]).await;
        drop(place);
    }
}

/// Of an attempt that panics nobody writes a result: unless its claim is forgotten, its lease is renewed until the process
/// ends.
struct ForgetOnPanic {
    held: Held,
    id: DeliveryId,
    fence: Fence,
}

impl Drop for ForgetOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.held.remove(self.id, self.fence);
        }
    }
}

/// The right to send now.
struct Turn {
    slot: OwnedSemaphorePermit,
    /// Besides, for what is tried again.
    retry_slot: Option<OwnedSemaphorePermit>,
    admitted: Admitted,
}

/// `None`: told to stop first, or its destination is left alone.
async fn wait_for_turn(lanes: &Lanes, lane: &Lane, claim: &Claim, stop: &Stop) -> Option<Turn> {
    let ready = async {
        // First, so that retries that wait for their own kind hold no slot that a first attempt could have.
        let retry_slot = if claim.is_retry && !claim.is_manual {
            Some(Arc::clone(&lane.retry_slots).acquire_owned().await.ok()?)
        } else {
            None
        };
        let slot = Arc::clone(&lane.slots).acquire_owned().await.ok()?;
        lane.paced(&mut lanes.n_replicas()).await;
        let admitted = lane.gate.admit()?;
        Some(Turn {
            slot,
            retry_slot,
            admitted,
        })
    };
    tokio::select! {
        biased;
        () = stop.soft.cancelled() => None,
        turn = ready => turn,
    }
}

/// A claim that waited past its lease may be another worker's by now.
fn is_still_ours(context: &Context, held: &Held, claim: &Claim) -> bool {
    held.lease_until(claim.delivery.id, claim.fence)
        .is_some_and(|until| context.clock.now() < until)
}

/// Sends and judges. `None`: aborted by the end of the grace.
async fn send(
    context: &Context,
    outlet: &Outlet,
    lane: Arc<Lane>,
    claim: &Claim,
    turn: Turn,
    stop: &Stop,
) -> Option<ToSettle> {
    let Turn {
        slot,
        retry_slot,
        admitted,
    } = turn;
    let under_way = lane.metrics.begin();
    let started_at = context.clock.now();
    let started = Instant::now();
    let number = claim.delivery.n_attempts + 1;
    let id = AttemptId::new();
    let traced = context.tracer.attempt(&claim.event, id);
    let ended = |outcome, error, status| Ended {
        id,
        delivery: &claim.delivery,
        event: &claim.event,
        number,
        kind: outlet.settings.kind.name(),
        outcome,
        error,
        status,
    };
    let message = Message {
        event: Arc::clone(&claim.event),
        delivery_id: claim.delivery.id,
        origin: claim.delivery.origin,
        attempt: number,
        is_stale: claim.is_stale,
        order_key: order_key(context, outlet, claim),
        traceparent: traced.traceparent,
        now: wall_now(),
    };
    #[cfg(feature = "trial")]
    settle_early(context, claim, started_at).await;
    let result = tokio::select! {
        biased;
        () = stop.hard.cancelled() => {
            traced.end(&ended("interrupted", None, None));
            return None;
        }
        result = trial::during(Point::RequestSent, transform_and_send(context, outlet, claim, message)) => result,
    };
    trial::point(Point::HandlerAnswered);
    drop((slot, retry_slot, under_way));

    let duration = started.elapsed();
    // The store's time, as the schedule is on it.
    let now = context.clock.now();
    let judgement = judge(&result, &outlet.settings.retry, now);
    admitted.report(Evidence::of(&result, &judgement, now));
    let outcome = outcome(&judgement, &outlet.settings.retry, claim, number, now);
    let label = label(&result, &outcome);
    lane.metrics.attempted(label, duration);
    let status_code = result.as_ref().ok().and_then(|it| it.status);
    let error = (outcome != Outcome::Delivered).then_some(label);
    traced.end(&ended(outcome.as_str(), error, status_code));
    if outcome == Outcome::Delivered {
        lane.metrics.delivered_after(now.since(claim.event.received_at));
    }
    let hold_route = judgement.verdict == Verdict::Dead { hold_route: true };
    let attempt = Attempt {
        id,
        number,
        started_at,
        duration,
        trigger: trigger(claim),
        status_code,
        error: judgement.error,
        response_headers: response_headers(&result),
        response_body: response_body(result),
    };
    let settlement = Settlement {
        delivery_id: claim.delivery.id,
        fence: claim.fence,
        attempt,
        outcome,
    };
    Some(ToSettle {
        settlement,
        hold_route,
        lane,
    })
}

/// By what its route orders the event as it came, where the destination keeps that order too.
fn order_key(context: &Context, outlet: &Outlet, claim: &Claim) -> Option<Hash> {
    if !outlet.settings.kind.has_order() {
        return None;
    }
    let snapshot = context.registry.current();
    let route = snapshot.route(&claim.delivery.route)?;
    route.position(&snapshot.subject(&claim.event)).map(|it| it.key)
}

async fn transform_and_send(
    context: &Context,
    outlet: &Outlet,
    claim: &Claim,
    message: Message,
) -> Result<Response, SendError> {
    let message = transformed(context, claim, message).await?;
    match &outlet.way {
        Way::Push(destination) => destination.send(&message).await,
        Way::Pull(_) => Err(SendError::new(
            "queue",
            "consumers fetch from this destination now",
            Fate::Retriable,
        )),
    }
}

/// By the program of its route, of today unless the claim names another. One that fails is an attempt that failed: it shows, and
/// is made again on the schedule.
pub(super) async fn transformed(
    context: &Context,
    claim: &Claim,
    mut message: Message,
) -> Result<Message, SendError> {
    let (route, original);
    let transform = if let Some(id) = claim.program {
        original = context.originals.find(&context.store, id).await?;
        (*original).as_ref()
    } else {
        route = context.registry.current().route(&claim.delivery.route).cloned();
        route.as_ref().and_then(|it| it.transform.as_ref())
    };
    if let Some(transform) = transform {
        let input = Input::new(&message.event, message.attempt);
        let output = transform
            .run(input)
            .await
            .map_err(|error| SendError::new("transform", error.to_string(), Fate::Retriable))?;
        message.event = Arc::new(output.apply(&message.event));
    }
    Ok(message)
}

fn outcome(judgement: &Judgement, retry: &Retry, claim: &Claim, number: u32, now: Timestamp) -> Outcome {
    match judgement.verdict {
        Verdict::Delivered => Outcome::Delivered,
        Verdict::Dead { .. } => Outcome::Dead,
        Verdict::Retry { not_before } => {
            let since = claim.delivery.created_at;
            match schedule::next(retry, number, since, now, rand::random(), not_before) {
                Some(at) => Outcome::Retry { at },
                None => Outcome::Dead,
            }
        }
    }
}

/// What the attempt is counted as.
fn label(result: &Result<Response, SendError>, outcome: &Outcome) -> &'static str {
    match result {
        _ if *outcome == Outcome::Delivered => "delivered",
        Ok(_) => "status",
        Err(error) => error.code,
    }
}

pub(super) const fn trigger(claim: &Claim) -> Trigger {
    if claim.is_manual {
        Trigger::Manual
    } else if claim.delivery.n_attempts == 0 {
        Trigger::Initial
    } else {
        Trigger::Schedule
    }
}

fn response_headers(result: &Result<Response, SendError>) -> Headers {
    result.as_ref().map(|it| it.headers.clone()).unwrap_or_default()
}

fn response_body(result: Result<Response, SendError>) -> Bytes {
    let body = result.map_or_else(|error| error.output, |response| response.body);
    // A copy, so that four kilobytes do not keep the whole answer in memory.
    Bytes::copy_from_slice(&body[..body.len().min(MAX_KEPT_BODY)])
}

/// The flaw `SettledBeforeSent`.
#[cfg(feature = "trial")]
async fn settle_early(context: &Context, claim: &Claim, started_at: Timestamp) {
    if !trial::has(trial::Flaw::SettledBeforeSent) {
        return;
    }
    let attempt = Attempt {
        id: AttemptId::new(),
        number: claim.delivery.n_attempts + 1,
        started_at,
        duration: std::time::Duration::ZERO,
        trigger: trigger(claim),
        status_code: Some(200),
        error: None,
        response_headers: Headers::default(),
        response_body: Bytes::new(),
    };
    let settlement = Settlement {
        delivery_id: claim.delivery.id,
        fence: claim.fence,
        attempt,
        outcome: Outcome::Delivered,
    };
    let _ = context.store.settle(vec![settlement], started_at).await;
}
