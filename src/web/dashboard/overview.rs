//! `/`: is anything wrong, and what.

use askama::Template;
use axum::extract::State;

use crate::{
    base::clock::Timestamp,
    store::query::{Audit, Series},
    web::{
        api::numbers::Counted,
        auth::Caller,
        dashboard::{
            frame::{Answer, Frame, Page, Section},
            health::{self, DestinationHealth, Level, SourceHealth, Trouble},
            text,
        },
        state::AdminState,
    },
};

/// Minutes that a rate is of.
const LATELY: usize = 5;

#[derive(Debug, Template)]
#[template(path = "overview.html")]
pub(super) struct OverviewPage {
    frame: Frame,
    verdict: Level,
    headline: String,
    troubles: Vec<Trouble>,
    n_events: u64,
    rate_in: String,
    n_delivered: u64,
    rate_out: String,
    n_refused: u64,
    n_dead: u64,
    n_issues: u64,
    /// Since when the oldest open delivery is open.
    oldest_open: String,
    /// How long the longest wait of what is due has been.
    oldest_due: String,
    /// Of acknowledgements, the median and the 99th percentile.
    acks: Option<(String, String)>,
    sources: Vec<SourceHealth>,
    destinations: Vec<DestinationHealth>,
    n_open: u64,
    audit: Option<Audit>,
}

pub(super) async fn show(State(state): State<AdminState>, caller: Caller) -> Answer<OverviewPage> {
    let counted = state.0.numbers.recent().await?;
    let snapshot = state.0.registry.current();
    let sources = health::sources(&snapshot, &counted);
    let destinations = health::destinations(&state.0, &snapshot, &counted);
    let troubles = health::troubles(&counted, &sources, &destinations);
    let (events, delivered) = (all_events(&counted), all_delivered(&counted));
    let acks = state.0.gauges.recent_acks();
    let verdict = troubles.first().map_or(Level::Good, |it| it.level);
    Ok(Page(OverviewPage {
        frame: Frame::new(caller, Section::Overview, "Overview").fresh_every(5),
        headline: headline(verdict, troubles.len() as u64),
        verdict,
        troubles,
        n_events: events.total(),
        rate_in: text::rate(events.newest(LATELY), LATELY as u64),
        n_delivered: delivered.total(),
        rate_out: text::rate(delivered.newest(LATELY), LATELY as u64),
        n_refused: sources.iter().map(|it| it.n_refused).sum(),
        n_dead: destinations.iter().map(|it| it.n_dead).sum(),
        n_issues: state.0.store.live_issues().await?.len() as u64,
        oldest_open: age(&counted, counted.stats.oldest_open.values().min()),
        oldest_due: age(&counted, counted.stats.oldest_due.values().min()),
        acks: acks.map(|it| (text::quick(it.p50), text::quick(it.p99))),
        sources,
        destinations,
        n_open: n_open(&counted),
        audit: counted.audit.clone(),
    }))
}

fn all_events(counted: &Counted) -> Series {
    counted.stats.recent_events.values().sum()
}

fn all_delivered(counted: &Counted) -> Series {
    counted
        .stats
        .recent_deliveries
        .values()
        .map(|it| &it.delivered)
        .sum()
}

fn n_open(counted: &Counted) -> u64 {
    let deliveries = counted.stats.deliveries.iter();
    let open = deliveries.filter(|((_, status), _)| status.is_open());
    open.map(|(_, n)| n).sum()
}

fn age(counted: &Counted, since: Option<&Timestamp>) -> String {
    since.map_or_else(|| "none".to_owned(), |it| health::span(counted.at.since(*it)))
}

fn headline(verdict: Level, n_troubles: u64) -> String {
    let things = text::count(n_troubles, "thing", "things");
    let verb = if n_troubles == 1 { "is" } else { "are" };
    match verdict {
        Level::Bad => format!("{things} {verb} wrong or to be looked at."),
        _ => format!("{things} {verb} to be looked at."),
    }
}
