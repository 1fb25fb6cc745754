//! Reading one table: every key that is asked for is known, every other one is a fault.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::base::nearest::nearest;
use crate::config::{
    error::Fault,
    tree::{Node, Place, Table, Value},
    value::{Read, shown},
};

/// Marks that a fault was noted; the value is missing and nothing more need be said of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bad;

/// What one load gathers.
pub(super) struct Reading<'a> {
    pub(super) environment: &'a BTreeMap<String, String>,
    /// Secret files with a relative path are looked for here: beside the config file.
    pub(super) directory: &'a Path,
    pub(super) faults: Vec<Fault>,
    /// The values of unknown keys: never shown, because a mistyped `secret` is one of them.
    pub(super) hidden: Vec<Node>,
    pub(super) warnings: Vec<String>,
    pub(super) watched: BTreeSet<PathBuf>,
    /// Every key that was asked for, with `*` for a chosen name: what the reference must list.
    pub(super) known: BTreeSet<String>,
}

impl Reading<'_> {
    pub(super) fn fault(&mut self, fault: Fault) -> Bad {
        self.faults.push(fault);
        Bad
    }
}

/// One table.
pub(super) struct Section<'a> {
    table: &'a Table,
    pub(super) place: Place,
    /// `sources.stripe`; empty at the top.
    pub(super) path: String,
    /// The same with `*` for chosen names: `sources.*`.
    shape: String,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn top(table: &'a Table) -> Self {
        Self {
            table,
            place: Place::Default,
            path: String::new(),
            shape: String::new(),
            asked: Vec::new(),
        }
    }

    /// A table that has a chosen name, or a number in an array.
    pub(super) fn of(
        node: &'a Node,
        path: String,
        shape: &str,
        reading: &mut Reading<'_>,
    ) -> Result<Self, Bad> {
        let Some(table) = node.table() else {
            let fault = Fault::new(&node.place, format!("`{path}` is not a table"))
                .label(format!("expected a table, found {}", node.kind()));
            return Err(reading.fault(fault));
        };
        Ok(Self {
            table,
            place: node.place.clone(),
            path,
            shape: shape.to_owned(),
            asked: Vec::new(),
        })
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn shape_of(&self, key: &str) -> String {
        if self.shape.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.shape)
        }
    }

    /// The value as it stands; the caller reads it.
    pub(super) fn node(&mut self, key: &'static str, reading: &mut Reading<'_>) -> Option<&'a Node> {
        self.asked.push(key);
        reading.known.insert(self.shape_of(key));
        self.table.get(key)
    }

    /// Whether the key is there, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// A table inside this one, if it is there.
    pub(super) fn section(
        &mut self,
        key: &'static str,
        reading: &mut Reading<'_>,
    ) -> Result<Option<Self>, Bad> {
        let Some(node) = self.node(key, reading) else {
            return Ok(None);
        };
        Self::of(node, self.path_of(key), &self.shape_of(key), reading).map(Some)
    }

    /// A value that may be absent.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        reading: &mut Reading<'_>,
        read: impl Fn(&Node) -> Read<T>,
    ) -> Result<Option<T>, Bad> {
        let Some(node) = self.node(key, reading) else {
            return Ok(None);
        };
        read_node(node, &self.path_of(key), reading, read).map(Some)
    }

    /// A value that must be there.
    pub(super) fn need<T>(
        &mut self,
        key: &'static str,
        reading: &mut Reading<'_>,
        read: impl Fn(&Node) -> Read<T>,
    ) -> Result<T, Bad> {
        let value = self.read(key, reading, read)?;
        value.ok_or_else(|| self.missing(key, reading))
    }

    pub(super) fn missing(&self, key: &str, reading: &mut Reading<'_>) -> Bad {
        let problem = format!("`{}` has no `{key}`", self.path);
        reading.fault(Fault::new(&self.place, problem).label(format!("expected a key `{key}` in this table")))
    }

    /// An array, absent meaning empty; every bad item is a fault.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        reading: &mut Reading<'_>,
        read: impl Fn(&Node) -> Read<T>,
    ) -> Result<Vec<T>, Bad> {
        let items = self.items(key, reading)?;
        let path = self.path_of(key);
        let read_one = |(idx, node)| read_node(node, &format!("{path}[{idx}]"), reading, &read);
        let values: Vec<_> = items.iter().enumerate().map(read_one).collect();
        values.into_iter().collect()
    }

    /// The items of an array, absent meaning none.
    pub(super) fn items(&mut self, key: &'static str, reading: &mut Reading<'_>) -> Result<&'a [Node], Bad> {
        let Some(node) = self.node(key, reading) else {
            return Ok(&[]);
        };
        if let Value::Array(items) = &node.value {
            return Ok(items);
        }
        let problem = format!("`{}` is not an array", self.path_of(key));
        let label = format!("expected an array, as in [...], found {}", node.kind());
        Err(reading.fault(Fault::new(&node.place, problem).label(label)))
    }

    /// Where a key of this table (or `hmac.hash` within it) was written, else where the table was.
    pub(super) fn place_of(&self, key: &str) -> Place {
        match self.table.locate(key) {
            Place::Default => self.place.clone(),
            place => place,
        }
    }

    /// Where the first of two keys was written, else the second: one of them may be a default.
    pub(super) fn place_of_either(&self, first: &str, second: &str) -> Place {
        match self.table.locate(first) {
            Place::Default => self.place_of(second),
            place => place,
        }
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(&self, reading: &mut Reading<'_>) {
        for (key, entry) in &self.table.0 {
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            let table = match self.path.as_str() {
                "" => "at the top of the config".to_owned(),
                path => format!("in `{path}`"),
            };
            let mut known = self.asked.clone();
            known.sort_unstable();
            known.dedup();
            let expected = if known.is_empty() {
                "no key".to_owned()
            } else {
                format!("one of {}", known.join(", "))
            };
            let hint = nearest(key, known.iter().copied()).map(|it| format!("did you mean `{it}`?"));
            let fault = Fault::new(&entry.key, format!("unknown key `{}` {table}", shown(key)))
                .label(format!("expected {expected}"))
                .hint(hint);
            reading.fault(fault);
            reading.hidden.push(entry.node.clone());
        }
    }
}

fn read_node<T>(
    node: &Node,
    path: &str,
    reading: &mut Reading<'_>,
    read: impl Fn(&Node) -> Read<T>,
) -> Result<T, Bad> {
    read(node).map_err(|it| {
        let fault = Fault::new(&node.place, format!("bad value for `{path}`"))
            .label(format!("expected {}, found {}", it.expected, it.found))
            .hint(it.hint);
        reading.fault(fault)
    })
}
