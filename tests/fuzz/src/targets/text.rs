//! Small readings that several oracles share.

/// Unix time as every scheme here writes it: digits and nothing else, no leading zero, at most 15.
pub(super) fn whole_number(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let is_plain = text.len() <= 15 && text.chars().all(|it| it.is_ascii_digit());
    (is_plain && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok())?
}

/// The fields of a form or a query, in their order.
pub(super) fn form(text: &[u8]) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for field in text.split(|it| *it == b'&').filter(|it| !it.is_empty()) {
        let at = field.iter().position(|it| *it == b'=').unwrap_or(field.len());
        let value = field.get(at + 1..).unwrap_or_default();
        fields.push((unescaped(&field[..at]), unescaped(value)));
    }
    fields
}

fn unescaped(text: &[u8]) -> String {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => bytes.push(b' '),
            (c, ..) => bytes.push(c),
        }
        at += 1;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What may be the name of a header.
pub(super) fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it))
}
