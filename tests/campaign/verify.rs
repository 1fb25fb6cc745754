//! The books of both ends against the store.

use std::collections::{BTreeMap, HashMap, HashSet};

use gatepost::base::ids::EventId;
use serde_json::Value;

use crate::{
    book::Book,
    letter::{Key, is_doomed},
    round::{Life, Round},
    sink::Hit,
    site::{IN_HAND, MAX_ATTEMPTS},
    store::{Recorded, Standing, Stored},
    summary::Invariant,
};

/// Of a kind of failure, so many are told one by one.
const MAX_TOLD: usize = 3;

/// After `settle_down`, which gave this ledger.
pub(crate) async fn verify(round: &mut Round, ledger: &Value) {
    let n_journal = round.close_journal();
    let stored = round.site.place.events().await;
    let deliveries = round.site.place.deliveries().await;
    let recorded = round.site.place.attempts().await;
    let integrity = round.site.place.integrity().await;
    let hits = round.site.sink.hits();
    let book = round.sender.book(std::mem::take);
    if integrity != "ok" {
        round.fail(
            Invariant::NothingLost,
            format!("SQLite says of its file: {integrity}"),
        );
    }
    if n_journal != book.n_acknowledged {
        let n = book.n_acknowledged;
        round.fail(
            Invariant::NothingLost,
            format!("the journal holds {n_journal} of {n} acknowledgements"),
        );
    }
    answers(round, &book);
    events(round, &book, &stored);
    standing(round, &book, &deliveries, &hits);
    hits_are_ours(round, &book, &hits);
    duplicates(round, &hits, &recorded);
    ledger_agrees(round, &book, ledger);
    count(round, &book);
}

fn answers(round: &mut Round, book: &Book) {
    let wrong = book.wrong.iter().map(|it| {
        let is_forgery = it.contains("answered 200, hoped for Rejected");
        let invariant = if is_forgery {
            Invariant::NothingForged
        } else {
            Invariant::RightAnswer
        };
        (invariant, it.clone())
    });
    tell(round, wrong.collect());
}

/// I1, I2, I5: what is stored.
fn events(round: &mut Round, book: &Book, stored: &[Stored]) {
    let mut faults = Vec::new();
    let mut by_key: HashMap<&Key, &Stored> = HashMap::new();
    for it in stored {
        if by_key.insert(&it.key, it).is_some() {
            round.summary.n_stored_twice += 1;
            faults.push((Invariant::OneEvent, format!("stored twice: {:?}", it.key)));
        }
        let entry = book.events.get(&it.key);
        let is_genuine = entry.is_some_and(|entry| entry.hash == it.hash);
        if it.verified != "body" || book.forged.contains(&it.hash) {
            round.summary.n_unverified_as_verified += 1;
            let verified = &it.verified;
            faults.push((
                Invariant::NothingForged,
                format!("a forgery is stored, verified `{verified}`: {:?}", it.key),
            ));
        } else if !is_genuine && book.conflicting.contains(&it.hash) {
            faults.push((
                Invariant::NothingLost,
                format!("a conflict was written over it: {:?}", it.key),
            ));
        }
    }
    for (key, entry) in &book.events {
        let Some(event) = &entry.event else { continue };
        let found = by_key.get(key);
        let what = match found {
            None => "was acknowledged and is not stored",
            Some(it) if it.hash != entry.hash => "was acknowledged and is stored with other bytes",
            Some(it) if event_id(&it.id) != *event => {
                "is stored under another id than it was acknowledged with"
            }
            Some(_) => continue,
        };
        round.summary.n_lost += 1;
        faults.push((Invariant::NothingLost, format!("{what}: {key:?}, {event}")));
    }
    tell(round, faults);
}

fn event_id(digits: &str) -> String {
    let uuid = uuid::Uuid::parse_str(digits).unwrap_or_default();
    EventId::from_uuid(uuid).to_string()
}

/// I3: what became of it.
fn standing(round: &mut Round, book: &Book, deliveries: &[Standing], hits: &[Hit]) {
    let mut faults = Vec::new();
    let mut taken = HashSet::new();
    for hit in hits.iter().filter(|it| it.answered == Some(200)) {
        taken.insert(&hit.key);
    }
    let routed: HashSet<&Key> = deliveries.iter().map(|it| &it.key).collect();
    for key in book.events.keys().filter(|it| !routed.contains(it)) {
        faults.push((Invariant::Delivered, format!("has no delivery: {key:?}")));
    }
    for it in deliveries {
        let (key, n_attempts) = (&it.key, it.n_attempts);
        let what = match it.status.as_str() {
            "delivered" if !taken.contains(key) => "stands as delivered, and the handler never took it",
            "delivered" => {
                round.summary.n_delivered += 1;
                continue;
            }
            "dead" if !is_doomed(&key.1) => "was given up",
            "dead" if u64::try_from(n_attempts).unwrap() < MAX_ATTEMPTS => "was given up early",
            "dead" => {
                round.summary.n_dead += 1;
                continue;
            }
            _ => "is still open",
        };
        let status = &it.status;
        faults.push((
            Invariant::Delivered,
            format!("{what}: {key:?}, {status} after {n_attempts} attempts"),
        ));
    }
    tell(round, faults);
}

/// I2, I3: whatever came to the handler is what was sent, byte for byte, on each attempt.
fn hits_are_ours(round: &mut Round, book: &Book, hits: &[Hit]) {
    let mut faults = Vec::new();
    for hit in hits {
        let (key, attempt) = (&hit.key, hit.attempt);
        match book.events.get(key) {
            Some(entry) if entry.hash == hit.hash => {
                if entry.event.as_ref().is_some_and(|it| *it != hit.event) {
                    let event = &hit.event;
                    faults.push((Invariant::OneEvent, format!("delivered as {event} too: {key:?}")));
                }
            }
            _ if book.forged.contains(&hit.hash) => {
                faults.push((
                    Invariant::NothingForged,
                    format!("a forgery was delivered: {key:?}"),
                ));
            }
            Some(_) => faults.push((
                Invariant::Delivered,
                format!("delivered with other bytes than were sent: {key:?}, attempt {attempt}"),
            )),
            None => faults.push((
                Invariant::NothingForged,
                format!("delivered, and nobody sent it: {key:?}"),
            )),
        }
    }
    let strange = round.site.sink.strange();
    faults.extend(
        strange
            .into_iter()
            .map(|it| (Invariant::NothingForged, format!("a strange delivery: {it}"))),
    );
    tell(round, faults);
}

/// I4. Each attempt that ended is recorded, with a number of its own. What came to the handler and is not recorded died with its
/// process, and comes again: at most what that process had in hand, and nothing of a process that stopped in order.
fn duplicates(round: &mut Round, hits: &[Hit], recorded: &HashMap<(Key, u64), Recorded>) {
    let is_clean = |process| round.lives.get(&process) == Some(&Life::Clean);
    let mut faults = Vec::new();
    let mut unsettled: BTreeMap<u64, u64> = BTreeMap::new();
    let mut by_attempt: HashMap<(Key, u64), Vec<&Hit>> = HashMap::new();
    for hit in hits {
        by_attempt
            .entry((hit.key.clone(), hit.attempt))
            .or_default()
            .push(hit);
    }
    for (attempt, mut hits) in by_attempt {
        let n_recorded = recorded.get(&attempt).map_or(0, |it| it.n);
        let n_missing = (hits.len() as u64).saturating_sub(n_recorded);
        // Those that died first.
        hits.sort_by_key(|it| (is_clean(it.process), it.at));
        for hit in hits.iter().take(usize::try_from(n_missing).unwrap()) {
            *unsettled.entry(hit.process).or_default() += 1;
        }
    }
    for (process, n) in &unsettled {
        if is_clean(*process) {
            let what =
                format!("process {process} stopped in order, and {n} of its attempts are not recorded");
            faults.push((Invariant::FewDuplicates, what));
        } else if *n > IN_HAND as u64 {
            let what =
                format!("process {process} had {IN_HAND} places, and {n} of its attempts are not recorded");
            faults.push((Invariant::FewDuplicates, what));
        }
    }
    let n_twice = again(round, hits, recorded, &mut faults);
    let n_faulted = round.lives.values().filter(|it| **it == Life::Faulted).count() as u64;
    let summary = &mut round.summary;
    summary.n_delivered_twice = n_twice;
    summary.n_unsettled = unsettled.values().sum();
    summary.max_unsettled = unsettled.values().copied().max().unwrap_or(0);
    summary.in_hand = IN_HAND as u64;
    summary.unsettled_bound = n_faulted * IN_HAND as u64;
    tell(round, faults);
}

/// How many deliveries were taken more than once. None may go on after a success that was recorded in time.
fn again(
    round: &Round,
    hits: &[Hit],
    recorded: &HashMap<(Key, u64), Recorded>,
    faults: &mut Vec<(Invariant, String)>,
) -> u64 {
    let is_prompt = |it: &Hit| {
        it.answered == Some(200)
            && round.lives.get(&it.process) == Some(&Life::Clean)
            && !round.late.contains(&it.process)
    };
    let mut by_event: BTreeMap<&str, Vec<&Hit>> = BTreeMap::new();
    for hit in hits {
        by_event.entry(&hit.event).or_default().push(hit);
    }
    let mut n_twice = 0;
    for (event, hits) in &by_event {
        n_twice += u64::from(hits.iter().filter(|it| it.answered == Some(200)).count() > 1);
        for hit in hits.iter().filter(|it| is_prompt(it)) {
            let attempt = hit.attempt;
            let n_prompt = hits
                .iter()
                .filter(|it| it.attempt == attempt && is_prompt(it))
                .count();
            // Fewer where gatepost did not wait for the answer: it had a reason to send it again.
            let recorded = recorded
                .get(&(hit.key.clone(), attempt))
                .copied()
                .unwrap_or_default();
            let is_recorded = recorded.n_taken >= n_prompt as u64;
            if is_recorded && hits.iter().any(|it| it.attempt > attempt) {
                let process = hit.process;
                let what = format!(
                    "{event} was sent again after attempt {attempt}, by process {process}, had been taken"
                );
                faults.push((Invariant::FewDuplicates, what));
            }
        }
    }
    n_twice
}

/// I9: it adds up in itself, and with our own count.
fn ledger_agrees(round: &mut Round, book: &Book, ledger: &Value) {
    let n = |name: &str| ledger[name].as_i64().unwrap_or(-1);
    let n_events = i64::try_from(book.events.len()).unwrap();
    let n_doomed = book.events.keys().filter(|(_, id)| is_doomed(id)).count();
    let expected = [
        ("stored", n_events + round.n_seeded),
        ("deliveries", n_events + round.n_seeded),
        ("dead", i64::try_from(n_doomed).unwrap()),
        ("open", 0),
        ("stuck", 0),
        ("cancelled", 0),
        ("skipped", 0),
    ];
    let mut faults = Vec::new();
    for (name, expected) in expected {
        if n(name) != expected {
            let found = n(name);
            faults.push((
                Invariant::LedgerBalances,
                format!("`{name}` is {found}, and by our books {expected}"),
            ));
        }
    }
    // What was answered is counted; what was counted may have lost its answer.
    let told = [("duplicates", book.n_duplicates), ("conflicts", book.n_conflicts)];
    for (name, told) in told {
        if n(name) < i64::try_from(told).unwrap() {
            let found = n(name);
            faults.push((
                Invariant::LedgerBalances,
                format!("`{name}` is {found}, and {told} were answered so"),
            ));
        }
    }
    round.summary.is_balanced = ledger["balanced"] == true;
    if !round.summary.is_balanced {
        faults.push((Invariant::LedgerBalances, format!("it does not add up: {ledger}")));
    }
    tell(round, faults);
}

fn count(round: &mut Round, book: &Book) {
    let summary = &mut round.summary;
    summary.n_events = book.events.len() as u64;
    summary.n_acknowledged = book.n_acknowledged;
    summary.n_duplicates = book.n_duplicates;
    summary.n_conflicts = book.n_conflicts;
    summary.n_rejected = book.n_rejected;
    summary.n_forged = book.n_forged;
    summary.n_own_faults = book.n_own_faults;
    summary.n_broken = book.n_broken;
    summary.n_refused = book.n_refused;
}

/// The first few of each kind, and how many there were.
fn tell(round: &mut Round, faults: Vec<(Invariant, String)>) {
    let n_faults = faults.len();
    for (invariant, what) in faults.into_iter().take(MAX_TOLD) {
        round.fail(invariant, what);
    }
    if n_faults > MAX_TOLD {
        let invariant = round.failures.last().unwrap().invariant;
        round.fail(invariant, format!("and {} more of these", n_faults - MAX_TOLD));
    }
}
