//! Starting inputs out of the signed requests in `tests/vectors`.

use std::path::Path;

use serde_json::Value;

use super::request::{NOW, seed};

/// For each vector two inputs: as it is, and with marks in place of its signatures and its time.
pub(super) fn seeds(folder: &Path, file: &str, names: &[&str]) -> Vec<Vec<u8>> {
    let text = std::fs::read(folder.join(file)).expect("the vectors are there");
    let vectors: Vec<Value> = serde_json::from_slice(&text).expect("the vectors are JSON");
    let mut seeds = Vec::new();
    for vector in &vectors {
        let headers = vector["headers"].as_object().expect("a vector has headers");
        let body = vector["body"].as_str().expect("a vector has a body").as_bytes();
        let (mut plain, mut marked) = (Vec::new(), Vec::new());
        for (name, value) in headers {
            let Some(at) = names.iter().position(|it| it == name) else {
                continue;
            };
            let value = value.as_str().expect("a header is text");
            for (lines, value) in [(&mut plain, value.to_owned()), (&mut marked, with_marks(value))] {
                lines.push(b'a' + u8::try_from(at).expect("names are few"));
                lines.extend(value.into_bytes());
                lines.push(b'\n');
            }
        }
        let timestamp = NOW.to_string();
        for lines in [plain, marked] {
            seeds.push(seed(b"msg_1", timestamp.as_bytes(), &lines, body));
        }
    }
    seeds
}

/// Runs of 64 hex digits and of 44 characters of base64 are signatures, ten digits are a time.
fn with_marks(value: &str) -> String {
    let mut res = String::new();
    let is_code = |it: char| it.is_ascii_alphanumeric() || it == '+' || it == '/';
    for piece in value.split_inclusive(|it: char| !is_code(it)) {
        let code = piece.trim_end_matches(|it| !is_code(it));
        let rest = &piece[code.len()..];
        match code.len() {
            64 => res.push('\u{1}'),
            // Its padding belongs to it.
            43 if rest == "=" => {
                res.push('\u{1}');
                continue;
            }
            10 if code.bytes().all(|it| it.is_ascii_digit()) => res.push('\u{5}'),
            _ => res.push_str(code),
        }
        res.push_str(rest);
    }
    res
}
