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
    let run = |store| Run {
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
    let (sqlite, postgres) = (run(Engine::Sqlite), run(Engine::Postgres));
    let (on_sqlite, on_postgres) = tokio::join!(play(&sqlite, scene, &stop), play(&postgres, scene, &stop));
    let mut is_fine = crate::campaign::report(&sqlite, on_sqlite);
    is_fine &= crate::campaign::report(&postgres, on_postgres);
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
