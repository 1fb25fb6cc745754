//! The settings that are in force, as TOML, without a secret: for the admin side and for bug reports.

use crate::{
    config::{
        mask,
        tree::{Node, Place, Table, Value},
        value::shown,
    },
    web::settings::Setting,
};

/// Every key with where it was said; references are shown, what they refer to is not.
pub(super) fn effective(tree: &Table) -> Vec<Setting> {
    let mut res = Vec::new();
    for (key, entry) in &tree.0 {
        settings(key, key, &entry.node, &mut res);
    }
    res
}

fn settings(path: &str, key: &str, node: &Node, res: &mut Vec<Setting>) {
    if let Some(table) = node.table().filter(|it| !is_reference(it)) {
        for (key, entry) in &table.0 {
            let quoted = if mask::is_bare_key(key) {
                key.clone()
            } else {
                format!("{key:?}")
            };
            settings(&format!("{path}.{quoted}"), key, &entry.node, res);
        }
        return;
    }
    let place = match &node.place {
        Place::Default => "default".to_owned(),
        Place::File(_) => "file".to_owned(),
        Place::Variable(name) => name.to_string(),
        Place::Flag(_) => "flag".to_owned(),
    };
    let is_secret = path.contains(".headers.")
        || path.contains(".environment.")
        || path.ends_with(".pagerduty.routing_key")
        || mask::is_secret_key(key);
    res.push(Setting {
        key: path.to_owned(),
        value: value(node, is_secret),
        place,
    });
}

fn is_reference(table: &Table) -> bool {
    table.0.len() == 1 && (table.get("env").is_some() || table.get("file").is_some())
}

fn value(node: &Node, is_secret: bool) -> String {
    match &node.value {
        Value::Text(text) if is_secret || mask::has_password(text) => "\"***\"".to_owned(),
        Value::Text(text) => format!("\"{}\"", shown(text)),
        Value::Integer(_) | Value::Float(_) if is_secret => "***".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Boolean(it) => it.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|it| value(it, is_secret)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(table) => {
            let entry = |(key, entry): (&String, &crate::config::tree::Entry)| {
                let is_secret = mask::is_secret_key(key);
                format!("{key} = {}", value(&entry.node, is_secret))
            };
            let entries: Vec<_> = table.0.iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Other(kind) => format!("\"{kind}\""),
    }
}
