//! Sends the notices that are due. One that was sent, and not yet known to be, is sent again: at least once, always.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    alert::{
        Context, Setup,
        channel::{Channel, NotSent, TIMEOUT},
    },
    base::{backoff::full_jitter, clock::Timestamp, metrics::handles::NotificationMetrics},
    store::{
        error::StoreError,
        issue::{Issue, NotTaken, Notice},
    },
};

/// How soon a notice is seen that another process wrote, or that is due again.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Longer than a message and its record take. A replica that dies is followed by another after that.
const LEASE: Duration = TIMEOUT.saturating_mul(2);
/// Messages to one notification in a row, before the others are looked at again.
const IN_A_ROW: u32 = 10;
const HOUR: Duration = Duration::from_hours(1);

const FIRST_WAIT: Duration = Duration::from_secs(10);
const MAX_WAIT: Duration = Duration::from_mins(10);
/// What nobody took for so long is given up.
const MAX_AGE: Duration = Duration::from_hours(24);

pub(super) async fn run(context: &Context, stop: &CancellationToken) {
    loop {
        let setup = context.alerts.current();
        let all = setup
            .channels
            .iter()
            .map(|(name, channel)| tell(context, &setup, name, channel));
        // Each by itself: one that hangs holds up none of the others for longer than its time.
        let told = futures_util::future::join_all(all);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            results = told => {
                for error in results.into_iter().filter_map(Result::err) {
                    context.metrics.store_error(error.kind());
                    tracing::warn!("could not look for what is to be told: {error}");
                }
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = context.alerts.0.news.notified() => (),
            () = tokio::time::sleep(LOOK_EVERY) => (),
        }
    }
}

/// What is due for one notification.
async fn tell(
    context: &Context,
    setup: &Setup,
    name: &Arc<str>,
    channel: &Channel,
) -> Result<(), StoreError> {
    let (store, clock) = (&context.store, &context.clock);
    let lease = format!("notify {name}");
    let metrics = context.metrics.notification(name, channel.settings().kind.name());
    for _ in 0..IN_A_ROW {
        let now = clock.now();
        if store.due_notices(name, now, 1).await?.is_empty() {
            return Ok(());
        }
        if !store.lease(&lease, context.worker, now, now.plus(LEASE)).await? {
            return Ok(());
        }
        // What was due before may have been sent by whoever had the lease.
        let news = store.due_notices(name, now, channel.max_batch()).await?;
        let n_sent = store.n_messages(name, now.minus(HOUR)).await?;
        let is_free = n_sent < u64::from(channel.max_per_hour());
        if is_free && !news.is_empty() {
            send(context, setup, channel, &news, &metrics).await?;
        }
        let now = clock.now();
        store.lease(&lease, context.worker, now, now).await?;
        if !is_free {
            return Ok(());
        }
    }
    Ok(())
}

async fn send(
    context: &Context,
    setup: &Setup,
    channel: &Channel,
    news: &[(Notice, Issue)],
    metrics: &NotificationMetrics,
) -> Result<(), StoreError> {
    let name = &channel.settings().name;
    let ids = news.iter().map(|(notice, _)| notice.id).collect();
    let sent = channel.send(news, setup.link()).await;
    let now = context.clock.now();
    let Err(error) = sent else {
        metrics.sent(news.len());
        tracing::debug!(n_notices = news.len(), "told `{name}`");
        return context.store.notices_taken(ids, now).await;
    };
    let due_at = next_try(news, &error, now, rand::random());
    if let Some(at) = due_at {
        metrics.failed(news.len());
        tracing::warn!(
            notification = name,
            "could not tell `{name}`, again at {at}: {error}"
        );
    } else {
        let n_notices = news.len();
        metrics.given_up(n_notices);
        tracing::error!(
            notification = name,
            n_notices,
            "gave up telling `{name}`: {error}"
        );
    }
    let why = NotTaken {
        reason: error.explanation,
        due_at,
    };
    context.store.notices_not_taken(ids, why).await
}

/// `None`: it is given up.
fn next_try(news: &[(Notice, Issue)], error: &NotSent, now: Timestamp, random: f64) -> Option<Timestamp> {
    let oldest = news.iter().map(|(notice, _)| notice.created_at).min()?;
    let n_tries = news.iter().map(|(notice, _)| notice.n_tries).max()?;
    let wait = full_jitter(n_tries, FIRST_WAIT, MAX_WAIT, random);
    let wait = error.wait.map_or(wait, |it| it.min(HOUR).max(wait));
    (now.since(oldest) < MAX_AGE).then(|| now.plus(wait))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{alert::message::tests::news, store::issue::Change};

    #[test]
    fn what_is_not_taken_is_tried_again_for_a_day() {
        let news = [news(Change::Opened, None)];
        let made = news[0].0.created_at;
        let error = |wait| NotSent {
            explanation: "no".to_owned(),
            wait,
        };
        let after = |wait, age| next_try(&news, &error(wait), made.plus(age), 1.0);
        assert_eq!(after(None, HOUR), Some(made.plus(HOUR + FIRST_WAIT)));
        let asked = Duration::from_secs(90);
        assert_eq!(after(Some(asked), HOUR), Some(made.plus(HOUR + asked)));
        let for_ever = Some(Duration::from_hours(1_000));
        assert_eq!(after(for_ever, HOUR), Some(made.plus(HOUR + HOUR)));
        assert_eq!(after(None, MAX_AGE), None);
    }
}
