//! When the power goes.

use std::time::Duration;

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

#[derive(Debug)]
pub(crate) struct Plan {
    /// A process that dies like `Moment::Start` before this one, without a loss of power: what it wrote and did not sync
    /// is still to be seen, and still to be lost.
    pub(crate) dies_before: Option<String>,
    pub(crate) moment: Moment,
    /// Large bodies, which fill the log.
    pub(crate) is_heavy: bool,
}

#[derive(Debug)]
pub(crate) enum Moment {
    /// So long after the load began.
    After(Duration),
    /// Right before a call of this kind, under load: `write:gatepost.db@17`.
    Call(String),
    /// The same, from the first call of the process on.
    Start(String),
    /// In an orderly stop, or just behind it.
    Stop { after: Duration, then: Duration },
    /// So long after the log has grown past the point at which the writer copies it back itself, and is cut.
    Swollen { then: Duration },
}

impl Plan {
    /// `is_first`: of a store that does not exist yet, so that a start has more to do.
    /// `is_last`: nothing has to be done with a large file afterwards.
    pub(crate) fn draw(random: &mut StdRng, is_first: bool, is_last: bool) -> Self {
        let is_swollen = random.random_ratio(1, 10) && is_last;
        let is_heavy = random.random_ratio(1, 10) || is_swollen;
        let mut millis = |most| Duration::from_millis(random.random_range(0..most));
        let (after, then) = (millis(400), millis(150));
        let dies_before = random
            .random_ratio(1, if is_first { 2 } else { 8 })
            .then(|| start(random, is_first));
        let is_start = random.random_ratio(1, if is_first { 3 } else { 8 });
        let moment = match random.random_range(0..88) {
            _ if is_start => Moment::Start(start(random, is_first)),
            _ if is_swollen => Moment::Swollen { then: after },
            0..40 => Moment::After(after),
            40..48 => Moment::Stop { after, then },
            // The file itself is written in a checkpoint alone, once it is there.
            48..63 => Moment::Call(format!("write:gatepost.db@{}", random.random_range(1..=120))),
            63..66 => Moment::Call(format!("cut:any@{}", random.random_range(1..=4))),
            66..72 => Moment::Call(format!("sync:gatepost.db@{}", random.random_range(1..=6))),
            other => {
                let (call, most) = *[("write", 600), ("sync", 60)].choose(random).unwrap();
                let most = if other < 74 { 3 } else { most };
                Moment::Call(format!(
                    "{call}:gatepost.db-wal@{}",
                    random.random_range(1..=most)
                ))
            }
        };
        Self {
            dies_before,
            moment,
            is_heavy,
        }
    }
}

fn start(random: &mut StdRng, is_first: bool) -> String {
    let calls = if is_first {
        [("any:any", 120), ("any:gatepost.db-wal", 60), ("sync:any", 12)]
    } else {
        [("any:any", 25), ("any:gatepost.db-wal", 10), ("sync:any", 6)]
    };
    let (call, last) = *calls.choose(random).unwrap();
    format!("{call}@{}", random.random_range(1..=last))
}
