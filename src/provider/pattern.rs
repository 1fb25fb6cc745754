//! Patterns of values that a request must have.

use crate::provider::{
    place::Reader,
    scheme::{Text, When},
};

impl When {
    pub(super) fn holds(&self, reader: &Reader<'_>) -> bool {
        let Ok(Some(value)) = reader.one(&self.place) else {
            return false;
        };
        let is_like = |pattern: &Text| is_like(&value, pattern.as_bytes());
        self.patterns.iter().any(is_like)
    }
}

/// `*` stands for any text without `/`, `**` for any.
pub(super) fn is_like(value: &[u8], pattern: &[u8]) -> bool {
    match pattern.split_first() {
        None => value.is_empty(),
        Some((b'*', b"*")) => true,
        Some((b'*', [b'*', rest @ ..])) => (0..=value.len()).any(|at| is_like(&value[at..], rest)),
        Some((b'*', rest)) => (0..=value.len())
            .take_while(|at| *at == 0 || value[at - 1] != b'/')
            .any(|at| is_like(&value[at..], rest)),
        Some((byte, rest)) => value
            .split_first()
            .is_some_and(|(it, value)| it == byte && is_like(value, rest)),
    }
}
