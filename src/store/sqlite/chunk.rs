//! Many rows in few statements.

use std::ops::Range;

/// The most rows in one statement.
const MAX_ROWS: usize = 64;

/// Cuts `len` rows into pieces of 64, 32, 16, ... 1 rows: few statements, and few texts of them, so that all stay
/// prepared.
pub(super) fn chunks(len: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = len - start;
        if rest == 0 {
            return None;
        }
        let n_rows = MAX_ROWS.min(1 << rest.ilog2());
        start += n_rows;
        Some(start - n_rows..start)
    })
}

/// A set of ids (with a number each) as the one JSON text that a static statement takes apart again.
pub(super) fn json_rows<'a>(rows: impl IntoIterator<Item = (&'a uuid::Uuid, i64)>) -> String {
    let mut text = String::from("[");
    for (id, number) in rows {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str("[\"");
        text.push_str(id.simple().encode_lower(&mut uuid::Uuid::encode_buffer()));
        text.push_str("\",");
        text.push_str(&number.to_string());
        text.push(']');
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_row_once() {
        for len in 0..300 {
            let pieces: Vec<_> = chunks(len).collect();
            assert_eq!(
                pieces.iter().cloned().flatten().collect::<Vec<_>>(),
                (0..len).collect::<Vec<_>>()
            );
            assert!(
                pieces
                    .iter()
                    .all(|it| it.len().is_power_of_two() && it.len() <= MAX_ROWS)
            );
        }
        assert_eq!(chunks(200).count(), 4);
    }

    #[test]
    fn ids_are_written_as_json() {
        let id = uuid::Uuid::nil();
        assert_eq!(
            json_rows([(&id, 7), (&id, 8)]),
            format!("[[\"{0}\",7],[\"{0}\",8]]", "0".repeat(32))
        );
        assert_eq!(json_rows([]), "[]");
    }
}
