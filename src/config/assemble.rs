//! Layers in, settings out: the defaults under the file, then every table read, then what they say of each other.

use crate::{
    alert,
    base::nearest::nearest,
    config::{
        Settings, check, destination,
        error::Fault,
        issue, notification, parse, process, route,
        route_test::{self, RouteTest},
        section::{Bad, Reading, Section},
        source, telemetry,
        tree::{Entry, Node, Table, Value},
        value,
    },
    registry,
};

/// The name of the rows in `default.toml` that stand under every source, destination and notification.
const ANY: &str = "*";

/// The file over the defaults.
pub(super) fn layered(written: Table) -> Table {
    let mut tree = parse::document(crate::config::DEFAULT, true).unwrap_or_default();
    let mut templates: Vec<(&str, Table)> = Vec::new();
    for room in ["sources", "destinations", "notifications"] {
        if let Some(Entry {
            node: Node {
                value: Value::Table(named),
                ..
            },
            ..
        }) = tree.0.get_mut(room)
            && let Some(Entry {
                node:
                    Node {
                        value: Value::Table(template),
                        ..
                    },
                ..
            }) = named.0.remove(ANY)
        {
            templates.push((room, template));
        }
    }
    tree.lay(written);
    for (room, template) in templates {
        let Some(Entry {
            node: Node {
                value: Value::Table(named),
                ..
            },
            ..
        }) = tree.0.get_mut(room)
        else {
            continue;
        };
        for entry in named.0.values_mut() {
            if let Value::Table(own) = &mut entry.node.value {
                let mut whole = template.clone();
                whole.lay(std::mem::take(own));
                *own = whole;
            }
        }
    }
    tree
}

pub(super) fn settings(tree: &Table, reading: &mut Reading<'_>) -> Result<Settings, Bad> {
    let mut top = Section::top(tree);
    let server = process::server(&mut top, reading);
    let admin = process::admin(&mut top, reading);
    let store = process::store(&mut top, reading);
    let ingest = process::ingest(&mut top, reading);
    let delivery = process::delivery(&mut top, reading);
    let log = process::log(&mut top, reading);
    let telemetry = telemetry::telemetry(&mut top, reading);
    if let Ok((server, _)) = &server {
        let admin_listen = tree
            .get("admin")
            .and_then(Node::table)
            .and_then(|it| it.get("listen"));
        let admin_listen = admin_listen.and_then(|it| value::address(it).ok());
        check::listeners(server, admin.as_ref().ok(), admin_listen, tree, reading);
    }
    let public_url = match &server {
        Ok((server, _)) => server.public_url.clone(),
        // Whether there is one cannot be said; a source that needs it shall not be faulted for that.
        Err(Bad) => "https://unknown.invalid".parse().ok(),
    };
    let surroundings = source::Surroundings {
        public_url,
        // Where that cannot be said, no source shall be faulted for it.
        ask_senders: ingest.as_ref().map_or(true, |it| it.ask_senders),
    };
    let sources = named(&mut top, "sources", reading, |name, node, reading| {
        source::source(name, node, &surroundings, reading)
    });
    let destinations = named(&mut top, "destinations", reading, destination::destination);
    let routes = routes(&mut top, reading);
    let issues = issue::issues(&mut top, reading);
    let notifications = named(&mut top, "notifications", reading, notification::notification);
    let tests = tests(&mut top, &routes, reading);
    top.finish(reading);
    if let (Ok((server, _)), Ok(ingest)) = (&server, &ingest) {
        check::bodies(server, &ingest.settings, &sources.sound, tree, reading);
    }
    if let (Ok(issues), Ok(ingest)) = (&issues, &ingest) {
        check::refusals(&issues.rules, ingest.rejected_keep, reading);
    }
    let alerts = check_alerts(issues, notifications, tree, reading);
    let registry = check_registry(sources, destinations, routes, tree, reading);
    let (server, grace) = server?;
    let (store, retention) = store?;
    let ingest = ingest?;
    Ok(Settings {
        server,
        admin: admin?,
        store,
        retention,
        rejected_retention: ingest.rejected_retention,
        rejected_keep: ingest.rejected_keep,
        ingest: ingest.settings,
        delivery: delivery?,
        registry: registry?,
        alerts: alerts?,
        tests: tests?,
        log: log?,
        telemetry: telemetry?,
        grace,
    })
}

/// The sound ones of a table of named tables, and the names of all.
struct Declared<T> {
    sound: Vec<T>,
    names: Vec<String>,
}

fn named<T>(
    top: &mut Section<'_>,
    room: &'static str,
    reading: &mut Reading<'_>,
    read: impl Fn(&str, &Node, &mut Reading<'_>) -> Result<T, Bad>,
) -> Declared<T> {
    let mut declared = Declared {
        sound: Vec::new(),
        names: Vec::new(),
    };
    let Some(node) = top.node(room, reading) else {
        return declared;
    };
    let Value::Table(table) = &node.value else {
        let label = format!("expected tables, as in [{room}.NAME], found {}", node.kind());
        reading.fault(Fault::new(&node.place, format!("`{room}` is not a table")).label(label));
        return declared;
    };
    for (name, entry) in &table.0 {
        declared.names.push(name.clone());
        if !is_fit_name(name) {
            let fault = Fault::new(
                &entry.key,
                format!("`{}` cannot be a name in `{room}`", value::shown(name)),
            )
            .label("expected 1 to 64 of a-z, 0-9, `-`, `_` and `.`")
            .hint("names stand in URLs, headers and metrics".to_owned());
            reading.fault(fault);
            continue;
        }
        if let Ok(it) = read(name, &entry.node, reading) {
            declared.sound.push(it);
        }
    }
    declared
}

/// Fit to stand in a URL as it is. Dots alone would be a path of their own.
fn is_fit_name(name: &str) -> bool {
    let is_fit = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, b'-' | b'_' | b'.');
    (1..=64).contains(&name.len()) && name.bytes().all(is_fit) && !name.bytes().all(|it| it == b'.')
}

fn routes(top: &mut Section<'_>, reading: &mut Reading<'_>) -> Vec<Result<crate::route::Settings, Bad>> {
    let nodes = top.items("routes", reading).unwrap_or_default();
    nodes
        .iter()
        .enumerate()
        .map(|(idx, node)| route::route(idx, node, reading))
        .collect()
}

/// Each names a route of this config.
fn tests(
    top: &mut Section<'_>,
    routes: &[Result<crate::route::Settings, Bad>],
    reading: &mut Reading<'_>,
) -> Result<Vec<RouteTest>, Bad> {
    let nodes = top.items("tests", reading)?;
    let names: Vec<_> = routes
        .iter()
        .flatten()
        .map(crate::route::Settings::name)
        .collect();
    let read_one = |(idx, node): (usize, &Node)| {
        let test = route_test::route_test(idx, node, reading)?;
        // A faulty route has its own fault, and may be the one.
        if names.contains(&test.route) || routes.iter().any(Result::is_err) {
            return Ok(test);
        }
        let hint = match nearest(&test.route, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("this config has: {}", names.join(", ")),
        };
        let problem = format!(
            "`tests[{idx}].route` names no route: `{}`",
            value::shown(&test.route)
        );
        Err(reading.fault(Fault::new(&node.place, problem).hint(hint)))
    };
    // All of them are read before the first fault ends it.
    let tests: Vec<_> = nodes.iter().enumerate().map(read_one).collect();
    tests.into_iter().collect()
}

/// What only the rooms themselves can say: whether a key fits its provider, whether a route leads somewhere.
fn check_registry(
    sources: Declared<crate::source::Settings>,
    destinations: Declared<crate::destination::Settings>,
    routes: Vec<Result<crate::route::Settings, Bad>>,
    tree: &Table,
    reading: &mut Reading<'_>,
) -> Result<registry::Settings, Bad> {
    // A route to a source that is declared, but faulty, is no fault of its own.
    let mut faults = registry::check_routes(
        routes
            .iter()
            .enumerate()
            .filter_map(|(idx, it)| Some((idx, it.as_ref().ok()?))),
        &sources.names,
        &destinations.names,
    );
    let settings = registry::Settings {
        sources: sources.sound,
        destinations: destinations.sound,
        routes: Vec::new(),
    };
    if let Err(more) = registry::Snapshot::build(&settings) {
        faults.extend(more);
    }
    note(faults, tree, reading);
    let routes: Result<Vec<_>, Bad> = routes.into_iter().collect();
    Ok(registry::Settings {
        routes: routes?,
        ..settings
    })
}

/// What only the room itself can say: whether a notification can be sent.
fn check_alerts(
    settings: Result<alert::Settings, Bad>,
    notifications: Declared<alert::channel::Settings>,
    tree: &Table,
    reading: &mut Reading<'_>,
) -> Result<alert::Settings, Bad> {
    let settings = alert::Settings {
        notifications: notifications.sound,
        ..settings?
    };
    if let Err(faults) = alert::Setup::build(&settings) {
        note(faults, tree, reading);
    }
    Ok(settings)
}

fn note(faults: Vec<registry::Fault>, tree: &Table, reading: &mut Reading<'_>) {
    for it in faults {
        let fault =
            Fault::new(&tree.locate(&it.path), format!("`{}`: {}", it.path, it.problem)).hint(it.hint);
        reading.fault(fault);
    }
}
