//! A text in bodies: which events hold it, as far as the caller is shown their bodies.
//!
//! What a source's `redact` hides must not be found out by asking for it. Of such a source the store's own match says nothing: each of
//! its bodies is looked into as it would be shown. So neither what the answer says, nor where it stops, nor the work that it takes
//! depends on what is hidden.

use std::sync::Arc;

use crate::{
    registry::Snapshot,
    store::{
        error::StoreError,
        query::{EventQuery, EventSummary, MAX_LIMIT},
        search::{Bounds, Found, Wanted},
    },
    web::{auth::Caller, error::Problem, state::Admin, view::View},
};

/// How far one search goes.
const BOUNDS: Bounds = Bounds {
    n_events: 5_000,
    n_bytes: 64 << 20,
};
/// How far one page goes of a search that has to read bodies.
const BOUNDS_OF_SHOWN: Bounds = Bounds {
    n_bytes: 16 << 20,
    ..BOUNDS
};
/// Such pages, of `MAX_LIMIT` events each.
const MAX_PAGES: usize = 4;

/// Of the events of the query, those whose bodies hold the text, the newest first.
pub(crate) async fn search(
    state: &Admin,
    caller: &Caller,
    query: &EventQuery,
    text: &str,
) -> Result<Found, Problem> {
    // Whoever is kept from bodies is told nothing of what is in them.
    View::of_role(state, caller).bytes(b"")?;
    let wanted = Wanted {
        text: text.as_bytes().to_vec(),
        in_any_case: hiding(&state.registry.current(), query.source.as_deref()),
    };
    if wanted.in_any_case.is_empty() {
        return Ok(state.store.search_events(query, &wanted, BOUNDS).await?);
    }
    let (mut rows, mut n_pages) = (Vec::new(), 0);
    let mut page = EventQuery {
        limit: MAX_LIMIT,
        ..query.clone()
    };
    loop {
        let found = state.store.search_events(&page, &wanted, BOUNDS_OF_SHOWN).await?;
        n_pages += 1;
        let last = found.rows.last().map(|it| it.id);
        for row in found.rows {
            if !is_shown(state, caller, &row, &wanted).await? {
                continue;
            }
            let (id, at) = (row.id, row.received_at);
            rows.push(row);
            if rows.len() >= query.limit as usize && (found.next.is_some() || last != Some(id)) {
                return Ok(Found {
                    rows,
                    next: Some(id),
                    n_looked_at: None,
                    back_to: Some(at),
                });
            }
        }
        // The page was full before the bounds were reached.
        let is_full = found.n_looked_at.is_none();
        if !is_full || n_pages == MAX_PAGES {
            return Ok(Found {
                rows,
                next: found.next,
                n_looked_at: found.n_looked_at.filter(|_| n_pages == 1),
                back_to: found.back_to,
            });
        }
        page.cursor = found.next;
    }
}

/// Sources of which a part of each body is hidden.
fn hiding(snapshot: &Snapshot, source: Option<&str>) -> Vec<Arc<str>> {
    let all = snapshot.sources.iter();
    let asked = all.filter(|(name, _)| source.is_none_or(|it| it == &***name));
    let hiding = asked.filter(|(_, it)| it.settings().redact.hides_values());
    hiding.map(|(name, _)| Arc::clone(name)).collect()
}

/// Whether the text is in what the caller is shown of the body.
async fn is_shown(
    state: &Admin,
    caller: &Caller,
    row: &EventSummary,
    wanted: &Wanted,
) -> Result<bool, StoreError> {
    let view = View::new(state, caller, &row.source);
    // By today's rules too: they may have changed meanwhile.
    if !wanted.in_any_case.contains(&row.source) && !view.hides_values() {
        return Ok(true);
    }
    match state.store.event(row.id).await {
        Ok(event) => Ok(view
            .bytes(&event.body)
            .is_ok_and(|shown| holds(&shown, &wanted.text))),
        // One of them must not keep the others in.
        Err(error @ StoreError::Damaged { .. }) => {
            tracing::warn!(event.id = %row.id, "a search leaves out event {}: {error}", row.id);
            Ok(false)
        }
        // Retention took it just now.
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn holds(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|it| it == text)
}
