//! A thread for each program: what one does to its thread, no other route and no runtime feels.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use tokio::sync::{mpsc, oneshot};

use crate::route::transform::{Input, Output, Settings, TransformError, engine};

/// Runs that may wait in front of the thread; whoever comes later waits outside.
const QUEUE: usize = 64;
/// The engine's own limit, with room for what Rust and C lay on top of it.
const STACK: usize = 2 << 20;

#[derive(Debug)]
struct Job {
    input: Input,
    answer: oneshot::Sender<Result<Output, TransformError>>,
}

/// Starts its thread at the first run, and again after one that died. The thread ends when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Worker(Mutex<Option<mpsc::Sender<Job>>>);

impl Worker {
    pub(super) async fn run(&self, program: &Arc<Settings>, input: Input) -> Result<Output, TransformError> {
        let (answer, answered) = oneshot::channel();
        let died = || TransformError::new("its thread died");
        let jobs = self.jobs(program)?;
        jobs.send(Job { input, answer }).await.map_err(|_closed| died())?;
        answered.await.map_err(|_dropped| died())?
    }

    fn jobs(&self, program: &Arc<Settings>) -> Result<mpsc::Sender<Job>, TransformError> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = place.as_ref().filter(|it| !it.is_closed()) {
            return Ok(jobs.clone());
        }
        let (jobs, mut waiting) = mpsc::channel::<Job>(QUEUE);
        let program = Arc::clone(program);
        let work = move || {
            while let Some(Job { input, answer }) = waiting.blocking_recv() {
                // Who asked may be gone; then nobody needs to know.
                if !answer.is_closed() {
                    let _ = answer.send(engine::run(&program.name, &program.program, &input));
                }
            }
        };
        thread::Builder::new()
            .name("transform".to_owned())
            .stack_size(STACK)
            .spawn(work)
            .map_err(|error| TransformError::new(&format!("cannot start its thread: {error}")))?;
        *place = Some(jobs.clone());
        Ok(jobs)
    }
}
