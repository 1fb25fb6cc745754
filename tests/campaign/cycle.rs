//! One cycle: a start, a short life under load, and an end.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::{
    book::{Hope, Tried},
    letter::{Letter, Signature, Source},
    pass,
    plan::{Cycle, End},
    process::{Ended, Start},
    round::{Round, STOP},
    summary::Invariant,
    until,
};

/// Until the work of a dead replica is done by others; what is promised is 15 s.
const TAKEOVER: Duration = Duration::from_secs(30);
/// Longer than an impatient process waits for a commit.
const LOCK: Duration = Duration::from_millis(900);

/// Well before a process that is not impatient gives a commit up.
const SLOW: Duration = Duration::from_secs(3);

pub(crate) async fn play(round: &mut Round, cycle: &Cycle) {
    round.summary.cycles += 1;
    let slot = cycle.slot;
    // The others of several replicas run all the time.
    for other in (0..round.running.len()).filter(|it| *it != slot) {
        if round.running[other].is_none() {
            round.start_in(other, &Start::default()).await;
        }
    }
    let needs_own_start = matches!(cycle.end, End::Point { .. } | End::Early { .. } | End::Locked);
    if needs_own_start && round.running[slot].is_some() {
        round.kill(slot);
    }
    if cycle.prune && round.site.place.is_migrated().await {
        round.site.place.seed_old().await;
        round.n_seeded += crate::store::N_OLD;
    }
    if let End::Early { after } = cycle.end {
        return early(round, cycle, after).await;
    }
    let start = Start {
        point: match cycle.end {
            End::Point { number, pass } => Some(format!("K{number}:abort@{pass}")),
            _ => None,
        },
        is_impatient: cycle.end == End::Locked,
    };
    let is_up = round.running[slot].is_some() || round.start_in(slot, &start).await.is_some();
    if is_up {
        live(round, cycle).await;
        end(round, cycle).await;
    } else {
        fired(round, cycle, Ended::Aborted);
    }
}

async fn early(round: &mut Round, cycle: &Cycle, after: Duration) {
    let mut process = round.spawn(cycle.slot, &Start::default());
    process.is_gone_within(after).await;
    process.kill();
    round.buried(process, false);
    round.note_end(cycle.end.name());
}

/// Under load, with whatever befalls it.
async fn live(round: &mut Round, cycle: &Cycle) {
    let running = round.running[cycle.slot].as_mut().unwrap();
    running.is_faulted |= cycle.store_fault.is_some() || cycle.sink_fault.is_some();
    if cycle.reload {
        round.site.configure(cycle.number + 1);
        running.process.signal("HUP");
        round.summary.n_reloads += 1;
    }
    let store_fault = async {
        if let (Some(fault), Some(proxy)) = (cycle.store_fault, round.site.store_proxies.get(cycle.slot)) {
            proxy.suffer(fault).await;
        }
    };
    let sink_fault = async {
        if let Some(fault) = cycle.sink_fault {
            round.site.sink_proxy.suffer(fault).await;
        }
    };
    tokio::join!(
        store_fault,
        sink_fault,
        running.process.is_gone_within(cycle.run_for)
    );
    round.summary.n_store_faults += u64::from(cycle.store_fault.is_some());
    round.summary.n_sink_faults += u64::from(cycle.sink_fault.is_some());
    if cycle.sink_fault.is_some() {
        // All replicas share the way to the handler.
        round
            .running
            .iter_mut()
            .flatten()
            .for_each(|it| it.is_faulted = true);
    }
}

async fn end(round: &mut Round, cycle: &Cycle) {
    let slot = cycle.slot;
    let mut killed_at = None;
    match cycle.end {
        End::Kill => killed_at = Some(round.kill(slot)),
        End::Terminate => round.terminate(slot).await,
        End::TerminateThenKill { after } => {
            let process = &round.running[slot].as_ref().unwrap().process;
            process.signal("TERM");
            process.is_gone_within(after).await;
            round.kill(slot);
        }
        End::Point { number, .. } => {
            let process = &round.running[slot].as_ref().unwrap().process;
            let wait = if number == 20 {
                process.signal("TERM");
                STOP
            } else {
                Duration::from_millis(250)
            };
            let is_gone = process.is_gone_within(wait).await;
            let mut running = round.running[slot].take().unwrap();
            if !is_gone {
                running.process.kill();
            }
            killed_at = Some(Instant::now());
            round.aim();
            let ended = round.buried(running.process, true);
            fired(round, cycle, ended);
        }
        End::Sleep { time } => sleep(round, slot, time).await,
        End::Locked => {
            let lock = round.site.place.lock().await;
            pass(LOCK).await;
            round.kill(slot);
            lock.release().await;
        }
        End::Poison => {
            poison(round, cycle).await;
            round.kill(slot);
        }
        End::Early { .. } => unreachable!("it has no life"),
    }
    if !matches!(cycle.end, End::Point { .. }) {
        round.note_end(cycle.end.name());
    }
    if let (true, Some(killed_at)) = (cycle.measures_takeover, killed_at) {
        takeover(round, killed_at).await;
    }
}

fn fired(round: &mut Round, cycle: &Cycle, ended: Ended) {
    let End::Point { number, .. } = cycle.end else {
        return;
    };
    match ended {
        Ended::Aborted => {
            *round.summary.points.entry(format!("K{number:02}")).or_default() += 1;
            round.note_end("point");
        }
        Ended::Killed => round.note_end("point not reached, kill"),
        Ended::Code(_) => round.note_end("point not reached, terminate"),
    }
}

/// Held attempts, SIGSTOP past the lease, and late results.
async fn sleep(round: &mut Round, slot: usize, time: Duration) {
    let has_others = round.running.len() > 1;
    let running = round.running[slot].as_mut().unwrap();
    running.is_faulted = true;
    let number = running.process.number;
    if has_others {
        round.site.sink.hold(number);
        pass(Duration::from_millis(300)).await;
    }
    let process = &round.running[slot].as_ref().unwrap().process;
    process.signal("STOP");
    round.aim_without(Some(slot));
    pass(time).await;
    round.site.sink.release();
    let process = &round.running[slot].as_ref().unwrap().process;
    process.signal("CONT");
    round.aim();
    pass(Duration::from_millis(700)).await;
    round.kill(slot);
}

/// Good rows and rows that the store refuses, all at once: the good ones must be taken, the others are our own fault.
async fn poison(round: &mut Round, cycle: &Cycle) {
    let target = round.running[cycle.slot].as_ref().unwrap().public;
    round.site.place.poison().await;
    let letters: Vec<_> = (0..60)
        .map(|n| {
            let kind = if n % 9 == 0 { "_poison" } else { "" };
            let id = format!("evt_{}_p{}_{n}{kind}", round.sender.prefix(), cycle.number);
            Letter::new(&mut round.random, Source::Stripe, &id, "genuine")
        })
        .collect();
    let sender = round.sender.clone();
    let posts = letters.iter().map(|letter| {
        sender.book(|it| it.expect(letter));
        let is_first = sender.book(|it| it.sending(letter));
        let post = sender.post(target, letter.request(Signature::Right));
        async move {
            let posted_at = Instant::now();
            let tried = post.await;
            (is_first, posted_at.elapsed(), tried)
        }
    });
    let answers = join_all(posts).await;
    round.site.place.cure().await;
    for (letter, (is_first, took, tried)) in letters.into_iter().zip(answers) {
        let is_poison = letter.id.ends_with("_poison");
        if let Tried::Answered(answer) = &tried {
            match (answer.status(), is_poison) {
                (200, true) => round.fail(
                    Invariant::RightAnswer,
                    "a row that cannot be stored was acknowledged",
                ),
                // Later it may be that the commit did not come in time, on a machine that is busy.
                (503, false) if took < SLOW => {
                    round.fail(Invariant::RightAnswer, "a good row paid for a poison row: 503");
                }
                _ => (),
            }
        }
        if !sender.note(&letter, Hope::Taken, is_first, &tried) {
            let random = &mut round.random;
            sender.insist_later(letter, random);
        }
    }
}

/// All that was in somebody's hands when one died.
async fn takeover(round: &mut Round, killed_at: Instant) {
    let in_hand = round.site.place.in_hand().await;
    let place = &round.site.place;
    let is_done = until(TAKEOVER, || async {
        let open = place.open().await;
        (!in_hand.iter().any(|it| open.contains(it))).then_some(())
    });
    match is_done.await {
        Some(()) if !in_hand.is_empty() => round.takeovers.push(killed_at.elapsed()),
        Some(()) => (),
        None => round.fail(Invariant::Recovers, "the others did not take over within 30 s"),
    }
}

impl Round {
    fn note_end(&mut self, name: &str) {
        *self.summary.ends.entry(name.to_owned()).or_default() += 1;
    }
}
