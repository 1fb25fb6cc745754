//! A config as a tree in which every value knows where it was written.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The compiled-in `config/default.toml`.
    Default,
    /// Bytes of the config file.
    File(Range<usize>),
    /// The environment variable of that name.
    Variable(Arc<str>),
    /// The command-line flag for that dotted key.
    Flag(Arc<str>),
}

/// A value and its place. It has no `Debug`: it may hold a secret that someone wrote where none belongs.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
    /// The text of a variable or flag before it was read as TOML, for keys that want text.
    pub(super) raw: Option<Arc<str>>,
}

#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Array(Vec<Node>),
    Table(Table),
    /// What no key of ours takes: a date, a number beyond 64 bits, `inf`. Says which.
    Other(&'static str),
}

#[derive(Clone, Default)]
pub(super) struct Table(pub(super) BTreeMap<String, Entry>);

#[derive(Clone)]
pub(super) struct Entry {
    /// Where the key stands; the value has a place of its own.
    pub(super) key: Place,
    pub(super) node: Node,
}

impl Node {
    /// For a message: "a table", "an integer".
    pub(super) const fn kind(&self) -> &'static str {
        match &self.value {
            Value::Text(_) => "text",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a number with a fraction",
            Value::Boolean(_) => "a boolean",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
            Value::Other(kind) => kind,
        }
    }

    /// The text, or the text of a variable that happens to read as another kind (`12345`, `true`).
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Array(_) | Value::Table(_) => None,
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Other(_) => self.raw.as_deref(),
        }
    }

    pub(super) const fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.0.get(key).map(|it| &it.node)
    }

    /// Lays `upper` over this table: tables merge key by key, everything else is replaced.
    pub(super) fn lay(&mut self, upper: Self) {
        for (key, entry) in upper.0 {
            match (self.0.get_mut(&key), entry) {
                (
                    Some(Entry {
                        key: key_place,
                        node:
                            Node {
                                value: Value::Table(lower),
                                place,
                                ..
                            },
                    }),
                    Entry {
                        key: upper_key,
                        node:
                            Node {
                                value: Value::Table(upper),
                                place: upper_place,
                                ..
                            },
                    },
                ) => {
                    *key_place = upper_key;
                    *place = upper_place;
                    lower.lay(upper);
                }
                (_, entry) => {
                    self.0.insert(key, entry);
                }
            }
        }
    }

    /// The place of `sources.stripe.secrets[0]`, or of the nearest part around it that somebody wrote.
    ///
    /// Names may hold dots, so the longest key that fits wins.
    pub(super) fn locate(&self, path: &str) -> Place {
        self.find(path).unwrap_or(Place::Default)
    }

    fn find(&self, path: &str) -> Option<Place> {
        let (entry, rest) = self
            .0
            .iter()
            .filter_map(|(key, entry)| Some((key, entry, after_key(path, key)?)))
            .max_by_key(|(key, ..)| key.len())
            .map(|(_, entry, rest)| (entry, rest))?;
        let within = find_in(&entry.node, rest);
        within.or_else(|| written(&entry.node.place).or_else(|| written(&entry.key)))
    }
}

fn find_in(node: &Node, rest: &str) -> Option<Place> {
    match &node.value {
        Value::Table(table) => table.find(rest.strip_prefix('.')?),
        Value::Array(items) => {
            let (idx, rest) = rest.strip_prefix('[')?.split_once(']')?;
            let item = items.get(idx.parse::<usize>().ok()?)?;
            find_in(item, rest).or_else(|| written(&item.place))
        }
        _ => None,
    }
}

fn after_key<'a>(path: &'a str, key: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(key)?;
    (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
}

fn written(place: &Place) -> Option<Place> {
    (*place != Place::Default).then(|| place.clone())
}
