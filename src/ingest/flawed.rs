//! Wrong ways to deduplicate, for trial builds: see `base::trial`.

use std::{
    collections::HashSet,
    sync::{LazyLock, Mutex, PoisonError},
};

use crate::{
    base::trial::{self, Flaw},
    event::{body_hash, deduplication_key},
    provider::Call,
    source::{Request, Source},
    store::{Store, query::EventQuery, record::NewEvent},
};

static SEEN: LazyLock<Mutex<HashSet<[u8; 32]>>> = LazyLock::new(Mutex::default);

/// Whether the flaw `SeenBeforeVerified` takes this request for a repeat of one that may have been forged.
pub(super) fn is_seen_before_verified(source: &Source, request: &Request) -> bool {
    if !trial::has(Flaw::SeenBeforeVerified) {
        return false;
    }
    let names = source.provider().names(&Call {
        method: request.method.as_str(),
        url: None,
        target: &request.target,
        headers: &request.headers,
        body: &request.body,
    });
    let key = deduplication_key(
        source.name(),
        names.external_id.as_deref(),
        body_hash(&request.body),
    );
    !SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(key.0)
}

/// Whether the flaw `CheckThenInsert` finds the event in the store. If not, it is inserted without a unique key.
pub(super) async fn is_found_by_check(store: &Store, new: &mut NewEvent) -> bool {
    if !trial::has(Flaw::CheckThenInsert) {
        return false;
    }
    new.key = None;
    let query = EventQuery {
        source: Some(new.event.source.to_string()),
        q: new.event.external_id.clone(),
        limit: 1,
        ..EventQuery::default()
    };
    store.events(&query).await.is_ok_and(|it| !it.rows.is_empty())
}
