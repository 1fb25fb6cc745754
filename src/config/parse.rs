//! TOML text to a tree. The only file that knows the `toml` crate.

use std::{ops::Range, sync::Arc};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use crate::config::tree::{Entry, Node, Place, Table, Value};

/// What is no TOML, and where.
pub(super) struct SyntaxFault {
    pub(super) problem: String,
    pub(super) hint: Option<String>,
    pub(super) span: Range<usize>,
}

/// More would only be echoes of the first.
const MAX_SYNTAX_FAULTS: usize = 5;

/// `is_default` for the compiled-in text, whose places nobody can mend.
pub(super) fn document(text: &str, is_default: bool) -> Result<Table, Vec<SyntaxFault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let place = |span: Range<usize>| {
            if is_default {
                Place::Default
            } else {
                Place::File(span)
            }
        };
        return Ok(table_of(table.into_inner(), &place));
    }
    let mut faults: Vec<SyntaxFault> = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let n_line = line_of(text, span.start);
        let is_echo = faults.iter().any(|it| line_of(text, it.span.start) == n_line);
        if !is_echo && faults.len() < MAX_SYNTAX_FAULTS {
            faults.push(SyntaxFault {
                problem: error.message().to_owned(),
                hint: hint(error.message()).map(str::to_owned),
                span,
            });
        }
    }
    Err(faults)
}

/// What the parser does not say, for the mistakes that newcomers to TOML make.
fn hint(problem: &str) -> Option<&'static str> {
    if problem.contains("duplicate key") {
        return Some("each key stands once in its table, and each [table] once in the file");
    }
    let is_bare_text = ["invalid float", "invalid integer", "string values must be quoted"]
        .iter()
        .any(|it| problem.starts_with(it));
    is_bare_text
        .then_some("text, addresses, durations and sizes stand in quotes: listen = \"127.0.0.1:8080\"")
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count()
}

/// The value of a variable or a flag: TOML where it is TOML, else the text itself.
pub(super) fn loose_value(text: &str, place: &Place) -> Node {
    let raw: Arc<str> = Arc::from(text);
    let mut node = match DeValue::parse(text.trim()) {
        Ok(value) => node_of(value, &|_| place.clone()),
        Err(_) => Node {
            value: Value::Text(text.to_owned()),
            place: place.clone(),
            raw: None,
        },
    };
    node.raw = Some(raw);
    node
}

type Placing<'a> = &'a dyn Fn(Range<usize>) -> Place;

fn table_of(table: DeTable<'_>, place: Placing<'_>) -> Table {
    let entry = |(key, value): (Spanned<DeString<'_>>, Spanned<DeValue<'_>>)| {
        let entry = Entry {
            key: place(key.span()),
            node: node_of(value, place),
        };
        (key.into_inner().into_owned(), entry)
    };
    Table(table.into_iter().map(entry).collect())
}

fn node_of(value: Spanned<DeValue<'_>>, place: Placing<'_>) -> Node {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("an integer beyond 64 bits"), Value::Integer),
        DeValue::Boolean(it) => Value::Boolean(it),
        DeValue::Float(number) => match number.as_str().replace('_', "").parse() {
            Ok(number) if f64::is_finite(number) => Value::Float(number),
            _ => Value::Other("a number beyond all bounds"),
        },
        DeValue::Datetime(_) => Value::Other("a date or time"),
        DeValue::Array(items) => Value::Array(items.into_iter().map(|it| node_of(it, place)).collect()),
        DeValue::Table(table) => Value::Table(table_of(table, place)),
    };
    Node {
        value,
        place: place(span),
        raw: None,
    }
}
