//! What bulk work would do, before anything is done.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    bulk::{replay, request::Request},
    event::delivery::Status,
    registry::Snapshot,
    store::{
        Store,
        claim::HoldTarget,
        error::StoreError,
        job::{Action, Config, DeliveryTally, EventTally, OriginalTally, Reach},
        window::Patience,
    },
};

/// For who waits for the whole number. A part is small: a plan must not hold up anything, however much there is.
pub const WHOLE: Patience = Patience {
    n_rows: 20_000,
    time: Duration::from_secs(10),
};
/// For a page, which must be there at once.
pub const OF_A_PAGE: Patience = Patience {
    time: Duration::from_millis(75),
    ..WHOLE
};
/// Where the deliveries of events are counted too, a part has so many times fewer events.
const FEWER_ORIGINALS: u32 = 4;

/// What would be done.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Of a replay: the events that the filter finds.
    pub n_events: Option<u64>,
    /// Deliveries that would be tried again, made, or given up.
    pub n_deliveries: u64,
    /// False: there is more than could be counted in the time that was given.
    pub is_whole: bool,
    pub ways: Vec<Way>,
    pub skipped: Vec<Skipped>,
    /// How long it takes as far as that is known: the slowest destination's share, or the job's own rate.
    pub takes: Option<Duration>,
}

/// Deliveries by one route to one destination.
#[derive(Debug, Clone)]
pub struct Way {
    pub route: Arc<str>,
    pub destination: Arc<str>,
    pub n_deliveries: u64,
    /// Deliveries a second that the destination takes from one process.
    pub per_second: Option<Speed>,
    /// What an operator should know before saying yes.
    pub remarks: Vec<&'static str>,
}

/// How fast a destination is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// Its `rate` in the config.
    Configured(f64),
    /// Its concurrency, and how long the last attempts took.
    Measured(f64),
}

impl Speed {
    pub const fn per_second(self) -> f64 {
        match self {
            Self::Configured(n) | Self::Measured(n) => n,
        }
    }
}

/// What was found and would be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Stable word: `no_route` or `not_kept`.
    pub cause: &'static str,
    /// For an operator.
    pub reason: String,
    pub n: u64,
}

/// Route and destination.
type WayKey = (Arc<str>, Arc<str>);

#[derive(Default)]
struct Count {
    n_found: u64,
    ways: BTreeMap<WayKey, Counted>,
    skipped: BTreeMap<Arc<str>, u64>,
    /// Events that went nowhere when they came in, and those of which it is not known.
    n_nowhere: u64,
    n_not_kept: u64,
}

#[derive(Default)]
struct Counted {
    n: u64,
    n_under_way: u64,
}

/// Counts, a part at a time, until all is counted or patience has ended. Changes nothing.
pub async fn plan(
    store: &Store,
    snapshot: &Snapshot,
    request: &Request,
    patience: Patience,
) -> Result<Plan, StoreError> {
    let n_originals = patience.n_rows.div_ceil(FEWER_ORIGINALS);
    let started_at = Instant::now();
    let mut count = Count::default();
    let mut reach = Reach::ALL;
    let mut is_whole = true;
    loop {
        let next = match request.action {
            Action::Replay if request.config == Config::Original => {
                let look = store
                    .count_originals(&request.filter, &request.target, reach, n_originals)
                    .await?;
                look.found.iter().for_each(|tally| count.originals(tally));
                look.next
            }
            Action::Replay => {
                let look = store
                    .count_events(&request.filter, reach, patience.n_rows)
                    .await?;
                for tally in &look.found {
                    count.events(snapshot, request, tally);
                }
                look.next
            }
            Action::Retry | Action::Cancel => {
                let look = store
                    .count_deliveries(request.action, &request.filter, reach, patience.n_rows)
                    .await?;
                look.found.iter().for_each(|tally| count.deliveries(tally));
                look.next
            }
        };
        let Some(next) = next else { break };
        reach.after = Some(next);
        if started_at.elapsed() >= patience.time {
            is_whole = false;
            break;
        }
    }
    describe(store, snapshot, request, count, is_whole).await
}

impl Count {
    fn deliveries(&mut self, tally: &DeliveryTally) {
        self.n_found += tally.n_deliveries;
        let key = (Arc::clone(&tally.route), Arc::clone(&tally.destination));
        let counted = self.ways.entry(key).or_default();
        counted.n += tally.n_deliveries;
        if tally.status == Status::Delivering {
            counted.n_under_way += tally.n_deliveries;
        }
    }

    fn originals(&mut self, tally: &OriginalTally) {
        match tally {
            OriginalTally::Found(n) => self.n_found += n,
            OriginalTally::Went {
                route,
                destination,
                n_events,
            } => {
                let key = (Arc::clone(route), Arc::clone(destination));
                self.ways.entry(key).or_default().n += n_events;
            }
            OriginalTally::Nowhere(n) => self.n_nowhere += n,
            OriginalTally::NotKept(n) => self.n_not_kept += n,
        }
    }

    fn events(&mut self, snapshot: &Snapshot, request: &Request, tally: &EventTally) {
        self.n_found += tally.n_events;
        let event_type = tally.event_type.as_deref();
        let mut is_taken = false;
        for route in replay::routes(snapshot, &tally.source, event_type, &request.target) {
            is_taken = true;
            let key = (Arc::clone(&route.name), Arc::clone(&route.destination));
            self.ways.entry(key).or_default().n += tally.n_events;
        }
        if !is_taken {
            *self.skipped.entry(Arc::clone(&tally.source)).or_default() += tally.n_events;
        }
    }
}

async fn describe(
    store: &Store,
    snapshot: &Snapshot,
    request: &Request,
    count: Count,
    is_whole: bool,
) -> Result<Plan, StoreError> {
    let speeds = speeds(store, snapshot).await?;
    let holds: Vec<_> = store.holds().await?.into_iter().map(|it| it.target).collect();
    let is_replay = request.action == Action::Replay;
    // Routes are asked, and may refuse.
    let is_asked = is_replay && request.config == Config::Current && !replay::is_named(&request.target);
    let is_cancel = request.action == Action::Cancel;
    let way = |(key, counted): (WayKey, Counted)| {
        let (route, destination) = key;
        let mut remarks = Vec::new();
        if counted.n_under_way > 0 {
            remarks.push("some are under way and may still arrive");
        }
        if !is_cancel && !snapshot.destinations.contains_key(&destination) {
            remarks.push("its destination is not in the config: they wait until it is");
        }
        let is_held = holds.contains(&HoldTarget::Destination(Arc::clone(&destination)))
            || holds.contains(&HoldTarget::Route(Arc::clone(&route)));
        if !is_cancel && is_held {
            remarks.push("paused: they are held until it is resumed");
        }
        let has_filter = snapshot.route(&route).is_some_and(|it| it.filters());
        if request.target.url.is_some() {
            remarks.push("to the URL in its place");
        }
        let is_batched = snapshot
            .route(&route)
            .is_some_and(|it| replay::has_batches(snapshot, &it.source));
        if is_asked && is_batched {
            remarks.push("batches go by the types of all their elements: at most so many");
        }
        if is_asked && has_filter {
            remarks.push("its filter is asked for each event: what it refuses is skipped");
        }
        Way {
            per_second: speeds.get(&destination).copied().filter(|_| !is_cancel),
            n_deliveries: counted.n,
            route,
            destination,
            remarks,
        }
    };
    let ways: Vec<Way> = count.ways.into_iter().map(way).collect();
    let skipped = count.skipped.into_iter().map(|(source, n)| Skipped {
        cause: "no_route",
        reason: if snapshot.source(&source).is_some() {
            format!("no route of `{source}` takes them")
        } else {
            format!("the source `{source}` is not in the config")
        },
        n,
    });
    let then = [
        (
            count.n_nowhere,
            "no_route",
            if replay::is_named(&request.target) {
                "they did not go there when they came in"
            } else {
                "no route took them when they came in"
            },
        ),
        (
            count.n_not_kept,
            "not_kept",
            "from before gatepost kept what their routes did",
        ),
    ];
    let then = then.into_iter().filter(|(n, ..)| *n > 0);
    let then = then.map(|(n, cause, reason)| Skipped {
        cause,
        reason: reason.to_owned(),
        n,
    });
    Ok(Plan {
        n_events: is_replay.then_some(count.n_found),
        n_deliveries: ways.iter().map(|it| it.n_deliveries).sum(),
        is_whole,
        takes: takes(&ways, count.n_found, request.per_second),
        skipped: skipped.chain(then).collect(),
        ways,
    })
}

/// The slower of the slowest destination and the job's own rate. `None`: some destination's speed is not known, and no rate is
/// set, or there is nothing to do.
#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate of so many seconds, from counts that are far smaller than 2^52"
)]
fn takes(ways: &[Way], n_found: u64, per_second: Option<u32>) -> Option<Duration> {
    let mut shares: HashMap<&str, (u64, Option<Speed>)> = HashMap::new();
    for way in ways {
        let share = shares.entry(&way.destination).or_insert((0, way.per_second));
        share.0 += way.n_deliveries;
    }
    let own = per_second.map(|it| n_found as f64 / f64::from(it));
    let slowest = shares
        .values()
        .filter_map(|(n, speed)| Some(*n as f64 / speed.as_ref()?.per_second()))
        .fold(None, |slowest: Option<f64>, it| {
            Some(slowest.map_or(it, |slowest| slowest.max(it)))
        });
    let all = [own, slowest].into_iter().flatten();
    let seconds = all.fold(None, |most: Option<f64>, it| {
        Some(most.map_or(it, |most| most.max(it)))
    })?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// What each destination takes from one process: what its concurrency and the time of its last attempts allow, and no more than
/// its `rate`.
async fn speeds(store: &Store, snapshot: &Snapshot) -> Result<HashMap<Arc<str>, Speed>, StoreError> {
    let paces: HashMap<_, _> = store
        .paces()
        .await?
        .into_iter()
        .map(|it| (it.destination, it.duration))
        .collect();
    let speed = |(name, outlet): (&Arc<str>, &Arc<crate::registry::Outlet>)| {
        let settings = &outlet.settings;
        let measured = paces
            .get(name)
            .map(|it| f64::from(settings.concurrency.max(1)) / it.as_secs_f64().max(0.000_1));
        let speed = match (settings.rate.map(f64::from), measured) {
            (Some(rate), Some(measured)) if measured < rate => Speed::Measured(measured),
            (Some(rate), _) => Speed::Configured(rate),
            (None, Some(measured)) => Speed::Measured(measured),
            (None, None) => return None,
        };
        Some((Arc::clone(name), speed))
    };
    Ok(snapshot.destinations.iter().filter_map(speed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(destination: &str, n_deliveries: u64, per_second: Option<f64>) -> Way {
        Way {
            route: "r".into(),
            destination: destination.into(),
            n_deliveries,
            per_second: per_second.map(Speed::Configured),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn the_slowest_share_decides_how_long_it_takes() {
        let check = |ways: &[Way], rate, seconds: Option<u64>| {
            assert_eq!(takes(ways, 100, rate), seconds.map(Duration::from_secs));
        };
        check(
            &[way("a", 100, Some(10.0)), way("b", 100, Some(50.0))],
            None,
            Some(10),
        );
        // Two routes to one destination share its rate.
        check(
            &[way("a", 100, Some(10.0)), way("a", 100, Some(10.0))],
            None,
            Some(20),
        );
        check(&[way("a", 100, Some(10.0))], Some(4), Some(25));
        check(&[way("a", 100, None)], Some(4), Some(25));
        check(&[way("a", 100, None)], None, None);
        check(&[], None, None);
    }
}
