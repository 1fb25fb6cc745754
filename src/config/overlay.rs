//! Single values from the environment and from flags, laid over the file's.

use std::{collections::BTreeMap, sync::Arc};

use crate::base::nearest::nearest;
use crate::config::{
    error::Fault,
    parse,
    tree::{Entry, Node, Place, Table, Value},
    value::shown,
};

/// `GATEPOST__SERVER__LISTEN` sets `server.listen`. One underscore (`GATEPOST_CONFIG`) is no setting.
const PREFIX: &str = "GATEPOST__";
const LEVEL: &str = "__";
/// Tables whose keys are names that the operator chose.
const NAMED: &[&str] = &["sources", "destinations", "notifications"];

pub(super) fn environment(tree: &mut Table, environment: &BTreeMap<String, String>, faults: &mut Vec<Fault>) {
    for (name, value) in environment {
        let Some(key) = name
            .get(..PREFIX.len())
            .filter(|it| it.eq_ignore_ascii_case(PREFIX))
        else {
            continue;
        };
        let segments: Vec<_> = name[key.len()..].split(LEVEL).map(str::to_lowercase).collect();
        let place = Place::Variable(Arc::from(name.as_str()));
        if let Err(fault) = set(tree, &segments, parse::loose_value(value, &place)) {
            faults.push(fault);
        }
    }
}

pub(super) fn flags(tree: &mut Table, flags: &[(String, String)], faults: &mut Vec<Fault>) {
    for (key, value) in flags {
        let segments: Vec<_> = key.split('.').map(str::to_owned).collect();
        let place = Place::Flag(Arc::from(key.as_str()));
        if let Err(fault) = set(tree, &segments, parse::loose_value(value, &place)) {
            faults.push(fault);
        }
    }
}

fn set(tree: &mut Table, segments: &[String], node: Node) -> Result<(), Fault> {
    let place = node.place.clone();
    if segments.iter().any(String::is_empty) {
        return Err(Fault::new(&place, "no key between two separators")
            .label("expected the parts of a key, as in GATEPOST__SERVER__LISTEN for server.listen"));
    }
    let mut path: Vec<String> = segments.to_vec();
    match segments {
        [room, ..] if room == "routes" => {
            return Err(Fault::new(&place, "routes come from the config file").hint(
                "a source and a destination can be given single keys from here; routes cannot".to_owned(),
            ));
        }
        [room] if NAMED.contains(&room.as_str()) => {
            return Err(Fault::new(&place, format!("`{room}` come from the config file"))
                .label("expected a single key of one of them, as in GATEPOST__DESTINATIONS__BILLING__URL"));
        }
        [room, name, ..] if NAMED.contains(&room.as_str()) => {
            path[1] = declared_name(tree, room, name, &place)?;
        }
        _ => (),
    }
    let is_of_headers = |path: &[String]| match path {
        [_, _, section, _] => section == "headers",
        [room, section, _] => room == "telemetry" && section == "headers",
        _ => false,
    };
    if is_of_headers(&path)
        && let Some(key) = path.last_mut()
    {
        // A variable's name cannot hold the hyphens of a header's.
        *key = key.replace('_', "-");
    }
    insert(tree, &path, node).map_err(|problem| Fault::new(&place, problem))
}

/// The declared name that a segment means: no case, and `_`, `-` and `.` alike.
fn declared_name(tree: &Table, room: &str, segment: &str, place: &Place) -> Result<String, Fault> {
    let plain = |it: &str| it.to_lowercase().replace(['-', '.'], "_");
    let declared = tree.get(room).and_then(Node::table).map(|it| it.0.keys());
    let declared: Vec<&String> = declared.into_iter().flatten().collect();
    if let Some(exact) = declared.iter().find(|it| it.as_str() == segment) {
        return Ok((*exact).clone());
    }
    let fitting: Vec<_> = declared.iter().filter(|it| plain(it) == plain(segment)).collect();
    match fitting.as_slice() {
        [one] => Ok((**one).clone()),
        [] => {
            let near = nearest(segment, declared.iter().map(|it| it.as_str()));
            Err(
                Fault::new(place, format!("`{room}` has none called `{}`", shown(segment)))
                    .label("expected the name of one that the config file declares")
                    .hint(near.map(|it| format!("did you mean `{it}`?"))),
            )
        }
        [one, two, ..] => Err(
            Fault::new(place, format!("`{segment}` could mean `{one}` or `{two}`"))
                .hint("set this key in the config file, or rename one of the two".to_owned()),
        ),
    }
}

fn insert(table: &mut Table, path: &[String], node: Node) -> Result<(), String> {
    let place = node.place.clone();
    let Some((key, rest)) = path.split_first() else {
        return Ok(());
    };
    if rest.is_empty() {
        table.0.insert(key.clone(), Entry { key: place, node });
        return Ok(());
    }
    let entry = table.0.entry(key.clone()).or_insert_with(|| Entry {
        key: place.clone(),
        node: Node {
            value: Value::Table(Table::default()),
            place: place.clone(),
            raw: None,
        },
    });
    match &mut entry.node.value {
        Value::Table(inner) => insert(inner, rest, node),
        _ => Err(format!(
            "`{}` is no table that could hold `{}`",
            shown(key),
            shown(&rest.join("."))
        )),
    }
}
