//! Replays to a URL that is in no config: a destination of its own on every process that delivers, for as long as deliveries of
//! its job may be open.
//!
//! It has the settings of the destination that the replay names, but for the operator's own headers, which are for that one alone.
//! Such a URL did not come from the config file, so it reaches public addresses only, unless the config says otherwise.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    base::{ids::JobId, safe_url::SafeUrl},
    bulk::Context,
    destination,
    egress::guard::Reach,
    registry::{Outlet, Snapshot},
    store::{
        error::StoreError,
        job::{Job, JobQuery},
        query::MAX_LIMIT,
    },
};

/// How soon a new job's URL is known everywhere.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Beyond the time in which its destination gives deliveries up.
const MARGIN: Duration = Duration::from_hours(1);

/// The name under which a job's URL is a destination.
pub fn name(job: JobId) -> Arc<str> {
    job.to_string().into()
}

/// The destination that a URL is, in place of the one whose settings it takes.
pub fn outlet(
    snapshot: &Snapshot,
    name: Arc<str>,
    destination: &str,
    url: &str,
    reach: Reach,
) -> Result<Outlet, String> {
    let like = snapshot
        .destination(destination)
        .ok_or_else(|| format!("the destination `{destination}` is not in the config"))?;
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    let built = destination::elsewhere(&like.settings, SafeUrl::new(url), reach);
    let (mut settings, way) = built.map_err(|faults| {
        let problems: Vec<_> = faults.into_iter().map(|it| it.problem).collect();
        problems.join("; ")
    })?;
    settings.name = name.to_string();
    Ok(Outlet { name, settings, way })
}

/// Keeps the registry's guests up to date, until stopped.
pub async fn run(context: Context, reach: Reach, stop: CancellationToken) {
    let mut guests = BTreeMap::new();
    loop {
        if let Err(error) = look(&context, reach, &mut guests).await {
            context.metrics.store_error(error.kind());
            tracing::warn!("could not look for replays to URLs: {error}");
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => (),
        }
    }
}

async fn look(
    context: &Context,
    reach: Reach,
    guests: &mut BTreeMap<Arc<str>, Arc<Outlet>>,
) -> Result<(), StoreError> {
    let query = JobQuery {
        has_url: true,
        limit: MAX_LIMIT,
        ..JobQuery::default()
    };
    let jobs = context.store.jobs(&query).await?.rows;
    let snapshot = Arc::clone(&context.registry.current());
    let wanted = jobs.iter().filter(|it| is_wanted(context, &snapshot, it));
    let wanted: BTreeMap<_, _> = wanted.map(|it| (name(it.id), it)).collect();
    let n_before = guests.len();
    guests.retain(|name, _| wanted.contains_key(name));
    let mut is_changed = guests.len() != n_before;
    for (name, job) in wanted {
        let (Some(destination), Some(url)) = (&job.target.destination, &job.target.url) else {
            continue;
        };
        if guests.contains_key(&name) {
            continue;
        }
        match outlet(&snapshot, Arc::clone(&name), destination, url, reach) {
            Ok(outlet) => {
                guests.insert(name, Arc::new(outlet));
                is_changed = true;
            }
            Err(problem) => {
                tracing::debug!(job.id = %job.id, "the URL of job {} is not used: {problem}", job.id);
            }
        }
    }
    if is_changed {
        context.registry.host(guests.clone());
        context.wake.now();
    }
    Ok(())
}

/// Until every delivery of it was delivered or given up.
fn is_wanted(context: &Context, snapshot: &Snapshot, job: &Job) -> bool {
    let like = job
        .target
        .destination
        .as_deref()
        .and_then(|it| snapshot.destination(it));
    let max_age = like.map_or(Duration::ZERO, |it| it.settings.retry.max_age);
    job.ended_at
        .is_none_or(|it| context.clock.now().since(it) < max_age + MARGIN)
}
