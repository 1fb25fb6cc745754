//! Programs that are no longer in the config: what a replay by the config of then runs.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    base::ids::ProgramId,
    destination::{Fate, SendError},
    route::transform::{Settings, Transform},
    store::{Store, error::StoreError},
};

/// Each may have a thread of its own while it is kept here.
const MAX_KEPT: usize = 8;

/// `None`: the route made nothing of its events then.
pub type Original = Arc<Option<Transform>>;

/// Those that were needed last. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Originals(Arc<Mutex<Vec<(ProgramId, Original)>>>);

impl Originals {
    /// From the store, unless it is here. What cannot be had is an attempt that failed.
    pub async fn find(&self, store: &Store, id: ProgramId) -> Result<Original, SendError> {
        if let Some(original) = self.kept(id) {
            return Ok(original);
        }
        let program = store.program(id).await.map_err(|error| match error {
            StoreError::NotFound { .. } => failed("what its route did then is kept no more"),
            error => failed(&format!("what its route did then cannot be had: {error}")),
        })?;
        let settings = program.map(|it| Settings {
            name: it.name,
            program: it.code,
        });
        let transform = settings.as_ref().map(Transform::new).transpose();
        let original = Arc::new(transform.map_err(|fault| failed(&fault.problem))?);
        let mut kept = self.lock();
        if kept.len() >= MAX_KEPT {
            kept.remove(0);
        }
        kept.push((id, Arc::clone(&original)));
        Ok(original)
    }

    fn kept(&self, id: ProgramId) -> Option<Original> {
        let kept = self.lock();
        let found = kept.iter().find(|(it, _)| *it == id);
        found.map(|(_, original)| Arc::clone(original))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(ProgramId, Original)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(problem: &str) -> SendError {
    SendError::new("transform", problem, Fate::Retriable)
}
