//! How each source and destination does, in a word, and what of it is trouble.

use std::{sync::Arc, time::Duration};

use crate::{
    delivery::gate::Shown,
    event::delivery::Status,
    registry::Snapshot,
    store::{
        claim::{Hold, HoldTarget},
        query::{Made, Series},
    },
    web::{
        api::numbers::Counted,
        dashboard::{chart::Chart, text},
        state::Admin,
    },
};

/// A due delivery that waits longer has something in its way.
const LATE: Duration = Duration::from_mins(5);
/// Minutes in which something must have gone well, where something went wrong in them.
const LATELY: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Nothing to say, and nothing to praise.
    Calm,
    Good,
    Warn,
    Bad,
}

impl Level {
    /// The style's class.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Calm | Self::Good => "fine",
            Self::Warn => "look",
            Self::Bad => "wrong",
        }
    }
}

/// A plain word, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Health {
    pub(super) level: Level,
    pub(super) word: &'static str,
    pub(super) why: String,
}

impl Health {
    fn new(level: Level, word: &'static str, why: impl Into<String>) -> Self {
        Self {
            level,
            word,
            why: why.into(),
        }
    }
}

/// A destination and its numbers.
#[derive(Debug)]
pub(super) struct DestinationHealth {
    pub(super) name: Arc<str>,
    pub(super) health: Health,
    pub(super) n_open: u64,
    pub(super) n_dead: u64,
    pub(super) oldest_due: Option<String>,
    pub(super) chart: Chart,
}

/// A source and its numbers of the last hour.
#[derive(Debug)]
pub(super) struct SourceHealth {
    pub(super) name: Arc<str>,
    pub(super) health: Health,
    pub(super) n_events: u64,
    pub(super) n_refused: u64,
    /// Its last event.
    pub(super) last_seen: Option<String>,
    pub(super) chart: Chart,
}

pub(super) fn destinations(state: &Admin, snapshot: &Snapshot, counted: &Counted) -> Vec<DestinationHealth> {
    let one = |name: &Arc<str>| {
        let n = |status| of_status(counted, name, status);
        let hold = hold_of(&counted.holds, &HoldTarget::Destination(Arc::clone(name)));
        let breaker = state.lanes.get(name).map(|it| it.gate.shown());
        let oldest_due = counted.stats.oldest_due.get(name).copied();
        let open = Status::ALL.into_iter().filter(|it| it.is_open()).map(n);
        let n_open = open.sum();
        let lately = counted
            .stats
            .recent_deliveries
            .get(name)
            .copied()
            .unwrap_or_default();
        DestinationHealth {
            name: Arc::clone(name),
            health: of_destination(&Signs {
                hold,
                breaker: breaker.as_ref(),
                n_open,
                n_retrying: n(Status::Retrying),
                waits: oldest_due.map(|it| counted.at.since(it)),
                lately: &lately,
            }),
            n_open,
            n_dead: n(Status::Dead),
            oldest_due: oldest_due.map(|it| it.to_string()),
            chart: Chart::of_destination(&lately),
        }
    };
    snapshot.destinations.keys().map(one).collect()
}

pub(super) fn sources(snapshot: &Snapshot, counted: &Counted) -> Vec<SourceHealth> {
    let one = |name: &Arc<str>| {
        let events = counted.stats.recent_events.get(name).copied().unwrap_or_default();
        let refused = counted
            .stats
            .recent_rejected
            .iter()
            .filter(|((it, _), _)| it == name);
        let refused: Series = refused.map(|(_, it)| it).sum();
        let causes: Vec<_> = causes(counted, name).collect();
        SourceHealth {
            name: Arc::clone(name),
            health: of_source(events.total(), &causes, snapshot.routes_of(name).is_empty()),
            n_events: events.total(),
            n_refused: refused.total(),
            last_seen: counted.last_seen.get(name).map(ToString::to_string),
            chart: Chart::of_source(&events, &refused),
        }
    };
    snapshot.sources.keys().map(one).collect()
}

/// Why requests to a source were refused in the last hour, and how many.
pub(super) fn causes<'a>(counted: &'a Counted, source: &'a str) -> impl Iterator<Item = (&'a str, u64)> {
    let refused = counted.stats.recent_rejected.iter();
    refused
        .filter(move |((name, _), _)| **name == *source)
        .map(|((_, cause), it)| (cause.as_str(), it.total()))
}

pub(super) fn hold_of<'a>(holds: &'a [Hold], target: &HoldTarget) -> Option<&'a Hold> {
    holds.iter().find(|it| it.target == *target)
}

fn of_status(counted: &Counted, destination: &Arc<str>, status: Status) -> u64 {
    let key = (Arc::clone(destination), status);
    counted.stats.deliveries.get(&key).copied().unwrap_or(0)
}

/// What a destination shows of itself.
struct Signs<'a> {
    hold: Option<&'a Hold>,
    breaker: Option<&'a Shown>,
    n_open: u64,
    n_retrying: u64,
    /// For how long its oldest due delivery has been due.
    waits: Option<Duration>,
    /// What was made for it in the last hour.
    lately: &'a Made,
}

fn of_destination(it: &Signs<'_>) -> Health {
    if let Some(hold) = it.hold {
        return Health::new(Level::Warn, "paused", &hold.reason);
    }
    if let Some(breaker) = it.breaker {
        let why = breaker.reason.clone().unwrap_or_default();
        match breaker.state {
            "open" => return Health::new(Level::Bad, "failing", format!("nothing is sent to it: {why}")),
            "half_open" => return Health::new(Level::Bad, "failing", format!("being probed: {why}")),
            "ramping" => {
                return Health::new(
                    Level::Warn,
                    "recovering",
                    "it answers again, and gets more and more",
                );
            }
            _ => (),
        }
    }
    let n_dead = it.lately.dead.newest(LATELY);
    if n_dead > 0 && it.lately.delivered.newest(LATELY) == 0 {
        let given_up = text::count(n_dead, "delivery is", "deliveries are");
        let why = format!("of the last {LATELY} minutes {given_up} given up and none is delivered");
        return Health::new(Level::Bad, "failing", why);
    }
    if let Some(waits) = it.waits.filter(|it| *it > LATE) {
        let why = format!("its oldest delivery has been due for {}", span(waits));
        return Health::new(Level::Warn, "slow", why);
    }
    if it.n_retrying > 0 {
        return Health::new(
            Level::Warn,
            "retrying",
            format!("deliveries to be tried again: {}", it.n_retrying),
        );
    }
    if it.n_open == 0 && it.lately.total() == 0 {
        return Health::new(Level::Calm, "silent", "nothing went there in the last hour");
    }
    Health::new(Level::Good, "healthy", "")
}

fn of_source(n_events: u64, causes: &[(&str, u64)], is_routeless: bool) -> Health {
    if !causes.is_empty() {
        let causes: Vec<_> = causes.iter().map(|(cause, n)| format!("{n} {cause}")).collect();
        let why = format!("refused in the last hour: {}", causes.join(", "));
        let level = if n_events == 0 { Level::Bad } else { Level::Warn };
        return Health::new(level, "refusing", why);
    }
    if is_routeless {
        return Health::new(Level::Calm, "no route", "its events are stored and go nowhere");
    }
    if n_events == 0 {
        return Health::new(Level::Calm, "silent", "nothing came in the last hour");
    }
    Health::new(Level::Good, "healthy", "")
}

pub(super) fn span(duration: Duration) -> String {
    text::span_ms(&u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Something to look at, and where.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) level: Level,
    pub(super) text: String,
    pub(super) href: String,
    pub(super) link: &'static str,
}

impl Trouble {
    fn new(level: Level, text: impl Into<String>, href: impl Into<String>, link: &'static str) -> Self {
        Self {
            level,
            text: text.into(),
            href: href.into(),
            link,
        }
    }
}

/// All that is wrong, the worst first.
pub(super) fn troubles(
    counted: &Counted,
    sources: &[SourceHealth],
    destinations: &[DestinationHealth],
) -> Vec<Trouble> {
    let mut res = Vec::new();
    let ledger = counted.audit.as_ref().map(|it| &it.ledger);
    if ledger.is_some_and(|it| !it.is_balanced()) {
        let text = "The ledger does not add up: rows are missing or were counted twice.";
        res.push(Trouble::new(Level::Bad, text, "#ledger", "see the ledger"));
    }
    let n_stuck = ledger.map_or(0, |it| it.stuck.total());
    if n_stuck > 0 {
        let text = format!("Open deliveries that nobody moves, though they are past their time: {n_stuck}.");
        res.push(Trouble::new(
            Level::Bad,
            text,
            "/deliveries?status=delivering",
            "see deliveries",
        ));
    }
    for it in destinations {
        if it.n_dead > 0 {
            let text = format!(
                "{} for {}.",
                text::count(it.n_dead, "dead letter", "dead letters"),
                it.name
            );
            let href = format!("/deliveries?status=dead&destination={}", it.name);
            res.push(Trouble::new(Level::Bad, text, href, "see and retry"));
        }
        if it.health.level >= Level::Warn {
            let text = format!("{} is {}: {}.", it.name, it.health.word, it.health.why);
            let href = format!("/destinations#destination-{}", it.name);
            res.push(Trouble::new(it.health.level, text, href, "see the destination"));
        }
    }
    for hold in &counted.holds {
        if let HoldTarget::Route(name) = &hold.target {
            let text = format!("The route {name} is held: {}.", hold.reason);
            res.push(Trouble::new(
                Level::Warn,
                text,
                "/destinations#routes",
                "see the routes",
            ));
        }
    }
    for it in sources.iter().filter(|it| it.health.level >= Level::Warn) {
        let text = format!("{}: {}.", it.name, it.health.why);
        let href = match it.n_refused {
            0 => format!("/sources#source-{}", it.name),
            _ => format!("/requests?source={}", it.name),
        };
        res.push(Trouble::new(it.health.level, text, href, "see why"));
    }
    res.sort_by_key(|it| std::cmp::Reverse(it.level));
    res
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::clock::Timestamp, store::claim::HeldBy};

    fn breaker(state: &'static str) -> Shown {
        Shown {
            state,
            reason: Some("5 of 5 failed".to_owned()),
            probes_in: None,
        }
    }

    #[test]
    fn the_worst_of_a_destination_names_it() {
        let hold = Hold {
            target: HoldTarget::Destination("d".into()),
            held_by: HeldBy::Operator,
            reason: "deploying".to_owned(),
            since: Timestamp::EPOCH,
        };
        let check = |hold, state, n_retrying, waits_s: u64, word, level| {
            let health = of_destination(&Signs {
                hold,
                breaker: Some(&breaker(state)),
                n_open: 1,
                n_retrying,
                waits: Some(Duration::from_secs(waits_s)),
                lately: &Made::default(),
            });
            assert_eq!((health.word, health.level), (word, level));
        };
        check(Some(&hold), "open", 9, 9999, "paused", Level::Warn);
        check(None, "open", 9, 9999, "failing", Level::Bad);
        check(None, "half_open", 0, 0, "failing", Level::Bad);
        check(None, "ramping", 0, 0, "recovering", Level::Warn);
        check(None, "closed", 9, 9999, "slow", Level::Warn);
        check(None, "closed", 9, 1, "retrying", Level::Warn);
        check(None, "closed", 0, 1, "healthy", Level::Good);
        check(None, "off", 0, 0, "healthy", Level::Good);
    }

    #[test]
    fn a_destination_fails_where_nothing_went_well_lately() {
        let check = |n_dead: u64, n_delivered: u64, part, n_open, word| {
            let mut lately = Made::default();
            lately.dead.add(part, n_dead);
            lately.delivered.add(part, n_delivered);
            let health = of_destination(&Signs {
                hold: None,
                breaker: None,
                n_open,
                n_retrying: 0,
                waits: None,
                lately: &lately,
            });
            assert_eq!(health.word, word);
        };
        check(3, 0, 59, 0, "failing");
        check(3, 1, 59, 0, "healthy");
        check(3, 0, 49, 0, "healthy");
        check(0, 0, 59, 0, "silent");
        check(0, 0, 59, 1, "healthy");
    }

    #[test]
    fn a_source_that_only_refuses_is_worse_than_one_that_refuses_some() {
        let check = |n_events, causes: &[_], is_routeless, word, level| {
            let health = of_source(n_events, causes, is_routeless);
            assert_eq!((health.word, health.level), (word, level));
        };
        check(0, &[("unsigned", 2)], false, "refusing", Level::Bad);
        check(5, &[("unsigned", 2)], false, "refusing", Level::Warn);
        check(5, &[], true, "no route", Level::Calm);
        check(0, &[], false, "silent", Level::Calm);
        check(5, &[], false, "healthy", Level::Good);
    }
}
