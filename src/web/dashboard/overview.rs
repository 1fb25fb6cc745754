//! `/`: is anything wrong, and what.

use askama::Template;
use axum::extract::State;

use crate::{
    store::query::Ledger,
    web::{
        auth::Caller,
        dashboard::{
            frame::{Answer, Frame, Page, Section},
            health::{self, DestinationHealth, Level, SourceHealth, Trouble},
            text,
        },
        state::AdminState,
    },
};

#[derive(Debug, Template)]
#[template(path = "overview.html")]
pub(super) struct OverviewPage {
    frame: Frame,
    verdict: Level,
    headline: String,
    troubles: Vec<Trouble>,
    n_events: u64,
    n_refused: u64,
    n_dead: u64,
    oldest: String,
    n_issues: u64,
    sources: Vec<SourceHealth>,
    destinations: Vec<DestinationHealth>,
    ledger: Ledger,
    counted_at: String,
}

pub(super) async fn show(State(state): State<AdminState>, caller: Caller) -> Answer<OverviewPage> {
    let counted = state.0.numbers.recent().await?;
    let snapshot = state.0.registry.current();
    let sources = health::sources(&snapshot, &counted);
    let destinations = health::destinations(&state.0, &snapshot, &counted);
    let troubles = health::troubles(&counted, &sources, &destinations);
    let verdict = troubles.first().map_or(Level::Good, |it| it.level);
    Ok(Page(OverviewPage {
        frame: Frame::new(caller, Section::Overview, "Overview").fresh_every(5),
        headline: headline(verdict, troubles.len() as u64),
        verdict,
        troubles,
        n_events: counted.stats.recent_events.values().sum(),
        n_refused: counted.stats.recent_rejected.values().sum(),
        n_dead: destinations.iter().map(|it| it.n_dead).sum(),
        oldest: health::oldest(&counted).map_or_else(|| "none".to_owned(), health::span),
        n_issues: state.0.store.live_issues().await?.len() as u64,
        sources,
        destinations,
        ledger: counted.ledger.clone(),
        counted_at: counted.at.to_string(),
    }))
}

fn headline(verdict: Level, n_troubles: u64) -> String {
    let things = text::count(n_troubles, "thing");
    let verb = if n_troubles == 1 { "is" } else { "are" };
    match verdict {
        Level::Bad => format!("{things} {verb} wrong or to be looked at."),
        _ => format!("{things} {verb} to be looked at."),
    }
}
