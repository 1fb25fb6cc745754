//! Which rows of a batch go into one statement, and in which order.

use std::collections::{HashMap, HashSet};

use crate::store::{claim::Settlement, record::NewEvent};

/// Which of these rows to insert: the first of each key, ordered by key, so that batches that run side by side meet
/// each other's keys in one order and cannot deadlock.
pub(super) fn firsts(batch: &[NewEvent], rows: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut seen = HashSet::with_capacity(batch.len());
    let mut firsts: Vec<usize> = rows
        .into_iter()
        .filter(|&idx| batch[idx].key.is_none_or(|key| seen.insert(key)))
        .collect();
    firsts.sort_by_key(|&idx| batch[idx].key);
    firsts
}

/// Settlements in rounds that name each delivery once: one statement changes one row only once.
pub(super) fn rounds(batch: &[Settlement]) -> Vec<Vec<usize>> {
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    let mut n_seen = HashMap::new();
    for (idx, it) in batch.iter().enumerate() {
        let round = n_seen.entry(it.delivery_id).or_insert(0_usize);
        if rounds.len() == *round {
            rounds.push(Vec::new());
        }
        rounds[*round].push(idx);
        *round += 1;
    }
    for round in &mut rounds {
        // One order for all, as with keys.
        round.sort_by_key(|&idx| batch[idx].delivery_id);
    }
    rounds
}
