//! What a change must pass: every point and every flaw, in a few minutes.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::{
    campaign::{Scene, play},
    flaws,
    options::{Engine, Flaws, Run, Short},
    plan::Plan,
};

pub(crate) async fn main(options: Short, stop: CancellationToken) -> bool {
    let seed = options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let started = Instant::now();
    let mut is_fine = true;
    for store in [Engine::Sqlite, Engine::Postgres] {
        let run = Run {
            cycles: options.cycles,
            store,
            replicas: 1,
            seed: Some(seed),
            from: 0,
            point: None,
            flaw: None,
            rate: 200,
            out: options.out.clone(),
        };
        let scene = Scene {
            plan: Plan::EveryPoint,
            patience: Duration::from_mins(1),
            is_quiet: false,
        };
        is_fine &= crate::campaign::report(&run, play(&run, scene, &stop).await);
        println!();
    }
    let flaws = Flaws {
        seed: Some(seed),
        only: None,
        out: options.out,
    };
    is_fine &= flaws::main(flaws, stop).await;
    println!(
        "short campaign: {:.0} s, seed {seed}",
        started.elapsed().as_secs_f64()
    );
    is_fine
}
