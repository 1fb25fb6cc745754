//! Many ids in one statement.

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
    fn ids_are_written_as_json() {
        let id = uuid::Uuid::nil();
        assert_eq!(
            json_rows([(&id, 7), (&id, 8)]),
            format!("[[\"{0}\",7],[\"{0}\",8]]", "0".repeat(32))
        );
        assert_eq!(json_rows([]), "[]");
    }
}
