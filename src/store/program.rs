//! What routes make of events, and since when: kept so that a replay can do as it was done when an event came in.

use std::sync::Arc;

use crate::{
    base::{clock::Timestamp, ids::ProgramId},
    store::{Engine, Store, detached, error::StoreError, run},
};

/// A transform as a config had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Of its file, or `transform`: what errors name.
    pub name: String,
    pub code: String,
}

/// What a route does from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteProgram {
    pub route: Arc<str>,
    /// `None`: it makes nothing of its events.
    pub program: Option<Program>,
}

impl Store {
    /// Remembers what routes do from now on. Of one that did the same before nothing is written.
    pub async fn keep_programs(&self, routes: Vec<RouteProgram>, now: Timestamp) -> Result<(), StoreError> {
        run!(self, keep_programs(routes, now))
    }

    /// What the route did then. `None`: that is not known.
    pub async fn program_at(&self, route: &str, at: Timestamp) -> Result<Option<ProgramId>, StoreError> {
        let route = route.to_owned();
        run!(self, program_at(route, at))
    }

    /// `None`: the route made nothing of its events. `NotFound` where it is kept no more.
    pub async fn program(&self, id: ProgramId) -> Result<Option<Program>, StoreError> {
        run!(self, program(id))
    }

    /// Forgets at most `limit` of those that were over by then, but for those that some delivery is to run.
    pub async fn prune_programs(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        run!(self, prune_programs(before, limit))
    }
}
