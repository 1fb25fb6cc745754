//! The current sources, routes and destinations: one snapshot, swapped whole on reload.
//!
//! Nothing here waits, and nothing here knows of files: `config` hands settings in and turns the faults' paths back into
//! lines.
//!
//! Imports: `base`, `event`, `source`, `route`, `destination`, `provider`.

mod snapshot;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;

use crate::{
    destination::{self, Way},
    event::Event,
    route::{self, Route, filter::subject::Subject},
    source::{self, Source},
};

/// What the operator declares.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub sources: Vec<source::Settings>,
    pub destinations: Vec<destination::Settings>,
    pub routes: Vec<route::Settings>,
}

/// A destination that is ready to send, with what the pool obeys.
#[derive(Debug)]
pub struct Outlet {
    pub name: Arc<str>,
    pub settings: destination::Settings,
    pub way: Way,
}

/// Everything as one config said it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub sources: BTreeMap<Arc<str>, Arc<Source>>,
    pub destinations: BTreeMap<Arc<str>, Arc<Outlet>>,
    pub routes: Vec<Arc<Route>>,
    /// By source name.
    pub routes_of: HashMap<Arc<str>, Vec<Arc<Route>>>,
}

/// A fault: where in the config (`sources.stripe.secrets[0]`, `routes[2].destination`), what is wrong, what to do.
#[derive(Debug, Clone)]
pub struct Fault {
    pub path: String,
    pub problem: String,
    pub hint: Option<String>,
}

impl Outlet {
    /// Consumers fetch from it: the pool leaves it alone.
    pub const fn is_pulled(&self) -> bool {
        matches!(self.way, Way::Pull(_))
    }
}

impl Snapshot {
    /// Every fault at once: bad sources and destinations, routes to nowhere (with the nearest name), one name twice.
    pub fn build(settings: &Settings) -> Result<Self, Vec<Fault>> {
        snapshot::build(settings)
    }

    pub fn source(&self, name: &str) -> Option<&Arc<Source>> {
        self.sources.get(name)
    }

    pub fn destination(&self, name: &str) -> Option<&Arc<Outlet>> {
        self.destinations.get(name)
    }

    /// The routes that begin at a source, in the config's order.
    pub fn routes_of(&self, source: &str) -> &[Arc<Route>] {
        self.routes_of.get(source).map(Vec::as_slice).unwrap_or_default()
    }

    /// What the routes of its source look at. What it is about is read only where one of them asks for it.
    pub fn subject<'e>(&self, event: &'e Event) -> Subject<'e> {
        let subject = Subject::new(event);
        let is_asked = self.routes_of(&event.source).iter().any(|it| it.reads_resource());
        match self.source(&event.source).filter(|_| is_asked) {
            Some(source) => subject.about(source::resource(source.provider(), event)),
            None => subject,
        }
    }

    pub fn route(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|it| &*it.name == name)
    }
}

/// What is wrong with routes alone, given the names that are declared: where a source or destination has faults of its
/// own, this still tells a route to it from a route to nowhere. Each route comes with its place in the config.
pub fn check_routes<'a>(
    routes: impl IntoIterator<Item = (usize, &'a route::Settings)>,
    sources: &[String],
    destinations: &[String],
) -> Vec<Fault> {
    snapshot::routes(routes, sources, destinations).1
}

/// The current snapshot. Clones share it.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    current: ArcSwap<Snapshot>,
    /// Destinations that are in no config. Locked while `current` is swapped, so that neither swap loses the other's.
    guests: Mutex<BTreeMap<Arc<str>, Arc<Outlet>>>,
}

impl Registry {
    pub fn new(snapshot: Snapshot) -> Self {
        Self(Arc::new(Shared {
            current: ArcSwap::from_pointee(snapshot),
            guests: Mutex::default(),
        }))
    }

    /// What holds now. Keep it for one piece of work, not longer, and not across a wait for something else.
    pub fn current(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.0.current.load()
    }

    /// Swaps the whole of it: who holds the old one finishes with the old one.
    pub fn replace(&self, mut snapshot: Snapshot) {
        let guests = self.guests();
        snapshot.destinations.extend(guests.clone());
        self.0.current.store(Arc::new(snapshot));
    }

    /// Destinations beside those of the config, in place of the ones before. Their names must be nobody else's.
    pub fn host(&self, new: BTreeMap<Arc<str>, Arc<Outlet>>) {
        let mut guests = self.guests();
        let mut snapshot = (**self.0.current.load()).clone();
        snapshot.destinations.retain(|name, _| !guests.contains_key(name));
        snapshot.destinations.extend(new.clone());
        *guests = new;
        self.0.current.store(Arc::new(snapshot));
    }

    fn guests(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Arc<Outlet>>> {
        self.0.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
