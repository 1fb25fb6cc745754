//! What a trial build does at its points. `GATEPOST_TRIAL_POINT=K7:abort@37` ends the process at the 37th pass of K7;
//! `GATEPOST_TRIAL_FLAW=acknowledge-before-commit` builds that defect in.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::base::trial::{Flaw, Point};

static TRIAL: OnceLock<Trial> = OnceLock::new();

#[derive(Debug)]
struct Trial {
    charge: Option<Charge>,
    flaw: Option<Flaw>,
}

#[derive(Debug)]
struct Charge {
    point: u64,
    action: Action,
    /// The pass at which it goes off, the first one being 1.
    at_pass: u64,
    n_passes: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
enum Action {
    /// Ends the process at once, as SIGKILL would.
    Abort,
    /// Stops the process until somebody sends SIGCONT.
    Stop,
    /// Holds the thread for five seconds.
    Block,
    Panic,
}

/// Takes its orders from these variables. Later calls change nothing.
///
/// # Panics
///
/// Where the orders cannot be read: a trial that tests nothing must not look like one that passed.
pub fn arm(environment: &BTreeMap<String, String>) {
    let _ = TRIAL.set(Trial {
        charge: environment
            .get("GATEPOST_TRIAL_POINT")
            .map(|it| charge(it).expect("GATEPOST_TRIAL_POINT is like `K7:abort@37`")),
        flaw: environment
            .get("GATEPOST_TRIAL_FLAW")
            .map(|it| flaw(it).expect("GATEPOST_TRIAL_FLAW names a flaw")),
    });
}

fn charge(text: &str) -> Option<Charge> {
    let (point, rest) = text.strip_prefix('K')?.split_once(':')?;
    let (action, at_pass) = rest.split_once('@')?;
    let action = match action {
        "abort" => Action::Abort,
        "stop" => Action::Stop,
        "block" => Action::Block,
        "panic" => Action::Panic,
        _ => return None,
    };
    Some(Charge {
        point: point.parse().ok()?,
        action,
        at_pass: at_pass.parse().ok()?,
        n_passes: AtomicU64::new(0),
    })
}

fn flaw(name: &str) -> Option<Flaw> {
    Flaw::ALL.into_iter().find(|it| it.name() == name)
}

/// Counts a pass; what to do if this is the one.
fn due(point: Point) -> Option<Action> {
    let charge = TRIAL.get()?.charge.as_ref()?;
    if charge.point != point as u64 {
        return None;
    }
    let n_passes = charge.n_passes.fetch_add(1, Ordering::Relaxed) + 1;
    (n_passes == charge.at_pass).then_some(charge.action)
}

fn act(action: Action) {
    match action {
        Action::Abort => std::process::abort(),
        Action::Stop => {
            let id = std::process::id().to_string();
            let _ = Command::new("kill").args(["-STOP", &id]).status();
        }
        Action::Block => std::thread::sleep(Duration::from_secs(5)),
        #[expect(clippy::panic, reason = "this is what was asked for")]
        Action::Panic => panic!("asked for by GATEPOST_TRIAL_POINT"),
    }
}

/// Dies here if the campaign asked for it.
pub fn point(point: Point) {
    if let Some(action) = due(point) {
        act(action);
    }
}

/// Somewhere within the time that one statement or request takes here.
fn moment() -> Duration {
    Duration::from_micros(rand::random_range(0..1500))
}

/// Dies while the future is under way, if the campaign asked for it: after a moment, so that what it sends is sent.
pub fn during<F: Future>(point: Point, future: F) -> impl Future<Output = F::Output> {
    let mut future = Box::pin(future);
    async move {
        let Some(action) = due(point) else {
            return future.await;
        };
        let early = tokio::time::timeout(moment(), &mut future).await;
        act(action);
        match early {
            Ok(output) => output,
            Err(_elapsed) => future.await,
        }
    }
}

/// Dies a moment from now, while others go on, if the campaign asked for it.
pub fn shortly_after(point: Point) {
    if let Some(action) = due(point) {
        std::thread::spawn(move || {
            std::thread::sleep(moment());
            act(action);
        });
    }
}

/// Whether this build was told to be wrong in this way.
pub fn has(flaw: Flaw) -> bool {
    TRIAL.get().is_some_and(|it| it.flaw == Some(flaw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_right_or_not_at_all() {
        let read = charge("K7:abort@37").unwrap();
        assert_eq!((read.point, read.at_pass), (7, 37));
        for wrong in [
            "",
            "7:abort@1",
            "K7:abort",
            "K7:explode@1",
            "Kx:abort@1",
            "K7:abort@",
        ] {
            assert!(charge(wrong).is_none(), "{wrong}");
        }
        for it in Flaw::ALL {
            assert_eq!(flaw(it.name()), Some(it));
        }
        assert_eq!(flaw("acknowledge_before_commit"), None);
    }
}
