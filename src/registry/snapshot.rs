//! Building a snapshot: what the rooms below say of each part, and what the parts say of each other.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use crate::{
    base::nearest::nearest,
    destination,
    registry::{Fault, Outlet, Settings, Snapshot},
    route::{self, Route},
    source::{self, Source},
};

pub(super) fn build(settings: &Settings) -> Result<Snapshot, Vec<Fault>> {
    let mut faults = Vec::new();
    let sources = sources(&settings.sources, &mut faults);
    let destinations = destinations(&settings.destinations, &mut faults);
    let source_names: Vec<String> = settings.sources.iter().map(|it| it.name.clone()).collect();
    let destination_names: Vec<String> = settings.destinations.iter().map(|it| it.name.clone()).collect();
    let (routes, more) = routes(
        settings.routes.iter().enumerate(),
        &source_names,
        &destination_names,
    );
    faults.extend(more);
    faults.extend(without_resource(settings));
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut routes_of: HashMap<Arc<str>, Vec<Arc<Route>>> = HashMap::new();
    for route in &routes {
        routes_of
            .entry(Arc::clone(&route.source))
            .or_default()
            .push(Arc::clone(route));
    }
    Ok(Snapshot {
        sources,
        destinations,
        routes,
        routes_of,
    })
}

fn sources(settings: &[source::Settings], faults: &mut Vec<Fault>) -> BTreeMap<Arc<str>, Arc<Source>> {
    let mut res = BTreeMap::new();
    for it in settings {
        let path = format!("sources.{}", it.name);
        match Source::new(it.clone()) {
            Ok(source) => {
                if res.insert(Arc::clone(source.name()), Arc::new(source)).is_some() {
                    faults.push(twice(path, "source"));
                }
            }
            Err(more) => faults.extend(more.into_iter().map(|it| Fault {
                path: join(&path, &it.key),
                problem: it.problem,
                hint: it.hint,
            })),
        }
    }
    res
}

fn destinations(
    settings: &[destination::Settings],
    faults: &mut Vec<Fault>,
) -> BTreeMap<Arc<str>, Arc<Outlet>> {
    let mut res = BTreeMap::new();
    for it in settings {
        let path = format!("destinations.{}", it.name);
        match destination::build(it) {
            Ok(way) => {
                let name: Arc<str> = Arc::from(it.name.as_str());
                let outlet = Outlet {
                    name: Arc::clone(&name),
                    settings: it.clone(),
                    way,
                };
                if res.insert(name, Arc::new(outlet)).is_some() {
                    faults.push(twice(path, "destination"));
                }
            }
            Err(more) => faults.extend(more.into_iter().map(|it| Fault {
                path: join(&path, &it.key),
                problem: it.problem,
                hint: it.hint,
            })),
        }
    }
    res
}

fn twice(path: String, what: &str) -> Fault {
    Fault {
        path,
        problem: format!("another {what} has this name"),
        hint: None,
    }
}

fn join(path: &str, key: &str) -> String {
    if key.is_empty() {
        path.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The routes that are sound, and every fault of the others.
pub(super) fn routes<'a>(
    settings: impl IntoIterator<Item = (usize, &'a route::Settings)>,
    sources: &[String],
    destinations: &[String],
) -> (Vec<Arc<Route>>, Vec<Fault>) {
    let sources: BTreeSet<&str> = sources.iter().map(String::as_str).collect();
    let destinations: BTreeSet<&str> = destinations.iter().map(String::as_str).collect();
    let mut ways = HashSet::new();
    let mut names: HashSet<Arc<str>> = HashSet::new();
    let mut res = Vec::new();
    let mut faults = Vec::new();
    for (idx, it) in settings {
        let path = format!("routes[{idx}]");
        faults.extend(unknown(&path, "source", &it.source, &sources));
        faults.extend(unknown(&path, "destination", &it.destination, &destinations));
        let types: BTreeSet<&str> = it.types.iter().map(String::as_str).collect();
        let filter = it.filter.as_ref().map(ToString::to_string);
        if !ways.insert((it.source.as_str(), it.destination.as_str(), types, filter)) {
            faults.push(Fault {
                path,
                problem: format!(
                    "another route already goes from `{}` to `{}` with the same types and filter",
                    it.source, it.destination
                ),
                hint: Some("with both, every event would be delivered twice".to_owned()),
            });
            continue;
        }
        match Route::new(it) {
            Ok(route) if names.insert(Arc::clone(&route.name)) => res.push(Arc::new(route)),
            Ok(route) => faults.push(Fault {
                path,
                problem: format!("another route is called `{}`", route.name),
                hint: Some("give one of them another `name`".to_owned()),
            }),
            Err(more) => faults.extend(more.into_iter().map(|it| Fault {
                path: join(&path, &it.key),
                problem: it.problem,
                hint: it.hint,
            })),
        }
    }
    (res, faults)
}

/// The routes that compare what events are about, from sources of which that is not known.
fn without_resource(settings: &Settings) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (idx, route) in settings.routes.iter().enumerate() {
        let source = settings.sources.iter().find(|it| it.name == route.source);
        let Some(source) = source.filter(|it| it.provider.resource.is_empty()) else {
            continue;
        };
        let is_resource = |by: &String| by == "resource";
        let orders = route.order.as_ref().is_some_and(|it| is_resource(&it.by));
        let deduplicates = |it: &route::deduplicate::Settings| it.by.iter().any(is_resource);
        for (key, is_by_resource) in [
            ("order", orders),
            (
                "deduplicate",
                route.deduplicate.as_ref().is_some_and(deduplicates),
            ),
        ] {
            if is_by_resource {
                faults.push(Fault {
                    path: format!("routes[{idx}].{key}.by"),
                    problem: format!(
                        "where the requests of `{}` (provider `{}`) say what they are about is not known",
                        source.name, source.provider.name
                    ),
                    hint: Some(format!(
                        "write `body:/data/object/customer` or the like here, or `event_resource` in [sources.{}]",
                        source.name
                    )),
                });
            }
        }
    }
    faults
}

fn unknown(path: &str, what: &str, name: &str, known: &BTreeSet<&str>) -> Option<Fault> {
    if known.contains(name) {
        return None;
    }
    Some(Fault {
        path: format!("{path}.{what}"),
        problem: format!(
            "there is no {what} `{}`",
            name.chars().take(64).collect::<String>().escape_debug()
        ),
        hint: Some(match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "declare it as [{what}s.{}]",
                if name.is_empty() { "NAME" } else { name }
            ),
        }),
    })
}
