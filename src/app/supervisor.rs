//! Owns the critical tasks. One that ends by itself ends the process: a gatepost that half works is worse than one that
//! is restarted.

use std::{collections::HashMap, future::Future};

use tokio::task::{Id, JoinSet};

/// The critical tasks, by name.
#[derive(Debug, Default)]
pub struct Tasks {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

/// A critical task that ended though nobody asked.
#[derive(Debug)]
pub struct Ended {
    pub name: &'static str,
    pub error: anyhow::Error,
}

impl Tasks {
    pub fn start(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Waits until some task ends. Never returns while there is none.
    pub async fn ended(&mut self) -> Ended {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => Ended {
                name: self.name(id),
                error: anyhow::anyhow!("it returned"),
            },
            Some(Err(error)) => Ended {
                name: self.name(error.id()),
                error: error.into(),
            },
            None => std::future::pending().await,
        }
    }

    /// Waits until every task has ended.
    pub async fn join(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                let name = self.name(error.id());
                tracing::error!("task `{name}` panicked while stopping: {error}");
            }
        }
    }

    fn name(&self, id: Id) -> &'static str {
        self.names.get(&id).copied().unwrap_or("unknown")
    }
}
